// boot.h - what the loader's files share. main.c has the theory.
// SPDX-License-Identifier: MIT
#pragma once

#include "LoaderParams.h"
#include "cpu.h"
#include "pe/pe.h"
#include "rtl/rtl.h"

#include <efi.h>

#define BOOT_PAGE_SIZE       4096ull
#define BOOT_LARGE_PAGE_SIZE 0x200000ull
#define BOOT_HUGE_PAGE_SIZE  0x40000000ull

// Set first thing in main.c.
extern EFI_HANDLE BootImageHandle;
extern EFI_SYSTEM_TABLE *BootSystem;
extern EFI_BOOT_SERVICES *BootServices;

// ---- console.c: COM1, and the firmware's console for what a person must see.
void BootInitializeConsole(void);
// A line for COM1 only.
void BootLog(const char *format, ...) __attribute__((format(printf, 1, 2)));
// A line for the screen and COM1; the boot goes on.
void BootNote(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Says "MetalOS cannot start: ..." on screen and COM1. Returns false, for the caller to pass on.
bool BootFail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// No more firmware console: what follows goes to COM1 alone.
void BootForgetFirmwareConsole(void);

// ---- memory.c: firmware memory, by physical address. All of it is EfiLoaderData.
// pages pages, zeroed, aligned to alignment (a power of two of at least a page); nullptr: none.
void *BootAllocate(uint64_t pages, uint64_t alignment);
void BootFree(void *memory, uint64_t pages);

typedef struct BootMemoryMap {
    uint8_t *Descriptors;
    UINTN Capacity, Size, DescriptorSize, Key; // bytes
    UINT32 Version;
} BootMemoryMap;
// Reads the map; false: the firmware refused, or it has outgrown its buffer.
bool BootReadMemoryMap(BootMemoryMap *map);
// Gives the map a buffer, with room to grow.
bool BootAllocateMemoryMap(BootMemoryMap *map);
static inline size_t BootCountDescriptors(const BootMemoryMap *map)
{
    return map->Size / map->DescriptorSize;
}
static inline EFI_MEMORY_DESCRIPTOR *BootDescriptor(const BootMemoryMap *map, size_t index)
{
    return (EFI_MEMORY_DESCRIPTOR *)(map->Descriptors + index * map->DescriptorSize);
}
// RAM in the sense of the direct map: memory whose content is the processor's to cache.
bool BootIsRam(const EFI_MEMORY_DESCRIPTOR *descriptor);

typedef struct BootRange { // physical, whole pages
    uint64_t Start, End;
} BootRange;
// RAM as ascending, disjoint ranges; returns their number, at most one per descriptor.
size_t BootCollectRam(const BootMemoryMap *map, BootRange *ranges);

// ---- files.c: files of the volume the loader came from. A size of 0 is possible; Data has a NUL
// after it.
typedef struct BootFile {
    const char *Path;
    uint8_t *Data;
    uint64_t Size;
    uint64_t Pages;
} BootFile;
typedef enum BootFileResult {
    BootFileRead,
    BootFileMissing,
    BootFileUnreadable,
    BootFileTooLarge
} BootFileResult;
bool BootOpenVolume(void);
BootFileResult BootReadFile(const char *path, uint64_t limit, BootFile *file);
const char *BootDescribeFileResult(BootFileResult result);
void BootFreeFile(BootFile *file);
// The unique GUID of the GPT partition the loader came from; zero when it is on something else.
void BootFindPartition(uint8_t guid[16]);

// ---- image.c: moskrnl.exe.
typedef struct BootKernel {
    PeImage Image; // mapped and relocated, at its physical address
    uint8_t *Memory;
    uint64_t Pages;
} BootKernel;
bool BootLoadKernel(const BootFile *file, bool slide, BootKernel *kernel);

// ---- entropy.c
// Fills buffer from every source there is; returns the best one (LoaderParams.EntropySource).
uint32_t BootGetEntropy(void *buffer, size_t size);

// ---- display.c
// Sets a mode and describes it. No usable display is not an error: display stays zero.
void BootSetDisplay(const char *options, LoaderDisplay *display);

// ---- paging.c: the kernel's first page tables, made of pages from one pool.
enum : uint64_t { // of BootMap's flags; a mapping is readable, otherwise no access is implied
    BootMapWrite = 1ull << 1,
    BootMapUncached = 3ull << 3, // PWT and PCD
    BootMapGlobal = 1ull << 8,   // the kernel's own, in every address space
    BootMapNoExecute = 1ull << 63,
};
typedef struct BootTables {
    uint64_t *Pool; // the first page is the PML4
    uint64_t PoolPages, PoolUsed;
    bool HugePages; // the processor has 1 GiB pages
    bool Failed;    // the pool ran out, or two mappings collided
} BootTables;
// Empties the pool.
void BootClearTables(BootTables *tables);
// Maps whole pages, in the largest size up to largest that fits. Mapping a 4 KiB page again
// replaces it.
void BootMap(BootTables *tables, uint64_t virtual, uint64_t physical, uint64_t size, uint64_t flags,
             uint64_t largest);
// Upper bound of the tables that BootMap takes for size bytes.
uint64_t BootCountTables(uint64_t size, uint64_t largest);

// ---- runtime.c: the firmware's tables, and its runtime services in the kernel's address space.
// A firmware configuration table by GUID, nullptr: none.
void *BootFindConfigurationTable(const EFI_GUID *guid);
// Gives each runtime area of the map its virtual address.
void BootPlaceRuntimeAreas(BootMemoryMap *map);
void BootMapRuntimeAreas(BootTables *tables, const BootMemoryMap *map);
uint64_t BootCountRuntimeTables(const BootMemoryMap *map);
// After boot services have ended: moves the firmware. Returns the services' virtual address, 0 when
// it refused.
uint64_t BootMoveRuntimeServices(const BootMemoryMap *map, uint8_t *scratch);

// ---- handover.c
typedef struct BootState {
    BootKernel Kernel;
    BootFile Pdb;
    LoaderParams *Params;
    BootRange LoaderImage; // the loader's own, identity mapped for the jump
} BootState;
// Builds the tables, leaves boot services and enters the kernel; returns only when that failed.
bool BootHandOver(BootState *state);
