// kernel_space.c - the kernel's dynamic area: address space for device mappings, kernel stacks,
// sections mapped in the kernel and heap blocks that found no frames in a row.
//
// The area is one top-level entry (512 GiB) at KERNEL_DYNAMIC_BASE. Reservations are ranges in a
// tree, placed from a random point downwards, each followed by at least one unmapped page, so that
// running past the end of one is a fault and not its neighbour. Stacks get the unmapped page below
// from their neighbour or from the layout.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define AREA_SIZE (1ull << 39) // what one top-level entry spans
static_assert(AREA_SIZE <= KERNEL_DYNAMIC_SIZE, "inside the region");

typedef struct KernelRange {
    MiRange Range; // [Base, End): the mapped part and the guard page after it
    uint32_t Tag;
} KernelRange;

static KSpinLock spaceLock = KE_SPIN_LOCK_INIT(LockRankKernelSpace, "kernel space");
static MiRangeTree ranges; // guarded by spaceLock, as are the tables below the area's entry
static uint64_t areaTop;   // where the search starts

void MiInitializeKernelSpace(void)
{
    MiPte *entry = &MiTableAt(MiKernelRoot)[MiTableIndex(KERNEL_DYNAMIC_BASE, 4)];
    if (*entry == 0) {
        PhysicalAddress page;
        if (MmAllocatePage(PageTable, true, &page) != StatusSuccess)
            KeBugCheckFrame(BugCheckInitialization, 0, 0, 0, 0,
                            "no memory for the kernel's page tables", nullptr);
        *entry = page | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
    }
    uint64_t slide = KeGetRandom() % (AREA_SIZE / 2 / PAGE_SIZE);
    areaTop = KERNEL_DYNAMIC_BASE + AREA_SIZE - slide * PAGE_SIZE;
}

Status MiReserveKernelSpace(uint64_t pages, uint64_t alignment, uint64_t phase, uint32_t tag,
                            uint64_t *base)
{
    if (pages == 0 || pages >= AREA_SIZE / PAGE_SIZE)
        return StatusNoAddressSpace;
    KernelRange *range = MmAllocateHeap(sizeof(*range), MM_TAG('M', 'm', 'K', 'r'));
    if (!range)
        return StatusNoMemory;
    range->Tag = tag;
    uint64_t size = pages * PAGE_SIZE + PAGE_SIZE;
    uint64_t slack = phase; // an aligned hole plus the phase
    KIrql irql = KeAcquireSpinLock(&spaceLock);
    uint64_t at;
    bool found = MiFindHole(&ranges, KERNEL_DYNAMIC_BASE, areaTop, size + slack, alignment, &at);
    if (found) {
        range->Range.Base = at + slack;
        range->Range.End = at + slack + size;
        found = MiInsertRange(&ranges, &range->Range);
    }
    KeReleaseSpinLock(&spaceLock, irql);
    if (!found) {
        MmFreeHeap(range);
        return StatusNoAddressSpace;
    }
    *base = range->Range.Base;
    return StatusSuccess;
}

static KernelRange *FindReservation(uint64_t base)
{
    MiRange *range = MiFindRange(&ranges, base);
    return range && range->Base == base ? RTL_CONTAINER_OF(range, KernelRange, Range) : nullptr;
}

uint64_t MiQueryKernelSpace(uint64_t base, uint32_t *tag)
{
    KIrql irql = KeAcquireSpinLock(&spaceLock);
    const KernelRange *range = FindReservation(base);
    uint64_t pages = range ? (range->Range.End - range->Range.Base) / PAGE_SIZE - 1 : 0;
    if (range)
        *tag = range->Tag;
    KeReleaseSpinLock(&spaceLock, irql);
    return pages;
}

