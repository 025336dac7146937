// handover.c - the last part: everything the kernel will stand on, the end of boot services, the
// jump.
// SPDX-License-Identifier: MIT
#include "boot.h"

enum {
    StackPages = 16,
    SparePoolPages = 64, // for what the kernel maps before it has a page allocator
    ExitAttempts = 8,    // each failure means that the map changed in between
    HomeSpace = 32 + 8,  // of the kernel's entry: argument area and return address, all zero
};

typedef struct HandOver {
    BootMemoryMap Map;
    BootRange *Ranges; // RAM; room for every descriptor that fits the map's buffer
    uint8_t *Scratch;  // as large as the map's buffer
    uint64_t BufferPages, RangePages;
    BootTables Tables;
    uint8_t *PfnDatabase;
    uint64_t PfnPages, FrameCount;
    uint8_t *Stack;
} HandOver;

static uint64_t FindTablePhysical(const EFI_GUID *newer, const EFI_GUID *older)
{
    void *table = BootFindConfigurationTable(newer);
    return (uint64_t)(table != nullptr ? table : BootFindConfigurationTable(older));
}

// What the kernel cannot do without, and what cannot be changed while paging is on.
static bool CheckProcessor(bool *hugePages)
{
    constexpr uint32_t extended = 0x80000001, noExecute = 1u << 20, hasHugePages = 1u << 26; // EDX
    CpuLeaf leaf = CpuId(0x80000000).Eax >= extended ? CpuId(extended) : (CpuLeaf){};
    *hugePages = (leaf.Edx & hasHugePages) != 0;
    if (!(leaf.Edx & noExecute))
        return BootFail(
            "this processor has no no-execute pages, or the firmware has turned them off.");
    if (CpuReadCr4() & CPU_CR4_LA57)
        return BootFail("the firmware runs with five-level paging; turn it off in its set-up.");
    return true;
}

static bool AllocateBuffers(HandOver *state)
{
    if (!BootAllocateMemoryMap(&state->Map))
        return BootFail("the firmware does not give its memory map.");
    size_t descriptors = state->Map.Capacity / state->Map.DescriptorSize;
    state->BufferPages = state->Map.Capacity / BOOT_PAGE_SIZE;
    state->RangePages = (descriptors * sizeof(BootRange) + BOOT_PAGE_SIZE - 1) / BOOT_PAGE_SIZE;
    state->Scratch = BootAllocate(state->BufferPages, BOOT_PAGE_SIZE);
    state->Ranges = BootAllocate(state->RangePages, BOOT_PAGE_SIZE);
    state->Stack = BootAllocate(StackPages, BOOT_PAGE_SIZE);
    return (state->Scratch != nullptr && state->Ranges != nullptr && state->Stack != nullptr) ||
           BootFail("there is no memory for the loader's own tables.");
}

static bool AllocatePfnDatabase(HandOver *state)
{
    size_t count = BootCollectRam(&state->Map, state->Ranges);
    if (count == 0)
        return BootFail("the firmware's memory map lists no memory.");
    state->FrameCount = state->Ranges[count - 1].End / BOOT_PAGE_SIZE;
    uint64_t size = RTL_ALIGN_UP(state->FrameCount * PAGE_FRAME_SIZE, BOOT_PAGE_SIZE);
    state->PfnPages = size / BOOT_PAGE_SIZE;
    state->PfnDatabase = BootAllocate(
        state->PfnPages, size < BOOT_LARGE_PAGE_SIZE ? BOOT_PAGE_SIZE : BOOT_LARGE_PAGE_SIZE);
    return state->PfnDatabase != nullptr ||
           BootFail("there is no memory for the page frame database (%llu KiB).", size / 1024);
}

static bool AllocateTables(HandOver *state, const BootState *boot)
{
    uint64_t largest = state->Tables.HugePages ? BOOT_HUGE_PAGE_SIZE : BOOT_LARGE_PAGE_SIZE;
    size_t count = BootCollectRam(&state->Map, state->Ranges);
    uint64_t pages = 1 + SparePoolPages + BootCountRuntimeTables(&state->Map);
    for (size_t i = 0; i < count; i++)
        pages += BootCountTables(state->Ranges[i].End - state->Ranges[i].Start, largest);
    pages += BootCountTables(boot->Kernel.Image.SizeOfImage, BOOT_PAGE_SIZE);
    pages += BootCountTables(state->PfnPages * BOOT_PAGE_SIZE, largest);
    pages += BootCountTables(boot->LoaderImage.End - boot->LoaderImage.Start, BOOT_PAGE_SIZE);
    state->Tables.Pool = BootAllocate(pages, BOOT_PAGE_SIZE);
    state->Tables.PoolPages = pages;
    return state->Tables.Pool != nullptr ||
           BootFail("there is no memory for page tables (%llu KiB).",
                    pages * BOOT_PAGE_SIZE / 1024);
}

static void MapKernel(BootTables *tables, const BootKernel *kernel)
{
    uint64_t base = kernel->Image.Base, physical = (uint64_t)kernel->Memory;
    BootMap(tables, base, physical, RTL_ALIGN_UP(kernel->Image.SizeOfHeaders, BOOT_PAGE_SIZE),
            BootMapGlobal | BootMapNoExecute, BOOT_PAGE_SIZE);
    for (size_t i = 0; i < kernel->Image.SectionCount; i++) {
        PeSection section = PeGetSection(&kernel->Image, i);
        BootMap(tables, base + section.Rva, physical + section.Rva, section.MappedSize,
                BootMapGlobal | (section.Writable ? BootMapWrite : 0) |
                    (section.Executable ? 0 : BootMapNoExecute),
                BOOT_PAGE_SIZE);
    }
}

