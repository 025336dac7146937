// LoaderParams.h - what BOOTX64.EFI hands to moskrnl.exe, and the shape of the kernel's address
// space that the two of them share. docs/boot.md tells the story; docs/memory-map.md draws the
// picture.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- The high half. Each region has its own PML4 slots, so none can grow into another.
// All physical memory the firmware describes as RAM or ACPI, read-write, no-execute, 2 MiB or 1 GiB
// pages: virtual = DirectMapBase + physical. Not MMIO.
#define DIRECT_MAP_BASE 0xFFFF800000000000ull
#define DIRECT_MAP_SIZE 0x0000400000000000ull // 64 TiB
// The page frame database: one MmPageFrame per physical page from 0 to PageFrameCount - 1.
#define PFN_DATABASE_BASE 0xFFFFC00000000000ull
// UEFI runtime services, as told to SetVirtualAddressMap.
#define RUNTIME_SERVICES_BASE 0xFFFFD00000000000ull
// Kernel stacks, device mappings, the kernel's dynamic mappings (owned by mm).
#define KERNEL_DYNAMIC_BASE 0xFFFFE00000000000ull
#define KERNEL_DYNAMIC_SIZE 0x0000100000000000ull
// moskrnl.exe: KERNEL_IMAGE_BASE + slide, slide a multiple of 2 MiB below KERNEL_IMAGE_MAX_SLIDE.
#define KERNEL_IMAGE_BASE      0xFFFFF80000000000ull
#define KERNEL_IMAGE_MAX_SLIDE 0x0000000040000000ull

#define LOADER_PARAMS_MAGIC   0x534D41524150534Full // "OSPARAMS"
#define LOADER_PARAMS_VERSION 1u
#define LOADER_OPTIONS_SIZE   4096u
#define PAGE_FRAME_SIZE       64u // bytes the loader reserves per page frame in the database

typedef enum LoaderPixelFormat { LoaderPixelBgrx = 0, LoaderPixelRgbx = 1 } LoaderPixelFormat;

typedef struct LoaderDisplay {
    uint64_t Physical; // of the linear frame buffer; 0: no usable display
    uint64_t Size;     // bytes
    uint32_t Width, Height;
    uint32_t Stride; // pixels
    uint32_t Format; // LoaderPixelFormat
} LoaderDisplay;

// Lives in LoaderData memory, reached through the direct map; rcx at kernel entry. Every *Physical
// is a physical address inside the direct map. Memory the loader allocated for the kernel is of
// type EfiLoaderData in the memory map; EfiLoaderCode and boot services memory is free for use.
typedef struct LoaderParams {
    uint64_t Magic;   // LOADER_PARAMS_MAGIC
    uint32_t Version; // LOADER_PARAMS_VERSION
    uint32_t Size;    // sizeof(LoaderParams), checked by the kernel

    uint64_t KernelBase;        // virtual, slid
    uint64_t KernelPhysical;    // contiguous, SizeOfImage bytes
    uint64_t KernelSize;        // bytes, whole pages
    uint64_t KernelPdbPhysical; // the file moskrnl.pdb, 0 when missing
    uint64_t KernelPdbSize;

    uint64_t
        MemoryMapPhysical;  // EFI_MEMORY_DESCRIPTOR array, virtual addresses of runtime areas set
    uint64_t MemoryMapSize; // bytes
    uint64_t MemoryDescriptorSize;

    uint64_t Pml4Physical;          // the page tables in use at entry
    uint64_t PageTablePoolPhysical; // zeroed pages, contiguous; the first PageTablePoolUsed are
                                    // page tables
    uint64_t PageTablePoolPages;
    uint64_t PageTablePoolUsed;
    uint64_t PfnDatabasePhysical; // zeroed, PageFrameCount * PAGE_FRAME_SIZE bytes, contiguous
    uint64_t PageFrameCount;      // highest RAM page number + 1

    uint64_t BootStackBase; // virtual address of the top of the stack in use at entry (in the
                            // direct map)
    uint64_t BootStackSize;

    LoaderDisplay Display;

    uint64_t AcpiRsdp;        // physical, 0: none
    uint64_t SmbiosEntry;     // physical, 0: none
    uint64_t RuntimeServices; // virtual address of EFI_RUNTIME_SERVICES after SetVirtualAddressMap,
                              // 0: unusable

    uint8_t BootPartitionGuid[16]; // unique GUID of the GPT partition the loader came from; zero:
                                   // unknown
    uint8_t Entropy[32];           // from EFI_RNG_PROTOCOL, RDRAND or the TSC; see EntropySource
    uint32_t EntropySource;        // 0 weak (TSC only), 1 RDRAND, 2 EFI_RNG_PROTOCOL
    uint32_t OptionsSize;          // bytes of Options in use, without the final NUL
    uint64_t LoaderEntryTsc;       // TSC at loader entry
    uint64_t KernelEntryTsc;       // TSC just before the jump
    char Options[LOADER_OPTIONS_SIZE]; // the text of /metalos.cfg, NUL-terminated
} LoaderParams;

static_assert(offsetof(LoaderParams, Options) % 8 == 0, "no hidden padding");
