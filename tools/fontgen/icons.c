// icons.c - the desktop's own pictures: program icons, the MetalOS mark, symbols, the mouse
// pointer.
//
// A picture is a few filled paths on a 64 x 64 grid, rasterised at each size it is used at, so that
// every size is sharp.
// SPDX-License-Identifier: MIT
#include "fontgen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <stb_truetype.h>
#pragma clang diagnostic pop

enum { Grid = 64, Units = 100, LargestIcon = 96, MaximumVertices = 512 };

typedef struct Color {
    float R, G, B, A;
} Color;

typedef struct Canvas {
    int Width, Height;
    float Scale;                             // pixels per grid unit
    Color Pixels[LargestIcon * LargestIcon]; // premultiplied
    stbtt_vertex Path[MaximumVertices];
    int Count;
} Canvas;

static Color Hex(uint32_t rgb, float alpha)
{
    return (Color){(float)(rgb >> 16 & 255) / 255, (float)(rgb >> 8 & 255) / 255,
                   (float)(rgb & 255) / 255, alpha};
}

static stbtt_vertex *Next(Canvas *canvas, int type, float x, float y)
{
    if (canvas->Count == MaximumVertices)
        Fail("a path of an icon is too long");
    stbtt_vertex *vertex = &canvas->Path[canvas->Count++];
    *vertex = (stbtt_vertex){.type = (unsigned char)type,
                             .x = (short)lroundf(x * Units),
                             .y = (short)lroundf(y * Units)};
    return vertex;
}

static void MoveTo(Canvas *canvas, float x, float y)
{
    Next(canvas, STBTT_vmove, x, y);
}
static void LineTo(Canvas *canvas, float x, float y)
{
    Next(canvas, STBTT_vline, x, y);
}

static void CubicTo(Canvas *canvas, float ax, float ay, float bx, float by, float x, float y)
{
    stbtt_vertex *vertex = Next(canvas, STBTT_vcubic, x, y);
    vertex->cx = (short)lroundf(ax * Units);
    vertex->cy = (short)lroundf(ay * Units);
    vertex->cx1 = (short)lroundf(bx * Units);
    vertex->cy1 = (short)lroundf(by * Units);
}

static void Polygon(Canvas *canvas, int count, const float (*points)[2])
{
    for (int i = 0; i < count; i++)
        (i == 0 ? MoveTo : LineTo)(canvas, points[i][0], points[i][1]);
    LineTo(canvas, points[0][0], points[0][1]);
}

// A circle; clockwise false makes it a hole in a clockwise path.
static void Circle(Canvas *canvas, float cx, float cy, float radius, bool clockwise)
{
    float k = 0.5522848f * radius, s = clockwise ? 1 : -1;
    MoveTo(canvas, cx + radius, cy);
    CubicTo(canvas, cx + radius, cy + s * k, cx + k, cy + s * radius, cx, cy + s * radius);
    CubicTo(canvas, cx - k, cy + s * radius, cx - radius, cy + s * k, cx - radius, cy);
    CubicTo(canvas, cx - radius, cy - s * k, cx - k, cy - s * radius, cx, cy - s * radius);
    CubicTo(canvas, cx + k, cy - s * radius, cx + radius, cy - s * k, cx + radius, cy);
}

static void RoundRect(Canvas *canvas, float l, float t, float r, float b, float radius,
                      bool clockwise)
{
    float k = radius * (1 - 0.5522848f);
    if (clockwise) {
        MoveTo(canvas, l + radius, t);
        LineTo(canvas, r - radius, t);
        CubicTo(canvas, r - k, t, r, t + k, r, t + radius);
        LineTo(canvas, r, b - radius);
        CubicTo(canvas, r, b - k, r - k, b, r - radius, b);
        LineTo(canvas, l + radius, b);
        CubicTo(canvas, l + k, b, l, b - k, l, b - radius);
        LineTo(canvas, l, t + radius);
        CubicTo(canvas, l, t + k, l + k, t, l + radius, t);
    } else {
        MoveTo(canvas, l + radius, t);
        CubicTo(canvas, l + k, t, l, t + k, l, t + radius);
        LineTo(canvas, l, b - radius);
        CubicTo(canvas, l, b - k, l + k, b, l + radius, b);
        LineTo(canvas, r - radius, b);
        CubicTo(canvas, r - k, b, r, b - k, r, b - radius);
        LineTo(canvas, r, t + radius);
        CubicTo(canvas, r, t + k, r - k, t, r - radius, t);
        LineTo(canvas, l + radius, t);
    }
}

