// fuzz_terminal.c - a terminal shows whatever programs write: bytes, sizes, scrolling and
// selections in any order. A byte 0xFF begins a step of the user's; the rest is output.
// SPDX-License-Identifier: MIT
#include "../../apps/terminal/paint.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void Reply(const char *bytes, size_t length, void *context) {}

static void Step(Screen *screen, uint8_t what, uint8_t a, uint8_t b)
{
    size_t length;
    switch (what % 6) {
    case 0:
        ScreenResize(screen, 1 + a % 120, 1 + b % 50);
        break;
    case 1:
        ScreenScroll(screen, (int8_t)a);
        break;
    case 2:
        ScreenSelect(screen, a, b, (SelectBy)(a % 3));
        break;
    case 3:
        ScreenExtend(screen, a, b);
        break;
    case 4:
        free(ScreenCopy(screen, &length));
        break;
    default:
        vterm_mouse_move(screen->Terminal, a, b, VTERM_MOD_NONE);
        vterm_mouse_button(screen->Terminal, a % 6, b & 1, VTERM_MOD_NONE);
    }
}

static void Paint(Screen *screen)
{
    uint32_t width, height;
    Rect changed;
    PaintMeasure(screen->Columns, screen->Rows, &width, &height);
    uint32_t *memory = malloc((size_t)width * height * sizeof(uint32_t));
    WindowBuffer buffer = {memory, width, height, width};
    if (memory != NULL)
        PaintScreen(screen, &buffer, true, &changed);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Screen screen;
    if (!ScreenOpen(&screen, 40, 10, Reply, NULL))
        return 0;
    for (size_t i = 0; i < size;) {
        size_t start = i;
        while (i < size && data[i] != 0xFF)
            i++;
        ScreenWrite(&screen, (const char *)data + start, i - start);
        if (i + 3 < size)
            Step(&screen, data[i + 1], data[i + 2], data[i + 3]);
        i += i < size ? 4 : 0;
    }
    Paint(&screen);
    ScreenClose(&screen);
    return 0;
}
