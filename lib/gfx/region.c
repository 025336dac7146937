// region.c - rectangles taken apart, and the damage list made of them.
// SPDX-License-Identifier: MIT
#include "gfx/gfx.h"

size_t GfxSubtract(Rect from, Rect hole, Rect pieces[4])
{
    size_t count = 0;
    hole = GfxIntersect(from, hole);
    if (GfxIsEmpty(hole)) {
        if (!GfxIsEmpty(from))
            pieces[count++] = from;
        return count;
    }
    if (from.Top < hole.Top)
        pieces[count++] = (Rect){from.Left, from.Top, from.Right, hole.Top};
    if (from.Left < hole.Left)
        pieces[count++] = (Rect){from.Left, hole.Top, hole.Left, hole.Bottom};
    if (hole.Right < from.Right)
        pieces[count++] = (Rect){hole.Right, hole.Top, from.Right, hole.Bottom};
    if (hole.Bottom < from.Bottom)
        pieces[count++] = (Rect){from.Left, hole.Bottom, from.Right, from.Bottom};
    return count;
}

static Rect Bound(Rect a, Rect b)
{
    return (Rect){RTL_MIN(a.Left, b.Left), RTL_MIN(a.Top, b.Top), RTL_MAX(a.Right, b.Right),
                  RTL_MAX(a.Bottom, b.Bottom)};
}

static void GrowToBounds(GfxRegion *region, Rect rect)
{
    for (size_t i = 0; i < region->Count; i++)
        rect = Bound(rect, region->Rects[i]);
    region->Rects[0] = rect;
    region->Count = 1;
}

// Cuts the new rectangle by those already there; what is left of it, in up to GFX_REGION_CAPACITY
// pieces, is appended.
void GfxRegionAdd(GfxRegion *region, Rect rect)
{
    if (GfxIsEmpty(rect))
        return;
    Rect left[GFX_REGION_CAPACITY], pieces[4];
    size_t count = 1;
    left[0] = rect;
    for (size_t i = 0; i < region->Count;) {
        Rect old = region->Rects[i];
        if (GfxContains(old, rect))
            return;
        if (GfxContains(rect, old)) {
            region->Rects[i] = region->Rects[--region->Count];
            continue;
        }
        i++;
    }
    for (size_t i = 0; i < region->Count && count > 0; i++) {
        for (size_t j = 0; j < count;) {
            if (!GfxOverlap(left[j], region->Rects[i])) {
                j++;
                continue;
            }
            size_t n = GfxSubtract(left[j], region->Rects[i], pieces);
            left[j] = left[--count];
            if (count + n > GFX_REGION_CAPACITY) {
                GrowToBounds(region, rect);
                return;
            }
            for (size_t k = 0; k < n; k++)
                left[count++] = pieces[k];
        }
    }
    if (region->Count + count > GFX_REGION_CAPACITY) {
        GrowToBounds(region, rect);
        return;
    }
    for (size_t j = 0; j < count; j++)
        region->Rects[region->Count++] = left[j];
}
