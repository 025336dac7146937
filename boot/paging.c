// paging.c - page tables from a pool of zeroed pages. Intel SDM 3A, 4.5: four levels of 512
// entries.
// SPDX-License-Identifier: MIT
#include "boot.h"

enum : uint64_t {
    EntryPresent = 1ull << 0,
    EntryLarge = 1ull << 7,
    EntryAddress = 0x000FFFFFFFFFF000ull,
    EntriesPerTable = 512,
};
enum { LevelPml4 = 3, TableShift = 9, PageShift = 12 };

static uint64_t *TakeTable(BootTables *tables)
{
    if (tables->PoolUsed == tables->PoolPages) {
        tables->Failed = true;
        return nullptr;
    }
    return tables->Pool + EntriesPerTable * tables->PoolUsed++;
}

void BootClearTables(BootTables *tables)
{
    memset(tables->Pool, 0, tables->PoolUsed * BOOT_PAGE_SIZE);
    tables->PoolUsed = 0;
    tables->Failed = false;
    TakeTable(tables);
}

// The entry for virtual at level (0: the page table), making the tables above it; nullptr: failed.
static uint64_t *FindEntry(BootTables *tables, uint64_t virtual, int level)
{
    uint64_t *table = tables->Pool;
    for (int at = LevelPml4;; at--) {
        uint64_t *entry = &table[virtual >> (PageShift + at * TableShift) & (EntriesPerTable - 1)];
        if (at == level)
            return entry;
        if (*entry & EntryLarge) {
            tables->Failed = true;
            return nullptr;
        }
        if (!(*entry & EntryPresent)) {
            uint64_t *next = TakeTable(tables);
            if (next == nullptr)
                return nullptr;
            *entry = (uint64_t)next | EntryPresent | BootMapWrite;
        }
        table = (uint64_t *)(*entry & EntryAddress);
    }
}

void BootMap(BootTables *tables, uint64_t virtual, uint64_t physical, uint64_t size, uint64_t flags,
             uint64_t largest)
{
    if (!tables->HugePages)
        largest = RTL_MIN(largest, BOOT_LARGE_PAGE_SIZE);
    while (size > 0 && !tables->Failed) {
        int level = 0;
        uint64_t page = BOOT_PAGE_SIZE;
        for (uint64_t larger = BOOT_LARGE_PAGE_SIZE; larger <= largest; larger <<= TableShift) {
            if (((virtual | physical) & (larger - 1)) != 0 || size < larger)
                break;
            page = larger;
            level++;
        }
        uint64_t *entry = FindEntry(tables, virtual, level);
        if (entry == nullptr)
            return;
        if (level > 0 && (*entry & EntryPresent)) {
            tables->Failed = true;
            return;
        }
        *entry = physical | flags | EntryPresent | (level > 0 ? EntryLarge : 0);
        virtual += page;
        physical += page;
        size -= page;
    }
}

uint64_t BootCountTables(uint64_t size, uint64_t largest)
{
    // A range of n bytes touches at most n / span + 2 tables of each span; tables that large pages
    // make unnecessary remain at its two ends only.
    constexpr uint64_t spanOfPdpt = BOOT_HUGE_PAGE_SIZE << TableShift;
    uint64_t pageTables = largest >= BOOT_LARGE_PAGE_SIZE ? 2 : size / BOOT_LARGE_PAGE_SIZE + 2;
    uint64_t directories = largest >= BOOT_HUGE_PAGE_SIZE ? 2 : size / BOOT_HUGE_PAGE_SIZE + 2;
    return pageTables + directories + size / spanOfPdpt + 2;
}
