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
    ToolStart(argc, argv, "type [FILE...]\n    writes files, or its input (-)\n");
    int count = ToolOptions(argc, argv, "", &options);
    Handle input = GetStandardHandle(StandardInput);
    output = GetStandardHandle(StandardOutput);
    if (output == InvalidHandle)
        return 0;
    static char standard[] = "-", *none[] = {standard};
    char **names = count == 0 ? none : argv + 1;
    for (int i = 0; i < (count == 0 ? 1 : count); i++) {
        Handle file;
        if (strcmp(names[i], "-") == 0) {
            if (input != InvalidHandle)
                WriteOut("input", input);
            continue;
        }
        Status status = ToolIsFolder(names[i])
                            ? StatusIsADirectory
                            : CreateFile(names[i], FileRead, FileOpenExisting, &file);
        if (status != StatusSuccess) {
            ToolFail(names[i], status);
            continue;
        }
        WriteOut(names[i], file);
        (void)CloseHandle(file);
    }
    return ToolEnd();
}
