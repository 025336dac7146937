// shutdown.c - powers off, or restarts when asked to or when called reboot.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    unsigned restart;
    ToolStart(argc, argv,
              "shutdown [-r] | reboot\n"
              "    ends all programs and powers off; -r, reboot: starts the machine anew\n");
    if (ToolOptions(argc, argv, "r", &restart) != 0)
        ToolMisuse("nothing more is needed");
    bool reboot = restart || strstr(argv[0], "reboot") != nullptr;
    ToolFail("this machine", ShutdownSystem(reboot ? ShutdownRestart : ShutdownPowerOff, 0));
    return ToolEnd();
}
