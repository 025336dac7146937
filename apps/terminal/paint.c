// paint.c - see paint.h.
// SPDX-License-Identifier: MIT
#include "paint.h"

#include "font.h"

#include <string.h>

enum {
    Paper = 0x131827,
    Ink = 0xD9DEEA,
    SelectedPaper = 0x3A4468,
    CursorColor = 0xFF8A4C,
    ThumbColor = 0x4A5372,
    ThumbWidth = 4,
};

static uint32_t Mix(uint32_t below, uint32_t above, uint32_t alpha)
{
    alpha += alpha >> 7; // 0..256
    uint32_t rb = below & 0xFF00FF, g = below & 0x00FF00;
    rb += (((above & 0xFF00FF) - rb) * alpha) >> 8;
    g += (((above & 0x00FF00) - g) * alpha) >> 8;
    return (rb & 0xFF00FF) | (g & 0x00FF00);
}

void PaintMeasure(uint32_t columns, uint32_t rows, uint32_t *width, uint32_t *height)
{
    *width = columns * TheFont.CellWidth + 2 * Padding;
    *height = rows * TheFont.CellHeight + 2 * Padding;
}

void PaintFit(uint32_t width, uint32_t height, uint32_t *columns, uint32_t *rows)
{
    *columns = width > 2 * Padding ? (width - 2 * Padding) / TheFont.CellWidth : 0;
    *rows = height > 2 * Padding ? (height - 2 * Padding) / TheFont.CellHeight : 0;
    *columns = *columns == 0 ? 1 : *columns > SCREEN_MAXIMUM ? SCREEN_MAXIMUM : *columns;
    *rows = *rows == 0 ? 1 : *rows > SCREEN_MAXIMUM ? SCREEN_MAXIMUM : *rows;
}

static uint32_t Clamp(int32_t value, uint32_t count)
{
    return value < 0 ? 0 : (uint32_t)value >= count ? count - 1 : (uint32_t)value;
}

void PaintFindCell(const Screen *screen, int32_t x, int32_t y, uint32_t *column, uint32_t *row)
{
    *column = Clamp((x - Padding) / (int32_t)TheFont.CellWidth, screen->Columns);
    *row = Clamp((y - Padding) / (int32_t)TheFont.CellHeight, screen->Rows);
}

// ---- glyphs

static const uint8_t *FindGlyph(uint32_t point, FontFace face)
{
    size_t cell = (size_t)TheFont.CellWidth * TheFont.CellHeight, low = 0, high = TheFont.Count;
    if (point >= 0x20 && point < 0x7F) // the first ones
        return TheFont.Faces[face] + (point - 0x20) * cell;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (TheFont.Points[middle] < point)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == TheFont.Count || TheFont.Points[low] != point)
        low = TheFont.Count - 1;
    return TheFont.Faces[face] + low * cell;
}

typedef struct Look {
    uint32_t Ink, Paper;
} Look;

static Look ChooseLook(const Screen *screen, const Cell *cell, bool selected)
{
    Look look = {cell->Attributes & CellDefaultInk ? Ink : cell->Ink,
                 cell->Attributes & CellDefaultPaper ? Paper : cell->Paper};
    if (!(cell->Attributes & CellReverse) != !screen->Reversed)
        look = (Look){look.Paper, look.Ink};
    if (selected)
        look.Paper = SelectedPaper;
    return look;
}

// Ink on paper in one pass: most cells hold one glyph.
static void DrawGlyph(uint32_t *at, size_t stride, const uint8_t *coverage, Look look)
{
    for (uint32_t y = 0; y < TheFont.CellHeight; y++, at += stride)
        for (uint32_t x = 0; x < TheFont.CellWidth; x++, coverage++)
            at[x] = *coverage == 0     ? look.Paper
                    : *coverage == 255 ? look.Ink
                                       : Mix(look.Paper, look.Ink, *coverage);
}

static void DrawCoverage(uint32_t *at, size_t stride, const uint8_t *coverage, uint32_t ink)
{
    for (uint32_t y = 0; y < TheFont.CellHeight; y++, at += stride)
        for (uint32_t x = 0; x < TheFont.CellWidth; x++, coverage++)
            if (*coverage != 0)
                at[x] = *coverage == 255 ? ink : Mix(at[x], ink, *coverage);
}

static void FillArea(uint32_t *at, size_t stride, uint32_t width, uint32_t height, uint32_t color)
{
    for (uint32_t y = 0; y < height; y++, at += stride)
        for (uint32_t x = 0; x < width; x++)
            at[x] = color;
}

static void DrawCell(uint32_t *at, size_t stride, const Cell *cell, Look look)
{
    uint32_t width = TheFont.CellWidth, height = TheFont.CellHeight;
    FontFace face = cell->Attributes & CellBold     ? FaceBold
                    : cell->Attributes & CellItalic ? FaceItalic
                                                    : FaceRegular;
    if (cell->Point > ' ')
        DrawGlyph(at, stride, FindGlyph(cell->Point, face), look);
    else
        FillArea(at, stride, width, height, look.Paper);
    if (cell->Mark != 0)
        DrawCoverage(at, stride, FindGlyph(cell->Mark, face), look.Ink);
    if (cell->Attributes & (CellUnderline | CellDoubleUnderline))
        FillArea(at + (height - 3) * stride, stride, width, 1, look.Ink);
    if (cell->Attributes & CellDoubleUnderline)
        FillArea(at + (height - 1) * stride, stride, width, 1, look.Ink);
    if (cell->Attributes & CellStrike)
        FillArea(at + height / 2 * stride, stride, width, 1, look.Ink);
}

