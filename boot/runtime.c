// runtime.c - what the firmware leaves behind: its configuration tables, and UEFI runtime services
// for the kernel, their memory at RUNTIME_SERVICES_BASE + physical address, so that distances
// inside the firmware stay what they are, with the protection that the Memory Attributes Table asks
// for. Firmware without that table gets its code areas writable and executable, since it may keep
// data in them.
// SPDX-License-Identifier: MIT
#include "boot.h"

// UEFI 2.10, 4.6.4. Each entry covers part of a runtime code or data area.
typedef struct MemoryAttributesTable {
    uint32_t Version;
    uint32_t NumberOfEntries;
    uint32_t DescriptorSize;
    uint32_t Flags;
} MemoryAttributesTable;

enum : uint64_t { AttributeReadOnly = 0x20000, AttributeNoExecute = EFI_MEMORY_XP };
enum { MaximumEntries = 4096 };

void *BootFindConfigurationTable(const EFI_GUID *guid)
{
    for (UINTN i = 0; i < BootSystem->NumberOfTableEntries; i++) {
        if (memcmp(&BootSystem->ConfigurationTable[i].VendorGuid, guid, sizeof *guid) == 0)
            return BootSystem->ConfigurationTable[i].VendorTable;
    }
    return nullptr;
}

static const MemoryAttributesTable *FindAttributes(void)
{
    const EFI_GUID guid = {
        0xDCFA911D, 0x26EB, 0x469F, {0xA2, 0x20, 0x38, 0xB7, 0xDC, 0x46, 0x12, 0x20}};
    const MemoryAttributesTable *table = BootFindConfigurationTable(&guid);
    if (table == nullptr || table->Version == 0 || table->Version > 2 ||
        table->DescriptorSize < sizeof(EFI_MEMORY_DESCRIPTOR) || table->DescriptorSize > 256 ||
        table->NumberOfEntries == 0 || table->NumberOfEntries > MaximumEntries)
        return nullptr;
    return table;
}

static bool IsRuntimeArea(const EFI_MEMORY_DESCRIPTOR *area)
{
    constexpr uint64_t size = KERNEL_DYNAMIC_BASE - RUNTIME_SERVICES_BASE;
    return (area->Attribute & EFI_MEMORY_RUNTIME) && area->NumberOfPages != 0 &&
           area->NumberOfPages <= size / BOOT_PAGE_SIZE &&
           area->PhysicalStart <= size - area->NumberOfPages * BOOT_PAGE_SIZE;
}

void BootPlaceRuntimeAreas(BootMemoryMap *map)
{
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        EFI_MEMORY_DESCRIPTOR *area = BootDescriptor(map, i);
        area->VirtualStart = IsRuntimeArea(area) ? RUNTIME_SERVICES_BASE + area->PhysicalStart : 0;
    }
}

static void MapArea(BootTables *tables, const EFI_MEMORY_DESCRIPTOR *area, uint64_t flags)
{
    bool cached = (area->Attribute & EFI_MEMORY_WB) || area->Type == EfiRuntimeServicesCode ||
                  area->Type == EfiRuntimeServicesData;
    BootMap(tables, RUNTIME_SERVICES_BASE + area->PhysicalStart, area->PhysicalStart,
            area->NumberOfPages * BOOT_PAGE_SIZE,
            flags | BootMapGlobal | (cached ? 0 : BootMapUncached), BOOT_PAGE_SIZE);
}

// The area of the map that holds all of part.
static const EFI_MEMORY_DESCRIPTOR *FindArea(const BootMemoryMap *map,
                                             const EFI_MEMORY_DESCRIPTOR *part)
{
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        const EFI_MEMORY_DESCRIPTOR *area = BootDescriptor(map, i);
        uint64_t pages = area->NumberOfPages;
        if (IsRuntimeArea(area) && part->PhysicalStart >= area->PhysicalStart &&
            part->PhysicalStart % BOOT_PAGE_SIZE == 0 && part->NumberOfPages <= pages &&
            (part->PhysicalStart - area->PhysicalStart) / BOOT_PAGE_SIZE <=
                pages - part->NumberOfPages)
            return area;
    }
    return nullptr;
}

void BootMapRuntimeAreas(BootTables *tables, const BootMemoryMap *map)
{
    const MemoryAttributesTable *attributes = FindAttributes();
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        const EFI_MEMORY_DESCRIPTOR *area = BootDescriptor(map, i);
        if (!IsRuntimeArea(area))
            continue;
        bool executable = area->Type == EfiRuntimeServicesCode && attributes == nullptr;
        MapArea(tables, area, BootMapWrite | (executable ? 0 : BootMapNoExecute));
    }
    for (size_t i = 0; attributes != nullptr && i < attributes->NumberOfEntries; i++) {
        EFI_MEMORY_DESCRIPTOR part;
        memcpy(&part, (const uint8_t *)(attributes + 1) + i * attributes->DescriptorSize,
               sizeof part);
        const EFI_MEMORY_DESCRIPTOR *area = FindArea(map, &part);
        if (area == nullptr)
            continue;
        part.Type = area->Type;
        bool executable = !(part.Attribute & AttributeNoExecute);
        bool writable = !(part.Attribute & AttributeReadOnly);
        MapArea(tables, &part, (writable ? BootMapWrite : 0) | (executable ? 0 : BootMapNoExecute));
    }
}

uint64_t BootCountRuntimeTables(const BootMemoryMap *map)
{
    uint64_t count = 0;
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        const EFI_MEMORY_DESCRIPTOR *area = BootDescriptor(map, i);
        if (IsRuntimeArea(area))
            count += BootCountTables(area->NumberOfPages * BOOT_PAGE_SIZE, BOOT_PAGE_SIZE);
    }
    return count;
}

uint64_t BootMoveRuntimeServices(const BootMemoryMap *map, uint8_t *scratch)
{
    EFI_RUNTIME_SERVICES *services = BootSystem->RuntimeServices;
    UINTN size = 0;
    bool covered = false;
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        const EFI_MEMORY_DESCRIPTOR *area = BootDescriptor(map, i);
        if (area->VirtualStart == 0)
            continue;
        memcpy(scratch + size, area, map->DescriptorSize);
        size += map->DescriptorSize;
        uint64_t offset = (uint64_t)services - area->PhysicalStart;
        if ((uint64_t)services >= area->PhysicalStart &&
            offset < area->NumberOfPages * BOOT_PAGE_SIZE)
            covered = true;
    }
    if (!covered || EFI_ERROR(services->SetVirtualAddressMap(
                        size, map->DescriptorSize, map->Version, (EFI_MEMORY_DESCRIPTOR *)scratch)))
        return 0;
    return RUNTIME_SERVICES_BASE + (uint64_t)services;
}
