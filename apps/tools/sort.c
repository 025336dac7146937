// sort.c - sorts lines.
// SPDX-License-Identifier: MIT
#include "tool.h"

enum { Reverse = 1, Numeric = 2, Unique = 4 };

static unsigned options;
static char **lines;
static size_t lineCount;

static int Compare(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int order = 0;
    if (options & Numeric) {
        double m = strtod(x, nullptr), n = strtod(y, nullptr);
        order = (m > n) - (m < n);
    }
    order = order == 0 ? strcmp(x, y) : order;
    return options & Reverse ? -order : order;
}

static void Take(const char *name, FILE *file)
{
    char *line = nullptr;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, file)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        char **grown = lineCount != 0 && (lineCount & (lineCount - 1)) != 0
                           ? lines
                           : realloc(lines, (lineCount == 0 ? 1 : lineCount * 2) * sizeof(*grown));
        if (grown == nullptr) {
            ToolFail("the lines", StatusNoMemory);
            exit(ToolEnd());
        }
        lines = grown;
        lines[lineCount++] = line;
        line = nullptr;
        capacity = 0;
    }
    free(line);
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "sort [-r] [-n] [-u] [FILE...]\n"
              "    sorts lines; -r: backwards, -n: by numbers, -u: equal ones once\n");
    int count = ToolOptions(argc, argv, "rnu", &options);
    ToolForEachInput(count, argv + 1, Take);
    if (lineCount > 0)
        qsort(lines, lineCount, sizeof(*lines), Compare);
    for (size_t i = 0; i < lineCount; i++)
        if (i == 0 || !(options & Unique) || strcmp(lines[i], lines[i - 1]) != 0)
            puts(lines[i]);
    return ToolEnd();
}
