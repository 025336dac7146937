// dmesg.c - the kernel's log.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    static char text[65536];
    size_t length;
    ToolStart(argc, argv, "dmesg\n    writes the newest part of the kernel's log\n");
    Status status = ReadSystemLog(text, sizeof text, &length);
    if (status != StatusSuccess)
        ToolFail("the log", status);
    else
        fwrite(text, 1, length, stdout);
    return ToolEnd();
}
