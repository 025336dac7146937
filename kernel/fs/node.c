// node.c - the file table: one node per file that is open or was open lately, and its cluster map.
//
// A node is found by path (so that opening a file again costs no directory search) and by identity,
// the place of its directory entry (so that two spellings of a path, or a short name, meet in one
// node). Nodes nobody has open stay, up to CLOSED_NODES of them, until their file goes or is
// renamed.
//
// FatFs reads and writes directory entries and the FAT. It is made to walk a file's chain a cluster
// at a time, once, and what it found is kept as extents: the FIL's position always stands at the
// end of the mapped clusters, and each f_lseek from there to the end of the next cluster costs one
// FAT entry. FA_WRITE is set in the FIL only while a chain may grow or be cut, because f_lseek
// repairs a chain that is too short by allocating when it may write, and reading must not change a
// damaged volume.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define BUCKETS              64u
#define CLOSED_NODES         128u
#define DIRECTORY_ENTRY_SIZE 32u
#define ENTRY_ATTRIBUTES     11u // offsets in a directory entry
#define ENTRY_TIME           22u

static struct { // V
    ListEntry ByPath[BUCKETS], ByIdentity[BUCKETS];
    ListEntry Closed; // most recently closed first
    ListEntry Modified;
    uint32_t ClosedCount;
    uint64_t NextSeed;
} Nodes;

void FspInitializeNodes(void)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        RtlInitializeList(&Nodes.ByPath[i]);
        RtlInitializeList(&Nodes.ByIdentity[i]);
    }
    RtlInitializeList(&Nodes.Closed);
    RtlInitializeList(&Nodes.Modified);
}

static ListEntry *IdentityBucket(uint64_t identity)
{
    return &Nodes.ByIdentity[identity % BUCKETS];
}

// ---- life of a node

static FspNode *LookUpPath(const char *path, uint64_t hash)
{
    RTL_FOR_EACH (entry, &Nodes.ByPath[hash % BUCKETS]) {
        FspNode *node = RTL_CONTAINER_OF(entry, FspNode, PathLink);
        if (node->PathHash == hash && FspPathsEqual(node->Path, path))
            return node;
    }
    return nullptr;
}

static FspNode *LookUpIdentity(uint64_t identity)
{
    RTL_FOR_EACH (entry, IdentityBucket(identity)) {
        FspNode *node = RTL_CONTAINER_OF(entry, FspNode, IdentityLink);
        if (node->Identity == identity)
            return node;
    }
    return nullptr;
}

static void Unlink(FspNode *node)
{
    RtlRemoveEntry(&node->PathLink);
    RtlRemoveEntry(&node->IdentityLink);
    RtlRemoveEntry(&node->LruLink);
    RtlRemoveEntry(&node->ModifiedLink);
    if (node->Written) // its stamp is forgotten: a new node for this place must not repeat it
        FspTheVolume.Generation++;
    MmFreeHeap(node->Extents);
    MmFreeHeap(node->Path);
    MmFreeHeap(node);
}

void FspDropNode(FspNode *node)
{
    KE_ASSERT(node->OpenCount == 0);
    Nodes.ClosedCount--;
    Unlink(node);
}

void FspTrimClosed(uint32_t limit)
{
    ListEntry *entry = Nodes.Closed.Previous;
    while (Nodes.ClosedCount > limit && entry != &Nodes.Closed) {
        FspNode *node = RTL_CONTAINER_OF(entry, FspNode, LruLink);
        entry = entry->Previous;
        if (RtlIsListEmpty(&node->ModifiedLink)) // else the sync failed; it is tried again
            FspDropNode(node);
    }
}

void FspReferenceNode(FspNode *node)
{
    if (node->OpenCount++ == 0) {
        RtlRemoveEntry(&node->LruLink);
        Nodes.ClosedCount--;
    }
}

void FspDereferenceNode(FspNode *node)
{
    if (--node->OpenCount)
        return;
    Status status = FspSyncNode(node);
    if (status != StatusSuccess)
        KeLog(LogError, "fs: %s: closing failed, status %u", node->Path, (unsigned)status);
    RtlInsertHead(&Nodes.Closed, &node->LruLink);
    Nodes.ClosedCount++;
    FspTrimClosed(CLOSED_NODES);
}

