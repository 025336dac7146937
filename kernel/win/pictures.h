// pictures.h - what the desktop shows beside windows: icons and symbols, made by tools/fontgen, and
// the wallpaper.
// SPDX-License-Identifier: MIT
#pragma once

#include "gfx/gfx.h"

extern const int16_t WiSine[1024]; // 16384 = 1
typedef enum WiIcon { IconProgram, IconDoom, IconFire, IconTerminal, IconCount } WiIcon;
enum { Icon16, Icon20, Icon32, Icon48 };
extern const GfxImage *const WiIcons[IconCount][4];
typedef enum WiPointer : uint8_t {
    PointerArrow,
    PointerHorizontal, // double arrows, for edges
    PointerVertical,
    PointerDown, // from the upper left to the lower right
    PointerUp,
    PointerCount
} WiPointer;
extern const GfxImage *const WiPointers[PointerCount];
extern const GfxImage WiImageMark, WiImageMarkLarge, WiImageClose, WiImagePower, WiImageRestart;

// For a screen of the surface's bounds.
void WiPaintWallpaper(const GfxSurface *to);
