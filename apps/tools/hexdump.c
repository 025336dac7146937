// hexdump.c - bytes as numbers and characters.
// SPDX-License-Identifier: MIT
#include "tool.h"

enum { RowSize = 16 };

static void ShowRow(uint64_t at, const unsigned char *row, size_t count)
{
    printf("%08llx ", (unsigned long long)at);
    for (size_t i = 0; i < RowSize; i++) {
        fputs(i == RowSize / 2 ? "  " : " ", stdout);
        if (i < count)
            printf("%02x", row[i]);
        else
            fputs("  ", stdout);
    }
    fputs("  |", stdout);
    for (size_t i = 0; i < count; i++)
        putchar(row[i] >= ' ' && row[i] < 0x7F ? row[i] : '.');
    fputs("|\n", stdout);
}

// Rows that are the same as the one before are one "*".
static void Show(const char *name, FILE *file)
{
    unsigned char row[RowSize], before[RowSize];
    uint64_t at = 0;
    bool same = false;
    size_t count;
    while ((count = fread(row, 1, sizeof row, file)) > 0) {
        bool again = at > 0 && count == RowSize && memcmp(row, before, sizeof row) == 0;
        if (!again)
            ShowRow(at, row, count);
        else if (!same)
            puts("*");
        same = again;
        at += count;
        memcpy(before, row, sizeof row);
    }
    printf("%08llx\n", (unsigned long long)at);
}

int main(int argc, char **argv)
{
    unsigned options;
    ToolStart(
        argc, argv,
        "hexdump [FILE...]\n"
        "    writes bytes as numbers and characters; '*' stands for rows that are the same\n");
    int count = ToolOptions(argc, argv, "", &options);
    ToolForEachInput(count, argv + 1, Show);
    return ToolEnd();
}
