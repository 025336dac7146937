// disktest.c - disks tried out at start, by boot options.
//
// A load on the first disk, for measuring: reads of a megabyte each, several under way, straight
// from the block device to memory in a row. Marks (lib/rtl/mark.h) enclose it. And every operation
// once, on a disk that has nothing to lose.
// SPDX-License-Identifier: MIT
#include "iop.h"
#include "rtl/mark.h"

#define TAG_TEST      MM_TAG('I', 'o', 'T', 's')
#define MEGABYTE      (1u << 20)
#define DEPTH         8u
#define MAXIMUM_PARTS 16u // of a read

typedef struct Part {
    IoRequest Request;
    IoSegment Segment;
} Part;
typedef struct Reader { // one read of a megabyte
    Part Parts[MAXIMUM_PARTS];
    volatile uint32_t Left;
    KSemaphore *Done;
    volatile Status Result;
} Reader;

static void PartDone(IoRequest *request)
{
    Reader *reader = request->Context;
    if (request->Result != StatusSuccess)
        reader->Result = request->Result;
    if (__atomic_sub_fetch(&reader->Left, 1, __ATOMIC_ACQ_REL) == 0)
        (void)!KeReleaseSemaphore(reader->Done, 1, nullptr);
}

static void Read(IoBlockDevice *device, Reader *reader, uint8_t *memory, uint64_t offset)
{
    uint32_t bytes = RTL_MAX(RTL_MIN(device->MaximumTransfer, MEGABYTE), MEGABYTE / MAXIMUM_PARTS);
    uint32_t parts = MEGABYTE / bytes;
    reader->Left = parts;
    for (uint32_t i = 0; i < parts; i++) {
        Part *part = &reader->Parts[i];
        part->Segment = (IoSegment){memory + (size_t)i * bytes, bytes};
        part->Request = (IoRequest){.Operation = IoRead,
                                    .Sector = (offset + (uint64_t)i * bytes) / device->SectorSize,
                                    .Count = bytes / device->SectorSize,
                                    .SegmentCount = 1,
                                    .Segments = &part->Segment,
                                    .Complete = PartDone,
                                    .Context = reader};
        IoSubmit(device, &part->Request);
    }
}

// Whichever has ended begins again, until all have been read.
static Status Load(IoBlockDevice *device, Reader *readers, uint8_t *memory, uint32_t megabytes)
{
    KSemaphore done;
    Status result = StatusSuccess;
    uint32_t begun = 0;
    uint64_t there = device->SectorCount * device->SectorSize / MEGABYTE;
    KeInitializeSemaphore(&done, 0, DEPTH);
    for (uint32_t ended = 0; ended < megabytes;) {
        for (uint32_t i = 0; i < DEPTH && begun < megabytes; i++) {
            if (readers[i].Left != 0 || begun - ended == DEPTH)
                continue;
            readers[i].Done = &done;
            Read(device, &readers[i], memory + (size_t)i * MEGABYTE, begun++ % there * MEGABYTE);
        }
        while (KeWaitForObject(&done, KernelWait, KE_INFINITE) != StatusSuccess) {}
        ended++;
    }
    for (uint32_t i = 0; i < DEPTH && result == StatusSuccess; i++)
        result = readers[i].Result;
    return result;
}

// What idle processors do of their own accord - clear pages - would be counted with the reads.
static void WaitUntilIdle(void)
{
    enum { Looks = 100, LookPeriod = 50000000 };
    MmCounters before = {.PagesZeroed = UINT64_MAX}, now;
    for (uint32_t i = 0; i < Looks; i++) {
        MmQueryCounters(&now);
        if (now.PagesZeroed == before.PagesZeroed)
            return;
        before = now;
        (void)!KeDelay(KernelWait, LookPeriod);
    }
}

