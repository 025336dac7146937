// fault.c - page faults in the user half.
//
// A fault looks its region up (usually the one the last fault hit), and enters what the region
// says: a zeroed page, a page of the section, or a private copy of one. A fault that finds the
// access already allowed was caused by a stale TLB entry and is done after flushing it. Everything
// else stands: ke makes it the program's end, or the failure of a user copy. Faults of mapped
// sections enter the neighbours in the same 64 KiB too.
// SPDX-License-Identifier: MIT
#include "mi.h"

// Error code bits, Intel SDM volume 3, 4.7.
#define FAULT_PRESENT  1u
#define FAULT_WRITE    2u
#define FAULT_USER     4u
#define FAULT_RESERVED 8u
#define FAULT_FETCH    16u

#define RFLAGS_AC (1ull << 18)
#define AROUND    (16 * PAGE_SIZE)

static void CountFault(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static MiRegion *FindRegion(MmAddressSpace *space, uint64_t address)
{
    MiRegion *last = space->LastFound;
    if (last && address >= last->Range.Base && address < last->Range.End)
        return last;
    MiRegion *region = (MiRegion *)MiFindRange(&space->Regions, address);
    if (region)
        space->LastFound = region;
    return region;
}

static bool IsAllowed(const MiRegion *region, uint64_t address, uint64_t errorCode)
{
    if (region->Kind == RegionStack && address - region->AllocationBase < PAGE_SIZE)
        return false; // the guard page
    if (errorCode & FAULT_FETCH)
        return region->Protection == MemoryReadExecute;
    if (errorCode & FAULT_WRITE)
        return region->Protection == MemoryReadWrite;
    return region->Protection != MemoryNoAccess;
}

static PhysicalAddress SectionFrame(const MiRegion *region, uint64_t address)
{
    uint64_t offset = region->SectionOffset + (address - region->Range.Base);
    return region->Section->Frames[offset / PAGE_SIZE];
}

static bool EnterOwned(MmAddressSpace *space, const MiRegion *region, MiPte *pte,
                       PhysicalAddress page)
{
    MiSetPte(pte, page | PTE_OWNED | MiPteFlags(region->Protection));
    space->ResidentPages++;
    return true;
}

static bool EnterZeroed(MmAddressSpace *space, const MiRegion *region, MiPte *pte)
{
    PhysicalAddress page;
    if (MiAllocateCommittedPage(PageProcess, true, &page) != StatusSuccess)
        return false;
    CountFault(&MiCounters.DemandZeroFaults);
    return EnterOwned(space, region, pte, page);
}

static bool EnterCopy(MmAddressSpace *space, const MiRegion *region, MiPte *pte, uint64_t address)
{
    PhysicalAddress page;
    if (MiAllocateCommittedPage(PageProcess, false, &page) != StatusSuccess)
        return false;
    memcpy(MmPhysicalToVirtual(page), MmPhysicalToVirtual(SectionFrame(region, address)),
           PAGE_SIZE);
    CountFault(&MiCounters.CopyFaults);
    bool wasMapped = *pte != 0;
    EnterOwned(space, region, pte, page);
    if (wasMapped)
        MiFlushRange(space->Root, address, address + PAGE_SIZE);
    return true;
}

// Enters the section's pages around address where nothing is entered yet.
static void EnterShared(const MiRegion *region, MiPte *pte, uint64_t address)
{
    MiPte flags = MiPteFlags(region->Protection);
    if (region->CopyPrivate)
        flags &= ~(PTE_WRITE | PTE_DIRTY);
    uint64_t start = RTL_ALIGN_DOWN(address, AROUND), end = start + AROUND;
    start = RTL_MAX(start, region->Range.Base);
    end = RTL_MIN(end, region->Range.End);
    pte -= (address - start) / PAGE_SIZE; // 64 KiB never cross a table
    for (uint64_t at = start; at < end; at += PAGE_SIZE, pte++)
        if (*pte == 0)
            MiSetPte(pte, SectionFrame(region, at) | flags);
}

// The space's lock is held.
static bool Resolve(MmAddressSpace *space, uint64_t address, uint64_t errorCode)
{
    MiRegion *region = FindRegion(space, address);
    if (!region || !IsAllowed(region, address, errorCode))
        return false;
    MiPte *pte = MiMakePte(space->Root, address);
    if (!pte)
        return false;
    bool write = errorCode & FAULT_WRITE;
    if ((*pte & PTE_PRESENT) && !(write && !(*pte & PTE_WRITE))) {
        KeFlushTlbPageHere(address); // another thread was faster, or rights came after the look
        return true;
    }
    if (!region->Section)
        return *pte == 0 && EnterZeroed(space, region, pte);
    if (write && region->CopyPrivate)
        return !(*pte & PTE_OWNED) && EnterCopy(space, region, pte, address);
    EnterShared(region, pte, address);
    return true;
}

bool MiHandlePageFault(uint64_t address, uint64_t errorCode, KTrapFrame *frame)
{
    CountFault(&MiCounters.PageFaults);
    if (address < MM_USER_LOWEST || address > MM_USER_HIGHEST || (errorCode & FAULT_RESERVED))
        return false;
    // In the kernel only a user copy may touch user addresses: at PassiveLevel, with SMAP lifted.
    if (!(errorCode & FAULT_USER) &&
        (KeGetCurrentIrql() != PassiveLevel || (HalSmapEnabled && !(frame->Rflags & RFLAGS_AC))))
        return false;
    MmAddressSpace *space = MmGetCurrentAddressSpace();
    if (!space)
        return false;
    uint64_t page = RTL_ALIGN_DOWN(address, PAGE_SIZE);
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        MiAcquireSpace(space);
        bool resolved = Resolve(space, page, errorCode);
        bool starved = !resolved && FindRegion(space, page) &&
                       IsAllowed(FindRegion(space, page), page, errorCode);
        MiReleaseSpace(space);
        if (resolved)
            return true;
        if (!starved || MiShrinkCaches(64) == 0)
            return false;
    }
    return false;
}
