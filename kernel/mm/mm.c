// mm.c - start-up of memory management, and its theory.
//
// Physical memory. Every page has an entry in the page frame database that says who holds it
// (frames.c). All of RAM is also mapped once, in the direct map, so the kernel reaches any frame
// without mapping it: page tables, slabs and sections are edited there.
//
// Kernel memory. The heap (heap.c) hands out blocks of the direct map. What needs address space of
// its own - stacks with guard pages, device registers, shared sections - gets it from the dynamic
// area (kernel_space.c). The top-level entries of the kernel half are complete before the first
// address space copies them, so a kernel mapping made later appears in all of them.
//
// User memory. An address space is a tree of regions (spaces.c) and page tables that follow it
// lazily: a page fault (fault.c) looks its region up and enters the page. Private pages are zero at
// first; section pages (sections.c) are shared, or shared until first written. Page tables are a
// cache of the regions except for the frames they own (PTE_OWNED), which are found nowhere else.
//
// User pointers. Only user_copy.c dereferences them, with SMAP lifted for just that and faults
// turned into a status.
//
// Locks, in rank order: a space's sleeping lock, the heap's, the kernel space's, the page frames'.
// The first is held across the work on one region; the others for bounded stretches at
// DispatchLevel.
//
// Limits: four-level paging; no paging out; frames of one process are not shared by copying on
// write (there is no fork). Memory the firmware calls "reserved" or "special purpose" is left
// alone.
// SPDX-License-Identifier: MIT
#include "mi.h"
#include "sanitize.h"

static MiMemoryEdge edges[2 * MI_MAXIMUM_DESCRIPTORS]; // scratch of start-up
static MiMemoryRun runs[2 * MI_MAXIMUM_DESCRIPTORS];
static size_t runCount;

static MiMemoryRun RunOf(PhysicalAddress start, uint64_t size, MiMemoryKind kind)
{
    return (MiMemoryRun){.Start = start >> PAGE_SHIFT,
                         .End = (start + size + PAGE_SIZE - 1) >> PAGE_SHIFT,
                         .Kind = kind};
}

static void ReadMemoryMap(const LoaderParams *loader)
{
    uint64_t paramsPhysical = (uint64_t)loader - DIRECT_MAP_BASE;
    const MiMemoryRun claimed[] = {
        RunOf(loader->KernelPhysical, loader->KernelSize, MemoryKindKernel),
        RunOf(loader->KernelPdbPhysical, loader->KernelPdbSize, MemoryKindKernel),
        RunOf(loader->PfnDatabasePhysical, loader->PageFrameCount * PAGE_FRAME_SIZE,
              MemoryKindKernel),
        RunOf(paramsPhysical, sizeof(LoaderParams), MemoryKindKernel),
        RunOf(loader->BootStackBase - loader->BootStackSize - DIRECT_MAP_BASE,
              loader->BootStackSize, MemoryKindKernel),
        RunOf(loader->PageTablePoolPhysical, loader->PageTablePoolUsed * PAGE_SIZE,
              MemoryKindPageTable),
        RunOf(loader->Pml4Physical, PAGE_SIZE, MemoryKindPageTable),
    };
    runCount = MiNormalizeMemoryMap(MmPhysicalToVirtual(loader->MemoryMapPhysical),
                                    loader->MemoryMapSize, loader->MemoryDescriptorSize,
                                    loader->PageFrameCount, claimed, RTL_COUNT_OF(claimed), edges,
                                    RTL_COUNT_OF(edges), runs, RTL_COUNT_OF(runs));
}

static void TakeRuns(void)
{
    for (size_t i = 0; i < runCount; i++) {
        if (runs[i].Kind == MemoryKindKernel)
            MiClaimFrames(runs[i].Start, runs[i].End, PageKernelImage);
        else if (runs[i].Kind == MemoryKindPageTable)
            MiClaimFrames(runs[i].Start, runs[i].End, PageTable);
        else if (runs[i].Kind == MemoryKindFree)
            MiDonateFrames(runs[i].Start, runs[i].End);
    }
}

