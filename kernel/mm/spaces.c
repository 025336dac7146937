// spaces.c - user address spaces: the tree of regions and the operations on whole regions.
//
// An allocation starts as one region. Changing the protection of a part splits it; the parts keep
// the allocation's base, are freed together, and merge again when they become alike. Charged
// regions have every page promised (committed) that is not owned already, so that touching them
// cannot run out of memory. Room for "anywhere" is searched downwards from a random top per space,
// with a random gap below each allocation; images get a random place of their own.
//
// Locking: everything inside a space is guarded by its sleeping lock.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define TAG_SPACE  MM_TAG('M', 'm', 'A', 's')
#define TAG_REGION MM_TAG('M', 'm', 'R', 'g')
#define USER_END   (MM_USER_HIGHEST + 1)

static MmAddressSpace *(*currentHook)(void);

MmAddressSpace *MmGetCurrentAddressSpace(void)
{
    return currentHook ? currentHook() : nullptr;
}
void MmSetCurrentAddressSpaceHook(MmAddressSpace *(*current)(void))
{
    currentHook = current;
}

// ---- the sleeping lock (U. Drepper, "Futexes are tricky", mutex 2, on an event)
void MiAcquireSpace(MmAddressSpace *space)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&space->Lock.State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&space->Lock.State, 2, __ATOMIC_ACQUIRE) != 0)
        (void)KeWaitForObject(&space->Lock.Event, KernelWait, KE_INFINITE);
}

void MiReleaseSpace(MmAddressSpace *space)
{
    if (__atomic_exchange_n(&space->Lock.State, 0, __ATOMIC_RELEASE) == 2)
        KeSetEvent(&space->Lock.Event);
}

// ---- regions
static MiRegion *RegionOf(MiRange *range)
{
    return (MiRegion *)range;
}
static_assert(offsetof(MiRegion, Range) == 0, "nullptr stays nullptr");

static uint64_t PagesOf(const MiRegion *region)
{
    return (region->Range.End - region->Range.Base) / PAGE_SIZE;
}

static bool IsProtection(MemoryProtection protection)
{
    return protection == MemoryNoAccess || protection == MemoryRead ||
           protection == MemoryReadWrite || protection == MemoryReadExecute;
}

// Whether a region's pages need a promise under a protection: those it could come to own.
static bool NeedsCharge(const MiRegion *region, MemoryProtection protection)
{
    if (!region->Section)
        return protection != MemoryNoAccess;
    return region->CopyPrivate && protection == MemoryReadWrite;
}

static Status ChargeRegion(MmAddressSpace *space, MiRegion *region)
{
    if (region->Charged)
        return StatusSuccess;
    Status status = MiChargeCommit(PagesOf(region));
    if (status == StatusSuccess) {
        region->Charged = true;
        space->CommittedPages += PagesOf(region);
    }
    return status;
}

// Unmaps a region's pages and forgets it.
static void DropRegion(MmAddressSpace *space, MiRegion *region)
{
    uint64_t owned = MiUnmapPages(space->Root, region->Range.Base, region->Range.End);
    space->ResidentPages -= owned;
    if (region->Charged) {
        MiReturnCommit(PagesOf(region) - owned);
        space->CommittedPages -= PagesOf(region);
    }
    MiRemoveRange(&space->Regions, &region->Range);
    space->LastFound = nullptr;
    if (region->Section)
        MmDereferenceSection(region->Section);
    MmFreeHeap(region);
}

// ---- finding room
static bool FindRoom(const MmAddressSpace *space, uint64_t top, uint64_t size, uint64_t *base)
{
    return MiFindHole(&space->Regions, MM_USER_LOWEST, top, size, PAGE_SIZE, base);
}

// 1 to 8 pages, from three random bits; a random number is good for 21 gaps.
static uint64_t NextGap(MmAddressSpace *space)
{
    if (space->GapBits <= 1)
        space->GapBits = KeGetRandom() | 1ull << 63;
    uint64_t gap = 1 + (space->GapBits & 7);
    space->GapBits >>= 3;
    return gap * PAGE_SIZE;
}

