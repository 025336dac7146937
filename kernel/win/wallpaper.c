// wallpaper.c - the picture behind everything, computed for the screen's size.
//
// A night sky that warms towards one corner, crossed by a few sheets of light: each sheet has a
// sine-shaped upper edge and fades downwards. Channels are kept in 1/256 steps until an ordered
// dither rounds them, so that no banding shows.
// SPDX-License-Identifier: MIT
#include "pictures.h"

enum {
    SheetCount = 6,
    FadeSteps = 256,
    TileWidth = 64,
    SampleStep = 2,
    Samples = TileWidth / SampleStep + 1
};

typedef struct Sheet {
    int32_t Base;         // height of the edge, 1/1024 of the screen's height from the top
    int32_t Amplitude[2]; // likewise
    int32_t Frequency[2], Phase[2]; // 1/1024 of a turn: across the screen's width, at its left
    int32_t Depth;                  // how far down it fades, 1/1024 of the height
    uint32_t Left, Right;           // colors at the two sides
    int32_t Strength;               // 0..256 at the edge
} Sheet;

static const Sheet sheets[SheetCount] = {
    {430, {120, 34}, {620, 1500}, {560, 120}, 560, 0x27408F, 0x4A3FA8, 150},
    {520, {130, 40}, {700, 1330}, {500, 300}, 470, 0x2B5BB8, 0x6B3FA8, 120},
    {610, {150, 30}, {640, 1700}, {420, 640}, 420, 0x1F6FB5, 0xA8438F, 110},
    {700, {140, 44}, {760, 1240}, {380, 820}, 380, 0x1C5FA0, 0xD8506A, 120},
    {800, {120, 38}, {690, 1600}, {330, 80}, 330, 0x1A3F86, 0xF07B4A, 130},
    {900, {100, 30}, {820, 1410}, {300, 420}, 300, 0x152A66, 0xF6A55C, 120},
};

typedef struct Column { // one sheet at one column
    int32_t Edge;       // 1/16 pixel from the top
    int32_t Strength;   // 0..65536
    int32_t R, G, B;    // 1/256
} Column;

static const uint8_t bayer[8][8] = {
    {0, 32, 8, 40, 2, 34, 10, 42},  {48, 16, 56, 24, 50, 18, 58, 26},
    {12, 44, 4, 36, 14, 46, 6, 38}, {60, 28, 52, 20, 62, 30, 54, 22},
    {3, 35, 11, 43, 1, 33, 9, 41},  {51, 19, 59, 27, 49, 17, 57, 25},
    {15, 47, 7, 39, 13, 45, 5, 37}, {63, 31, 55, 23, 61, 29, 53, 21},
};

static int32_t Sine(int64_t turn1024)
{
    return WiSine[turn1024 & 1023];
}

// a to b as at goes from 0 to range.
static int32_t Between(int32_t a, int32_t b, int64_t at, int64_t range)
{
    return a + (int32_t)((b - a) * at / range);
}

static void PrepareColumn(const Sheet *sheet, int32_t x, int32_t width, int32_t height,
                          Column *column)
{
    int64_t edge = (int64_t)sheet->Base << 14;
    for (int i = 0; i < 2; i++) {
        int64_t turn = sheet->Phase[i] * 64 + (int64_t)sheet->Frequency[i] * 64 * x / width;
        int64_t fraction = turn & 63;
        edge += sheet->Amplitude[i] *
                (Sine(turn >> 6) * (64 - fraction) + Sine((turn >> 6) + 1) * fraction) / 64;
    }
    column->Edge = (int32_t)(edge * height * 16 / 1024 >> 14);
    column->Strength = sheet->Strength * Between(150, 256, x, width);
    column->R = Between((int32_t)(sheet->Left >> 16 & 255) << 8,
                        (int32_t)(sheet->Right >> 16 & 255) << 8, x, width);
    column->G = Between((int32_t)(sheet->Left >> 8 & 255) << 8,
                        (int32_t)(sheet->Right >> 8 & 255) << 8, x, width);
    column->B =
        Between((int32_t)(sheet->Left & 255) << 8, (int32_t)(sheet->Right & 255) << 8, x, width);
}

// fade[i] falls from 256 to 0, steeply at first.
static void PrepareFade(uint16_t fade[FadeSteps])
{
    for (int32_t i = 0; i < FadeSteps; i++) {
        int32_t rest = FadeSteps - i;
        fade[i] = (uint16_t)((rest * rest / FadeSteps + (i < 24 ? (24 - i) * (24 - i) / 10 : 0)) *
                             256 / 313);
    }
}

