// input.c - window messages to the engine's events (i_input.h, i_joystick.h).
//
// The engine's key table is indexed by USB HID usage, which is what KeyCode is. Mouse movement is
// summed up and posted once a tic, buttons and the wheel (two more buttons, as in the original) at
// once.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "port.h"

#include "MetalKeys.h"
#include "d_event.h"
#include "doomkeys.h"
#include "doomtype.h"
#include "i_input.h"
#include "i_joystick.h"
#include "i_video.h"
#include "m_config.h"

float mouse_acceleration = 2.0;
int mouse_threshold = 10;
int vanilla_keyboard_mapping = 1;
static int noVertical = 0;

static boolean textInput = true;
static int moveX, moveY;       // since the last tic
static unsigned engineButtons; // bit 0 left, 1 right, 2 middle, 3 wheel up, 4 wheel down

static int TranslateKey(unsigned code)
{
    static const int table[] = SCANCODE_TO_KEYS_ARRAY;
    switch (code) {
    case KeyLeftControl:
    case KeyRightControl:
        return KEY_RCTRL;
    case KeyLeftShift:
    case KeyRightShift:
        return KEY_RSHIFT;
    case KeyLeftAlt:
        return KEY_LALT;
    case KeyRightAlt:
        return KEY_RALT;
    default:
        return code < arrlen(table) ? table[code] : 0;
    }
}

static void PostKey(const Message *message)
{
    bool down = message->Type == MessageKeyDown;
    int key = TranslateKey(message->Key.Code);
    event_t event = {.type = down ? ev_keydown : ev_keyup, .data1 = key};
    if (!key)
        return;
    if (down) {
        event.data2 = key;
        // Typed text: the shifted character where there is one, else the key itself (Enter,
        // Backspace).
        if (textInput)
            event.data3 = message->Key.Character > 32 && message->Key.Character < 127
                              ? (int)message->Key.Character
                              : key;
    }
    D_PostEvent(&event);
}

static void PostButtons(void)
{
    event_t event = {.type = ev_mouse, .data1 = (int)engineButtons};
    D_PostEvent(&event);
}

static void ReadButtons(const Message *message)
{
    static const struct {
        uint32_t Native;
        unsigned Engine;
    } map[] = {{MouseButtonLeft, 1}, {MouseButtonRight, 2}, {MouseButtonMiddle, 4}};
    for (unsigned i = 0; i < arrlen(map); i++)
        if (message->Mouse.Buttons & map[i].Native)
            engineButtons |= map[i].Engine;
        else
            engineButtons &= ~map[i].Engine;
    PostButtons();
}

static void ReadWheel(const Message *message)
{
    unsigned button = message->Mouse.Wheel > 0 ? 8 : 16;
    engineButtons |= button;
    PostButtons();
    engineButtons &= ~button;
    PostButtons();
}

// Messages carry deltas while the window holds the mouse, positions while the cursor is free.
static void ReadMove(const Message *message)
{
    static int lastX, lastY;
    if (PortGrabbed) {
        moveX += message->Mouse.X;
        moveY += message->Mouse.Y;
    } else {
        moveX += message->Mouse.X - lastX;
        moveY += message->Mouse.Y - lastY;
        lastX = message->Mouse.X;
        lastY = message->Mouse.Y;
    }
}

static void Dispatch(const Message *message)
{
    bool mouse = usemouse && PortFocused;
    switch (message->Type) {
    case MessageKeyDown:
    case MessageKeyUp:
        PostKey(message);
        break;
    case MessageMouseMove:
        if (mouse)
            ReadMove(message);
        break;
    case MessageMouseDown:
    case MessageMouseUp:
        if (mouse)
            ReadButtons(message);
        break;
    case MessageMouseWheel:
        if (mouse)
            ReadWheel(message);
        break;
    case MessageFocus:
        PortFocused = true;
        break;
    case MessageBlur:
        PortFocused = false;
        break;
    case MessageClose: {
        event_t event = {.type = ev_quit};
        D_PostEvent(&event);
        break;
    }
    default:
        break;
    }
}

void PortReadMessages(void)
{
    Message message;
    while (PeekMessage(&message) == StatusSuccess)
        Dispatch(&message);
}

static int Accelerate(int distance)
{
    if (distance < 0)
        return -Accelerate(-distance);
    if (distance <= mouse_threshold)
        return distance;
    return (int)((float)(distance - mouse_threshold) * mouse_acceleration) + mouse_threshold;
}

void I_StartFrame(void) {}

void I_StartTic(void)
{
    if (PortWindow == InvalidHandle)
        return;
    PortReadMessages();
    if (moveX || moveY) {
        event_t event = {
            .type = ev_mouse,
            .data1 = (int)engineButtons,
            .data2 = Accelerate(moveX),
            .data3 = noVertical ? 0 : -Accelerate(moveY),
        };
        moveX = moveY = 0;
        D_PostEvent(&event);
    }
}

void I_StartTextInput(int x1, int y1, int x2, int y2)
{
    textInput = true;
}
void I_StopTextInput(void)
{
    textInput = false;
}

void I_BindInputVariables(void)
{
    M_BindFloatVariable("mouse_acceleration", &mouse_acceleration);
    M_BindIntVariable("mouse_threshold", &mouse_threshold);
    M_BindIntVariable("vanilla_keyboard_mapping", &vanilla_keyboard_mapping);
    M_BindIntVariable("novert", &noVertical);
}

// MetalOS has no game controllers.
void I_InitJoystick(void) {}
void I_BindJoystickVariables(void) {}
