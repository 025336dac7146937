// cache.c - the block cache: pages of disks in memory, written back later.
//
// A buffer holds one 4 KiB page of a disk (pages are counted from the start of the disk) in a frame
// of its own, and is found through a hash table of (disk, page). What is cached is used in place: a
// reader or writer looks the buffer up and pins it under the cache lock, copies with the lock
// released, unpins.
//
// States. Loading: a read is under way, or a writer is about to fill the whole page; others wait on
// the buffer's address (KeWaitOnKey). Valid. Failed: the read failed; the buffer has left the table
// and goes with its last pin. Dirty and Writing are flags of valid buffers and exclude nothing: a
// page changed while it is being written is dirty again and will be written again.
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
// Locks: C the cache lock (a spin lock, never held while copying or allocating); W WriteMutex, one
// write-back at a time. A pin keeps Device, Page and Data fixed.
// SPDX-License-Identifier: MIT
#include "iop.h"

#define TAG_CACHE      MM_TAG('I', 'o', 'C', 'a')
#define MAXIMUM_PAGES  65536u // 256 MiB
#define MINIMUM_PAGES  256u
#define RUN_PAGES      32u  // of one read: 128 KiB
#define BATCH_PAGES    256u // of one write-back round
#define BATCH_REQUESTS 64u
#define EVICTION_SCAN  128u // buffers looked at before giving up

typedef enum BufferState : uint8_t { BufferLoading, BufferValid, BufferFailed } BufferState;

typedef struct Buffer {
    struct Buffer *HashNext; // C
    ListEntry Lru;           // C; on the free list: its link
    ListEntry DirtyLink;     // C
    IoBlockDevice *Device;
    uint64_t Page;
    uint8_t *Data;
    volatile uint32_t Pins;     // raised under C; lowered anywhere
    volatile BufferState State; // C for changes
    volatile bool Orphan;       // C; out of the table, freed by the last pin
    bool Dirty;                 // C
    bool Referenced;            // second chance; races only cost precision
} Buffer;

typedef struct WriteRequest {
    IoRequest Request;
    uint32_t First, Count; // pages of the batch
} WriteRequest;

static struct {
    KSpinLock Lock;
    Buffer **Table; // C
    uint32_t TableMask;
    ListEntry Lru;       // C; most recent first
    ListEntry Free;      // C; buffers with a frame but without content
    ListEntry Dirty;     // C; oldest first
    uint32_t Pages;      // C; frames held
    uint32_t DirtyPages; // C
    uint32_t Limit, DirtyLimit;
    KMutex WriteMutex;
    KEvent BatchDone;                    // W
    volatile uint32_t BatchPending;      // W
    Buffer *Batch[BATCH_PAGES];          // W
    IoSegment Segments[BATCH_PAGES];     // W
    WriteRequest Writes[BATCH_REQUESTS]; // W
} Cache = {.Lock = KE_SPIN_LOCK_INIT(LockRankCache, "block cache")};

static size_t Shrink(size_t pages);

void IopInitializeCache(void)
{
    MmCounters counters;
    MmQueryCounters(&counters);
    uint64_t share = counters.PagesTotal / 2;
    Cache.Limit = (uint32_t)RTL_MAX(RTL_MIN(share, MAXIMUM_PAGES), MINIMUM_PAGES);
    Cache.DirtyLimit = Cache.Limit / 4;
    uint32_t buckets = MINIMUM_PAGES;
    while (buckets < Cache.Limit)
        buckets *= 2;
    while (!(Cache.Table = MmAllocateHeap(buckets * sizeof(Buffer *), TAG_CACHE)) && buckets > 1)
        buckets /= 2;
    if (!Cache.Table)
        KeBugCheck(BugCheckInitialization, 0, StatusNoMemory, 0, 0);
    Cache.TableMask = buckets - 1;
    RtlInitializeList(&Cache.Lru);
    RtlInitializeList(&Cache.Free);
    RtlInitializeList(&Cache.Dirty);
    KeInitializeMutex(&Cache.WriteMutex, LockRankCache - 1);
    KeInitializeEvent(&Cache.BatchDone, true, false);
    MmRegisterShrinker(Shrink);
}

uint64_t IoCacheBytes(void)
{
    return (uint64_t)Cache.Pages * (PAGE_SIZE + sizeof(Buffer));
}

// ---- the table and the lists; the lock is held in this section

static Buffer **Bucket(const IoBlockDevice *device, uint64_t page)
{
    uint64_t hash =
        (page + ((uintptr_t)device >> 6)) * 0x9E3779B97F4A7C15ull; // 2^64 / golden ratio
    return &Cache.Table[(hash >> 32) & Cache.TableMask];
}

