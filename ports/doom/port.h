// port.h - what the files of this port share.
//
// The port stands where chocolate-doom's SDL back ends stand: main.c (command line), sdl.c (clock,
// locks, paths), video.c (window, palette, scaling), input.c (messages to events), sound.c and
// net.c (modules that offer no device), framehash.c (the test oracle's line per frame). The
// engine's own files are unmodified.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "MetalOS.h"

#include <stdbool.h>

// The clock stands still but for SDL_Delay (-framehashes).
extern bool PortFixedClock;

// The game's window, InvalidHandle before I_InitGraphics.
extern Handle PortWindow;
// The window has the keyboard focus.
extern bool PortFocused;

// The window holds the mouse: move messages are deltas.
extern bool PortGrabbed;

// Brings the window's mouse mode in line with what the game wants now.
void PortUpdateGrab(void);
// Takes every waiting message and posts the engine's events.
void PortReadMessages(void);

// Writes "frame crc32(pixels) crc32(palette) ms" to the file given with -framehashes, if any.
// palette: 256 times red, green, blue.
void PortHashFrame(const unsigned char *pixels, size_t size, const unsigned char palette[768]);
