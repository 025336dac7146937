// decode.h - a PS/2 mouse's bytes to events. Pure.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct Ps2MouseDecoder {
    uint8_t Id; // 0 plain, 3 with wheel, 4 with five buttons
    uint8_t Count;
    uint8_t Bytes[4];
    uint64_t LastTime;
} Ps2MouseDecoder;
typedef struct Ps2MouseEvent {
    int32_t X, Y;     // right and down
    int32_t Wheel;    // positive away from the user
    uint32_t Buttons; // left 1, right 2, middle 4, fourth 8, fifth 16
} Ps2MouseEvent;
// time in nanoseconds: a pause between bytes starts a new packet.
bool Ps2DecodeMouse(Ps2MouseDecoder *decoder, uint8_t byte, uint64_t time, Ps2MouseEvent *event);