static Status PlaceAnywhere(MmAddressSpace *space, uint64_t size, uint64_t *base)
{
    uint64_t gap = NextGap(space);
    uint64_t at;
    if (FindRoom(space, space->PlacementTop, size + 2 * gap, &at) ||
        FindRoom(space, USER_END, size + 2 * gap, &at)) {
        *base = at + gap;
        return StatusSuccess;
    }
    return FindRoom(space, USER_END, size, base) ? StatusSuccess : StatusNoAddressSpace;
}

static Status PlaceExactly(const MmAddressSpace *space, uint64_t base, uint64_t size)
{
    if (base % PAGE_SIZE != 0 || base < MM_USER_LOWEST || base >= USER_END ||
        size > USER_END - base)
        return StatusInvalidParameter;
    const MiRange *next = MiFindRangeFrom(&space->Regions, base);
    return next && next->Base < base + size ? StatusConflict : StatusSuccess;
}

static Status Place(MmAddressSpace *space, uint64_t size, uint64_t *base)
{
    return *base ? PlaceExactly(space, *base, size) : PlaceAnywhere(space, size, base);
}

Status MmReserveRange(MmAddressSpace *space, size_t size, uint64_t *base)
{
    if (size == 0 || size > USER_END - MM_USER_LOWEST)
        return StatusNoAddressSpace;
    size = RTL_ALIGN_UP(size, PAGE_SIZE);
    Status status = StatusNoAddressSpace;
    MiAcquireSpace(space);
    for (unsigned attempt = 0; attempt < 8 && status != StatusSuccess; attempt++) {
        uint64_t top = RTL_ALIGN_DOWN(KeGetRandom() % USER_END, PAGE_SIZE);
        if (top > MM_USER_LOWEST && FindRoom(space, top, size, base))
            status = StatusSuccess;
    }
    if (status != StatusSuccess && FindRoom(space, USER_END, size, base))
        status = StatusSuccess;
    MiReleaseSpace(space);
    return status;
}

// ---- allocating and mapping
// Enters a new region over [*base, *base + size) as `model` says; takes over no references.
static Status AddRegion(MmAddressSpace *space, const MiRegion *model, uint64_t size, uint64_t *base)
{
    MiRegion *region = MmAllocateHeap(sizeof(*region), TAG_REGION);
    if (!region)
        return StatusNoMemory;
    *region = *model;
    MiAcquireSpace(space);
    uint64_t at = *base;
    Status status = Place(space, size, &at);
    if (status == StatusSuccess) {
        region->Range.Base = region->AllocationBase = at;
        region->Range.End = at + size;
        if (NeedsCharge(region, region->Protection))
            status = ChargeRegion(space, region);
    }
    if (status == StatusSuccess) {
        bool inserted = MiInsertRange(&space->Regions, &region->Range);
        KE_ASSERT(inserted);
        if (region->Section)
            MmReferenceSection(region->Section);
        *base = at;
    }
    MiReleaseSpace(space);
    if (status != StatusSuccess)
        MmFreeHeap(region);
    return status;
}

Status MmAllocateVirtual(MmAddressSpace *space, uint64_t *base, size_t size,
                         MemoryProtection protection, MmRegionKind kind)
{
    if (size == 0 || !IsProtection(protection) || (kind != RegionPrivate && kind != RegionStack))
        return StatusInvalidParameter;
    if (size > USER_END - MM_USER_LOWEST)
        return StatusNoAddressSpace;
    MiRegion model = {.Protection = protection, .Kind = kind};
    return AddRegion(space, &model, RTL_ALIGN_UP(size, PAGE_SIZE), base);
}

