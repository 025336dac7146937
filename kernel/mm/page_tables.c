// page_tables.c - four-level page tables (Intel SDM volume 3, 4.5): finding, making and clearing
// entries.
//
// A table's frame counts its entries in use, so that a table is given back the moment its last
// entry goes. The kernel half's top-level entries are made once, before the first address space
// copies them, and stay; so all spaces share the kernel's tables and never need to be told of
// changes below.
//
// Locking: a root's tables belong to whoever owns the root: a user space's lock, the kernel space's
// lock.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define IA32_PAT 0x277u

PhysicalAddress MiKernelRoot;

void MiInitializePat(void)
{
    // Entries 0-3 (selected by PCD:PWT): write-back, write-combining, uncached-, uncached; 4-7 the
    // same. Intel SDM volume 3, 11.12: 0 UC, 1 WC, 6 WB, 7 UC-.
    HalWriteMsr(IA32_PAT, 0x0007010600070106ull);
}

static MiPte *Step(MiPte entry, uint64_t address, unsigned level)
{
    return MiTableAt(entry & PTE_ADDRESS) + MiTableIndex(address, level);
}

MiPte *MiFindPte(PhysicalAddress root, uint64_t address)
{
    MiPte *entry = Step(root, address, 4);
    for (unsigned level = 3; level >= 1; level--) {
        if (!(*entry & PTE_PRESENT) || (*entry & PTE_LARGE))
            return nullptr;
        entry = Step(*entry, address, level);
    }
    return entry;
}

MiPte *MiFindLeaf(PhysicalAddress root, uint64_t address, unsigned *level)
{
    MiPte *entry = Step(root, address, 4);
    for (*level = 4; *entry & PTE_PRESENT; entry = Step(*entry, address, *level)) {
        if (*level == 1 || (*level < 4 && (*entry & PTE_LARGE)))
            return entry;
        (*level)--;
    }
    return nullptr;
}

static void CountEntry(const MiPte *entry, int32_t change)
{
    MiFrameOf((uint64_t)entry - DIRECT_MAP_BASE)->Count += (uint32_t)change;
}

void MiSetPte(MiPte *pte, MiPte value)
{
    if (!*pte != !value)
        CountEntry(pte, value ? 1 : -1);
    *(volatile MiPte *)pte = value;
}

static bool MakeTable(PhysicalAddress root, MiPte *entry, uint64_t address)
{
    PhysicalAddress page;
    if (MmAllocatePage(PageTable, true, &page) != StatusSuccess)
        return false;
    MiFrameOf(root)->Tables++;
    MiPte user = address >> 63 ? 0 : PTE_USER;
    MiSetPte(entry, page | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | user);
    return true;
}

// The entry of the given level for address, its tables made where missing.
static MiPte *MakeEntry(PhysicalAddress root, uint64_t address, unsigned level)
{
    MiPte *entry = Step(root, address, 4);
    for (unsigned next = 3; next >= level; next--) {
        if (!*entry && !MakeTable(root, entry, address))
            return nullptr;
        if (*entry & PTE_LARGE)
            return nullptr;
        entry = Step(*entry, address, next);
    }
    return entry;
}

MiPte *MiMakePte(PhysicalAddress root, uint64_t address)
{
    return MakeEntry(root, address, 1);
}

bool MiMapLargePage(PhysicalAddress root, uint64_t address, MiPte value)
{
    MiPte *entry = MakeEntry(root, address, 2);
    if (!entry || *entry)
        return false;
    MiSetPte(entry, value | PTE_LARGE);
    return true;
}

// Replaces a large page of the given level by a table of the next one with the same meaning.
static Status SplitEntry(MiPte *entry, unsigned level)
{
    PhysicalAddress page;
    Status status = MmAllocatePage(PageTable, false, &page);
    if (status != StatusSuccess)
        return status;
    uint64_t step = 1ull << (PAGE_SHIFT + 9 * (level - 2));
    MiPte value = *entry & ~(level == 2 ? PTE_LARGE : 0ull);
    for (unsigned i = 0; i < ENTRIES_PER_TABLE; i++)
        MiTableAt(page)[i] = value + i * step;
    MiFrameOf(page)->Count = ENTRIES_PER_TABLE;
    *(volatile MiPte *)entry = page | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | (value & PTE_USER);
    return StatusSuccess;
}

