// framehash.c - one line per frame that identifies what is on the screen, for comparison with
// another build of the engine (tests/system/test_doom.py).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "port.h"

#include "SDL.h"
#include "i_system.h"
#include "m_argv.h"

// CRC-32 of IEEE 802.3, a byte at a time.
static uint32_t Crc32(const unsigned char *data, size_t size)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++)
                value = value & 1 ? value >> 1 ^ 0xEDB88320u : value >> 1;
            table[i] = value;
        }
    uint32_t crc = ~0u;
    while (size--)
        crc = crc >> 8 ^ table[(crc ^ *data++) & 0xFF];
    return ~crc;
}

void PortHashFrame(const unsigned char *pixels, size_t size, const unsigned char palette[768])
{
    static FILE *out;
    static unsigned frame;
    if (!PortFixedClock)
        return;
    if (!out) {
        int i = M_CheckParmWithArgs("-framehashes", 1);
        if (!i)
            I_Error("-framehashes needs the name of a file to write");
        out = fopen(myargv[i + 1], "w");
        if (!out)
            I_Error("-framehashes: cannot write %s", myargv[i + 1]);
    }
    if (fprintf(out, "%u %08x %08x %u\n", frame++, Crc32(pixels, size), Crc32(palette, 768),
                SDL_GetTicks()) < 0)
        I_Error("-framehashes: writing failed, is the disk full?");
}