uint64_t MiReleaseKernelSpace(uint64_t base, uint32_t tag, uint64_t *ownedFrames)
{
    KIrql irql = KeAcquireSpinLock(&spaceLock);
    KernelRange *range = FindReservation(base);
    uint64_t pages = 0, owned = 0;
    if (range && range->Tag == tag) {
        pages = (range->Range.End - range->Range.Base) / PAGE_SIZE - 1;
        owned = MiUnmapPages(MiKernelRoot, base, base + pages * PAGE_SIZE);
        MiRemoveRange(&ranges, &range->Range);
    }
    KeReleaseSpinLock(&spaceLock, irql);
    if (pages)
        MmFreeHeap(range);
    if (ownedFrames)
        *ownedFrames = owned;
    return pages;
}

Status MiMapKernelPage(uint64_t address, PhysicalAddress page, MiPte flags)
{
    KIrql irql = KeAcquireSpinLock(&spaceLock);
    MiPte *pte = MiMakePte(MiKernelRoot, address);
    if (pte)
        MiSetPte(pte, page | flags | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL);
    KeReleaseSpinLock(&spaceLock, irql);
    return pte ? StatusSuccess : StatusNoMemory;
}

// ---- devices
#define TAG_DEVICE     MM_TAG('M', 'm', 'D', 'v')
#define PHYSICAL_LIMIT (1ull << 52) // Intel SDM volume 3, 4.1.4: at most 52 bits

static const MiPte cachingFlags[] = {
    [CachingNormal] = 0,
    [CachingUncached] = PTE_UNCACHED | PTE_WRITE_THROUGH,
    [CachingWriteCombining] = PTE_WRITE_THROUGH,
};

static Status MapRun(uint64_t base, PhysicalAddress page, uint64_t size, MiPte flags)
{
    Status status = StatusSuccess;
    for (uint64_t offset = 0; offset < size && status == StatusSuccess;) {
        uint64_t address = base + offset;
        if (address % LARGE_PAGE_SIZE == 0 && (page + offset) % LARGE_PAGE_SIZE == 0 &&
            size - offset >= LARGE_PAGE_SIZE) {
            KIrql irql = KeAcquireSpinLock(&spaceLock);
            bool mapped = MiMapLargePage(MiKernelRoot, address,
                                         (page + offset) | flags | PTE_PRESENT | PTE_ACCESSED |
                                             PTE_DIRTY | PTE_GLOBAL);
            KeReleaseSpinLock(&spaceLock, irql);
            status = mapped ? StatusSuccess : StatusNoMemory;
            offset += LARGE_PAGE_SIZE;
        } else {
            status = MiMapKernelPage(address, page + offset, flags);
            offset += PAGE_SIZE;
        }
    }
    return status;
}

// Whether all of [first, end) is in the direct map.
static bool IsDirectMapped(PhysicalAddress first, PhysicalAddress end)
{
    for (PhysicalAddress at = first; at < end;) {
        unsigned level;
        if (at >= DIRECT_MAP_SIZE || !MiFindLeaf(MiKernelRoot, DIRECT_MAP_BASE + at, &level))
            return false;
        uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));
        at = (at | (span - 1)) + 1;
    }
    return true;
}

Status MmMapDevice(PhysicalAddress address, size_t size, MmCaching caching, void **mapping)
{
    if (size == 0 || address >= PHYSICAL_LIMIT || size > PHYSICAL_LIMIT - address ||
        caching > CachingWriteCombining)
        return StatusInvalidParameter;
    PhysicalAddress first = RTL_ALIGN_DOWN(address, PAGE_SIZE);
    uint64_t whole = RTL_ALIGN_UP(address + size, PAGE_SIZE) - first;
    if (caching == CachingNormal && IsDirectMapped(first, first + whole)) {
        *mapping = MmPhysicalToVirtual(address);
        return StatusSuccess;
    }
    bool large = whole >= LARGE_PAGE_SIZE;
    uint64_t base;
    Status status = MiReserveKernelSpace(whole / PAGE_SIZE, large ? LARGE_PAGE_SIZE : PAGE_SIZE,
                                         large ? first % LARGE_PAGE_SIZE : 0, TAG_DEVICE, &base);
    if (status != StatusSuccess)
        return status;
    status = MapRun(base, first, whole, PTE_WRITE | PTE_NO_EXECUTE | cachingFlags[caching]);
    if (status != StatusSuccess) {
        MiReleaseKernelSpace(base, TAG_DEVICE, nullptr);
        return status;
    }
    *mapping = (void *)(base + address % PAGE_SIZE);
    return StatusSuccess;
}

