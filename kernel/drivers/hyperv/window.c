// window.c - the physical addresses that belong to the bus: ranges that the ACPI device of the bus,
// or the module it is in, describes. Video memory is put there. Parts of them are given out from
// the bottom; the top of the lower one holds the interrupt controllers.
// SPDX-License-Identifier: MIT
#include "hvp.h"

#define MAXIMUM_WINDOWS 8
#define MAXIMUM_TAKEN   16
#define FOUR_GIB        (1ull << 32)
// I/O APICs and local APICs: Intel SDM vol. 3, 11.4.1
#define APICS_START 0xFEC00000ull
#define APICS_END   0xFEF00000ull

typedef struct Range {
    PhysicalAddress Start, End; // [Start, End)
} Range;

static Range Windows[MAXIMUM_WINDOWS];
static size_t WindowCount;
static KSpinLock Lock = KE_SPIN_LOCK_INIT(LockRankBus, "vmbus windows");
static Range Taken[MAXIMUM_TAKEN]; // guarded by Lock; empty: End 0

static void AddWindow(void *context, uint64_t start, uint64_t end)
{
    start = RTL_ALIGN_UP(start, PAGE_SIZE);
    end = RTL_ALIGN_DOWN(end, PAGE_SIZE);
    if (start >= end || WindowCount == MAXIMUM_WINDOWS)
        return;
    Windows[WindowCount++] = (Range){start, end};
    KeLog(LogDebug, "vmbus: addresses %llx-%llx", (unsigned long long)start,
          (unsigned long long)end - 1);
}

void HvpFindWindows(void)
{
    Taken[0] = (Range){APICS_START, APICS_END};
    if (AcpiFindMemory("VMBUS", AddWindow, nullptr) != StatusSuccess &&
        AcpiFindMemory("VMBus", AddWindow, nullptr) != StatusSuccess)
        KeLog(LogWarning, "vmbus: ACPI does not describe the bus");
}

// What overlaps [start, end); nullptr: nothing.
static Range *FindTaken(PhysicalAddress start, PhysicalAddress end)
{
    for (size_t i = 0; i < MAXIMUM_TAKEN; i++)
        if (Taken[i].Start < end && start < Taken[i].End)
            return &Taken[i];
    return nullptr;
}

static bool Take(PhysicalAddress start, PhysicalAddress end)
{
    for (size_t i = 0; i < MAXIMUM_TAKEN; i++) {
        if (Taken[i].End == 0) {
            Taken[i] = (Range){start, end};
            return true;
        }
    }
    return false;
}

// The lowest free place in a window; Lock is held.
static bool FindPlace(const Range *window, uint64_t size, uint64_t alignment,
                      PhysicalAddress *address)
{
    PhysicalAddress at = RTL_ALIGN_UP(window->Start, alignment);
    while (at >= window->Start && at < window->End && window->End - at >= size) {
        const Range *other = FindTaken(at, at + size);
        if (other == nullptr) {
            *address = at;
            return true;
        }
        at = RTL_ALIGN_UP(other->End, alignment);
    }
    return false;
}

Status HvAllocateWindow(uint64_t size, uint64_t alignment, bool below4G, PhysicalAddress *address)
{
    Status status = StatusNoAddressSpace;
    KIrql old = KeAcquireSpinLock(&Lock);
    for (size_t i = 0; i < WindowCount && status != StatusSuccess; i++) {
        if (below4G && Windows[i].End > FOUR_GIB)
            continue;
        if (FindPlace(&Windows[i], size, alignment, address) && Take(*address, *address + size))
            status = StatusSuccess;
    }
    KeReleaseSpinLock(&Lock, old);
    return status;
}

Status HvClaimWindow(PhysicalAddress address, uint64_t size)
{
    Status status = StatusNotFound;
    KIrql old = KeAcquireSpinLock(&Lock);
    for (size_t i = 0; i < WindowCount; i++) {
        const Range *window = &Windows[i];
        if (address >= window->Start && address < window->End && window->End - address >= size) {
            bool free = FindTaken(address, address + size) == nullptr;
            status = free && Take(address, address + size) ? StatusSuccess : StatusConflict;
        }
    }
    KeReleaseSpinLock(&Lock, old);
    return status;
}

void HvFreeWindow(PhysicalAddress address, uint64_t size)
{
    KIrql old = KeAcquireSpinLock(&Lock);
    for (size_t i = 0; i < MAXIMUM_TAKEN; i++)
        if (Taken[i].Start == address && Taken[i].End == address + size)
            Taken[i] = (Range){0, 0};
    KeReleaseSpinLock(&Lock, old);
}
