// wc.c - counts lines, words and bytes.
// SPDX-License-Identifier: MIT
#include "tool.h"

enum { Lines = 1, Words = 2, Bytes = 4 };

static unsigned options;
static unsigned long long total[3];
static int files;

static void Show(const unsigned long long counts[3], const char *name)
{
    for (int i = 0; i < 3; i++)
        if (options & (1u << i))
            printf("%8llu", counts[i]);
    printf("%s%s\n", name == nullptr ? "" : "  ", name == nullptr ? "" : name);
}

static void Count(const char *name, FILE *file)
{
    unsigned long long counts[3] = {};
    bool inside = false;
    for (int c; (c = getc(file)) != EOF;) {
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        counts[0] += c == '\n';
        counts[1] += !blank && !inside;
        counts[2]++;
        inside = !blank;
    }
    Show(counts, name);
    for (int i = 0; i < 3; i++)
        total[i] += counts[i];
    files++;
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "wc [-l] [-w] [-c] [FILE...]\n"
              "    counts lines, words and bytes; -l -w -c: only those\n");
    int count = ToolOptions(argc, argv, "lwc", &options);
    options = options == 0 ? Lines | Words | Bytes : options;
    ToolForEachInput(count, argv + 1, Count);
    if (files > 1)
        Show(total, "in all");
    return ToolEnd();
}