static Buffer *Find(const IoBlockDevice *device, uint64_t page)
{
    Buffer *buffer = *Bucket(device, page);
    while (buffer && (buffer->Page != page || buffer->Device != device))
        buffer = buffer->HashNext;
    return buffer;
}

static void Insert(Buffer *buffer, IoBlockDevice *device, uint64_t page)
{
    buffer->Device = device;
    buffer->Page = page;
    buffer->State = BufferLoading;
    buffer->Orphan = buffer->Dirty = buffer->Referenced = false;
    buffer->Pins = 1;
    Buffer **bucket = Bucket(device, page);
    buffer->HashNext = *bucket;
    *bucket = buffer;
    RtlInsertHead(&Cache.Lru, &buffer->Lru);
}

static void Remove(Buffer *buffer)
{
    Buffer **link = Bucket(buffer->Device, buffer->Page);
    while (*link != buffer)
        link = &(*link)->HashNext;
    *link = buffer->HashNext;
    RtlRemoveEntry(&buffer->Lru);
}

static void MarkDirtyLocked(Buffer *buffer)
{
    if (buffer->Dirty)
        return;
    buffer->Dirty = true;
    Cache.DirtyPages++;
    RtlInsertTail(&Cache.Dirty, &buffer->DirtyLink);
}

static void MarkCleanLocked(Buffer *buffer)
{
    buffer->Dirty = false;
    Cache.DirtyPages--;
    RtlRemoveEntry(&buffer->DirtyLink);
}

// The least recently used buffer that may go, out of the table; nullptr when none is found soon.
static Buffer *EvictLocked(void)
{
    ListEntry *entry = Cache.Lru.Previous;
    for (uint32_t i = 0; i < EVICTION_SCAN && entry != &Cache.Lru; i++) {
        Buffer *buffer = RTL_CONTAINER_OF(entry, Buffer, Lru);
        entry = entry->Previous;
        if (!buffer->Pins && !buffer->Dirty && !buffer->Referenced) {
            Remove(buffer);
            return buffer;
        }
        buffer->Referenced = false;
        RtlRemoveEntry(&buffer->Lru);
        RtlInsertHead(&Cache.Lru, &buffer->Lru);
    }
    return nullptr;
}

// ---- pins and states

static void Unpin(Buffer *buffer)
{
    bool orphan = buffer->Orphan;
    if (__atomic_sub_fetch(&buffer->Pins, 1, __ATOMIC_RELEASE) == 0 && orphan) {
        KIrql old = KeAcquireSpinLock(&Cache.Lock);
        RtlInsertTail(&Cache.Free, &buffer->Lru);
        KeReleaseSpinLock(&Cache.Lock, old);
    }
}

// Ends the Loading state and wakes who waits for that; the caller keeps its pin.
static void FinishLoading(Buffer *buffer, bool good)
{
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    if (!good) {
        Remove(buffer);
        buffer->Orphan = true; // before the state: whoever sees Failed sees this
    }
    buffer->State = good ? BufferValid : BufferFailed;
    KeReleaseSpinLock(&Cache.Lock, old);
    KeWakeKey((uintptr_t)&Cache, (uintptr_t)buffer, UINT32_MAX);
}

static bool IsLoading(void *context)
{
    return ((Buffer *)context)->State == BufferLoading;
}

static Status WaitUntilLoaded(Buffer *buffer)
{
    while (buffer->State == BufferLoading) {
        Status status = KeWaitOnKey((uintptr_t)&Cache, (uintptr_t)buffer, IsLoading, buffer,
                                    KernelWait, KE_INFINITE);
        if (status != StatusSuccess && status != StatusWouldBlock)
            return status;
    }
    return buffer->State == BufferValid ? StatusSuccess : StatusIoError;
}

static Buffer *FindPinned(const IoBlockDevice *device, uint64_t page)
{
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    Buffer *buffer = Find(device, page);
    if (buffer) {
        __atomic_add_fetch(&buffer->Pins, 1, __ATOMIC_RELAXED);
        buffer->Referenced = true;
    }
    KeReleaseSpinLock(&Cache.Lock, old);
    return buffer;
}

// ---- frames

static void FreeBuffer(Buffer *buffer)
{
    MmFreePage(MmVirtualToPhysical(buffer->Data));
    MmFreeHeap(buffer);
}

static Buffer *AllocateBuffer(void)
{
    Buffer *buffer = MmAllocateHeap(sizeof(Buffer), TAG_CACHE);
    PhysicalAddress frame;
    if (!buffer || MmAllocatePage(PageCache, false, &frame) != StatusSuccess) {
        MmFreeHeap(buffer);
        return nullptr;
    }
    buffer->Data = MmPhysicalToVirtual(frame);
    return buffer;
}

