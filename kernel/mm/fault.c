// fault.c - page faults in the user half.
//
// A fault looks its region up (usually the one the last fault hit), and enters what the region
// says: a zeroed page, a page of the section (of a file: of the page cache), or a private copy of
// one. A fault that finds the
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
#define ATTEMPTS  4
#define SHRINK    256
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

// ---- pages of the space's own
static void EnterOwned(MmAddressSpace *space, const MiRegion *region, MiPte *pte,
                       PhysicalAddress page)
{
    MiSetPte(pte, page | PTE_OWNED | MiPteFlags(region->Protection));
    space->ResidentPages++;
}

static Status EnterZeroedPage(MmAddressSpace *space, const MiRegion *region, MiPte *pte)
{
    PhysicalAddress page;
    Status status = MiAllocateCommittedPage(PageProcess, true, &page);
    if (status == StatusSuccess)
        EnterOwned(space, region, pte, page);
    return status;
}

static Status EnterZeroed(MmAddressSpace *space, MiRegion *region, MiPte *pte, uint64_t address)
{
    if (address < region->CommitBase) {
        Status status = MiGrowStack(space, region, address);
        if (status != StatusSuccess)
            return status;
    }
    Status status = EnterZeroedPage(space, region, pte);
    if (status != StatusSuccess)
        return status;
    CountFault(&MiCounters.DemandZeroFaults);
    // The top page of a stack is its thread's block, written before the thread runs on the next.
    bool top = region->Kind == RegionStack && address + PAGE_SIZE == region->Range.End;
    uint64_t below = address - PAGE_SIZE;
    if (top && address % LARGE_PAGE_SIZE != 0 && below >= region->CommitBase &&
        below > region->AllocationBase && below >= region->Range.Base && pte[-1] == 0)
        return EnterZeroedPage(space, region, pte - 1);
    return StatusSuccess;
}

static Status EnterCopy(MmAddressSpace *space, const MiRegion *region, MiPte *pte, uint64_t address,
                        PhysicalAddress from)
{
    PhysicalAddress page;
    Status status = MiAllocateCommittedPage(PageProcess, false, &page);
    if (status != StatusSuccess)
        return status;
    HalCopy(MmPhysicalToVirtual(page), MmPhysicalToVirtual(from), PAGE_SIZE);
    CountFault(&MiCounters.CopyFaults);
    MiPte old = *pte;
    EnterOwned(space, region, pte, page);
    if (old)
        MiFlushRange(space->Root, address, address + PAGE_SIZE);
    if (old & PTE_PINNED)
        MiReleasePin(old);
    return StatusSuccess;
}

// ---- pages of sections
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

static Status PinPage(const MiRegion *region, uint64_t address, PhysicalAddress *page)
{
    const MmSection *section = region->Section;
    uint64_t offset = region->SectionOffset + (address - region->Range.Base);
    return section->Pager->Pin(section->Context, offset, page);
}

// Enters a page of a file, or lets it be written: the cache learns of the first write since the
// page was last taken to the disk.
static Status EnterFile(MmAddressSpace *space, const MiRegion *region, MiPte *pte, uint64_t address,
                        bool write)
{
    const MmSection *section = region->Section;
    Status status = StatusSuccess;
    MiPte value = *pte & (PTE_ADDRESS | PTE_PINNED);
    if (!value) {
        PhysicalAddress page;
        status = PinPage(region, address, &page);
        if (status != StatusSuccess)
            return status;
        value = page | PTE_PINNED;
    }
    MiPte flags = MiPteFlags(region->Protection);
    if (write && !region->CopyPrivate)
        status = section->Pager->BeginWrite(section->Context);
    else
        flags &= ~(PTE_WRITE | PTE_DIRTY);
    if (status != StatusSuccess)
        flags &= ~(PTE_WRITE | PTE_DIRTY);
    else if (flags & PTE_WRITE)
        MiMarkOwnerDirty(MiFrameOf(value & PTE_ADDRESS)->Owner);
    MiSetPte(pte, value | flags);
    if (status == StatusSuccess && write && region->CopyPrivate)
        return EnterCopy(space, region, pte, address, value & PTE_ADDRESS);
    return status;
}

// The space's lock is held. StatusInvalidAddress: the fault stands.
static Status Resolve(MmAddressSpace *space, uint64_t address, uint64_t errorCode)
{
    MiRegion *region = FindRegion(space, address);
    if (!region || !IsAllowed(region, address, errorCode))
        return StatusInvalidAddress;
    MiPte *pte = MiMakePte(space->Root, address);
    if (!pte)
        return StatusNoMemory;
    bool write = errorCode & FAULT_WRITE;
    if ((*pte & PTE_PRESENT) && !(write && !(*pte & PTE_WRITE))) {
        KeFlushTlbPageHere(address); // another thread was faster, or rights came after the look
        return StatusSuccess;
    }
    if (*pte & PTE_OWNED)
        return StatusInvalidAddress;
    if (!region->Section)
        return EnterZeroed(space, region, pte, address);
    if (region->Section->Pager)
        return EnterFile(space, region, pte, address, write);
    if (write && region->CopyPrivate)
        return EnterCopy(space, region, pte, address, SectionFrame(region, address));
    EnterShared(region, pte, address);
    return StatusSuccess;
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
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        MiAcquireSpace(space);
        Status status = Resolve(space, page, errorCode);
        MiReleaseSpace(space);
        if (status != StatusNoMemory)
            return status == StatusSuccess;
        // What views let go of may have to be written back before it can be dropped: the fault asks
        // for that when it asks again.
        MiShrinkCaches(SHRINK);
    }
    return false;
}
