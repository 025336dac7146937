// terminal.c - makes terminal_font.c: a typeface of equal cells for the terminal.
//
// Each glyph is the coverage of one whole cell, so that drawing it is a walk over the cell. Three
// faces (regular, bold, italic) of the JetBrains Mono typeface, everything it has in the ranges
// below. Box drawing and block elements are scaled to the cell in both directions, because their
// strokes have to meet those of the neighbours.
// SPDX-License-Identifier: MIT
#include "fontgen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CellWidth = 9, CellHeight = 20, CellBytes = CellWidth * CellHeight, MaximumPoints = 4096 };

static const struct {
    uint32_t First, Last;
} ranges[] = {
    {0x0020, 0x007E}, // ASCII
    {0x00A0, 0x052F}, // Latin, modifiers, combining marks, Greek, Cyrillic
    {0x1E00, 0x1FFF}, // Latin additional, Greek extended
    {0x2000, 0x23FF}, // punctuation, currency, letterlike, numbers, arrows, mathematics, technical
    {0x2460, 0x24FF}, // enclosed
    {0x2500, 0x259F}, // box drawing, block elements
    {0x25A0, 0x27BF}, // shapes, symbols, dingbats
    {0x2800, 0x28FF}, // braille
    {0xE0A0, 0xE0D4}, // prompts' private ones
    {0xFFFD, 0xFFFD},
};

static bool IsBox(uint32_t point)
{
    return point >= 0x2500 && point <= 0x259F;
}

typedef struct Face {
    stbtt_fontinfo Font;
    float ScaleX, ScaleY, BoxScaleY;
    int Baseline;
} Face;

static void OpenFace(Face *face, const char *folder, const char *file)
{
    OpenFont(&face->Font, folder, file);
    int ascent, descent, gap, advance, bearing;
    stbtt_GetFontVMetrics(&face->Font, &ascent, &descent, &gap);
    stbtt_GetCodepointHMetrics(&face->Font, 'M', &advance, &bearing);
    face->ScaleX = face->ScaleY = (float)CellWidth / (float)advance;
    face->BoxScaleY = (float)CellHeight / (float)(ascent - descent);
    face->Baseline = (int)lroundf((float)ascent * face->BoxScaleY);
}

// Adds the glyph's coverage to a cell, clipped to it.
static void DrawCell(const Face *face, uint32_t point, uint8_t cell[CellBytes])
{
    int glyph = stbtt_FindGlyphIndex(&face->Font, (int)point), x0, y0, x1, y1;
    float scaleY = IsBox(point) ? face->BoxScaleY : face->ScaleY;
    memset(cell, 0, CellBytes);
    if (stbtt_IsGlyphEmpty(&face->Font, glyph))
        return;
    // Marks that combine stand to the left of their place, over the character before.
    float shift = point >= 0x300 && point <= 0x36F ? CellWidth : 0;
    int advance, bearing;
    stbtt_GetGlyphHMetrics(&face->Font, glyph, &advance, &bearing);
    if (advance != 0)
        shift = 0;
    stbtt_GetGlyphBitmapBox(&face->Font, glyph, face->ScaleX, scaleY, &x0, &y0, &x1, &y1);
    int width = x1 - x0, height = y1 - y0;
    uint8_t bitmap[128 * 128];
    if (width <= 0 || height <= 0 || width > 128 || height > 128)
        return;
    stbtt_MakeGlyphBitmap(&face->Font, bitmap, width, height, width, face->ScaleX, scaleY, glyph);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int cx = x + x0 + (int)shift, cy = y + y0 + face->Baseline;
            if (cx >= 0 && cx < CellWidth && cy >= 0 && cy < CellHeight)
                cell[cy * CellWidth + cx] =
                    IsBox(point) ? bitmap[y * width + x] : Lift(bitmap[y * width + x]);
        }
}

static void WriteFace(FILE *out, const char *name, const char *folder, const char *file,
                      const uint32_t *points, size_t count)
{
    Face face;
    OpenFace(&face, folder, file);
    uint8_t *cells = malloc(count * CellBytes);
    if (cells == nullptr)
        Fail("out of memory");
    for (size_t i = 0; i < count; i++)
        DrawCell(&face, points[i], cells + i * CellBytes);
    WriteBytes(out, name, cells, count * CellBytes);
    free(cells);
}

static size_t CollectPoints(const char *folder, uint32_t points[MaximumPoints])
{
    stbtt_fontinfo font;
    OpenFont(&font, folder, "JetBrainsMono-Regular.ttf");
    size_t count = 0;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (uint32_t point = ranges[i].First; point <= ranges[i].Last; point++)
            if (stbtt_FindGlyphIndex(&font, (int)point) != 0 && count < MaximumPoints)
                points[count++] = point;
    return count;
}

void WriteTerminalFont(FILE *out, const char *folder)
{
    static uint32_t points[MaximumPoints];
    size_t count = CollectPoints(folder, points);
    fputs("// Made by tools/fontgen from the JetBrains Mono typeface (SIL Open Font License 1.1).\n"
          "#include \"font.h\"\n\n",
          out);
    fprintf(out, "static const uint32_t points[%zu] = {", count);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%u,", i % 16 == 0 ? "\n" : "", points[i]);
    fputs("\n};\n", out);
    WriteFace(out, "regular", folder, "JetBrainsMono-Regular.ttf", points, count);
    WriteFace(out, "bold", folder, "JetBrainsMono-Bold.ttf", points, count);
    WriteFace(out, "italic", folder, "JetBrainsMono-Italic.ttf", points, count);
    fprintf(out,
            "const TerminalFont TheFont = {.Count = %zu, .CellWidth = %d, .CellHeight = %d, "
            ".Points = points, .Faces = {regular, bold, italic}};\n",
            count, CellWidth, CellHeight);
}
