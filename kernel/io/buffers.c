// buffers.c - the block cache's buffers: found by page, pinned, loaded, replaced, given back.
// SPDX-License-Identifier: MIT
#include "cache.h"

#define MAXIMUM_PAGES 65536u // 256 MiB
#define MINIMUM_PAGES 256u
#define EVICTION_SCAN 128u // buffers looked at before giving up

IopCacheState IopCache = {.Lock = KE_SPIN_LOCK_INIT(LockRankCache, "block cache")};

static size_t Shrink(size_t pages);

void IopInitializeCache(void)
{
    MmCounters counters;
    MmQueryCounters(&counters);
    uint64_t share = counters.PagesTotal / 2;
    IopCache.Limit = (uint32_t)RTL_MAX(RTL_MIN(share, MAXIMUM_PAGES), MINIMUM_PAGES);
    IopCache.DirtyLimit = IopCache.Limit / 4;
    uint32_t buckets = MINIMUM_PAGES;
    while (buckets < IopCache.Limit)
        buckets *= 2;
    while (!(IopCache.Table = MmAllocateHeap(buckets * sizeof(IopBuffer *), CACHE_TAG)) &&
           buckets > 1)
        buckets /= 2;
    if (!IopCache.Table)
        KeBugCheck(BugCheckInitialization, 0, StatusNoMemory, 0, 0);
    IopCache.TableMask = buckets - 1;
    RtlInitializeList(&IopCache.Lru);
    RtlInitializeList(&IopCache.Free);
    RtlInitializeList(&IopCache.Dirty);
    RtlInitializeList(&IopCache.Pools);
    IopInitializeWriteBack();
    MmRegisterShrinker(Shrink);
    MmRegisterPageCache(IopMarkOwnerDirty, IopUnpinOwner);
}

uint64_t IoCacheBytes(void)
{
    return ((uint64_t)IopCache.Pages + IopCache.PoolPages) * PAGE_SIZE;
}

void IopTellCacheCounters(KCounterSink *sink)
{
    KeTellCounter(sink, "pages cached", IopCache.Pages);
    KeTellCounter(sink, "pages to be written", IopCache.DirtyPages);
}

// ---- the table and the lists; the lock is held in this section

static IopBuffer **Bucket(const IoBlockDevice *device, uint64_t page)
{
    uint64_t hash =
        (page + ((uintptr_t)device >> 6)) * 0x9E3779B97F4A7C15ull; // 2^64 / golden ratio
    return &IopCache.Table[(hash >> 32) & IopCache.TableMask];
}

IopBuffer *IopFindBuffer(const IoBlockDevice *device, uint64_t page)
{
    IopBuffer *buffer = *Bucket(device, page);
    while (buffer && (buffer->Page != page || buffer->Device != device))
        buffer = buffer->HashNext;
    return buffer;
}

void IopInsertBuffer(IopBuffer *buffer, IoBlockDevice *device, uint64_t page)
{
    buffer->Device = device;
    buffer->Page = page;
    buffer->State = BufferLoading;
    buffer->Orphan = buffer->Dirty = buffer->Referenced = false;
    buffer->Pins = 1;
    IopBuffer **bucket = Bucket(device, page);
    buffer->HashNext = *bucket;
    *bucket = buffer;
    RtlInsertHead(&IopCache.Lru, &buffer->Lru);
}

static void Remove(IopBuffer *buffer)
{
    IopBuffer **link = Bucket(buffer->Device, buffer->Page);
    while (*link != buffer)
        link = &(*link)->HashNext;
    *link = buffer->HashNext;
    RtlRemoveEntry(&buffer->Lru);
}

void IopMarkDirtyLocked(IopBuffer *buffer)
{
    if (buffer->Dirty)
        return;
    buffer->Dirty = true;
    IopCache.DirtyPages++;
    RtlInsertTail(&IopCache.Dirty, &buffer->DirtyLink);
}

void IopMarkCleanLocked(IopBuffer *buffer)
{
    buffer->Dirty = false;
    IopCache.DirtyPages--;
    RtlRemoveEntry(&buffer->DirtyLink);
}

// The least recently used buffer that may go, out of the table; nullptr when none is found soon.
static IopBuffer *EvictLocked(void)
{
    ListEntry *entry = IopCache.Lru.Previous;
    for (uint32_t i = 0; i < EVICTION_SCAN && entry != &IopCache.Lru; i++) {
        IopBuffer *buffer = RTL_CONTAINER_OF(entry, IopBuffer, Lru);
        entry = entry->Previous;
        if (!buffer->Pins && !buffer->Dirty && !buffer->Referenced) {
            Remove(buffer);
            return buffer;
        }
        buffer->Referenced = false;
        RtlRemoveEntry(&buffer->Lru);
        RtlInsertHead(&IopCache.Lru, &buffer->Lru);
    }
    return nullptr;
}

