// data.c - file contents: between the caller's buffer and the block cache, through the cluster map.
//
// FatFs takes no part in this. A read or an overwrite inside the file's size costs an extent
// look-up and the copy; only mapping clusters for the first time and allocating new ones takes the
// volume lock. When a file grows, everything from its old end to the end of the page that holds the
// new end (inside the cluster) is written, data or zeros: no stale disk content can appear, and a
// fresh page is whole without being read first.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define MAXIMUM_SIZE 0xFFFFFFFFull // FAT: 4 GiB - 1
#define AHEAD_WINDOW (256u * 1024u)

typedef enum Direction : uint8_t { CopyOut, CopyIn, FillZero } Direction;

Status FspMapRange(FspNode *node, uint64_t end)
{
    uint64_t clusters = (end + FspTheVolume.ClusterBytes - 1) >> FspTheVolume.ClusterShift;
    if (clusters <= node->MappedClusters)
        return StatusSuccess;
    FspLock();
    Status status = FspMap(node, clusters);
    FspUnlock();
    return status;
}

// Where on the volume the byte is, and how many follow it in a row on the disk.
static uint64_t Locate(FspNode *node, uint64_t position, uint64_t *run)
{
    const FspVolume *volume = &FspTheVolume;
    const FspExtent *extent = FspFindExtent(node, (uint32_t)(position >> volume->ClusterShift));
    uint64_t within = position - ((uint64_t)extent->FileCluster << volume->ClusterShift);
    *run = ((uint64_t)extent->Count << volume->ClusterShift) - within;
    return volume->DataOffset + ((uint64_t)(extent->DiskCluster - 2) << volume->ClusterShift) +
           within;
}

// Moves bytes of a range that is mapped; `buffer` is nullptr for zeros. *done counts what was
// moved, also on an error.
static Status Transfer(FspNode *node, Direction direction, uint64_t position,
                       const FspBuffer *buffer, size_t size, size_t *done, bool *missed)
{
    const IoVolume *volume = &FspTheVolume.Volume;
    Status status = StatusSuccess;
    *done = 0;
    while (*done < size && status == StatusSuccess) {
        uint64_t run;
        uint64_t offset = Locate(node, position + *done, &run);
        size_t part = (size_t)RTL_MIN(run, size - *done);
        if (direction == CopyOut)
            status = IoCacheRead(volume, offset, part, buffer->Memory, buffer->At + *done, missed);
        else if (direction == CopyIn)
            status = IoCacheWrite(volume, offset, part, buffer->Memory, buffer->At + *done);
        else
            status = IoCacheZero(volume, offset, part);
        if (status == StatusSuccess)
            *done += part;
    }
    return status;
}

// ---- reading

// Starts reading the window after `position`; returns whether anything was not cached.
static bool ReadAhead(FsFile *file, uint64_t position)
{
    FspNode *node = file->Disk.Node;
    uint64_t end = RTL_MIN(position + AHEAD_WINDOW, node->Size);
    if (position >= end || FspMapRange(node, end) != StatusSuccess)
        return false;
    size_t asked = 0;
    for (uint64_t at = position; at < end;) {
        uint64_t run;
        uint64_t offset = Locate(node, at, &run);
        size_t part = (size_t)RTL_MIN(run, end - at);
        asked += IoCachePrefetch(&FspTheVolume.Volume, offset, part);
        at += part;
    }
    file->Disk.AheadEnd = end;
    return asked != 0;
}

// After a read that ended at `end`: keeps half a window of read-ahead in front of a sequential
// reader. It begins with a read that missed and stops when the disk need not be asked any more.
static void TrackSequence(FsFile *file, bool sequential, bool missed, uint64_t end)
{
    if (!sequential) {
        file->Disk.AheadEnd = 0;
    } else if (missed && file->Disk.AheadEnd < end) {
        ReadAhead(file, end);
    } else if (file->Disk.AheadEnd > end && file->Disk.AheadEnd - end < AHEAD_WINDOW / 2) {
        if (!ReadAhead(file, file->Disk.AheadEnd))
            file->Disk.AheadEnd = 0;
    }
    file->Disk.NextOffset = end;
}

Status FspReadDisk(FsFile *file, const uint64_t *offset, const FspBuffer *buffer,
                   size_t *transferred)
{
    FspNode *node = file->Disk.Node;
    size_t size = buffer->Size;
    FspLockNode(node);
    uint64_t position = offset ? *offset : file->Disk.Position;
    Status status = StatusSuccess;
    if (position >= node->Size) {
        status = size ? StatusEndOfFile : StatusSuccess;
    } else if (size) {
        bool missed = false, sequential = position == file->Disk.NextOffset;
        size = (size_t)RTL_MIN(size, node->Size - position);
        status = FspMapRange(node, position + size);
        if (status == StatusSuccess)
            status = Transfer(node, CopyOut, position, buffer, size, transferred, &missed);
        if (status == StatusSuccess)
            TrackSequence(file, sequential, missed, position + size);
        if (!offset)
            file->Disk.Position = position + *transferred;
    }
    FspUnlockNode(node);
    return status;
}

// ---- writing

static uint64_t TailEnd(uint64_t size)
{
    uint64_t page = RTL_ALIGN_UP(size, PAGE_SIZE),
             cluster = RTL_ALIGN_UP(size, FspTheVolume.ClusterBytes);
    return RTL_MIN(page, cluster);
}

// Cuts a file back after a growth that could not be filled.
static void Retreat(FspNode *node, uint64_t size)
{
    FspLock();
    Status status = FspCut(node, size);
    FspUnlock();
    if (status != StatusSuccess)
        KeLog(LogError, "fs: %s: cutting back failed, status %u", node->Path, (unsigned)status);
}

