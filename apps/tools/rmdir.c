// rmdir.c - removes empty folders.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    unsigned options;
    ToolStart(argc, argv, "rmdir FOLDER...\n    removes empty folders\n");
    int count = ToolOptions(argc, argv, "", &options);
    if (count == 0)
        ToolMisuse("which?");
    for (int i = 1; i <= count; i++) {
        Status status = RemoveDirectory(argv[i]);
        if (status != StatusSuccess)
            ToolFail(argv[i], status);
    }
    return ToolEnd();
}
