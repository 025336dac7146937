// text.c - UTF-8 text in the generated fonts: measured, cut to a width, drawn at quarter-pixel
// positions.
// SPDX-License-Identifier: MIT
#include "gfx/gfx.h"

enum { Phases = 4, FirstAscii = 32, AsciiCount = 95, Replacement = 0xFFFD, Ellipsis = 0x2026 };

// The index of a code point's glyphs; the replacement character's when the font has none.
static size_t FindGlyph(const GfxFont *font, uint32_t point)
{
    if (point >= FirstAscii && point < FirstAscii + AsciiCount)
        return point - FirstAscii;
    size_t low = 0, high = font->Count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (font->Points[middle] < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < font->Count && font->Points[low] == point ? low : font->Count - 1;
}

static int32_t Kern(const GfxFont *font, size_t left, size_t right)
{
    return left < AsciiCount && right < AsciiCount ? font->Kerning[left * AsciiCount + right] : 0;
}

// Moves over one character: its glyph, and the pen before it (kerning included) and after it.
typedef struct Pen {
    const GfxFont *Font;
    const char *Text;
    size_t Length, Index;
    size_t Previous; // glyph, SIZE_MAX at the start
    size_t Glyph;
    int32_t At, After; // 1/64 pixel
} Pen;

static bool Step(Pen *pen)
{
    if (pen->Index >= pen->Length)
        return false;
    uint32_t point = RtlDecodeUtf8(pen->Text, pen->Length, &pen->Index);
    pen->Glyph = FindGlyph(pen->Font, point);
    pen->At =
        pen->After + (pen->Previous == SIZE_MAX ? 0 : Kern(pen->Font, pen->Previous, pen->Glyph));
    pen->After = pen->At + pen->Font->Glyphs[pen->Glyph * Phases].Advance;
    pen->Previous = pen->Glyph;
    return true;
}

int32_t GfxMeasureText(const GfxFont *font, const char *text, size_t length)
{
    Pen pen = {.Font = font, .Text = text, .Length = length, .Previous = SIZE_MAX};
    while (Step(&pen) && pen.After < 64 * 65536)
        ;
    return (pen.After + 63) / 64;
}

static void DrawGlyph(const GfxSurface *to, const GfxFont *font, size_t index, int64_t pen64,
                      int32_t baseline, uint32_t color, uint32_t alpha)
{
    const GfxGlyph *glyph = &font->Glyphs[index * Phases + (size_t)(pen64 >> 4 & 3)];
    int32_t x = (int32_t)(pen64 >> 6) + glyph->X, y = baseline + glyph->Y;
    Rect r = GfxIntersect(to->Bounds, (Rect){x, y, x + glyph->Width, y + glyph->Height});
    for (int32_t py = r.Top; py < r.Bottom && r.Left < r.Right; py++) {
        const uint8_t *coverage =
            font->Bitmaps + glyph->Offset + (size_t)((py - y) * glyph->Width + (r.Left - x));
        uint32_t *p = GfxPixel(to, r.Left, py);
        for (int32_t px = r.Left; px < r.Right; px++, p++, coverage++)
            if (*coverage != 0)
                *p = GfxMix(*p, color, alpha * *coverage / 255);
    }
}

void GfxDrawText(const GfxSurface *to, const GfxFont *font, int32_t x, int32_t baseline,
                 int32_t width, const char *text, size_t length, uint32_t color, uint32_t alpha)
{
    if (width <= 0 || to->Bounds.Bottom <= baseline - font->Ascent ||
        to->Bounds.Top >= baseline + font->Descent)
        return;
    size_t dots = FindGlyph(font, Ellipsis);
    int32_t limit = RTL_MIN(width, 65536) * 64;
    // No character is wider than twice the ascent: short texts need not be measured.
    bool fits = length <= (size_t)(width / (2 * font->Ascent));
    bool cut = !fits && GfxMeasureText(font, text, length) > width;
    if (cut)
        limit -= font->Glyphs[dots * Phases].Advance;
    Pen pen = {.Font = font, .Text = text, .Length = length, .Previous = SIZE_MAX};
    int32_t end = 0;
    while (Step(&pen) && pen.After <= limit) {
        DrawGlyph(to, font, pen.Glyph, (int64_t)x * 64 + pen.At, baseline, color, alpha);
        end = pen.After;
    }
    if (cut && limit > 0)
        DrawGlyph(to, font, dots, (int64_t)x * 64 + end, baseline, color, alpha);
}

int32_t GfxCenterBaseline(const GfxFont *font, int32_t top, int32_t bottom)
{
    // Inter's capitals are 0.727 em high, its ascent 0.969 em: 3/4 of the ascent.
    return top + (bottom - top + font->Ascent * 3 / 4) / 2;
}
