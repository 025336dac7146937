// writeback.c - brings dirty buffers to the disk, many at a time.
// SPDX-License-Identifier: MIT
#include "cache.h"

#define BATCH_REQUESTS 64u

typedef struct WriteRequest {
    IoRequest Request;
    uint32_t First, Count; // pages of the batch
} WriteRequest;

static struct { // guarded by Mutex: one write-back at a time
    KMutex Mutex;
    KEvent BatchDone;
    volatile uint32_t BatchPending;
    IopBuffer *Batch[CACHE_BATCH_PAGES];
    IoSegment Segments[CACHE_BATCH_PAGES];
    WriteRequest Writes[BATCH_REQUESTS];
} WriteState;

void IopInitializeWriteBack(void)
{
    KeInitializeMutex(&WriteState.Mutex, LockRankCache - 1);
    KeInitializeEvent(&WriteState.BatchDone, true, false);
}

static void WriteDone(IoRequest *request)
{
    if (__atomic_sub_fetch(&WriteState.BatchPending, 1, __ATOMIC_ACQ_REL) == 0)
        KeSetEvent(&WriteState.BatchDone);
}

// Takes up to CACHE_BATCH_PAGES dirty buffers of the device off the list, pinned and clean; sorted
// by page.
static uint32_t CollectBatch(const IoBlockDevice *device)
{
    uint32_t count = 0;
    KIrql old = KeAcquireSpinLock(&IopCache.Lock);
    for (ListEntry *entry = IopCache.Dirty.Next;
         entry != &IopCache.Dirty && count < CACHE_BATCH_PAGES;) {
        IopBuffer *buffer = RTL_CONTAINER_OF(entry, IopBuffer, DirtyLink);
        entry = entry->Next;
        if (buffer->Device != device)
            continue;
        IopMarkCleanLocked(buffer);
        __atomic_add_fetch(&buffer->Pins, 1, __ATOMIC_RELAXED);
        WriteState.Batch[count++] = buffer;
    }
    KeReleaseSpinLock(&IopCache.Lock, old);
    for (uint32_t gap = 121; gap; gap /= 3) { // Shell sort; mostly in order already
        for (uint32_t i = gap; i < count; i++) {
            IopBuffer *buffer = WriteState.Batch[i];
            uint32_t j = i;
            for (; j >= gap && WriteState.Batch[j - gap]->Page > buffer->Page; j -= gap)
                WriteState.Batch[j] = WriteState.Batch[j - gap];
            WriteState.Batch[j] = buffer;
        }
    }
    return count;
}

// Forms the next request from the batch's buffers from `first` on; returns how many it covers.
static uint32_t FormWrite(IoBlockDevice *device, WriteRequest *write, uint32_t first, uint32_t end)
{
    uint32_t limit = RTL_MIN(device->MaximumTransfer / PAGE_SIZE, IO_MAXIMUM_SEGMENTS);
    uint32_t count = 0;
    size_t bytes = 0;
    uint64_t page = WriteState.Batch[first]->Page;
    while (first + count < end && count < limit &&
           WriteState.Batch[first + count]->Page == page + count) {
        size_t size = IopPageBytes(device, page + count);
        WriteState.Segments[first + count] =
            (IoSegment){WriteState.Batch[first + count]->Data, size};
        bytes += size;
        count++;
    }
    write->First = first;
    write->Count = count;
    write->Request = (IoRequest){.Operation = IoWrite,
                                 .Sector = page * PAGE_SIZE / device->SectorSize,
                                 .Count = (uint32_t)(bytes / device->SectorSize),
                                 .SegmentCount = count,
                                 .Segments = &WriteState.Segments[first],
                                 .Complete = WriteDone};
    return count;
}

static Status FinishWrites(uint32_t requests)
{
    Status result = StatusSuccess;
    for (uint32_t i = 0; i < requests; i++) {
        WriteRequest *write = &WriteState.Writes[i];
        if (write->Request.Result != StatusSuccess)
            result = write->Request.Result;
        for (uint32_t k = 0; k < write->Count; k++) {
            IopBuffer *buffer = WriteState.Batch[write->First + k];
            if (write->Request.Result != StatusSuccess) {
                KIrql old = KeAcquireSpinLock(&IopCache.Lock);
                IopMarkDirtyLocked(buffer);
                KeReleaseSpinLock(&IopCache.Lock, old);
            }
            IopUnpin(buffer);
        }
    }
    return result;
}

// One batch; W is held. *count buffers were tried.
static Status WriteBatch(IoBlockDevice *device, uint32_t *count)
{
    *count = CollectBatch(device);
    Status result = StatusSuccess;
    for (uint32_t done = 0; done < *count;) {
        uint32_t requests = 0;
        while (done < *count && requests < BATCH_REQUESTS)
            done += FormWrite(device, &WriteState.Writes[requests++], done, *count);
        KeResetEvent(&WriteState.BatchDone);
        __atomic_store_n(&WriteState.BatchPending, requests, __ATOMIC_RELEASE);
        for (uint32_t i = 0; i < requests; i++)
            IoSubmit(device, &WriteState.Writes[i].Request);
        Status status = KeWaitForObject(&WriteState.BatchDone, KernelWait, KE_INFINITE);
        Status written = FinishWrites(requests);
        if (result == StatusSuccess)
            result = status == StatusSuccess ? written : status;
    }
    return result;
}

// Writes at most `pages` dirty pages of the device, and not more than there were at the start.
Status IopWriteBack(IoBlockDevice *device, uint32_t pages)
{
    KeAcquireMutex(&WriteState.Mutex);
    uint32_t left = RTL_MIN(pages, IopCache.DirtyPages);
    Status result = StatusSuccess;
    while (left) {
        uint32_t count;
        Status status = WriteBatch(device, &count);
        if (result == StatusSuccess)
            result = status;
        if (!count)
            break;
        left -= RTL_MIN(left, count);
    }
    KeReleaseMutex(&WriteState.Mutex);
    return result;
}
