// draw.c - fills, copies, blends, round rectangles, shadows and pictures.
//
// Whole rows go through `rep movsq` and `rep stosq`: the kernel, whose window system lives on this,
// has no vector registers, and these move eight bytes an instruction (much more on processors with
// fast string moves).
// SPDX-License-Identifier: MIT
#include "gfx/gfx.h"

GfxSurface GfxClip(const GfxSurface *surface, Rect rect)
{
    Rect r = GfxIntersect(surface->Bounds, rect);
    if (GfxIsEmpty(r))
        return (GfxSurface){.Pixels = surface->Pixels, .Stride = surface->Stride};
    return (GfxSurface){
        .Pixels = GfxPixel(surface, r.Left, r.Top), .Stride = surface->Stride, .Bounds = r};
}

#if !defined(METALOS_NATIVE)
void GfxCopyPixels(uint32_t *to, const uint32_t *from, size_t count)
{
    size_t pairs = count / 2;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(pairs) : : "memory");
    if (count & 1)
        *to = *from;
}

void GfxSetPixels(uint32_t *to, uint32_t color, size_t count)
{
    size_t pairs = count / 2;
    __asm__ volatile("rep stosq"
                     : "+D"(to), "+c"(pairs)
                     : "a"((uint64_t)color << 32 | color)
                     : "memory");
    if (count & 1)
        *to = color;
}
#else
// The sanitizers see into these.
void GfxCopyPixels(uint32_t *to, const uint32_t *from, size_t count)
{
    memcpy(to, from, count * 4);
}

void GfxSetPixels(uint32_t *to, uint32_t color, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = color;
}
#endif

void GfxCopyPixelsSwapped(uint32_t *to, const uint32_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t p = from[i];
        to[i] = (p & 0xFF) << 16 | (p & 0xFF00) | (p >> 16 & 0xFF);
    }
}

void GfxFill(const GfxSurface *to, Rect rect, uint32_t color)
{
    Rect r = GfxIntersect(to->Bounds, rect);
    for (int32_t y = r.Top; y < r.Bottom && r.Left < r.Right; y++)
        GfxSetPixels(GfxPixel(to, r.Left, y), color, (size_t)GfxWidth(r));
}

static void TintRow(uint32_t *p, size_t count, uint32_t color, uint32_t alpha)
{
    for (size_t i = 0; i < count; i++)
        p[i] = GfxMix(p[i], color, alpha);
}

// One row of a plain color, blended only when it has to be.
static void PaintRow(uint32_t *p, size_t count, uint32_t color, uint32_t alpha)
{
    if (alpha >= 256)
        GfxSetPixels(p, color, count);
    else if (alpha > 0)
        TintRow(p, count, color, alpha);
}

void GfxTint(const GfxSurface *to, Rect rect, uint32_t color, uint32_t alpha)
{
    Rect r = GfxIntersect(to->Bounds, rect);
    for (int32_t y = r.Top; y < r.Bottom && r.Left < r.Right; y++)
        PaintRow(GfxPixel(to, r.Left, y), (size_t)GfxWidth(r), color, alpha);
}

static uint32_t GradientColor(Rect rect, int32_t y, uint32_t a, uint32_t b)
{
    int32_t height = GfxHeight(rect);
    return height <= 1 ? a : GfxMix(a, b, (uint32_t)((int64_t)(y - rect.Top) * 256 / (height - 1)));
}

void GfxFillGradient(const GfxSurface *to, Rect rect, uint32_t a, uint32_t b)
{
    Rect r = GfxIntersect(to->Bounds, rect);
    for (int32_t y = r.Top; y < r.Bottom && r.Left < r.Right; y++)
        GfxSetPixels(GfxPixel(to, r.Left, y), GradientColor(rect, y, a, b), (size_t)GfxWidth(r));
}

void GfxCopy(const GfxSurface *to, Rect rect, const GfxSurface *from)
{
    Rect r = GfxIntersect(GfxIntersect(to->Bounds, rect), from->Bounds);
    if (GfxIsEmpty(r))
        return;
    size_t width = (size_t)GfxWidth(r);
    uint32_t *p = GfxPixel(to, r.Left, r.Top);
    const uint32_t *source = GfxPixel(from, r.Left, r.Top);
    for (int32_t y = r.Top; y < r.Bottom; y++, p += to->Stride, source += from->Stride)
        GfxCopyPixels(p, source, width);
}

