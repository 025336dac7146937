// win.c - windows as objects of processes.
//
// What. A program allocates a window and gets a buffer of pixels that it shares with the kernel. It
// draws whenever it likes and says PaintWindow when the screen should follow. The desktop (desk.h,
// pure code) keeps the pile of windows, takes the input and composes; this folder's kernel side
// gives it windows, input events and a frame buffer:
//
//   win.c       the calls of the system call layer, message queues, the end of processes
//   buffer.c    the pixels that windows share with programs
//   thread.c    the window thread: input and the clock
//   launcher.c  the launcher's thread: what may block - listing /apps, starting programs, power off
//   display.c   the frame buffer, or a driver's display
//   screen.c    the last picture, and text for stops
//
// Composition. There is no second copy of a window: the compositor reads the section the program
// draws into, and PaintWindow copies what is visible of it straight to the frame buffer, in the
// calling thread. When it returns the pixels are on the screen. What is exposed later (a window
// moved away) shows the buffer as it is then.
//
// Locking. WiMutex guards the desktop and all windows and is held while pixels move, so it is a
// mutex, not a spin lock. A queue has a spin lock of its own: programs fetch messages without
// waiting for a composition, and the window thread, which holds the mutex, never waits for a
// program. A window holds its process from creation to close. It is closed by its last handle, or
// by the end of its process, whichever comes first; what calls are still in it find it closed and
// say StatusInvalidHandle.
//
// Limits. WI_MAXIMUM_WINDOWS windows, 16384 pixels a side, and a quarter of the machine's memory
// for all buffers together.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum { MaximumSide = 16384, QueueRank = LockRankFile - 1 };
static constexpr uint32_t knownFlags =
    WindowFrame | WindowRelativeMouse | WindowNoActivate | WindowResizable;

KMutex WiMutex;
WiDesk WiDesktop;
bool WiHaveDisplay;
static uint32_t WindowsMade;     // [m] shown or not, until they are deleted
static uint64_t MessagesDropped; // [m] by queues that are gone

static void DeleteWindow(void *body);
static KDispatcherHeader *FindDispatcher(void *body);
static void CloseWindowHandle(void *body, uint32_t openHandles);

ObType WinWindowType = {
    .Name = "window",
    .Kind = ObjectWindow,
    .Tag = MM_TAG('W', 'i', 'n', 'd'),
    .DispatcherOffset = OB_NOT_WAITABLE,
    .FindDispatcher = FindDispatcher,
    .Delete = DeleteWindow,
    .CloseHandle = CloseWindowHandle,
};

void WiPresent(void)
{
    Rect painted[GFX_REGION_CAPACITY];
    size_t count = WiDesktop.Damage.Count;
    memcpy(painted, WiDesktop.Damage.Rects, count * sizeof(painted[0]));
    WiDeskCompose(&WiDesktop);
    WiUpdateDisplay(painted, count);
    WiTellPointer();
}

// ---- message queues

// The process's queue, made at its first use. WiMutex held. nullptr: no memory.
static WinQueue *GetQueue(PsProcess *process)
{
    WinQueue *queue = PsGetWindowData(process);
    if (queue != nullptr)
        return queue;
    queue = MmAllocateHeap(sizeof(*queue), MM_TAG('W', 'i', 'n', 'Q'));
    if (queue == nullptr)
        return nullptr;
    KeInitializeSpinLock(&queue->Lock, QueueRank, "window messages");
    KeInitializeEvent(&queue->Event, true, false);
    queue->References = 1;
    PsSetWindowData(process, queue);
    return queue;
}

// WiMutex held.
static void DereferenceQueue(WinQueue *queue)
{
    if (queue != nullptr && --queue->References == 0)
        MmFreeHeap(queue);
}

// A window can be waited for: it is signalled while its process has messages.
static KDispatcherHeader *FindDispatcher(void *body)
{
    return &((WinWindow *)body)->Queue->Event.Header;
}

void WiPostMessage(WiWindow *view, const Message *message, bool relative)
{
    WinWindow *window = RTL_CONTAINER_OF(view, WinWindow, View);
    WinQueue *queue = window->Process == nullptr ? nullptr : PsGetWindowData(window->Process);
    if (queue == nullptr)
        return;
    Message copy = *message;
    copy.Window = window->Handle;
    if (copy.Time == 0)
        copy.Time = KeQueryTime();
    KIrql old = KeAcquireSpinLock(&queue->Lock);
    WiQueuePush(&queue->Messages, &copy, relative);
    KeSetEvent(&queue->Event);
    KeReleaseSpinLock(&queue->Lock, old);
}