Status MmMapSection(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                    uint64_t *base, MemoryProtection protection, MmRegionKind kind,
                    bool copyPrivate)
{
    uint64_t whole = section->Pages * PAGE_SIZE;
    if (size == 0 || offset % PAGE_SIZE != 0 || offset > whole || size > whole - offset ||
        !IsProtection(protection) || (kind != RegionImage && kind != RegionSection))
        return StatusInvalidParameter;
    // A mapping everybody sees must not become code; an image everybody shares must not be written.
    if (kind == RegionSection && !copyPrivate && protection == MemoryReadExecute)
        return StatusInvalidParameter;
    MiRegion model = {.Section = section,
                      .SectionOffset = offset,
                      .Protection = protection,
                      .Kind = kind,
                      .CopyPrivate = copyPrivate || kind == RegionImage};
    return AddRegion(space, &model, RTL_ALIGN_UP(size, PAGE_SIZE), base);
}

// ---- freeing
static Status FreeAllocation(MmAddressSpace *space, uint64_t base, bool sections)
{
    MiAcquireSpace(space);
    MiRegion *region = RegionOf(MiFindRange(&space->Regions, base));
    bool right = region && region->AllocationBase == base && region->Range.Base == base &&
                 (region->Section != nullptr) == sections;
    for (uint64_t next = base; right && region && region->AllocationBase == base;) {
        next = region->Range.End;
        DropRegion(space, region);
        region = RegionOf(MiFindRange(&space->Regions, next));
    }
    MiReleaseSpace(space);
    return right ? StatusSuccess : StatusNotFound;
}

Status MmFreeVirtual(MmAddressSpace *space, uint64_t base)
{
    return FreeAllocation(space, base, false);
}
Status MmUnmapSection(MmAddressSpace *space, uint64_t base)
{
    return FreeAllocation(space, base, true);
}

// ---- protection
MiPte MiPteFlags(MemoryProtection protection)
{
    switch (protection) {
    case MemoryRead:
        return PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NO_EXECUTE;
    case MemoryReadWrite:
        return PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NO_EXECUTE | PTE_WRITE | PTE_DIRTY;
    case MemoryReadExecute:
        return PTE_PRESENT | PTE_USER | PTE_ACCESSED;
    default:
        return PTE_NO_EXECUTE;
    }
}

// Splits a region at address, which lies inside it; `upper` becomes the upper part.
static void SplitRegion(MmAddressSpace *space, MiRegion *region, uint64_t address, MiRegion *upper)
{
    uint64_t end = region->Range.End;
    *upper = *region;
    upper->Range.Base = address;
    upper->SectionOffset += address - region->Range.Base;
    if (upper->Section)
        MmReferenceSection(upper->Section);
    MiResizeRange(&space->Regions, &region->Range, region->Range.Base, address);
    upper->Range.End = end;
    bool inserted = MiInsertRange(&space->Regions, &upper->Range);
    KE_ASSERT(inserted);
}

static bool AreAlike(const MiRegion *a, const MiRegion *b)
{
    return a->Range.End == b->Range.Base && a->AllocationBase == b->AllocationBase &&
           a->Section == b->Section && a->Protection == b->Protection && a->Kind == b->Kind &&
           a->CopyPrivate == b->CopyPrivate && a->Charged == b->Charged &&
           (!a->Section || a->SectionOffset + (a->Range.End - a->Range.Base) == b->SectionOffset);
}

// Merges the regions of [start, end] with their like neighbours.
static void MergeRegions(MmAddressSpace *space, uint64_t start, uint64_t end)
{
    MiRegion *region = RegionOf(MiFindRange(&space->Regions, start > 0 ? start - 1 : 0));
    if (!region)
        region = RegionOf(MiFindRangeFrom(&space->Regions, start));
    while (region && region->Range.Base <= end) {
        MiRegion *next = RegionOf(MiFindRangeFrom(&space->Regions, region->Range.End));
        if (!next || !AreAlike(region, next)) {
            region = next;
            continue;
        }
        MiRemoveRange(&space->Regions, &next->Range);
        MiResizeRange(&space->Regions, &region->Range, region->Range.Base, next->Range.End);
        if (next->Section)
            MmDereferenceSection(next->Section);
        MmFreeHeap(next);
    }
    space->LastFound = nullptr;
}

