// resize.c - windows whose size the user changes.
//
// The window system never changes a size itself: a buffer's size is the program's business. A drag
// of an edge, or a double click on the title bar, is turned into the rectangle that the user would
// like (Wanted) and a MessageResize with its size. The program answers with a buffer of that size,
// or of one it likes better; when it is painted, the window takes the new size and the place that
// keeps the edges still which are not dragged. A program that does not answer keeps its window as
// it is, and a slow one is never shown half drawn. Sizes wait in the queue as one: a program that
// needs long for a picture skips those in between.
// SPDX-License-Identifier: MIT
#include "desk.h"

enum {
    Reach = 6,        // pixels outside the frame that still belong to an edge
    TitleReach = 3,   // and inside the title bar
    CornerReach = 18, // along an edge, from where on it is the corner
    SmallestWidth = 160,
    SmallestHeight = 80,
    LargestSide = 16384,
    DoubleClickDistance = 4,
};
static constexpr uint64_t doubleClickTime = 400'000'000;

static bool IsResizable(const WiWindow *window)
{
    constexpr uint32_t both = WindowFrame | WindowResizable;
    return (window->Flags & both) == both;
}

uint32_t WiEdgesAt(const WiWindow *window, int32_t x, int32_t y)
{
    Rect outer = WiOuterRect(window);
    if (!IsResizable(window) || !GfxContainsPoint(GfxInflate(outer, Reach), x, y) ||
        GfxContainsPoint(WiCloseRect(window), x, y))
        return 0;
    uint32_t edges = (x < outer.Left ? EdgeLeft : 0) | (x >= outer.Right ? EdgeRight : 0) |
                     (y < outer.Top + TitleReach ? EdgeTop : 0) |
                     (y >= outer.Bottom ? EdgeBottom : 0);
    if (edges & (EdgeTop | EdgeBottom))
        edges |= (x < outer.Left + CornerReach ? EdgeLeft : 0) |
                 (x >= outer.Right - CornerReach ? EdgeRight : 0);
    if (edges & (EdgeLeft | EdgeRight))
        edges |= (y < outer.Top + CornerReach ? EdgeTop : 0) |
                 (y >= outer.Bottom - CornerReach ? EdgeBottom : 0);
    // A window narrower than two corners: one of each pair.
    if ((edges & (EdgeLeft | EdgeRight)) == (EdgeLeft | EdgeRight))
        edges &= ~(uint32_t)EdgeLeft;
    if ((edges & (EdgeTop | EdgeBottom)) == (EdgeTop | EdgeBottom))
        edges &= ~(uint32_t)EdgeTop;
    return edges;
}

// Asks for a client area; `still` are the edges of it that stay where they are.
static void Want(WiDesk *desk, WiWindow *window, Rect wanted, uint32_t still, uint64_t time)
{
    const Rect *now = window->Asked ? &window->Wanted : &window->Client;
    bool same = GfxWidth(*now) == GfxWidth(wanted) && GfxHeight(*now) == GfxHeight(wanted);
    window->Asked = true;
    window->Wanted = wanted;
    window->Still = still;
    if (same)
        return;
    Message message = {.Type = MessageResize, .Time = time};
    message.Size.Width = (uint32_t)GfxWidth(wanted);
    message.Size.Height = (uint32_t)GfxHeight(wanted);
    desk->Operations->Post(window, &message, false);
}

void WiStartEdgeDrag(WiDesk *desk, WiWindow *window, uint32_t edges)
{
    Rect client = window->Client;
    desk->Dragged = window;
    desk->DragEdges = edges;
    desk->DragStart = client;
    desk->DragX = desk->X - (edges & EdgeLeft ? client.Left : client.Right);
    desk->DragY = desk->Y - (edges & EdgeTop ? client.Top : client.Bottom);
    window->Asked = false;
}

static int32_t Within(int32_t low, int32_t value, int32_t high)
{
    return RTL_MAX(low, RTL_MIN(high, value));
}

void WiDragEdges(WiDesk *desk, uint64_t time)
{
    Rect r = desk->DragStart, screen = desk->Output.Bounds;
    int32_t x = desk->X - desk->DragX, y = desk->Y - desk->DragY;
    int32_t narrow = RTL_MIN(SmallestWidth, GfxWidth(r)),
            low = RTL_MIN(SmallestHeight, GfxHeight(r));
    if (desk->DragEdges & EdgeLeft)
        r.Left = Within(r.Right - LargestSide, x, r.Right - narrow);
    if (desk->DragEdges & EdgeRight)
        r.Right = Within(r.Left + narrow, x, r.Left + LargestSide);
    if (desk->DragEdges & EdgeTop) // the title bar stays on the screen
        r.Top = RTL_MIN(RTL_MAX(screen.Top + WI_TITLE_HEIGHT, y), r.Bottom - low);
    if (desk->DragEdges & EdgeBottom)
        r.Bottom = Within(r.Top + low, y, r.Top + LargestSide);
    if (r.Bottom - r.Top > LargestSide)
        r.Top = r.Bottom - LargestSide;
    uint32_t still = (desk->DragEdges & EdgeLeft ? EdgeRight : EdgeLeft) |
                     (desk->DragEdges & EdgeTop ? EdgeBottom : EdgeTop);
    Want(desk, desk->Dragged, r, still, time);
}

bool WiTitleClick(WiDesk *desk, WiWindow *window, uint64_t time)
{
    bool twice = desk->TitleWindow == window && time - desk->TitleTime < doubleClickTime &&
                 desk->X - desk->TitleX < DoubleClickDistance &&
                 desk->TitleX - desk->X < DoubleClickDistance &&
                 desk->Y - desk->TitleY < DoubleClickDistance &&
                 desk->TitleY - desk->Y < DoubleClickDistance;
    desk->TitleWindow = twice ? nullptr : window;
    desk->TitleTime = time;
    desk->TitleX = desk->X;
    desk->TitleY = desk->Y;
    if (!twice || !IsResizable(window))
        return false;
    Rect work = desk->Output.Bounds;
    work.Top += WI_TITLE_HEIGHT;
    work.Bottom = WiPanelRect(desk).Top;
    if (GfxWidth(work) < 1 || GfxHeight(work) < 1)
        return false;
    window->Asked = false;
    if (window->Large) {
        work = window->Restore;
    } else {
        window->Restore = window->Client;
    }
    window->Large = !window->Large;
    Want(desk, window, work, EdgeLeft | EdgeTop, time);
    return true;
}

void WiDeskResize(WiDesk *desk, WiWindow *window, uint32_t *pixels, size_t stride, int32_t width,
                  int32_t height)
{
    int32_t x = window->Client.Left, y = window->Client.Top;
    if (window->Asked) {
        x = window->Still & EdgeLeft ? window->Wanted.Left : window->Wanted.Right - width;
        y = window->Still & EdgeTop ? window->Wanted.Top : window->Wanted.Bottom - height;
    }
    WiDeskReplace(desk, window, (Rect){x, y, x + width, y + height}, pixels, stride);
}