static bool TakeMessage(WinQueue *queue, Message *message)
{
    KIrql old = KeAcquireSpinLock(&queue->Lock);
    bool taken = WiQueuePop(&queue->Messages, message);
    if (queue->Messages.Count == 0)
        KeResetEvent(&queue->Event);
    KeReleaseSpinLock(&queue->Lock, old);
    return taken;
}

Status WinGetMessage(PsProcess *process, Message *message, uint64_t timeout)
{
    WinQueue *queue = PsGetWindowData(process);
    if (queue == nullptr) {
        KeAcquireMutex(&WiMutex);
        queue = GetQueue(process);
        KeReleaseMutex(&WiMutex);
        if (queue == nullptr)
            return StatusNoMemory;
    }
    uint64_t start = KeQueryTime();
    while (!TakeMessage(queue, message)) {
        uint64_t left = KE_INFINITE;
        if (timeout != KE_INFINITE) {
            uint64_t passed = KeQueryTime() - start;
            if (passed >= timeout)
                return StatusTimeout;
            left = timeout - passed;
        }
        Status status = KeWaitForObject(&queue->Event, UserWait, left);
        if (status != StatusSuccess && status != StatusTimeout)
            return status;
    }
    return StatusSuccess;
}

// ---- the life of a window

static bool ParametersValid(const WindowParameters *p)
{
    return p->Width >= 1 && p->Width <= MaximumSide && p->Height >= 1 && p->Height <= MaximumSide &&
           (p->Flags & ~knownFlags) == 0;
}

static int32_t ClampPosition(int32_t at)
{
    return RTL_MAX(-WI_POSITION_LIMIT, RTL_MIN(WI_POSITION_LIMIT, at));
}

static void DescribeWindow(WinWindow *window, const WindowParameters *p, const char *title)
{
    ProcessInfo info;
    PsQueryProcess(window->Process, &info);
    window->View.Icon = WiFindIcon(info.Name);
    window->View.Flags = p->Flags;
    RtlCopyString(window->View.Title, sizeof(window->View.Title), title);
    int32_t x = ClampPosition(p->X), y = ClampPosition(p->Y), width = (int32_t)p->Width,
            height = (int32_t)p->Height;
    if (p->X == WindowPositionDefault || p->Y == WindowPositionDefault) {
        int32_t freeX, freeY;
        KeAcquireMutex(&WiMutex);
        WiDeskPlace(&WiDesktop, width, height, p->Flags, &freeX, &freeY);
        KeReleaseMutex(&WiMutex);
        x = p->X == WindowPositionDefault ? freeX : x;
        y = p->Y == WindowPositionDefault ? freeY : y;
    }
    window->View.Client = (Rect){x, y, x + width, y + height};
}

Status WinCreateWindow(PsProcess *process, const WindowParameters *parameters, const char *title,
                       WinWindow **window, uint64_t *base, uint32_t *stride)
{
    if (!WiHaveDisplay)
        return StatusNoSuchDevice;
    if (!ParametersValid(parameters))
        return StatusInvalidParameter;
    KeAcquireMutex(&WiMutex);
    WinQueue *queue = GetQueue(process);
    bool full = WindowsMade >= WI_MAXIMUM_WINDOWS; // one that is made has a place on the desktop
    if (queue != nullptr) {
        queue->References++;
        WindowsMade += !full;
    }
    KeReleaseMutex(&WiMutex);
    if (queue == nullptr)
        return StatusNoMemory;
    void *body = nullptr;
    Status status =
        full ? StatusLimitReached : ObCreateObject(&WinWindowType, sizeof(WinWindow), &body);
    if (status != StatusSuccess) {
        KeAcquireMutex(&WiMutex);
        WindowsMade -= !full;
        DereferenceQueue(queue);
        KeReleaseMutex(&WiMutex);
        return status;
    }
    WinWindow *made = body;
    made->Queue = queue;
    status = WiMakeBuffer(process, parameters->Width, parameters->Height, &made->Shown);
    if (status != StatusSuccess) {
        ObDereference(made);
        return status;
    }
    ObReference(process);
    made->Process = process;
    made->Drawn = made->Shown;
    made->View.Pixels = made->Shown.Pixels;
    made->View.Stride = made->Shown.Stride;
    DescribeWindow(made, parameters, title);
    *window = made;
    *base = made->Drawn.UserBase;
    *stride = (uint32_t)made->View.Stride;
    return StatusSuccess;
}

