// window.c - system calls about windows and their messages.
// SPDX-License-Identifier: MIT
#include "sysi.h"
#include "win.h"

#define TITLE_SIZE          256u // bytes with the NUL
#define WINDOW_EDGE_MAXIMUM 16384u
#define ALL_WINDOW_FLAGS    (WindowFrame | WindowRelativeMouse | WindowNoActivate | WindowResizable)

static Status ReferenceWindow(Handle handle, uint32_t access, WinWindow **window)
{
    return ObReferenceByHandle(SysiHandles(), handle, &WinWindowType, access, (void **)window);
}

// A title; none is an empty one.
static Status CopyTitle(UserPointer title, char copy[TITLE_SIZE])
{
    copy[0] = '\0';
    return title == 0 ? StatusSuccess : MmCopyStringFromUser(copy, TITLE_SIZE, title);
}

static Status DecodeWindow(UserPointer user, WindowParameters *parameters, char title[TITLE_SIZE])
{
    Status status = MmCopyFromUser(parameters, user, sizeof(*parameters));
    if (status != StatusSuccess)
        return status;
    if (parameters->Width == 0 || parameters->Width > WINDOW_EDGE_MAXIMUM ||
        parameters->Height == 0 || parameters->Height > WINDOW_EDGE_MAXIMUM ||
        (parameters->Flags & ~ALL_WINDOW_FLAGS) != 0)
        return StatusInvalidParameter;
    status = CopyTitle((UserPointer)parameters->Title, title);
    parameters->Title = title;
    return status;
}

Status SysAllocWindow(UserPointer user, UserPointer result, UserPointer buffer)
{
    WindowParameters parameters;
    char title[TITLE_SIZE];
    Status status = DecodeWindow(user, &parameters, title);
    if (status == StatusSuccess)
        status = MmCheckUserRange(result, sizeof(Handle));
    if (status == StatusSuccess)
        status = MmCheckUserRange(buffer, sizeof(WindowBuffer));
    if (status != StatusSuccess)
        return status;

    WinWindow *window;
    uint64_t base;
    uint32_t stride;
    status = WinCreateWindow(PsGetCurrentProcess(), &parameters, title, &window, &base, &stride);
    if (status != StatusSuccess)
        return status;
    Handle handle;
    status = ObOpenHandle(SysiHandles(), window, AccessAll, &handle);
    if (status != StatusSuccess) {
        ObDereference(window);
        return status;
    }
    WinSetHandle(window, handle);
    ObDereference(window);
    WindowBuffer out = {(uint32_t *)base, parameters.Width, parameters.Height, stride};
    status = MmCopyToUser(buffer, &out, sizeof(out));
    if (status == StatusSuccess)
        return SysiDeliverHandle(handle, result);
    (void)!ObCloseHandle(SysiHandles(), handle); // another thread may have closed it already
    return status;
}

Status SysPaintWindow(Handle handle, UserPointer area)
{
    Rect rect;
    Status status = area == 0 ? StatusSuccess : MmCopyFromUser(&rect, area, sizeof(rect));
    if (status != StatusSuccess)
        return status;
    WinWindow *window;
    status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    status = WinPaint(window, area == 0 ? nullptr : &rect);
    ObDereference(window);
    return status;
}

Status SysMoveWindow(Handle handle, int32_t x, int32_t y)
{
    WinWindow *window;
    Status status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    status = WinMove(window, x, y);
    ObDereference(window);
    return status;
}

Status SysResizeWindow(Handle handle, uint32_t width, uint32_t height, UserPointer result)
{
    if (width == 0 || width > WINDOW_EDGE_MAXIMUM || height == 0 || height > WINDOW_EDGE_MAXIMUM)
        return StatusInvalidParameter;
    WinWindow *window;
    Status status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    WiBuffer *buffer;
    WindowBuffer out;
    status = WinMakeBuffer(window, width, height, &buffer, &out);
    if (status == StatusSuccess) {
        status = MmCopyToUser(result, &out, sizeof(out));
        if (status == StatusSuccess)
            status = WinChangeBuffer(window, buffer);
        else
            WinDropBuffer(buffer);
    }
    ObDereference(window);
    return status;
}

