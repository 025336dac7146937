// frames.c - physical memory: which pages are free, who holds the others.
//
// Free memory lies in blocks of 2^n aligned frames, on one list per order and zone (a buddy
// allocator whose only state are the frames' database entries). The zones keep what is scarce for
// those who need it: memory below 4 GiB is used after everything above it, memory below 1 MiB last
// of all. In front of the blocks stand two lists of single frames, so that the common case neither
// splits nor merges: `loose`, frames just given back, and `zeroed`, cleared by the zeroing thread
// while the machine idles. In front of these each processor has a few of either kind for itself,
// taken and given back a batch at a time, so that most calls touch nothing shared. What a processor
// keeps is not in MiCounters.PagesFree: it can be promised to nobody.
//
// A database entry with Use PageFree and no flags is either inside a free block or no memory at
// all; both are wrong to free, and are caught.
//
// Commitment. Demand-zero memory is a promise to find a page later. MiCounters.PagesFree less the
// promised pages less a reserve for the kernel is what may be promised anew, so that running out is
// an error return of an allocation. Kernel allocations are not promised beforehand; what they take
// beyond the reserve can make a promise fail, and then the process that touches the page ends.
// SPDX-License-Identifier: MIT
#include "mi.h"
#include "sanitize.h"

#define ORDERS        19u // up to 1 GiB
#define LOOSE_MAXIMUM 128u

typedef enum Zone { ZoneLow, ZoneDma32, ZoneHigh, ZoneCount } Zone;
static const uint64_t ZoneEnd[ZoneCount] = {0x100000 >> PAGE_SHIFT, 0x100000000 >> PAGE_SHIFT,
                                            UINT64_MAX};

typedef struct FreeZone {
    ListEntry Lists[ORDERS];
    uint32_t Mask; // bit n: Lists[n] is not empty
} FreeZone;

// All of it is guarded by frameLock.
static KSpinLock frameLock = KE_SPIN_LOCK_INIT(LockRankPageFrame, "page frames");
static FreeZone zones[ZoneCount];
static ListEntry loose, zeroed;
static uint64_t looseCount, zeroedCount, zeroedTarget;
static volatile uint64_t promised; // committed pages without a frame yet; lowered without the lock
static uint64_t reserve;           // frames only the kernel's own needs may take

uint64_t MiFrameCount;
MmCounters MiCounters;
volatile uint64_t MiStacksCached;

static Zone ZoneOf(MiFrameNumber frame)
{
    return frame >= ZoneEnd[ZoneDma32] ? ZoneHigh : frame >= ZoneEnd[ZoneLow] ? ZoneDma32 : ZoneLow;
}

static MmPageFrame *FrameAt(MiFrameNumber number)
{
    return (MmPageFrame *)PFN_DATABASE_BASE + number;
}

// ---- blocks
static void PushBlock(MiFrameNumber number, unsigned order)
{
    MmPageFrame *frame = FrameAt(number);
    FreeZone *zone = &zones[ZoneOf(number)];
    frame->Use = PageFree;
    frame->Order = (uint8_t)order;
    frame->Flags = FrameFreeHead;
    RtlInsertHead(&zone->Lists[order], &frame->Link);
    zone->Mask |= 1u << order;
}

static void PullBlock(MmPageFrame *frame)
{
    FreeZone *zone = &zones[ZoneOf(MiFrameNumberOf(frame))];
    RtlRemoveEntry(&frame->Link);
    if (RtlIsListEmpty(&zone->Lists[frame->Order]))
        zone->Mask &= ~(1u << frame->Order);
    frame->Flags = 0;
}

// Frees an aligned block, merging it with its free buddies. Blocks never cross a zone: the zones'
// borders are multiples of every order that fits below them.
static void FreeBlock(MiFrameNumber number, unsigned order)
{
    while (order + 1 < ORDERS) {
        MiFrameNumber buddy = number ^ 1ull << order;
        if (buddy >= MiFrameCount || ZoneOf(buddy) != ZoneOf(number))
            break;
        MmPageFrame *frame = FrameAt(buddy);
        if (!(frame->Flags & FrameFreeHead) || frame->Order != order)
            break;
        PullBlock(frame);
        number &= ~(1ull << order);
        order++;
    }
    PushBlock(number, order);
}

