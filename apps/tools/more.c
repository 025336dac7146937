// more.c - shows text a page at a time.
//
// Keys are read from the error stream, which is the console even when the input is a pipe. Where
// there is none, or the output is no terminal, everything is written at once.
// SPDX-License-Identifier: MIT
#include "tool.h"

static Handle console;
static ConsoleInfo screen;
static size_t rowsLeft;
static bool done;

static void Wait(void)
{
    char key;
    size_t length;
    fputs("\x1B[7m more: blank, Enter, q \x1B[0m", stdout);
    fflush(stdout);
    do {
        if (ReadFile(console, &key, 1, &length) != StatusSuccess)
            key = 'q';
    } while (key != ' ' && key != '\r' && key != '\n' && key != 'q' && key != 3);
    fputs("\r\x1B[K", stdout);
    done = key == 'q' || key == 3;
    rowsLeft = key == ' ' ? screen.Rows - 1 : 1;
}

static size_t CountRows(const char *line)
{
    size_t columns = 0;
    for (; *line && *line != '\n'; line++)
        columns += *line == '\t' ? 8 - columns % 8 : ((unsigned char)*line & 0xC0) != 0x80;
    return columns == 0 ? 1 : (columns + screen.Columns - 1) / screen.Columns;
}

static void Show(const char *name, FILE *file)
{
    char *line = nullptr;
    size_t capacity = 0;
    while (!done && getline(&line, &capacity, file) >= 0) {
        size_t rows = CountRows(line);
        if (console != InvalidHandle && rows > rowsLeft)
            Wait();
        rowsLeft -= rows < rowsLeft ? rows : rowsLeft;
        if (!done)
            fputs(line, stdout);
    }
    free(line);
}

int main(int argc, char **argv)
{
    unsigned options;
    ConsoleInfo info;
    ToolStart(argc, argv,
              "more [FILE...]\n"
              "    shows text a page at a time: blank - a page, Enter - a line, q - enough\n");
    int count = ToolOptions(argc, argv, "", &options);
    Handle output = GetStandardHandle(StandardOutput), keys = GetStandardHandle(StandardError);
    if (output != InvalidHandle && GetConsoleInfo(output, &info) == StatusSuccess &&
        keys != InvalidHandle && GetConsoleInfo(keys, &screen) == StatusSuccess &&
        SetConsoleMode(keys, ConsoleNewLine) == StatusSuccess)
        console = keys;
    rowsLeft = screen.Rows > 1 ? screen.Rows - 1 : 1;
    ToolForEachInput(count, argv + 1, Show);
    if (console != InvalidHandle)
        (void)SetConsoleMode(console, info.Mode);
    return ToolEnd();
}
