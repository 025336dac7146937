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

static void Text(const WiSurface *to, const WiFont *font, Rect box, const char *text,
                 uint32_t color)
{
    WiDrawText(to, font, box.Left, WiCenterBaseline(font, box.Top, box.Bottom), WiWidth(box), text,
               strlen(text), color, 256);
}

static void CenteredText(const WiSurface *to, const WiFont *font, Rect box, const char *text,
                         uint32_t color)
{
    box.Left += RTL_MAX(0, (WiWidth(box) - WiMeasureText(font, text, strlen(text))) / 2);
    Text(to, font, box, text, color);
}

static void CenteredImage(const WiSurface *to, Rect box, const WiImage *image)
{
    WiDrawImage(to, box.Left + (WiWidth(box) - image->Width) / 2,
                box.Top + (WiHeight(box) - image->Height) / 2, image);
}

// ---- ground

void WiPaintGround(const WiDesk *desk, const WiSurface *to)
{
    if (desk->Wallpaper.Pixels != nullptr)
        WiCopy(to, to->Bounds, &desk->Wallpaper);
    else
        WiFillGradient(to, desk->Output.Bounds, 0x0E1430, 0x2A2450);
}

static void PaintPanelGround(const WiDesk *desk, const WiSurface *to)
{
    Rect panel = WiPanelRect(desk);
    WiTint(to, panel, Night, 196);
    WiTint(to, (Rect){panel.Left, panel.Top, panel.Right, panel.Top + 1}, 0xFFFFFF, 30);
}

void WiPrepareWallpaper(const WiDesk *desk, const WiSurface *wallpaper)
{
    WiPaintWallpaper(wallpaper);
    PaintPanelGround(desk, wallpaper);
}

// ---- windows

static void PaintTitle(const WiDesk *desk, const WiWindow *window, const WiSurface *whole)
{
    Rect outer = WiOuterRect(window),
         bar = {outer.Left, outer.Top, outer.Right, window->Client.Top};
    WiSurface to = WiClip(whole, bar);
    if (WiIsEmpty(to.Bounds))
        return;
    bool active = window == desk->Focus;
    Rect tall = {bar.Left, bar.Top, bar.Right, bar.Bottom + WI_FRAME_RADIUS};
    WiRoundGradient(&to, tall, WI_FRAME_RADIUS, active ? TitleTop : TitleTopBack,
                    active ? TitleBottom : TitleBottomBack, 256);
    WiRoundFrame(&to, tall, WI_FRAME_RADIUS, 0xFFFFFF, active ? 34 : 18);
    WiTint(&to, (Rect){bar.Left, bar.Bottom - 1, bar.Right, bar.Bottom}, 0x000000, 90);

    Rect close = WiCloseRect(window);
    WiDrawImage(&to, bar.Left + 11, bar.Top + (WI_TITLE_HEIGHT - 16) / 2,
                WiIcons[window->Icon][Icon16]);
    WiSurface text = WiClip(&to, (Rect){bar.Left + 34, bar.Top, close.Left, bar.Bottom});
    Text(&text, &WiFontTitle, (Rect){bar.Left + 35, bar.Top, close.Left - 6, bar.Bottom},
         window->Title, active ? Bright : Muted);

    WiHit hit = {.Part = PartClose,
                 .Window = window == desk->Hover.Window ? desk->Hover.Window : nullptr};
    bool hover = hit.Window != nullptr && SameHit(desk->Hover, hit);
    if (hover) {
        WiSurface button = WiClip(&to, close);
        Rect shape = {close.Left - WI_FRAME_RADIUS, tall.Top, close.Right, tall.Bottom};
        WiRoundRect(&button, shape, WI_FRAME_RADIUS,
                    SameHit(desk->Pressed, hit) ? ClosePressed : CloseHover, 256);
    }
    WiDrawSymbol(&to, close.Left + (WiWidth(close) - 10) / 2,
                 close.Top + (WI_TITLE_HEIGHT - 10) / 2, &WiImageClose,
                 hover || active ? Bright : Muted, 256);
}

