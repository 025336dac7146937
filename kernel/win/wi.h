// wi.h - what the files of the window system that know the kernel share.
// SPDX-License-Identifier: MIT
#pragma once

#include "desk.h"
#include "win.h"

// Pixels shared with a program.
struct WiBuffer {
    MmSection *Section;
    uint32_t *Pixels;  // the kernel's mapping
    uint64_t UserBase; // the program's
    size_t Bytes, Stride;
    uint32_t Width, Height;
};

struct WinWindow {
    WiWindow View;          // [m]
    PsProcess *Process;     // [m] referenced; nullptr once the window is closed
    Handle Handle;          // [m]
    struct WinQueue *Queue; // fixed, referenced
    WiBuffer Shown;         // [m] what the desktop paints
    WiBuffer Drawn;         // [m] what the program has; the same until it resizes
};
// Legend: m WiMutex.

// The messages of a process, in its window data slot. Made at its first use; the process, up to its
// exit callback, and each window hold it.
typedef struct WinQueue {
    KSpinLock Lock; // guards Messages
    KEvent Event;   // manual: set while there are messages, and for good once the process is gone
    WiQueue Messages;
    uint32_t WindowCount; // [m]
    uint32_t References;  // [m]
} WinQueue;

extern KMutex WiMutex;
extern WiDesk WiDesktop;   // [m]
extern bool WiHaveDisplay; // fixed at start

// win.c
void WiPresent(void); // composes; WiMutex held
void WiPostMessage(WiWindow *window, const Message *message, bool relative); // WiMutex held
// buffer.c
void WiSetBufferLimit(uint64_t bytes); // of all windows together
uint64_t WiGetBufferBytes(void);       // WiMutex held
// Maps memory for so many pixels here and in the process, whose address space stays meanwhile.
Status WiMakeBuffer(PsProcess *process, uint32_t width, uint32_t height, WiBuffer *buffer);
void WiFreeBuffer(WiBuffer *buffer); // without the program's mapping; an empty one too
void WiUnmapBuffer(PsProcess *process, uint64_t base); // 0: nothing to do
// Shows what the program has drawn since it resized; false: it has not. *old is to be freed without
// the lock. WiMutex held.
bool WiShowDrawn(WinWindow *window, WiBuffer *old);
// launcher.c: requests are noted under WiMutex and carried out by the launcher's thread.
void WiRequestStart(const char *command);
void WiRequestPower(ShutdownAction action);
void WiRequestPrograms(void);
void WiRequestWallpaper(void);
void WiInitializeLauncher(void); // before the first request
Status WiStartLauncher(void);
WiIcon WiFindIcon(const char *program);
// thread.c
Status WiStartThread(void);
// display.c; WiMutex held, but for the last two
void WiUpdateDisplay(const Rect *rects, size_t count); // these have been painted
void WiUpdateStoppedDisplay(void);                     // in a stop: something has
void WiTakePointer(void);   // paints it, or has the display show it, from now on; WiMutex held
void WiTellPointer(void);   // to a display that shows it: how it is now; WiMutex held
void WiMakeWallpaper(void); // of the screen's size; the launcher's thread, once there is one
