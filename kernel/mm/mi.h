// mi.h - shared inside kernel/mm: the page frame database, page tables, the kernel's dynamic area,
// address spaces. mm.c has the theory.
// SPDX-License-Identifier: MIT
#pragma once

#include "memory_map.h"
#include "mm.h"
#include "ranges.h"

// ---------------------------------------------------------------------------------- page frames
typedef uint64_t MiFrameNumber;

enum {                 // MmPageFrame.Flags
    FrameFreeHead = 1, // first frame of a free block of 2^Order frames, on a zone's list
    FrameLoose = 2,    // a single free frame outside the blocks: on the loose or the zeroed list
    FrameHeapSlab = 4, // heap: holds blocks of one size class; Head leads to the first frame
    FrameHeapRun = 8,  // heap: first frame of a run of Count frames that is one block
};

// One per physical page. Everything is guarded by the page frame lock while the frame is free;
// while it is in use Use is the page frame lock's and the rest belongs to the holder.
typedef struct MmPageFrame {
    ListEntry Link;
    MmPageUse Use;
    uint8_t Order;
    uint8_t Flags;
    uint8_t SizeClass; // heap slab
    uint32_t Count;    // page table: entries in use; heap slab: blocks in use; heap run: frames
    uint32_t Tag;      // heap run
    uint32_t Head;     // heap slab: frames back to the first of the slab
    union {
        uint64_t Blocks[4]; // heap slab: bit n: block n is in use. heap run: [0] bytes asked for
        uint64_t Tables;    // top-level page table: tables below it
        void *Owner;        // page cache: the buffer
    };
} MmPageFrame;
static_assert(sizeof(MmPageFrame) <= PAGE_FRAME_SIZE, "the loader reserves that much");
static_assert(sizeof(MmPageFrame) == 64, "indexing is a shift");

extern uint64_t MiFrameCount; // entries of the database

static inline MmPageFrame *MiFrameOf(PhysicalAddress page)
{
    return (MmPageFrame *)PFN_DATABASE_BASE + (page >> PAGE_SHIFT);
}
static inline MiFrameNumber MiFrameNumberOf(const MmPageFrame *frame)
{
    return (MiFrameNumber)(frame - (const MmPageFrame *)PFN_DATABASE_BASE);
}
static inline PhysicalAddress MiPageOf(const MmPageFrame *frame)
{
    return MiFrameNumberOf(frame) << PAGE_SHIFT;
}

// Frames [start, end), not yet accounted for, become free (they join the total).
void MiDonateFrames(MiFrameNumber start, MiFrameNumber end);
// Frames [start, end) are in use as `use` from the beginning (they join the total).
void MiClaimFrames(MiFrameNumber start, MiFrameNumber end, MmPageUse use);
void MiInitializeFrames(uint64_t frameCount);
// Gives back frames of a batch under one acquisition of the lock.
void MiFreePages(const PhysicalAddress *pages, size_t count);
void MiFreePageList(ListEntry *pages); // linked by MmPageFrame.Link; the list is empty afterwards
// Moves at most one free frame onto the list of zeroed ones; false when there is nothing to do.
bool MiZeroOneFrame(void);
// Tells the zeroing thread that the zeroed frames run low. Level <= Dispatch.
void MiWakeZeroing(void);

// Commitment: a promise to back pages later. MiChargeCommit fails with StatusNoMemory when free
// memory less what is promised already would not do; it runs the shrinkers first (PassiveLevel, no
// locks).
Status MiChargeCommit(uint64_t pages);
void MiReturnCommit(uint64_t pages);
// Allocates a page against a promise made before, which it consumes on success.
Status MiAllocateCommittedPage(MmPageUse use, bool zeroed, PhysicalAddress *page);
// Runs the registered shrinkers until `pages` pages were given back; returns how many were.
size_t MiShrinkCaches(size_t pages);

extern MmCounters MiCounters;            // page frame lock; *Faults: atomic; Heap*: unused
extern volatile uint64_t MiStacksCached; // frames in kept kernel stacks, counted as free