// Frees [start, end) as the largest aligned blocks.
static void FreeRun(MiFrameNumber start, MiFrameNumber end)
{
    while (start < end) {
        unsigned order = start ? (unsigned)__builtin_ctzll(start) : ORDERS - 1;
        order = RTL_MIN(order, ORDERS - 1);
        while (start + (1ull << order) > end ||
               ZoneOf(start) != ZoneOf(start + (1ull << order) - 1))
            order--;
        FreeBlock(start, order);
        start += 1ull << order;
    }
}

// Takes a block apart from the lists and returns what lies beyond count frames.
static void CarveBlock(MmPageFrame *frame, uint64_t count)
{
    unsigned order = frame->Order;
    MiFrameNumber number = MiFrameNumberOf(frame);
    PullBlock(frame);
    FreeRun(number + count, number + (1ull << order));
}

static MmPageFrame *TakeBlock(unsigned order, uint64_t count)
{
    for (int zone = ZoneHigh; zone >= ZoneLow; zone--) {
        uint32_t fitting = zones[zone].Mask & ~((1u << order) - 1);
        if (fitting) {
            ListEntry *entry = zones[zone].Lists[__builtin_ctz(fitting)].Next;
            MmPageFrame *frame = RTL_CONTAINER_OF(entry, MmPageFrame, Link);
            CarveBlock(frame, count);
            return frame;
        }
    }
    return nullptr;
}

// A block whose first count frames end at or below limit (a frame number).
static MmPageFrame *TakeBlockBelow(unsigned order, uint64_t count, MiFrameNumber limit)
{
    for (int zone = ZoneHigh; zone >= ZoneLow; zone--) {
        if (zone == ZoneLow && limit > ZoneEnd[ZoneLow])
            break;
        for (uint32_t fitting = zones[zone].Mask & ~((1u << order) - 1); fitting;
             fitting &= fitting - 1) {
            ListEntry *list = &zones[zone].Lists[__builtin_ctz(fitting)];
            RTL_FOR_EACH (entry, list) {
                MmPageFrame *frame = RTL_CONTAINER_OF(entry, MmPageFrame, Link);
                if (MiFrameNumberOf(frame) + count <= limit) {
                    CarveBlock(frame, count);
                    return frame;
                }
            }
        }
    }
    return nullptr;
}

// ---- single frames
static MmPageFrame *PopLoose(ListEntry *list, uint64_t *count)
{
    MmPageFrame *frame = RTL_CONTAINER_OF(list->Next, MmPageFrame, Link);
    RtlRemoveEntry(&frame->Link);
    frame->Flags = 0;
    (*count)--;
    return frame;
}

static void DrainLoose(ListEntry *list, uint64_t *count, uint64_t keep)
{
    while (*count > keep)
        FreeBlock(MiFrameNumberOf(PopLoose(list, count)), 0);
}

// Any free frame; zeroed ones last.
static MmPageFrame *TakeFrame(void)
{
    if (looseCount != 0)
        return PopLoose(&loose, &looseCount);
    MmPageFrame *frame = TakeBlock(0, 1);
    return !frame && zeroedCount ? PopLoose(&zeroed, &zeroedCount) : frame;
}

static void Account(MmPageUse use, uint64_t count)
{
    MiCounters.PagesFree -= count;
    MiCounters.PagesByUse[use] += count;
}

// ---- a processor's own frames
#define CACHE_CAPACITY 16u
#define CACHE_BATCH    8u

typedef struct FramePool {
    uint32_t Count;
    MmPageFrame *Frames[CACHE_CAPACITY];
} FramePool;

// Its processor's alone, at DispatchLevel; the counters are read by all.
typedef struct FrameCache {
    FramePool Loose, Zeroed;
    volatile int64_t ByUse[RTL_COUNT_OF(MiCounters.PagesByUse)]; // to be added to the counters
} FrameCache;
static alignas(64) FrameCache caches[HAL_MAXIMUM_PROCESSORS];

static FrameCache *OwnCache(void)
{
    return &caches[KeGetCurrentProcessorNumber()];
}

