// fire.c - the fire of the PlayStation's DOOM title screen.
//
// The lowest row is fuel, at full heat. Every step each cell hands its heat to the row above, a
// little to the left or right of itself and sometimes one degree cooler; nothing else is needed for
// flames. A palette turns heat into colors. Going out, the fuel loses heat a few degrees a step.
// SPDX-License-Identifier: MIT
#include "fire.h"

static uint32_t NextRandom(Fire *fire)
{
    uint32_t x = fire->Random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return fire->Random = x;
}

// Black, dark red, orange, yellow, white: fixed points, straight lines between them.
static void MakePalette(uint32_t palette[FireHottest + 1])
{
    static const struct {
        int32_t Heat, R, G, B;
    } points[] = {{0, 7, 7, 7},       {4, 71, 15, 7},     {10, 159, 47, 7},    {16, 215, 95, 7},
                  {22, 207, 127, 15}, {28, 191, 159, 31}, {33, 207, 207, 111}, {36, 255, 255, 255}};
    for (int32_t heat = 0, i = 0; heat <= FireHottest; heat++) {
        if (heat > points[i + 1].Heat)
            i++;
        int32_t at = heat - points[i].Heat, range = points[i + 1].Heat - points[i].Heat;
        uint32_t r = (uint32_t)(points[i].R + (points[i + 1].R - points[i].R) * at / range);
        uint32_t g = (uint32_t)(points[i].G + (points[i + 1].G - points[i].G) * at / range);
        uint32_t b = (uint32_t)(points[i].B + (points[i + 1].B - points[i].B) * at / range);
        palette[heat] = r << 16 | g << 8 | b;
    }
}

void FireStart(Fire *fire, uint32_t seed)
{
    *fire = (Fire){.Random = seed | 1};
    MakePalette(fire->Palette);
    FireLight(fire, 1);
}

void FireLight(Fire *fire, uint32_t lit)
{
    fire->Lit = lit;
    for (size_t x = 0; x < FireWidth && lit; x++)
        fire->Heat[FireHeight - 1][x] = FireHottest;
}

static void CoolFuel(Fire *fire)
{
    uint8_t *fuel = fire->Heat[FireHeight - 1];
    for (size_t x = 0; x < FireWidth; x++) {
        uint32_t loss = NextRandom(fire) & 3;
        fuel[x] = (uint8_t)(fuel[x] > loss ? fuel[x] - loss : 0);
    }
}

void FireStep(Fire *fire)
{
    if (!fire->Lit)
        CoolFuel(fire);
    uint32_t bits = 0, left = 0;
    for (size_t y = 1; y < FireHeight; y++) {
        const uint8_t *from = fire->Heat[y];
        uint8_t *to = fire->Heat[y - 1];
        for (int32_t x = 0; x < FireWidth; x++) {
            if (left == 0) {
                bits = NextRandom(fire);
                left = 16;
            }
            uint32_t chance = bits & 3;
            bits >>= 2;
            left--;
            int32_t at = x + 1 - (int32_t)chance + fire->Wind; // drifts by -2..1 plus the wind
            if (at < 0)
                at += FireWidth;
            else if (at >= FireWidth)
                at -= FireWidth;
            uint32_t heat = from[x];
            to[at] = (uint8_t)(heat - (heat != 0 ? chance & 1 : 0));
        }
    }
}

void FireDraw(const Fire *fire, uint32_t *pixels, size_t stride)
{
    static_assert(FireScale == 2, "two pixels are written at once");
    for (size_t y = 0; y < FireHeight; y++) {
        uint32_t *upper = pixels + y * FireScale * stride, *lower = upper + stride;
        for (size_t x = 0; x < FireWidth; x++) {
            uint32_t color = fire->Palette[fire->Heat[y][x]];
            upper[2 * x] = upper[2 * x + 1] = lower[2 * x] = lower[2 * x + 1] = color;
        }
    }
}
