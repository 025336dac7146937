// fontgen.c - makes the anti-aliased glyphs and lookup tables of lib/gfx, the desktop's pictures
// and the terminal's font.
//
// The kernel has no floating point and no font parser. Everything that needs them happens here,
// when MetalOS is built: glyphs are rasterised from the Inter typeface at the few sizes the desktop
// uses, each at four horizontal sub-pixel positions, so that text is spaced as the typeface wants
// it.
//
// Usage: fontgen gfx OUTPUT.c FOLDER-WITH-INTER-OTF
//        fontgen pictures OUTPUT.c                         icons.c
//        fontgen terminal OUTPUT.c FOLDER-WITH-JETBRAINS-MONO   terminal.c
// SPDX-License-Identifier: MIT
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_truetype.h>
#undef STB_TRUETYPE_IMPLEMENTATION
#pragma clang diagnostic pop

#include "fontgen.h"

enum {
    Phases = 4, // sub-pixel positions, 1/4 pixel apart
    FirstAscii = 32,
    LastAscii = 126,
    AsciiCount = LastAscii - FirstAscii + 1,
};

// Beside ASCII: Latin-1, and what titles and menus like to use. Ascending.
static const uint32_t extraPoints[] = {0x2013, 0x2014, 0x2018, 0x2019, 0x201C,
                                       0x201D, 0x2022, 0x2026, 0x2190, 0x2191,
                                       0x2192, 0x2193, 0x21B5, 0x2318, 0xFFFD};

typedef struct Blob {
    uint8_t *Data;
    size_t Size, Capacity;
} Blob;

void Fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fontgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void WriteBytes(FILE *out, const char *name, const uint8_t *data, size_t size)
{
    fprintf(out, "static const uint8_t %s[%zu] = {", name, size);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%s%u,", i % 32 == 0 ? "\n" : "", data[i]);
    fputs("\n};\n", out);
}

static void Append(Blob *blob, const uint8_t *data, size_t size)
{
    if (blob->Size + size > blob->Capacity) {
        blob->Capacity = (blob->Size + size) * 2;
        blob->Data = realloc(blob->Data, blob->Capacity);
        if (blob->Data == nullptr)
            Fail("out of memory");
    }
    memcpy(blob->Data + blob->Size, data, size);
    blob->Size += size;
}

static uint8_t *ReadWholeFile(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == nullptr)
        Fail("%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *data = size > 0 ? malloc((size_t)size) : nullptr;
    if (data == nullptr || fread(data, 1, (size_t)size, file) != (size_t)size)
        Fail("%s cannot be read", path);
    fclose(file);
    return data;
}

void OpenFont(stbtt_fontinfo *font, const char *folder, const char *name)
{
    if (!stbtt_InitFont(font, ReadWholeFile(folder, name), 0))
        Fail("%s is not a font this program can read", name);
}

// Coverage of text at small sizes looks thin on dark grounds when blended without gamma; this lifts
// the middle a little.
uint8_t Lift(uint8_t coverage)
{
    return (uint8_t)lround(255.0 * pow(coverage / 255.0, 0.82));
}

// One glyph at one sub-pixel position: bitmap appended to blob, its record written to out.
static void WriteGlyph(FILE *out, Blob *blob, const stbtt_fontinfo *font, int glyph, float scaleX,
                       float scaleY, float shift, int advance)
{
    int x0, y0, x1, y1;
    stbtt_GetGlyphBitmapBoxSubpixel(font, glyph, scaleX, scaleY, shift, 0, &x0, &y0, &x1, &y1);
    int width = x1 - x0, height = y1 - y0;
    if (width < 0 || height < 0 || width > 255 || height > 255 || stbtt_IsGlyphEmpty(font, glyph))
        width = height = x0 = y0 = 0;
    uint8_t bitmap[256 * 256];
    if (width > 0 && height > 0)
        stbtt_MakeGlyphBitmapSubpixel(font, bitmap, width, height, width, scaleX, scaleY, shift, 0,
                                      glyph);
    for (int i = 0; i < width * height; i++)
        bitmap[i] = Lift(bitmap[i]);
    fprintf(out, "{%zu,%d,%d,%d,%d,%d},", blob->Size, advance, x0, y0, width, height);
    Append(blob, bitmap, (size_t)(width * height));
}

static size_t CollectPoints(uint32_t *points)
{
    size_t count = 0;
    for (uint32_t c = FirstAscii; c <= LastAscii; c++)
        points[count++] = c;
    for (uint32_t c = 0xA0; c <= 0xFF; c++)
        points[count++] = c;
    for (size_t i = 0; i < sizeof(extraPoints) / sizeof(extraPoints[0]); i++)
        points[count++] = extraPoints[i];
    return count;
}

