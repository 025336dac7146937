// main.c - the program's entry: the options of this port, then the engine's own main.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int EngineMain(int argc, char **argv); // i_main.c's main, renamed by the build

static const char help[] =
    "doom.exe: DOOM (chocolate-doom) in a MetalOS window\n"
    "usage: doom.exe [-iwad FILE] [OPTIONS]\n"
    "  -iwad FILE          the game data; looked for here and in /doom\n"
    "  -1 -2 -3 -4         size of a pixel in the window (default 2)\n"
    "  -timedemo LUMP      play a demo as fast as possible and print its length\n"
    "  -playdemo LUMP      play a demo\n"
    "  -framehashes FILE   fixed clock; a line 'frame crc32(pixels) crc32(palette) ms' per frame\n"
    "  -nomouse -nograbmouse -nosound\n"
    "and chocolate-doom's other options. Settings and saved games are kept in /doom.\n";

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-help")) {
            fputs(help, stdout);
            return 0;
        }
        if (!strcmp(argv[i], "-framehashes"))
            PortFixedClock = true;
    }
    setenv("DOOMWADDIR", "/doom", 0);
    return EngineMain(argc, argv);
}

// The text-mode farewell screen has no place in a window.
void I_Endoom(unsigned char *screen) {}
