// volume.c - finds a partition on the disks there are.
// SPDX-License-Identifier: MIT
#include "iop.h"
#include "partition.h"

#define TAG_VOLUME         MM_TAG('I', 'o', 'V', 'l')
#define MAXIMUM_PARTITIONS 128

typedef struct Search {
    IopPartition Partitions[MAXIMUM_PARTITIONS];
    uint8_t Scratch[PAGE_SIZE];
} Search;

// Through the cache: a partition table is a few pages, read a sector at a time.
static Status ReadSector(void *context, uint64_t sector, void *buffer)
{
    IoBlockDevice *device = context;
    IoVolume whole = {.Device = device, .SectorCount = device->SectorCount};
    return IoCacheRead(&whole, sector * device->SectorSize, device->SectorSize, IoKernelMemory,
                       buffer, nullptr);
}

typedef const IopPartition *Chooser(const Search *search, size_t count, const uint8_t guid[16]);

// The first partition of that type.
static const IopPartition *ChooseType(const Search *search, size_t count, const uint8_t type[16])
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(search->Partitions[i].TypeGuid, type, 16) == 0)
            return &search->Partitions[i];
    }
    return nullptr;
}

// The partition with that GUID; a zero GUID: the first EFI system partition, else the first of
// basic data.
static const IopPartition *ChooseGuid(const Search *search, size_t count, const uint8_t guid[16])
{
    static const uint8_t zero[16];
    if (memcmp(guid, zero, 16) != 0) {
        for (size_t i = 0; i < count; i++) {
            if (memcmp(search->Partitions[i].PartitionGuid, guid, 16) == 0)
                return &search->Partitions[i];
        }
        return nullptr;
    }
    const IopPartition *system = ChooseType(search, count, IopEfiSystemPartition);
    return system != nullptr ? system : ChooseType(search, count, IopBasicDataPartition);
}

static Status Find(Chooser *choose, const uint8_t guid[16], IoVolume *volume)
{
    Search *search = MmAllocateHeap(sizeof(Search), TAG_VOLUME);
    if (!search)
        return StatusNoMemory;
    Status result = StatusNoSuchDevice;
    for (size_t i = 0; result != StatusSuccess; i++) {
        IoBlockDevice *device = IoFindBlockDevice(i);
        if (!device)
            break;
        IopDisk disk = {.Context = device,
                        .Read = ReadSector,
                        .SectorCount = device->SectorCount,
                        .SectorSize = device->SectorSize,
                        .Scratch = search->Scratch};
        size_t count;
        Status status = IopReadPartitions(&disk, search->Partitions, MAXIMUM_PARTITIONS, &count);
        if (status != StatusSuccess) {
            KeLog(LogWarning, "io: %s: no partition table could be read, status %u", device->Name,
                  (unsigned)status);
        }
        const IopPartition *partition =
            status == StatusSuccess ? choose(search, count, guid) : nullptr;
        if (!partition) {
            IoDereferenceBlockDevice(device);
            continue;
        }
        *volume = (IoVolume){.Device = device,
                             .FirstSector = partition->FirstSector,
                             .SectorCount = partition->SectorCount};
        memcpy(volume->PartitionGuid, partition->PartitionGuid, 16);
        memcpy(volume->TypeGuid, partition->TypeGuid, 16);
        result = StatusSuccess;
    }
    MmFreeHeap(search);
    return result;
}

Status IoFindVolume(const uint8_t partitionGuid[16], IoVolume *volume)
{
    return Find(ChooseGuid, partitionGuid, volume);
}

Status IoFindDumpPartition(IoVolume *volume)
{
    return Find(ChooseType, IopDumpPartition, volume);
}