// Takes frames from all processors' lists, zeroed ones or any; nothing below `keep` free frames.
static void Refill(FramePool *pool, bool fromZeroed, uint64_t keep)
{
    KIrql irql = KeAcquireSpinLock(&frameLock);
    for (uint32_t i = 0; i < CACHE_BATCH && MiCounters.PagesFree > keep; i++) {
        MmPageFrame *frame = !fromZeroed   ? TakeFrame()
                             : zeroedCount ? PopLoose(&zeroed, &zeroedCount)
                                           : nullptr;
        if (!frame)
            break;
        frame->Flags = FrameLoose;
        MiCounters.PagesFree--;
        pool->Frames[pool->Count++] = frame;
    }
    bool low = fromZeroed && zeroedCount < zeroedTarget / 2;
    KeReleaseSpinLock(&frameLock, irql);
    if (low)
        MiWakeZeroing();
}

// frameLock is held.
static void GiveBack(FramePool *pool, uint32_t count)
{
    MiCounters.PagesFree += count;
    while (count--) {
        RtlInsertHead(&loose, &pool->Frames[--pool->Count]->Link);
        if (++looseCount > LOOSE_MAXIMUM)
            DrainLoose(&loose, &looseCount, LOOSE_MAXIMUM / 2);
    }
}

static MmPageFrame *TakeOwn(FrameCache *cache, bool wantZeroed, uint64_t keep, bool *isZeroed)
{
    FramePool *pool = &cache->Loose;
    if (wantZeroed) {
        if (cache->Zeroed.Count == 0)
            Refill(&cache->Zeroed, true, keep);
        if (cache->Zeroed.Count != 0)
            pool = &cache->Zeroed;
    }
    *isZeroed = pool == &cache->Zeroed;
    if (pool->Count == 0)
        Refill(pool, false, keep);
    if (pool->Count == 0 && keep == 0 && cache->Zeroed.Count != 0) // the last there are
        pool = &cache->Zeroed;
    return pool->Count ? pool->Frames[--pool->Count] : nullptr;
}

// At DispatchLevel.
static void ReleaseFrame(FrameCache *cache, PhysicalAddress page)
{
    MmPageFrame *frame = MiFrameOf(page);
    bool isFrame = page % PAGE_SIZE == 0 && page >> PAGE_SHIFT < MiFrameCount;
    if (!isFrame || frame->Use <= PageKernelImage)
        KeBugCheckFrame(BugCheckBadHeapCaller, 1, page, isFrame ? frame->Use : UINT64_MAX, 0,
                        "a page frame was freed that is not allocated", nullptr);
    SanForbid(MmPhysicalToVirtual(page), PAGE_SIZE, SanFreePage);
    cache->ByUse[frame->Use]--;
    frame->Use = PageFree;
    frame->Flags = FrameLoose;
    if (cache->Loose.Count == CACHE_CAPACITY) {
        KIrql irql = KeAcquireSpinLock(&frameLock);
        GiveBack(&cache->Loose, CACHE_BATCH);
        KeReleaseSpinLock(&frameLock, irql);
    }
    cache->Loose.Frames[cache->Loose.Count++] = frame;
}

static Status TakePage(MmPageUse use, bool wantZeroed, uint64_t keep, bool fromPromise,
                       PhysicalAddress *page)
{
    if (KeFailAllocation())
        return StatusNoMemory;
    bool isZeroed = false;
    KIrql irql = KeRaiseIrql(DispatchLevel);
    FrameCache *cache = OwnCache();
    MmPageFrame *frame = TakeOwn(cache, wantZeroed, keep, &isZeroed);
    if (frame) {
        frame->Flags = 0;
        frame->Use = use;
        frame->Count = 0;
        cache->ByUse[use]++;
        if (fromPromise)
            __atomic_sub_fetch(&promised, 1, __ATOMIC_RELAXED);
    }
    KeLowerIrql(irql);
    if (!frame)
        return StatusNoMemory;
    *page = MiPageOf(frame);
    SanAllow(MmPhysicalToVirtual(*page), PAGE_SIZE);
    if (wantZeroed && !isZeroed)
        MiZeroPage(MmPhysicalToVirtual(*page));
    return StatusSuccess;
}

// ---- the interface
Status MmAllocatePage(MmPageUse use, bool zero, PhysicalAddress *page)
{
    return TakePage(use, zero, use == PageCache ? reserve : 0, false, page);
}

Status MiAllocateCommittedPage(MmPageUse use, bool zero, PhysicalAddress *page)
{
    return TakePage(use, zero, reserve / 2, true, page);
}

void MmFreePage(PhysicalAddress page)
{
    MiFreePages(&page, 1);
}