void MmUnmapDevice(void *mapping, size_t size)
{
    uint64_t address = (uint64_t)mapping;
    if (MiIsDirect(address))
        return;
    uint64_t pages = MiReleaseKernelSpace(RTL_ALIGN_DOWN(address, PAGE_SIZE), TAG_DEVICE, nullptr);
    KE_ASSERT(pages * PAGE_SIZE >= size);
}

// ---- kernel stacks
#define TAG_STACK   MM_TAG('M', 'm', 'S', 't')
#define STACKS_KEPT 16u

// Stacks of the usual size that ended threads left, mapped, ready for the next thread.
static KSpinLock stackLock = KE_SPIN_LOCK_INIT(LockRankHeap, "kernel stacks");
static void *keptStacks[STACKS_KEPT];
static size_t keptStackCount;

static Status MakeStack(uint64_t pages, void **limit)
{
    uint64_t base;
    Status status = MiReserveKernelSpace(pages + 1, PAGE_SIZE, 0, TAG_STACK,
                                         &base); // the lowest page stays unmapped
    if (status != StatusSuccess)
        return status;
    for (uint64_t i = 1; i <= pages && status == StatusSuccess; i++) {
        PhysicalAddress page;
        status = MmAllocatePage(PageStack, false, &page);
        if (status != StatusSuccess)
            break;
        status =
            MiMapKernelPage(base + i * PAGE_SIZE, page, PTE_WRITE | PTE_NO_EXECUTE | PTE_OWNED);
        if (status != StatusSuccess)
            MmFreePage(page);
    }
    if (status != StatusSuccess) {
        MiReleaseKernelSpace(base, TAG_STACK, nullptr);
        return status;
    }
    *limit = (void *)(base + PAGE_SIZE);
    return StatusSuccess;
}

Status MmAllocateKernelStack(size_t size, void **limit)
{
    if (size == 0 || size > (1u << 20))
        return StatusInvalidParameter;
    if (KeFailAllocation())
        return StatusNoMemory;
    size = RTL_ALIGN_UP(size, PAGE_SIZE);
    void *kept = nullptr;
    if (size == MM_KERNEL_STACK_SIZE) {
        KIrql irql = KeAcquireSpinLock(&stackLock);
        if (keptStackCount) {
            kept = keptStacks[--keptStackCount];
            MiStacksCached -= size / PAGE_SIZE;
        }
        KeReleaseSpinLock(&stackLock, irql);
    }
    if (kept) {
        *limit = kept;
        return StatusSuccess;
    }
    return MakeStack(size / PAGE_SIZE, limit);
}

void MmFreeKernelStack(void *limit, size_t size)
{
    size = RTL_ALIGN_UP(size, PAGE_SIZE);
    if (size == MM_KERNEL_STACK_SIZE) {
        KIrql irql = KeAcquireSpinLock(&stackLock);
        bool keep = keptStackCount < STACKS_KEPT;
        if (keep) {
            keptStacks[keptStackCount++] = limit;
            MiStacksCached += size / PAGE_SIZE;
        }
        KeReleaseSpinLock(&stackLock, irql);
        if (keep)
            return;
    }
    uint64_t pages = MiReleaseKernelSpace((uint64_t)limit - PAGE_SIZE, TAG_STACK, nullptr);
    KE_ASSERT(pages == size / PAGE_SIZE + 1);
}
