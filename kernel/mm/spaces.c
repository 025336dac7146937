// spaces.c - user address spaces: the tree of regions and the operations on whole allocations.
//
// An allocation starts as one region. Changing the protection of a part splits it; the parts keep
// the allocation's base, are freed together, and merge again when they become alike. Charged
// regions have every page promised (committed) that is not owned already, so that touching them
// cannot run out of memory; of a stack only the upper end is, which moves down as the stack grows.
// Room for "anywhere" is searched downwards from a random top per space,
// with a random gap below each allocation; images get a random place of their own.
//
// Locking: everything inside a space is guarded by its sleeping lock.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define TAG_SPACE  MM_TAG('M', 'm', 'A', 's')
#define USER_END   (MM_USER_HIGHEST + 1)
#define STACK_STEP 0x10000ull // stacks are committed in pieces of this size

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

bool MiTryAcquireSpace(MmAddressSpace *space)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&space->Lock.State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void MiReleaseSpace(MmAddressSpace *space)
{
    if (__atomic_exchange_n(&space->Lock.State, 0, __ATOMIC_RELEASE) == 2)
        KeSetEvent(&space->Lock.Event);
}

// ---- regions
bool MiIsProtection(MemoryProtection protection)
{
    return protection == MemoryNoAccess || protection == MemoryRead ||
           protection == MemoryReadWrite || protection == MemoryReadExecute;
}

bool MiNeedsCharge(const MiRegion *region, MemoryProtection protection)
{
    if (!region->Section)
        return protection != MemoryNoAccess;
    return region->CopyPrivate && protection == MemoryReadWrite;
}

static Status ChargeRegion(MmAddressSpace *space, MiRegion *region)
{
    if (region->Charged)
        return StatusSuccess;
    Status status = MiChargeCommit(MiChargedPages(region));
    if (status == StatusSuccess) {
        region->Charged = true;
        space->CommittedPages += MiChargedPages(region);
    }
    return status;
}

Status MiGrowStack(MmAddressSpace *space, MiRegion *region, uint64_t address)
{
    uint64_t lowest = RTL_MAX(region->Range.Base, region->AllocationBase + PAGE_SIZE);
    uint64_t target = RTL_MAX(RTL_ALIGN_DOWN(address, STACK_STEP), lowest);
    uint64_t pages = (RTL_MIN(region->CommitBase, region->Range.End) - target) / PAGE_SIZE;
    if (region->Charged) {
        Status status = MiChargeCommit(pages);
        if (status != StatusSuccess)
            return status;
        space->CommittedPages += pages;
    }
    region->CommitBase = target;
    return StatusSuccess;
}

