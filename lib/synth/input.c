// input.c - the synthetic keyboard and mouse.
//
// Keyboard: the driver asks for version 1.0 and, once accepted, gets scan code set 1 with the
// prefixes as flags; it is turned back into the bytes a PS/2 keyboard would send, and decoded as
// those. Characters that the host types as such (its flag Unicode) have no key and are ignored.
//
// Mouse: after the version the host sends the attributes and the report descriptor of a HID device;
// once that is acknowledged, reports follow.
// SPDX-License-Identifier: MIT
#include "wire.h"

// ---- keyboard

enum {
    KeyboardRequest = 1,
    KeyboardResponse = 2,
    KeyboardEvent = 3,
    KeyboardLights = 4,
    KeyboardVersion = 0x10000,
    KeyboardAccepted = 1,
    KeyboardEventSize = 12,
    InfoUnicode = 1,
    InfoBreak = 2,
    InfoE0 = 4,
    InfoE1 = 8,
};

void SynStartKeyboard(SynKeyboard *keyboard, SynMessage *request)
{
    *keyboard = (SynKeyboard){};
    *request = (SynMessage){.Size = 8};
    SyniPut32(request->Bytes, KeyboardRequest);
    SyniPut32(request->Bytes + 4, KeyboardVersion);
}

static SynVerdict DecodeEvent(SynKeyboard *keyboard, const uint8_t *bytes, SynKey *key)
{
    uint16_t code = SyniGet16(bytes + 4);
    uint32_t info = SyniGet32(bytes + 8);
    if (info & InfoUnicode || code == 0 || code > 0x7F)
        return SynNothing;
    if (info & InfoE0)
        (void)InputDecodeKey(&keyboard->Decoder, 0xE0, &key->Code, &key->Pressed);
    if (info & InfoE1)
        (void)InputDecodeKey(&keyboard->Decoder, 0xE1, &key->Code, &key->Pressed);
    uint8_t byte = (uint8_t)(code | (info & InfoBreak ? 0x80 : 0));
    bool some = byte != 0xFF && InputDecodeKey(&keyboard->Decoder, byte, &key->Code, &key->Pressed);
    return some ? SynEvent : SynNothing;
}

SynVerdict SynReceiveKeyboard(SynKeyboard *keyboard, const void *packet, size_t size, SynKey *key)
{
    const uint8_t *bytes = packet;
    if (size < 4)
        return SynBroken;
    switch (SyniGet32(bytes)) {
    case KeyboardResponse:
        if (size < 8 || keyboard->Ready)
            return SynBroken;
        keyboard->Ready = SyniGet32(bytes + 4) & KeyboardAccepted;
        return keyboard->Ready ? SynReady : SynRefused;
    case KeyboardEvent:
        if (size < KeyboardEventSize || !keyboard->Ready)
            return SynBroken;
        return DecodeEvent(keyboard, bytes, key);
    default:
        return SynNothing;
    }
}

void SynBuildKeyboardLights(bool scrollLock, bool numLock, bool capsLock, SynMessage *message)
{
    *message = (SynMessage){.Size = 8};
    SyniPut32(message->Bytes, KeyboardLights);
    SyniPut16(message->Bytes + 4,
              (uint16_t)((scrollLock ? 1 : 0) | (numLock ? 2 : 0) | (capsLock ? 4 : 0)));
}

// ---- mouse

enum {
    MouseRequest = 0,
    MouseResponse = 1,
    MouseDeviceInfo = 2,
    MouseDeviceInfoAck = 3,
    MouseReport = 4,
    MouseVersion = 0x20000,
    AttributesSize = 32,
    DescriptorSize = 9, // HID 1.11, 6.2.1; the length of the report descriptor is its last field
    DescriptorLength = 7,
};

void SynStartMouse(SynMouse *mouse, SynMessage *request)
{
    *mouse = (SynMouse){};
    SyniPut32(SyniBeginTyped(request, MouseRequest, 4, 0), MouseVersion);
}

static SynVerdict TakeDeviceInfo(SynMouse *mouse, const uint8_t *body, size_t size,
                                 SynMessage *answer)
{
    if (mouse->State != SynMouseAccepted || size < AttributesSize + DescriptorSize)
        return SynBroken;
    const uint8_t *report = body + AttributesSize + DescriptorSize;
    size_t length = SyniGet16(body + AttributesSize + DescriptorLength),
           there = size - AttributesSize - DescriptorSize;
    InputHidPointer pointer;
    if (length > there || !InputParsePointer(&pointer, report, length))
        return SynBroken;
    mouse->Pointer = pointer;
    mouse->State = SynMouseReady;
    (void)SyniBeginTyped(answer, MouseDeviceInfoAck, 1, 0); // its byte is reserved
    return SynReady;
}

SynVerdict SynReceiveMouse(SynMouse *mouse, const void *packet, size_t size,
                           InputPointerEvent *event, SynMessage *answer)
{
    uint32_t type;
    const uint8_t *body;
    size_t bodySize;
    answer->Size = 0;
    if (!SyniReadTyped(packet, size, &type, &body, &bodySize))
        return SynBroken;
    switch (type) {
    case MouseResponse:
        if (mouse->State != SynMouseAsked || bodySize < 5)
            return SynBroken;
        if (body[4] == 0)
            return SynRefused;
        mouse->State = SynMouseAccepted;
        return SynNothing;
    case MouseDeviceInfo:
        return TakeDeviceInfo(mouse, body, bodySize, answer);
    case MouseReport:
        if (mouse->State != SynMouseReady)
            return SynBroken;
        return InputDecodePointer(&mouse->Pointer, body, bodySize, event) ? SynEvent : SynNothing;
    default:
        return SynNothing;
    }
}
