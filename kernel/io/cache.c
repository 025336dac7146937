// cache.c - the block cache: pages of disks in memory, written back later.
//
// A buffer holds one 4 KiB page of a disk (pages are counted from the start of the disk) in a frame
// of its own, and is found through a hash table of (disk, page). What is cached is used in place: a
// reader or writer looks the buffer up and pins it under the cache lock, copies with the lock
// released, unpins.
//
// States. Loading: a read is under way; others wait on the buffer's address (KeWaitOnKey). Valid.
// Failed: the read failed; the buffer has left the table and goes with its last pin. Being dirty,
// or on its way to the disk, excludes nothing: a page changed while it is being written is dirty
// again and will be written again.
//
// Writing. A write marks the buffer dirty and puts it at the end of the dirty list. Writers that
// find more than DirtyLimit dirty pages write back first, so dirty data is bounded. Write-back
// takes a batch off the list, sorts it by page, joins neighbours to large requests, and has all of
// them under way at once. What could not be written is dirty again: the error goes to whoever
// flushes, the data stays until a later flush succeeds.
//
// Replacement. One list in second-chance order; only unpinned clean buffers leave. The cache grows
// up to a share of memory, fixed at start; under pressure memory management takes pages back
// through the shrinker.
//
// Mapping. A file's page that is mapped in user space is this cache's page: the mapping holds a pin
// (IoCachePin), so file reads, writes and views see one memory. kernel/mm/views.c tells when a view
// may have changed it.
//
// Locks: C the cache lock, a spin lock, never held while copying or allocating. A pin keeps Device,
// Page and Data fixed. Write-back has a mutex of its own: one at a time.
//
// buffers.c keeps the buffers, writeback.c writes them; this file reads them and serves the
// callers.
// SPDX-License-Identifier: MIT
#include "cache.h"

#define RUN_PAGES 32u // of one read: 128 KiB

// ---- reading into the cache

typedef struct Run {
    IoRequest Request;
    IoSegment Segments[RUN_PAGES];
    IopBuffer *Buffers[RUN_PAGES];
    uint32_t Count;
    KEvent *Done; // nullptr: nobody waits and the run is freed at its end
} Run;

static void RunDone(IoRequest *request)
{
    Run *run = RTL_CONTAINER_OF(request, Run, Request);
    for (uint32_t i = 0; i < run->Count; i++) {
        IopFinishLoading(run->Buffers[i], request->Result == StatusSuccess);
        if (!run->Done || i > 0)
            IopUnpin(run->Buffers[i]);
    }
    if (run->Done)
        KeSetEvent(run->Done);
    else
        MmFreeHeap(run);
}

// Enters new Loading buffers for pages in a row, up to `pages` and up to the first that is there
// already. *existing (when given) is that first one, pinned, if the run is empty because of it.
static void FormRun(Run *run, IoBlockDevice *device, uint64_t page, uint32_t pages,
                    IopBuffer **existing)
{
    uint32_t limit = RTL_MIN(RTL_MIN(pages, RUN_PAGES), device->MaximumTransfer / PAGE_SIZE);
    size_t bytes = 0;
    run->Count = 0;
    while (run->Count < limit) {
        IopBuffer *buffer = IopTakeBuffer();
        if (!buffer)
            break;
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        IopBuffer *there = IopFindBuffer(device, page + run->Count);
        if (!there)
            IopInsertBuffer(buffer, device, page + run->Count);
        else if (existing && run->Count == 0) {
            __atomic_add_fetch(&there->Pins, 1, __ATOMIC_RELAXED);
            *existing = there;
        }
        KeReleaseSpinLock(&IopCache.Lock, old);
        if (there) {
            IopReturnBuffer(buffer);
            break;
        }
        size_t size = IopPageBytes(device, page + run->Count);
        if (size < PAGE_SIZE)
            memset(buffer->Data + size, 0, PAGE_SIZE - size);
        run->Segments[run->Count] = (IoSegment){buffer->Data, size};
        run->Buffers[run->Count++] = buffer;
        bytes += size;
    }
    run->Request = (IoRequest){.Operation = IoRead,
                               .Sector = page * PAGE_SIZE / device->SectorSize,
                               .Count = (uint32_t)(bytes / device->SectorSize),
                               .Segments = run->Segments,
                               .SegmentCount = run->Count,
                               .Complete = RunDone};
}

// Makes room when IopTakeBuffer finds none: everything is dirty or pinned.
static Status MakeRoom(IoBlockDevice *device)
{
    return IopWriteBack(device, CACHE_BATCH_PAGES);
}

