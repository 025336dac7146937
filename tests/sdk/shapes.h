// shapes.h - what shapes.dll has for others.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#ifdef BUILD_SHAPES
#define SHAPES __declspec(dllexport)
#else
#define SHAPES __declspec(dllimport)
#endif

SHAPES extern int ShapesDrawn;
SHAPES void DrawCircle(uint32_t *pixels, int stride, int centerX, int centerY, int radius,
                       uint32_t color);