// A buffer without content, belonging to the caller alone: a free one, a new one while the cache
// may grow, else the least recently used.
static Buffer *TakeBuffer(void)
{
    Buffer *buffer = nullptr;
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    bool grow = false;
    if (!RtlIsListEmpty(&Cache.Free)) {
        buffer = RTL_CONTAINER_OF(Cache.Free.Next, Buffer, Lru);
        RtlRemoveEntry(&buffer->Lru);
    } else if (Cache.Pages < Cache.Limit) {
        Cache.Pages++;
        grow = true;
    } else {
        buffer = EvictLocked();
    }
    KeReleaseSpinLock(&Cache.Lock, old);
    if (!grow || (buffer = AllocateBuffer()))
        return buffer;
    old = KeAcquireSpinLock(&Cache.Lock);
    Cache.Pages--;
    buffer = EvictLocked();
    KeReleaseSpinLock(&Cache.Lock, old);
    return buffer;
}

static void ReturnBuffer(Buffer *buffer)
{
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    RtlInsertTail(&Cache.Free, &buffer->Lru);
    KeReleaseSpinLock(&Cache.Lock, old);
}

static size_t Shrink(size_t pages)
{
    size_t freed = 0;
    while (freed < pages) {
        KIrql old = KeAcquireSpinLock(&Cache.Lock);
        Buffer *buffer;
        if (!RtlIsListEmpty(&Cache.Free)) {
            buffer = RTL_CONTAINER_OF(Cache.Free.Next, Buffer, Lru);
            RtlRemoveEntry(&buffer->Lru);
        } else {
            // A scan gives each buffer it sees its second chance: look at all of them before giving
            // up.
            uint32_t scans = Cache.Pages / EVICTION_SCAN + 2;
            while (!(buffer = EvictLocked()) && --scans) {}
        }
        if (buffer)
            Cache.Pages--;
        KeReleaseSpinLock(&Cache.Lock, old);
        if (!buffer)
            break;
        FreeBuffer(buffer);
        freed++;
    }
    return freed;
}

// ---- write-back

// Bytes of the page that the disk really has (its size need not be a multiple of the page size).
static size_t PageBytes(const IoBlockDevice *device, uint64_t page)
{
    uint64_t left = device->SectorCount * device->SectorSize - page * PAGE_SIZE;
    return (size_t)RTL_MIN(left, PAGE_SIZE);
}

static void WriteDone(IoRequest *request)
{
    if (__atomic_sub_fetch(&Cache.BatchPending, 1, __ATOMIC_ACQ_REL) == 0)
        KeSetEvent(&Cache.BatchDone);
}

// Takes up to BATCH_PAGES dirty buffers of the device off the list, pinned and clean; sorted by
// page.
static uint32_t CollectBatch(const IoBlockDevice *device)
{
    uint32_t count = 0;
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    for (ListEntry *entry = Cache.Dirty.Next; entry != &Cache.Dirty && count < BATCH_PAGES;) {
        Buffer *buffer = RTL_CONTAINER_OF(entry, Buffer, DirtyLink);
        entry = entry->Next;
        if (buffer->Device != device)
            continue;
        MarkCleanLocked(buffer);
        __atomic_add_fetch(&buffer->Pins, 1, __ATOMIC_RELAXED);
        Cache.Batch[count++] = buffer;
    }
    KeReleaseSpinLock(&Cache.Lock, old);
    for (uint32_t gap = 121; gap; gap /= 3) { // Shell sort; mostly in order already
        for (uint32_t i = gap; i < count; i++) {
            Buffer *buffer = Cache.Batch[i];
            uint32_t j = i;
            for (; j >= gap && Cache.Batch[j - gap]->Page > buffer->Page; j -= gap)
                Cache.Batch[j] = Cache.Batch[j - gap];
            Cache.Batch[j] = buffer;
        }
    }
    return count;
}

// Forms the next request from the batch's buffers from `first` on; returns how many it covers.
static uint32_t FormWrite(IoBlockDevice *device, WriteRequest *write, uint32_t first, uint32_t end)
{
    uint32_t limit = RTL_MIN(device->MaximumTransfer / PAGE_SIZE, IO_MAXIMUM_SEGMENTS);
    uint32_t count = 0;
    size_t bytes = 0;
    uint64_t page = Cache.Batch[first]->Page;
    while (first + count < end && count < limit &&
           Cache.Batch[first + count]->Page == page + count) {
        size_t size = PageBytes(device, page + count);
        Cache.Segments[first + count] = (IoSegment){Cache.Batch[first + count]->Data, size};
        bytes += size;
        count++;
    }
    write->First = first;
    write->Count = count;
    write->Request = (IoRequest){.Operation = IoWrite,
                                 .Sector = page * PAGE_SIZE / device->SectorSize,
                                 .Count = (uint32_t)(bytes / device->SectorSize),
                                 .SegmentCount = count,
                                 .Segments = &Cache.Segments[first],
                                 .Complete = WriteDone};
    return count;
}

