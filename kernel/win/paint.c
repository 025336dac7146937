// paint.c - how the desktop looks: colors, frames, panel, menu, switcher.
// SPDX-License-Identifier: MIT
#include "desk.h"

enum {
    Accent = 0xFF8A4C,
    Bright = 0xF3F5FA,
    Muted = 0x99A3B8,
    TitleTop = 0x333B52,
    TitleBottom = 0x272E42,
    TitleTopBack = 0x262B3A, // of windows without the focus
    TitleBottomBack = 0x20242F,
    CloseHover = 0xE5484D,
    ClosePressed = 0xB9373C,
    Card = 0x171C2C,
    Night = 0x0A0E1A,
};

static bool SameHit(WiHit a, WiHit b)
{
    return a.Part == b.Part && a.Window == b.Window && a.Index == b.Index;
}

static void Text(const GfxSurface *to, const GfxFont *font, Rect box, const char *text,
                 uint32_t color)
{
    GfxDrawText(to, font, box.Left, GfxCenterBaseline(font, box.Top, box.Bottom), GfxWidth(box),
                text, strlen(text), color, 256);
}

static void CenteredText(const GfxSurface *to, const GfxFont *font, Rect box, const char *text,
                         uint32_t color)
{
    box.Left += RTL_MAX(0, (GfxWidth(box) - GfxMeasureText(font, text, strlen(text))) / 2);
    Text(to, font, box, text, color);
}

static void CenteredImage(const GfxSurface *to, Rect box, const GfxImage *image)
{
    GfxDrawImage(to, box.Left + (GfxWidth(box) - image->Width) / 2,
                 box.Top + (GfxHeight(box) - image->Height) / 2, image);
}

// ---- ground

void WiPaintGround(const WiDesk *desk, const GfxSurface *to)
{
    if (desk->Wallpaper.Pixels != nullptr)
        GfxCopy(to, to->Bounds, &desk->Wallpaper);
    else
        GfxFillGradient(to, desk->Output.Bounds, 0x0E1430, 0x2A2450);
}

static void PaintPanelGround(const WiDesk *desk, const GfxSurface *to)
{
    Rect panel = WiPanelRect(desk);
    GfxTint(to, panel, Night, 196);
    GfxTint(to, (Rect){panel.Left, panel.Top, panel.Right, panel.Top + 1}, 0xFFFFFF, 30);
}

void WiPrepareWallpaper(const WiDesk *desk, const GfxSurface *wallpaper)
{
    WiPaintWallpaper(wallpaper);
    PaintPanelGround(desk, wallpaper);
}

// ---- windows

static void PaintTitle(const WiDesk *desk, const WiWindow *window, const GfxSurface *whole)
{
    Rect outer = WiOuterRect(window),
         bar = {outer.Left, outer.Top, outer.Right, window->Client.Top};
    GfxSurface to = GfxClip(whole, bar);
    if (GfxIsEmpty(to.Bounds))
        return;
    bool active = window == desk->Focus;
    Rect tall = {bar.Left, bar.Top, bar.Right, bar.Bottom + WI_FRAME_RADIUS};
    GfxRoundGradient(&to, tall, WI_FRAME_RADIUS, active ? TitleTop : TitleTopBack,
                     active ? TitleBottom : TitleBottomBack, 256);
    GfxRoundFrame(&to, tall, WI_FRAME_RADIUS, 0xFFFFFF, active ? 34 : 18);
    GfxTint(&to, (Rect){bar.Left, bar.Bottom - 1, bar.Right, bar.Bottom}, 0x000000, 90);

    Rect close = WiCloseRect(window);
    GfxDrawImage(&to, bar.Left + 11, bar.Top + (WI_TITLE_HEIGHT - 16) / 2,
                 WiIcons[window->Icon][Icon16]);
    GfxSurface text = GfxClip(&to, (Rect){bar.Left + 34, bar.Top, close.Left, bar.Bottom});
    Text(&text, &GfxFontTitle, (Rect){bar.Left + 35, bar.Top, close.Left - 6, bar.Bottom},
         window->Title, active ? Bright : Muted);

    WiHit hit = {.Part = PartClose,
                 .Window = window == desk->Hover.Window ? desk->Hover.Window : nullptr};
    bool hover = hit.Window != nullptr && SameHit(desk->Hover, hit);
    if (hover) {
        GfxSurface button = GfxClip(&to, close);
        Rect shape = {close.Left - WI_FRAME_RADIUS, tall.Top, close.Right, tall.Bottom};
        GfxRoundRect(&button, shape, WI_FRAME_RADIUS,
                     SameHit(desk->Pressed, hit) ? ClosePressed : CloseHover, 256);
    }
    GfxDrawSymbol(&to, close.Left + (GfxWidth(close) - 10) / 2,
                  close.Top + (WI_TITLE_HEIGHT - 10) / 2, &WiImageClose,
                  hover || active ? Bright : Muted, 256);
}

