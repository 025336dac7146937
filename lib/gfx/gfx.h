// gfx.h - rectangles, regions, surfaces and everything that puts pixels into them. Pure code, for
// the window system and for programs that draw.
//
// All coordinates are the screen's. A surface is a piece of the screen held somewhere in memory;
// every drawing function clips to its bounds, so a caller never has to.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "rtl/rtl.h"

// ---- rectangles. An empty one has Left >= Right or Top >= Bottom.
static inline bool GfxIsEmpty(Rect r)
{
    return r.Left >= r.Right || r.Top >= r.Bottom;
}
static inline Rect GfxIntersect(Rect a, Rect b)
{
    return (Rect){RTL_MAX(a.Left, b.Left), RTL_MAX(a.Top, b.Top), RTL_MIN(a.Right, b.Right),
                  RTL_MIN(a.Bottom, b.Bottom)};
}
static inline bool GfxOverlap(Rect a, Rect b)
{
    return !GfxIsEmpty(GfxIntersect(a, b));
}
static inline bool GfxContains(Rect outer, Rect inner)
{
    return inner.Left >= outer.Left && inner.Top >= outer.Top && inner.Right <= outer.Right &&
           inner.Bottom <= outer.Bottom;
}
static inline bool GfxContainsPoint(Rect r, int32_t x, int32_t y)
{
    return x >= r.Left && x < r.Right && y >= r.Top && y < r.Bottom;
}
static inline int32_t GfxWidth(Rect r)
{
    return r.Right - r.Left;
}
static inline int32_t GfxHeight(Rect r)
{
    return r.Bottom - r.Top;
}
static inline Rect GfxInflate(Rect r, int32_t by)
{
    return (Rect){r.Left - by, r.Top - by, r.Right + by, r.Bottom + by};
}
// The parts of `from` outside `hole`, disjoint; at most 4. Returns their number.
size_t GfxSubtract(Rect from, Rect hole, Rect pieces[4]);

// ---- regions: a set of pixels as disjoint rectangles. When one needs more rectangles than fit it
// grows to its bounding rectangle, so it always covers at least what was added.
#define GFX_REGION_CAPACITY 48
typedef struct GfxRegion {
    size_t Count;
    Rect Rects[GFX_REGION_CAPACITY];
} GfxRegion;
void GfxRegionAdd(GfxRegion *region, Rect rect);

// ---- surfaces: 0x00RRGGBB pixels of the screen part Bounds, the first at (Left, Top).
typedef struct GfxSurface {
    uint32_t *Pixels;
    size_t Stride; // pixels
    Rect Bounds;
} GfxSurface;
static inline uint32_t *GfxPixel(const GfxSurface *surface, int32_t x, int32_t y)
{
    return surface->Pixels + (size_t)(y - surface->Bounds.Top) * surface->Stride +
           (size_t)(x - surface->Bounds.Left);
}
// The part of surface inside rect.
GfxSurface GfxClip(const GfxSurface *surface, Rect rect);

// dst + (src - dst) * alpha / 256 in each channel.
static inline uint32_t GfxMix(uint32_t dst, uint32_t src, uint32_t alpha)
{
    uint32_t rb = dst & 0xFF00FF, g = dst & 0x00FF00;
    rb += (((src & 0xFF00FF) - rb) * alpha) >> 8;
    g += (((src & 0x00FF00) - g) * alpha) >> 8;
    return (rb & 0xFF00FF) | (g & 0x00FF00);
}

void GfxCopyPixels(uint32_t *to, const uint32_t *from, size_t count);
// The same with red and blue exchanged, for RGBX frame buffers.
void GfxCopyPixelsSwapped(uint32_t *to, const uint32_t *from, size_t count);
void GfxSetPixels(uint32_t *to, uint32_t color, size_t count);

void GfxFill(const GfxSurface *to, Rect rect, uint32_t color);
void GfxTint(const GfxSurface *to, Rect rect, uint32_t color, uint32_t alpha); // alpha 0..256
// From color a at the top of rect to b at its bottom.
void GfxFillGradient(const GfxSurface *to, Rect rect, uint32_t a, uint32_t b);
void GfxCopy(const GfxSurface *to, Rect rect, const GfxSurface *from); // what both hold of rect
// A rectangle with round corners, radius 0..16, alpha 0..256.
void GfxRoundRect(const GfxSurface *to, Rect rect, int32_t radius, uint32_t color, uint32_t alpha);
void GfxRoundGradient(const GfxSurface *to, Rect rect, int32_t radius, uint32_t a, uint32_t b,
                      uint32_t alpha);
// The outline, one pixel wide, of that rectangle (inside its edge).
void GfxRoundFrame(const GfxSurface *to, Rect rect, int32_t radius, uint32_t color, uint32_t alpha);
// The shadow of a box: strength 0..256, only outside of `hole`.
#define GFX_SHADOW_RADIUS 32
void GfxShadow(const GfxSurface *to, Rect box, Rect hole, uint32_t strength);

// ---- pictures (premultiplied 0xAARRGGBB)
typedef struct GfxImage {
    int32_t Width, Height;
    const uint32_t *Pixels;
} GfxImage;
void GfxDrawImage(const GfxSurface *to, int32_t x, int32_t y, const GfxImage *image);
// The picture's shape in one color.
void GfxDrawSymbol(const GfxSurface *to, int32_t x, int32_t y, const GfxImage *image,
                   uint32_t color, uint32_t alpha);

// ---- text
typedef struct GfxGlyph {
    uint32_t Offset; // of the coverage bytes
    int16_t Advance; // 1/64 pixel
    int16_t X, Y;    // of the bitmap, from the pen on the baseline
    uint8_t Width, Height;
} GfxGlyph;
typedef struct GfxFont {
    uint32_t Count;
    int32_t Ascent, Descent;
    const uint16_t *Points; // ascending code points
    const GfxGlyph *Glyphs; // four per point: at sub-pixel 0, 1/4, 1/2, 3/4
    const int8_t *Kerning;  // 95 x 95, 1/64 pixel, for ASCII from the blank on
    const uint8_t *Bitmaps;
} GfxFont;
// Width in pixels, rounded up.
int32_t GfxMeasureText(const GfxFont *font, const char *text, size_t length);
// UTF-8 text from the pen position (x, baseline); cut with an ellipsis when wider than width
// pixels.
void GfxDrawText(const GfxSurface *to, const GfxFont *font, int32_t x, int32_t baseline,
                 int32_t width, const char *text, size_t length, uint32_t color, uint32_t alpha);
// The baseline that centres the font's capitals on the rows top..bottom.
int32_t GfxCenterBaseline(const GfxFont *font, int32_t top, int32_t bottom);

typedef struct GfxCellFont {
    int32_t Width, Height;
    const uint8_t *Bitmaps; // 95 cells, from the blank on
} GfxCellFont;

// ---- generated by tools/fontgen
extern const GfxFont GfxFontText, GfxFontTitle, GfxFontSmall, GfxFontLarge;
extern const GfxCellFont GfxFontCell;
extern const uint8_t *const GfxCorners[17]; // [radius][y * radius + x], 255: inside
extern const uint8_t GfxShadowProfile[2 * GFX_SHADOW_RADIUS];
