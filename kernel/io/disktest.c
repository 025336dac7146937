// disktest.c - a load on the first disk, for measuring: reads of a megabyte each, several under
// way, straight from the block device to memory in a row. Marks (lib/rtl/mark.h) enclose it.
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