// ---------------------------------------------------------------------------------- page tables
typedef uint64_t MiPte; // Intel SDM volume 3, 4.5; bits 9-11 are the system's
#define PTE_PRESENT       (1ull << 0)
#define PTE_WRITE         (1ull << 1)
#define PTE_USER          (1ull << 2)
#define PTE_WRITE_THROUGH (1ull << 3) // selects PAT entry 1: write combining (MiInitializePat)
#define PTE_UNCACHED      (1ull << 4) // with WRITE_THROUGH: PAT entry 3, uncached
#define PTE_ACCESSED      (1ull << 5)
#define PTE_DIRTY         (1ull << 6)
#define PTE_LARGE         (1ull << 7)
#define PTE_GLOBAL        (1ull << 8)
#define PTE_OWNED                                                                                  \
    (1ull << 9) // the frame belongs to this entry alone; set without PRESENT: kept, no access
#define PTE_PINNED     (1ull << 10) // the frame is the page cache's; the entry holds a pin
#define PTE_NO_EXECUTE (1ull << 63)
#define PTE_ADDRESS    0x000FFFFFFFFFF000ull

#define LARGE_PAGE_SIZE   0x200000ull
#define HUGE_PAGE_SIZE    0x40000000ull
#define ENTRIES_PER_TABLE 512u
#define KERNEL_FIRST_SLOT 256u // of the top level: the kernel half

extern PhysicalAddress MiKernelRoot;

static inline unsigned MiTableIndex(uint64_t address, unsigned level) // level 1: the lowest
{
    return address >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES_PER_TABLE - 1);
}
static inline MiPte *MiTableAt(PhysicalAddress page)
{
    return MmPhysicalToVirtual(page);
}

// The lowest-level entry for address, or nullptr where no table leads there (or a large page does).
MiPte *MiFindPte(PhysicalAddress root, uint64_t address);
// The same, making missing tables; nullptr: no memory or a large page in the way.
MiPte *MiMakePte(PhysicalAddress root, uint64_t address);
// Stores an entry of the lowest level, keeping its table's count of entries in use.
void MiSetPte(MiPte *pte, MiPte value);
// The leaf entry that maps address at any level and its level; nullptr when nothing is mapped.
MiPte *MiFindLeaf(PhysicalAddress root, uint64_t address, unsigned *level);
// Splits the large pages that hold [address, address + size) into 4 KiB pages of the same
// attributes.
Status MiSplitLargePages(PhysicalAddress root, uint64_t address, uint64_t size);
// Maps one 2 MiB page; false: no memory.
bool MiMapLargePage(PhysicalAddress root, uint64_t address, MiPte value);

// Clears the entries of [start, end), frees the frames the entries own and the tables that became
// empty, flushes the TLB where the tables may be in use. Returns the number of owned frames.
uint64_t MiUnmapPages(PhysicalAddress root, uint64_t start, uint64_t end);
// After entries of [start, end) lost rights.
void MiFlushRange(PhysicalAddress root, uint64_t start, uint64_t end);
// Clears the low half of the loader's tables.
void MiDropLowHalf(void);
void MiInitializePat(void);
// Makes the direct map's view of the kernel image's read-only pages read-only too.
void MiProtectImageAlias(const LoaderParams *loader);

static inline void MiZeroPage(void *page)
{
    void *to = page;
    uint64_t count = PAGE_SIZE / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0ull) : "memory");
}

// ------------------------------------------------------------------------ the kernel's dynamic
// area
void MiInitializeKernelSpace(void);
// Takes `pages` pages of address space (an unmapped page follows), with address % alignment ==
// phase.
Status MiReserveKernelSpace(uint64_t pages, uint64_t alignment, uint64_t phase, uint32_t tag,
                            uint64_t *base);
// Unmaps and frees what MiReserveKernelSpace gave; frames the entries own are freed. 0: base is
// none of it.
uint64_t MiReleaseKernelSpace(uint64_t base, uint32_t tag, uint64_t *ownedFrames);
// Pages of the reservation that starts at base; 0 when there is none, or its tag is another.
uint64_t MiQueryKernelSpace(uint64_t base, uint32_t *tag);
// Enters one page; undone by MiReleaseKernelSpace.
Status MiMapKernelPage(uint64_t address, PhysicalAddress page, MiPte flags);
static inline bool MiIsDynamic(uint64_t address)
{
    return address >= KERNEL_DYNAMIC_BASE && address - KERNEL_DYNAMIC_BASE < KERNEL_DYNAMIC_SIZE;
}
static inline bool MiIsDirect(uint64_t address)
{
    return address - DIRECT_MAP_BASE < DIRECT_MAP_SIZE;
}

// --------------------------------------------------------------------------------------- heap
void MiInitializeHeap(void);
// Empties the processors' magazines: what is left in use is in use. Holds no lock above the heap's.
void MiTrimHeap(void);
void MiCountHeap(MmCounters *counters); // adds to Heap*

