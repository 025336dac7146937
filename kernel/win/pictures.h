// pictures.h - what the desktop shows beside windows: icons and symbols, made by tools/fontgen, and
// the wallpaper.
// SPDX-License-Identifier: MIT
#pragma once

#include "gfx/gfx.h"

extern const int16_t WiSine[1024]; // 16384 = 1
typedef enum WiIcon { IconProgram, IconDoom, IconFire, IconTerminal, IconCount } WiIcon;
enum { Icon16, Icon20, Icon32, Icon48 };
extern const GfxImage *const WiIcons[IconCount][4];
extern const GfxImage WiImageMark, WiImageMarkLarge, WiImageClose, WiImagePower, WiImageRestart,
    WiImagePointer;

// For a screen of the surface's bounds.
void WiPaintWallpaper(const GfxSurface *to);
