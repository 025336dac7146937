// layout.c - where the parts of the desktop are, and which one is at a point. Painting and the
// mouse both ask here.
// SPDX-License-Identifier: MIT
#include "desk.h"

enum {
    LauncherWidth = 48,
    ClockWidth = 96,
    TaskWidth = 196, // at most
    TaskGap = 4,
    MenuWidth = 316,
    MenuHeader = 64,
    MenuFooter = 60,
    MenuMargin = 8,
    SwitcherWidth = 380,
    CloseWidth = 46,
    NoticeHeight = 52,
};

Rect WiOuterRect(const WiWindow *window)
{
    Rect r = window->Client;
    if (window->Flags & WindowFrame)
        r.Top -= WI_TITLE_HEIGHT;
    return r;
}

Rect WiWindowBounds(const WiWindow *window)
{
    Rect r = WiOuterRect(window);
    return window->Flags & WindowFrame
               ? (Rect){r.Left - 32, r.Top - 32, r.Right + 32, r.Bottom + 44}
               : r;
}

Rect WiCloseRect(const WiWindow *window)
{
    Rect r = WiOuterRect(window);
    int32_t width = RTL_MIN(CloseWidth, GfxWidth(r));
    return (Rect){r.Right - width, r.Top, r.Right, window->Client.Top};
}

// A full-screen window in front hides the panel.
bool WiPanelShown(const WiDesk *desk)
{
    return desk->MenuOpen || desk->SwitcherOpen || desk->Focus == nullptr ||
           desk->Windows.Next != &desk->Focus->Link ||
           !GfxContains(desk->Focus->Client, desk->Output.Bounds);
}

Rect WiPanelRect(const WiDesk *desk)
{
    Rect r = desk->Output.Bounds;
    r.Top = RTL_MAX(r.Top, r.Bottom - WI_PANEL_HEIGHT);
    return r;
}

Rect WiLauncherRect(const WiDesk *desk)
{
    Rect r = WiPanelRect(desk);
    return (Rect){r.Left + 6, r.Top + 4, r.Left + 6 + LauncherWidth, r.Bottom - 4};
}

Rect WiClockRect(const WiDesk *desk)
{
    Rect r = WiPanelRect(desk);
    return (Rect){r.Right - ClockWidth, r.Top + 1, r.Right, r.Bottom};
}

Rect WiTaskRect(const WiDesk *desk, const WiWindow *window)
{
    Rect panel = WiPanelRect(desk);
    int32_t left = panel.Left + 6 + LauncherWidth + 8, room = panel.Right - ClockWidth - 8 - left,
            index = 0;
    for (ListEntry *entry = desk->Tasks.Next; entry != &desk->Tasks && entry != &window->TaskLink;
         entry = entry->Next)
        index++;
    int32_t pitch = RTL_MIN(TaskWidth, room / RTL_MAX(1, (int32_t)desk->WindowCount));
    left += index * pitch;
    return (Rect){left, panel.Top + 5, left + RTL_MAX(1, pitch - TaskGap), panel.Bottom - 5};
}

int32_t WiMenuVisible(const WiDesk *desk)
{
    int32_t room =
        WiPanelRect(desk).Top - desk->Output.Bounds.Top - MenuHeader - MenuFooter - 3 * MenuMargin;
    return RTL_MAX(1, RTL_MIN(RTL_MAX(1, desk->ProgramCount), room / MenuItemHeight));
}

Rect WiMenuRect(const WiDesk *desk)
{
    Rect panel = WiPanelRect(desk);
    int32_t bottom = panel.Top - MenuMargin,
            height = MenuHeader + MenuFooter + WiMenuVisible(desk) * MenuItemHeight;
    return (Rect){panel.Left + MenuMargin, bottom - height, panel.Left + MenuMargin + MenuWidth,
                  bottom};
}

Rect WiMenuItemRect(const WiDesk *desk, int32_t index)
{
    Rect menu = WiMenuRect(desk);
    if (index >= desk->ProgramCount) { // the two buttons of the footer
        int32_t half = GfxWidth(menu) / 2,
                left = index == desk->ProgramCount ? menu.Left + 8 : menu.Left + half + 4;
        return (Rect){left, menu.Bottom - 48, left + half - 12, menu.Bottom - 10};
    }
    int32_t row = index - desk->MenuScroll;
    if (row < 0 || row >= WiMenuVisible(desk))
        return (Rect){};
    int32_t top = menu.Top + MenuHeader + row * MenuItemHeight;
    return (Rect){menu.Left + 8, top + 1, menu.Right - 8, top + MenuItemHeight - 1};
}

