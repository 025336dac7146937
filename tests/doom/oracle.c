// oracle.c - makes the reference for doom.exe: loaded into Debian's own chocolate-doom with
// LD_PRELOAD, it replaces the clock by one that only SDL_Delay moves and writes, for every frame,
//     frame crc32(320x200 palette indices) crc32(palette as 768 bytes r,g,b) milliseconds
// to the file named by METALOS_FRAME_HASHES. The engine copies its picture with SDL_LowerBlit once
// a frame; that is where this looks.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <SDL2/SDL.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { Width = 320, Height = 200 };

static Uint32 now;

Uint32 SDL_GetTicks(void)
{
    return now;
}
Uint64 SDL_GetTicks64(void)
{
    return now;
}
void SDL_Delay(Uint32 milliseconds)
{
    now += milliseconds ? milliseconds : 1;
}

static uint32_t Crc32(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (; size; size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static void WriteFrame(const SDL_Surface *surface)
{
    static FILE *out;
    static unsigned frame;
    const char *name = getenv("METALOS_FRAME_HASHES");
    if (!out && !(out = fopen(name ? name : "/dev/stdout", "w"))) {
        perror(name);
        exit(1);
    }
    uint32_t pixels = 0, palette = 0;
    for (int y = 0; y < Height; y++)
        pixels = Crc32(pixels, (const uint8_t *)surface->pixels + y * surface->pitch, Width);
    for (int i = 0; i < 256; i++) {
        const SDL_Color *colour = &surface->format->palette->colors[i];
        palette = Crc32(palette, (const uint8_t[]){colour->r, colour->g, colour->b}, 3);
    }
    fprintf(out, "%u %08x %08x %u\n", frame++, pixels, palette, now);
}

int SDL_LowerBlit(SDL_Surface *from, SDL_Rect *fromRect, SDL_Surface *to, SDL_Rect *toRect)
{
    static int (*real)(SDL_Surface *, SDL_Rect *, SDL_Surface *, SDL_Rect *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "SDL_LowerBlit");
    if (from->format->BitsPerPixel == 8 && from->w == Width && from->h == Height)
        WriteFrame(from);
    return real(from, fromRect, to, toRect);
}
