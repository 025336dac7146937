// desk.c - the windows of the desktop: their order, places, focus and damage.
// SPDX-License-Identifier: MIT
#include "desk.h"
#include "MetalKeys.h"

void WiDamage(WiDesk *desk, Rect rect)
{
    GfxRegionAdd(&desk->Damage, GfxIntersect(rect, desk->Output.Bounds));
}

void WiDeskStart(WiDesk *desk)
{
    RtlInitializeList(&desk->Windows);
    RtlInitializeList(&desk->Tasks);
    desk->MenuSelection = -1;
    desk->Modifiers = ModifierNumLock;
    desk->X = desk->LastAbsoluteX = GfxWidth(desk->Output.Bounds) / 2;
    desk->Y = desk->LastAbsoluteY = GfxHeight(desk->Output.Bounds) / 2;
    desk->PointerShown = desk->PointerPainted = true;
    WiDamage(desk, desk->Output.Bounds);
}

void WiDeskSetWallpaper(WiDesk *desk, const GfxSurface *wallpaper)
{
    desk->Wallpaper = *wallpaper;
    WiDamage(desk, desk->Output.Bounds);
}

void WiDeskSetOutput(WiDesk *desk, const GfxSurface *output, bool swap)
{
    Rect old = desk->Output.Bounds, screen = output->Bounds;
    desk->Output = *output;
    desk->SwapOutput = swap;
    desk->Damage.Count = 0;
    WiDamage(desk, screen);
    if (GfxContains(old, screen) && GfxContains(screen, old))
        return;
    desk->Wallpaper = (GfxSurface){};
    desk->X = RTL_MAX(screen.Left, RTL_MIN(screen.Right - 1, desk->X));
    desk->Y = RTL_MAX(screen.Top, RTL_MIN(screen.Bottom - 1, desk->Y));
    desk->Hover = (WiHit){};
    desk->MenuScroll = 0;
    RTL_FOR_EACH (entry, &desk->Windows) {
        WiWindow *window = RTL_CONTAINER_OF(entry, WiWindow, Link);
        int32_t x = window->Client.Left, y = window->Client.Top;
        WiKeepReachable(desk, window, &x, &y);
        if (window->Flags & WindowFrame)
            WiDeskMove(desk, window, x, y);
    }
}

WiWindow *WiWindowAt(WiDesk *desk, int32_t index)
{
    RTL_FOR_EACH (entry, &desk->Windows)
        if (index-- == 0)
            return RTL_CONTAINER_OF(entry, WiWindow, Link);
    return nullptr;
}

// The mouse belongs to the receiver: no pointer, only movements.
bool WiPointerHidden(const WiDesk *desk)
{
    return desk->Receiver != nullptr && desk->Receiver->Flags & WindowRelativeMouse &&
           !desk->CaptureReleased && desk->Dragged == nullptr;
}

// The arrow's tip, and the middle of the others, is the place the pointer points at.
Rect WiPointerRect(const WiDesk *desk)
{
    const GfxImage *image = WiPointers[desk->Pointer];
    int32_t x = desk->X - (desk->Pointer == PointerArrow ? 1 : image->Width / 2),
            y = desk->Y - (desk->Pointer == PointerArrow ? 1 : image->Height / 2);
    return (Rect){x, y, x + image->Width, y + image->Height};
}

void WiDamagePointer(WiDesk *desk)
{
    if (desk->PointerPainted)
        WiDamage(desk, WiPointerRect(desk));
}

void WiDeskSetPointerPainted(WiDesk *desk, bool painted)
{
    if (painted == desk->PointerPainted)
        return;
    WiDamage(desk, WiPointerRect(desk));
    desk->PointerPainted = painted;
}

static WiPointer ChoosePointer(const WiDesk *desk)
{
    uint32_t edges = desk->Dragged != nullptr       ? desk->DragEdges
                     : desk->Hover.Part == PartEdge ? (uint32_t)desk->Hover.Index
                                                    : 0;
    switch (edges) {
    case 0:
        return PointerArrow;
    case EdgeLeft:
    case EdgeRight:
        return PointerHorizontal;
    case EdgeTop:
    case EdgeBottom:
        return PointerVertical;
    case EdgeLeft | EdgeTop:
    case EdgeRight | EdgeBottom:
        return PointerDown;
    default:
        return PointerUp;
    }
}