static Status FinishWrites(uint32_t requests)
{
    Status result = StatusSuccess;
    for (uint32_t i = 0; i < requests; i++) {
        WriteRequest *write = &Cache.Writes[i];
        if (write->Request.Result != StatusSuccess)
            result = write->Request.Result;
        for (uint32_t k = 0; k < write->Count; k++) {
            Buffer *buffer = Cache.Batch[write->First + k];
            if (write->Request.Result != StatusSuccess) {
                KIrql old = KeAcquireSpinLock(&Cache.Lock);
                MarkDirtyLocked(buffer);
                KeReleaseSpinLock(&Cache.Lock, old);
            }
            Unpin(buffer);
        }
    }
    return result;
}

// One batch; W is held. *count buffers were tried.
static Status WriteBatch(IoBlockDevice *device, uint32_t *count)
{
    *count = CollectBatch(device);
    Status result = StatusSuccess;
    for (uint32_t done = 0; done < *count;) {
        uint32_t requests = 0;
        while (done < *count && requests < BATCH_REQUESTS)
            done += FormWrite(device, &Cache.Writes[requests++], done, *count);
        KeResetEvent(&Cache.BatchDone);
        __atomic_store_n(&Cache.BatchPending, requests, __ATOMIC_RELEASE);
        for (uint32_t i = 0; i < requests; i++)
            IoSubmit(device, &Cache.Writes[i].Request);
        Status status = KeWaitForObject(&Cache.BatchDone, KernelWait, KE_INFINITE);
        Status written = FinishWrites(requests);
        if (result == StatusSuccess)
            result = status == StatusSuccess ? written : status;
    }
    return result;
}

// Writes at most `pages` dirty pages of the device, and not more than there were at the start.
static Status WriteBack(IoBlockDevice *device, uint32_t pages)
{
    KeAcquireMutex(&Cache.WriteMutex);
    uint32_t left = RTL_MIN(pages, Cache.DirtyPages);
    Status result = StatusSuccess;
    while (left) {
        uint32_t count;
        Status status = WriteBatch(device, &count);
        if (result == StatusSuccess)
            result = status;
        if (!count)
            break;
        left -= RTL_MIN(left, count);
    }
    KeReleaseMutex(&Cache.WriteMutex);
    return result;
}

Status IoCacheFlush(const IoVolume *volume)
{
    Status written = WriteBack(volume->Device, UINT32_MAX);
    Status flushed = IoTransfer(volume->Device, IoFlush, 0, 0, nullptr);
    return written != StatusSuccess ? written : flushed;
}

// ---- reading into the cache

typedef struct Run {
    IoRequest Request;
    IoSegment Segments[RUN_PAGES];
    Buffer *Buffers[RUN_PAGES];
    uint32_t Count;
    KEvent *Done; // nullptr: nobody waits and the run is freed at its end
} Run;

static void RunDone(IoRequest *request)
{
    Run *run = RTL_CONTAINER_OF(request, Run, Request);
    for (uint32_t i = 0; i < run->Count; i++) {
        FinishLoading(run->Buffers[i], request->Result == StatusSuccess);
        if (!run->Done || i > 0)
            Unpin(run->Buffers[i]);
    }
    if (run->Done)
        KeSetEvent(run->Done);
    else
        MmFreeHeap(run);
}