static void WriteFont(FILE *out, const char *name, const char *folder, const char *file,
                      float pixels)
{
    stbtt_fontinfo font;
    OpenFont(&font, folder, file);
    float scale = stbtt_ScaleForMappingEmToPixels(&font, pixels);
    int ascent, descent, gap;
    stbtt_GetFontVMetrics(&font, &ascent, &descent, &gap);
    uint32_t points[512];
    size_t count = CollectPoints(points);
    Blob blob = {};
    fprintf(out, "static const GfxGlyph %sGlyphs[] = {\n", name);
    for (size_t i = 0; i < count; i++) {
        int glyph = stbtt_FindGlyphIndex(&font, (int)points[i]), advance, bearing;
        stbtt_GetGlyphHMetrics(&font, glyph, &advance, &bearing);
        for (int phase = 0; phase < Phases; phase++)
            WriteGlyph(out, &blob, &font, glyph, scale, scale, (float)phase / Phases,
                       (int)lroundf((float)advance * scale * 64));
        fputc('\n', out);
    }
    fputs("};\n", out);
    fprintf(out, "static const uint16_t %sPoints[] = {", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%u,", points[i]);
    fputs("};\n", out);
    int8_t kerning[AsciiCount * AsciiCount];
    for (int a = 0; a < AsciiCount; a++)
        for (int b = 0; b < AsciiCount; b++)
            kerning[a * AsciiCount + b] = (int8_t)lroundf(
                64 * scale *
                (float)stbtt_GetCodepointKernAdvance(&font, a + FirstAscii, b + FirstAscii));
    char symbol[128];
    snprintf(symbol, sizeof(symbol), "%sKerning", name);
    WriteBytes(out, symbol, (const uint8_t *)kerning, sizeof(kerning));
    snprintf(symbol, sizeof(symbol), "%sBitmaps", name);
    WriteBytes(out, symbol, blob.Data, blob.Size);
    fprintf(out,
            "const GfxFont %s = {.Count = %zu, .Ascent = %d, .Descent = %d, .Points = %sPoints, "
            ".Glyphs = "
            "%sGlyphs, .Kerning = (const int8_t *)%sKerning, .Bitmaps = %sBitmaps};\n\n",
            name, count, (int)lroundf((float)ascent * scale), (int)lroundf(-(float)descent * scale),
            name, name, name, name);
    free(blob.Data);
}

// ASCII fitted into equal cells for stops, where columns matter: wide glyphs are condensed, all are
// centred.
static void WriteCellFont(FILE *out, const char *folder, const char *file, float pixels, int cell,
                          int line)
{
    stbtt_fontinfo font;
    OpenFont(&font, folder, file);
    float scale = stbtt_ScaleForMappingEmToPixels(&font, pixels);
    int baseline = line - (int)lroundf(pixels * 0.32f);
    size_t size = (size_t)AsciiCount * (size_t)cell * (size_t)line;
    uint8_t *cells = calloc(size, 1);
    if (cells == nullptr)
        Fail("out of memory");
    for (int c = 0; c < AsciiCount; c++) {
        int glyph = stbtt_FindGlyphIndex(&font, c + FirstAscii), x0, y0, x1, y1;
        if (stbtt_IsGlyphEmpty(&font, glyph) ||
            !stbtt_GetGlyphBox(&font, glyph, &x0, &y0, &x1, &y1))
            continue;
        float ink = (float)(x1 - x0) * scale, room = (float)cell - 0.6f;
        float scaleX = ink > room ? scale * room / ink : scale;
        if (isalnum(c + FirstAscii) && ink < 0.55f * room) // narrow letters look lost in their cell
            scaleX *= fminf(1.3f, 0.55f * room / ink);
        float left = ((float)cell - (float)(x1 - x0) * scaleX) / 2 - (float)x0 * scaleX;
        int shift = (int)floorf(left), bx0, by0, bx1, by1;
        stbtt_GetGlyphBitmapBoxSubpixel(&font, glyph, scaleX, scale, left - (float)shift, 0, &bx0,
                                        &by0, &bx1, &by1);
        uint8_t bitmap[64 * 64];
        int width = bx1 - bx0, height = by1 - by0;
        if (width > 64 || height > 64)
            Fail("cell glyph too large");
        stbtt_MakeGlyphBitmapSubpixel(&font, bitmap, width, height, width, scaleX, scale,
                                      left - (float)shift, 0, glyph);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int cx = x + bx0 + shift, cy = y + by0 + baseline;
                if (cx >= 0 && cx < cell && cy >= 0 && cy < line)
                    cells[(c * line + cy) * cell + cx] = Lift(bitmap[y * width + x]);
            }
    }
    WriteBytes(out, "cellBitmaps", cells, size);
    fprintf(
        out,
        "const GfxCellFont GfxFontCell = {.Width = %d, .Height = %d, .Bitmaps = cellBitmaps};\n\n",
        cell, line);
    free(cells);
}