Status MiSplitLargePages(PhysicalAddress root, uint64_t address, uint64_t size)
{
    for (uint64_t at = address; at - address < size; at += PAGE_SIZE) {
        unsigned level;
        MiPte *leaf;
        while ((leaf = MiFindLeaf(root, at, &level)) && level > 1) {
            Status status = SplitEntry(leaf, level);
            if (status != StatusSuccess)
                return status;
        }
    }
    KeFlushTlbAll();
    return StatusSuccess;
}

// ---- clearing
#define REAPER_PINS 32u

// What a clearing walk has taken out of the tables and may free after all processors have forgotten
// it: at the end, so that a walk interrupts the others once, or once for so many pins.
typedef struct Reaper {
    PhysicalAddress Root;
    uint64_t Owned;
    uint64_t Start, End;
    bool Changed;    // some entry that a processor may remember is gone
    ListEntry Pages; // MmPageFrame.Link
    size_t PinCount;
    MiPte Pins[REAPER_PINS];
} Reaper;

void MiFlushRange(PhysicalAddress root, uint64_t start, uint64_t end)
{
    KeFlushTlb(root, start, end);
}

static void Reap(Reaper *reaper)
{
    if (reaper->Changed)
        MiFlushRange(reaper->Root, reaper->Start, reaper->End);
    reaper->Changed = false;
    MiFreePageList(&reaper->Pages);
    for (size_t i = 0; i < reaper->PinCount; i++)
        MiReleasePin(reaper->Pins[i]);
    reaper->PinCount = 0;
}

static void Bury(Reaper *reaper, PhysicalAddress page)
{
    RtlInsertTail(&reaper->Pages, &MiFrameOf(page)->Link);
}

// Clears [start, end), not empty, in a table of the given level; end may be 0 for the end of the
// address space. Most entries of a large region are empty: passing one over is a few instructions.
static void ClearTable(Reaper *reaper, MiPte *table, unsigned level, uint64_t start, uint64_t end)
{
    uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));
    MiPte *first = &table[MiTableIndex(start, level)], *last = &table[MiTableIndex(end - 1, level)];
    for (MiPte *entry = first; entry <= last; entry++) {
        MiPte value = *entry;
        if (!value)
            continue;
        if (level == 1 || (value & PTE_LARGE)) {
            MiSetPte(entry, 0);
            reaper->Changed |= (value & PTE_PRESENT) != 0;
            if (value & PTE_OWNED) {
                reaper->Owned++;
                Bury(reaper, value & PTE_ADDRESS);
            } else if (value & PTE_PINNED) {
                if (reaper->PinCount == REAPER_PINS)
                    Reap(reaper);
                reaper->Pins[reaper->PinCount++] = value;
            }
            continue;
        }
        PhysicalAddress child = value & PTE_ADDRESS;
        uint64_t base = (start & ~(span - 1)) + (uint64_t)(entry - first) * span;
        ClearTable(reaper, MiTableAt(child), level - 1, RTL_MAX(start, base),
                   RTL_MIN(end - 1, base + span - 1) + 1);
        bool kept = level == 4 && (base >> 63);
        if (MiFrameOf(child)->Count == 0 && !kept) {
            MiSetPte(entry, 0);
            reaper->Changed = true;
            MiFrameOf(reaper->Root)->Tables--;
            Bury(reaper, child);
        }
    }
}

uint64_t MiUnmapPages(PhysicalAddress root, uint64_t start, uint64_t end)
{
    Reaper reaper = {.Root = root, .Start = start, .End = end};
    RtlInitializeList(&reaper.Pages);
    if (start != end)
        ClearTable(&reaper, MiTableAt(root), 4, start, end);
    Reap(&reaper);
    return reaper.Owned;
}

void MiDropLowHalf(void)
{
    memset(MiTableAt(MiKernelRoot), 0, KERNEL_FIRST_SLOT * sizeof(MiPte));
    HalWriteCr3(HalReadCr3());
}

PhysicalAddress MmVirtualToPhysical(const void *pointer)
{
    uint64_t address = (uint64_t)pointer;
    if (MiIsDirect(address))
        return address - DIRECT_MAP_BASE;
    unsigned level;
    const MiPte *leaf = MiFindLeaf(MiKernelRoot, address, &level);
    KE_ASSERT(leaf != nullptr);
    uint64_t within = (1ull << (PAGE_SHIFT + 9 * (level - 1))) - 1;
    return (*leaf & PTE_ADDRESS & ~within) | (address & within);
}