// The same, having looked at all of them if need be: a scan gives each buffer it sees its second
// chance, and many may be dirty in a row. The lock is let go between scans.
static IopBuffer *Evict(void)
{
    IopBuffer *buffer = nullptr;
    uint32_t scans = 2 * (IopCache.Pages / EVICTION_SCAN + 1);
    while (!buffer && scans-- != 0) {
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        buffer = EvictLocked();
        KeReleaseSpinLock(&IopCache.Lock, old);
    }
    return buffer;
}

// Bytes of the page that the disk really has (its size need not be a multiple of the page size).
size_t IopPageBytes(const IoBlockDevice *device, uint64_t page)
{
    uint64_t left = device->SectorCount * device->SectorSize - page * PAGE_SIZE;
    return (size_t)RTL_MIN(left, PAGE_SIZE);
}

// ---- pins and states

void IopUnpin(IopBuffer *buffer)
{
    bool orphan = buffer->Orphan;
    if (__atomic_sub_fetch(&buffer->Pins, 1, __ATOMIC_RELEASE) == 0 && orphan) {
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        RtlInsertTail(&IopCache.Free, &buffer->Lru);
        KeReleaseSpinLock(&IopCache.Lock, old);
    }
}

// Ends the Loading state and wakes who waits for that; the caller keeps its pin.
void IopFinishLoading(IopBuffer *buffer, bool good)
{
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    if (!good) {
        Remove(buffer);
        buffer->Orphan = true; // before the state: whoever sees Failed sees this
    }
    buffer->State = good ? BufferValid : BufferFailed;
    KeReleaseSpinLock(&IopCache.Lock, old);
    KeWakeKey((uintptr_t)&IopCache, (uintptr_t)buffer, UINT32_MAX);
}

static bool IsLoading(void *context)
{
    return ((IopBuffer *)context)->State == BufferLoading;
}

Status IopWaitUntilLoaded(IopBuffer *buffer)
{
    while (buffer->State == BufferLoading) {
        Status status = KeWaitOnKey((uintptr_t)&IopCache, (uintptr_t)buffer, IsLoading, buffer,
                                    KernelWait, KE_INFINITE);
        if (status != StatusSuccess && status != StatusWouldBlock)
            return status;
    }
    return buffer->State == BufferValid ? StatusSuccess : StatusIoError;
}

IopBuffer *IopFindPinned(const IoBlockDevice *device, uint64_t page)
{
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    IopBuffer *buffer = IopFindBuffer(device, page);
    if (buffer) {
        __atomic_add_fetch(&buffer->Pins, 1, __ATOMIC_RELAXED);
        buffer->Referenced = true;
    }
    KeReleaseSpinLock(&IopCache.Lock, old);
    return buffer;
}

// ---- frames, and the buffers' own memory

// Buffers lie in pages of their own, so that all a cached page costs is counted with the cache, to
// the byte, and given back with it. The lock guards all of it.
typedef struct Pool {
    ListEntry Link;  // of the pools with room
    IopBuffer *Free; // by HashNext
    uint32_t Used;
} Pool;

#define POOL_FIRST   RTL_ALIGN_UP(sizeof(Pool), alignof(IopBuffer))
#define POOL_BUFFERS ((PAGE_SIZE - POOL_FIRST) / sizeof(IopBuffer))

static Pool *PoolOf(const IopBuffer *buffer)
{
    return (Pool *)RTL_ALIGN_DOWN((uintptr_t)buffer, PAGE_SIZE);
}

static Pool *MakePool(void)
{
    PhysicalAddress frame;
    if (MmAllocatePage(PageCache, false, &frame) != StatusSuccess)
        return nullptr;
    Pool *pool = MmPhysicalToVirtual(frame);
    *pool = (Pool){};
    IopBuffer *buffers = (IopBuffer *)((char *)pool + POOL_FIRST);
    for (size_t i = 0; i < POOL_BUFFERS; i++) {
        buffers[i].HashNext = pool->Free;
        pool->Free = &buffers[i];
    }
    return pool;
}

// The lock is held. nullptr: no pool has room.
static IopBuffer *TakeFromPool(void)
{
    if (RtlIsListEmpty(&IopCache.Pools))
        return nullptr;
    Pool *pool = RTL_CONTAINER_OF(IopCache.Pools.Next, Pool, Link);
    IopBuffer *buffer = pool->Free;
    pool->Free = buffer->HashNext;
    if (++pool->Used == POOL_BUFFERS)
        RtlRemoveEntry(&pool->Link);
    return buffer;
}

