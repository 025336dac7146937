// find.c - the paths of files and folders below others, whose names fit a pattern.
// SPDX-License-Identifier: MIT
#include "tool.h"

#include <fnmatch.h>

enum { DeepestFolder = 64 };

static const char *pattern = "*";
static bool onlyFiles, onlyFolders;

static void Consider(const char *path, bool folder)
{
    const char *name = strrchr(path, '/');
    name = name == nullptr || name[1] == '\0' ? path : name + 1;
    if (!(folder ? onlyFiles : onlyFolders) && fnmatch(pattern, name, FNM_CASEFOLD) == 0)
        puts(path);
}

static void Walk(const char *path, unsigned depth)
{
    DirectoryEntry entry;
    char below[MaximumPath];
    Handle directory;
    Status status = depth < DeepestFolder ? OpenDirectory(path, &directory) : StatusLimitReached;
    if (status != StatusSuccess) {
        ToolFail(path, status);
        return;
    }
    while ((status = ReadDirectory(directory, &entry)) == StatusSuccess) {
        bool folder = (entry.Info.Attributes & FileAttributeDirectory) != 0;
        if (!ToolJoin(below, path, entry.Name)) {
            ToolFail(path, StatusNameTooLong);
            continue;
        }
        Consider(below, folder);
        if (folder)
            Walk(below, depth + 1);
    }
    if (status != StatusNoMoreEntries)
        ToolFail(path, status);
    (void)CloseHandle(directory);
}

// Takes -name PATTERN and -type f or d from behind the paths; how many paths there are.
static int TakeConditions(int argc, char **argv)
{
    int paths = 1;
    while (paths < argc && argv[paths][0] != '-')
        paths++;
    for (int i = paths; i < argc; i += 2) {
        if (i + 1 == argc)
            ToolMisuse("something is missing at the end");
        if (strcmp(argv[i], "-name") == 0)
            pattern = argv[i + 1];
        else if (strcmp(argv[i], "-type") == 0 && strcmp(argv[i + 1], "f") == 0)
            onlyFiles = true;
        else if (strcmp(argv[i], "-type") == 0 && strcmp(argv[i + 1], "d") == 0)
            onlyFolders = true;
        else
            ToolMisuse("-name PATTERN, -type f or -type d stand behind the folders");
    }
    return paths - 1;
}

int main(int argc, char **argv)
{
    FileInfo info;
    ToolStart(argc, argv,
              "find [PATH...] [-name PATTERN] [-type f | d]\n"
              "    writes the paths of everything below folders: files, folders, or both\n");
    int count = TakeConditions(argc, argv);
    static char here[] = ".", *none[] = {here};
    char **paths = count == 0 ? none : argv + 1;
    for (int i = 0; i < (count == 0 ? 1 : count); i++) {
        Status status = GetPathInfo(paths[i], &info);
        if (status != StatusSuccess) {
            ToolFail(paths[i], status);
            continue;
        }
        bool folder = (info.Attributes & FileAttributeDirectory) != 0;
        Consider(paths[i], folder);
        if (folder)
            Walk(paths[i], 1);
    }
    return ToolEnd();
}
