// views.c - views of files: what keeps them and the page cache one memory.
//
// A file section has no pages. A fault asks its pager for the page cache's page and enters that;
// the entry (PTE_PINNED) holds a pin until it goes, so the page stays what the cache has for those
// bytes, and ReadFile, WriteFile and every view use the same frame.
//
// Changes. Hardware would note them in each entry; nobody could find those entries from the page.
// So an entry becomes writable only by a fault, which marks the page dirty, and whoever takes dirty
// pages to the disk first walks the spaces that have views of files (MmCollectWrittenPages): each
// writable entry's page is marked dirty and the entry is read-only again. A page that was written
// back while it was writable is found by the next walk. An entry that goes marks its page too.
//
// Pressure. Mapped pages are pinned and the cache cannot drop them, so when it has nothing else to
// give entries are taken away (TrimViews is a shrinker, asked after the cache) and the cache is
// asked again; faults bring them back. It runs in allocations that hold a space's lock, so it only
// tries the locks.
//
// Locking: viewsLock guards the list of spaces, their ViewOrder and Visitors; a walk takes a
// space's own lock with viewsLock released. Any number of walks are under way at once, and each is
// in every space that had a view when it began: nothing that one leaves behind keeps another out. A
// space that is going away waits until no walk is in it.
// SPDX-License-Identifier: MIT
#include "mi.h"

static KSpinLock viewsLock = KE_SPIN_LOCK_INIT(LockRankAddressSpace, "file views");
static ListEntry spaces = {&spaces, &spaces};
static uint64_t lastOrder;

void (*MiMarkOwnerDirty)(void *owner), (*MiUnpinOwner)(void *owner);

void MmSetPageOwner(PhysicalAddress page, void *owner)
{
    MiFrameOf(page)->Owner = owner;
}

// ---- the list of spaces
void MiInitializeSpaceViews(MmAddressSpace *space)
{
    RtlInitializeList(&space->FileLink);
}

void MiNoteFileView(MmAddressSpace *space)
{
    KIrql irql = KeAcquireSpinLock(&viewsLock);
    if (RtlIsListEmpty(&space->FileLink)) {
        space->ViewOrder = ++lastOrder;
        RtlInsertTail(&spaces, &space->FileLink);
    }
    KeReleaseSpinLock(&viewsLock, irql);
}

static bool HasVisitors(void *context)
{
    return *(volatile uint32_t *)&((MmAddressSpace *)context)->Visitors != 0;
}

void MiForgetSpaceViews(MmAddressSpace *space)
{
    KIrql irql = KeAcquireSpinLock(&viewsLock);
    RtlRemoveEntry(&space->FileLink);
    KeReleaseSpinLock(&viewsLock, irql);
    while (HasVisitors(space)) {
        Status status = KeWaitOnKey((uintptr_t)&spaces, (uintptr_t)space, HasVisitors, space,
                                    KernelWait, KE_INFINITE);
        KE_ASSERT(status == StatusSuccess || status == StatusWouldBlock);
    }
}

// From one space of the list to the next, in their order.
typedef struct Walk {
    uint64_t At, End;
} Walk;

static Walk BeginWalk(void)
{
    KIrql irql = KeAcquireSpinLock(&viewsLock);
    Walk walk = {.End = lastOrder};
    KeReleaseSpinLock(&viewsLock, irql);
    return walk;
}

// The next space, kept from going away until LeaveSpace; nullptr: the walk has been everywhere.
static MmAddressSpace *NextSpace(Walk *walk)
{
    MmAddressSpace *found = nullptr;
    KIrql irql = KeAcquireSpinLock(&viewsLock);
    RTL_FOR_EACH (entry, &spaces) {
        MmAddressSpace *space = RTL_CONTAINER_OF(entry, MmAddressSpace, FileLink);
        if (space->ViewOrder > walk->At) {
            found = space->ViewOrder <= walk->End ? space : nullptr;
            break;
        }
    }
    if (found) {
        walk->At = found->ViewOrder;
        found->Visitors++;
    }
    KeReleaseSpinLock(&viewsLock, irql);
    return found;
}

