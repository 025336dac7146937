// ui.h - a window with text and buttons, for programs of the system, in the desktop's looks.
// SPDX-License-Identifier: MIT
#pragma once

#include "gfx/gfx.h"

// The desktop's colors.
enum {
    UiAccent = 0xFF8A4C,
    UiBright = 0xF3F5FA,
    UiText = 0xC3CAD9,
    UiMuted = 0x99A3B8,
    UiCard = 0x171C2C,
    UiRaised = 0x20273A,
    UiLine = 0x2E3650,
    UiAlarm = 0xE5484D,
};

typedef struct UiWindow {
    Handle Handle;
    GfxSurface Surface; // client coordinates
} UiWindow;

// A framed window whose client area is width x height pixels, where the system places it; flags are
// further ones of AllocWindow. The caller closes Handle. Errors as AllocWindow's.
Status UiOpenWindow(UiWindow *window, const char *title, uint32_t width, uint32_t height,
                    uint32_t flags);
// A surface of another size, to be drawn and painted anew. Errors as ResizeWindow's: it is as
// before.
Status UiResizeWindow(UiWindow *window, uint32_t width, uint32_t height);

typedef enum UiAlign { UiLeft, UiRight } UiAlign;
// One line of text inside area, vertically centred, cut with an ellipsis when it is too long.
void UiDrawText(const UiWindow *window, const GfxFont *font, Rect area, UiAlign align,
                uint32_t color, const char *format, ...) __attribute__((format(printf, 6, 7)));

typedef struct UiButton {
    Rect Area;
    const char *Label;
    bool Enabled;
    bool Hover, Held; // kept by UiButtonMessage
} UiButton;

void UiDrawButton(const UiWindow *window, const UiButton *button);
// Has the button see a message. *changed is set when it has to be drawn anew. True: it was clicked.
bool UiButtonMessage(UiButton *button, const Message *message, bool *changed);