// Unmaps a region's pages and forgets it.
static void DropRegion(MmAddressSpace *space, MiRegion *region)
{
    uint64_t owned = MiUnmapPages(space->Root, region->Range.Base, region->Range.End);
    space->ResidentPages -= owned;
    if (region->Charged) {
        MiReturnCommit(MiChargedPages(region) - owned);
        space->CommittedPages -= MiChargedPages(region);
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
// What of a new stack is promised: a program of thousands of threads gives them small stacks.
static uint64_t FirstStackCommit(uint64_t size)
{
    return RTL_MIN(RTL_ALIGN_UP(size / 4, PAGE_SIZE), STACK_STEP);
}

// Enters a new region over [*base, *base + size) as `model` says; takes over no references.
static Status AddRegion(MmAddressSpace *space, const MiRegion *model, uint64_t size, uint64_t *base)
{
    MiRegion *region = MmAllocateHeap(sizeof(*region), MI_TAG_REGION);
    if (!region)
        return StatusNoMemory;
    *region = *model;
    MiAcquireSpace(space);
    uint64_t at = *base;
    Status status = Place(space, size, &at);
    if (status == StatusSuccess) {
        region->Range.Base = region->AllocationBase = at;
        region->Range.End = at + size;
        if (region->Kind == RegionStack)
            region->CommitBase = at + size - FirstStackCommit(size);
        if (MiNeedsCharge(region, region->Protection))
            status = ChargeRegion(space, region);
    }
    if (status == StatusSuccess) {
        bool inserted = MiInsertRange(&space->Regions, &region->Range);
        KE_ASSERT(inserted);
        if (region->Section)
            MmReferenceSection(region->Section);
        if (region->Section && region->Section->Pager)
            MiNoteFileView(space);
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
    if (size == 0 || !MiIsProtection(protection) || (kind != RegionPrivate && kind != RegionStack))
        return StatusInvalidParameter;
    if (size > USER_END - MM_USER_LOWEST)
        return StatusNoAddressSpace;
    MiRegion model = {.Protection = protection, .Kind = kind};
    return AddRegion(space, &model, RTL_ALIGN_UP(size, PAGE_SIZE), base);
}

static Status MapSection(MmAddressSpace *space, const MiRegion *model, size_t size, uint64_t *base)
{
    const MmSection *section = model->Section;
    uint64_t whole = section->Pages * PAGE_SIZE, offset = model->SectionOffset;
    if (size == 0 || offset % PAGE_SIZE != 0 || offset > whole || size > whole - offset ||
        !MiIsProtection(model->Protection))
        return StatusInvalidParameter;
    // A mapping everybody sees must not become code; an image everybody shares must not be written.
    if (model->Kind != RegionImage && (!model->CopyPrivate || section->Pager) &&
        model->Protection == MemoryReadExecute)
        return StatusInvalidParameter;
    if (model->NeverWrite && model->Protection == MemoryReadWrite)
        return StatusAccessDenied;
    return AddRegion(space, model, RTL_ALIGN_UP(size, PAGE_SIZE), base);
}

Status MmMapSection(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                    uint64_t *base, MemoryProtection protection, MmRegionKind kind,
                    bool copyPrivate)
{
    if (kind != RegionImage && kind != RegionSection)
        return StatusInvalidParameter;
    MiRegion model = {.Section = section,
                      .SectionOffset = offset,
                      .Protection = protection,
                      .Kind = kind,
                      .CopyPrivate = copyPrivate || kind == RegionImage};
    return MapSection(space, &model, size, base);
}

Status MmMapView(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                 uint64_t *base, MemoryProtection protection, bool copyPrivate, bool writable)
{
    MiRegion model = {.Section = section,
                      .SectionOffset = offset,
                      .Protection = protection,
                      .Kind = RegionView,
                      .CopyPrivate = copyPrivate,
                      .NeverWrite = !copyPrivate && !writable};
    return MapSection(space, &model, size, base);
}

// ---- freeing
// What can be freed together is of one kind; kinds is a set of bits.
static Status FreeAllocation(MmAddressSpace *space, uint64_t base, uint32_t kinds)
{
    MiAcquireSpace(space);
    MiRegion *region = MiRegionOf(MiFindRange(&space->Regions, base));
    bool right = region && region->AllocationBase == base && region->Range.Base == base &&
                 (kinds & 1u << region->Kind);
    for (uint64_t next = base; right && region && region->AllocationBase == base;) {
        next = region->Range.End;
        DropRegion(space, region);
        region = MiRegionOf(MiFindRange(&space->Regions, next));
    }
    MiReleaseSpace(space);
    return right ? StatusSuccess : StatusNotFound;
}

Status MmFreeVirtual(MmAddressSpace *space, uint64_t base)
{
    return FreeAllocation(space, base, 1u << RegionPrivate | 1u << RegionStack);
}
Status MmUnmapSection(MmAddressSpace *space, uint64_t base)
{
    return FreeAllocation(space, base, 1u << RegionImage | 1u << RegionSection);
}
Status MmUnmapView(MmAddressSpace *space, uint64_t base)
{
    return FreeAllocation(space, base, 1u << RegionView);
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
    MiInitializeSpaceViews(space);
    *result = space;
    return StatusSuccess;
}

void MmDestroyAddressSpace(MmAddressSpace *space)
{
    MiForgetSpaceViews(space);
    MiAcquireSpace(space);
    MiRange *range;
    while ((range = space->Regions.Root) != nullptr)
        DropRegion(space, MiRegionOf(range));
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