// The client area, its lower corners cut to the frame's shape.
static void PaintClient(const WiWindow *window, const GfxSurface *to)
{
    Rect client = window->Client, outer = WiOuterRect(window);
    GfxSurface from = {.Pixels = window->Pixels, .Stride = window->Stride, .Bounds = client};
    int32_t radius =
        window->Flags & WindowFrame
            ? RTL_MIN(WI_FRAME_RADIUS, RTL_MIN(GfxWidth(client), GfxHeight(client)) / 2)
            : 0;
    GfxCopy(to, (Rect){client.Left, client.Top, client.Right, client.Bottom - radius}, &from);
    GfxCopy(
        to,
        (Rect){client.Left + radius, client.Bottom - radius, client.Right - radius, client.Bottom},
        &from);
    Rect corners[2] = {
        {client.Left, client.Bottom - radius, client.Left + radius, client.Bottom},
        {client.Right - radius, client.Bottom - radius, client.Right, client.Bottom}};
    for (int i = 0; i < 2; i++) {
        Rect r = GfxIntersect(corners[i], to->Bounds);
        for (int32_t y = r.Top; y < r.Bottom; y++)
            for (int32_t x = r.Left; x < r.Right; x++) {
                int32_t dx = i == 0 ? x - outer.Left : outer.Right - 1 - x,
                        dy = outer.Bottom - 1 - y;
                uint32_t inside = GfxCorners[radius][dy * radius + dx], *p = GfxPixel(to, x, y);
                *p = GfxMix(*p, *GfxPixel(&from, x, y), inside + (inside >> 7));
            }
    }
}

void WiPaintWindow(const WiDesk *desk, const WiWindow *window, const GfxSurface *to)
{
    if (window->Flags & WindowFrame) {
        bool active = window == desk->Focus;
        Rect outer = WiOuterRect(window);
        Rect box = {outer.Left + 2, outer.Top + 12, outer.Right - 2, outer.Bottom + 10};
        Rect middle = {outer.Left, outer.Top + WI_FRAME_RADIUS, outer.Right,
                       outer.Bottom - WI_FRAME_RADIUS};
        GfxShadow(to, box, middle, active ? 190 : 110);
        GfxRoundFrame(to, GfxInflate(outer, 1), WI_FRAME_RADIUS + 1, 0x000000, active ? 130 : 100);
        PaintTitle(desk, window, to);
    }
    PaintClient(window, to);
}

// ---- panel

static void PaintTask(const WiDesk *desk, WiWindow *window, const GfxSurface *to)
{
    Rect r = WiTaskRect(desk, window);
    if (!GfxOverlap(r, to->Bounds))
        return;
    bool active = window == desk->Focus,
         hover = desk->Hover.Part == PartTask && desk->Hover.Window == window;
    GfxRoundRect(to, r, 7, 0xFFFFFF, (active ? 36u : 14u) + (hover ? 22u : 0u));
    GfxSurface inside = GfxClip(to, r);
    if (active)
        GfxRoundRect(&inside, (Rect){r.Left + 10, r.Bottom - 3, r.Left + 30, r.Bottom}, 1, Accent,
                     256);
    GfxDrawImage(&inside, r.Left + 10, r.Top + (GfxHeight(r) - 20) / 2,
                 WiIcons[window->Icon][Icon20]);
    Text(&inside, &GfxFontText, (Rect){r.Left + 38, r.Top, r.Right - 8, r.Bottom}, window->Title,
         active ? Bright : 0xC3CAD9);
}

void WiPaintPanel(const WiDesk *desk, const GfxSurface *to)
{
    GfxSurface panel = GfxClip(to, WiPanelRect(desk));
    if (GfxIsEmpty(panel.Bounds))
        return;
    WiPaintGround(desk, &panel);
    if (desk->Wallpaper.Pixels == nullptr)
        PaintPanelGround(desk, &panel);
    Rect launcher = WiLauncherRect(desk), clock = WiClockRect(desk);
    if (desk->MenuOpen || desk->Hover.Part == PartLauncher)
        GfxRoundRect(&panel, launcher, 8, 0xFFFFFF, desk->MenuOpen ? 44 : 26);
    CenteredImage(&panel, launcher, &WiImageMark);
    RTL_FOR_EACH (entry, &desk->Tasks)
        PaintTask(desk, RTL_CONTAINER_OF(entry, WiWindow, TaskLink), &panel);
    CenteredText(&panel, &GfxFontTitle,
                 (Rect){clock.Left, clock.Top + 4, clock.Right, clock.Top + 24}, desk->Clock,
                 Bright);
    CenteredText(&panel, &GfxFontSmall,
                 (Rect){clock.Left, clock.Top + 22, clock.Right, clock.Top + 38}, desk->Date,
                 0xB4BCCD);
}

// ---- menu and switcher