void WiUpdatePointer(WiDesk *desk)
{
    bool show = !WiPointerHidden(desk);
    WiPointer pointer = ChoosePointer(desk);
    if (show == desk->PointerShown && pointer == desk->Pointer)
        return;
    WiDamagePointer(desk);
    desk->PointerShown = show;
    desk->Pointer = pointer;
    WiDamagePointer(desk);
}

// ---- focus

static void Post(WiDesk *desk, WiWindow *window, uint32_t type, uint64_t time)
{
    desk->Operations->Post(window, &(Message){.Type = type, .Time = time}, false);
}

static void ReleaseKeys(WiDesk *desk, WiWindow *window, uint64_t time)
{
    for (uint32_t code = 0; code < 256; code++)
        if (desk->Delivered[code / 64] >> (code % 64) & 1) {
            Message message = {.Type = MessageKeyUp, .Time = time};
            message.Key.Code = (uint16_t)code;
            message.Key.Modifiers = desk->Modifiers;
            desk->Operations->Post(window, &message, false);
        }
    memset(desk->Delivered, 0, sizeof(desk->Delivered));
}

void WiUpdateReceiver(WiDesk *desk, uint64_t time)
{
    WiWindow *receiver = desk->MenuOpen || desk->SwitcherOpen ? nullptr : desk->Focus;
    if (receiver != desk->Receiver) {
        if (desk->Receiver != nullptr) {
            ReleaseKeys(desk, desk->Receiver, time);
            Post(desk, desk->Receiver, MessageBlur, time);
        }
        desk->Receiver = receiver;
        if (receiver != nullptr)
            Post(desk, receiver, MessageFocus, time);
    }
    WiUpdatePointer(desk);
}

static void DamageTasks(WiDesk *desk)
{
    WiDamage(desk, WiPanelRect(desk));
}

static void SetFocus(WiDesk *desk, WiWindow *window)
{
    if (desk->Focus == window)
        return;
    if (desk->Focus != nullptr)
        WiDamage(desk, WiWindowBounds(desk->Focus));
    desk->Focus = window;
    desk->CaptureReleased = false;
    if (window != nullptr)
        WiDamage(desk, WiWindowBounds(window));
    DamageTasks(desk);
}

// The panel comes and goes with a full-screen window in front.
static void DamageIfPanelChanged(WiDesk *desk, bool before)
{
    if (WiPanelShown(desk) != before)
        DamageTasks(desk);
}

void WiDeskActivate(WiDesk *desk, WiWindow *window)
{
    bool panel = WiPanelShown(desk);
    if (desk->Windows.Next != &window->Link) {
        RtlRemoveEntry(&window->Link);
        RtlInsertHead(&desk->Windows, &window->Link);
        WiDamage(desk, WiWindowBounds(window));
        if (desk->SwitcherOpen) // it lists them in this order
            WiDamage(desk, WiSwitcherRect(desk));
    }
    SetFocus(desk, window);
    DamageIfPanelChanged(desk, panel);
    WiUpdateReceiver(desk, 0);
}

// ---- places

// How much of rect other windows cover, in pixels.
static int64_t Crowding(const WiDesk *desk, Rect rect)
{
    int64_t sum = 0;
    RTL_FOR_EACH (entry, &desk->Windows) {
        Rect r = GfxIntersect(rect, WiOuterRect(RTL_CONTAINER_OF(entry, WiWindow, Link)));
        if (!GfxIsEmpty(r))
            sum += (int64_t)GfxWidth(r) * GfxHeight(r);
    }
    return sum;
}

// Tries places on a coarse grid inside the work area and takes the least crowded; of equals the one
// nearest to a point left of and above the middle, which leaves room beside the first window.
void WiDeskPlace(WiDesk *desk, int32_t width, int32_t height, uint32_t flags, int32_t *x,
                 int32_t *y)
{
    Rect screen = desk->Output.Bounds;
    if (!(flags & WindowFrame) && (width >= GfxWidth(screen) || height >= GfxHeight(screen))) {
        *x = *y = 0;
        return;
    }
    int32_t title = flags & WindowFrame ? WI_TITLE_HEIGHT : 0, margin = 24;
    int32_t freeX = RTL_MAX(0, GfxWidth(screen) - width - 2 * margin);
    int32_t freeY = RTL_MAX(0, WiPanelRect(desk).Top - height - title - 2 * margin);
    int64_t best = INT64_MAX;
    for (int32_t i = 0; i <= 16; i++)
        for (int32_t j = 0; j <= 8; j++) {
            int32_t left = margin + freeX * i / 16, top = margin + freeY * j / 8;
            Rect rect = GfxInflate((Rect){left, top, left + width, top + title + height}, 12);
            int64_t away = (i - 3) * (i - 3) + (j - 3) * (j - 3) * 4;
            int64_t cost = Crowding(desk, rect) * 128 + away;
            if (cost < best) {
                best = cost;
                *x = left;
                *y = top + title;
            }
        }
}