void WinSetHandle(WinWindow *window, Handle handle)
{
    KeAcquireMutex(&WiMutex);
    if (window->Process != nullptr && !window->View.Added) {
        WinQueue *queue = PsGetWindowData(window->Process);
        window->Handle = handle;
        queue->WindowCount++;
        WiDeskAdd(&WiDesktop, &window->View);
        WiPresent();
        Rect at = window->View.Client;
        KeLog(LogDebug, "win: opened '%s' at %d,%d %dx%d", window->View.Title, at.Left, at.Top,
              at.Right - at.Left, at.Bottom - at.Top);
    }
    KeReleaseMutex(&WiMutex);
}

// Takes the window off the desktop; true when this call did it. WiMutex held.
static bool Withdraw(WinWindow *window)
{
    if (window->Process == nullptr)
        return false;
    WinQueue *queue = PsGetWindowData(window->Process);
    if (window->View.Added) {
        KeLog(LogDebug, "win: closed '%s'", window->View.Title);
        WiDeskRemove(&WiDesktop, &window->View);
        if (queue != nullptr) {
            queue->WindowCount--;
            KIrql old = KeAcquireSpinLock(&queue->Lock);
            WiQueuePurge(&queue->Messages, window->Handle);
            if (queue->Messages.Count == 0)
                KeResetEvent(&queue->Event);
            KeReleaseSpinLock(&queue->Lock, old);
        }
    }
    return true;
}

// Closes a window of a process that lives, or is about to end: then its address space goes with
// everything in it, before or after.
static void CloseWindow(WinWindow *window)
{
    KeAcquireMutex(&WiMutex);
    PsProcess *process = Withdraw(window) ? window->Process : nullptr;
    window->Process = nullptr;
    uint64_t base = window->Drawn.UserBase;
    if (process != nullptr)
        WiPresent();
    KeReleaseMutex(&WiMutex);
    if (process == nullptr)
        return;
    WiUnmapBuffer(process, base);
    ObDereference(process);
}

static void CloseWindowHandle(void *body, uint32_t openHandles)
{
    if (openHandles == 0)
        CloseWindow(body);
}

static void DeleteWindow(void *body)
{
    WinWindow *window = body;
    CloseWindow(window); // one that never got a handle
    if (window->Drawn.Pixels != window->Shown.Pixels)
        WiFreeBuffer(&window->Drawn);
    WiFreeBuffer(&window->Shown);
    KeAcquireMutex(&WiMutex);
    DereferenceQueue(window->Queue);
    WindowsMade--;
    KeReleaseMutex(&WiMutex);
}

// The process's threads are gone; its address space goes with its mappings after this.
static void ProcessExited(PsProcess *process)
{
    KeAcquireMutex(&WiMutex);
    WinQueue *queue = PsGetWindowData(process);
    uint32_t closed = 0;
    for (ListEntry *entry = WiDesktop.Windows.Next, *next;
         queue != nullptr && entry != &WiDesktop.Windows; entry = next) {
        next = entry->Next;
        WinWindow *window = RTL_CONTAINER_OF(entry, WinWindow, View.Link);
        if (window->Process != process)
            continue;
        (void)Withdraw(window);
        window->Process = nullptr;
        closed++;
    }
    if (closed > 0)
        WiPresent();
    if (queue != nullptr)
        MessagesDropped += queue->Messages.Dropped;
    PsSetWindowData(process, nullptr);
    if (queue != nullptr)
        KeSetEvent(&queue->Event); // nobody waits for messages that cannot come
    DereferenceQueue(queue);
    KeReleaseMutex(&WiMutex);
    for (; closed > 0; closed--)
        ObDereference(process);
}

// ---- calls on a window

// Enters with the mutex when the window is open.
static bool Enter(WinWindow *window)
{
    KeAcquireMutex(&WiMutex);
    if (window->Process != nullptr && window->View.Added)
        return true;
    KeReleaseMutex(&WiMutex);
    return false;
}

static Status LeaveAndPresent(void)
{
    WiPresent();
    KeReleaseMutex(&WiMutex);
    return StatusSuccess;
}

