// input.c - what keys and the mouse do to the desktop.
//
// Keys of the system: Super opens and closes the launcher; Alt+Tab switches windows, Alt+Shift+Tab
// backwards; Alt+F4 asks the active window to close; Control+Alt together, or Super, free the mouse
// from a window that holds it. Everything else goes to the active window.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "desk.h"

// ---- keyboard

static bool TestKey(const uint64_t *keys, uint16_t code)
{
    return keys[code / 64] >> (code % 64) & 1;
}

static void SetKey(uint64_t *keys, uint16_t code, bool value)
{
    uint64_t bit = 1ull << (code % 64);
    keys[code / 64] = value ? keys[code / 64] | bit : keys[code / 64] & ~bit;
}

static uint16_t ComputeModifiers(const WiDesk *desk)
{
    static const struct {
        uint16_t Left, Right, Modifier;
    } pairs[] = {
        {KeyLeftShift, KeyRightShift, ModifierShift},
        {KeyLeftControl, KeyRightControl, ModifierControl},
        {KeyLeftAlt, KeyRightAlt, ModifierAlt},
        {KeyLeftSuper, KeyRightSuper, ModifierSuper},
    };
    uint16_t modifiers = desk->Modifiers & (ModifierCapsLock | ModifierNumLock);
    for (size_t i = 0; i < RTL_COUNT_OF(pairs); i++)
        if (TestKey(desk->Held, pairs[i].Left) || TestKey(desk->Held, pairs[i].Right))
            modifiers |= pairs[i].Modifier;
    return modifiers;
}

static void DeliverKey(WiDesk *desk, const WiInput *input, bool repeat)
{
    // A key the receiver never saw going down is none of its business until it goes down again.
    if (desk->Receiver == nullptr ||
        ((repeat || !input->Pressed) && !TestKey(desk->Delivered, input->Code)))
        return;
    SetKey(desk->Delivered, input->Code, input->Pressed);
    Message message = {.Type = input->Pressed ? MessageKeyDown : MessageKeyUp, .Time = input->Time};
    message.Key.Code = input->Code;
    message.Key.Modifiers = desk->Modifiers;
    message.Key.Character = input->Pressed ? WiTranslateKey(input->Code, desk->Modifiers) : 0;
    message.Key.Repeat = repeat;
    desk->Operations->Post(desk->Receiver, &message, false);
}

static void DamageMenu(WiDesk *desk)
{
    WiDamage(desk, WiCardBounds(WiMenuRect(desk)));
}

void WiOpenMenu(WiDesk *desk, bool open, uint64_t time)
{
    if (desk->MenuOpen == open)
        return;
    if (open)
        desk->Operations->MenuOpened();
    WiDamage(desk, WiPanelRect(desk));
    desk->MenuOpen = open;
    desk->MenuSelection = -1;
    desk->MenuScroll = 0;
    desk->CaptureReleased = false;
    DamageMenu(desk);
    WiDamage(desk, WiPanelRect(desk));
    WiUpdateReceiver(desk, time);
}

static void SelectMenuItem(WiDesk *desk, int32_t index)
{
    if (index == desk->MenuSelection)
        return;
    int32_t scroll = desk->MenuScroll, visible = WiMenuVisible(desk);
    if (index >= 0 && index < desk->ProgramCount)
        scroll = RTL_MAX(index - visible + 1, RTL_MIN(scroll, index));
    if (scroll != desk->MenuScroll) {
        desk->MenuScroll = scroll;
        DamageMenu(desk);
    }
    if (desk->MenuSelection >= 0)
        WiDamage(desk, WiMenuItemRect(desk, desk->MenuSelection));
    desk->MenuSelection = index;
    if (index >= 0)
        WiDamage(desk, WiMenuItemRect(desk, index));
}