// How much (0..255) of pixel (x, y) lies inside the round rectangle; it lies in the plain one.
static uint32_t CornerCoverage(Rect rect, int32_t radius, int32_t x, int32_t y)
{
    int32_t dx = x < rect.Left + radius     ? x - rect.Left
                 : x >= rect.Right - radius ? rect.Right - 1 - x
                                            : radius;
    int32_t dy = y < rect.Top + radius       ? y - rect.Top
                 : y >= rect.Bottom - radius ? rect.Bottom - 1 - y
                                             : radius;
    return dx >= radius || dy >= radius ? 255 : GfxCorners[radius][dy * radius + dx];
}

// A radius the rectangle has room for and there is a table of.
static int32_t FitRadius(Rect rect, int32_t radius)
{
    return RTL_MAX(0, RTL_MIN(RTL_MIN(radius, 16), RTL_MIN(GfxWidth(rect), GfxHeight(rect)) / 2));
}

void GfxRoundGradient(const GfxSurface *to, Rect rect, int32_t radius, uint32_t a, uint32_t b,
                      uint32_t alpha)
{
    Rect r = GfxIntersect(to->Bounds, rect);
    if (GfxIsEmpty(r))
        return;
    radius = FitRadius(rect, radius);
    for (int32_t y = r.Top; y < r.Bottom; y++) {
        uint32_t color = GradientColor(rect, y, a, b);
        bool corner = y < rect.Top + radius || y >= rect.Bottom - radius;
        int32_t inner = corner ? radius : 0;
        int32_t left = RTL_MAX(r.Left, RTL_MIN(r.Right, rect.Left + inner));
        int32_t right = RTL_MAX(left, RTL_MIN(r.Right, rect.Right - inner));
        for (int32_t x = r.Left; x < left; x++) {
            uint32_t *p = GfxPixel(to, x, y);
            *p = GfxMix(*p, color, alpha * CornerCoverage(rect, radius, x, y) / 255);
        }
        if (right > left)
            PaintRow(GfxPixel(to, left, y), (size_t)(right - left), color, alpha);
        for (int32_t x = right; x < r.Right; x++) {
            uint32_t *p = GfxPixel(to, x, y);
            *p = GfxMix(*p, color, alpha * CornerCoverage(rect, radius, x, y) / 255);
        }
    }
}

void GfxRoundRect(const GfxSurface *to, Rect rect, int32_t radius, uint32_t color, uint32_t alpha)
{
    GfxRoundGradient(to, rect, radius, color, color, alpha);
}

// The outline inside one radius x radius corner of rect.
static void FrameCorner(const GfxSurface *to, Rect rect, int32_t radius, int32_t left, int32_t top,
                        uint32_t color, uint32_t alpha)
{
    Rect inner = GfxInflate(rect, -1);
    Rect r = GfxIntersect(to->Bounds, (Rect){left, top, left + radius, top + radius});
    for (int32_t y = r.Top; y < r.Bottom; y++)
        for (int32_t x = r.Left; x < r.Right; x++) {
            uint32_t outside = CornerCoverage(rect, radius, x, y), inside = 0;
            if (GfxContainsPoint(inner, x, y))
                inside = radius > 1 ? CornerCoverage(inner, radius - 1, x, y) : 255;
            uint32_t *p = GfxPixel(to, x, y);
            if (outside > inside)
                *p = GfxMix(*p, color, alpha * (outside - inside) / 255);
        }
}

void GfxRoundFrame(const GfxSurface *to, Rect rect, int32_t radius, uint32_t color, uint32_t alpha)
{
    radius = FitRadius(rect, radius);
    if (!GfxOverlap(to->Bounds, rect) ||
        GfxContains(GfxInflate(rect, -RTL_MAX(1, radius)), to->Bounds))
        return;
    int32_t left = rect.Left + radius, right = rect.Right - radius;
    int32_t top = rect.Top + radius, bottom = rect.Bottom - radius;
    GfxTint(to, (Rect){left, rect.Top, right, rect.Top + 1}, color, alpha);
    GfxTint(to, (Rect){left, rect.Bottom - 1, right, rect.Bottom}, color, alpha);
    GfxTint(to, (Rect){rect.Left, top, rect.Left + 1, bottom}, color, alpha);
    GfxTint(to, (Rect){rect.Right - 1, top, rect.Right, bottom}, color, alpha);
    FrameCorner(to, rect, radius, rect.Left, rect.Top, color, alpha);
    FrameCorner(to, rect, radius, right, rect.Top, color, alpha);
    FrameCorner(to, rect, radius, rect.Left, bottom, color, alpha);
    FrameCorner(to, rect, radius, right, bottom, color, alpha);
}

enum { ShadowColumns = 128 }; // worked on at once

