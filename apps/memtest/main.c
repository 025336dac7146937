// memtest.exe - memory as a program sees it, driven by the tests.
//   memtest.exe exhaust  takes all memory there is, uses every byte of it and gives it back
//   memtest.exe overrun  runs down its stack past the guard page; must be ended, not the machine
//   memtest.exe map N    writes a file of N MiB through a view, twice, while the rest of memory is
//                        taken, and ends without unmapping it
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { Page = 4096 };

static int Fail(const char *what, Status status)
{
    printf("memtest: %s: %s\n", what, GetStatusText(status));
    return 1;
}

// ---- exhaust
enum { MostBlocks = 20000 };
static struct {
    unsigned char *Base;
    size_t Size;
} blocks[MostBlocks];

static size_t TakeEverything(uint64_t *total)
{
    size_t count = 0;
    for (size_t size = 64 << 20; size >= Page && count < MostBlocks;) {
        void *base = nullptr;
        Status status = VirtualAlloc(&base, size, MemoryReadWrite);
        if (status == StatusNoMemory) {
            size /= 2;
            continue;
        }
        if (status != StatusSuccess)
            break;
        blocks[count].Base = base;
        blocks[count].Size = size;
        count++;
        *total += size;
    }
    return count;
}

static int Exhaust(void)
{
    SystemInfo before, after;
    (void)GetSystemInfo(&before);
    uint64_t total = 0;
    size_t count = TakeEverything(&total);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < blocks[i].Size; at += Page)
            blocks[i].Base[at] = (unsigned char)(i + at / Page);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < blocks[i].Size; at += Page)
            if (blocks[i].Base[at] != (unsigned char)(i + at / Page) ||
                blocks[i].Base[at + 1] != 0) {
                printf("memtest: wrong byte in block %zu at %zu\n", i, at);
                return 1;
            }
    for (size_t i = 0; i < count; i++) {
        Status status = VirtualFree(blocks[i].Base);
        if (status != StatusSuccess)
            return Fail("VirtualFree", status);
    }
    (void)GetSystemInfo(&after);
    printf("memtest: took %llu KiB of %llu KiB free, %llu KiB free afterwards\n",
           (unsigned long long)total / 1024, (unsigned long long)before.FreeMemory / 1024,
           (unsigned long long)after.FreeMemory / 1024);
    // Dropped caches may add to it; nothing may be missing but a few tables and slabs.
    return total > before.FreeMemory / 2 && after.FreeMemory + (256 << 10) > before.FreeMemory ? 0
                                                                                               : 1;
}

// ---- overrun
static volatile unsigned depth = UINT32_MAX; // calls still to make: more than any stack holds

static int Deeper(volatile char *above)
{
    volatile char frame[1024];
    frame[0] = above[0];
    if (depth-- == 0)
        return 0;
    return Deeper(frame) + frame[0];
}

// ---- map
#define MAPPED "/tests/mapped.bin"

// What the file holds at the end; tests/system/test_memory.py knows it too.
static uint32_t ValueAt(size_t offset, uint32_t round)
{
    return (uint32_t)(offset / Page * 2654435761u + round);
}

static Status MapFile(size_t size, uint8_t **view)
{
    Handle file, section;
    void *base = nullptr;
    Status status = CreateFile(MAPPED, FileRead | FileWrite, FileCreateAlways, &file);
    if (status == StatusSuccess)
        status = SetFileSize(file, size);
    if (status == StatusSuccess)
        status = CreateSection(file, 0, MemoryReadWrite, &section);
    if (status == StatusSuccess)
        status = MapView(section, 0, 0, MemoryReadWrite, 0, &base);
    *view = base;
    return status; // the view keeps what it needs
}

static int Map(size_t size)
{
    uint8_t *view;
    uint64_t total = 0;
    Status status = MapFile(size, &view);
    if (status != StatusSuccess)
        return Fail(MAPPED, status);
    for (size_t at = 0; at < size; at += Page)
        *(uint32_t *)(view + at) = ValueAt(at, 0);
    // Whatever else wants memory gets it from the view.
    size_t count = TakeEverything(&total);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < blocks[i].Size; at += Page)
            blocks[i].Base[at] = 1;
    for (size_t at = 0; at < size; at += Page) {
        uint32_t *word = (uint32_t *)(view + at);
        if (*word != ValueAt(at, 0)) {
            printf("memtest: wrong word at %zu\n", at);
            return 1;
        }
        *word = ValueAt(at, 1);
    }
    printf("memtest: mapped %zu KiB beside %llu KiB\n", size / 1024,
           (unsigned long long)total / 1024);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc >= 2 ? argv[1] : "";
    if (!strcmp(mode, "exhaust"))
        return Exhaust();
    if (!strcmp(mode, "overrun"))
        return Deeper(&(volatile char){0});
    if (!strcmp(mode, "map") && argc == 3)
        return Map((size_t)atoi(argv[2]) << 20);
    fprintf(stderr, "usage: memtest.exe exhaust | overrun | map N\n");
    return 2;
}