// ----------------------------------------------------------------------------------- sections
struct MmSection {
    volatile uint32_t References;
    MmPageUse Use;
    size_t Size; // bytes, as asked for
    size_t Pages;
    const MmPager *Pager; // nullptr: memory, all of it in Frames
    void *Context;        // the pager's
    PhysicalAddress Frames[];
};

extern void (*MiMarkOwnerDirty)(void *owner), (*MiUnpinOwner)(void *owner);
// Ends the pin of an entry that is gone from the tables and from every TLB.
static inline void MiReleasePin(MiPte old)
{
    void *owner = MiFrameOf(old & PTE_ADDRESS)->Owner;
    if (old & PTE_WRITE)
        MiMarkOwnerDirty(owner);
    MiUnpinOwner(owner);
}

// ------------------------------------------------------------------------------- address spaces
// A sleeping lock that costs one atomic instruction when nobody waits. Not recursive.
typedef struct MiSpaceLock {
    volatile uint32_t State; // 0 free, 1 held, 2 held and somebody may wait
    KEvent Event;
} MiSpaceLock;

typedef struct MiRegion {
    MiRange Range;           // first; [Base, End)
    uint64_t AllocationBase; // of the allocation this is a part of
    MmSection *Section;      // referenced; nullptr: demand-zero
    uint64_t SectionOffset;  // of Base, bytes
    uint64_t CommitBase;     // stack: what lies below is not committed yet
    MemoryProtection Protection;
    MmRegionKind Kind;
    bool CopyPrivate; // writes make private copies
    bool Charged;     // its pages (of a stack: from CommitBase on) are promised (committed)
    bool NeverWrite;  // a shared view without the right to write
} MiRegion;

// Legend: [l] Lock.
struct MmAddressSpace {
    PhysicalAddress Root;  // constant
    uint64_t PlacementTop; // constant: where the search for room starts, random per space
    MiSpaceLock Lock;
    MiRangeTree Regions;     // [l]
    MiRegion *LastFound;     // [l] the region the last fault hit
    uint64_t GapBits;        // [l] random bits for the gaps between allocations; 1: used up
    uint64_t CommittedPages; // [l]
    uint64_t ResidentPages;  // [l] owned frames
    ListEntry FileLink;      // views lock (views.c); self-linked without views of files
    uint64_t ViewOrder;      // views lock; its place in the list, higher than those before it
    uint32_t Visitors;       // views lock; walks that keep the space from going
};

void MiAcquireSpace(MmAddressSpace *space);
bool MiTryAcquireSpace(MmAddressSpace *space);
void MiReleaseSpace(MmAddressSpace *space);

// ---- regions (spaces.c); the space is locked
static inline MiRegion *MiRegionOf(MiRange *range)
{
    return (MiRegion *)range;
}
static_assert(offsetof(MiRegion, Range) == 0, "nullptr stays nullptr");
static inline uint64_t MiPagesOf(const MiRegion *region)
{
    return (region->Range.End - region->Range.Base) / PAGE_SIZE;
}
// The pages of a charged region that are.
static inline uint64_t MiChargedPages(const MiRegion *region)
{
    uint64_t from = RTL_MAX(region->Range.Base, region->CommitBase);
    return from < region->Range.End ? (region->Range.End - from) / PAGE_SIZE : 0;
}
#define MI_TAG_REGION MM_TAG('M', 'm', 'R', 'g')
bool MiIsProtection(MemoryProtection protection);
// Whether a region's pages need a promise under a protection: those it could come to own.
bool MiNeedsCharge(const MiRegion *region, MemoryProtection protection);
// Commits a stack down to the page at address and some more. StatusNoMemory.
Status MiGrowStack(MmAddressSpace *space, MiRegion *region, uint64_t address);

// ---- views of files (views.c)
void MiInitializeSpaceViews(MmAddressSpace *space);
void MiNoteFileView(MmAddressSpace *space);     // the space has one from now on
void MiForgetSpaceViews(MmAddressSpace *space); // before the space goes
MiPte MiPteFlags(MemoryProtection protection);  // of a user page
bool MiHandlePageFault(uint64_t address, uint64_t errorCode, KTrapFrame *frame);
void MiInitializeUserCopy(void);

#ifdef METALOS_CHECKED
#define MI_CHECKED 1
#else
#define MI_CHECKED 0
#endif
