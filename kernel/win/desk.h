// desk.h - the desktop as a machine of pure code: windows in their order, what the mouse and
// keyboard do to them, and the composition of all of it into a frame buffer. win.c drives it under
// the window lock; the native tests drive it directly.
// SPDX-License-Identifier: MIT
#pragma once

#include "pictures.h"

#define WI_TITLE_SIZE       128       // bytes of a title with its NUL
#define WI_MAXIMUM_WINDOWS  256       // on the desktop
#define WI_MAXIMUM_PROGRAMS 64        // in the launcher
#define WI_POSITION_LIMIT   (1 << 30) // windows are kept within this distance of the screen's corner
#define WI_TITLE_HEIGHT     34
#define WI_FRAME_RADIUS     9
#define WI_PANEL_HEIGHT     44

// ---- messages of one process (queue.c)
#define WI_QUEUE_CAPACITY 128
typedef struct WiQueue {
    uint32_t Head, Count;
    uint64_t Dropped;
    struct {
        Message Message;
        bool Relative;
    } Items[WI_QUEUE_CAPACITY];
} WiQueue;
// Adds a message. Moves join the move before them (relative: added up), a second MessageClose,
// MessagePaint or MessageResize of a window joins the first; a full queue loses its oldest move,
// else its oldest message.
void WiQueuePush(WiQueue *queue, const Message *message, bool relative);
bool WiQueuePop(WiQueue *queue, Message *message);
void WiQueuePurge(WiQueue *queue, Handle window); // the window is gone

// ---- keys (keys.c): the character a key types on a US keyboard, 0: none.
uint32_t WiTranslateKey(uint16_t code, uint16_t modifiers);

// ---- windows
typedef struct WiWindow {
    ListEntry Link;     // WiDesk.Windows: the topmost first
    ListEntry TaskLink; // WiDesk.Tasks: the oldest first
    Rect Client;        // on the screen
    uint32_t Flags;     // Window...
    uint32_t *Pixels;
    size_t Stride;
    WiIcon Icon;
    bool Added;
    bool Asked;     // resize.c: Wanted and Still mean something
    bool Large;     // fills the screen by a double click; Restore is where it was
    uint32_t Still; // Edge...: those of Wanted that hold whatever size the program takes
    Rect Wanted, Restore;
    char Title[WI_TITLE_SIZE];
} WiWindow;

// A place on the desktop that the mouse can be over.
typedef enum WiPart : uint8_t {
    PartNone,
    PartDesktop,
    PartClient,
    PartTitle,
    PartClose,
    PartPanel,
    PartLauncher,
    PartTask,
    PartEdge, // Index: Edge...
    PartMenu,
    PartMenuItem, // Index: a program, or MenuRestart/MenuPowerOff past the last
} WiPart;
enum { EdgeLeft = 1, EdgeRight = 2, EdgeTop = 4, EdgeBottom = 8 };
typedef struct WiHit {
    WiPart Part;
    WiWindow *Window;
    int32_t Index;
} WiHit;

typedef struct WiProgram {
    char Name[48];    // shown
    char Command[64]; // given to Start
    WiIcon Icon;
} WiProgram;

typedef enum WiInputKind : uint8_t { WiInputKey, WiInputRelative, WiInputAbsolute } WiInputKind;
typedef struct WiInput {
    WiInputKind Kind;
    bool Pressed;
    uint16_t Code;
    int32_t X, Y; // relative: pixels; absolute: 0..65535 of the screen
    int32_t Wheel;
    uint32_t Buttons;
    uint64_t Time;
} WiInput;

// What the desktop asks of its owner. Called in the middle of its work: these must not call back.
typedef struct WiOperations {
    void (*Post)(WiWindow *window, const Message *message,
                 bool relative); // message->Window is not filled in
    void (*Start)(const char *command);
    void (*Power)(ShutdownAction action);
    void (*MenuOpened)(void); // the list of programs may be out of date
} WiOperations;

typedef enum WiLayerKind : uint8_t {
    LayerPointer,
    LayerNotice,
    LayerSwitcher,
    LayerMenu,
    LayerPanel,
    LayerWindow
} WiLayerKind;
typedef struct WiLayer {
    WiLayerKind Kind;
    uint8_t OpaqueCount;
    WiWindow *Window;
    Rect Bounds;    // outside it the layer paints nothing
    Rect Opaque[4]; // inside these it hides everything below
} WiLayer;

