// pointer.c - the video adapter's pointer. Its place is that of its upper left corner, its
// picture's rows come from the top, its colours are not premultiplied - as Windows hands pointers
// to its display drivers (DXGKARG_SETPOINTERPOSITION, DXGKARG_SETPOINTERSHAPE), whose fields the
// messages repeat.
// SPDX-License-Identifier: MIT
#include "pointer.h"

#include "hvhost.h"

enum { PositionBytes = 10, ShapeBytes = 18, LastPart = 0xFF, Margin = 16384 };

void PointerMove(Pointer *pointer, const uint8_t *data, uint32_t length)
{
    int32_t place[2];

    memcpy(place, data + 2, sizeof(place));
    if (length != PositionBytes || data[0] > 1 || data[1] != 0 || abs(place[0]) > Margin ||
        abs(place[1]) > Margin) {
        StrictViolation("video-pointer", "visible %u of output %u at %d, %d, %u bytes", data[0],
                        data[1], place[0], place[1], length);
        return;
    }
    pointer->shown = data[0];
    pointer->x = place[0];
    pointer->y = place[1];
}

void PointerShape(Pointer *pointer, const uint8_t *data, uint32_t length)
{
    uint32_t word[4]; // width, height, hot spot

    memcpy(word, data + 2, sizeof(word));
    if (data[0] != LastPart || data[1] != 1 || word[0] == 0 || word[0] > POINTER_SIDE ||
        word[1] == 0 || word[1] > POINTER_SIDE || word[2] >= word[0] || word[3] >= word[1] ||
        length != ShapeBytes + word[0] * word[1] * 4) {
        StrictViolation("video-pointer", "part %u, colour %u, %ux%u, hot spot %u, %u, %u bytes",
                        data[0], data[1], word[0], word[1], word[2], word[3], length);
        return;
    }
    pointer->width = word[0];
    pointer->height = word[1];
    memcpy(pointer->pixels, data + ShapeBytes, word[0] * word[1] * 4);
}

static uint32_t *PixelAt(DisplaySurface *surface, int x, int y)
{
    return (uint32_t *)((uint8_t *)surface_data(surface) + (size_t)y * surface_stride(surface)) + x;
}

static uint32_t Blend(uint32_t below, uint32_t above)
{
    uint32_t alpha = above >> 24, result = 0;

    for (int shift = 0; shift < 24; shift += 8)
        result |= ((above >> shift & 255) * alpha + (below >> shift & 255) * (255 - alpha)) / 255
                  << shift;
    return result;
}

void PointerLift(Pointer *pointer, QemuConsole *console)
{
    DisplaySurface *surface = qemu_console_surface(console);

    if (!pointer->laid)
        return;
    pointer->laid = false;
    if (pointer->laidX + pointer->laidWidth > surface_width(surface) ||
        pointer->laidY + pointer->laidHeight > surface_height(surface))
        return; // another picture by now
    for (int y = 0; y < pointer->laidHeight; y++)
        memcpy(PixelAt(surface, pointer->laidX, pointer->laidY + y),
               pointer->under + y * POINTER_SIDE, pointer->laidWidth * 4);
    dpy_gfx_update(console, pointer->laidX, pointer->laidY, pointer->laidWidth,
                   pointer->laidHeight);
}

void PointerLay(Pointer *pointer, QemuConsole *console)
{
    DisplaySurface *surface = qemu_console_surface(console);
    int left = MAX(pointer->x, 0), top = MAX(pointer->y, 0);
    int right = MIN(pointer->x + (int)pointer->width, surface_width(surface));
    int bottom = MIN(pointer->y + (int)pointer->height, surface_height(surface));

    if (!pointer->shown || pointer->laid || left >= right || top >= bottom)
        return;
    for (int y = top; y < bottom; y++) {
        uint32_t *row = PixelAt(surface, left, y);
        const uint32_t *from =
            pointer->pixels + (y - pointer->y) * pointer->width + (left - pointer->x);
        memcpy(pointer->under + (y - top) * POINTER_SIDE, row, (right - left) * 4);
        for (int x = 0; x < right - left; x++)
            row[x] = Blend(row[x], from[x]);
    }
    pointer->laid = true;
    pointer->laidX = left;
    pointer->laidY = top;
    pointer->laidWidth = right - left;
    pointer->laidHeight = bottom - top;
    dpy_gfx_update(console, left, top, right - left, bottom - top);
}