static uint32_t Load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// Mixes bits well enough that equal results mean equal inputs for all practical purposes.
static uint64_t Mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull; // splitmix64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

static uint64_t IdentityOf(const FIL *file)
{
    uint64_t place = (uint64_t)file->dir_sect * FspTheVolume.Volume.Device->SectorSize;
    return (place + (uint64_t)(file->dir_ptr - FspTheVolume.Fat.win)) / DIRECTORY_ENTRY_SIZE;
}

// The memory of a node: nullptr when there is none.
static FspNode *NewNode(const char *path)
{
    size_t length = strlen(path) + 1;
    FspNode *node = MmAllocateHeap(sizeof(FspNode), FSP_TAG);
    char *copy = MmAllocateHeap(length, FSP_TAG);
    if (!node || !copy) {
        MmFreeHeap(node);
        MmFreeHeap(copy);
        return nullptr;
    }
    memcpy(copy, path, length);
    node->Path = copy;
    node->PathHash = FspHashPath(path);
    return node;
}

static void FreeNewNode(FspNode *node)
{
    MmFreeHeap(node->Path);
    MmFreeHeap(node);
}

// Makes a closed node for a file FatFs has just opened, its directory entry still in the window.
static void EnterNode(FspNode *node, const FIL *file)
{
    node->Identity = IdentityOf(file);
    node->File = *file;
    node->File.flag &= (BYTE)~FA_WRITE;
    node->Size = file->obj.objsize;
    const uint8_t *entry = file->dir_ptr;
    node->ReadOnly = entry[ENTRY_ATTRIBUTES] & AM_RDO;
    uint32_t time = Load32(entry + ENTRY_TIME);
    node->ModifyTime = FspFromFatTime(time);
    node->Seed =
        Mix(Mix(time | node->Size << 32) ^ file->obj.sclust ^ FspTheVolume.Generation << 40);
    RtlInitializeList(&node->ModifiedLink);
    RtlInitializeList(&node->Locks);
    RtlInsertHead(&Nodes.ByPath[node->PathHash % BUCKETS], &node->PathLink);
    RtlInsertHead(IdentityBucket(node->Identity), &node->IdentityLink);
    RtlInsertHead(&Nodes.Closed, &node->LruLink);
    Nodes.ClosedCount++;
    FspTrimClosed(CLOSED_NODES);
}

// FatFs says "no file" to opening a directory.
static Status ExplainMissing(const char *path, Status status)
{
    if (status != StatusNotFound)
        return status;
    FILINFO *info = &FspTheVolume.Info;
    return f_stat(path, info) == FR_OK && (info->fattrib & AM_DIR) ? StatusIsADirectory
                                                                   : StatusNotFound;
}

Status FspFindNode(const char *path, FspNode **result)
{
    uint64_t hash = FspHashPath(path);
    FspNode *node = LookUpPath(path, hash);
    if (node) {
        *result = node;
        return StatusSuccess;
    }
    if (path[1] == 0)
        return StatusIsADirectory;
    FIL file;
    Status status = FspFromResult(f_open(&file, path, FA_READ));
    if (status != StatusSuccess)
        return ExplainMissing(path, status);
    if (file.obj.objsize > (uint64_t)(FspTheVolume.Fat.n_fatent - 2) * FspTheVolume.ClusterBytes)
        return StatusCorrupt;
    node = LookUpIdentity(IdentityOf(&file));
    if (node) {
        *result = node;
        return StatusSuccess;
    }
    node = NewNode(path);
    if (!node)
        return StatusNoMemory;
    EnterNode(node, &file);
    *result = node;
    return StatusSuccess;
}

Status FspCreateNode(const char *path, FspNode **result)
{
    Status status = FspBeginChange();
    if (status != StatusSuccess)
        return status;
    FspNode *node = NewNode(path); // first: what comes after the file is made cannot fail
    if (!node)
        return StatusNoMemory;
    FIL file;
    FRESULT made = f_open(&file, path, FA_READ | FA_WRITE | FA_CREATE_NEW);
    if (made != FR_OK) {
        FreeNewNode(node);
        return made == FR_DENIED ? StatusDiskFull // no room for the directory entry
                                 : FspFromResult(made);
    }
    EnterNode(node, &file);
    *result = node;
    (*result)->Seed = Mix((*result)->Seed + ++Nodes.NextSeed);
    (*result)->Written = true;
    FspMarkModified(*result);
    return StatusSuccess;
}