// Rewrites the entries of a region after its protection has changed.
static void ReprotectPages(MmAddressSpace *space, const MiRegion *region)
{
    MiPte flags = MiPteFlags(region->Protection);
    uint64_t pteSpan = LARGE_PAGE_SIZE;
    for (uint64_t at = region->Range.Base; at < region->Range.End;) {
        MiPte *pte = MiFindPte(space->Root, at);
        if (!pte) {
            at = (at | (pteSpan - 1)) + 1;
            continue;
        }
        MiPte value = *pte;
        if (value & PTE_OWNED)
            MiSetPte(pte, (value & PTE_ADDRESS) | PTE_OWNED | flags);
        else if (value)
            MiSetPte(pte, 0); // entered again by a fault
        at += PAGE_SIZE;
    }
}

// The parts of [base, end) as one chain of regions of one allocation or image; checks them against
// the protection asked for. *first is the region that holds base.
static Status CheckParts(MmAddressSpace *space, uint64_t base, uint64_t end,
                         MemoryProtection protection, MiRegion **first)
{
    MiRegion *start = RegionOf(MiFindRange(&space->Regions, base));
    *first = start;
    for (uint64_t at = base; at < end;) {
        const MiRegion *region = RegionOf(MiFindRange(&space->Regions, at));
        if (!region)
            return StatusInvalidAddress;
        bool same = region->AllocationBase == start->AllocationBase ||
                    (region->Kind == RegionImage && start->Kind == RegionImage);
        if (!same)
            return StatusInvalidAddress;
        if (region->Section && !region->CopyPrivate && protection == MemoryReadExecute)
            return StatusInvalidParameter;
        at = region->Range.End;
    }
    return StatusSuccess;
}

// Charges all parts of [base, end), or none.
static Status ChargeParts(MmAddressSpace *space, uint64_t base, uint64_t end,
                          MemoryProtection protection)
{
    uint64_t pages = 0;
    for (uint64_t at = base; at < end;) {
        const MiRegion *region = RegionOf(MiFindRange(&space->Regions, at));
        if (!region->Charged && NeedsCharge(region, protection))
            pages += PagesOf(region);
        at = region->Range.End;
    }
    Status status = pages ? MiChargeCommit(pages) : StatusSuccess;
    if (status != StatusSuccess)
        return status;
    space->CommittedPages += pages;
    for (uint64_t at = base; at < end;) {
        MiRegion *region = RegionOf(MiFindRange(&space->Regions, at));
        region->Charged |= NeedsCharge(region, protection);
        at = region->Range.End;
    }
    return StatusSuccess;
}

// Splits the regions that reach over base and end there. Nothing has changed when it fails.
static Status CutAt(MmAddressSpace *space, uint64_t base, uint64_t end, MiRegion *first)
{
    const MiRegion *last = RegionOf(MiFindRange(&space->Regions, end - 1));
    bool cutBase = first->Range.Base<base, cutEnd = last->Range.End> end;
    MiRegion *atBase = cutBase ? MmAllocateHeap(sizeof(MiRegion), TAG_REGION) : nullptr;
    MiRegion *atEnd = cutEnd ? MmAllocateHeap(sizeof(MiRegion), TAG_REGION) : nullptr;
    if ((cutBase && !atBase) || (cutEnd && !atEnd)) {
        MmFreeHeap(atBase);
        MmFreeHeap(atEnd);
        return StatusNoMemory;
    }
    if (cutBase)
        SplitRegion(space, first, base, atBase);
    if (cutEnd)
        SplitRegion(space, RegionOf(MiFindRange(&space->Regions, end - 1)), end, atEnd);
    return StatusSuccess;
}

static Status Protect(MmAddressSpace *space, uint64_t base, uint64_t end,
                      MemoryProtection protection)
{
    MiRegion *first;
    Status status = CheckParts(space, base, end, protection, &first);
    if (status == StatusSuccess)
        status = CutAt(space, base, end, first);
    if (status != StatusSuccess)
        return status;
    status = ChargeParts(space, base, end, protection);
    for (uint64_t at = base; status == StatusSuccess && at < end;) {
        MiRegion *region = RegionOf(MiFindRange(&space->Regions, at));
        region->Protection = protection;
        ReprotectPages(space, region);
        at = region->Range.End;
    }
    MiFlushRange(space->Root, base, end);
    MergeRegions(space, base, end);
    return status;
}

