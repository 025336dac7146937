// shapes.c - a library as somebody writes it for MetalOS; see stranger.c.
// SPDX-License-Identifier: MIT
#include "shapes.h"

SHAPES int ShapesDrawn;

SHAPES void DrawCircle(uint32_t *pixels, int stride, int centerX, int centerY, int radius,
                       uint32_t color)
{
    for (int y = -radius; y <= radius; y++)
        for (int x = -radius; x <= radius; x++)
            if (x * x + y * y <= radius * radius)
                pixels[(centerY + y) * stride + centerX + x] = color;
    ShapesDrawn++;
}