// From the map as it is now; calls no firmware, so that the map's key stays valid.
static void BuildTables(HandOver *state, const BootState *boot)
{
    constexpr uint64_t data = BootMapWrite | BootMapGlobal | BootMapNoExecute;
    BootTables *tables = &state->Tables;
    BootClearTables(tables);
    size_t count = BootCollectRam(&state->Map, state->Ranges);
    for (size_t i = 0; i < count; i++)
        BootMap(tables, DIRECT_MAP_BASE + state->Ranges[i].Start, state->Ranges[i].Start,
                state->Ranges[i].End - state->Ranges[i].Start, data, BOOT_HUGE_PAGE_SIZE);
    BootMap(tables, PFN_DATABASE_BASE, (uint64_t)state->PfnDatabase,
            state->PfnPages * BOOT_PAGE_SIZE, data, BOOT_HUGE_PAGE_SIZE);
    BootMapRuntimeAreas(tables, &state->Map);
    MapKernel(tables, &boot->Kernel);
    BootMap(tables, boot->LoaderImage.Start, boot->LoaderImage.Start,
            boot->LoaderImage.End - boot->LoaderImage.Start, 0, BOOT_PAGE_SIZE);
}

// Leaves boot services with tables that match the final map.
static bool ExitBootServices(HandOver *state, const BootState *boot)
{
    for (int attempt = 0; attempt < ExitAttempts; attempt++) {
        if (!BootReadMemoryMap(&state->Map))
            return BootFail("the firmware does not give its memory map any more.");
        BootPlaceRuntimeAreas(&state->Map);
        BuildTables(state, boot);
        if (state->Tables.Failed)
            return BootFail("the firmware's memory map contradicts itself.");
        if (!EFI_ERROR(BootServices->ExitBootServices(BootImageHandle, state->Map.Key))) {
            BootForgetFirmwareConsole();
            return true;
        }
    }
    return BootFail("the firmware does not end boot services.");
}

static void FillParams(const HandOver *state, const BootState *boot)
{
    const EFI_GUID acpi20 = ACPI_20_TABLE_GUID, acpi10 = ACPI_TABLE_GUID;
    const EFI_GUID smbios3 = SMBIOS3_TABLE_GUID, smbios = SMBIOS_TABLE_GUID;
    LoaderParams *params = boot->Params;
    params->Magic = LOADER_PARAMS_MAGIC;
    params->Version = LOADER_PARAMS_VERSION;
    params->Size = sizeof *params;
    params->KernelBase = boot->Kernel.Image.Base;
    params->KernelPhysical = (uint64_t)boot->Kernel.Memory;
    params->KernelSize = boot->Kernel.Image.SizeOfImage;
    params->KernelPdbPhysical = (uint64_t)boot->Pdb.Data;
    params->KernelPdbSize = boot->Pdb.Data != nullptr ? boot->Pdb.Size : 0;
    params->MemoryMapPhysical = (uint64_t)state->Map.Descriptors;
    params->PageTablePoolPhysical = params->Pml4Physical = (uint64_t)state->Tables.Pool;
    params->PageTablePoolPages = state->Tables.PoolPages;
    params->PfnDatabasePhysical = (uint64_t)state->PfnDatabase;
    params->PageFrameCount = state->FrameCount;
    params->BootStackBase = DIRECT_MAP_BASE + (uint64_t)state->Stack + StackPages * BOOT_PAGE_SIZE;
    params->BootStackSize = StackPages * BOOT_PAGE_SIZE;
    params->AcpiRsdp = FindTablePhysical(&acpi20, &acpi10);
    params->SmbiosEntry = FindTablePhysical(&smbios3, &smbios);
}

bool BootHandOver(BootState *boot)
{
    HandOver state = {};
    if (!CheckProcessor(&state.Tables.HugePages) || !AllocateBuffers(&state) ||
        !AllocatePfnDatabase(&state) || !AllocateTables(&state, boot))
        return false;
    FillParams(&state, boot);
    LoaderParams *params = boot->Params;
    BootLog("RAM up to %llu MiB, page tables %llu KiB, leaving boot services",
            state.FrameCount * BOOT_PAGE_SIZE >> 20,
            state.Tables.PoolPages * BOOT_PAGE_SIZE / 1024);
    if (!ExitBootServices(&state, boot))
        return false;

    CpuDisableInterrupts();
    params->MemoryMapSize = state.Map.Size;
    params->MemoryDescriptorSize = state.Map.DescriptorSize;
    params->PageTablePoolUsed = state.Tables.PoolUsed;
    params->RuntimeServices = BootMoveRuntimeServices(&state.Map, state.Scratch);
    CpuWriteMsr(CPU_MSR_EFER, CpuReadMsr(CPU_MSR_EFER) | CPU_EFER_NXE);
    CpuWriteCr0(CpuReadCr0() | CPU_CR0_WRITE_PROTECT);
    params->KernelEntryTsc = CpuReadTsc();
    CpuEnterKernel(params->Pml4Physical, params->BootStackBase - HomeSpace,
                   boot->Kernel.Image.Base + boot->Kernel.Image.EntryPoint,
                   DIRECT_MAP_BASE + (uint64_t)params);
}