// The client area, its lower corners cut to the frame's shape.
static void PaintClient(const WiWindow *window, const WiSurface *to)
{
    Rect client = window->Client, outer = WiOuterRect(window);
    WiSurface from = {.Pixels = window->Pixels, .Stride = window->Stride, .Bounds = client};
    int32_t radius = window->Flags & WindowFrame
                         ? RTL_MIN(WI_FRAME_RADIUS, RTL_MIN(WiWidth(client), WiHeight(client)) / 2)
                         : 0;
    WiCopy(to, (Rect){client.Left, client.Top, client.Right, client.Bottom - radius}, &from);
    WiCopy(
        to,
        (Rect){client.Left + radius, client.Bottom - radius, client.Right - radius, client.Bottom},
        &from);
    Rect corners[2] = {
        {client.Left, client.Bottom - radius, client.Left + radius, client.Bottom},
        {client.Right - radius, client.Bottom - radius, client.Right, client.Bottom}};
    for (int i = 0; i < 2; i++) {
        Rect r = WiIntersect(corners[i], to->Bounds);
        for (int32_t y = r.Top; y < r.Bottom; y++)
            for (int32_t x = r.Left; x < r.Right; x++) {
                int32_t dx = i == 0 ? x - outer.Left : outer.Right - 1 - x,
                        dy = outer.Bottom - 1 - y;
                uint32_t inside = WiCorners[radius][dy * radius + dx], *p = WiPixel(to, x, y);
                *p = WiMix(*p, *WiPixel(&from, x, y), inside + (inside >> 7));
            }
    }
}

void WiPaintWindow(const WiDesk *desk, const WiWindow *window, const WiSurface *to)
{
    if (window->Flags & WindowFrame) {
        bool active = window == desk->Focus;
        Rect outer = WiOuterRect(window);
        Rect box = {outer.Left + 2, outer.Top + 12, outer.Right - 2, outer.Bottom + 10};
        Rect middle = {outer.Left, outer.Top + WI_FRAME_RADIUS, outer.Right,
                       outer.Bottom - WI_FRAME_RADIUS};
        WiShadow(to, box, middle, active ? 190 : 110);
        WiRoundFrame(to, WiInflate(outer, 1), WI_FRAME_RADIUS + 1, 0x000000, active ? 130 : 100);
        PaintTitle(desk, window, to);
    }
    PaintClient(window, to);
}

// ---- panel

static void PaintTask(const WiDesk *desk, WiWindow *window, const WiSurface *to)
{
    Rect r = WiTaskRect(desk, window);
    if (!WiOverlap(r, to->Bounds))
        return;
    bool active = window == desk->Focus,
         hover = desk->Hover.Part == PartTask && desk->Hover.Window == window;
    WiRoundRect(to, r, 7, 0xFFFFFF, (active ? 36u : 14u) + (hover ? 22u : 0u));
    WiSurface inside = WiClip(to, r);
    if (active)
        WiRoundRect(&inside, (Rect){r.Left + 10, r.Bottom - 3, r.Left + 30, r.Bottom}, 1, Accent,
                    256);
    WiDrawImage(&inside, r.Left + 10, r.Top + (WiHeight(r) - 20) / 2,
                WiIcons[window->Icon][Icon20]);
    Text(&inside, &WiFontText, (Rect){r.Left + 38, r.Top, r.Right - 8, r.Bottom}, window->Title,
         active ? Bright : 0xC3CAD9);
}

void WiPaintPanel(const WiDesk *desk, const WiSurface *to)
{
    WiSurface panel = WiClip(to, WiPanelRect(desk));
    if (WiIsEmpty(panel.Bounds))
        return;
    WiPaintGround(desk, &panel);
    if (desk->Wallpaper.Pixels == nullptr)
        PaintPanelGround(desk, &panel);
    Rect launcher = WiLauncherRect(desk), clock = WiClockRect(desk);
    if (desk->MenuOpen || desk->Hover.Part == PartLauncher)
        WiRoundRect(&panel, launcher, 8, 0xFFFFFF, desk->MenuOpen ? 44 : 26);
    CenteredImage(&panel, launcher, &WiImageMark);
    RTL_FOR_EACH (entry, &desk->Tasks)
        PaintTask(desk, RTL_CONTAINER_OF(entry, WiWindow, TaskLink), &panel);
    CenteredText(&panel, &WiFontTitle,
                 (Rect){clock.Left, clock.Top + 4, clock.Right, clock.Top + 24}, desk->Clock,
                 Bright);
    CenteredText(&panel, &WiFontSmall,
                 (Rect){clock.Left, clock.Top + 22, clock.Right, clock.Top + 38}, desk->Date,
                 0xB4BCCD);
}

// ---- menu and switcher

static void PaintCard(const WiSurface *to, Rect r)
{
    WiShadow(to, (Rect){r.Left, r.Top + 8, r.Right, r.Bottom + 6}, WiInflate(r, -14), 170);
    WiRoundFrame(to, WiInflate(r, 1), 15, 0x000000, 120);
    WiRoundRect(to, r, 14, Card, 256);
    WiRoundFrame(to, r, 14, 0xFFFFFF, 34);
}

