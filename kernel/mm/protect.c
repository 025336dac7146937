// protect.c - changing and asking about parts of an address space: protection, commitment.
//
// A change works on whole pages inside one allocation (or one image): the regions are cut at its
// ends, charged where they begin to need memory, changed, and joined again with neighbours that
// have become alike. Nothing has changed when it fails.
// SPDX-License-Identifier: MIT
#include "mi.h"

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
    space->LastFound = nullptr;
}

static bool AreAlike(const MiRegion *a, const MiRegion *b)
{
    return a->Range.End == b->Range.Base && a->AllocationBase == b->AllocationBase &&
           a->Section == b->Section && a->Protection == b->Protection && a->Kind == b->Kind &&
           a->CopyPrivate == b->CopyPrivate && a->Charged == b->Charged &&
           a->NeverWrite == b->NeverWrite && a->CommitBase == b->CommitBase &&
           (!a->Section || a->SectionOffset + (a->Range.End - a->Range.Base) == b->SectionOffset);
}

// Joins the regions from `region` on, as far as they begin at or below end, with their like
// neighbours.
static void JoinRegions(MmAddressSpace *space, MiRegion *region, uint64_t end)
{
    MiRegion *below = MiRegionOf(MiFindRange(&space->Regions, region->Range.Base - 1));
    if (below && AreAlike(below, region))
        region = below;
    while (region && region->Range.Base <= end) {
        MiRegion *next = MiRegionOf(MiFindRange(&space->Regions, region->Range.End));
        if (!next || !AreAlike(region, next)) {
            region = next;
            continue;
        }
        MiRemoveRange(&space->Regions, &next->Range);
        MiResizeRange(&space->Regions, &region->Range, region->Range.Base, next->Range.End);
        if (next->Section)
            MmDereferenceSection(next->Section);
        MmFreeHeap(next);
        space->LastFound = nullptr;
    }
}

// The entry of a page after its region's protection has changed; 0: entered again by a fault.
static MiPte ChangedEntry(MiPte old, MiPte flags)
{
    if (old & PTE_OWNED)
        return (old & PTE_ADDRESS) | PTE_OWNED | flags;
    if (old & PTE_PINNED) // may be written once a fault has said so
        return (old & PTE_ADDRESS) | PTE_PINNED | (flags & ~(PTE_WRITE | PTE_DIRTY));
    return 0;
}

static bool LosesRights(MiPte old, MiPte new)
{
    MiPte gone = (old & ~new &(PTE_PRESENT | PTE_WRITE)) | (~old & new &PTE_NO_EXECUTE);
    return (old & PTE_PRESENT) && gone;
}

// Rewrites the entries of a region and makes sure that no processor goes on with more rights.
static void ReprotectPages(MmAddressSpace *space, const MiRegion *region)
{
    MiPte flags = MiPteFlags(region->Protection);
    uint64_t first = UINT64_MAX, last = 0; // pages that lost rights
    for (uint64_t at = region->Range.Base; at < region->Range.End;) {
        MiPte *pte = MiFindPte(space->Root, at);
        uint64_t next = (at | (LARGE_PAGE_SIZE - 1)) + 1;
        next = RTL_MIN(next, region->Range.End);
        for (; pte && at < next; at += PAGE_SIZE, pte++) {
            MiPte old = *pte;
            if (!old)
                continue;
            MiPte new = ChangedEntry(old, flags);
            MiSetPte(pte, new);
            if (LosesRights(old, new)) {
                first = RTL_MIN(first, at);
                last = at;
            }
            if ((old & PTE_PINNED) && (old & PTE_WRITE)) {
                MiFlushRange(space->Root, at, at + PAGE_SIZE);
                MiMarkOwnerDirty(MiFrameOf(old & PTE_ADDRESS)->Owner);
            }
        }
        at = next;
    }
    if (first <= last)
        MiFlushRange(space->Root, first, last + PAGE_SIZE);
}

// ---- the parts of [base, end)
static MiRegion *NextPart(MmAddressSpace *space, const MiRegion *region, uint64_t end)
{
    return region->Range.End < end ? MiRegionOf(MiFindRange(&space->Regions, region->Range.End))
                                   : nullptr;
}

// One chain of regions of one allocation or image; checks them against the protection asked for.
// *first is the region that holds base, *last the one that holds the last byte.
static Status CheckParts(MmAddressSpace *space, uint64_t base, uint64_t end,
                         MemoryProtection protection, MiRegion **first, MiRegion **last)
{
    MiRegion *start = MiRegionOf(MiFindRange(&space->Regions, base)), *region = start;
    for (*first = start; region; region = NextPart(space, region, end)) {
        bool same = region->AllocationBase == start->AllocationBase ||
                    (region->Kind == RegionImage && start->Kind == RegionImage);
        if (!same)
            return StatusInvalidAddress;
        if (protection == MemoryReadExecute && region->Section &&
            (!region->CopyPrivate || region->Section->Pager))
            return StatusInvalidParameter;
        if (protection == MemoryReadWrite && region->NeverWrite)
            return StatusAccessDenied;
        *last = region;
        if (region->Range.End >= end)
            return StatusSuccess;
    }
    return StatusInvalidAddress;
}

// Charges all parts, or none.
static Status ChargeParts(MmAddressSpace *space, MiRegion *first, uint64_t end,
                          MemoryProtection protection)
{
    uint64_t pages = 0;
    for (MiRegion *region = first; region; region = NextPart(space, region, end))
        if (!region->Charged && MiNeedsCharge(region, protection))
            pages += MiChargedPages(region);
    Status status = pages ? MiChargeCommit(pages) : StatusSuccess;
    if (status != StatusSuccess)
        return status;
    space->CommittedPages += pages;
    for (MiRegion *region = first; region; region = NextPart(space, region, end))
        region->Charged |= MiNeedsCharge(region, protection);
    return StatusSuccess;
}