static void ChooseMenuItem(WiDesk *desk, int32_t index, uint64_t time)
{
    WiOpenMenu(desk, false, time);
    if (index >= 0 && index < desk->ProgramCount)
        desk->Operations->Start(desk->Programs[index].Command);
    else if (index >= 0)
        desk->Operations->Power(index == desk->ProgramCount ? ShutdownRestart : ShutdownPowerOff);
}

static void MenuKey(WiDesk *desk, uint16_t code, uint64_t time)
{
    int32_t last = desk->ProgramCount + 1, at = desk->MenuSelection;
    switch (code) {
    case KeyDown:
    case KeyTab:
        SelectMenuItem(desk, at >= last ? 0 : at + 1);
        break;
    case KeyUp:
        SelectMenuItem(desk, at <= 0 ? last : at - 1);
        break;
    case KeyHome:
        SelectMenuItem(desk, 0);
        break;
    case KeyEnd:
        SelectMenuItem(desk, last);
        break;
    case KeyLeft:
    case KeyRight:
        if (at >= desk->ProgramCount)
            SelectMenuItem(desk, at == last ? last - 1 : last);
        break;
    case KeyEnter:
    case KeyPadEnter:
    case KeySpace:
        if (at >= 0)
            ChooseMenuItem(desk, at, time);
        break;
    case KeyEscape:
        WiOpenMenu(desk, false, time);
        break;
    default:
        break;
    }
}

static void DamageSwitcher(WiDesk *desk)
{
    WiDamage(desk, WiCardBounds(WiSwitcherRect(desk)));
}

static void StepSwitcher(WiDesk *desk, bool back, uint64_t time)
{
    int32_t count = (int32_t)desk->WindowCount;
    if (count == 0)
        return;
    if (!desk->SwitcherOpen) {
        WiOpenMenu(desk, false, time);
        WiDamage(desk, WiPanelRect(desk));
        desk->SwitcherOpen = true;
        desk->SwitcherSelection = 0;
        WiUpdateReceiver(desk, time);
    }
    desk->SwitcherSelection = (desk->SwitcherSelection + (back ? count - 1 : 1)) % count;
    DamageSwitcher(desk);
}

static void ActivateByUser(WiDesk *desk, WiWindow *window)
{
    int32_t x = window->Client.Left, y = window->Client.Top;
    if (window->Flags & WindowFrame)
        WiKeepReachable(desk, window, &x, &y);
    if (x != window->Client.Left || y != window->Client.Top)
        WiDeskMove(desk, window, x, y);
    WiDeskActivate(desk, window);
}

static void CloseSwitcher(WiDesk *desk, bool choose, uint64_t time)
{
    WiWindow *window = choose ? WiWindowAt(desk, desk->SwitcherSelection) : nullptr;
    DamageSwitcher(desk);
    WiDamage(desk, WiPanelRect(desk));
    desk->SwitcherOpen = false;
    if (window != nullptr)
        ActivateByUser(desk, window);
    WiUpdateReceiver(desk, time);
}

// Keys that belong to the system; true when the key is used up.
static bool SystemKey(WiDesk *desk, const WiInput *input, bool repeat)
{
    bool alt = desk->Modifiers & ModifierAlt;
    if (desk->SwitcherOpen && !alt) {
        CloseSwitcher(desk, true, input->Time);
        return true;
    }
    if (!input->Pressed)
        return desk->MenuOpen || desk->SwitcherOpen;
    if (input->Code == KeyLeftSuper || input->Code == KeyRightSuper) {
        if (!repeat) {
            if (desk->SwitcherOpen)
                CloseSwitcher(desk, false, input->Time);
            WiOpenMenu(desk, !desk->MenuOpen, input->Time);
        }
        return true;
    }
    if (alt && input->Code == KeyTab) {
        StepSwitcher(desk, desk->Modifiers & ModifierShift, input->Time);
        return true;
    }
    if (desk->SwitcherOpen) {
        if (input->Code == KeyEscape)
            CloseSwitcher(desk, false, input->Time);
        else if (input->Code == KeyDown || input->Code == KeyRight || input->Code == KeyUp ||
                 input->Code == KeyLeft)
            StepSwitcher(desk, input->Code == KeyUp || input->Code == KeyLeft, input->Time);
        return true;
    }
    if (desk->MenuOpen) {
        MenuKey(desk, input->Code, input->Time);
        return true;
    }
    if (alt && input->Code == KeyF4 && !repeat && desk->Focus != nullptr) {
        desk->Operations->Post(desk->Focus, &(Message){.Type = MessageClose, .Time = input->Time},
                               false);
        return true;
    }
    if (desk->Modifiers & ModifierControl && alt && WiPointerHidden(desk)) {
        desk->CaptureReleased = true;
        WiUpdateReceiver(desk, input->Time); // shows the pointer
    }
    return false;
}

