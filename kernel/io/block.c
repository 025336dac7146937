// block.c - the list of block devices, and requests checked and waited for.
// SPDX-License-Identifier: MIT
#include "iop.h"

#define TAG_BOUNCE  MM_TAG('I', 'o', 'B', 'n')
#define BOUNCE_SIZE 65536u

static KSpinLock BlockLock = KE_SPIN_LOCK_INIT(LockRankDevice, "block devices");
static ListEntry BlockDevices = {&BlockDevices, &BlockDevices}; // B
static uint32_t BlockDeviceCount;                               // B; ever
// Legend: B BlockLock, which also guards the devices' References.

Status IoRegisterBlockDevice(IoBlockDevice *device)
{
    uint32_t size = device->SectorSize;
    if (size < 512 || size > PAGE_SIZE || (size & (size - 1)) || !device->SectorCount ||
        device->SectorCount > UINT64_MAX / 2 / size || !device->MaximumTransfer ||
        device->MaximumTransfer % PAGE_SIZE)
        return StatusNotSupported;
    KIrql old = KeAcquireSpinLock(&BlockLock);
    RtlFormat(device->Name, sizeof(device->Name), "disk%u", BlockDeviceCount++);
    device->Gone = false;
    device->References = 1;
    RtlInsertTail(&BlockDevices, &device->Link);
    KeReleaseSpinLock(&BlockLock, old);
    return StatusSuccess;
}

void IoUnregisterBlockDevice(IoBlockDevice *device)
{
    KIrql old = KeAcquireSpinLock(&BlockLock);
    __atomic_store_n(&device->Gone, true, __ATOMIC_RELEASE);
    RtlRemoveEntry(&device->Link);
    KeReleaseSpinLock(&BlockLock, old);
    uint32_t lost = IopDropDevice(device);
    if (lost != 0)
        KeLog(LogWarning, "io: %s: gone, and %u pages that were not written with it", device->Name,
              lost);
    IoDereferenceBlockDevice(device);
}

IoBlockDevice *IoFindBlockDevice(size_t index)
{
    IoBlockDevice *found = nullptr;
    KIrql old = KeAcquireSpinLock(&BlockLock);
    RTL_FOR_EACH (entry, &BlockDevices) {
        if (index-- == 0) {
            found = RTL_CONTAINER_OF(entry, IoBlockDevice, Link);
            found->References++;
            break;
        }
    }
    KeReleaseSpinLock(&BlockLock, old);
    return found;
}

void IoDereferenceBlockDevice(IoBlockDevice *device)
{
    KIrql old = KeAcquireSpinLock(&BlockLock);
    bool last = --device->References == 0;
    KeReleaseSpinLock(&BlockLock, old);
    if (!last)
        return;
    (void)IopDropDevice(device); // what its last users have read meanwhile
    if (device->Delete)
        device->Delete(device);
}

static Status CheckRequest(const IoBlockDevice *device, const IoRequest *request)
{
    if (__atomic_load_n(&device->Gone, __ATOMIC_ACQUIRE))
        return StatusNoSuchDevice;
    if (request->Operation == IoFlush)
        return StatusSuccess;
    if (request->Operation != IoRead && device->ReadOnly)
        return StatusReadOnly;
    if (!request->Count || request->Sector >= device->SectorCount ||
        request->Count > device->SectorCount - request->Sector)
        return StatusInvalidParameter;
    if (request->Operation == IoUnmap)
        return device->Unmaps ? StatusSuccess : StatusNotSupported;
    if ((uint64_t)request->Count * device->SectorSize > device->MaximumTransfer ||
        !request->SegmentCount || request->SegmentCount > IO_MAXIMUM_SEGMENTS)
        return StatusInvalidParameter;
    uint64_t total = 0;
    for (uint32_t i = 0; i < request->SegmentCount; i++) {
        const IoSegment *segment = &request->Segments[i];
        if (((uintptr_t)segment->Buffer | segment->Size) & 3)
            return StatusInvalidParameter;
        total += segment->Size;
    }
    return total == (uint64_t)request->Count * device->SectorSize ? StatusSuccess
                                                                  : StatusInvalidParameter;
}

static void CompleteTraced(IoRequest *request)
{
    if (KeIsTracing(TraceTransfers))
        KeTrace(TraceTransferEnd, request->Result, (uint32_t)(uintptr_t)request, 0);
    request->Complete = request->TracedComplete;
    request->Complete(request);
}

