// grep.c - the lines that hold a text, or fit a regular expression.
// SPDX-License-Identifier: MIT
#include "tool.h"

#include <regex.h>

enum { IgnoreCase = 1, Invert = 2, Numbers = 4, CountOnly = 8 };

static unsigned options;
static regex_t pattern;
static bool named, found;

static void Search(const char *name, FILE *file)
{
    char *line = nullptr;
    size_t capacity = 0, number = 0, hits = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, file)) >= 0) {
        number++;
        if (length > 0 && line[length - 1] == '\n')
            line[--length] = '\0';
        bool fits = regexec(&pattern, line, 0, nullptr, 0) == 0;
        if (fits == !!(options & Invert))
            continue;
        hits++;
        if (options & CountOnly)
            continue;
        if (named)
            printf("%s:", name);
        if (options & Numbers)
            printf("%zu:", number);
        puts(line);
    }
    if ((options & CountOnly) && named)
        printf("%s:%zu\n", name, hits);
    else if (options & CountOnly)
        printf("%zu\n", hits);
    found |= hits > 0;
    free(line);
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "grep [-i] [-v] [-n] [-c] PATTERN [FILE...]\n"
              "    writes the lines that fit a regular expression; -i: small and capital\n"
              "    letters are the same, -v: those that do not fit, -n: with numbers,\n"
              "    -c: only how many\n");
    int count = ToolOptions(argc, argv, "ivnc", &options);
    if (count == 0)
        ToolMisuse("which text?");
    int flags = REG_EXTENDED | REG_NOSUB | (options & IgnoreCase ? REG_ICASE : 0);
    if (regcomp(&pattern, argv[1], flags) != 0)
        ToolMisuse("the pattern is not a regular expression");
    named = count > 2;
    ToolForEachInput(count - 1, argv + 2, Search);
    int code = ToolEnd();
    return code != 0 ? 2 : !found;
}
