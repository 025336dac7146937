// wi.h - what the files of the window system that know the kernel share.
// SPDX-License-Identifier: MIT
#pragma once

#include "desk.h"
#include "win.h"

struct WinWindow {
    WiWindow View;          // [m]
    PsProcess *Process;     // [m] referenced; nullptr once the window is closed
    Handle Handle;          // [m]
    struct WinQueue *Queue; // fixed, referenced
    MmSection *Section;     // fixed
    uint64_t UserBase;      // fixed
    size_t Bytes;           // fixed; of the section
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
void WiMakeWallpaper(void); // of the screen's size; the launcher's thread, once there is one