static bool IsContended(void *context)
{
    return ((FspNode *)context)->Lock == 2;
}

void FspWaitForNode(FspNode *node)
{
    while (__atomic_exchange_n(&node->Lock, 2, __ATOMIC_ACQUIRE) != 0) {
        Status status = KeWaitOnKey((uintptr_t)&Nodes, (uintptr_t)node, IsContended, node,
                                    KernelWait, KE_INFINITE);
        KE_ASSERT(status == StatusSuccess || status == StatusWouldBlock);
    }
}

void FspWakeNode(FspNode *node)
{
    KeWakeKey((uintptr_t)&Nodes, (uintptr_t)node, 1);
}

void FspForgetPaths(void)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        while (!RtlIsListEmpty(&Nodes.ByPath[i]))
            RtlRemoveEntry(Nodes.ByPath[i].Next);
    }
}

// ---- bringing the directory entry up to date

void FspMarkModified(FspNode *node)
{
    if (RtlIsListEmpty(&node->ModifiedLink))
        RtlInsertTail(&Nodes.Modified, &node->ModifiedLink);
}

Status FspSyncNode(FspNode *node)
{
    if (RtlIsListEmpty(&node->ModifiedLink))
        return StatusSuccess;
    FRESULT result = FR_OK;
    if (node->Touched) {
        node->Touched = false;
        UINT none;
        node->File.flag |= FA_WRITE;
        result = f_write(&node->File, "", 0, &none); // marks the FIL as modified
        node->File.flag &= (BYTE)~FA_WRITE;
    }
    FspTimeForFat = node->ModifyTime;
    if (result == FR_OK)
        result = f_sync(&node->File);
    FspTimeForFat = 0;
    if (result == FR_OK)
        RtlRemoveEntry(&node->ModifiedLink);
    else
        node->Touched = true;
    return FspFromResult(result);
}

Status FspSyncAll(void)
{
    Status result = StatusSuccess;
    for (ListEntry *entry = Nodes.Modified.Next; entry != &Nodes.Modified;) {
        FspNode *node = RTL_CONTAINER_OF(entry, FspNode, ModifiedLink);
        entry = entry->Next;
        Status status = FspSyncNode(node);
        if (result == StatusSuccess)
            result = status;
    }
    return result;
}

void FspQueryNode(const FspNode *node, FileInfo *info)
{
    *info = (FileInfo){.Size = node->Size,
                       .ModifyTime = node->ModifyTime,
                       .Attributes = node->ReadOnly ? FileAttributeReadOnly : 0};
}

void FsQueryIdentity(FsFile *file, uint64_t *identity, uint64_t *stamp)
{
    *identity = *stamp = 0;
    if (file->Kind != FspDisk)
        return;
    *identity = file->Disk.Node->Identity;
    *stamp = Mix(file->Disk.Node->Seed + file->Disk.Node->WriteCount);
}

// ---- the cluster map

// Moves the FIL's position. FatFs keeps a FIL that failed once unusable; here it stays where it
// was.
static Status Seek(FIL *file, uint64_t position)
{
    FSIZE_t before = file->fptr;
    DWORD cluster = file->clust;
    Status status = FspFromResult(f_lseek(file, (FSIZE_t)position));
    if (status != StatusSuccess) {
        file->fptr = before;
        file->clust = cluster;
        file->err = 0;
    }
    return status;
}

// Enters cluster number MappedClusters of the file.
static Status AppendCluster(FspNode *node, uint32_t cluster)
{
    if (cluster < 2 || cluster >= FspTheVolume.Fat.n_fatent)
        return StatusCorrupt;
    FspExtent *last = node->ExtentCount ? &node->Extents[node->ExtentCount - 1] : nullptr;
    if (last && last->DiskCluster + last->Count == cluster) {
        last->Count++;
    } else {
        if (node->ExtentCount == node->ExtentCapacity) {
            uint32_t capacity = node->ExtentCapacity ? node->ExtentCapacity * 2 : 4;
            FspExtent *larger = MmAllocateHeap(capacity * sizeof(FspExtent), FSP_TAG);
            if (!larger)
                return StatusNoMemory;
            if (node->ExtentCount)
                memcpy(larger, node->Extents, node->ExtentCount * sizeof(FspExtent));
            MmFreeHeap(node->Extents);
            node->Extents = larger;
            node->ExtentCapacity = capacity;
        }
        node->Extents[node->ExtentCount++] = (FspExtent){node->MappedClusters, cluster, 1};
    }
    node->MappedClusters++;
    return StatusSuccess;
}

