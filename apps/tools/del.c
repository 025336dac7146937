// del.c - removes files, and with -r folders with all that is in them.
// SPDX-License-Identifier: MIT
#include "tool.h"

enum { Recursive = 1, Force = 2 };

static unsigned options;

static void Remove(const char *path);

// The list is read anew after each removal: a listing need not survive changes.
static void Empty(const char *path)
{
    static DirectoryEntry entry;
    char inside[MaximumPath];
    for (Status status = StatusSuccess; status == StatusSuccess;) {
        Handle directory;
        status = OpenDirectory(path, &directory);
        if (status != StatusSuccess)
            break;
        status = ReadDirectory(directory, &entry);
        (void)CloseHandle(directory);
        if (status != StatusSuccess || !ToolJoin(inside, path, entry.Name))
            break;
        Remove(inside);
        FileInfo info;
        if (GetPathInfo(inside, &info) == StatusSuccess)
            break; // it has said why
    }
}

static void Remove(const char *path)
{
    Status status = DeleteFile(path);
    if (status == StatusIsADirectory && (options & Recursive)) {
        Empty(path);
        status = RemoveDirectory(path);
    }
    if (status == StatusIsADirectory)
        ToolSay(path, "it is a folder; -r removes it with all that is in it");
    else if (status != StatusSuccess && !(status == StatusNotFound && (options & Force)))
        ToolFail(path, status);
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "del [-r] [-f] PATH...\n"
              "    removes files; -r: folders with all that is in them, -f: what is not\n"
              "    there is no mistake\n");
    int count = ToolOptions(argc, argv, "rf", &options);
    if (count == 0)
        ToolMisuse("what?");
    for (int i = 1; i <= count; i++)
        Remove(argv[i]);
    return ToolEnd();
}
