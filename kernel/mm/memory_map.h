// memory_map.h - the firmware's memory map, made trustworthy. Pure.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

// What a page is, weakest first: where descriptors overlap, the highest kind wins.
typedef enum MiMemoryKind : uint8_t {
    MemoryKindHole,      // nothing there, or nothing the kernel may touch
    MemoryKindFree,      // conventional memory
    MemoryKindBoot,      // boot services and loader code: free once the kernel stands by itself
    MemoryKindLoader,    // loader data: what is not claimed below is freed with the above
    MemoryKindReserved,  // RAM that belongs to the firmware: runtime services, ACPI, unusable
    MemoryKindPageTable, // the loader's page tables
    MemoryKindKernel,    // kernel image, its PDB, the page frame database, LoaderParams
    MemoryKindCount,
} MiMemoryKind;

// [Start, End) in page numbers.
typedef struct MiMemoryRun {
    uint64_t Start, End;
    MiMemoryKind Kind;
} MiMemoryRun;

#define MI_MAXIMUM_DESCRIPTORS 1024

// One edge of a descriptor; scratch memory for MiNormalizeMemoryMap.
typedef struct MiMemoryEdge {
    uint64_t Frame;
    int8_t Change; // +1 begins, -1 ends
    MiMemoryKind Kind;
} MiMemoryEdge;

// Turns a UEFI memory map (array of EFI_MEMORY_DESCRIPTOR, stride bytes apart; UEFI 2.10, 7.2) and
// extra claimed runs into sorted, disjoint, merged runs below frameLimit, without holes in the list
// of kinds above Hole. Descriptors may be unsorted, overlapping, empty, wrapping or unknown; no
// input is invalid. Page 0 is never free. `edges` holds edgeCapacity entries of scratch; each
// descriptor takes two, those beyond are ignored. Returns the number of runs written, at most
// capacity; the rest is lost (counts as hole).
size_t MiNormalizeMemoryMap(const void *map, size_t size, size_t stride, uint64_t frameLimit,
                            const MiMemoryRun *extra, size_t extraCount, MiMemoryEdge *edges,
                            size_t edgeCapacity, MiMemoryRun *runs, size_t capacity);