// Moves a client corner so that the user can get hold of the title bar.
void WiKeepReachable(WiDesk *desk, WiWindow *window, int32_t *x, int32_t *y)
{
    Rect screen = desk->Output.Bounds;
    int32_t grip = RTL_MIN(64, GfxWidth(window->Client)),
            title = window->Flags & WindowFrame ? WI_TITLE_HEIGHT : 0;
    *x = RTL_MAX(screen.Left + grip - GfxWidth(window->Client), RTL_MIN(screen.Right - grip, *x));
    int32_t lowest = WiPanelRect(desk).Top - 16 + title, highest = screen.Top + 14;
    *y = RTL_MAX(highest, RTL_MIN(lowest, *y));
}

static int32_t ClampPosition(int32_t at)
{
    return RTL_MAX(-WI_POSITION_LIMIT, RTL_MIN(WI_POSITION_LIMIT, at));
}

void WiDeskReplace(WiDesk *desk, WiWindow *window, Rect client, uint32_t *pixels, size_t stride)
{
    bool panel = WiPanelShown(desk);
    int32_t x = ClampPosition(client.Left), y = ClampPosition(client.Top);
    WiDamage(desk, WiWindowBounds(window));
    window->Client = (Rect){x, y, x + GfxWidth(client), y + GfxHeight(client)};
    window->Pixels = pixels;
    window->Stride = stride;
    WiDamage(desk, WiWindowBounds(window));
    DamageIfPanelChanged(desk, panel);
}

void WiDeskMove(WiDesk *desk, WiWindow *window, int32_t x, int32_t y)
{
    int32_t width = GfxWidth(window->Client), height = GfxHeight(window->Client);
    x = ClampPosition(x);
    y = ClampPosition(y);
    window->Asked = window->Large = false;
    WiDeskReplace(desk, window, (Rect){x, y, x + width, y + height}, window->Pixels,
                  window->Stride);
}

// ---- the life of a window

void WiDeskAdd(WiDesk *desk, WiWindow *window)
{
    bool panel = WiPanelShown(desk);
    RtlInsertHead(&desk->Windows, &window->Link);
    RtlInsertTail(&desk->Tasks, &window->TaskLink);
    window->Added = true;
    desk->WindowCount++;
    WiDamage(desk, WiWindowBounds(window));
    Post(desk, window, MessagePaint, 0);
    if (!(window->Flags & WindowNoActivate))
        SetFocus(desk, window);
    DamageTasks(desk);
    DamageIfPanelChanged(desk, panel);
    if (desk->SwitcherOpen)
        WiDamage(desk, desk->Output.Bounds);
    WiUpdateReceiver(desk, 0);
}

void WiDeskRemove(WiDesk *desk, WiWindow *window)
{
    if (!window->Added)
        return;
    if (desk->SwitcherOpen) // its size changes
        WiDamage(desk, desk->Output.Bounds);
    RtlRemoveEntry(&window->Link);
    RtlRemoveEntry(&window->TaskLink);
    window->Added = false;
    desk->WindowCount--;
    WiDamage(desk, WiWindowBounds(window));
    DamageTasks(desk);
    if (desk->Receiver == window) {
        desk->Receiver = nullptr;
        memset(desk->Delivered, 0, sizeof(desk->Delivered));
    }
    if (desk->MouseOwner == window)
        desk->MouseOwner = nullptr;
    if (desk->Dragged == window)
        desk->Dragged = nullptr;
    if (desk->TitleWindow == window)
        desk->TitleWindow = nullptr;
    if (desk->Hover.Window == window)
        desk->Hover = (WiHit){};
    if (desk->Pressed.Window == window)
        desk->Pressed = (WiHit){};
    desk->SwitcherSelection =
        RTL_MAX(0, RTL_MIN(desk->SwitcherSelection, (int32_t)desk->WindowCount - 1));
    if (desk->WindowCount == 0)
        desk->SwitcherOpen = false;
    if (desk->Focus == window) {
        desk->Focus = nullptr;
        SetFocus(desk, WiWindowAt(desk, 0));
    }
    WiUpdateReceiver(desk, 0);
}