// Splits the regions that reach over base and end there; *first becomes the one that begins at
// base. Nothing has changed when it fails.
static Status CutAt(MmAddressSpace *space, uint64_t base, uint64_t end, MiRegion **first,
                    MiRegion *last)
{
    bool cutBase = (*first)->Range.Base != base, cutEnd = last->Range.End != end;
    MiRegion *atBase = cutBase ? MmAllocateHeap(sizeof(MiRegion), MI_TAG_REGION) : nullptr;
    MiRegion *atEnd = cutEnd ? MmAllocateHeap(sizeof(MiRegion), MI_TAG_REGION) : nullptr;
    if ((cutBase && !atBase) || (cutEnd && !atEnd)) {
        MmFreeHeap(atBase);
        MmFreeHeap(atEnd);
        return StatusNoMemory;
    }
    if (cutEnd)
        SplitRegion(space, last, end, atEnd);
    if (cutBase) {
        SplitRegion(space, *first, base, atBase);
        *first = atBase;
    }
    return StatusSuccess;
}

static Status Protect(MmAddressSpace *space, uint64_t base, uint64_t end,
                      MemoryProtection protection)
{
    MiRegion *first, *last;
    Status status = CheckParts(space, base, end, protection, &first, &last);
    if (status == StatusSuccess)
        status = CutAt(space, base, end, &first, last);
    if (status != StatusSuccess)
        return status;
    status = ChargeParts(space, first, end, protection);
    if (status == StatusSuccess) {
        for (MiRegion *region = first; region; region = NextPart(space, region, end)) {
            region->Protection = protection;
            ReprotectPages(space, region);
        }
    }
    JoinRegions(space, first, end);
    return status;
}

Status MmProtectVirtual(MmAddressSpace *space, uint64_t base, size_t size,
                        MemoryProtection protection)
{
    if (size == 0 || base % PAGE_SIZE != 0 || !MiIsProtection(protection))
        return StatusInvalidParameter;
    Status status = MmCheckUserRange(base, size);
    if (status != StatusSuccess)
        return status;
    MiAcquireSpace(space);
    status = Protect(space, base, base + RTL_ALIGN_UP(size, PAGE_SIZE), protection);
    MiReleaseSpace(space);
    return status;
}

// ---- giving memory back
static void DecommitRegion(MmAddressSpace *space, MiRegion *region)
{
    uint64_t owned = MiUnmapPages(space->Root, region->Range.Base, region->Range.End);
    space->ResidentPages -= owned;
    if (region->Charged) {
        MiReturnCommit(MiChargedPages(region) - owned);
        space->CommittedPages -= MiChargedPages(region);
    }
    region->Charged = false;
    region->Protection = MemoryNoAccess;
}

static Status Decommit(MmAddressSpace *space, uint64_t base, uint64_t end)
{
    MiRegion *first, *last;
    Status status = CheckParts(space, base, end, MemoryNoAccess, &first, &last);
    if (status == StatusSuccess && first->Kind != RegionPrivate)
        status = StatusInvalidAddress;
    if (status == StatusSuccess)
        status = CutAt(space, base, end, &first, last);
    if (status != StatusSuccess)
        return status;
    for (MiRegion *region = first; region; region = NextPart(space, region, end))
        DecommitRegion(space, region);
    JoinRegions(space, first, end);
    return StatusSuccess;
}

Status MmDecommitVirtual(MmAddressSpace *space, uint64_t base, size_t size)
{
    if (size == 0 || base % PAGE_SIZE != 0)
        return StatusInvalidParameter;
    Status status = MmCheckUserRange(base, size);
    if (status != StatusSuccess)
        return status;
    MiAcquireSpace(space);
    status = Decommit(space, base, base + RTL_ALIGN_UP(size, PAGE_SIZE));
    MiReleaseSpace(space);
    return status;
}

// ---- asking
static MemoryInfo Describe(const MiRegion *region)
{
    bool committed = region->Section || region->Charged;
    return (MemoryInfo){.Base = region->Range.Base,
                        .Size = region->Range.End - region->Range.Base,
                        .Protection = region->Protection,
                        .Kind = region->Kind,
                        .AllocationBase = region->AllocationBase,
                        .State = committed ? MemoryCommitted : MemoryReserved,
                        .CommittedSize = region->Section   ? region->Range.End - region->Range.Base
                                         : region->Charged ? MiChargedPages(region) * PAGE_SIZE
                                                           : 0};
}

Status MmQueryVirtual(MmAddressSpace *space, uint64_t address, MemoryInfo *info)
{
    if (MmCheckUserRange(address, 1) != StatusSuccess)
        return StatusInvalidAddress;
    *info = (MemoryInfo){};
    MiAcquireSpace(space);
    const MiRange *range = MiFindRange(&space->Regions, address);
    if (range) {
        *info = Describe((const MiRegion *)range);
    } else {
        const MiRange *below = MiFindRangeBelow(&space->Regions, address);
        const MiRange *above = MiFindRangeFrom(&space->Regions, address);
        info->Base = below ? below->End : MM_USER_LOWEST;
        info->Size = (above ? above->Base : MM_USER_HIGHEST + 1) - info->Base;
    }
    MiReleaseSpace(space);
    return StatusSuccess;
}
