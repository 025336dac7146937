// buffer.c - the pixels of windows: sections mapped into the kernel and into the program.
//
// A window has the buffer that the screen shows and the one that its program draws into. They are
// the same but for the time from ResizeWindow to the next PaintWindow; then the old one has no
// mapping in the program any more. Resizing is made in two steps, so that the caller can write the
// new buffer's address out before anything has changed: WinMakeBuffer and WinChangeBuffer.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum { StridePixels = 16 };

static uint64_t BufferBytes; // [m] of all windows
static uint64_t BufferLimit; // fixed

void WiSetBufferLimit(uint64_t bytes)
{
    BufferLimit = bytes;
}

uint64_t WiGetBufferBytes(void)
{
    return BufferBytes;
}

// Takes room for a buffer out of the limit.
static bool ReserveBytes(uint64_t bytes)
{
    KeAcquireMutex(&WiMutex);
    bool granted = bytes <= BufferLimit && BufferBytes <= BufferLimit - bytes;
    if (granted)
        BufferBytes += bytes;
    KeReleaseMutex(&WiMutex);
    return granted;
}

void WiUnmapBuffer(PsProcess *process, uint64_t base)
{
    if (base == 0)
        return;
    MmAddressSpace *space = PsLockAddressSpace(process);
    Status status = space == nullptr ? StatusSuccess : MmUnmapSection(space, base);
    PsUnlockAddressSpace(process);
    if (status != StatusSuccess)
        KeLog(LogError, "win: a window's buffer could not be unmapped: %d", (int)status);
}

void WiFreeBuffer(WiBuffer *buffer)
{
    if (buffer->Pixels != nullptr)
        MmUnmapSectionInKernel(buffer->Section, buffer->Pixels);
    if (buffer->Section != nullptr)
        MmDereferenceSection(buffer->Section);
    if (buffer->Bytes != 0) {
        KeAcquireMutex(&WiMutex);
        BufferBytes -= buffer->Bytes;
        KeReleaseMutex(&WiMutex);
    }
    *buffer = (WiBuffer){};
}

static Status Map(WiBuffer *buffer, PsProcess *process)
{
    void *mapping;
    Status status = MmCreateSection(buffer->Bytes, PageSection, &buffer->Section);
    if (status != StatusSuccess)
        return status;
    status = MmMapSectionInKernel(buffer->Section, &mapping);
    if (status != StatusSuccess)
        return status;
    buffer->Pixels = mapping;
    return MmMapSection(PsGetAddressSpace(process), buffer->Section, 0, buffer->Bytes,
                        &buffer->UserBase, MemoryReadWrite, RegionSection, false);
}

Status WiMakeBuffer(PsProcess *process, uint32_t width, uint32_t height, WiBuffer *buffer)
{
    uint64_t stride = RTL_ALIGN_UP(width, StridePixels);
    uint64_t bytes = RTL_ALIGN_UP(stride * height * sizeof(uint32_t), PAGE_SIZE);
    *buffer = (WiBuffer){.Width = width, .Height = height, .Stride = stride};
    if (!ReserveBytes(bytes))
        return StatusNoMemory;
    buffer->Bytes = bytes;
    Status status = Map(buffer, process);
    if (status != StatusSuccess)
        WiFreeBuffer(buffer);
    return status;
}

Status WinMakeBuffer(WinWindow *window, uint32_t width, uint32_t height, WiBuffer **made,
                     WindowBuffer *described)
{
    PsProcess *caller = PsGetCurrentProcess();
    KeAcquireMutex(&WiMutex);
    PsProcess *owner = window->Process;
    KeReleaseMutex(&WiMutex);
    if (owner != caller)
        return owner == nullptr ? StatusInvalidHandle : StatusAccessDenied;
    WiBuffer *buffer = MmAllocateHeap(sizeof(*buffer), MM_TAG('W', 'i', 'n', 'B'));
    if (buffer == nullptr)
        return StatusNoMemory;
    Status status = WiMakeBuffer(caller, width, height, buffer);
    if (status != StatusSuccess) {
        MmFreeHeap(buffer);
        return status;
    }
    *described =
        (WindowBuffer){(uint32_t *)buffer->UserBase, width, height, (uint32_t)buffer->Stride};
    *made = buffer;
    return StatusSuccess;
}

void WinDropBuffer(WiBuffer *buffer)
{
    WiUnmapBuffer(PsGetCurrentProcess(), buffer->UserBase);
    WiFreeBuffer(buffer);
    MmFreeHeap(buffer);
}

Status WinChangeBuffer(WinWindow *window, WiBuffer *buffer)
{
    WiBuffer unused = {};
    KeAcquireMutex(&WiMutex);
    bool open = window->Process != nullptr && window->View.Added;
    uint64_t old = window->Drawn.UserBase;
    if (open) {
        if (window->Drawn.Pixels != window->Shown.Pixels)
            unused = window->Drawn; // never painted
        window->Drawn = *buffer;
    }
    KeReleaseMutex(&WiMutex);
    if (!open) {
        WinDropBuffer(buffer);
        return StatusInvalidHandle;
    }
    WiUnmapBuffer(PsGetCurrentProcess(), old);
    WiFreeBuffer(&unused);
    MmFreeHeap(buffer);
    return StatusSuccess;
}

bool WiShowDrawn(WinWindow *window, WiBuffer *old)
{
    if (window->Drawn.Pixels == window->Shown.Pixels)
        return false;
    *old = window->Shown;
    window->Shown = window->Drawn;
    WiDeskResize(&WiDesktop, &window->View, window->Shown.Pixels, window->Shown.Stride,
                 (int32_t)window->Shown.Width, (int32_t)window->Shown.Height);
    return true;
}