void MiFreePages(const PhysicalAddress *pages, size_t count)
{
    constexpr size_t batch = 64; // bounds how long nothing else runs
    for (size_t done = 0; done < count;) {
        size_t end = RTL_MIN(done + batch, count);
        KIrql irql = KeRaiseIrql(DispatchLevel);
        FrameCache *cache = OwnCache();
        for (; done < end; done++)
            ReleaseFrame(cache, pages[done]);
        KeLowerIrql(irql);
    }
}

void MiFreePageList(ListEntry *pages)
{
    constexpr size_t batch = 64;
    while (!RtlIsListEmpty(pages)) {
        KIrql irql = KeRaiseIrql(DispatchLevel);
        FrameCache *cache = OwnCache();
        for (size_t i = 0; i < batch && !RtlIsListEmpty(pages); i++) {
            MmPageFrame *frame = RTL_CONTAINER_OF(pages->Next, MmPageFrame, Link);
            RtlRemoveEntry(&frame->Link);
            ReleaseFrame(cache, MiPageOf(frame));
        }
        KeLowerIrql(irql);
    }
}

Status MmAllocateContiguous(MmPageUse use, size_t count, uint64_t alignment, PhysicalAddress limit,
                            PhysicalAddress *pages)
{
    if (count == 0 || (alignment & (alignment - 1)))
        return StatusInvalidParameter;
    if (KeFailAllocation())
        return StatusNoMemory;
    uint64_t span = RTL_MAX(count, alignment >> PAGE_SHIFT);
    unsigned order = span > 1 ? 64 - (unsigned)__builtin_clzll(span - 1) : 0;
    if (order >= ORDERS)
        return StatusNoMemory;
    MiFrameNumber end = limit == 0 ? UINT64_MAX : limit >> PAGE_SHIFT;

    KIrql irql = KeAcquireSpinLock(&frameLock);
    MmPageFrame *frame =
        end >= MiFrameCount ? TakeBlock(order, count) : TakeBlockBelow(order, count, end);
    if (!frame) { // single frames may be what is missing; those of other processors stay there
        FrameCache *cache = OwnCache();
        GiveBack(&cache->Loose, cache->Loose.Count);
        GiveBack(&cache->Zeroed, cache->Zeroed.Count);
        DrainLoose(&loose, &looseCount, 0);
        DrainLoose(&zeroed, &zeroedCount, 0);
        frame = TakeBlockBelow(order, count, end);
    }
    for (size_t i = 0; frame && i < count; i++) {
        frame[i].Use = use;
        frame[i].Flags = 0;
        frame[i].Count = 0;
    }
    if (frame)
        Account(use, count);
    KeReleaseSpinLock(&frameLock, irql);
    if (!frame)
        return StatusNoMemory;
    *pages = MiPageOf(frame);
    SanAllow(MmPhysicalToVirtual(*pages), count * PAGE_SIZE);
    return StatusSuccess;
}

void MmFreeContiguous(PhysicalAddress pages, size_t count)
{
    MiFrameNumber first = pages >> PAGE_SHIFT;
    KE_ASSERT(first < MiFrameCount && count <= MiFrameCount - first);
    KIrql irql = KeAcquireSpinLock(&frameLock);
    for (size_t i = 0; i < count; i++) {
        MmPageFrame *frame = FrameAt(first + i);
        if (frame->Use <= PageKernelImage)
            KeBugCheckFrame(BugCheckBadHeapCaller, 1, pages + i * PAGE_SIZE, frame->Use, count,
                            "a run of page frames was freed that is not allocated", nullptr);
        MiCounters.PagesByUse[frame->Use]--;
        frame->Use = PageFree;
        frame->Flags = 0;
    }
    SanForbid(MmPhysicalToVirtual(pages), count * PAGE_SIZE, SanFreePage);
    MiCounters.PagesFree += count;
    FreeRun(first, first + count);
    KeReleaseSpinLock(&frameLock, irql);
}

