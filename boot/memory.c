// memory.c - memory from the firmware, and the firmware's memory map.
// SPDX-License-Identifier: MIT
#include "boot.h"

void *BootAllocate(uint64_t pages, uint64_t alignment)
{
    uint64_t extra = alignment / BOOT_PAGE_SIZE - 1;
    EFI_PHYSICAL_ADDRESS block;
    if (EFI_ERROR(
            BootServices->AllocatePages(AllocateAnyPages, EfiLoaderData, pages + extra, &block)))
        return nullptr;
    EFI_PHYSICAL_ADDRESS start = RTL_ALIGN_UP(block, alignment);
    uint64_t before = (start - block) / BOOT_PAGE_SIZE;
    if (before != 0)
        BootServices->FreePages(block, before);
    if (extra != before)
        BootServices->FreePages(start + pages * BOOT_PAGE_SIZE, extra - before);
    memset((void *)start, 0, pages * BOOT_PAGE_SIZE);
    return (void *)start;
}

void BootFree(void *memory, uint64_t pages)
{
    if (memory != nullptr)
        BootServices->FreePages((EFI_PHYSICAL_ADDRESS)memory, pages);
}

bool BootReadMemoryMap(BootMemoryMap *map)
{
    map->Size = map->Capacity;
    EFI_STATUS status =
        BootServices->GetMemoryMap(&map->Size, (EFI_MEMORY_DESCRIPTOR *)map->Descriptors, &map->Key,
                                   &map->DescriptorSize, &map->Version);
    return !EFI_ERROR(status) && map->DescriptorSize >= sizeof(EFI_MEMORY_DESCRIPTOR) &&
           map->DescriptorSize % 8 == 0;
}

bool BootAllocateMemoryMap(BootMemoryMap *map)
{
    enum {
        RoomToGrow = 64
    }; // descriptors: our own allocations split a few areas, event handlers others
    *map = (BootMemoryMap){};
    BootReadMemoryMap(map); // only says how large it is
    if (map->Size == 0 || map->DescriptorSize < sizeof(EFI_MEMORY_DESCRIPTOR))
        return false;
    UINTN pages =
        (map->Size + RoomToGrow * map->DescriptorSize + BOOT_PAGE_SIZE - 1) / BOOT_PAGE_SIZE;
    map->Descriptors = BootAllocate(pages, BOOT_PAGE_SIZE);
    map->Capacity = pages * BOOT_PAGE_SIZE;
    return map->Descriptors != nullptr && BootReadMemoryMap(map);
}

bool BootIsRam(const EFI_MEMORY_DESCRIPTOR *descriptor)
{
    uint64_t bytes = descriptor->NumberOfPages * BOOT_PAGE_SIZE;
    if (descriptor->NumberOfPages == 0 ||
        descriptor->NumberOfPages > DIRECT_MAP_SIZE / BOOT_PAGE_SIZE ||
        descriptor->PhysicalStart > DIRECT_MAP_SIZE - bytes)
        return false;
    switch (descriptor->Type) {
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiRuntimeServicesCode:
    case EfiRuntimeServicesData:
    case EfiConventionalMemory:
    case EfiACPIReclaimMemory:
    case EfiACPIMemoryNVS:
        return true;
    default:
        return false;
    }
}

size_t BootCollectRam(const BootMemoryMap *map, BootRange *ranges)
{
    size_t count = 0;
    for (size_t i = 0; i < BootCountDescriptors(map); i++) {
        const EFI_MEMORY_DESCRIPTOR *descriptor = BootDescriptor(map, i);
        if (!BootIsRam(descriptor))
            continue;
        BootRange range = {descriptor->PhysicalStart & ~(BOOT_PAGE_SIZE - 1), 0};
        range.End = range.Start + descriptor->NumberOfPages * BOOT_PAGE_SIZE;
        // Insertion sort: firmware maps are sorted, or nearly.
        size_t at = count++;
        for (; at > 0 && ranges[at - 1].Start > range.Start; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = range;
    }
    size_t merged = 0;
    for (size_t i = 0; i < count; i++) {
        if (merged > 0 && ranges[i].Start <= ranges[merged - 1].End)
            ranges[merged - 1].End = RTL_MAX(ranges[merged - 1].End, ranges[i].End);
        else
            ranges[merged++] = ranges[i];
    }
    return merged;
}