Status IoTestDisk(uint32_t megabytes)
{
    IoBlockDevice *device = IoFindBlockDevice(0);
    if (!device)
        return StatusNoSuchDevice;
    PhysicalAddress memory;
    Reader *readers = MmAllocateHeap(DEPTH * sizeof(Reader), TAG_TEST);
    Status status = readers ? MmAllocateContiguous(PageDevice, DEPTH * MEGABYTE / PAGE_SIZE,
                                                   PAGE_SIZE, UINT64_MAX, &memory)
                            : StatusNoMemory;
    if (status == StatusSuccess && device->SectorCount * device->SectorSize < MEGABYTE)
        status = StatusNotSupported;
    else if (status == StatusSuccess) {
        WaitUntilIdle();
        uint64_t start = KeQueryTime();
        RTL_MARK(MarkTraceBegin);
        status = Load(device, readers, MmPhysicalToVirtual(memory), megabytes);
        RTL_MARK(MarkTraceEnd);
        KeLog(LogInfo, "io: %s: %u MiB read in %llu us, status %u", device->Name, megabytes,
              (KeQueryTime() - start) / 1000, (unsigned)status);
        MmFreeContiguous(memory, DEPTH * MEGABYTE / PAGE_SIZE);
    }
    MmFreeHeap(readers);
    IoDereferenceBlockDevice(device);
    return status;
}

// ---- every operation

static IoBlockDevice *FindByName(const char *name)
{
    IoBlockDevice *device;
    for (size_t i = 0; (device = IoFindBlockDevice(i)) != nullptr; i++) {
        if (strcmp(device->Name, name) == 0)
            return device;
        IoDereferenceBlockDevice(device);
    }
    return nullptr;
}

static bool IsZero(const uint64_t *words, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(*words); i++)
        if (words[i] != 0)
            return false;
    return true;
}

// Writes, and reads back something that was not there before.
static Status TryWriting(IoBlockDevice *device, uint64_t *words, size_t sectors)
{
    size_t bytes = sectors * device->SectorSize;
    for (size_t i = 0; i < bytes / sizeof(*words); i++)
        words[i] = ~(uint64_t)i << 32 | i;
    uint32_t written = RtlCrc32(0, words, bytes);
    Status status = IoTransfer(device, IoWrite, 0, sectors, words);
    if (status == StatusSuccess)
        status = IoTransfer(device, IoFlush, 0, 0, nullptr);
    memset(words, 0, bytes);
    if (status == StatusSuccess)
        status = IoTransfer(device, IoRead, 0, sectors, words);
    if (status == StatusSuccess && RtlCrc32(0, words, bytes) != written)
        status = StatusIoError;
    memset(words, 0, bytes);
    Status cleared = IoTransfer(device, device->Unmaps ? IoUnmap : IoWrite, 0, sectors, words);
    return status == StatusSuccess ? cleared : status;
}

Status IoTryDisk(const char *name)
{
    IoBlockDevice *device = FindByName(name);
    if (!device)
        return StatusNoSuchDevice;
    size_t sectors = (size_t)RTL_MIN(device->SectorCount, MEGABYTE / device->SectorSize);
    size_t bytes = sectors * device->SectorSize;
    uint64_t *words = MmAllocateHeap(MEGABYTE, TAG_TEST);
    Status status = words ? IoTransfer(device, IoRead, 0, sectors, words) : StatusNoMemory;
    if (status == StatusSuccess)
        KeLog(LogInfo, "io: %s: checksum %08x of %zu sectors", name, RtlCrc32(0, words, bytes),
              sectors);
    if (status == StatusSuccess && !device->ReadOnly && IsZero(words, bytes)) {
        status = TryWriting(device, words, sectors);
        if (status == StatusSuccess)
            KeLog(LogInfo, "io: %s: written, read back and %s", name,
                  device->Unmaps ? "unmapped" : "zeroed");
    }
    MmFreeHeap(words);
    IoDereferenceBlockDevice(device);
    return status;
}
