// read.c - memory reads that cannot fault: each page is looked up in the page tables first, and
// read through the direct map, so that neither a bad pointer nor SMAP gets in the way.
// SPDX-License-Identifier: MIT
#include "kdi.h"

enum : uint64_t {
    EntryPresent = 1,
    EntryLarge = 1ull << 7,
    EntryAddress = 0x000FFFFFFFFFF000ull,
};

static uint64_t physicalLimit; // of RAM; page tables and what they map must lie below

void KdiInitializeReader(const LoaderParams *loader)
{
    physicalLimit = loader->PageFrameCount * PAGE_SIZE;
}

// The physical address behind address; false: not present, or not RAM.
static bool Translate(uint64_t address, uint64_t *physical)
{
    uint64_t table = HalReadCr3() & EntryAddress;
    if ((int64_t)(address << 16) >> 16 != (int64_t)address)
        return false; // not canonical
    for (int shift = 39;; shift -= 9) {
        if (table >= physicalLimit)
            return false;
        uint64_t entry =
            ((const volatile uint64_t *)(DIRECT_MAP_BASE + table))[address >> shift & 511];
        if (!(entry & EntryPresent))
            return false;
        uint64_t page = 1ull << shift;
        if (shift == PAGE_SHIFT || (shift < 39 && (entry & EntryLarge))) {
            *physical = (entry & EntryAddress & ~(page - 1)) | (address & (page - 1));
            return *physical < physicalLimit;
        }
        table = entry & EntryAddress;
    }
}

bool KdiReadMemory(void *context, uint64_t address, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    while (size > 0) {
        uint64_t physical, again;
        size_t chunk = RTL_MIN(size, (size_t)(PAGE_SIZE - address % PAGE_SIZE));
        // The direct map has holes where there is no RAM.
        if (!Translate(address, &physical) || !Translate(DIRECT_MAP_BASE + physical, &again))
            return false;
        memcpy(to, (const void *)(DIRECT_MAP_BASE + physical), chunk);
        to += chunk;
        address += chunk;
        size -= chunk;
    }
    return true;
}