Status WinPaint(WinWindow *window, const Rect *area)
{
    if (area != nullptr && (area->Left > area->Right || area->Top > area->Bottom))
        return StatusInvalidParameter;
    if (!Enter(window))
        return StatusInvalidHandle;
    WiBuffer old = {};
    if (!WiShowDrawn(window, &old))
        WiDeskInvalidate(&WiDesktop, &window->View,
                         area != nullptr ? *area : (Rect){0, 0, MaximumSide, MaximumSide});
    Status status = LeaveAndPresent();
    WiFreeBuffer(&old);
    return status;
}

Status WinMove(WinWindow *window, int32_t x, int32_t y)
{
    if (!Enter(window))
        return StatusInvalidHandle;
    WiDeskMove(&WiDesktop, &window->View, x, y);
    return LeaveAndPresent();
}

Status WinGetRect(WinWindow *window, Rect *rect)
{
    if (!Enter(window))
        return StatusInvalidHandle;
    *rect = window->View.Client;
    KeReleaseMutex(&WiMutex);
    return StatusSuccess;
}

Status WinSetTitle(WinWindow *window, const char *title)
{
    if (!Enter(window))
        return StatusInvalidHandle;
    WiDeskSetTitle(&WiDesktop, &window->View, title);
    return LeaveAndPresent();
}

Status WinSetFlags(WinWindow *window, uint32_t flags)
{
    if (flags & ~knownFlags)
        return StatusInvalidParameter;
    if (!Enter(window))
        return StatusInvalidHandle;
    WiDeskSetFlags(&WiDesktop, &window->View, flags);
    return LeaveAndPresent();
}

Status WinActivate(WinWindow *window)
{
    if (!Enter(window))
        return StatusInvalidHandle;
    WiDeskActivate(&WiDesktop, &window->View);
    return LeaveAndPresent();
}

Status WinGetScreenRect(Rect *rect)
{
    if (!WiHaveDisplay)
        return StatusNoSuchDevice;
    KeAcquireMutex(&WiMutex);
    *rect = WiDesktop.Output.Bounds;
    KeReleaseMutex(&WiMutex);
    return StatusSuccess;
}

uint32_t WinGetWindowCount(PsProcess *process)
{
    KeAcquireMutex(&WiMutex);
    const WinQueue *queue = process == nullptr ? nullptr : PsGetWindowData(process);
    uint32_t count = process == nullptr ? WiDesktop.WindowCount
                     : queue == nullptr ? 0
                                        : queue->WindowCount;
    KeReleaseMutex(&WiMutex);
    return count;
}

static void TellCounters(KCounterSink *sink)
{
    KeAcquireMutex(&WiMutex);
    typeof(WiDesktop.Counters) counters = WiDesktop.Counters;
    uint64_t dropped = MessagesDropped, bytes = WiGetBufferBytes();
    KeReleaseMutex(&WiMutex);
    KeTellCounter(sink, "windows", WinGetWindowCount(nullptr));
    KeTellCounter(sink, "bytes of windows", bytes);
    KeTellCounter(sink, "compositions", counters.Compositions);
    KeTellCounter(sink, "pixels copied", counters.PixelsCopied);
    KeTellCounter(sink, "pixels blended", counters.PixelsBlended);
    KeTellCounter(sink, "messages dropped", dropped);
}

// ---- start

Status WinInitialize(void)
{
    static KCounterSource counters = {.Subsystem = "win", .Tell = TellCounters};
    KeRegisterCounters(&counters);
    static const WiOperations operations = {.Post = WiPostMessage,
                                            .Start = WiRequestStart,
                                            .Power = WiRequestPower,
                                            .MenuOpened = WiRequestPrograms};
    RtlInitializeList(&WiDesktop.Windows);
    RtlInitializeList(&WiDesktop.Tasks);
    PsRegisterExitCallback(ProcessExited);
    MmCounters memory;
    MmQueryCounters(&memory);
    WiSetBufferLimit(memory.PagesTotal * PAGE_SIZE / 4);
    if (GfxIsEmpty(WiDesktop.Output.Bounds))
        return StatusSuccess;
    WiDesktop.Operations = &operations;
    WiInitializeLauncher();
    KeAcquireMutex(&WiMutex); // a display may come
    WiDeskStart(&WiDesktop);
    WiTakePointer();
    WiDeskSetTime(&WiDesktop, KeQuerySystemTime());
    WiHaveDisplay = true;
    KeReleaseMutex(&WiMutex);
    return StatusSuccess;
}

Status WinStart(void)
{
    if (!WiHaveDisplay)
        return StatusSuccess;
    Status status = WiStartLauncher();
    return status == StatusSuccess ? WiStartThread() : status;
}