// ---- rows

static const Cell blankCell = {.Attributes = CellDefaultInk | CellDefaultPaper};

static uint32_t *CellPixels(const WindowBuffer *to, uint32_t column, uint32_t row)
{
    return to->Pixels + (size_t)(Padding + row * TheFont.CellHeight) * to->Stride + Padding +
           column * TheFont.CellWidth;
}

static void DrawRow(const Screen *screen, const WindowBuffer *to, uint32_t row)
{
    const Line *line = ScreenLine(screen, row);
    uint64_t number = ScreenLineNumber(screen, row);
    for (uint32_t column = 0; column < screen->Columns; column++) {
        const Cell *cell = column < line->Capacity ? &line->Cells[column] : &blankCell;
        Look look = ChooseLook(screen, cell, ScreenIsSelected(screen, number, column));
        DrawCell(CellPixels(to, column, row), to->Stride, cell, look);
    }
}

// Without the focus the block is an outline.
static void DrawCursor(const Screen *screen, const WindowBuffer *to, bool focused)
{
    uint32_t row = (uint32_t)screen->Cursor.row + screen->Scrolled,
             column = (uint32_t)screen->Cursor.col;
    uint32_t width = TheFont.CellWidth, height = TheFont.CellHeight;
    if (!screen->CursorShown || row >= screen->Rows || column >= screen->Columns)
        return;
    uint32_t *at = CellPixels(to, column, row);
    const Line *line = ScreenLine(screen, row);
    if (!focused) {
        FillArea(at, to->Stride, width, 1, CursorColor);
        FillArea(at + (height - 1) * to->Stride, to->Stride, width, 1, CursorColor);
        FillArea(at, to->Stride, 1, height, CursorColor);
        FillArea(at + width - 1, to->Stride, 1, height, CursorColor);
    } else if (screen->CursorShape == VTERM_PROP_CURSORSHAPE_UNDERLINE) {
        FillArea(at + (height - 2) * to->Stride, to->Stride, width, 2, CursorColor);
    } else if (screen->CursorShape == VTERM_PROP_CURSORSHAPE_BAR_LEFT) {
        FillArea(at, to->Stride, 2, height, CursorColor);
    } else {
        const Cell *cell = column < line->Capacity ? &line->Cells[column] : &blankCell;
        DrawCell(at, to->Stride, cell, (Look){Paper, CursorColor});
    }
}

static void DrawThumb(const Screen *screen, const WindowBuffer *to)
{
    uint32_t left = to->Width - ThumbWidth - 2;
    FillArea(to->Pixels + left, to->Stride, ThumbWidth, to->Height, Paper);
    if (screen->Scrolled == 0)
        return;
    uint64_t all = screen->HistoryCount + screen->Rows, room = to->Height - 4;
    uint32_t length = (uint32_t)(room * screen->Rows / all);
    length = length < 24 ? 24 : length;
    if (length >= room)
        return;
    uint32_t top = 2 + (uint32_t)((room - length) * (screen->HistoryCount - screen->Scrolled) /
                                  screen->HistoryCount);
    FillArea(to->Pixels + (size_t)top * to->Stride + left, to->Stride, ThumbWidth, length,
             ThumbColor);
}

// What is not cells.
static void DrawMargins(const Screen *screen, const WindowBuffer *to)
{
    uint32_t right = Padding + screen->Columns * TheFont.CellWidth,
             bottom = Padding + screen->Rows * TheFont.CellHeight;
    FillArea(to->Pixels, to->Stride, to->Width, Padding, Paper);
    FillArea(to->Pixels, to->Stride, Padding, to->Height, Paper);
    if (right < to->Width)
        FillArea(to->Pixels + right, to->Stride, to->Width - right, to->Height, Paper);
    if (bottom < to->Height)
        FillArea(to->Pixels + (size_t)bottom * to->Stride, to->Stride, to->Width,
                 to->Height - bottom, Paper);
}

bool PaintScreen(Screen *screen, const WindowBuffer *to, bool focused, Rect *changed)
{
    uint32_t first = UINT32_MAX, last = 0;
    bool all = screen->AllDirty;
    for (uint32_t row = 0; row < screen->Rows; row++) {
        if (!all && !screen->Dirty[row])
            continue;
        DrawRow(screen, to, row);
        screen->Dirty[row] = false;
        first = first == UINT32_MAX ? row : first;
        last = row;
    }
    if (first == UINT32_MAX)
        return false;
    screen->AllDirty = false;
    DrawCursor(screen, to, focused);
    *changed = (Rect){0, 0, (int32_t)to->Width, (int32_t)to->Height};
    if (all) {
        DrawMargins(screen, to);
        DrawThumb(screen, to);
    } else {
        changed->Top = (int32_t)(Padding + first * TheFont.CellHeight);
        changed->Bottom = (int32_t)(Padding + (last + 1) * TheFont.CellHeight);
    }
    return true;
}