static void PaintMenuItem(const WiDesk *desk, const WiSurface *to, int32_t index)
{
    Rect r = WiMenuItemRect(desk, index);
    if (!WiOverlap(r, to->Bounds))
        return;
    bool selected = desk->MenuSelection == index, button = index >= desk->ProgramCount;
    if (button || selected)
        WiRoundRect(to, r, 9, selected ? Accent : 0xFFFFFF, selected ? 236 : 14);
    uint32_t color = selected ? 0x1A0D06 : Bright;
    if (!button) {
        const WiProgram *program = &desk->Programs[index];
        WiDrawImage(to, r.Left + 9, r.Top + (WiHeight(r) - 32) / 2, WiIcons[program->Icon][Icon32]);
        Text(to, &WiFontTitle, (Rect){r.Left + 52, r.Top, r.Right - 10, r.Bottom}, program->Name,
             color);
        return;
    }
    bool restart = index == desk->ProgramCount;
    WiDrawSymbol(to, r.Left + 16, r.Top + (WiHeight(r) - 16) / 2,
                 restart ? &WiImageRestart : &WiImagePower, color, 256);
    Text(to, &WiFontText, (Rect){r.Left + 42, r.Top, r.Right - 6, r.Bottom},
         restart ? "Restart" : "Power off", color);
}

void WiPaintMenu(const WiDesk *desk, const WiSurface *to)
{
    Rect r = WiMenuRect(desk);
    PaintCard(to, r);
    WiDrawImage(to, r.Left + 18, r.Top + 16, &WiImageMarkLarge);
    Text(to, &WiFontLarge, (Rect){r.Left + 61, r.Top + 16, r.Right - 16, r.Top + 48}, "MetalOS",
         Bright);
    int32_t visible = WiMenuVisible(desk);
    if (desk->ProgramCount == 0)
        CenteredText(to, &WiFontText,
                     (Rect){r.Left, r.Top + 64, r.Right, r.Top + 64 + MenuItemHeight},
                     "No programs in /apps", Muted);
    for (int32_t i = 0; i < desk->ProgramCount + 2; i++)
        PaintMenuItem(desk, to, i);
    if (desk->ProgramCount > visible) { // a scroll bar
        int32_t top = r.Top + 66, room = visible * MenuItemHeight - 4;
        int32_t length = RTL_MAX(12, room * visible / desk->ProgramCount);
        int32_t at = top + (room - length) * desk->MenuScroll / (desk->ProgramCount - visible);
        WiRoundRect(to, (Rect){r.Right - 6, at, r.Right - 3, at + length}, 1, 0xFFFFFF, 90);
    }
    WiTint(to, (Rect){r.Left + 8, r.Bottom - 57, r.Right - 8, r.Bottom - 56}, 0xFFFFFF, 22);
}

void WiPaintSwitcher(const WiDesk *desk, const WiSurface *to)
{
    Rect r = WiSwitcherRect(desk);
    PaintCard(to, r);
    int32_t rows = (WiHeight(r) - 16) / SwitcherItemHeight, index = 0;
    int32_t first = RTL_MAX(0, desk->SwitcherSelection - rows + 1);
    RTL_FOR_EACH (entry, &desk->Windows) {
        const WiWindow *window = RTL_CONTAINER_OF(entry, WiWindow, Link);
        int32_t row = index - first;
        if (row >= 0 && row < rows) {
            Rect item = {r.Left + 8, r.Top + 8 + row * SwitcherItemHeight, r.Right - 8,
                         r.Top + 8 + (row + 1) * SwitcherItemHeight};
            bool selected = index == desk->SwitcherSelection;
            if (selected)
                WiRoundRect(to, item, 9, Accent, 236);
            WiDrawImage(to, item.Left + 10, item.Top + 8, WiIcons[window->Icon][Icon32]);
            Text(to, &WiFontTitle, (Rect){item.Left + 54, item.Top, item.Right - 12, item.Bottom},
                 window->Title, selected ? 0x1A0D06 : Bright);
        }
        index++;
    }
}

void WiPaintNotice(const WiDesk *desk, const WiSurface *to)
{
    Rect r = WiNoticeRect(desk);
    PaintCard(to, r);
    WiRoundRect(to, (Rect){r.Left + 16, r.Top + 16, r.Left + 20, r.Bottom - 16}, 2, Accent, 256);
    Text(to, &WiFontText, (Rect){r.Left + 34, r.Top, r.Right - 18, r.Bottom}, desk->Notice, Bright);
}
