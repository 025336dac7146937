// mkdir.c - makes folders, with those on the way to them.
// SPDX-License-Identifier: MIT
#include "tool.h"

static Status MakeAll(const char *path)
{
    char part[MaximumPath];
    Status status = StatusSuccess;
    for (size_t i = 1; path[i] && status == StatusSuccess; i++)
        if (path[i] == '/' && i < sizeof part) {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            if (!ToolIsFolder(part))
                status = CreateDirectory(part);
        }
    return status == StatusSuccess ? CreateDirectory(path) : status;
}

int main(int argc, char **argv)
{
    unsigned options;
    ToolStart(argc, argv, "mkdir [-p] FOLDER...\n    makes folders; -p: also those on the way\n");
    int count = ToolOptions(argc, argv, "p", &options);
    if (count == 0)
        ToolMisuse("which?");
    for (int i = 1; i <= count; i++) {
        Status status = options ? MakeAll(argv[i]) : CreateDirectory(argv[i]);
        bool there = status == StatusAlreadyExists && options && ToolIsFolder(argv[i]);
        if (status != StatusSuccess && !there)
            ToolFail(argv[i], status);
    }
    return ToolEnd();
}
