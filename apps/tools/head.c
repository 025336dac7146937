// head.c - the first lines; called tail, the last.
// SPDX-License-Identifier: MIT
#include "tool.h"

static size_t wanted = 10;
static bool last;

static void ShowFirst(FILE *file)
{
    size_t lines = 0;
    for (int c; lines < wanted && (c = getc(file)) != EOF; lines += c == '\n')
        putchar(c);
}

static void ShowLast(FILE *file)
{
    char **ring = calloc(wanted, sizeof(*ring)), *line = nullptr;
    size_t capacity = 0, count = 0;
    if (ring == nullptr) {
        ToolFail("the lines", StatusNoMemory);
        return;
    }
    while (getline(&line, &capacity, file) >= 0) {
        free(ring[count % wanted]);
        ring[count++ % wanted] = line;
        line = nullptr;
        capacity = 0;
    }
    for (size_t i = count < wanted ? 0 : count - wanted; i < count; i++)
        fputs(ring[i % wanted], stdout);
    for (size_t i = 0; i < wanted; i++)
        free(ring[i]);
    free(ring);
    free(line);
}

static void Show(const char *name, FILE *file)
{
    if (last)
        ShowLast(file);
    else
        ShowFirst(file);
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "head [-n COUNT] [FILE...] | tail [-n COUNT] [FILE...]\n"
              "    writes the first or the last 10 lines, or COUNT\n");
    int first = 1;
    last = strstr(argv[0], "tail") != nullptr;
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        wanted = strtoul(argv[2], nullptr, 10);
        first = 3;
    } else if (argc > 1 && argv[1][0] == '-' && argv[1][1] >= '0' && argv[1][1] <= '9') {
        wanted = strtoul(argv[1] + 1, nullptr, 10);
        first = 2;
    }
    if (wanted == 0 || wanted > 1000000)
        ToolMisuse("COUNT is 1 to 1000000");
    ToolForEachInput(argc - first, argv + first, Show);
    return ToolEnd();
}