// A line of the given width with square ends, as a closed path.
static void Stroke(Canvas *canvas, float x0, float y0, float x1, float y1, float width)
{
    float dx = x1 - x0, dy = y1 - y0, length = hypotf(dx, dy), nx = -dy / length * width / 2,
          ny = dx / length * width / 2;
    const float points[4][2] = {
        {x0 - nx, y0 - ny}, {x1 - nx, y1 - ny}, {x1 + nx, y1 + ny}, {x0 + nx, y0 + ny}};
    Polygon(canvas, 4, points);
}

// Fills the path with a vertical gradient from `from` at grid height y0 to `to` at y1, and starts a
// new path.
static void Fill(Canvas *canvas, Color from, Color to, float y0, float y1)
{
    static unsigned char coverage[LargestIcon * LargestIcon];
    memset(coverage, 0, sizeof(coverage));
    stbtt__bitmap bitmap = {canvas->Width, canvas->Height, canvas->Width, coverage};
    stbtt_Rasterize(&bitmap, 0.2f, canvas->Path, canvas->Count, canvas->Scale / Units,
                    canvas->Scale / Units, 0, 0, 0, 0, 0, nullptr);
    for (int y = 0; y < canvas->Height; y++) {
        float at = (((float)y + 0.5f) / canvas->Scale - y0) / (y1 - y0);
        at = at < 0 ? 0 : at > 1 ? 1 : at;
        Color c = {from.R + (to.R - from.R) * at, from.G + (to.G - from.G) * at,
                   from.B + (to.B - from.B) * at, from.A + (to.A - from.A) * at};
        for (int x = 0; x < canvas->Width; x++) {
            float a = c.A * (float)coverage[y * canvas->Width + x] / 255;
            Color *p = &canvas->Pixels[y * canvas->Width + x];
            *p = (Color){c.R * a + p->R * (1 - a), c.G * a + p->G * (1 - a),
                         c.B * a + p->B * (1 - a), a + p->A * (1 - a)};
        }
    }
    canvas->Count = 0;
}

static void FillPlain(Canvas *canvas, uint32_t rgb, float alpha)
{
    Fill(canvas, Hex(rgb, alpha), Hex(rgb, alpha), 0, Grid);
}

// ---- the pictures

static void DrawTile(Canvas *canvas, uint32_t top, uint32_t bottom)
{
    RoundRect(canvas, 2, 2, 62, 62, 14, true);
    Fill(canvas, Hex(top, 1), Hex(bottom, 1), 2, 62);
    RoundRect(canvas, 2, 2, 62, 62, 14, true); // a thin light along the upper edge
    RoundRect(canvas, 3.6f, 3.6f, 60.4f, 60.4f, 12.6f, false);
    Fill(canvas, Hex(0xFFFFFF, 0.34f), Hex(0xFFFFFF, 0.04f), 2, 40);
}

// A horned head with burning eyes.
static void DrawDoom(Canvas *canvas)
{
    DrawTile(canvas, 0xA3201A, 0x3A0508);
    MoveTo(canvas, 32, 17); // skull and horns
    CubicTo(canvas, 36.5f, 17, 40, 18, 43, 20.5f);
    CubicTo(canvas, 48, 19, 51, 14.5f, 50, 8);
    CubicTo(canvas, 57.5f, 15, 57, 26.5f, 49, 31);
    CubicTo(canvas, 50, 37, 48.5f, 42, 44, 45.5f);
    LineTo(canvas, 42.5f, 53);
    LineTo(canvas, 37.5f, 56);
    LineTo(canvas, 32, 57);
    LineTo(canvas, 26.5f, 56);
    LineTo(canvas, 21.5f, 53);
    LineTo(canvas, 20, 45.5f);
    CubicTo(canvas, 15.5f, 42, 14, 37, 15, 31);
    CubicTo(canvas, 7, 26.5f, 6.5f, 15, 14, 8);
    CubicTo(canvas, 13, 14.5f, 16, 19, 21, 20.5f);
    CubicTo(canvas, 24, 18, 27.5f, 17, 32, 17);
    Fill(canvas, Hex(0xFFF3DC, 1), Hex(0xC9A98A, 1), 8, 57);
    const float leftEye[][2] = {{18.5f, 30}, {29.5f, 35.5f}, {28.5f, 40.5f}, {22, 40}, {19, 36.5f}};
    const float rightEye[][2] = {
        {45.5f, 30}, {34.5f, 35.5f}, {35.5f, 40.5f}, {42, 40}, {45, 36.5f}};
    Polygon(canvas, 5, leftEye);
    FillPlain(canvas, 0x2A0304, 1);
    Polygon(canvas, 5, rightEye);
    FillPlain(canvas, 0x2A0304, 1);
    Circle(canvas, 25, 37, 2.1f, true);
    Circle(canvas, 39, 37, 2.1f, true);
    FillPlain(canvas, 0xFF7A1A, 1);
    const float nose[][2] = {{32, 41}, {34.6f, 46.5f}, {29.4f, 46.5f}};
    Polygon(canvas, 3, nose);
    FillPlain(canvas, 0x2A0304, 0.9f);
    for (int i = 0; i < 4; i++)
        Stroke(canvas, 26.2f + 3.87f * (float)i, 49.5f, 26.2f + 3.87f * (float)i, 56.5f, 1.3f);
    FillPlain(canvas, 0x2A0304, 0.75f);
}