Status FspMap(FspNode *node, uint64_t clusters)
{
    FspVolume *volume = &FspTheVolume;
    FIL *file = &node->File;
    if (clusters > volume->Fat.n_fatent - 2 || (clusters && !file->obj.sclust))
        return StatusCorrupt;
    while (node->MappedClusters < clusters) {
        uint64_t end = ((uint64_t)node->MappedClusters + 1) << volume->ClusterShift;
        end = RTL_MIN(end, file->obj.objsize);
        Status status = Seek(file, end);
        if (status != StatusSuccess)
            return status;
        if (file->fptr != end)
            return StatusCorrupt;
        status = AppendCluster(node, file->clust);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

static uint64_t ClustersOf(uint64_t size)
{
    return (size + FspTheVolume.ClusterBytes - 1) >> FspTheVolume.ClusterShift;
}

Status FspGrow(FspNode *node, uint64_t size, uint64_t *reached)
{
    FspVolume *volume = &FspTheVolume;
    FIL *file = &node->File;
    *reached = node->Size;
    Status status = FspMap(node, ClustersOf(node->Size));
    uint64_t clusters = ClustersOf(size);
    file->flag |= FA_WRITE;
    while (status == StatusSuccess && node->Size < size) {
        uint64_t end = (uint64_t)RTL_MAX(node->MappedClusters, 1u) << volume->ClusterShift;
        if (node->Size == end) // the last cluster is full
            end += volume->ClusterBytes;
        end = RTL_MIN(end, size);
        status = Seek(file, end);
        if (status != StatusSuccess)
            break;
        if (file->fptr != end) {
            status = StatusDiskFull;
            break;
        }
        if (node->MappedClusters < RTL_MIN(ClustersOf(end), clusters))
            status = AppendCluster(node, file->clust);
        if (status == StatusSuccess)
            node->Size = *reached = end;
    }
    file->flag &= (BYTE)~FA_WRITE;
    FspMarkModified(node);
    return status;
}

// Drops what is mapped beyond `clusters`.
static void TrimExtents(FspNode *node, uint32_t clusters)
{
    while (node->ExtentCount) {
        FspExtent *last = &node->Extents[node->ExtentCount - 1];
        if (last->FileCluster < clusters) {
            last->Count = RTL_MIN(last->Count, clusters - last->FileCluster);
            break;
        }
        node->ExtentCount--;
    }
    node->MappedClusters = RTL_MIN(node->MappedClusters, clusters);
    node->LastExtent = 0;
}

Status FspCut(FspNode *node, uint64_t size)
{
    FIL *file = &node->File;
    if (size >= file->obj.objsize)
        return StatusSuccess;
    if (size && !file->obj.sclust)
        return StatusCorrupt;
    Status status = Seek(file, size); // without FA_WRITE: repairs nothing
    if (status != StatusSuccess)
        return status;
    file->flag |= FA_WRITE;
    status = FspFromResult(f_truncate(file));
    file->flag &= (BYTE)~FA_WRITE;
    file->err = 0;
    uint64_t clusters = ClustersOf(size);
    if (node->MappedClusters < clusters) // the position must stay at the end of the map
        TrimExtents(node, 0);
    else
        TrimExtents(node, (uint32_t)clusters);
    if (!node->MappedClusters)
        file->fptr = 0;
    node->Size = file->obj.objsize;
    FspMarkModified(node);
    return status;
}

const FspExtent *FspFindExtent(FspNode *node, uint32_t cluster)
{
    uint32_t low = node->LastExtent;
    if (low < node->ExtentCount) {
        const FspExtent *extent = &node->Extents[low];
        if (cluster - extent->FileCluster < extent->Count)
            return extent;
    }
    uint32_t high = node->ExtentCount;
    low = 0;
    while (high - low > 1) { // the last extent with FileCluster <= cluster
        uint32_t middle = (low + high) / 2;
        if (node->Extents[middle].FileCluster <= cluster)
            low = middle;
        else
            high = middle;
    }
    node->LastExtent = low;
    return &node->Extents[low];
}
