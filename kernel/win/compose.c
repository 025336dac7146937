// compose.c - bringing the screen up to date.
//
// The desktop is a pile of layers: pointer, switcher, menu, panel, windows, wallpaper. Every layer
// can paint any part of itself at any time, so nothing is kept between compositions but the damage:
// the region whose pixels may be wrong. A damaged rectangle is taken from the top of the pile
// downwards and cut at the edges of what it meets until each piece has one opaque layer at its
// bottom. A piece with nothing above that layer is copied from its memory straight to the frame
// buffer - the usual case for a program that shows a frame. The others are painted upwards from the
// opaque layer in scratch memory and then copied, so that the frame buffer is only written, each
// pixel once, and nothing flickers.
// SPDX-License-Identifier: MIT
#include "desk.h"
#include "hal.h"

enum {
    WorkCapacity = 96,
    SmallPiece = 1024, // pixels; painting over costs less than cutting
};

typedef struct Work {
    Rect Rect;
    size_t Layer; // layers above this one have been looked at
} Work;

static void AddLayer(WiDesk *desk, Rect area, WiLayer layer)
{
    if (GfxOverlap(layer.Bounds, area) && desk->LayerCount < RTL_COUNT_OF(desk->Layers))
        desk->Layers[desk->LayerCount++] = layer;
}

// A card with round corners and a shadow.
static WiLayer CardLayer(WiLayerKind kind, Rect r)
{
    return (WiLayer){.Kind = kind,
                     .Bounds = WiCardBounds(r),
                     .Opaque = {{r.Left, r.Top + 14, r.Right, r.Bottom - 14}},
                     .OpaqueCount = 1};
}

static void AddOpaque(WiLayer *layer, Rect rect)
{
    if (!GfxIsEmpty(rect))
        layer->Opaque[layer->OpaqueCount++] = rect;
}

static WiLayer WindowLayer(WiWindow *window)
{
    WiLayer layer = {.Kind = LayerWindow, .Window = window, .Bounds = WiWindowBounds(window)};
    Rect client = window->Client, outer = WiOuterRect(window);
    if (!(window->Flags & WindowFrame)) {
        AddOpaque(&layer, client);
        return layer;
    }
    int32_t radius = WI_FRAME_RADIUS;
    AddOpaque(&layer, (Rect){client.Left, client.Top, client.Right, client.Bottom - radius});
    AddOpaque(&layer, (Rect){client.Left + radius, RTL_MAX(client.Top, client.Bottom - radius),
                             client.Right - radius, client.Bottom});
    AddOpaque(&layer, (Rect){outer.Left, outer.Top + radius, outer.Right, client.Top});
    AddOpaque(&layer,
              (Rect){outer.Left + radius, outer.Top, outer.Right - radius, outer.Top + radius});
    return layer;
}

// The pile, topmost first, as far as it touches area.
static void BuildLayers(WiDesk *desk, Rect area)
{
    desk->LayerCount = 0;
    if (desk->PointerShown && desk->PointerPainted)
        AddLayer(desk, area, (WiLayer){.Kind = LayerPointer, .Bounds = WiPointerRect(desk)});
    if (desk->Notice[0] != '\0')
        AddLayer(desk, area, CardLayer(LayerNotice, WiNoticeRect(desk)));
    if (desk->SwitcherOpen)
        AddLayer(desk, area, CardLayer(LayerSwitcher, WiSwitcherRect(desk)));
    if (desk->MenuOpen)
        AddLayer(desk, area, CardLayer(LayerMenu, WiMenuRect(desk)));
    if (WiPanelShown(desk)) {
        Rect panel = WiPanelRect(desk);
        AddLayer(
            desk, area,
            (WiLayer){.Kind = LayerPanel, .Bounds = panel, .Opaque = {panel}, .OpaqueCount = 1});
    }
    RTL_FOR_EACH (entry, &desk->Windows)
        AddLayer(desk, area, WindowLayer(RTL_CONTAINER_OF(entry, WiWindow, Link)));
}

static void PaintLayer(WiDesk *desk, const WiLayer *layer, const GfxSurface *to)
{
    switch (layer->Kind) {
    case LayerPointer:
        GfxDrawImage(to, layer->Bounds.Left, layer->Bounds.Top, WiPointers[desk->Pointer]);
        break;
    case LayerNotice:
        WiPaintNotice(desk, to);
        break;
    case LayerSwitcher:
        WiPaintSwitcher(desk, to);
        break;
    case LayerMenu:
        WiPaintMenu(desk, to);
        break;
    case LayerPanel:
        WiPaintPanel(desk, to);
        break;
    case LayerWindow:
        WiPaintWindow(desk, layer->Window, to);
        break;
    }
}

enum { LongRow = 128 }; // pixels

static void CopyRow(const WiDesk *desk, uint32_t *to, const uint32_t *from, size_t count)
{
    if (desk->SwapOutput)
        GfxCopyPixelsSwapped(to, from, count);
    else if (count < LongRow)
        GfxCopyPixels(to, from, count);
    else
        HalCopy(to, from, count * sizeof(*to));
}