Status SysGetWindowRect(Handle handle, UserPointer result)
{
    WinWindow *window;
    Status status = ReferenceWindow(handle, AccessQuery, &window);
    if (status != StatusSuccess)
        return status;
    Rect rect;
    status = WinGetRect(window, &rect);
    ObDereference(window);
    return status == StatusSuccess ? MmCopyToUser(result, &rect, sizeof(rect)) : status;
}

Status SysSetWindowTitle(Handle handle, UserPointer title)
{
    char copy[TITLE_SIZE];
    Status status = CopyTitle(title, copy);
    if (status != StatusSuccess)
        return status;
    WinWindow *window;
    status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    status = WinSetTitle(window, copy);
    ObDereference(window);
    return status;
}

Status SysSetWindowFlags(Handle handle, uint32_t flags)
{
    if ((flags & ~ALL_WINDOW_FLAGS) != 0)
        return StatusInvalidParameter;
    WinWindow *window;
    Status status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    status = WinSetFlags(window, flags);
    ObDereference(window);
    return status;
}

Status SysActivateWindow(Handle handle)
{
    WinWindow *window;
    Status status = ReferenceWindow(handle, AccessModify, &window);
    if (status != StatusSuccess)
        return status;
    status = WinActivate(window);
    ObDereference(window);
    return status;
}

Status SysGetScreenRect(UserPointer result)
{
    Rect rect;
    Status status = WinGetScreenRect(&rect);
    return status == StatusSuccess ? MmCopyToUser(result, &rect, sizeof(rect)) : status;
}

Status SysGetScreenMode(uint32_t index, UserPointer result)
{
    ScreenMode mode;
    Status status = WinGetScreenMode(index, &mode);
    return status == StatusSuccess ? MmCopyToUser(result, &mode, sizeof(mode)) : status;
}

Status SysSetScreenMode(uint32_t width, uint32_t height)
{
    return WinSetScreenMode(width, height);
}

static Status TakeMessage(UserPointer result, uint64_t timeout)
{
    // A message that cannot be delivered must not be lost: the place is checked first.
    Status status = MmCheckUserRange(result, sizeof(Message));
    if (status != StatusSuccess)
        return status;
    Message message = {0};
    status = WinGetMessage(PsGetCurrentProcess(), &message, timeout);
    return status == StatusSuccess ? MmCopyToUser(result, &message, sizeof(message)) : status;
}

Status SysGetMessage(UserPointer result, uint32_t timeout)
{
    return TakeMessage(result, SysiTimeout(timeout));
}

Status SysPeekMessage(UserPointer result)
{
    Status status = TakeMessage(result, 0);
    return status == StatusTimeout ? StatusWouldBlock : status;
}

// ---- the clipboard

Status SysSetClipboard(UserPointer text, uint64_t length)
{
    if (length > WIN_CLIPBOARD_MAXIMUM)
        return StatusInvalidParameter;
    char *copy = nullptr;
    if (length != 0) {
        copy = MmAllocateHeap(length, SYS_TAG);
        Status status = copy == nullptr ? StatusNoMemory : MmCopyFromUser(copy, text, length);
        if (status != StatusSuccess) {
            MmFreeHeap(copy);
            return status;
        }
    }
    WinSetClipboard(copy, length);
    return StatusSuccess;
}

Status SysGetClipboard(UserPointer buffer, uint64_t size, UserPointer result)
{
    Status status = MmCheckUserRange(result, sizeof(uint64_t));
    size_t capacity = RTL_MIN(size, (uint64_t)WIN_CLIPBOARD_MAXIMUM);
    if (status == StatusSuccess && capacity != 0)
        status = MmCheckUserRange(buffer, capacity);
    if (status != StatusSuccess)
        return status;
    char *copy;
    size_t copied, length;
    status = WinGetClipboard(capacity, &copy, &copied, &length);
    if (status == StatusSuccess && copied != 0)
        status = MmCopyToUser(buffer, copy, copied);
    MmFreeHeap(copy);
    uint64_t whole = length;
    return status == StatusSuccess ? MmCopyToUser(result, &whole, sizeof(whole)) : status;
}