static void InputKey(WiDesk *desk, const WiInput *input)
{
    if (input->Code == 0 || input->Code > 255)
        return;
    bool repeat = input->Pressed && TestKey(desk->Held, input->Code);
    SetKey(desk->Held, input->Code, input->Pressed);
    if (input->Pressed && !repeat && input->Code == KeyCapsLock)
        desk->Modifiers ^= ModifierCapsLock;
    if (input->Pressed && !repeat && input->Code == KeyNumLock)
        desk->Modifiers ^= ModifierNumLock;
    desk->Modifiers = ComputeModifiers(desk);
    if (!SystemKey(desk, input, repeat))
        DeliverKey(desk, input, repeat);
}

// ---- mouse

static void PostMouse(WiDesk *desk, WiWindow *window, uint32_t type, int32_t x, int32_t y,
                      uint32_t changed, int32_t wheel, uint64_t time)
{
    bool relative = WiPointerHidden(desk) && window == desk->Receiver;
    Message message = {.Type = type, .Time = time};
    message.Mouse.X = relative ? x : desk->X - window->Client.Left;
    message.Mouse.Y = relative ? y : desk->Y - window->Client.Top;
    message.Mouse.Buttons = desk->Buttons;
    message.Mouse.Changed = changed;
    message.Mouse.Wheel = wheel;
    desk->Operations->Post(window, &message, relative);
}

static void MovePointer(WiDesk *desk, int32_t x, int32_t y)
{
    Rect screen = desk->Output.Bounds;
    x = RTL_MAX(screen.Left, RTL_MIN(screen.Right - 1, x));
    y = RTL_MAX(screen.Top, RTL_MIN(screen.Bottom - 1, y));
    if (x == desk->X && y == desk->Y)
        return;
    if (desk->PointerShown)
        WiDamagePointer(desk);
    desk->X = x;
    desk->Y = y;
    if (desk->PointerShown)
        WiDamagePointer(desk);
}

static void SetHover(WiDesk *desk, WiHit hit)
{
    if (hit.Part != PartClose && hit.Part != PartTask && hit.Part != PartLauncher &&
        hit.Part != PartEdge)
        hit = (WiHit){};
    if (hit.Part == desk->Hover.Part && hit.Window == desk->Hover.Window &&
        hit.Index == desk->Hover.Index)
        return;
    WiDamage(desk, WiPartRect(desk, desk->Hover));
    WiDamage(desk, WiPartRect(desk, hit));
    desk->Hover = hit;
    WiUpdatePointer(desk);
}