// The blurred box's coverage along one axis, 0..255.
static uint32_t ShadowAt(int32_t at, int32_t low, int32_t high)
{
    int32_t d = RTL_MIN(at - low, high - 1 - at) + GFX_SHADOW_RADIUS;
    return d < 0 ? 0 : GfxShadowProfile[RTL_MIN(d, 2 * GFX_SHADOW_RADIUS - 1)];
}

// At most ShadowColumns wide.
static void ShadowStrip(const GfxSurface *to, Rect r, Rect box, uint32_t strength)
{
    uint8_t columns[ShadowColumns];
    int32_t width = GfxWidth(r);
    for (int32_t x = 0; x < width; x++)
        columns[x] = (uint8_t)ShadowAt(r.Left + x, box.Left, box.Right);
    for (int32_t y = r.Top; y < r.Bottom; y++) {
        uint32_t row = ShadowAt(y, box.Top, box.Bottom) * strength >> 8;
        uint32_t *p = GfxPixel(to, r.Left, y);
        for (int32_t x = 0; x < width && row != 0; x++) {
            uint32_t keep = 256 - (columns[x] * row >> 8);
            p[x] = ((p[x] & 0xFF00FF) * keep >> 8 & 0xFF00FF) |
                   ((p[x] & 0x00FF00) * keep >> 8 & 0x00FF00);
        }
    }
}

static void ShadowPiece(const GfxSurface *to, Rect r, Rect box, uint32_t strength)
{
    for (int32_t left = r.Left; left < r.Right; left += ShadowColumns) {
        int32_t right = RTL_MIN(r.Right, left + ShadowColumns);
        ShadowStrip(to, (Rect){left, r.Top, right, r.Bottom}, box, strength);
    }
}

void GfxShadow(const GfxSurface *to, Rect box, Rect hole, uint32_t strength)
{
    Rect pieces[4], r = GfxIntersect(to->Bounds, GfxInflate(box, GFX_SHADOW_RADIUS));
    size_t count = GfxIsEmpty(r) ? 0 : GfxSubtract(r, hole, pieces);
    for (size_t i = 0; i < count; i++)
        ShadowPiece(to, pieces[i], box, strength);
}

static void DrawPixel(uint32_t *p, uint32_t s)
{
    uint32_t a = s >> 24;
    if (a == 255) {
        *p = s & 0xFFFFFF;
    } else if (a > 0) {
        uint32_t keep = 256 - (a + (a >> 7));
        *p = (s & 0xFFFFFF) +
             (((*p & 0xFF00FF) * keep >> 8 & 0xFF00FF) | ((*p & 0x00FF00) * keep >> 8 & 0x00FF00));
    }
}

// Two pixels at a time where both are clear or both hide what is there, as most of a picture is.
static void DrawRow(uint32_t *p, const uint32_t *from, size_t count)
{
    constexpr uint64_t opaque = 0xFF000000FF000000ull;
    for (; count >= 2; p += 2, from += 2, count -= 2) {
        uint64_t pair;
        __builtin_memcpy(&pair, from, sizeof pair);
        if ((pair & opaque) == opaque) {
            pair &= ~opaque;
            __builtin_memcpy(p, &pair, sizeof pair);
        } else if (pair != 0) {
            DrawPixel(p, from[0]);
            DrawPixel(p + 1, from[1]);
        }
    }
    if (count > 0)
        DrawPixel(p, *from);
}

void GfxDrawImage(const GfxSurface *to, int32_t x, int32_t y, const GfxImage *image)
{
    Rect r = GfxIntersect(to->Bounds, (Rect){x, y, x + image->Width, y + image->Height});
    if (GfxIsEmpty(r))
        return;
    size_t width = (size_t)GfxWidth(r);
    uint32_t *p = GfxPixel(to, r.Left, r.Top);
    const uint32_t *from = image->Pixels + (r.Top - y) * image->Width + (r.Left - x);
    for (int32_t py = r.Top; py < r.Bottom; py++, p += to->Stride, from += image->Width)
        DrawRow(p, from, width);
}

void GfxDrawSymbol(const GfxSurface *to, int32_t x, int32_t y, const GfxImage *image,
                   uint32_t color, uint32_t alpha)
{
    Rect r = GfxIntersect(to->Bounds, (Rect){x, y, x + image->Width, y + image->Height});
    for (int32_t py = r.Top; py < r.Bottom && r.Left < r.Right; py++)
        for (int32_t px = r.Left; px < r.Right; px++) {
            uint32_t a = image->Pixels[(py - y) * image->Width + (px - x)] >> 24;
            uint32_t *p = GfxPixel(to, px, py);
            *p = GfxMix(*p, color, a * alpha / 255);
        }
}
