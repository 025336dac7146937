// read.c - memory accesses that cannot fault: each page is looked up in the page tables first, and
// reached through the direct map, so that neither a bad pointer nor SMAP gets in the way.
// SPDX-License-Identifier: MIT
#include "kdi.h"

enum : uint64_t {
    EntryPresent = 1,
    EntryWrite = 2,
    EntryLarge = 1ull << 7,
    EntryNoExecute = 1ull << 63,
    EntryAddress = 0x000FFFFFFFFFF000ull,
};
#define CR0_WRITE_PROTECT (1ull << 16)

static uint64_t physicalLimit; // of RAM; page tables and what they map must lie below
static uint64_t walkedRoot;    // 0: CR3

void KdiInitializeReader(const LoaderParams *loader)
{
    physicalLimit = loader->PageFrameCount * PAGE_SIZE;
}

void KdiReadFrom(uint64_t pageTableRoot)
{
    walkedRoot = pageTableRoot;
}

typedef struct Page {
    uint64_t Physical; // of the address
    bool Write, Execute;
} Page;

// What is behind address; false: not present, or not RAM.
static bool Translate(uint64_t address, Page *page)
{
    uint64_t table = (walkedRoot != 0 ? walkedRoot : HalReadCr3()) & EntryAddress;
    *page = (Page){.Write = true, .Execute = true};
    if ((int64_t)(address << 16) >> 16 != (int64_t)address)
        return false; // not canonical
    for (int shift = 39;; shift -= 9) {
        if (table >= physicalLimit)
            return false;
        uint64_t entry =
            ((const volatile uint64_t *)(DIRECT_MAP_BASE + table))[address >> shift & 511];
        if (!(entry & EntryPresent))
            return false;
        page->Write = page->Write && (entry & EntryWrite);
        page->Execute = page->Execute && !(entry & EntryNoExecute);
        uint64_t size = 1ull << shift;
        if (shift == PAGE_SHIFT || (shift < 39 && (entry & EntryLarge))) {
            page->Physical = (entry & EntryAddress & ~(size - 1)) | (address & (size - 1));
            return page->Physical < physicalLimit;
        }
        table = entry & EntryAddress;
    }
}

bool KdiIsPhysicalMemory(uint64_t physical)
{
    Page page; // the direct map has holes where there is no RAM
    return physical < physicalLimit && Translate(DIRECT_MAP_BASE + physical, &page);
}

bool KdiQueryAccess(uint64_t address, bool *write, bool *execute)
{
    Page page;
    bool present = Translate(address, &page);
    *write = page.Write;
    *execute = page.Execute;
    return present;
}

size_t KdiReadAvailable(uint64_t address, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    for (size_t done = 0; done < size;) {
        Page page;
        size_t chunk = RTL_MIN(size - done, (size_t)(PAGE_SIZE - (address + done) % PAGE_SIZE));
        if (!Translate(address + done, &page) || !KdiIsPhysicalMemory(page.Physical))
            return done;
        memcpy(to + done, (const void *)(DIRECT_MAP_BASE + page.Physical), chunk);
        done += chunk;
    }
    return size;
}

bool KdiReadMemory(void *context, uint64_t address, void *buffer, size_t size)
{
    return KdiReadAvailable(address, buffer, size) == size;
}

// The direct map shows the kernel's own code read-only.
static void WritePhysical(uint64_t physical, const void *bytes, size_t size)
{
    uint64_t cr0 = HalReadCr0();
    bool enabled = HalSaveInterrupts();
    HalWriteCr0(cr0 & ~CR0_WRITE_PROTECT);
    memcpy((void *)(DIRECT_MAP_BASE + physical), bytes, size);
    HalWriteCr0(cr0);
    HalRestoreInterrupts(enabled);
}

size_t KdiWriteAvailable(uint64_t address, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t done = 0; done < size;) {
        Page page;
        size_t chunk = RTL_MIN(size - done, (size_t)(PAGE_SIZE - (address + done) % PAGE_SIZE));
        if (!Translate(address + done, &page) || !KdiIsPhysicalMemory(page.Physical))
            return done;
        if (address + done < DIRECT_MAP_BASE && !page.Write)
            return done; // a program's page that others may share
        WritePhysical(page.Physical, from + done, chunk);
        done += chunk;
    }
    return size;
}

size_t KdiAccessPhysical(uint64_t physical, void *buffer, size_t size, bool write)
{
    uint8_t *bytes = buffer;
    for (size_t done = 0; done < size;) {
        size_t chunk = RTL_MIN(size - done, (size_t)(PAGE_SIZE - (physical + done) % PAGE_SIZE));
        if (!KdiIsPhysicalMemory(physical + done))
            return done;
        if (write)
            WritePhysical(physical + done, bytes + done, chunk);
        else
            memcpy(bytes + done, (const void *)(DIRECT_MAP_BASE + physical + done), chunk);
        done += chunk;
    }
    return size;
}
