// input.h - what keyboards and pointing devices say, as keys, movements and buttons. Pure.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- keyboards of the PC (scancode.c)
typedef struct InputKeyDecoder {
    bool Set2; // scan code set 2; else set 1
    bool Extended, Release;
    uint8_t PauseLeft;
} InputKeyDecoder;
// Takes one byte; true when it completes an event: *key is a KeyCode.
bool InputDecodeKey(InputKeyDecoder *decoder, uint8_t byte, uint16_t *key, bool *pressed);

// ---- HID pointing devices (hid.c)
// Where a value is in a report, in bits; Size 0: the device has none.
typedef struct InputHidField {
    uint32_t Offset;
    uint8_t Size; // <= 32
    bool Relative;
    int32_t Minimum, Maximum; // logical
} InputHidField;
typedef struct InputHidPointer {
    uint8_t ReportId; // 0: reports carry none
    InputHidField X, Y, Wheel;
    InputHidField Buttons[5]; // left, right, middle, fourth, fifth
} InputHidPointer;
// Finds the first collection with X and Y in a report descriptor (HID 1.11, 6.2.2). false: none, or
// the descriptor is not valid.
bool InputParsePointer(InputHidPointer *pointer, const void *descriptor, size_t size);

typedef struct InputPointerEvent {
    bool Relative;    // X and Y are movements; else 0..65535 of the screen
    int32_t X, Y;     // right and down
    int32_t Wheel;    // notches, positive away from the user
    uint32_t Buttons; // left 1, right 2, middle 4, fourth 8, fifth 16
} InputPointerEvent;
// false: the report is another one's, or too short.
bool InputDecodePointer(const InputHidPointer *pointer, const void *report, size_t size,
                        InputPointerEvent *event);
