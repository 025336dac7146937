// fire.h - the fire itself: a grid of heat that rises, cools and drifts. Pure code.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    FireWidth = 208,
    FireHeight = 112,
    FireHottest = 36,  // heat goes from 0, cold, to this
    FireScale = 2,     // pixels per cell
    FireStrongest = 4, // wind, to either side
};

typedef struct Fire {
    uint8_t Heat[FireHeight][FireWidth]; // row 0 is the top, the last one the fuel
    uint32_t Random;                     // not 0
    int32_t Wind; // -FireStrongest..FireStrongest cells a step, positive to the right
    uint32_t Palette[FireHottest + 1]; // 0x00RRGGBB
    uint32_t Lit;                      // 1: the fuel burns
} Fire;

void FireStart(Fire *fire, uint32_t seed);
// Lights the fuel or lets it go out.
void FireLight(Fire *fire, uint32_t lit);
void FireStep(Fire *fire);
// Paints the grid at FireScale into pixels, stride pixels a row.
void FireDraw(const Fire *fire, uint32_t *pixels, size_t stride);