void WiDeskSetTitle(WiDesk *desk, WiWindow *window, const char *title)
{
    if (strcmp(window->Title, title) == 0)
        return;
    RtlCopyString(window->Title, sizeof(window->Title), title);
    if (window->Flags & WindowFrame) {
        Rect outer = WiOuterRect(window);
        WiDamage(desk, (Rect){outer.Left, outer.Top, outer.Right, window->Client.Top});
    }
    WiDamage(desk, WiTaskRect(desk, window));
    if (desk->SwitcherOpen)
        WiDamage(desk, WiSwitcherRect(desk));
}

void WiDeskSetFlags(WiDesk *desk, WiWindow *window, uint32_t flags)
{
    if (window->Flags == flags)
        return;
    WiDamage(desk, WiWindowBounds(window));
    if (!(window->Flags & WindowRelativeMouse) && desk->Focus == window)
        desk->CaptureReleased = false;
    window->Flags = flags;
    WiDamage(desk, WiWindowBounds(window));
    WiUpdatePointer(desk);
}

void WiDeskInvalidate(WiDesk *desk, WiWindow *window, Rect area)
{
    Rect whole = {0, 0, GfxWidth(window->Client), GfxHeight(window->Client)},
         r = GfxIntersect(whole, area);
    if (GfxIsEmpty(r))
        return;
    int32_t x = window->Client.Left, y = window->Client.Top;
    WiDamage(desk, (Rect){r.Left + x, r.Top + y, r.Right + x, r.Bottom + y});
}

// ---- clock and programs

void WiDeskSetTime(WiDesk *desk, uint64_t unixNanoseconds)
{
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t minutes = unixNanoseconds / 60'000'000'000, day = minutes / 1440;
    // Civil date of a day count: years run from March, eras of 400 years have 146,097 days.
    uint64_t shifted = day + 719'468, era = shifted / 146'097, inEra = shifted % 146'097;
    uint64_t year = (inEra - inEra / 1460 + inEra / 36'524 - inEra / 146'096) / 365;
    uint64_t inYear = inEra - (365 * year + year / 4 - year / 100), march = (5 * inYear + 2) / 153;
    (void)era;
    char clock[8], date[24];
    RtlFormat(clock, sizeof(clock), "%02u:%02u", (uint32_t)(minutes / 60 % 24),
              (uint32_t)(minutes % 60));
    RtlFormat(date, sizeof(date), "%s %u %s", days[day % 7],
              (uint32_t)(inYear - (153 * march + 2) / 5 + 1), months[(march + 2) % 12]);
    if (strcmp(clock, desk->Clock) == 0 && strcmp(date, desk->Date) == 0)
        return;
    RtlCopyString(desk->Clock, sizeof(desk->Clock), clock);
    RtlCopyString(desk->Date, sizeof(desk->Date), date);
    if (WiPanelShown(desk))
        WiDamage(desk, WiClockRect(desk));
}

void WiDeskSetPrograms(WiDesk *desk, const WiProgram *programs, int32_t count)
{
    count = RTL_MIN(count, WI_MAXIMUM_PROGRAMS);
    if (count == desk->ProgramCount &&
        memcmp(desk->Programs, programs, sizeof(*programs) * (size_t)count) == 0)
        return;
    if (desk->MenuOpen)
        WiDamage(desk, desk->Output.Bounds);
    memcpy(desk->Programs, programs, sizeof(*programs) * (size_t)count);
    desk->ProgramCount = count;
    desk->MenuScroll = 0;
    desk->MenuSelection = RTL_MIN(desk->MenuSelection, count + 1);
}

void WiDeskNotify(WiDesk *desk, const char *text)
{
    if (desk->Notice[0] != '\0')
        WiDamage(desk, WiCardBounds(WiNoticeRect(desk)));
    RtlCopyString(desk->Notice, sizeof(desk->Notice), text);
    if (desk->Notice[0] != '\0')
        WiDamage(desk, WiCardBounds(WiNoticeRect(desk)));
}
