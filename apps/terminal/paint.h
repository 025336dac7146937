// paint.h - how a screen looks: cells drawn into the pixels of a window. Pure code.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "screen.h"

enum { Padding = 8 }; // pixels around the text

// The client area that shows that many cells, and how many cells fit one.
void PaintMeasure(uint32_t columns, uint32_t rows, uint32_t *width, uint32_t *height);
void PaintFit(uint32_t width, uint32_t height, uint32_t *columns, uint32_t *rows);
// The cell at a pixel; beyond an edge the nearest.
void PaintFindCell(const Screen *screen, int32_t x, int32_t y, uint32_t *column, uint32_t *row);
// Draws what is dirty. False: nothing was; otherwise *changed is where.
bool PaintScreen(Screen *screen, const WindowBuffer *to, bool focused, Rect *changed);
