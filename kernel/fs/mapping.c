// mapping.c - files as sections: the pager behind mapped files.
//
// A mapping keeps its file open and has a copy of the map from file clusters to the disk, so that a
// page fault takes none of the file's locks: the fault may come from copying between the program
// and a file whose lock is held, even this one. The copy stays true because a mapped file never
// gets shorter (FspResize). Clusters must be whole pages of the block cache, or a page of the file
// would not be one of the cache.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define AHEAD 0x10000u // bytes a page fault that misses reads at once

typedef struct Mapping {
    FspNode *Node; // referenced
    uint32_t ExtentCount;
    FspExtent Extents[];
} Mapping;

static bool HasWholePages(void)
{
    const FspVolume *volume = &FspTheVolume;
    uint64_t start = volume->Volume.FirstSector * volume->Volume.Device->SectorSize;
    return (start + volume->DataOffset) % PAGE_SIZE == 0 && volume->ClusterBytes % PAGE_SIZE == 0;
}

static const FspExtent *FindExtent(const Mapping *mapping, uint32_t cluster)
{
    uint32_t low = 0, high = mapping->ExtentCount;
    while (high - low > 1) { // the last extent with FileCluster <= cluster
        uint32_t middle = (low + high) / 2;
        if (mapping->Extents[middle].FileCluster <= cluster)
            low = middle;
        else
            high = middle;
    }
    return &mapping->Extents[low];
}

static Status Pin(void *context, uint64_t offset, PhysicalAddress *page)
{
    const FspVolume *volume = &FspTheVolume;
    const Mapping *mapping = context;
    const FspExtent *extent = FindExtent(mapping, (uint32_t)(offset >> volume->ClusterShift));
    uint64_t within = offset - ((uint64_t)extent->FileCluster << volume->ClusterShift);
    uint64_t run = ((uint64_t)extent->Count << volume->ClusterShift) - within;
    uint64_t first =
        volume->DataOffset + ((uint64_t)(extent->DiskCluster - 2) << volume->ClusterShift) + within;
    return IoCachePin(&volume->Volume, first, (size_t)RTL_MIN(run, AHEAD) - PAGE_SIZE, page);
}

static Status BeginWrite(void *context)
{
    const Mapping *mapping = context;
    Status status = IoCacheThrottle(&FspTheVolume.Volume);
    if (status == StatusSuccess)
        status = FspBeginWrite(mapping->Node);
    if (status == StatusSuccess)
        FspEndWrite(mapping->Node);
    return status;
}

static void Release(void *context)
{
    Mapping *mapping = context;
    __atomic_sub_fetch(&mapping->Node->Mappings, 1, __ATOMIC_RELEASE);
    FspLock();
    FspDereferenceNode(mapping->Node);
    FspUnlock();
    MmFreeHeap(mapping);
}

static const MmPager Pager = {.Pin = Pin, .BeginWrite = BeginWrite, .Release = Release};

// N is held and the file's first `clusters` clusters are mapped.
static Mapping *CopyExtents(FspNode *node, uint32_t clusters)
{
    uint32_t count = 0;
    while (count < node->ExtentCount && node->Extents[count].FileCluster < clusters)
        count++;
    Mapping *mapping = MmAllocateHeap(sizeof(Mapping) + count * sizeof(FspExtent), FSP_TAG);
    if (mapping) {
        mapping->Node = node;
        mapping->ExtentCount = count;
        memcpy(mapping->Extents, node->Extents, count * sizeof(FspExtent));
    }
    return mapping;
}

// N is held. *size 0 becomes the file's.
static Status MakeMapping(FspNode *node, uint64_t *size, Mapping **result)
{
    if (*size == 0)
        *size = node->Size;
    if (*size == 0 || *size > node->Size)
        return StatusInvalidParameter;
    Status status = FspMapRange(node, *size);
    if (status != StatusSuccess)
        return status;
    uint64_t clusters = (*size + FspTheVolume.ClusterBytes - 1) >> FspTheVolume.ClusterShift;
    *result = CopyExtents(node, (uint32_t)clusters);
    if (!*result)
        return StatusNoMemory;
    __atomic_add_fetch(&node->Mappings, 1, __ATOMIC_ACQUIRE);
    FspLock();
    FspReferenceNode(node);
    FspUnlock();
    return StatusSuccess;
}

Status FsCreateSection(FsFile *file, uint64_t size, bool writable, MmSection **section)
{
    if (file->Kind != FspDisk || !HasWholePages())
        return StatusNotSupported;
    if (!(file->Access & FileRead) || (writable && !(file->Access & FileWrite)))
        return StatusAccessDenied;
    Mapping *mapping;
    FspLockNode(file->Disk.Node);
    Status status = MakeMapping(file->Disk.Node, &size, &mapping);
    FspUnlockNode(file->Disk.Node);
    if (status != StatusSuccess)
        return status;
    status = MmCreateFileSection(size, &Pager, mapping, section);
    if (status != StatusSuccess)
        Release(mapping);
    return status;
}