static void Flame(Canvas *canvas, float cx, float bottom, float scale)
{
#define FX(x) (cx + (x) * scale)
#define FY(y) (bottom + (y) * scale)
    MoveTo(canvas, FX(-1), FY(-46));
    CubicTo(canvas, FX(8), FY(-38), FX(19), FY(-29), FX(18), FY(-15));
    CubicTo(canvas, FX(17), FY(-5), FX(9), FY(0), FX(0), FY(0));
    CubicTo(canvas, FX(-10), FY(0), FX(-18), FY(-6), FX(-18), FY(-16));
    CubicTo(canvas, FX(-18), FY(-23), FX(-14.5f), FY(-27), FX(-11), FY(-32));
    CubicTo(canvas, FX(-10), FY(-27), FX(-8), FY(-25), FX(-5), FY(-24));
    CubicTo(canvas, FX(-7), FY(-32), FX(-5), FY(-41), FX(-1), FY(-46));
#undef FX
#undef FY
}

static void DrawFire(Canvas *canvas)
{
    DrawTile(canvas, 0x39405A, 0x151826);
    Flame(canvas, 32, 55, 1);
    Fill(canvas, Hex(0xFFA02E, 1), Hex(0xF0381C, 1), 14, 54);
    Flame(canvas, 32.6f, 54, 0.56f);
    Fill(canvas, Hex(0xFFF0A0, 1), Hex(0xFFB52E, 1), 30, 54);
}

static void DrawProgram(Canvas *canvas)
{
    DrawTile(canvas, 0x4F8BD6, 0x24508F);
    RoundRect(canvas, 14, 17, 50, 47, 5, true);
    RoundRect(canvas, 17.5f, 26, 46.5f, 43.5f, 2, false);
    FillPlain(canvas, 0xFFFFFF, 0.95f);
    Circle(canvas, 19.6f, 21.6f, 1.7f, true);
    Circle(canvas, 25, 21.6f, 1.7f, true);
    FillPlain(canvas, 0x24508F, 0.9f);
}

static void DrawTerminal(Canvas *canvas)
{
    static const float prompt[6][2] = {{15, 22}, {19, 18}, {33, 32}, {19, 46}, {15, 42}, {25, 32}};
    float points[6][2];
    memcpy(points, prompt, sizeof(points));
    DrawTile(canvas, 0x33405E, 0x12172A);
    Polygon(canvas, 6, points);
    Fill(canvas, Hex(0xFFB07A, 1), Hex(0xFF7A3C, 1), 18, 46);
    RoundRect(canvas, 34, 42, 50, 46.5f, 2, true);
    FillPlain(canvas, 0xE6EBF7, 0.95f);
}

// The mark of MetalOS: a hexagon nut, lit from above.
static void DrawMark(Canvas *canvas)
{
    float outer[6][2];
    for (int i = 0; i < 6; i++) {
        outer[i][0] = 32 + 29 * cosf((float)i * (float)M_PI / 3 + (float)M_PI / 6);
        outer[i][1] = 32 + 29 * sinf((float)i * (float)M_PI / 3 + (float)M_PI / 6);
    }
    Polygon(canvas, 6, outer);
    Circle(canvas, 32, 32, 13.5f, false);
    Fill(canvas, Hex(0xF6F9FF, 1), Hex(0x8D9AB3, 1), 4, 60);
    Circle(canvas, 32, 32, 17.5f, true);
    Circle(canvas, 32, 32, 13.5f, false);
    Fill(canvas, Hex(0x5C6880, 0.85f), Hex(0xE9EEF7, 0.85f), 16, 48);
    Circle(canvas, 32, 32, 7, true);
    Fill(canvas, Hex(0xFFB066, 1), Hex(0xFF6A2B, 1), 25, 39);
}