// Test kernels: gives the address sanitizer an eighth of memory, before the first heap block.
static void StartSanitizer(void)
{
#ifdef METALOS_KASAN
    PhysicalAddress shadow;
    size_t pages = (MiFrameCount + 7) / 8;
    if (MmAllocateContiguous(PageKernelImage, pages, 0, 0, &shadow) != StatusSuccess)
        KeBugCheckFrame(BugCheckInitialization, pages, 0, 0, 0, "no memory for the shadow",
                        nullptr);
    memset(MmPhysicalToVirtual(shadow), 0, pages * PAGE_SIZE);
    SanStart(MmPhysicalToVirtual(shadow), MiFrameCount * PAGE_SIZE);
#endif
}

static void TellCounters(KCounterSink *sink)
{
    static const char *const uses[] = {
        [PageReserved] = "pages reserved",       [PageKernelImage] = "pages of the kernel image",
        [PageTable] = "pages of page tables",    [PageHeap] = "pages of the heap",
        [PageStack] = "pages of kernel stacks",  [PageProcess] = "pages of programs",
        [PageSection] = "pages of sections",     [PageCache] = "pages of caches",
        [PageDevice] = "pages of device memory",
    };
    MmCounters counters;
    MmQueryCounters(&counters);
    KeTellCounter(sink, "pages", counters.PagesTotal);
    KeTellCounter(sink, "pages free", counters.PagesFree);
    KeTellCounter(sink, "pages cleared", counters.PagesZeroed);
    KeTellCounter(sink, "pages promised", counters.PagesPromised);
    for (size_t use = PageReserved; use < RTL_COUNT_OF(uses); use++)
        KeTellCounter(sink, uses[use], counters.PagesByUse[use]);
    KeTellCounter(sink, "heap bytes", counters.HeapBytes);
    KeTellCounter(sink, "heap blocks", counters.HeapBlocks);
    KeTellCounter(sink, "page faults", counters.PageFaults);
    KeTellCounter(sink, "demand-zero faults", counters.DemandZeroFaults);
    KeTellCounter(sink, "copy-on-write faults", counters.CopyFaults);
}

void MmInitialize(const LoaderParams *loader)
{
    static KCounterSource counters = {.Subsystem = "mm", .Tell = TellCounters};
    if (loader->PageFrameCount == 0 || loader->MemoryMapSize == 0)
        KeBugCheckFrame(BugCheckInitialization, loader->PageFrameCount, loader->MemoryMapSize, 0, 0,
                        "the loader passed no memory map", nullptr);
    MiKernelRoot = loader->Pml4Physical;
    MiInitializePat();
    MiInitializeFrames(loader->PageFrameCount);
    ReadMemoryMap(loader);
    TakeRuns();
    MiDropLowHalf();
    MiProtectImageAlias(loader);
    MiInitializeHeap();
    StartSanitizer();
    MiInitializeKernelSpace();
    MiInitializeUserCopy();
    KeRegisterPageFaultHandler(MiHandlePageFault);
    KeRegisterCounters(&counters);
    KeLog(LogInfo, "mm: %llu MiB of memory, %llu MiB free",
          (unsigned long long)MiCounters.PagesTotal >> 8,
          (unsigned long long)MiCounters.PagesFree >> 8);
}

void MmReleaseLoaderMemory(const LoaderParams *loader)
{
    uint64_t before = MiCounters.PagesFree;
    for (size_t i = 0; i < runCount; i++)
        if (runs[i].Kind == MemoryKindBoot || runs[i].Kind == MemoryKindLoader)
            MiDonateFrames(runs[i].Start, runs[i].End);
    runCount = 0;
    KeLog(LogInfo, "mm: %llu MiB of loader and boot services memory released, %llu MiB free",
          (unsigned long long)(MiCounters.PagesFree - before) >> 8,
          (unsigned long long)MiCounters.PagesFree >> 8);
}
