// sleep.c - waits.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    ToolStart(argc, argv, "sleep SECONDS\n    waits; 0.5 is half a second\n");
    char *end = nullptr;
    double seconds = argc > 1 ? strtod(argv[1], &end) : -1;
    if (argc != 2 || *end != '\0' || !(seconds >= 0 && seconds < 4e6))
        ToolMisuse("how long?");
    Sleep((uint32_t)(seconds * 1000));
    return 0;
}