// The pointer is somewhere else, or what is under it has changed.
static void PointerMoved(WiDesk *desk, int32_t dx, int32_t dy, uint64_t time)
{
    if (desk->Dragged != nullptr && desk->DragEdges != 0) {
        WiDragEdges(desk, time);
        return;
    }
    if (desk->Dragged != nullptr) {
        int32_t x = desk->X - desk->DragX, y = desk->Y - desk->DragY;
        WiKeepReachable(desk, desk->Dragged, &x, &y);
        if (x != desk->Dragged->Client.Left || y != desk->Dragged->Client.Top)
            WiDeskMove(desk, desk->Dragged, x, y);
        return;
    }
    if (WiPointerHidden(desk)) {
        PostMouse(desk, desk->Receiver, MessageMouseMove, dx, dy, 0, 0, time);
        return;
    }
    if (desk->MouseOwner != nullptr) {
        PostMouse(desk, desk->MouseOwner, MessageMouseMove, dx, dy, 0, 0, time);
        return;
    }
    WiHit hit = WiHitTest(desk, desk->X, desk->Y);
    SetHover(desk, hit);
    if (hit.Part == PartMenuItem)
        SelectMenuItem(desk, hit.Index);
    if (hit.Part == PartClient)
        PostMouse(desk, hit.Window, MessageMouseMove, dx, dy, 0, 0, time);
}

static void PressOnWindow(WiDesk *desk, WiHit hit, uint32_t button, uint64_t time)
{
    // Only a click into the client area hands the mouse over to a game.
    WiDeskActivate(desk, hit.Window);
    desk->CaptureReleased = hit.Part != PartClient;
    if (hit.Part == PartClient) {
        desk->MouseOwner = hit.Window;
        PostMouse(desk, hit.Window, MessageMouseDown, 0, 0, button, 0, time);
    } else if (hit.Part == PartEdge && button == MouseButtonLeft) {
        hit.Window->Large = false;
        WiStartEdgeDrag(desk, hit.Window, (uint32_t)hit.Index);
    } else if (hit.Part == PartTitle && button == MouseButtonLeft &&
               !WiTitleClick(desk, hit.Window, time)) {
        desk->Dragged = hit.Window;
        desk->DragEdges = 0;
        desk->DragX = desk->X - hit.Window->Client.Left;
        desk->DragY = desk->Y - hit.Window->Client.Top;
    }
    WiUpdateReceiver(desk, time);
}

static void ButtonDown(WiDesk *desk, uint32_t button, uint64_t time)
{
    if (WiPointerHidden(desk)) {
        PostMouse(desk, desk->Receiver, MessageMouseDown, 0, 0, button, 0, time);
        return;
    }
    if (desk->MouseOwner != nullptr) {
        PostMouse(desk, desk->MouseOwner, MessageMouseDown, 0, 0, button, 0, time);
        return;
    }
    WiHit hit = WiHitTest(desk, desk->X, desk->Y);
    if (desk->MenuOpen && hit.Part != PartMenu && hit.Part != PartMenuItem &&
        hit.Part != PartLauncher)
        WiOpenMenu(desk, false, time);
    if (hit.Part == PartClient || hit.Part == PartTitle || hit.Part == PartClose ||
        hit.Part == PartEdge)
        PressOnWindow(desk, hit, button, time);
    if (button != MouseButtonLeft)
        return;
    desk->Pressed = hit;
    if (hit.Part == PartClose)
        WiDamage(desk, WiPartRect(desk, hit));
    if (hit.Part == PartLauncher)
        WiOpenMenu(desk, !desk->MenuOpen, time);
}

// A press and a release over the same button: it does what it says.
static void Click(WiDesk *desk, WiHit hit, uint64_t time)
{
    switch (hit.Part) {
    case PartClose:
        desk->Operations->Post(hit.Window, &(Message){.Type = MessageClose, .Time = time}, false);
        break;
    case PartTask:
        ActivateByUser(desk, hit.Window);
        break;
    case PartMenuItem:
        ChooseMenuItem(desk, hit.Index, time);
        break;
    default:
        break;
    }
}

