// screen.c - what is painted over the desktop when the system goes down, or stops.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum {
    Margin = 44,
    HeaderHeight = 92,
    StopGround = 0x101828,
    StopText = 0xE8ECF4,
    StopAccent = 0xFF8A4C,
};

static uint32_t OutputColor(uint32_t color)
{
    return WiDesktop.SwapOutput ? (color & 0xFF) << 16 | (color & 0xFF00) | (color >> 16 & 0xFF)
                                : color;
}

void WinShutdown(void)
{
    static const char text[] = "MetalOS is shutting down";
    if (!WiHaveDisplay)
        return;
    KeAcquireMutex(&WiMutex);
    GfxSurface *screen = &WiDesktop.Output;
    if (screen->Pixels == nullptr) // the display was taken away
        screen->Bounds = (Rect){};
    Rect r = screen->Bounds;
    GfxFill(screen, r, OutputColor(StopGround));
    int32_t width = GfxMeasureText(&GfxFontLarge, text, sizeof(text) - 1);
    GfxDrawText(screen, &GfxFontLarge, (GfxWidth(r) - width) / 2, GfxHeight(r) / 2, width, text,
                sizeof(text) - 1, OutputColor(StopText), 256);
    WiUpdateDisplay(&r, GfxIsEmpty(r) ? 0 : 1);
    screen->Bounds = (Rect){}; // nothing is composed any more
    WiDesktop.PointerShown = false;
    WiTellPointer();
    KeReleaseMutex(&WiMutex);
}

// ---- stops

static struct {
    bool Begun;
    GfxSurface Screen;
    int32_t X, Y;
    uint32_t Color; // of the line
} Stop;

static void BeginStop(void)
{
    static const char title[] = "MetalOS has stopped",
                      hint[] = "What follows was written to the serial port, too.";
    GfxSurface *screen = &Stop.Screen;
    Stop.Begun = true;
    *screen = WiDesktop.Output;
    if (GfxIsEmpty(screen->Bounds))
        return;
    GfxFill(screen, screen->Bounds, OutputColor(StopGround));
    GfxFill(screen, (Rect){0, 0, screen->Bounds.Right, 4}, OutputColor(StopAccent));
    GfxDrawText(screen, &GfxFontLarge, Margin, 46, 2000, title, sizeof(title) - 1,
                OutputColor(0xFFFFFF), 256);
    GfxDrawText(screen, &GfxFontText, Margin, 68, 2000, hint, sizeof(hint) - 1,
                OutputColor(0x8F9BB3), 256);
    Stop.X = Margin;
    Stop.Y = HeaderHeight;
}

static void PutCell(uint32_t c)
{
    const GfxCellFont *font = &GfxFontCell;
    Rect bounds = Stop.Screen.Bounds;
    if (c < ' ' || c > '~' || Stop.X + font->Width > bounds.Right ||
        Stop.Y + font->Height > bounds.Bottom)
        return;
    const uint8_t *coverage =
        font->Bitmaps + (size_t)(c - ' ') * (size_t)(font->Width * font->Height);
    for (int32_t y = 0; y < font->Height; y++)
        for (int32_t x = 0; x < font->Width; x++, coverage++)
            *GfxPixel(&Stop.Screen, Stop.X + x, Stop.Y + y) =
                OutputColor(GfxMix(StopGround, Stop.Color, *coverage + (*coverage >> 7)));
}

// Lines that are too long go on in the next; what does not fit on the screen is not shown.
void WinPanicText(const char *text, size_t length)
{
    if (WiDesktop.Output.Pixels == nullptr)
        return;
    if (!Stop.Begun)
        BeginStop();
    for (size_t i = 0; i < length; i++) {
        if (Stop.X == Margin) // the lines that matter begin with stars
            Stop.Color = text[i] == '*' ? StopAccent : StopText;
        if (text[i] == '\n' || Stop.X + GfxFontCell.Width > Stop.Screen.Bounds.Right - Margin / 2) {
            Stop.X = Margin;
            Stop.Y += GfxFontCell.Height;
        }
        if ((uint8_t)text[i] < ' ')
            continue;
        PutCell((uint8_t)text[i]);
        Stop.X += GfxFontCell.Width;
    }
    WiUpdateStoppedDisplay();
}
