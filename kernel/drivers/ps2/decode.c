// decode.c - what PS/2 mice say, as events: 3-byte packets, and the 4-byte ones of the IntelliMouse
// (id 3) and the IntelliMouse Explorer (id 4). Pure.
// SPDX-License-Identifier: MIT
#include "decode.h"

#define MOUSE_ALWAYS_ONE 0x08
#define MOUSE_OVERFLOW   0xC0
// Nanoseconds. A packet's bytes come a millisecond apart, but a virtual machine can stand still
// between two of them: a gap is only taken for a lost byte when it is longer than any such stop.
#define MOUSE_GAP 1000000000ull

bool Ps2DecodeMouse(Ps2MouseDecoder *decoder, uint8_t byte, uint64_t time, Ps2MouseEvent *event)
{
    if (decoder->Count && time - decoder->LastTime > MOUSE_GAP)
        decoder->Count = 0;
    decoder->LastTime = time;
    if (decoder->Count == 0 && !(byte & MOUSE_ALWAYS_ONE))
        return false; // not the first byte of a packet
    decoder->Bytes[decoder->Count++] = byte;
    if (decoder->Count < (decoder->Id >= 3 ? 4 : 3))
        return false;
    decoder->Count = 0;
    const uint8_t *bytes = decoder->Bytes;
    *event = (Ps2MouseEvent){.Buttons = bytes[0] & 7u};
    if (!(bytes[0] & MOUSE_OVERFLOW)) {
        event->X = bytes[1] - (bytes[0] & 0x10 ? 256 : 0);
        event->Y = -(bytes[2] - (bytes[0] & 0x20 ? 256 : 0)); // the mouse counts upwards
    }
    if (decoder->Id == 3) {
        event->Wheel = -(int8_t)bytes[3];
    } else if (decoder->Id == 4) {
        event->Wheel = -((bytes[3] & 15) - (bytes[3] & 8 ? 16 : 0));
        event->Buttons |= (bytes[3] & 0x30u) >> 1;
    }
    return true;
}
