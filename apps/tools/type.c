// type.c - writes files, one after another.
// SPDX-License-Identifier: MIT
#include "tool.h"

static Handle output;
static bool broken;

static void WriteOut(const char *name, Handle file)
{
    static char buffer[64 * 1024];
    size_t length, moved;
    Status status;
    while (!broken && (status = ReadFile(file, buffer, sizeof buffer, &length)) == StatusSuccess &&
           length) {
        status = WriteFile(output, buffer, length, &moved);
        broken = status != StatusSuccess;
        if (broken && status != StatusPipeBroken)
            ToolFail("output", status);
    }
    if (!broken && status != StatusSuccess && status != StatusEndOfFile)
        ToolFail(name, status);
}

int main(int argc, char **argv)
{
    unsigned options;
    ToolStart(argc, argv, "type [FILE...]\n    writes files, or its input\n");
    int count = ToolOptions(argc, argv, "", &options);
    Handle input = GetStandardHandle(StandardInput);
    output = GetStandardHandle(StandardOutput);
    if (output == InvalidHandle)
        return 0;
    if (count == 0 && input != InvalidHandle)
        WriteOut("input", input);
    for (int i = 1; i <= count; i++) {
        Handle file;
        Status status = ToolIsFolder(argv[i])
                            ? StatusIsADirectory
                            : CreateFile(argv[i], FileRead, FileOpenExisting, &file);
        if (status != StatusSuccess) {
            ToolFail(argv[i], status);
            continue;
        }
        WriteOut(argv[i], file);
        (void)CloseHandle(file);
    }
    return ToolEnd();
}