typedef struct WiCounters {
    uint64_t Compositions;  // times the screen was brought up to date
    uint64_t PixelsCopied;  // straight from a window or the wallpaper
    uint64_t PixelsBlended; // through the scratch memory
} WiCounters;

typedef struct WiDesk {
    GfxSurface Output; // the frame buffer; its bounds are the screen; Pixels nullptr: unseen
    bool SwapOutput;   // RGBX
    // Fixed at start.
    uint32_t *Scratch;    // for blending
    size_t ScratchPixels; // at least the screen's width
    const WiOperations *Operations;

    GfxSurface Wallpaper; // Pixels nullptr: a plain gradient instead; holds the panel's ground too
    ListEntry Windows, Tasks;
    uint32_t WindowCount;
    WiWindow *Focus;    // the active window, nullptr: none
    WiWindow *Receiver; // gets the keys: Focus, or nullptr while the menu or the switcher is open

    // Keyboard.
    uint64_t Held[4];      // physically down, by key code
    uint64_t Delivered[4]; // of those, the ones the receiver knows about
    uint16_t Modifiers;

    // Mouse.
    int32_t X, Y;
    uint32_t Buttons;
    bool PointerShown;    // what the screen shows
    bool PointerPainted;  // by us, or else by the display
    WiPointer Pointer;    // its shape
    bool CaptureReleased; // the user has freed the mouse from a WindowRelativeMouse window
    WiWindow *MouseOwner; // a button went down in its client area
    WiWindow *Dragged;
    uint32_t DragEdges;   // 0: the window moves
    Rect DragStart;       // its client area when a drag of edges began
    int32_t DragX, DragY; // the pointer's place from the client's corner, or from the dragged edges
    WiWindow *TitleWindow; // whose title bar was clicked last; when and where
    uint64_t TitleTime;
    int32_t TitleX, TitleY;
    WiHit Hover, Pressed;
    int32_t LastAbsoluteX, LastAbsoluteY;

    // Menu, switcher, clock.
    bool MenuOpen, SwitcherOpen;
    int32_t MenuSelection;     // -1: none
    int32_t MenuScroll;        // first program shown
    int32_t SwitcherSelection; // index in Windows
    WiProgram Programs[WI_MAXIMUM_PROGRAMS];
    int32_t ProgramCount;
    char Clock[8], Date[24];
    char Notice[128]; // shown until the next key or click; empty: none

    GfxRegion Damage;
    WiLayer Layers[WI_MAXIMUM_WINDOWS + 5];
    size_t LayerCount;
    WiCounters Counters;
} WiDesk;

// desk.c: Output, SwapOutput, Scratch, ScratchPixels and Operations are set, the rest is zero.
void WiDeskStart(WiDesk *desk);
// Another frame buffer, perhaps of another size: the ground is plain until its picture is set
// again, and framed windows stay within reach. Pixels nullptr: nobody sees the desktop for a while.
void WiDeskSetOutput(WiDesk *desk, const GfxSurface *output, bool swap);
// The picture of the ground from now on, as WiPrepareWallpaper made it. Without one it is a
// gradient.
void WiPrepareWallpaper(const WiDesk *desk,
                        const GfxSurface *wallpaper); // paint.c; slow, touches only *wallpaper
void WiDeskSetWallpaper(WiDesk *desk, const GfxSurface *wallpaper);
// Chooses a place for a client area of that size.
void WiDeskPlace(WiDesk *desk, int32_t width, int32_t height, uint32_t flags, int32_t *x,
                 int32_t *y);
void WiDeskAdd(WiDesk *desk, WiWindow *window);    // window fully filled in but for links
void WiDeskRemove(WiDesk *desk, WiWindow *window); // no effect when not added
void WiDeskMove(WiDesk *desk, WiWindow *window, int32_t x, int32_t y);
// Shows another buffer of the window from now on, of another size.
void WiDeskResize(WiDesk *desk, WiWindow *window, uint32_t *pixels, size_t stride, int32_t width,
                  int32_t height); // resize.c