bool MiZeroOneFrame(void)
{
    KIrql irql = KeAcquireSpinLock(&frameLock);
    MmPageFrame *frame = nullptr;
    if (zeroedCount < zeroedTarget && MiCounters.PagesFree > 2 * zeroedTarget) {
        frame = looseCount ? PopLoose(&loose, &looseCount) : TakeBlock(0, 1);
        if (frame) {
            frame->Use = PageReserved;
            Account(PageReserved, 1);
        }
    }
    KeReleaseSpinLock(&frameLock, irql);
    if (!frame)
        return false;
    MiZeroPage(MmPhysicalToVirtual(MiPageOf(frame)));
    irql = KeAcquireSpinLock(&frameLock);
    frame->Use = PageFree;
    frame->Flags = FrameLoose;
    MiCounters.PagesByUse[PageReserved]--;
    MiCounters.PagesFree++;
    RtlInsertTail(&zeroed, &frame->Link);
    zeroedCount++;
    KeReleaseSpinLock(&frameLock, irql);
    return true;
}

// ---- commitment
static bool TryCharge(uint64_t pages)
{
    KIrql irql = KeAcquireSpinLock(&frameLock);
    uint64_t taken = promised + reserve;
    bool fits = MiCounters.PagesFree > taken && MiCounters.PagesFree - taken >= pages;
    if (fits)
        __atomic_add_fetch(&promised, pages, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&frameLock, irql);
    return fits;
}

Status MiChargeCommit(uint64_t pages)
{
    if (KeFailAllocation())
        return StatusNoMemory;
    if (TryCharge(pages))
        return StatusSuccess;
    if (pages > MiCounters.PagesTotal || KeGetCurrentIrql() != PassiveLevel)
        return StatusNoMemory;
    MiShrinkCaches(pages + reserve);
    return TryCharge(pages) ? StatusSuccess : StatusNoMemory;
}

void MiReturnCommit(uint64_t pages)
{
    uint64_t before = __atomic_fetch_sub(&promised, pages, __ATOMIC_RELAXED);
    KE_ASSERT(before >= pages);
}

// ---- start-up and counters
void MiInitializeFrames(uint64_t frameCount)
{
    MiFrameCount = frameCount;
    RtlInitializeList(&loose);
    RtlInitializeList(&zeroed);
    for (size_t zone = 0; zone < ZoneCount; zone++)
        for (size_t order = 0; order < ORDERS; order++)
            RtlInitializeList(&zones[zone].Lists[order]);
}

void MiDonateFrames(MiFrameNumber start, MiFrameNumber end)
{
    KIrql irql = KeAcquireSpinLock(&frameLock);
    MiCounters.PagesTotal += end - start;
    MiCounters.PagesFree += end - start;
    FreeRun(start, end);
    // 1/64 of memory, at least 64 KiB and at most 16 MiB, is for the kernel alone; as much is kept
    // zeroed.
    uint64_t share = MiCounters.PagesTotal / 64;
    reserve = RTL_MIN(RTL_MAX(share, 16), 4096);
    zeroedTarget = reserve;
    KeReleaseSpinLock(&frameLock, irql);
}

void MiClaimFrames(MiFrameNumber start, MiFrameNumber end, MmPageUse use)
{
    KIrql irql = KeAcquireSpinLock(&frameLock);
    for (MiFrameNumber number = start; number < end; number++)
        FrameAt(number)->Use = use;
    MiCounters.PagesTotal += end - start;
    MiCounters.PagesByUse[use] += end - start;
    KeReleaseSpinLock(&frameLock, irql);
}

MmPageUse MmQueryPageUse(uint64_t frame)
{
    return frame < MiFrameCount ? MiFrameOf(frame << PAGE_SHIFT)->Use : PageReserved;
}

void MmQueryCounters(MmCounters *counters)
{
    MiTrimHeap();
    KIrql irql = KeAcquireSpinLock(&frameLock);
    *counters = MiCounters;
    counters->PagesZeroed = zeroedCount;
    counters->PagesPromised = promised;
    KeReleaseSpinLock(&frameLock, irql);
    MiCountHeap(counters);
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        const FrameCache *cache = &caches[i];
        counters->PagesFree += cache->Loose.Count + cache->Zeroed.Count;
        counters->PagesZeroed += cache->Zeroed.Count;
        for (size_t use = 0; use < RTL_COUNT_OF(cache->ByUse); use++)
            counters->PagesByUse[use] += (uint64_t)cache->ByUse[use];
    }
    uint64_t cached = MiStacksCached;
    counters->PagesFree += cached;
    counters->PagesByUse[PageStack] -= RTL_MIN(cached, counters->PagesByUse[PageStack]);
    counters->PagesByUse[PageFree] = counters->PagesFree;
}