Status MmProtectVirtual(MmAddressSpace *space, uint64_t base, size_t size,
                        MemoryProtection protection)
{
    if (size == 0 || base % PAGE_SIZE != 0 || !IsProtection(protection))
        return StatusInvalidParameter;
    Status status = MmCheckUserRange(base, size);
    if (status != StatusSuccess)
        return status;
    MiAcquireSpace(space);
    status = Protect(space, base, base + RTL_ALIGN_UP(size, PAGE_SIZE), protection);
    MiReleaseSpace(space);
    return status;
}

Status MmQueryVirtual(MmAddressSpace *space, uint64_t address, MemoryInfo *info)
{
    if (MmCheckUserRange(address, 1) != StatusSuccess)
        return StatusInvalidAddress;
    *info = (MemoryInfo){};
    MiAcquireSpace(space);
    const MiRange *range = MiFindRange(&space->Regions, address);
    if (range) {
        const MiRegion *region = (const MiRegion *)range;
        *info = (MemoryInfo){.Base = range->Base,
                             .Size = range->End - range->Base,
                             .Protection = region->Protection,
                             .Kind = region->Kind};
    } else {
        const MiRange *below = MiFindRangeBelow(&space->Regions, address);
        const MiRange *above = MiFindRangeFrom(&space->Regions, address);
        info->Base = below ? below->End : MM_USER_LOWEST;
        info->Size = (above ? above->Base : USER_END) - info->Base;
    }
    MiReleaseSpace(space);
    return StatusSuccess;
}

// ---- spaces
Status MmCreateAddressSpace(MmAddressSpace **result)
{
    MmAddressSpace *space = MmAllocateHeap(sizeof(*space), TAG_SPACE);
    if (!space)
        return StatusNoMemory;
    Status status = MmAllocatePage(PageTable, false, &space->Root);
    if (status != StatusSuccess) {
        MmFreeHeap(space);
        return status;
    }
    MiPte *root = MiTableAt(space->Root);
    MiFrameOf(space->Root)->Tables = 0; // the kernel's, which it will share, are nobody's
    memset(root, 0, KERNEL_FIRST_SLOT * sizeof(MiPte));
    memcpy(root + KERNEL_FIRST_SLOT, MiTableAt(MiKernelRoot) + KERNEL_FIRST_SLOT,
           (ENTRIES_PER_TABLE - KERNEL_FIRST_SLOT) * sizeof(MiPte));
    // Between a quarter and all of the user half: about 34 random bits of page number.
    uint64_t quarter = USER_END / 4;
    space->PlacementTop = RTL_ALIGN_DOWN(quarter + KeGetRandom() % (USER_END - quarter), PAGE_SIZE);
    KeInitializeEvent(&space->Lock.Event, false, false);
    *result = space;
    return StatusSuccess;
}

void MmDestroyAddressSpace(MmAddressSpace *space)
{
    MiAcquireSpace(space);
    MiRange *range;
    while ((range = space->Regions.Root) != nullptr)
        DropRegion(space, RegionOf(range));
    KE_ASSERT(space->ResidentPages == 0 && space->CommittedPages == 0);
    KeForgetPageTables(space->Root);
    MmFreePage(space->Root);
    MmFreeHeap(space);
}

uint64_t MmGetPageTableRoot(const MmAddressSpace *space)
{
    return space->Root;
}

void MmQuerySpace(MmAddressSpace *space, MmSpaceCounters *counters)
{
    MiAcquireSpace(space);
    *counters = (MmSpaceCounters){
        .CommittedBytes = space->CommittedPages * PAGE_SIZE,
        .ResidentBytes = (space->ResidentPages + 1 + MiFrameOf(space->Root)->Tables) * PAGE_SIZE};
    MiReleaseSpace(space);
}
