// mm.h - memory: page frames, the kernel heap, kernel stacks and device mappings, user address
// spaces, sections, page faults, and the only way to touch user memory.
// SPDX-License-Identifier: MIT
#pragma once

#include "LoaderParams.h"
#include "MetalOS.h"
#include "ke.h"

// Takes over from the loader: drops the low half, builds the page frame database from the
// firmware's memory map, opens the heap. Once, on processor 0, before anything else allocates.
void MmInitialize(const LoaderParams *loader);
// Gives boot services and loader memory back, once nothing of it is needed (kernel PDB and
// LoaderParams are kept).
void MmReleaseLoaderMemory(const LoaderParams *loader);
// Starts the thread that keeps zeroed pages ready. Once threads run.
Status MmStartZeroing(void);
// Walks the kernel's page tables: no user pages, nothing writable and executable, no code outside
// image and firmware, no writable alias of kernel code. Findings are logged and make it
// StatusCorrupt.
Status MmAuditKernelPages(const LoaderParams *loader);
// Negative tests: touch a page of user memory past user_copy.c, which SMAP and SMEP must not let
// pass. No return.
void MmReadUserPage(void);
void MmRunUserPage(void);

static inline void *MmPhysicalToVirtual(PhysicalAddress address)
{
    return (void *)(DIRECT_MAP_BASE + address);
}
// The physical address of a kernel virtual one (direct map, image, heap, stack); it must be mapped.
PhysicalAddress MmVirtualToPhysical(const void *address);

// ---- page frames
typedef enum MmPageUse : uint8_t { // who holds a frame, for the counters and the debugger
    PageFree,
    PageReserved,
    PageKernelImage,
    PageTable,
    PageHeap,
    PageStack,
    PageProcess,
    PageSection,
    PageCache,
    PageDevice,
} MmPageUse;
// Who holds a frame, from the database as it is: no locks, for the crash dump.
MmPageUse MmQueryPageUse(uint64_t frame);
Status MmAllocatePage(MmPageUse use, bool zeroed, PhysicalAddress *page);
void MmFreePage(PhysicalAddress page);
// count frames in a row, aligned to alignment bytes, below limit (DMA). Not zeroed.
Status MmAllocateContiguous(MmPageUse use, size_t count, uint64_t alignment, PhysicalAddress limit,
                            PhysicalAddress *pages);
void MmFreeContiguous(PhysicalAddress pages, size_t count);
typedef struct MmCounters {
    uint64_t PagesTotal;     // under management
    uint64_t PagesFree;      // kernel stacks kept for reuse included
    uint64_t PagesByUse[16]; // by MmPageUse
    uint64_t PagesZeroed;    // of the free ones: cleared already
    uint64_t PagesPromised;  // committed, not backed yet
    uint64_t HeapBytes, HeapBlocks;
    uint64_t PageFaults, DemandZeroFaults, CopyFaults;
} MmCounters;
void MmQueryCounters(MmCounters *counters);
// A cache registers here; called without locks when memory is short, gives pages back, returns how
// many.
void MmRegisterShrinker(size_t (*shrink)(size_t pages));

// ---- kernel heap: 16-byte aligned, zeroed. Tags are four characters, shown by the counters.
// nullptr: no memory.
#define MM_TAG(a, b, c, d)                                                                         \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
void *MmAllocateHeap(size_t size, uint32_t tag); // level <= Dispatch
void MmFreeHeap(void *block);                    // nullptr is allowed
typedef struct MmHeapTag {
    uint32_t Tag;
    uint32_t Pad;
    uint64_t Blocks, Bytes;
} MmHeapTag;
size_t MmQueryHeapTags(MmHeapTag *tags, size_t capacity); // those with blocks; returns their number

// ---- kernel mappings
typedef enum MmCaching : uint8_t {
    CachingNormal,
    CachingUncached,
    CachingWriteCombining
} MmCaching;
Status MmMapDevice(PhysicalAddress address, size_t size, MmCaching caching, void **mapping);
void MmUnmapDevice(void *mapping, size_t size);
#define MM_KERNEL_STACK_SIZE (32u * 1024u)
// A stack with an unmapped guard page below; *limit is its lowest usable byte.
Status MmAllocateKernelStack(size_t size, void **limit);
void MmFreeKernelStack(void *limit, size_t size);

// ---- sections: memory that several address spaces (and the kernel) can map
typedef struct MmSection MmSection;
Status MmCreateSection(size_t size, MmPageUse use,
                       MmSection **section); // zero-filled, all pages present