static IopBuffer *AllocateDescriptor(void)
{
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    IopBuffer *buffer = TakeFromPool();
    KeReleaseSpinLock(&IopCache.Lock, old);
    Pool *pool = buffer ? nullptr : MakePool();
    if (!pool)
        return buffer;
    old = KeAcquireSpinLock(&IopCache.Lock);
    RtlInsertHead(&IopCache.Pools, &pool->Link);
    IopCache.PoolPages++;
    buffer = TakeFromPool();
    KeReleaseSpinLock(&IopCache.Lock, old);
    return buffer;
}

// Returns the number of pages given back: 1 when its pool is empty now.
static size_t FreeDescriptor(IopBuffer *buffer)
{
    Pool *pool = PoolOf(buffer);
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    buffer->HashNext = pool->Free;
    pool->Free = buffer;
    if (pool->Used-- == POOL_BUFFERS)
        RtlInsertTail(&IopCache.Pools, &pool->Link);
    bool empty = pool->Used == 0;
    if (empty) {
        RtlRemoveEntry(&pool->Link);
        IopCache.PoolPages--;
    }
    KeReleaseSpinLock(&IopCache.Lock, old);
    if (empty)
        MmFreePage(MmVirtualToPhysical(pool));
    return empty;
}

static size_t FreeBuffer(IopBuffer *buffer)
{
    MmFreePage(MmVirtualToPhysical(buffer->Data));
    return 1 + FreeDescriptor(buffer);
}

static IopBuffer *AllocateBuffer(void)
{
    IopBuffer *buffer = AllocateDescriptor();
    PhysicalAddress frame;
    if (!buffer)
        return nullptr;
    if (MmAllocatePage(PageCache, false, &frame) != StatusSuccess) {
        FreeDescriptor(buffer);
        return nullptr;
    }
    *buffer = (IopBuffer){.Data = MmPhysicalToVirtual(frame)};
    MmSetPageOwner(frame, buffer);
    return buffer;
}

// A buffer without content, belonging to the caller alone: a free one, a new one while the cache
// may grow, else the least recently used.
IopBuffer *IopTakeBuffer(void)
{
    IopBuffer *buffer = nullptr;
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    bool grow = false;
    if (!RtlIsListEmpty(&IopCache.Free)) {
        buffer = RTL_CONTAINER_OF(IopCache.Free.Next, IopBuffer, Lru);
        RtlRemoveEntry(&buffer->Lru);
    } else if (IopCache.Pages < IopCache.Limit) {
        IopCache.Pages++;
        grow = true;
    }
    KeReleaseSpinLock(&IopCache.Lock, old);
    if (buffer || (grow && (buffer = AllocateBuffer())))
        return buffer;
    if (grow) {
        old = KeAcquireSpinLock(&IopCache.Lock);
        IopCache.Pages--;
        KeReleaseSpinLock(&IopCache.Lock, old);
    }
    return Evict();
}

void IopReturnBuffer(IopBuffer *buffer)
{
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    RtlInsertTail(&IopCache.Free, &buffer->Lru);
    KeReleaseSpinLock(&IopCache.Lock, old);
}

uint32_t IopDropDevice(const IoBlockDevice *device)
{
    uint32_t lost = 0;
    for (uint32_t bucket = 0; bucket <= IopCache.TableMask; bucket++) {
        if (!IopCache.Table[bucket])
            continue;
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        for (IopBuffer *buffer = IopCache.Table[bucket], *next; buffer; buffer = next) {
            next = buffer->HashNext;
            if (buffer->Device != device || buffer->Pins)
                continue;
            if (buffer->Dirty) {
                IopMarkCleanLocked(buffer);
                lost++;
            }
            Remove(buffer);
            RtlInsertTail(&IopCache.Free, &buffer->Lru);
        }
        KeReleaseSpinLock(&IopCache.Lock, old);
    }
    return lost;
}

static size_t Shrink(size_t pages)
{
    size_t freed = 0;
    while (freed < pages) {
        KIrql old = KeAcquireSpinLock(&IopCache.Lock);
        IopBuffer *buffer;
        if (!RtlIsListEmpty(&IopCache.Free)) {
            buffer = RTL_CONTAINER_OF(IopCache.Free.Next, IopBuffer, Lru);
            RtlRemoveEntry(&buffer->Lru);
        } else {
            // A scan gives each buffer it sees its second chance: look at all of them before giving
            // up.
            uint32_t scans = IopCache.Pages / EVICTION_SCAN + 2;
            while (!(buffer = EvictLocked()) && --scans) {}
        }
        if (buffer)
            IopCache.Pages--;
        KeReleaseSpinLock(&IopCache.Lock, old);
        if (!buffer)
            break;
        freed += FreeBuffer(buffer);
    }
    return freed;
}