Rect WiSwitcherRect(const WiDesk *desk)
{
    Rect screen = desk->Output.Bounds;
    int32_t most = RTL_MAX(1, (GfxHeight(screen) - 120) / SwitcherItemHeight);
    int32_t height = 16 + SwitcherItemHeight * RTL_MIN(most, (int32_t)desk->WindowCount);
    int32_t left = screen.Left + (GfxWidth(screen) - SwitcherWidth) / 2,
            top = screen.Top + (GfxHeight(screen) - height) / 2;
    return (Rect){left, top, left + SwitcherWidth, top + height};
}

// At the right, above the panel.
Rect WiNoticeRect(const WiDesk *desk)
{
    Rect panel = WiPanelRect(desk);
    int32_t width = 60 + GfxMeasureText(&GfxFontText, desk->Notice, strlen(desk->Notice));
    width = RTL_MIN(width, GfxWidth(panel) - 2 * MenuMargin);
    return (Rect){panel.Right - MenuMargin - width, panel.Top - MenuMargin - NoticeHeight,
                  panel.Right - MenuMargin, panel.Top - MenuMargin};
}

Rect WiCardBounds(Rect card)
{
    return (Rect){card.Left - 32, card.Top - 32, card.Right + 32, card.Bottom + 40};
}

static WiHit HitMenu(const WiDesk *desk, int32_t x, int32_t y)
{
    for (int32_t i = 0; i < desk->ProgramCount + 2; i++)
        if (GfxContainsPoint(WiMenuItemRect(desk, i), x, y))
            return (WiHit){.Part = PartMenuItem, .Index = i};
    return (WiHit){.Part = PartMenu};
}

static WiHit HitPanel(const WiDesk *desk, int32_t x, int32_t y)
{
    Rect launcher = WiLauncherRect(desk), panel = WiPanelRect(desk);
    if (x < launcher.Right && y >= panel.Top) // the corner of the screen is part of the button
        return (WiHit){.Part = PartLauncher};
    RTL_FOR_EACH (entry, &desk->Tasks) {
        WiWindow *window = RTL_CONTAINER_OF(entry, WiWindow, TaskLink);
        if (GfxContainsPoint(WiTaskRect(desk, window), x, y))
            return (WiHit){.Part = PartTask, .Window = window};
    }
    return (WiHit){.Part = PartPanel};
}

static WiHit HitWindow(WiWindow *window, int32_t x, int32_t y)
{
    if (GfxContainsPoint(window->Client, x, y))
        return (WiHit){.Part = PartClient, .Window = window};
    return (WiHit){.Part = GfxContainsPoint(WiCloseRect(window), x, y) ? PartClose : PartTitle,
                   .Window = window};
}

WiHit WiHitTest(WiDesk *desk, int32_t x, int32_t y)
{
    if (desk->MenuOpen && GfxContainsPoint(WiMenuRect(desk), x, y))
        return HitMenu(desk, x, y);
    if (WiPanelShown(desk) && GfxContainsPoint(WiPanelRect(desk), x, y))
        return HitPanel(desk, x, y);
    RTL_FOR_EACH (entry, &desk->Windows) {
        WiWindow *window = RTL_CONTAINER_OF(entry, WiWindow, Link);
        uint32_t edges = WiEdgesAt(window, x, y);
        if (edges != 0)
            return (WiHit){.Part = PartEdge, .Window = window, .Index = (int32_t)edges};
        if (GfxContainsPoint(WiOuterRect(window), x, y))
            return HitWindow(window, x, y);
    }
    return (WiHit){.Part = PartDesktop};
}

Rect WiPartRect(const WiDesk *desk, WiHit hit)
{
    switch (hit.Part) {
    case PartClose:
        return WiCloseRect(hit.Window);
    case PartLauncher:
        return WiLauncherRect(desk);
    case PartTask:
        return WiTaskRect(desk, hit.Window);
    default:
        return (Rect){};
    }
}