// Whatever driver completes the request: its completion goes through CompleteTraced.
static void TraceRequest(const IoBlockDevice *device, IoRequest *request)
{
    uint64_t size = (uint64_t)request->Count * device->SectorSize;
    KeTraceMore(TraceTransferBegin, request->Operation, (uint32_t)(uintptr_t)request,
                request->Sector, &size, sizeof(size));
    request->TracedComplete = request->Complete;
    request->Complete = CompleteTraced;
}

static struct { // of requests to disks, by IoOperation; atomic
    uint64_t Requests, Sectors;
} transfers[IoUnmap + 1];
static uint64_t refused; // atomic

static void CountRequest(const IoRequest *request)
{
    __atomic_fetch_add(&transfers[request->Operation].Requests, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&transfers[request->Operation].Sectors, request->Count, __ATOMIC_RELAXED);
}

void IopTellBlockCounters(KCounterSink *sink)
{
    KeTellCounter(sink, "reads", transfers[IoRead].Requests);
    KeTellCounter(sink, "sectors read", transfers[IoRead].Sectors);
    KeTellCounter(sink, "writes", transfers[IoWrite].Requests);
    KeTellCounter(sink, "sectors written", transfers[IoWrite].Sectors);
    KeTellCounter(sink, "flushes", transfers[IoFlush].Requests);
    KeTellCounter(sink, "sectors unmapped", transfers[IoUnmap].Sectors);
    KeTellCounter(sink, "requests refused", refused);
}

void IoSubmit(IoBlockDevice *device, IoRequest *request)
{
    Status status = CheckRequest(device, request);
    request->Attempts = 0;
    if (status == StatusSuccess) {
        CountRequest(request);
        if (KeIsTracing(TraceTransfers))
            TraceRequest(device, request);
        device->Submit(device, request);
    } else {
        __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
        request->Result = status;
        request->Complete(request);
    }
}

static void WakeWaiter(IoRequest *request)
{
    KeSetEvent(request->Context);
}

static Status SubmitAndWait(IoBlockDevice *device, IoOperation operation, uint64_t sector,
                            uint32_t count, void *buffer)
{
    KEvent done;
    KeInitializeEvent(&done, true, false);
    IoSegment segment = {buffer, (size_t)count * device->SectorSize};
    IoRequest request = {.Operation = operation,
                         .Sector = sector,
                         .Count = count,
                         .Segments = &segment,
                         .SegmentCount = buffer ? 1 : 0,
                         .Complete = WakeWaiter,
                         .Context = &done};
    IoSubmit(device, &request);
    // The driver bounds the time a request can take.
    Status status = KeWaitForObject(&done, KernelWait, KE_INFINITE);
    return status == StatusSuccess ? request.Result : status;
}

Status IoTransfer(IoBlockDevice *device, IoOperation operation, uint64_t sector, size_t count,
                  void *buffer)
{
    if (operation == IoFlush)
        return SubmitAndWait(device, IoFlush, 0, 0, nullptr);
    bool bounced = (uintptr_t)buffer & 3, unmap = operation == IoUnmap;
    uint8_t *bounce = nullptr;
    if (bounced && !(bounce = MmAllocateHeap(BOUNCE_SIZE, TAG_BOUNCE)))
        return StatusNoMemory;
    size_t limit = unmap ? UINT32_MAX
                         : (bounced ? RTL_MIN(BOUNCE_SIZE, device->MaximumTransfer)
                                    : device->MaximumTransfer) /
                               device->SectorSize;
    Status status = StatusSuccess;
    uint8_t *at = buffer;
    while (count && status == StatusSuccess) {
        uint32_t part = (uint32_t)RTL_MIN(count, limit);
        size_t bytes = (size_t)part * device->SectorSize;
        if (bounced && operation == IoWrite)
            memcpy(bounce, at, bytes);
        status = SubmitAndWait(device, operation, sector, part, bounced ? bounce : at);
        if (bounced && operation == IoRead && status == StatusSuccess)
            memcpy(at, bounce, bytes);
        at += unmap ? 0 : bytes;
        sector += part;
        count -= part;
    }
    MmFreeHeap(bounce);
    return status;
}