// Enters new Loading buffers for pages in a row, up to `pages` and up to the first that is there
// already. *existing (when given) is that first one, pinned, if the run is empty because of it.
static void FormRun(Run *run, IoBlockDevice *device, uint64_t page, uint32_t pages,
                    Buffer **existing)
{
    uint32_t limit = RTL_MIN(RTL_MIN(pages, RUN_PAGES), device->MaximumTransfer / PAGE_SIZE);
    size_t bytes = 0;
    run->Count = 0;
    while (run->Count < limit) {
        Buffer *buffer = TakeBuffer();
        if (!buffer)
            break;
        KIrql old = KeAcquireSpinLock(&Cache.Lock);
        Buffer *there = Find(device, page + run->Count);
        if (!there)
            Insert(buffer, device, page + run->Count);
        else if (existing && run->Count == 0) {
            __atomic_add_fetch(&there->Pins, 1, __ATOMIC_RELAXED);
            *existing = there;
        }
        KeReleaseSpinLock(&Cache.Lock, old);
        if (there) {
            ReturnBuffer(buffer);
            break;
        }
        size_t size = PageBytes(device, page + run->Count);
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

// Makes room when TakeBuffer finds none: everything is dirty or pinned.
static Status MakeRoom(IoBlockDevice *device)
{
    return WriteBack(device, BATCH_PAGES);
}

// The buffer of `page`, pinned and being loaded or loaded; up to `pages` pages are read with one
// request.
static Status LoadPinned(IoBlockDevice *device, uint64_t page, uint32_t pages, Buffer **result)
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

// A buffer for a page that will be overwritten as a whole: Loading and pinned, *fresh true; or the
// one that is there already.
static Status EnterPinned(IoBlockDevice *device, uint64_t page, Buffer **result, bool *fresh)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        Buffer *buffer = TakeBuffer();
        if (!buffer) {
            Status status = MakeRoom(device);
            if (status != StatusSuccess)
                return status;
            continue;
        }
        KIrql old = KeAcquireSpinLock(&Cache.Lock);
        Buffer *there = Find(device, page);
        if (there)
            __atomic_add_fetch(&there->Pins, 1, __ATOMIC_RELAXED);
        else
            Insert(buffer, device, page);
        KeReleaseSpinLock(&Cache.Lock, old);
        if (there)
            ReturnBuffer(buffer);
        *result = there ? there : buffer;
        *fresh = !there;
        return StatusSuccess;
    }
    return StatusNoMemory;
}

// ---- access

// Translates to the disk and checks the bounds.
static Status CheckRange(const IoVolume *volume, uint64_t offset, size_t size, uint64_t *position)
{
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
        Buffer *cached = FindPinned(device, page);
        if (!cached) {
            uint64_t pages = (position + size - 1) / PAGE_SIZE - page + 1;
            status = LoadPinned(device, page, (uint32_t)RTL_MIN(pages, RUN_PAGES), &cached);
            if (status != StatusSuccess)
                break;
            if (missed)
                *missed = true;
        }
        if (cached->State != BufferValid)
            status = WaitUntilLoaded(cached);
        if (status == StatusSuccess)
            status = CopyOut(memory, to, cached->Data + within, part);
        Unpin(cached);
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
static void MarkDirty(Buffer *buffer)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (*(volatile bool *)&buffer->Dirty)
        return;
    KIrql old = KeAcquireSpinLock(&Cache.Lock);
    MarkDirtyLocked(buffer);
    KeReleaseSpinLock(&Cache.Lock, old);
}

// One page's part of a write.
static Status WritePart(IoBlockDevice *device, uint64_t page, size_t within, size_t part,
                        const Source *source)
{
    bool fresh = false;
    Status status = StatusSuccess;
    Buffer *cached = FindPinned(device, page);
    if (!cached) {
        if (within == 0 && part >= PageBytes(device, page))
            status = EnterPinned(device, page, &cached, &fresh);
        else
            status = LoadPinned(device, page, 1, &cached);
        if (status != StatusSuccess)
            return status;
    }
    if (!fresh && cached->State != BufferValid)
        status = WaitUntilLoaded(cached);
    if (status == StatusSuccess) {
        status = CopyIn(cached->Data + within, source, part);
        if (status == StatusSuccess ||
            !fresh) // a bad user buffer may have been good at its beginning
            MarkDirty(cached);
        if (fresh)
            FinishLoading(cached, status == StatusSuccess);
    }
    Unpin(cached);
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
        if (Cache.DirtyPages >= Cache.DirtyLimit) {
            status = WriteBack(device, BATCH_PAGES);
            if (status != StatusSuccess)
                break;
        }
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

size_t IoCachePrefetch(const IoVolume *volume, uint64_t offset, size_t size)
{
    IoBlockDevice *device = volume->Device;
    uint64_t position;
    if (!size || CheckRange(volume, offset, size, &position) != StatusSuccess)
        return 0;
    uint64_t page = position / PAGE_SIZE, end = (position + size - 1) / PAGE_SIZE + 1;
    size_t asked = 0;
    while (page < end) {
        KIrql old = KeAcquireSpinLock(&Cache.Lock);
        while (page < end && Find(device, page))
            page++;
        KeReleaseSpinLock(&Cache.Lock, old);
        Run *run = page < end ? MmAllocateHeap(sizeof(Run), TAG_CACHE) : nullptr;
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