void MmReferenceSection(MmSection *section);
void MmDereferenceSection(MmSection *section);
size_t MmGetSectionSize(const MmSection *section);
Status MmMapSectionInKernel(MmSection *section, void **mapping); // read-write, no-execute
void MmUnmapSectionInKernel(MmSection *section, void *mapping);
// The same with pages of the section in an order of the caller's, also more than once.
Status MmMapSectionPages(MmSection *section, const uint32_t *pages, size_t count, void **mapping);
void MmUnmapSectionPages(MmSection *section, void *mapping);
// A section of a file, whose pages are those of the page cache. mm calls the pager at PassiveLevel
// with an address space locked: its functions may wait for the disk but must not touch user memory.
typedef struct MmPager {
    // Pins the cache's page that holds the bytes from offset (whole pages) on.
    Status (*Pin)(void *context, uint64_t offset, PhysicalAddress *page);
    Status (*BeginWrite)(void *context); // contents are about to change
    void (*Release)(void *context);      // the section is gone
} MmPager;
Status MmCreateFileSection(size_t size, const MmPager *pager, void *context, MmSection **section);
// The page cache names the buffer that a PageCache frame belongs to, and says how a pin that a
// mapping held ends: markDirty first where the mapping may have changed the page.
void MmSetPageOwner(PhysicalAddress page, void *owner);
void MmRegisterPageCache(void (*markDirty)(void *owner), void (*unpin)(void *owner));
// Marks every page dirty that a view may have changed and takes the views' write access to it away,
// so that the next change is noticed. PassiveLevel, no locks held.
void MmCollectWrittenPages(void);
// Writing into a section's pages while it is being filled (by ldr).
Status MmWriteSection(MmSection *section, size_t offset, const void *data, size_t size);

// ---- address spaces
typedef struct MmAddressSpace MmAddressSpace;
#define MM_USER_LOWEST  0x0000000000010000ull
#define MM_USER_HIGHEST 0x00007FFFFFFEFFFFull

Status MmCreateAddressSpace(MmAddressSpace **space);
// Everything mapped goes; no thread runs in it any more.
void MmDestroyAddressSpace(MmAddressSpace *space);
uint64_t MmGetPageTableRoot(const MmAddressSpace *space);
// The space that user addresses of the current thread mean; ps sets it per process.
MmAddressSpace *MmGetCurrentAddressSpace(void);
void MmSetCurrentAddressSpaceHook(MmAddressSpace *(*current)(void));

typedef enum MmRegionKind : uint8_t {
    RegionPrivate = 1,
    RegionImage = 2,
    RegionSection = 3,
    RegionStack = 4,
    RegionView = 5, // of a section, made by the program
} MmRegionKind;
// Demand-zero memory. *base 0: anywhere (randomised); else exactly there. kind RegionStack: the
// lowest page is a guard that never becomes accessible, and only the upper end is committed at
// first. Sizes are rounded up to pages. MemoryNoAccess only reserves addresses; making them
// accessible commits.
Status MmAllocateVirtual(MmAddressSpace *space, uint64_t *base, size_t size,
                         MemoryProtection protection, MmRegionKind kind);
Status MmFreeVirtual(MmAddressSpace *space, uint64_t base); // whole region; private and stack only
Status MmProtectVirtual(MmAddressSpace *space, uint64_t base, size_t size,
                        MemoryProtection protection);
// Gives the memory behind part of a private allocation back and keeps the addresses.
Status MmDecommitVirtual(MmAddressSpace *space, uint64_t base, size_t size);
Status MmQueryVirtual(MmAddressSpace *space, uint64_t address, MemoryInfo *info);
// Maps size bytes of a section. copyPrivate: pages are shared read-only until first touched for
// writing, then copied for this process (image data, bound import tables).
Status MmMapSection(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                    uint64_t *base, MemoryProtection protection, MmRegionKind kind,
                    bool copyPrivate);
Status MmUnmapSection(MmAddressSpace *space, uint64_t base);
// What a program asks for: a RegionView. writable: it may have or be given write access.
Status MmMapView(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                 uint64_t *base, MemoryProtection protection, bool copyPrivate, bool writable);
Status MmUnmapView(MmAddressSpace *space, uint64_t base);
// Finds room without taking it (ldr lays out an image's sections inside).
Status MmReserveRange(MmAddressSpace *space, size_t size, uint64_t *base);
typedef struct MmSpaceCounters {
    uint64_t CommittedBytes, ResidentBytes; // resident: owned frames and page tables
} MmSpaceCounters;
void MmQuerySpace(MmAddressSpace *space, MmSpaceCounters *counters);

// ---- user memory. Every access goes through these; a bad address is StatusInvalidAddress, never a
// fault. PassiveLevel, no spin locks held (they may page-fault).
typedef uint64_t UserPointer;
Status MmCopyFromUser(void *to, UserPointer from, size_t size);
Status MmCopyToUser(UserPointer to, const void *from, size_t size);
// Checks that size bytes lie in the user half, without touching them.
Status MmCheckUserRange(UserPointer address, size_t size);
// Copies a NUL-terminated string of less than size bytes. StatusNameTooLong.
Status MmCopyStringFromUser(char *to, size_t size, UserPointer from);
// For WaitOnAddress: makes the 4-byte word resident and reads it without faulting afterwards.
Status MmReadUserWord(UserPointer address, uint32_t *value);