// Allocates up to `end` and zeroes [old size, position) and what follows the new end in its page.
// *reached is the new size; at least position, or nothing has changed.
static Status Extend(FspNode *node, uint64_t position, uint64_t end, uint64_t *reached)
{
    uint64_t oldSize = node->Size;
    FspLock();
    Status status = FspGrow(node, end, reached);
    FspUnlock();
    size_t done;
    Status zeroed = StatusSuccess;
    if (*reached > oldSize && *reached >= position) {
        if (position > oldSize)
            zeroed = Transfer(node, FillZero, oldSize, nullptr, (size_t)(position - oldSize), &done,
                              nullptr);
        uint64_t tail = TailEnd(*reached);
        if (zeroed == StatusSuccess && tail > *reached)
            zeroed = Transfer(node, FillZero, *reached, nullptr, (size_t)(tail - *reached), &done,
                              nullptr);
    }
    if (zeroed != StatusSuccess || *reached < position) {
        if (*reached > oldSize)
            Retreat(node, oldSize);
        *reached = oldSize;
        return zeroed != StatusSuccess ? zeroed : status;
    }
    return status;
}

Status FspBeginWrite(FspNode *node)
{
    FspVolume *volume = &FspTheVolume;
    __atomic_add_fetch(&volume->Writers, 1, __ATOMIC_ACQ_REL);
    __atomic_add_fetch(&node->WriteCount, 1, __ATOMIC_RELAXED);
    if (node->Touched && volume->FlushArmed && volume->MarkedDirty && !volume->ReadOnly) {
        __atomic_add_fetch(&volume->Changes, 1, __ATOMIC_ACQ_REL);
        node->ModifyTime = KeQuerySystemTime();
        return StatusSuccess;
    }
    FspLock();
    Status status = FspBeginChange();
    if (status == StatusSuccess) {
        node->Touched = node->Written = true;
        node->ModifyTime = KeQuerySystemTime();
        FspMarkModified(node);
    }
    FspUnlock();
    if (status != StatusSuccess)
        __atomic_sub_fetch(&volume->Writers, 1, __ATOMIC_ACQ_REL);
    return status;
}

void FspEndWrite(FspNode *node)
{
    __atomic_add_fetch(&node->WriteCount, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&FspTheVolume.Writers, 1, __ATOMIC_ACQ_REL);
}

// N is held and the write begun; [position, position + size) lies inside what FAT can hold.
static Status WriteRange(FspNode *node, uint64_t position, const FspBuffer *buffer, size_t size,
                         size_t *transferred)
{
    Status status = StatusSuccess, extended = StatusSuccess;
    uint64_t oldSize = node->Size, end = position + size;
    if (end > oldSize) {
        uint64_t reached;
        extended = Extend(node, position, end, &reached);
        if (reached <= position) {
            if (node->Size > oldSize)
                Retreat(node, oldSize);
            return extended;
        }
        size = (size_t)(RTL_MIN(end, reached) - position);
    }
    status = FspMapRange(node, position + size);
    if (status == StatusSuccess)
        status = Transfer(node, CopyIn, position, buffer, size, transferred, nullptr);
    if (status != StatusSuccess && node->Size > oldSize)
        Retreat(node, RTL_MAX(oldSize, position + *transferred));
    return status != StatusSuccess ? status : extended;
}

static Status WriteAt(FspNode *node, uint64_t position, const FspBuffer *buffer,
                      size_t *transferred)
{
    if (position >= MAXIMUM_SIZE)
        return StatusFileTooLarge;
    size_t fits = (size_t)RTL_MIN(buffer->Size, MAXIMUM_SIZE - position);
    Status status = FspBeginWrite(node);
    if (status != StatusSuccess)
        return status;
    status = WriteRange(node, position, buffer, fits, transferred);
    FspEndWrite(node);
    return status == StatusSuccess && fits < buffer->Size ? StatusFileTooLarge : status;
}

Status FspWriteDisk(FsFile *file, const uint64_t *offset, const FspBuffer *buffer,
                    size_t *transferred)
{
    FspNode *node = file->Disk.Node;
    if (!buffer->Size)
        return StatusSuccess;
    FspLockNode(node);
    uint64_t position = file->Access & FileAppend ? node->Size
                        : offset                  ? *offset
                                                  : file->Disk.Position;
    Status status = WriteAt(node, position, buffer, transferred);
    if (!offset)
        file->Disk.Position = position + *transferred;
    FspUnlockNode(node);
    return status;
}

static Status ResizeLocked(FspNode *node, uint64_t size)
{
    uint64_t oldSize = node->Size, reached;
    if (size > oldSize)
        return Extend(node, size, size, &reached);
    if (__atomic_load_n(&node->Mappings, __ATOMIC_ACQUIRE))
        return StatusSharingViolation;
    FspLock();
    Status status = FspCut(node, size);
    FspUnlock();
    return status;
}

Status FspResize(FspNode *node, uint64_t size)
{
    if (size > MAXIMUM_SIZE)
        return StatusFileTooLarge;
    Status status = StatusSuccess;
    FspLockNode(node);
    if (size != node->Size) {
        status = FspBeginWrite(node);
        if (status == StatusSuccess) {
            status = ResizeLocked(node, size);
            FspEndWrite(node);
        }
    }
    FspUnlockNode(node);
    return status;
}

Status FspSetTime(FspNode *node, uint64_t modifyTime)
{
    FspLockNode(node);
    Status status = FspBeginWrite(node);
    if (status == StatusSuccess) {
        FspEndWrite(node);
        FspLock();
        node->ModifyTime = modifyTime;
        FspUnlock();
    }
    FspUnlockNode(node);
    return status;
}