// A strip of TileWidth columns. Colors are computed at every other one, with one more beyond the
// strip, and interpolated between: the edges run nearly level, so nothing is lost.
typedef struct Tile {
    Column Columns[SheetCount][Samples];
    int32_t Top[SheetCount], Bottom[SheetCount]; // rows each sheet touches
    int32_t Scale[SheetCount]; // from 1/16 pixel below the edge to a fade step, 20 bits of fraction
    uint16_t Fade[FadeSteps];
} Tile;

static void PrepareTile(Tile *tile, int32_t left, int32_t width, int32_t height)
{
    for (int s = 0; s < SheetCount; s++) {
        int32_t low = INT32_MAX, high = INT32_MIN;
        for (int32_t i = 0; i < Samples; i++) {
            Column *column = &tile->Columns[s][i];
            PrepareColumn(&sheets[s], left + i * SampleStep, width, height, column);
            low = RTL_MIN(low, column->Edge);
            high = RTL_MAX(high, column->Edge);
        }
        tile->Top[s] = low / 16;
        tile->Bottom[s] = high / 16 + 2 + (int32_t)((int64_t)sheets[s].Depth * height / 1024);
    }
}

// A color in channels of 8.8 bits.
typedef struct Shade {
    int32_t R, G, B;
} Shade;

static void AddSheet(const Column *column, int32_t scale, const uint16_t *fade, int32_t y,
                     Shade *shade)
{
    int32_t below = y * 16 - column->Edge;
    if (below < 0)
        return;
    int32_t step = (int32_t)((int64_t)below * scale >> 20);
    if (step >= FadeSteps)
        return;
    int32_t alpha = column->Strength * fade[step] >> 8;
    if (below < 16)
        alpha = alpha * below >> 4;
    alpha >>= 2; // 14 bits: the products fit into 32
    shade->R += (column->R - shade->R) * alpha >> 14;
    shade->G += (column->G - shade->G) * alpha >> 14;
    shade->B += (column->B - shade->B) * alpha >> 14;
}

// The samples of one row.
static void ShadeRow(const Tile *tile, int32_t y, int32_t height, Shade shades[Samples])
{
    Shade sky = {Between(0x0A00, 0x1C00, y, height), Between(0x0E00, 0x1A00, y, height),
                 Between(0x2400, 0x4400, y, height)};
    for (int32_t i = 0; i < Samples; i++)
        shades[i] = sky;
    for (int s = 0; s < SheetCount; s++)
        for (int32_t i = 0; i < Samples && y >= tile->Top[s] && y < tile->Bottom[s]; i++)
            AddSheet(&tile->Columns[s][i], tile->Scale[s], tile->Fade, y, &shades[i]);
}

// No channel of the palette comes near 255: the dither overflows nothing.
static void DitherRow(const Shade shades[Samples], const uint8_t dither[8], uint32_t *row,
                      int32_t count)
{
    static_assert(SampleStep == 2, "one more bit of fraction");
    for (int32_t x = 0; x < count; x++) {
        const Shade *left = &shades[x / 2], *right = &shades[(x + 1) / 2];
        int32_t add = dither[x & 7] * 8;
        uint32_t r = (uint32_t)(left->R + right->R + add), g = (uint32_t)(left->G + right->G + add),
                 b = (uint32_t)(left->B + right->B + add);
        row[x] = r >> 9 << 16 | g >> 9 << 8 | b >> 9;
    }
}

void WiPaintWallpaper(const GfxSurface *to)
{
    Tile tile;
    Shade shades[Samples];
    int32_t width = GfxWidth(to->Bounds), height = GfxHeight(to->Bounds);
    PrepareFade(tile.Fade);
    for (int s = 0; s < SheetCount; s++)
        tile.Scale[s] =
            (int32_t)(((int64_t)FadeSteps << 20) * 1024 / ((int64_t)sheets[s].Depth * height * 16));
    for (int32_t left = 0; left < width; left += TileWidth) {
        int32_t count = RTL_MIN(TileWidth, width - left);
        PrepareTile(&tile, left, width, height);
        for (int32_t y = 0; y < height; y++) {
            ShadeRow(&tile, y, height, shades);
            DitherRow(shades, bayer[y & 7], to->Pixels + (size_t)y * to->Stride + left, count);
        }
    }
}