// The share of each pixel of a radius x radius corner that lies inside the quarter disc, 0..255;
// pixel (0, 0) is the outermost.
static void WriteCorners(FILE *out)
{
    enum { Largest = 16, Samples = 32 };
    for (int radius = 1; radius <= Largest; radius++) {
        uint8_t mask[Largest * Largest];
        for (int y = 0; y < radius; y++)
            for (int x = 0; x < radius; x++) {
                int inside = 0;
                for (int s = 0; s < Samples * Samples; s++) {
                    double dx = radius - (x + (s % Samples + 0.5) / Samples);
                    double dy = radius - (y + (s / Samples + 0.5) / Samples);
                    inside += dx * dx + dy * dy <= (double)radius * radius;
                }
                mask[y * radius + x] = (uint8_t)(inside * 255 / (Samples * Samples));
            }
        char name[32];
        snprintf(name, sizeof(name), "corner%d", radius);
        WriteBytes(out, name, mask, (size_t)(radius * radius));
    }
    fputs("const uint8_t *const GfxCorners[] = {nullptr,", out);
    for (int radius = 1; radius <= Largest; radius++)
        fprintf(out, "corner%d,", radius);
    fputs("};\n\n", out);
}

// The edge of a box after a Gaussian blur, from GFX_SHADOW_RADIUS pixels outside to as far inside.
static void WriteShadow(FILE *out)
{
    enum { Radius = 32 };
    fputs("const uint8_t GfxShadowProfile[2 * GFX_SHADOW_RADIUS] = {", out);
    for (int i = 0; i < 2 * Radius; i++)
        fprintf(out, "%d,",
                (int)lround(255 * 0.5 * (1 + erf((i + 0.5 - Radius) / (Radius * 0.42 * sqrt(2))))));
    fputs("};\n\n", out);
}

static void WriteSine(FILE *out)
{
    fputs("const int16_t WiSine[1024] = {", out);
    for (int i = 0; i < 1024; i++)
        fprintf(out, "%d,", (int)lround(16384 * sin(i * 2 * M_PI / 1024)));
    fputs("};\n\n", out);
}

static void WriteGfx(FILE *out, const char *folder)
{
    fputs("// Made by tools/fontgen from the Inter typeface (SIL Open Font License 1.1).\n"
          "#include \"gfx/gfx.h\"\n\n",
          out);
    WriteFont(out, "GfxFontText", folder, "Inter-Medium.otf", 13);
    WriteFont(out, "GfxFontTitle", folder, "Inter-SemiBold.otf", 13);
    WriteFont(out, "GfxFontSmall", folder, "Inter-Medium.otf", 11.5f);
    WriteFont(out, "GfxFontLarge", folder, "InterDisplay-SemiBold.otf", 20);
    WriteCellFont(out, folder, "Inter-Medium.otf", 14, 8, 17);
    WriteCorners(out);
    WriteShadow(out);
}

static void WritePictures(FILE *out)
{
    fputs("// Made by tools/fontgen/icons.c.\n#include \"pictures.h\"\n\n", out);
    WriteSine(out);
    WriteIcons(out);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool pictures = argc == 3 && strcmp(what, "pictures") == 0;
    bool gfx = argc == 4 && strcmp(what, "gfx") == 0;
    if (!pictures && !gfx && (argc != 4 || strcmp(what, "terminal") != 0))
        Fail("usage: fontgen pictures OUTPUT.c | gfx OUTPUT.c FOLDER | terminal OUTPUT.c FOLDER");
    FILE *out = fopen(argv[2], "w");
    if (out == nullptr)
        Fail("%s cannot be written", argv[2]);
    if (pictures)
        WritePictures(out);
    else if (gfx)
        WriteGfx(out, argv[3]);
    else
        WriteTerminalFont(out, argv[3]);
    if (fclose(out) != 0)
        Fail("%s cannot be written", argv[2]);
    return 0;
}
