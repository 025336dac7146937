// pointer.h - the pointer that a guest has told the video adapter of: checked, and laid over the
// picture that is to be seen.
// SPDX-License-Identifier: MIT
#pragma once

#include "qemu/osdep.h"
#include "ui/console.h"

#define POINTER_SIDE 96 // largest

typedef struct Pointer {
    bool shown, laid; // laid: it is on the picture, and `under` has what it covers
    int x, y;         // its upper left corner
    uint32_t width, height;
    uint32_t pixels[POINTER_SIDE * POINTER_SIDE]; // 0xAARRGGBB
    int laidX, laidY, laidWidth, laidHeight;
    uint32_t under[POINTER_SIDE * POINTER_SIDE];
} Pointer;

// Messages of the guest, without their heads.
void PointerMove(Pointer *pointer, const uint8_t *data, uint32_t length);
void PointerShape(Pointer *pointer, const uint8_t *data, uint32_t length);
// Around each change of the picture.
void PointerLift(Pointer *pointer, QemuConsole *console);
void PointerLay(Pointer *pointer, QemuConsole *console);
