// copy.c - copies files and folders.
// SPDX-License-Identifier: MIT
#include "tool.h"

enum { Recursive = 1, MostDepth = 64 };

static unsigned options;

// What was written of a copy that failed is removed.
static void CopyFile(const char *from, const char *to)
{
    static char buffer[128 * 1024];
    Handle in, out;
    size_t length, moved;
    Status status = CreateFile(from, FileRead, FileOpenExisting, &in);
    if (status != StatusSuccess) {
        ToolFail(from, status);
        return;
    }
    status = CreateFile(to, FileWrite, FileCreateAlways, &out);
    if (status != StatusSuccess) {
        ToolFail(to, status);
        (void)CloseHandle(in);
        return;
    }
    while ((status = ReadFile(in, buffer, sizeof buffer, &length)) == StatusSuccess && length > 0) {
        status = WriteFile(out, buffer, length, &moved);
        if (status != StatusSuccess)
            break;
    }
    (void)CloseHandle(in);
    (void)CloseHandle(out);
    if (status == StatusSuccess || status == StatusEndOfFile)
        return;
    ToolFail(to, status);
    (void)DeleteFile(to);
}

static void CopyAny(const char *from, const char *to, int depth);

static void CopyFolder(const char *from, const char *to, int depth)
{
    DirectoryEntry *entry = malloc(sizeof *entry);
    char *paths = malloc(2 * MaximumPath);
    Handle directory = InvalidHandle;
    Status status = entry == nullptr || paths == nullptr ? StatusNoMemory : CreateDirectory(to);
    if (status == StatusSuccess || (status == StatusAlreadyExists && ToolIsFolder(to)))
        status = OpenDirectory(from, &directory);
    while (status == StatusSuccess && (status = ReadDirectory(directory, entry)) == StatusSuccess)
        if (ToolJoin(paths, from, entry->Name) && ToolJoin(paths + MaximumPath, to, entry->Name))
            CopyAny(paths, paths + MaximumPath, depth + 1);
        else
            ToolFail(entry->Name, StatusNameTooLong);
    if (status != StatusNoMoreEntries)
        ToolFail(from, status);
    if (directory != InvalidHandle)
        (void)CloseHandle(directory);
    free(entry);
    free(paths);
}

// Whether `to` is inside of `from`: the copy would never end.
static bool IsInside(const char *from, const char *to)
{
    size_t length = strlen(from);
    return strncmp(from, to, length) == 0 && (to[length] == '/' || to[length] == '\0');
}

static void CopyAny(const char *from, const char *to, int depth)
{
    if (!ToolIsFolder(from))
        CopyFile(from, to);
    else if (!(options & Recursive))
        ToolSay(from, "it is a folder; -r copies those too");
    else if (IsInside(from, to) || depth > MostDepth)
        ToolSay(from, "it cannot be copied into itself");
    else
        CopyFolder(from, to, depth);
}

int main(int argc, char **argv)
{
    char inside[MaximumPath];
    ToolStart(argc, argv,
              "copy [-r] FROM TO | copy [-r] FROM... FOLDER\n"
              "    copies files; -r: folders too\n");
    int count = ToolOptions(argc, argv, "r", &options);
    if (count < 2)
        ToolMisuse("what, and where to?");
    const char *to = argv[count];
    bool intoFolder = ToolIsFolder(to);
    if (count > 2 && !intoFolder)
        ToolMisuse("several files need a folder that exists");
    for (int i = 1; i < count; i++)
        if (!intoFolder)
            CopyAny(argv[i], to, 0);
        else if (ToolJoin(inside, to, argv[i]))
            CopyAny(argv[i], inside, 0);
        else
            ToolFail(argv[i], StatusNameTooLong);
    return ToolEnd();
}