// The buffer of `page`, pinned and being loaded or loaded; up to `pages` pages are read with one
// request.
static Status LoadPinned(IoBlockDevice *device, uint64_t page, uint32_t pages, IopBuffer **result)
{
    Run run;
    KEvent done;
    for (int attempt = 0; attempt < 3; attempt++) {
        *result = nullptr;
        FormRun(&run, device, page, pages, result);
        if (*result)
            return StatusSuccess;
        if (run.Count) {
            KeInitializeEvent(&done, true, false);
            run.Done = &done;
            *result = run.Buffers[0];
            IoSubmit(device, &run.Request);
            // The event and the run live on this stack: nothing may cut this wait short.
            while (KeWaitForObject(&done, KernelWait, KE_INFINITE) != StatusSuccess) {}
            return StatusSuccess;
        }
        Status status = MakeRoom(device);
        if (status != StatusSuccess)
            return status;
    }
    return StatusNoMemory;
}

// ---- access

// Translates to the disk and checks the bounds.
static Status CheckRange(const IoVolume *volume, uint64_t offset, size_t size, uint64_t *position)
{
    if (__atomic_load_n(&volume->Device->Gone, __ATOMIC_ACQUIRE))
        return StatusNoSuchDevice;
    uint64_t bytes = volume->SectorCount * volume->Device->SectorSize;
    if (offset > bytes || size > bytes - offset)
        return StatusInvalidParameter;
    *position = volume->FirstSector * volume->Device->SectorSize + offset;
    return StatusSuccess;
}

static Status CopyOut(IoMemory memory, uint8_t *to, const uint8_t *from, size_t size)
{
    if (memory == IoUserMemory)
        return MmCopyToUser((UserPointer)to, from, size);
    memcpy(to, from, size);
    return StatusSuccess;
}

Status IoCacheRead(const IoVolume *volume, uint64_t offset, size_t size, IoMemory memory,
                   void *buffer, bool *missed)
{
    IoBlockDevice *device = volume->Device;
    uint64_t position;
    Status status = CheckRange(volume, offset, size, &position);
    uint8_t *to = buffer;
    while (size && status == StatusSuccess) {
        uint64_t page = position / PAGE_SIZE;
        size_t within = position % PAGE_SIZE, part = RTL_MIN(size, PAGE_SIZE - within);
        IopBuffer *cached = IopFindPinned(device, page);
        if (!cached) {
            uint64_t pages = (position + size - 1) / PAGE_SIZE - page + 1;
            status = LoadPinned(device, page, (uint32_t)RTL_MIN(pages, RUN_PAGES), &cached);
            if (status != StatusSuccess)
                break;
            if (missed)
                *missed = true;
        }
        if (cached->State != BufferValid)
            status = IopWaitUntilLoaded(cached);
        if (status == StatusSuccess)
            status = CopyOut(memory, to, cached->Data + within, part);
        IopUnpin(cached);
        to += part;
        position += part;
        size -= part;
    }
    return status;
}

// What a write takes its bytes from.
typedef struct Source {
    const uint8_t *From; // nullptr: zeros
    IoMemory Memory;
} Source;

static Status CopyIn(uint8_t *to, const Source *source, size_t size)
{
    if (source->Memory == IoUserMemory)
        return MmCopyFromUser(to, (UserPointer)source->From, size);
    if (source->From)
        memcpy(to, source->From, size);
    else
        memset(to, 0, size);
    return StatusSuccess;
}

// After the content has changed. A buffer that is dirty now will be written with that content.
static void MarkDirty(IopBuffer *buffer)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (*(volatile bool *)&buffer->Dirty)
        return;
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    IopMarkDirtyLocked(buffer);
    KeReleaseSpinLock(&IopCache.Lock, old);
}

// A page that is overwritten as a whole and not cached: filled before anybody can find it, because
// copying from a program's memory may need a page of the cache itself.
static Status WriteFresh(IoBlockDevice *device, uint64_t page, const Source *source)
{
    IopBuffer *buffer = IopTakeBuffer();
    if (!buffer) {
        Status status = MakeRoom(device);
        buffer = status == StatusSuccess ? IopTakeBuffer() : nullptr;
        if (!buffer)
            return status == StatusSuccess ? StatusNoMemory : status;
    }
    size_t size = IopPageBytes(device, page);
    Status status = CopyIn(buffer->Data, source, size);
    if (status != StatusSuccess) {
        IopReturnBuffer(buffer);
        return status;
    }
    if (size < PAGE_SIZE)
        memset(buffer->Data + size, 0, PAGE_SIZE - size);
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    IopBuffer *there = IopFindBuffer(device, page);
    if (there) {
        __atomic_add_fetch(&there->Pins, 1, __ATOMIC_RELAXED);
    } else {
        IopInsertBuffer(buffer, device, page);
        buffer->State = BufferValid;
        buffer->Pins = 0;
        IopMarkDirtyLocked(buffer);
    }
    KeReleaseSpinLock(&IopCache.Lock, old);
    if (!there)
        return StatusSuccess;
    status = IopWaitUntilLoaded(there);
    if (status == StatusSuccess) {
        memcpy(there->Data, buffer->Data, size);
        MarkDirty(there);
    }
    IopUnpin(there);
    IopReturnBuffer(buffer);
    return status;
}