// rect of `from`, which holds all of it, to the frame buffer.
static void CopyOut(WiDesk *desk, Rect rect, const GfxSurface *from)
{
    size_t width = (size_t)GfxWidth(rect), rows = (size_t)GfxHeight(rect);
    if (width == desk->Output.Stride && width == from->Stride) {
        width *= rows; // one long row
        rows = 1;
    }
    uint32_t *p = GfxPixel(&desk->Output, rect.Left, rect.Top);
    const uint32_t *source = GfxPixel(from, rect.Left, rect.Top);
    for (; rows > 0; rows--, p += desk->Output.Stride, source += from->Stride)
        CopyRow(desk, p, source, width);
}

// Paints rect from layer `base` (LayerCount: the wallpaper) upwards.
static void Blend(WiDesk *desk, Rect rect, size_t base)
{
    int32_t width = GfxWidth(rect), rows = (int32_t)(desk->ScratchPixels / (size_t)width);
    for (int32_t top = rect.Top; top < rect.Bottom; top += rows) {
        GfxSurface tile = {
            .Pixels = desk->Scratch,
            .Stride = (size_t)width,
            .Bounds = {rect.Left, top, rect.Right, RTL_MIN(rect.Bottom, top + rows)}};
        if (base == desk->LayerCount)
            WiPaintGround(desk, &tile);
        for (size_t i = RTL_MIN(base + 1, desk->LayerCount); i-- > 0;)
            if (GfxOverlap(desk->Layers[i].Bounds, tile.Bounds))
                PaintLayer(desk, &desk->Layers[i], &tile);
        CopyOut(desk, tile.Bounds, &tile);
    }
    desk->Counters.PixelsBlended += (uint64_t)width * (uint64_t)GfxHeight(rect);
}

// Layer `base` is opaque all over rect.
static void Finish(WiDesk *desk, Rect rect, size_t base)
{
    bool plain = true;
    for (size_t i = 0; i < base && plain; i++)
        plain = !GfxOverlap(desk->Layers[i].Bounds, rect);
    GfxSurface from = desk->Wallpaper;
    if (base < desk->LayerCount) {
        const WiWindow *window = desk->Layers[base].Window;
        plain = plain && window != nullptr && GfxContains(window->Client, rect);
        if (plain)
            from = (GfxSurface){
                .Pixels = window->Pixels, .Stride = window->Stride, .Bounds = window->Client};
    }
    if (!plain || from.Pixels == nullptr) {
        Blend(desk, rect, base);
        return;
    }
    CopyOut(desk, rect, &from);
    desk->Counters.PixelsCopied += (uint64_t)GfxWidth(rect) * (uint64_t)GfxHeight(rect);
}

// Cuts work at the edges of `by`: false when there is nothing to cut, no room for the pieces, or
// when it is not worth it.
static bool Cut(Work *stack, size_t *count, Work work, Rect by)
{
    Rect pieces[4];
    if (GfxContains(by, work.Rect) ||
        (int64_t)GfxWidth(work.Rect) * GfxHeight(work.Rect) <= SmallPiece ||
        *count + 5 > WorkCapacity)
        return false;
    size_t n = GfxSubtract(work.Rect, by, pieces);
    for (size_t i = 0; i < n; i++)
        stack[(*count)++] = (Work){pieces[i], work.Layer};
    stack[(*count)++] = (Work){GfxIntersect(work.Rect, by), work.Layer};
    return true;
}

// One step: the topmost layer that matters either hides everything below, or cuts the piece, or
// lets it shine through.
static void Descend(WiDesk *desk, Work *stack, size_t *count, Work work)
{
    for (; work.Layer < desk->LayerCount; work.Layer++) {
        const WiLayer *layer = &desk->Layers[work.Layer];
        if (!GfxOverlap(layer->Bounds, work.Rect))
            continue;
        for (size_t i = 0; i < layer->OpaqueCount; i++) {
            if (!GfxOverlap(layer->Opaque[i], work.Rect))
                continue;
            if (GfxContains(layer->Opaque[i], work.Rect)) {
                Finish(desk, work.Rect, work.Layer);
                return;
            }
            if (Cut(stack, count, work, layer->Opaque[i]))
                return;
        }
        if (Cut(stack, count, work, layer->Bounds))
            return;
    }
    Finish(desk, work.Rect, desk->LayerCount);
}

void WiDeskCompose(WiDesk *desk)
{
    if (desk->Output.Pixels == nullptr)
        desk->Damage.Count = 0;
    if (desk->Damage.Count == 0)
        return;
    Rect area = desk->Damage.Rects[0];
    for (size_t i = 1; i < desk->Damage.Count; i++) {
        Rect r = desk->Damage.Rects[i];
        area = (Rect){RTL_MIN(area.Left, r.Left), RTL_MIN(area.Top, r.Top),
                      RTL_MAX(area.Right, r.Right), RTL_MAX(area.Bottom, r.Bottom)};
    }
    BuildLayers(desk, area);
    Work stack[WorkCapacity];
    for (size_t i = 0; i < desk->Damage.Count; i++) {
        size_t count = 1;
        stack[0] = (Work){desk->Damage.Rects[i], 0};
        while (count > 0)
            Descend(desk, stack, &count, stack[--count]);
    }
    desk->Damage.Count = 0;
    desk->Counters.Compositions++;
}

void WiDeskPaintAll(WiDesk *desk, const GfxSurface *to)
{
    BuildLayers(desk, to->Bounds);
    WiPaintGround(desk, to);
    for (size_t i = desk->LayerCount; i-- > 0;)
        PaintLayer(desk, &desk->Layers[i], to);
}