static void PaintCard(const GfxSurface *to, Rect r)
{
    GfxShadow(to, (Rect){r.Left, r.Top + 8, r.Right, r.Bottom + 6}, GfxInflate(r, -14), 170);
    GfxRoundFrame(to, GfxInflate(r, 1), 15, 0x000000, 120);
    GfxRoundRect(to, r, 14, Card, 256);
    GfxRoundFrame(to, r, 14, 0xFFFFFF, 34);
}

static void PaintMenuItem(const WiDesk *desk, const GfxSurface *to, int32_t index)
{
    Rect r = WiMenuItemRect(desk, index);
    if (!GfxOverlap(r, to->Bounds))
        return;
    bool selected = desk->MenuSelection == index, button = index >= desk->ProgramCount;
    if (button || selected)
        GfxRoundRect(to, r, 9, selected ? Accent : 0xFFFFFF, selected ? 236 : 14);
    uint32_t color = selected ? 0x1A0D06 : Bright;
    if (!button) {
        const WiProgram *program = &desk->Programs[index];
        GfxDrawImage(to, r.Left + 9, r.Top + (GfxHeight(r) - 32) / 2,
                     WiIcons[program->Icon][Icon32]);
        Text(to, &GfxFontTitle, (Rect){r.Left + 52, r.Top, r.Right - 10, r.Bottom}, program->Name,
             color);
        return;
    }
    bool restart = index == desk->ProgramCount;
    GfxDrawSymbol(to, r.Left + 16, r.Top + (GfxHeight(r) - 16) / 2,
                  restart ? &WiImageRestart : &WiImagePower, color, 256);
    Text(to, &GfxFontText, (Rect){r.Left + 42, r.Top, r.Right - 6, r.Bottom},
         restart ? "Restart" : "Power off", color);
}

void WiPaintMenu(const WiDesk *desk, const GfxSurface *to)
{
    Rect r = WiMenuRect(desk);
    PaintCard(to, r);
    GfxDrawImage(to, r.Left + 18, r.Top + 16, &WiImageMarkLarge);
    Text(to, &GfxFontLarge, (Rect){r.Left + 61, r.Top + 16, r.Right - 16, r.Top + 48}, "MetalOS",
         Bright);
    int32_t visible = WiMenuVisible(desk);
    if (desk->ProgramCount == 0)
        CenteredText(to, &GfxFontText,
                     (Rect){r.Left, r.Top + 64, r.Right, r.Top + 64 + MenuItemHeight},
                     "No programs in /apps", Muted);
    for (int32_t i = 0; i < desk->ProgramCount + 2; i++)
        PaintMenuItem(desk, to, i);
    if (desk->ProgramCount > visible) { // a scroll bar
        int32_t top = r.Top + 66, room = visible * MenuItemHeight - 4;
        int32_t length = RTL_MAX(12, room * visible / desk->ProgramCount);
        int32_t at = top + (room - length) * desk->MenuScroll / (desk->ProgramCount - visible);
        GfxRoundRect(to, (Rect){r.Right - 6, at, r.Right - 3, at + length}, 1, 0xFFFFFF, 90);
    }
    GfxTint(to, (Rect){r.Left + 8, r.Bottom - 57, r.Right - 8, r.Bottom - 56}, 0xFFFFFF, 22);
}

void WiPaintSwitcher(const WiDesk *desk, const GfxSurface *to)
{
    Rect r = WiSwitcherRect(desk);
    PaintCard(to, r);
    int32_t rows = (GfxHeight(r) - 16) / SwitcherItemHeight, index = 0;
    int32_t first = RTL_MAX(0, desk->SwitcherSelection - rows + 1);
    RTL_FOR_EACH (entry, &desk->Windows) {
        const WiWindow *window = RTL_CONTAINER_OF(entry, WiWindow, Link);
        int32_t row = index - first;
        if (row >= 0 && row < rows) {
            Rect item = {r.Left + 8, r.Top + 8 + row * SwitcherItemHeight, r.Right - 8,
                         r.Top + 8 + (row + 1) * SwitcherItemHeight};
            bool selected = index == desk->SwitcherSelection;
            if (selected)
                GfxRoundRect(to, item, 9, Accent, 236);
            GfxDrawImage(to, item.Left + 10, item.Top + 8, WiIcons[window->Icon][Icon32]);
            Text(to, &GfxFontTitle, (Rect){item.Left + 54, item.Top, item.Right - 12, item.Bottom},
                 window->Title, selected ? 0x1A0D06 : Bright);
        }
        index++;
    }
}

void WiPaintNotice(const WiDesk *desk, const GfxSurface *to)
{
    Rect r = WiNoticeRect(desk);
    PaintCard(to, r);
    GfxRoundRect(to, (Rect){r.Left + 16, r.Top + 16, r.Left + 20, r.Bottom - 16}, 2, Accent, 256);
    Text(to, &GfxFontText, (Rect){r.Left + 34, r.Top, r.Right - 18, r.Bottom}, desk->Notice,
         Bright);
}