static void DrawClose(Canvas *canvas)
{
    Stroke(canvas, 8, 8, 56, 56, 7.4f);
    FillPlain(canvas, 0xFFFFFF, 1);
    Stroke(canvas, 56, 8, 8, 56, 7.4f);
    FillPlain(canvas, 0xFFFFFF, 1);
}

// An arc from angle a to b (degrees, clockwise from the right) of the given middle radius and
// width.
static void Arc(Canvas *canvas, float cx, float cy, float radius, float width, float a, float b)
{
    enum { Steps = 40 };
    for (int i = 0; i <= 2 * Steps + 1; i++) {
        float at = (float)(i <= Steps ? i : 2 * Steps + 1 - i) / Steps;
        float angle = (a + (b - a) * at) * (float)M_PI / 180,
              r = radius + (i <= Steps ? width / 2 : -width / 2);
        (i == 0 ? MoveTo : LineTo)(canvas, cx + r * cosf(angle), cy + r * sinf(angle));
    }
    LineTo(canvas, cx + (radius + width / 2) * cosf(a * (float)M_PI / 180),
           cy + (radius + width / 2) * sinf(a * (float)M_PI / 180));
}

static void DrawPower(Canvas *canvas)
{
    Arc(canvas, 32, 34, 21, 6.5f, -58, 238);
    FillPlain(canvas, 0xFFFFFF, 1);
    Stroke(canvas, 32, 6, 32, 32, 6.5f);
    FillPlain(canvas, 0xFFFFFF, 1);
}

static void DrawRestart(Canvas *canvas)
{
    Arc(canvas, 32, 33, 21, 6.5f, -20, 270);
    FillPlain(canvas, 0xFFFFFF, 1);
    const float head[][2] = {{30, 1.5f}, {46, 12}, {30, 22.5f}};
    Polygon(canvas, 3, head);
    FillPlain(canvas, 0xFFFFFF, 1);
}

static void PointerPath(Canvas *canvas, float dx, float dy)
{
    const float points[][2] = {{3, 2.5f}, {3, 42.5f},  {12.4f, 33.8f}, {18.6f, 48.2f},
                               {26, 45},  {19.9f, 31}, {32.5f, 31}};
    float moved[7][2];
    for (int i = 0; i < 7; i++) {
        moved[i][0] = points[i][0] + dx;
        moved[i][1] = points[i][1] + dy;
    }
    Polygon(canvas, 7, moved);
}

// The arrow, hot spot at its tip (grid 3, 2.5), with a white rim and a faint shadow.
static void DrawPointer(Canvas *canvas)
{
    for (int i = 0; i < 9; i++) {
        PointerPath(canvas, 2.2f + (float)(i % 3 - 1) * 1.6f, 3 + (float)(i / 3 - 1) * 1.6f);
        FillPlain(canvas, 0x000000, 0.06f);
    }
    for (int i = 0; i < 24; i++) {
        float angle = (float)i * (float)M_PI / 12;
        PointerPath(canvas, 1.5f * cosf(angle), 1.5f * sinf(angle));
        FillPlain(canvas, 0xFFFFFF, 1);
    }
    PointerPath(canvas, 0.3f, 0.4f);
    Fill(canvas, Hex(0x2E3440, 1), Hex(0x0B0D12, 1), 2, 48);
}

// A double arrow through the grid's middle, turned by an angle; rim and shadow as the arrow has.
static void DoubleArrow(Canvas *canvas, float degrees, float dx, float dy)
{
    static const float points[][2] = {{-22, 0}, {-10, -11}, {-10, -3}, {10, -3}, {10, -11},
                                      {22, 0},  {10, 11},   {10, 3},   {-10, 3}, {-10, 11}};
    float c = cosf(degrees * (float)M_PI / 180), s = sinf(degrees * (float)M_PI / 180);
    float turned[10][2];
    for (int i = 0; i < 10; i++) {
        turned[i][0] = 27 + c * points[i][0] - s * points[i][1] + dx;
        turned[i][1] = 27 + s * points[i][0] + c * points[i][1] + dy;
    }
    Polygon(canvas, 10, turned);
}