static void LeaveSpace(MmAddressSpace *space)
{
    KIrql irql = KeAcquireSpinLock(&viewsLock);
    bool last = --space->Visitors == 0;
    KeReleaseSpinLock(&viewsLock, irql);
    if (last)
        KeWakeKey((uintptr_t)&spaces, (uintptr_t)space, UINT32_MAX);
}

// ---- walks; a space's lock is held
static MiRegion *NextFileRegion(MmAddressSpace *space, uint64_t from)
{
    MiRegion *region;
    do {
        region = MiRegionOf(MiFindRangeFrom(&space->Regions, from));
        if (region)
            from = region->Range.End;
    } while (region && !(region->Section && region->Section->Pager));
    return region;
}

static void CollectPage(MmAddressSpace *space, MiPte *pte, uint64_t address)
{
    MiPte value = *pte;
    if (!(value & PTE_PINNED) || !(value & PTE_WRITE))
        return;
    MiSetPte(pte, value & ~(PTE_WRITE | PTE_DIRTY));
    MiFlushRange(space->Root, address, address + PAGE_SIZE);
    MiMarkOwnerDirty(MiFrameOf(value & PTE_ADDRESS)->Owner);
}

static void CollectRegion(MmAddressSpace *space, const MiRegion *region)
{
    for (uint64_t at = region->Range.Base; at < region->Range.End;) {
        uint64_t next = RTL_ALIGN_DOWN(at, LARGE_PAGE_SIZE) + LARGE_PAGE_SIZE;
        next = RTL_MIN(next, region->Range.End);
        MiPte *pte = MiFindPte(space->Root, at);
        for (; pte && at < next; at += PAGE_SIZE, pte++)
            CollectPage(space, pte, at);
        at = next;
    }
}

void MmCollectWrittenPages(void)
{
    MmAddressSpace *space;
    for (Walk walk = BeginWalk(); (space = NextSpace(&walk)); LeaveSpace(space)) {
        MiAcquireSpace(space);
        MiRegion *region = NextFileRegion(space, 0);
        for (; region; region = NextFileRegion(space, region->Range.End))
            if (!region->CopyPrivate && !region->NeverWrite)
                CollectRegion(space, region);
        MiReleaseSpace(space);
    }
}

// Takes the pinned entries of a region away; owned ones stay. Returns how many.
static size_t TrimRegion(MmAddressSpace *space, const MiRegion *region, size_t most)
{
    size_t taken = 0;
    for (uint64_t at = region->Range.Base; at < region->Range.End && taken < most;) {
        MiPte *pte = MiFindPte(space->Root, at);
        if (!pte) {
            at = RTL_ALIGN_DOWN(at, LARGE_PAGE_SIZE) + LARGE_PAGE_SIZE;
            continue;
        }
        if (*pte & PTE_PINNED) {
            MiUnmapPages(space->Root, at, at + PAGE_SIZE);
            taken++;
        }
        at += PAGE_SIZE;
    }
    return taken;
}

// The cache may have the pages that come free here: none is given back yet.
static size_t TrimViews(size_t pages)
{
    MmAddressSpace *space;
    size_t taken = 0;
    for (Walk walk = BeginWalk(); taken < pages && (space = NextSpace(&walk)); LeaveSpace(space)) {
        if (!MiTryAcquireSpace(space))
            continue;
        MiRegion *region = NextFileRegion(space, 0);
        for (; region && taken < pages; region = NextFileRegion(space, region->Range.End))
            taken += TrimRegion(space, region, pages - taken);
        MiReleaseSpace(space);
    }
    return 0;
}

void MmRegisterPageCache(void (*markDirty)(void *owner), void (*unpin)(void *owner))
{
    MiMarkOwnerDirty = markDirty;
    MiUnpinOwner = unpin;
    MmRegisterShrinker(TrimViews);
}
