// region.c - rectangles taken apart, and the damage list made of them.
// SPDX-License-Identifier: MIT
#include "draw.h"

size_t WiSubtract(Rect from, Rect hole, Rect pieces[4])
{
    size_t count = 0;
    hole = WiIntersect(from, hole);
    if (WiIsEmpty(hole)) {
        if (!WiIsEmpty(from))
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

static void GrowToBounds(WiRegion *region, Rect rect)
{
    for (size_t i = 0; i < region->Count; i++)
        rect = Bound(rect, region->Rects[i]);
    region->Rects[0] = rect;
    region->Count = 1;
}

// Cuts the new rectangle by those already there; what is left of it, in up to WI_REGION_CAPACITY
// pieces, is appended.
void WiRegionAdd(WiRegion *region, Rect rect)
{
    if (WiIsEmpty(rect))
        return;
    Rect left[WI_REGION_CAPACITY], pieces[4];
    size_t count = 1;
    left[0] = rect;
    for (size_t i = 0; i < region->Count;) {
        Rect old = region->Rects[i];
        if (WiContains(old, rect))
            return;
        if (WiContains(rect, old)) {
            region->Rects[i] = region->Rects[--region->Count];
            continue;
        }
        i++;
    }
    for (size_t i = 0; i < region->Count && count > 0; i++) {
        for (size_t j = 0; j < count;) {
            if (!WiOverlap(left[j], region->Rects[i])) {
                j++;
                continue;
            }
            size_t n = WiSubtract(left[j], region->Rects[i], pieces);
            left[j] = left[--count];
            if (count + n > WI_REGION_CAPACITY) {
                GrowToBounds(region, rect);
                return;
            }
            for (size_t k = 0; k < n; k++)
                left[count++] = pieces[k];
        }
    }
    if (region->Count + count > WI_REGION_CAPACITY) {
        GrowToBounds(region, rect);
        return;
    }
    for (size_t j = 0; j < count; j++)
        region->Rects[region->Count++] = left[j];
}