static void DrawDoubleArrow(Canvas *canvas, float degrees)
{
    for (int i = 0; i < 9; i++) {
        DoubleArrow(canvas, degrees, 1.4f + (float)(i % 3 - 1) * 1.6f,
                    2 + (float)(i / 3 - 1) * 1.6f);
        FillPlain(canvas, 0x000000, 0.06f);
    }
    for (int i = 0; i < 24; i++) {
        float angle = (float)i * (float)M_PI / 12;
        DoubleArrow(canvas, degrees, 2.2f * cosf(angle), 2.2f * sinf(angle));
        FillPlain(canvas, 0xFFFFFF, 1);
    }
    DoubleArrow(canvas, degrees, 0, 0);
    Fill(canvas, Hex(0x2E3440, 1), Hex(0x0B0D12, 1), 2, 48);
}

static void DrawHorizontal(Canvas *canvas)
{
    DrawDoubleArrow(canvas, 0);
}
static void DrawVertical(Canvas *canvas)
{
    DrawDoubleArrow(canvas, 90);
}
static void DrawDown(Canvas *canvas)
{
    DrawDoubleArrow(canvas, 45);
}
static void DrawUp(Canvas *canvas)
{
    DrawDoubleArrow(canvas, -45);
}

static void WriteImage(FILE *out, const char *name, void (*draw)(Canvas *), int width, int height,
                       float scale)
{
    Canvas *canvas = calloc(1, sizeof(*canvas));
    if (canvas == nullptr)
        Fail("out of memory");
    canvas->Width = width;
    canvas->Height = height;
    canvas->Scale = scale;
    draw(canvas);
    fprintf(out, "static const uint32_t %sPixels[] = {", name);
    for (int i = 0; i < width * height; i++) {
        const Color *p = &canvas->Pixels[i];
        fprintf(out, "%s0x%08X,", i % 16 == 0 ? "\n" : "",
                (uint32_t)lroundf(p->A * 255) << 24 | (uint32_t)lroundf(p->R * 255) << 16 |
                    (uint32_t)lroundf(p->G * 255) << 8 | (uint32_t)lroundf(p->B * 255));
    }
    fprintf(out, "\n};\n%sconst GfxImage %s = {.Width = %d, .Height = %d, .Pixels = %sPixels};\n",
            strncmp(name, "Wi", 2) == 0 ? "" : "static ", name, width, height, name);
    free(canvas);
}

static void WriteSquare(FILE *out, const char *name, void (*draw)(Canvas *), int size)
{
    WriteImage(out, name, draw, size, size, (float)size / Grid);
}

void WriteIcons(FILE *out)
{
    static const struct {
        const char *Name;
        void (*Draw)(Canvas *);
    } programs[] = {{"Program", DrawProgram},
                    {"Doom", DrawDoom},
                    {"Fire", DrawFire},
                    {"Terminal", DrawTerminal}};
    static const int sizes[] = {16, 20, 32, 48};
    for (int p = 0; p < 4; p++)
        for (int s = 0; s < 4; s++) {
            char name[64];
            snprintf(name, sizeof(name), "icon%s%d", programs[p].Name, sizes[s]);
            WriteSquare(out, name, programs[p].Draw, sizes[s]);
        }
    fputs("const GfxImage *const WiIcons[][4] = {", out);
    for (int p = 0; p < 4; p++)
        for (int s = 0; s < 4; s++)
            fprintf(out, "%s&icon%s%d,%s", s == 0 ? "{" : "", programs[p].Name, sizes[s],
                    s == 3 ? "}," : "");
    fputs("};\n", out);
    WriteSquare(out, "WiImageMark", DrawMark, 24);
    WriteSquare(out, "WiImageMarkLarge", DrawMark, 32);
    WriteSquare(out, "WiImageClose", DrawClose, 10);
    WriteSquare(out, "WiImagePower", DrawPower, 16);
    WriteSquare(out, "WiImageRestart", DrawRestart, 16);
    WriteImage(out, "pointerArrow", DrawPointer, 18, 26, 0.46f);
    WriteImage(out, "pointerHorizontal", DrawHorizontal, 25, 25, 0.46f);
    WriteImage(out, "pointerVertical", DrawVertical, 25, 25, 0.46f);
    WriteImage(out, "pointerDown", DrawDown, 25, 25, 0.46f);
    WriteImage(out, "pointerUp", DrawUp, 25, 25, 0.46f);
    fputs("const GfxImage *const WiPointers[] = {&pointerArrow, &pointerHorizontal, "
          "&pointerVertical, &pointerDown, &pointerUp};\n",
          out);
}
