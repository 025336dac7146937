// dump.c - crash dumps, seen from a system that is well: the one that the last stop left becomes a
// file, and the next stop gets what it needs to leave one.
//
// Dumps have a partition of their own (tools/mkimage makes it), which nothing else touches; so the
// writer, kernel/kd/dump.c, needs no file system. A dump is copied into the boot volume and, once
// the file is on the disk, its mark in the partition is taken away. One file is kept, the newest.
// SPDX-License-Identifier: MIT
#include "kd.h"
#include "sysi.h"

static uint32_t ClassOfFrame(uint64_t frame)
{
    switch (MmQueryPageUse(frame)) {
    case PageKernelImage:
    case PageTable:
    case PageStack:
        return 1;
    case PageHeap:
    case PageDevice:
        return 2;
    case PageProcess:
        return 3;
    case PageSection:
        return 4;
    default:
        return 0;
    }
}

#define DUMP_FILE "/system/memory.dmp"

// Copies size bytes from the volume's beginning into the file.
static Status CopyDump(const IoVolume *volume, uint64_t size, uint8_t *buffer, size_t bufferSize)
{
    FsFile *file;
    uint64_t offset = 0;
    Status status = FsOpen(DUMP_FILE, FileWrite, FileCreateAlways, &file);
    if (status != StatusSuccess)
        return status;
    while (offset < size && status == StatusSuccess) {
        size_t piece = (size_t)RTL_MIN(size - offset, (uint64_t)bufferSize), written;
        status = IoTransfer(volume->Device, IoRead,
                            volume->FirstSector + offset / volume->Device->SectorSize,
                            piece / volume->Device->SectorSize, buffer);
        if (status == StatusSuccess)
            status = FsWrite(file, &offset, buffer, piece, &written);
        offset += piece;
    }
    if (status == StatusSuccess)
        status = FsFlush(file);
    ObDereference(file);
    if (status != StatusSuccess)
        (void)FsDelete(DUMP_FILE);
    return status;
}

// What a bugcheck left becomes a file, once: then its mark is taken away.
static Status KeepDump(const IoVolume *volume)
{
    enum { BufferSize = 256 * 1024 };
    uint64_t size, space = volume->SectorCount * volume->Device->SectorSize;
    uint8_t *buffer = MmAllocateHeap(BufferSize, MM_TAG('D', 'u', 'm', 'p'));
    if (buffer == nullptr)
        return StatusNoMemory;
    size_t headerSectors = KD_DUMP_HEADER_SIZE / volume->Device->SectorSize;
    Status status = IoTransfer(volume->Device, IoRead, volume->FirstSector, headerSectors, buffer);
    if (status == StatusSuccess && KdCheckDump(buffer, space, &size)) {
        status = CopyDump(volume, size, buffer, BufferSize);
        if (status == StatusSuccess) {
            KeLog(LogWarning, "kd: the system stopped on a bugcheck; its memory is in %s, %llu KiB",
                  DUMP_FILE, size >> 10);
            memset(buffer, 0, KD_DUMP_HEADER_SIZE);
            status =
                IoTransfer(volume->Device, IoWrite, volume->FirstSector, headerSectors, buffer);
        }
    }
    MmFreeHeap(buffer);
    return status;
}

Status SysStartDumps(const LoaderParams *loader)
{
    IoVolume volume;
    KdDumpDevice device;
    PhysicalAddress bitmap;
    size_t size = KdDumpBitmapSize(loader);
    if (IoFindDumpPartition(&volume) != StatusSuccess)
        return StatusSuccess; // a disk without room for dumps
    Status status = KeepDump(&volume);
    if (status != StatusSuccess)
        KeLog(LogWarning, "kd: the crash dump could not be kept: %s", RtlStatusText(status));
    if (volume.Device->PrepareDump == nullptr)
        return StatusNotSupported;
    status = volume.Device->PrepareDump(volume.Device, &device);
    if (status == StatusSuccess)
        status = MmAllocateContiguous(PageHeap, size / PAGE_SIZE, PAGE_SIZE, UINT64_MAX, &bitmap);
    if (status == StatusSuccess)
        KdEnableDump(loader, &device, volume.FirstSector, volume.SectorCount,
                     MmPhysicalToVirtual(bitmap), ClassOfFrame);
    return status;
}
