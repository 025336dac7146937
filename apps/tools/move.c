// move.c - moves and renames.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    char inside[MaximumPath];
    unsigned options;
    ToolStart(argc, argv,
              "move FROM TO | move FROM... FOLDER\n    moves or renames files and folders\n");
    int count = ToolOptions(argc, argv, "", &options);
    if (count < 2)
        ToolMisuse("what, and where to?");
    const char *to = argv[count];
    bool intoFolder = ToolIsFolder(to);
    if (count > 2 && !intoFolder)
        ToolMisuse("several files need a folder that exists");
    for (int i = 1; i < count; i++) {
        Status status = StatusNameTooLong;
        if (!intoFolder)
            status = MoveFile(argv[i], to);
        else if (ToolJoin(inside, to, argv[i]))
            status = MoveFile(argv[i], inside);
        if (status != StatusSuccess)
            ToolFail(argv[i], status);
    }
    return ToolEnd();
}