static void ButtonUp(WiDesk *desk, uint32_t button, uint64_t time)
{
    if (WiPointerHidden(desk)) {
        desk->MouseOwner = nullptr;
        PostMouse(desk, desk->Receiver, MessageMouseUp, 0, 0, button, 0, time);
        return;
    }
    if (desk->MouseOwner != nullptr) {
        WiWindow *owner = desk->MouseOwner;
        if (desk->Buttons == 0)
            desk->MouseOwner = nullptr;
        PostMouse(desk, owner, MessageMouseUp, 0, 0, button, 0, time);
        PointerMoved(desk, 0, 0, time);
        return;
    }
    if (button != MouseButtonLeft)
        return;
    WiHit pressed = desk->Pressed, hit = WiHitTest(desk, desk->X, desk->Y);
    desk->Pressed = (WiHit){};
    WiDamage(desk, WiPartRect(desk, pressed));
    if (desk->Dragged != nullptr) {
        desk->Dragged = nullptr;
        WiUpdateReceiver(desk, time);
    } else if (pressed.Part == hit.Part && pressed.Window == hit.Window &&
               pressed.Index == hit.Index) {
        Click(desk, hit, time);
    }
    PointerMoved(desk, 0, 0, time);
}

static void Wheel(WiDesk *desk, int32_t notches, uint64_t time)
{
    WiHit hit = WiHitTest(desk, desk->X, desk->Y);
    WiWindow *target = WiPointerHidden(desk)    ? desk->Receiver
                       : hit.Part == PartClient ? hit.Window
                                                : nullptr;
    if (target != nullptr) {
        PostMouse(desk, target, MessageMouseWheel, 0, 0, 0, notches, time);
    } else if (hit.Part == PartMenu || hit.Part == PartMenuItem) {
        int32_t most = desk->ProgramCount - WiMenuVisible(desk);
        desk->MenuScroll =
            RTL_MAX(0, RTL_MIN(most, desk->MenuScroll - RTL_MAX(-64, RTL_MIN(64, notches))));
        DamageMenu(desk);
    }
}

// Of an absolute device's 0..65535.
static int32_t NearestPixel(int32_t place, int32_t size)
{
    return (int32_t)(((int64_t)place * (size - 1) + 65535 / 2) / 65535);
}

static void InputMouse(WiDesk *desk, const WiInput *input)
{
    int32_t x, y, dx = RTL_MAX(-65536, RTL_MIN(65536, input->X)),
                  dy = RTL_MAX(-65536, RTL_MIN(65536, input->Y));
    if (input->Kind == WiInputAbsolute) {
        Rect screen = desk->Output.Bounds;
        x = NearestPixel(dx, GfxWidth(screen));
        y = NearestPixel(dy, GfxHeight(screen));
        dx = x - desk->LastAbsoluteX;
        dy = y - desk->LastAbsoluteY;
        desk->LastAbsoluteX = x;
        desk->LastAbsoluteY = y;
    } else {
        x = desk->X + dx;
        y = desk->Y + dy;
    }
    if (dx != 0 || dy != 0 || x != desk->X || y != desk->Y) {
        if (!WiPointerHidden(desk))
            MovePointer(desk, x, y);
        if (dx != 0 || dy != 0)
            PointerMoved(desk, dx, dy, input->Time);
    }
    uint32_t changed =
        (desk->Buttons ^ input->Buttons) & (MouseButtonLeft | MouseButtonRight | MouseButtonMiddle);
    for (uint32_t button = 1; button <= MouseButtonMiddle; button <<= 1) {
        if (!(changed & button))
            continue;
        desk->Buttons ^= button;
        (desk->Buttons & button ? ButtonDown : ButtonUp)(desk, button, input->Time);
    }
    if (input->Wheel != 0)
        Wheel(desk, input->Wheel, input->Time);
}

void WiDeskInput(WiDesk *desk, const WiInput *input)
{
    if (desk->Notice[0] != '\0' &&
        (input->Kind == WiInputKey ? input->Pressed : input->Buttons != 0))
        WiDeskNotify(desk, "");
    if (input->Kind == WiInputKey)
        InputKey(desk, input);
    else
        InputMouse(desk, input);
}