// One page's part of a write.
static Status WritePart(IoBlockDevice *device, uint64_t page, size_t within, size_t part,
                        const Source *source)
{
    IopBuffer *cached = IopFindPinned(device, page);
    if (!cached && within == 0 && part >= IopPageBytes(device, page))
        return WriteFresh(device, page, source);
    Status status = cached ? StatusSuccess : LoadPinned(device, page, 1, &cached);
    if (status != StatusSuccess)
        return status;
    if (cached->State != BufferValid)
        status = IopWaitUntilLoaded(cached);
    if (status == StatusSuccess) {
        status = CopyIn(cached->Data + within, source, part);
        MarkDirty(cached); // a bad user buffer may have been good at its beginning
    }
    IopUnpin(cached);
    return status;
}

static Status Write(const IoVolume *volume, uint64_t offset, size_t size, Source source)
{
    IoBlockDevice *device = volume->Device;
    if (device->ReadOnly)
        return StatusReadOnly;
    uint64_t position;
    Status status = CheckRange(volume, offset, size, &position);
    while (size && status == StatusSuccess) {
        status = IoCacheThrottle(volume);
        if (status != StatusSuccess)
            break;
        size_t within = position % PAGE_SIZE, part = RTL_MIN(size, PAGE_SIZE - within);
        status = WritePart(device, position / PAGE_SIZE, within, part, &source);
        if (source.From)
            source.From += part;
        position += part;
        size -= part;
    }
    return status;
}

Status IoCacheWrite(const IoVolume *volume, uint64_t offset, size_t size, IoMemory memory,
                    const void *buffer)
{
    return Write(volume, offset, size, (Source){buffer, memory});
}

Status IoCacheZero(const IoVolume *volume, uint64_t offset, size_t size)
{
    return Write(volume, offset, size, (Source){nullptr, IoKernelMemory});
}

// ---- mapping

Status IoCachePin(const IoVolume *volume, uint64_t offset, size_t ahead, PhysicalAddress *frame)
{
    IoBlockDevice *device = volume->Device;
    uint64_t position;
    Status status = CheckRange(volume, offset, 1, &position);
    if (status != StatusSuccess)
        return status;
    if (position % PAGE_SIZE != 0)
        return StatusInvalidParameter;
    uint64_t page = position / PAGE_SIZE;
    IopBuffer *cached = IopFindPinned(device, page);
    if (!cached)
        status = LoadPinned(device, page, (uint32_t)(1 + ahead / PAGE_SIZE), &cached);
    if (status == StatusNoMemory) // what views let go of then can be dropped at once
        (void)!IopWriteBack(device, UINT32_MAX);
    if (status != StatusSuccess)
        return status;
    status = IopWaitUntilLoaded(cached);
    if (status == StatusSuccess)
        *frame = MmVirtualToPhysical(cached->Data);
    else
        IopUnpin(cached);
    return status;
}

Status IoCacheThrottle(const IoVolume *volume)
{
    return IopCache.DirtyPages < IopCache.DirtyLimit
               ? StatusSuccess
               : IopWriteBack(volume->Device, CACHE_BATCH_PAGES);
}

void IopMarkOwnerDirty(void *buffer)
{
    MarkDirty(buffer);
}

void IopUnpinOwner(void *buffer)
{
    IopUnpin(buffer);
}

size_t IoCachePrefetch(const IoVolume *volume, uint64_t offset, size_t size)
{
    IoBlockDevice *device = volume->Device;
    uint64_t position;
    if (!size || CheckRange(volume, offset, size, &position) != StatusSuccess)
        return 0;
    uint64_t page = position / PAGE_SIZE, end = (position + size - 1) / PAGE_SIZE + 1;
    size_t asked = 0;
    while (page < end) {
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        while (page < end && IopFindBuffer(device, page))
            page++;
        KeReleaseSpinLock(&IopCache.Lock, old);
        Run *run = page < end ? MmAllocateHeap(sizeof(Run), CACHE_TAG) : nullptr;
        if (!run)
            break;
        FormRun(run, device, page, (uint32_t)RTL_MIN(end - page, RUN_PAGES), nullptr);
        if (!run->Count) {
            MmFreeHeap(run);
            break;
        }
        uint32_t count = run->Count; // the run is gone once submitted
        IoSubmit(device, &run->Request);
        asked += (size_t)count * PAGE_SIZE;
        page += count;
    }
    return asked;
}

Status IoCacheFlush(const IoVolume *volume)
{
    Status written = IopWriteBack(volume->Device, UINT32_MAX);
    Status flushed = IoTransfer(volume->Device, IoFlush, 0, 0, nullptr);
    return written != StatusSuccess ? written : flushed;
}
