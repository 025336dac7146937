// date.c - date and time.
// SPDX-License-Identifier: MIT
#include "tool.h"

#include <time.h>

int main(int argc, char **argv)
{
    ToolStart(argc, argv,
              "date [+FORMAT]\n"
              "    writes the date and time (UTC), as strftime has it: +%Y-%m-%d\n");
    char text[512] = "";
    time_t now = time(nullptr);
    struct tm when;
    const char *format = argc > 1 && argv[1][0] == '+' ? argv[1] + 1 : "%a %e %b %Y %H:%M:%S UTC";
    if (argc > 1 && argv[1][0] != '+')
        ToolMisuse("a format begins with +");
    if (gmtime_r(&now, &when) != nullptr)
        strftime(text, sizeof text, format, &when);
    puts(text);
    return ToolEnd();
}