void WiDeskSetTitle(WiDesk *desk, WiWindow *window, const char *title);
void WiDeskSetFlags(WiDesk *desk, WiWindow *window, uint32_t flags);
void WiDeskActivate(WiDesk *desk, WiWindow *window);
void WiDeskInvalidate(WiDesk *desk, WiWindow *window, Rect area); // client coordinates
void WiDeskSetTime(WiDesk *desk, uint64_t unixNanoseconds);
// Replaces the launcher's list.
void WiDeskSetPrograms(WiDesk *desk, const WiProgram *programs, int32_t count);
// Shows a sentence until the next key or click; an empty one takes it away.
void WiDeskNotify(WiDesk *desk, const char *text);
// input.c
void WiDeskInput(WiDesk *desk, const WiInput *input);
// compose.c: brings the screen up to date; nothing when there is no damage.
void WiDeskCompose(WiDesk *desk);
// The same picture the simple way: everything painted bottom to top into `to`, for the tests.
void WiDeskPaintAll(WiDesk *desk, const GfxSurface *to);

// ---- between the files of the desktop
void WiDamage(WiDesk *desk, Rect rect);
void WiUpdateReceiver(WiDesk *desk, uint64_t time);
void WiOpenMenu(WiDesk *desk, bool open, uint64_t time);
Rect WiOuterRect(const WiWindow *window);          // with the frame
Rect WiWindowBounds(const WiWindow *window);       // with the shadow
WiWindow *WiWindowAt(WiDesk *desk, int32_t index); // in Windows; nullptr past the last
bool WiPanelShown(const WiDesk *desk);
bool WiPointerHidden(const WiDesk *desk);
Rect WiPointerRect(const WiDesk *desk);
void WiDamagePointer(WiDesk *desk); // nothing when it is not painted
// Who paints the pointer from now on.
void WiDeskSetPointerPainted(WiDesk *desk, bool painted);
void WiKeepReachable(WiDesk *desk, WiWindow *window, int32_t *x, int32_t *y);

void WiUpdatePointer(WiDesk *desk);
void WiDeskReplace(WiDesk *desk, WiWindow *window, Rect client, uint32_t *pixels, size_t stride);

// resize.c
uint32_t WiEdgesAt(const WiWindow *window, int32_t x, int32_t y); // Edge...; 0: none
void WiStartEdgeDrag(WiDesk *desk, WiWindow *window, uint32_t edges);
void WiDragEdges(WiDesk *desk, uint64_t time); // the pointer has moved meanwhile
// A press on a title bar. True: the second one, which has made the window large or small again.
bool WiTitleClick(WiDesk *desk, WiWindow *window, uint64_t time);

// layout.c: where things are
enum { MenuItemHeight = 44, SwitcherItemHeight = 48 };
Rect WiPanelRect(const WiDesk *desk);
Rect WiLauncherRect(const WiDesk *desk);
Rect WiTaskRect(const WiDesk *desk, const WiWindow *window);
Rect WiClockRect(const WiDesk *desk);
Rect WiMenuRect(const WiDesk *desk);
int32_t WiMenuVisible(const WiDesk *desk);              // programs shown at once
Rect WiMenuItemRect(const WiDesk *desk, int32_t index); // empty: scrolled out
Rect WiSwitcherRect(const WiDesk *desk);
Rect WiNoticeRect(const WiDesk *desk);
Rect WiCardBounds(Rect card); // of a menu, switcher or notice with its shadow
Rect WiCloseRect(const WiWindow *window);
Rect WiPartRect(const WiDesk *desk, WiHit hit); // to repaint when its hover state changes
WiHit WiHitTest(WiDesk *desk, int32_t x, int32_t y);

// paint.c: how they look; each paints what it is into `to`, clipped
void WiPaintGround(const WiDesk *desk, const GfxSurface *to);
void WiPaintWindow(const WiDesk *desk, const WiWindow *window, const GfxSurface *to);
void WiPaintPanel(const WiDesk *desk, const GfxSurface *to);
void WiPaintMenu(const WiDesk *desk, const GfxSurface *to);
void WiPaintSwitcher(const WiDesk *desk, const GfxSurface *to);
void WiPaintNotice(const WiDesk *desk, const GfxSurface *to);
