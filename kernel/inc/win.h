// win.h - the window system: windows and their shared buffers, composition, focus, input routing.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs.h"
#include "gfx/gfx.h"
#include "ps.h"

typedef struct WinWindow WinWindow; // an ob object of WinWindowType
typedef struct WiBuffer WiBuffer;
extern ObType WinWindowType;

// ---- displays: where the desktop is seen. The firmware's frame buffer until a driver attaches
// another; all of its functions are called at PassiveLevel, one at a time, but for UpdateStopped.
typedef struct WinPointer {
    bool Shown;
    int32_t X, Y;            // where its picture's upper left corner is, perhaps beyond the screen
    int32_t HotX, HotY;      // the place in the picture that points
    const GfxImage *Picture; // stays
} WinPointer;
typedef struct WinDisplay WinDisplay;
struct WinDisplay {
    uint32_t *Pixels;               // stays where it is in every mode
    uint32_t Width, Height, Stride; // pixels
    LoaderPixelFormat Format;
    void *Context; // the driver's
    // These have been painted; must not wait. nullptr: the display sees for itself.
    void (*Update)(WinDisplay *display, const Rect *rects, size_t count);
    // The machine has stopped for good, and something was painted: no locks, no interrupts.
    void (*UpdateStopped)(WinDisplay *display);
    // The sizes there are for certain; false: past the last. SetMode changes Width, Height and
    // Stride, waiting a bounded time. nullptr, both: there is only one size.
    bool (*GetMode)(WinDisplay *display, uint32_t index, ScreenMode *mode);
    Status (*SetMode)(WinDisplay *display, uint32_t width, uint32_t height);
    // The display shows the pointer, which is then not painted (WinSetPointerShown): it looks like
    // that from now on. Must not wait. nullptr: it cannot.
    void (*SetPointer)(WinDisplay *display, const WinPointer *pointer);
    bool ShowsPointer; // the window system's
};
// StatusConflict: there is a driver's display already.
Status WinAttachDisplay(WinDisplay *display);
// From now on the display shows the pointer, or no longer; SetPointer is called for what it is,
// again if it did before. Nothing when it is not attached. PassiveLevel.
void WinSetPointerShown(WinDisplay *display, bool shown);
// The driver's memory is not touched any more. Nothing when it is not attached.
void WinDetachDisplay(WinDisplay *display);

// What the user has asked for by boot option `resolution`; zeros: nothing.
ScreenMode WinGetWantedMode(void);

// Takes the firmware's frame buffer; from here on WinPanicText shows something. Once memory can be
// mapped. Without a display it succeeds, and the system runs on.
Status WinOpenDisplay(const LoaderParams *loader);
// From here on programs can have windows. Without a display AllocWindow says StatusNoSuchDevice.
Status WinInitialize(void);
// Starts the launcher's and the window thread, which paints the desktop and takes input. After the
// first program: drawing the wallpaper takes longer than everything before it.
Status WinStart(void);
void WinShutdown(void);

// Calls of the system call layer; everything is kernel memory. *base is the buffer in the caller's
// space.
Status WinCreateWindow(PsProcess *process, const WindowParameters *parameters, const char *title,
                       WinWindow **window, uint64_t *base, uint32_t *stride);
// The handle messages name; the window appears on the screen now.
void WinSetHandle(WinWindow *window, Handle handle);
Status WinPaint(WinWindow *window, const Rect *area); // nullptr: everything
Status WinMove(WinWindow *window, int32_t x, int32_t y);
// ResizeWindow in two steps. The first makes a buffer in the calling process, which must be the
// window's (StatusAccessDenied); the second gives it to the window, which takes it over in any
// case.
Status WinMakeBuffer(WinWindow *window, uint32_t width, uint32_t height, WiBuffer **made,
                     WindowBuffer *described);
Status WinChangeBuffer(WinWindow *window, WiBuffer *buffer);
void WinDropBuffer(WiBuffer *buffer); // instead of the second
Status WinGetRect(WinWindow *window, Rect *rect);
Status WinSetTitle(WinWindow *window, const char *title);
Status WinSetFlags(WinWindow *window, uint32_t flags);
Status WinActivate(WinWindow *window);
Status WinGetScreenRect(Rect *rect);
Status WinGetScreenMode(uint32_t index, ScreenMode *mode); // StatusNoMoreEntries
// Windows stay open, and reachable. StatusNotSupported: the display has one size only.
Status WinSetScreenMode(uint32_t width, uint32_t height);
// timeout in nanoseconds; StatusTimeout (also for 0: nothing there), StatusTerminating,
// StatusNoMemory.
Status WinGetMessage(PsProcess *process, Message *message, uint64_t timeout);
// The clipboard: text that programs leave for each other. Set takes over text, a heap block or
// nullptr. Get copies its first bytes to a heap block the caller frees (nullptr: there are none)
// and says how long it is and how much that block has.
#define WIN_CLIPBOARD_MAXIMUM (1u << 20)
void WinSetClipboard(char *text, size_t length);
Status WinGetClipboard(size_t size, char **copy, size_t *copied, size_t *length);
uint32_t WinGetWindowCount(PsProcess *process); // nullptr: all
// The launcher asks sys to start a program through this.
void WinRegisterStarter(Status (*start)(const char *commandLine));
// The launcher's power buttons; called from a thread of the window system that may block.
void WinRegisterPower(void (*power)(ShutdownAction action));
// For stops: paints text over the screen without locks or allocation.
void WinPanicText(const char *text, size_t length);
