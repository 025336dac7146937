// SPDX-License-Identifier: MIT
#include "io_host.h"

#include "ps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern void IopInitializeCache(void);

int64_t HostFailAllocation = -1, HostBlocks, HostPages;
uint64_t HostTime = 1700000000000000000ull;
bool HostQuiet;

static void Die(const char *what)
{
    printf("Bail out! host: %s\n", what);
    abort();
}

// ---- memory

static bool MayAllocate(void)
{
    return HostFailAllocation < 0 || HostFailAllocation-- != 0;
}

void *MmAllocateHeap(size_t size, uint32_t tag)
{
    if (!MayAllocate())
        return nullptr;
    HostBlocks++;
    return calloc(1, size);
}

void MmFreeHeap(void *block)
{
    HostBlocks -= block != nullptr;
    free(block);
}

Status MmAllocatePage(MmPageUse use, bool zeroed, PhysicalAddress *page)
{
    if (!MayAllocate())
        return StatusNoMemory;
    void *memory = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    memset(memory, zeroed ? 0 : 0xA5, PAGE_SIZE);
    HostPages++;
    *page = (uintptr_t)memory - DIRECT_MAP_BASE; // so that MmPhysicalToVirtual finds it
    return StatusSuccess;
}

void MmFreePage(PhysicalAddress page)
{
    HostPages--;
    free(MmPhysicalToVirtual(page));
}

PhysicalAddress MmVirtualToPhysical(const void *address)
{
    return (uintptr_t)address - DIRECT_MAP_BASE;
}

void MmQueryCounters(MmCounters *counters)
{
    *counters = (MmCounters){.PagesTotal = 1024};
}

void MmSetPageOwner(PhysicalAddress page, void *owner) {}
void MmRegisterPageCache(void (*markDirty)(void *owner), void (*unpin)(void *owner)) {}
void MmCollectWrittenPages(void) {}
Status MmCreateFileSection(size_t size, const MmPager *pager, void *context, MmSection **section)
{
    return StatusNotSupported;
}

static size_t (*Shrinker)(size_t pages);
void KeRegisterCounters(KCounterSource *source) {}
void MmRegisterShrinker(size_t (*shrink)(size_t pages))
{
    Shrinker = shrink;
}
void HostShrink(void)
{
    while (Shrinker(SIZE_MAX))
        ;
}

Status MmCopyToUser(UserPointer to, const void *from, size_t size)
{
    if (to < 4096)
        return StatusInvalidAddress;
    memcpy((void *)to, from, size);
    return StatusSuccess;
}

Status MmCopyFromUser(void *to, UserPointer from, size_t size)
{
    if (from < 4096)
        return StatusInvalidAddress;
    memcpy(to, (void *)from, size);
    return StatusSuccess;
}

// ---- locks: ranks must rise, spin locks exclude waiting

static KLockRank Held[16];
static int HeldCount, SpinLocks;

static void Acquire(KLockRank rank)
{
    if (HeldCount && Held[HeldCount - 1] >= rank)
        Die("lock rank");
    if (HeldCount == 16)
        Die("too many locks");
    Held[HeldCount++] = rank;
}

static void Release(KLockRank rank)
{
    for (int i = HeldCount - 1; i >= 0; i--) {
        if (Held[i] == rank) {
            memmove(&Held[i], &Held[i + 1], (size_t)(--HeldCount - i) * sizeof(Held[0]));
            return;
        }
    }
    Die("lock not held");
}

void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name)
{
    *lock = (KSpinLock)KE_SPIN_LOCK_INIT(rank, name);
}

KIrql KeAcquireSpinLock(KSpinLock *lock)
{
    if (lock->Value)
        Die("spin lock taken twice");
    Acquire(lock->Rank);
    lock->Value = 1;
    return SpinLocks++ ? DispatchLevel : PassiveLevel;
}

KIrql KeAcquireSpinLockRaiseToHigh(KSpinLock *lock)
{
    return KeAcquireSpinLock(lock);
}

void KeReleaseSpinLock(KSpinLock *lock, KIrql old)
{
    if (!lock->Value)
        Die("spin lock not held");
    lock->Value = 0;
    SpinLocks--;
    Release(lock->Rank);
}

void KeInitializeMutex(KMutex *mutex, KLockRank rank)
{
    *mutex = (KMutex){};
    mutex->Rank = rank;
}

void KeAcquireMutex(KMutex *mutex)
{
    if (mutex->Recursion || SpinLocks)
        Die("mutex taken twice or under a spin lock");
    Acquire(mutex->Rank);
    mutex->Recursion = 1;
}

void KeReleaseMutex(KMutex *mutex)
{
    if (!mutex->Recursion)
        Die("mutex not held");
    mutex->Recursion = 0;
    Release(mutex->Rank);
}

// ---- events, timers, work

static HostDisk *Disks[8];
static int DiskCount;

void KeInitializeEvent(KEvent *event, bool manualReset, bool set)
{
    event->Header.Kind = manualReset ? KObjectEventManual : KObjectEventAuto;
    event->Header.Signal = set;
}

void KeSetEvent(KEvent *event)
{
    event->Header.Signal = 1;
}
void KeResetEvent(KEvent *event)
{
    event->Header.Signal = 0;
}

static bool PumpAll(void)
{
    bool some = false;
    for (int i = 0; i < DiskCount; i++) {
        some |= !RtlIsListEmpty(&Disks[i]->Pending);
        HostPump(Disks[i]);
    }
    return some;
}

Status KeWaitForObject(void *object, KWaitMode mode, uint64_t timeout)
{
    KDispatcherHeader *header = object;
    if (SpinLocks)
        Die("waiting under a spin lock");
    while (header->Signal <= 0) {
        if (!PumpAll()) {
            if (timeout == KE_INFINITE && mode == KernelWait)
                Die("waiting for ever");
            return mode == UserWait ? StatusTerminating : StatusTimeout;
        }
    }
    if (header->Kind == KObjectEventAuto)
        header->Signal = 0;
    return StatusSuccess;
}

Status KeWaitOnKey(uint64_t space, uint64_t key, bool (*check)(void *), void *context,
                   KWaitMode mode, uint64_t timeout)
{
    while (check(context)) {
        if (!PumpAll())
            Die("waiting on a key for ever");
    }
    return StatusWouldBlock;
}

uint32_t KeWakeKey(uint64_t space, uint64_t key, uint32_t count)
{
    return 0;
}

static KTimer *Armed;

void KeInitializeDpc(KDpc *dpc, KDpcRoutine *routine, void *context)
{
    *dpc = (KDpc){};
    dpc->Routine = routine;
    dpc->Context = context;
}
bool KeQueueDpc(KDpc *dpc)
{
    dpc->Routine(dpc->Context);
    return true;
}
void KeInitializeTimer(KTimer *timer, bool manualReset)
{
    memset(timer, 0, sizeof(*timer));
}
void KeSetTimer(KTimer *timer, uint64_t delay, uint64_t period, KDpc *dpc)
{
    timer->Dpc = dpc;
    Armed = timer;
}
bool KeCancelTimer(KTimer *timer)
{
    bool was = Armed == timer;
    if (was)
        Armed = nullptr;
    return was;
}
Status PsCreateSystemThread(const char *name, uint8_t priority, void (*entry)(void *),
                            void *context)
{
    return StatusSuccess; // tests call what the thread would do
}

bool HostRunTimers(void)
{
    KTimer *timer = Armed;
    Armed = nullptr;
    if (timer && timer->Dpc)
        KeQueueDpc(timer->Dpc);
    return timer != nullptr;
}

uint64_t KeQueryTime(void)
{
    return HostTime;
}
uint64_t KeQuerySystemTime(void)
{
    return HostTime += 1000000;
}

// ---- objects, log, stops

typedef struct HostObject {
    uint64_t References;
    ObType *Type;
} HostObject;

Status ObCreateObject(ObType *type, size_t size, void **body)
{
    HostObject *object = MmAllocateHeap(sizeof(HostObject) + size, 0);
    if (!object)
        return StatusNoMemory;
    object->References = 1;
    object->Type = type;
    *body = object + 1;
    return StatusSuccess;
}

void ObReference(void *body)
{
    ((HostObject *)body)[-1].References++;
}

void ObDereference(void *body)
{
    HostObject *object = (HostObject *)body - 1;
    if (--object->References)
        return;
    object->Type->Delete(body);
    MmFreeHeap(object);
}

ObType *ObGetType(const void *body)
{
    return ((const HostObject *)body)[-1].Type;
}
void *ObGetDispatcher(void *body)
{
    return (uint8_t *)body + ObGetType(body)->DispatcherOffset;
}
ObType PsProcessType;
void PsTerminateTree(PsProcess *process, uint32_t exitCode)
{
    Die("a process is ended");
}
bool KeQueueWorkItem(KWorkItem *item)
{
    item->Routine(item->Context);
    return true;
}

void KeLog(KLogLevel level, const char *format, ...)
{
    if (HostQuiet)
        return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("# log: %s\n", text);
}

void KeWriteConsole(const void *data, size_t size) {}
void KeSetConsoleFraming(bool framed) {}
Status HalListenToSerial(HalInterruptHandler *received, void *context)
{
    return StatusNoSuchDevice;
}
size_t HalReadSerial(char *buffer, size_t size)
{
    return 0;
}
void KeBugCheck(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4)
{
    Die("bugcheck");
    abort();
}
void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
{
    printf("# %s:%u\n", file, line);
    Die(expression);
    abort();
}

// ---- the disk

static uint64_t Random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

static void Record(HostDisk *disk, const uint8_t *data, uint64_t offset, size_t size)
{
    if (!disk->Record)
        return;
    disk->Log = realloc(disk->Log, (disk->LogCount + 1) * sizeof(HostWrite));
    HostWrite *entry = &disk->Log[disk->LogCount++];
    *entry = (HostWrite){offset, size, size ? malloc(size) : nullptr};
    if (size)
        memcpy(entry->Data, data, size);
}

static void Perform(HostDisk *disk, IoRequest *request)
{
    request->Result = StatusSuccess;
    uint64_t at = request->Sector * disk->Block.SectorSize;
    bool fail = request->Operation == IoRead    ? disk->FailReads
                : request->Operation == IoWrite ? disk->FailWrites
                                                : disk->FailFlushes;
    if (fail) {
        request->Result = StatusIoError;
    } else if (request->Operation == IoFlush) {
        disk->Flushes++;
        Record(disk, nullptr, 0, 0);
        disk->Unflushed = 0;
    } else {
        bool write = request->Operation == IoWrite;
        *(write ? &disk->Writes : &disk->Reads) += 1;
        *(write ? &disk->WriteSectors : &disk->ReadSectors) += request->Count;
        disk->Unflushed += write;
        for (uint32_t i = 0; i < request->SegmentCount; i++) {
            const IoSegment *segment = &request->Segments[i];
            if (write) {
                Record(disk, segment->Buffer, at, segment->Size);
                memcpy(disk->Bytes + at, segment->Buffer, segment->Size);
            } else {
                memcpy(segment->Buffer, disk->Bytes + at, segment->Size);
            }
            at += segment->Size;
        }
    }
    request->Complete(request);
}

void HostPump(HostDisk *disk)
{
    while (!RtlIsListEmpty(&disk->Pending)) {
        ListEntry *entry = Random(&disk->Seed) & 1 ? disk->Pending.Next : disk->Pending.Previous;
        RtlRemoveEntry(entry);
        Perform(disk, RTL_CONTAINER_OF(entry, IoRequest, Link));
    }
}

static void Submit(IoBlockDevice *device, IoRequest *request)
{
    HostDisk *disk = device->Context;
    if (!disk->Seed) {
        Perform(disk, request);
        return;
    }
    RtlInsertTail(&disk->Pending, &request->Link);
}

void HostMemoryDisk(HostDisk *disk, uint8_t *bytes, uint64_t size, uint32_t sectorSize)
{
    *disk = (HostDisk){.Bytes = bytes, .Size = size};
    RtlInitializeList(&disk->Pending);
    disk->Block = (IoBlockDevice){.SectorCount = size / sectorSize,
                                  .SectorSize = sectorSize,
                                  .MaximumTransfer = 65536,
                                  .Context = disk,
                                  .Submit = Submit};
    if (!Shrinker)
        IopInitializeCache();
    if (IoRegisterBlockDevice(&disk->Block) != StatusSuccess)
        Die("the disk is not accepted");
    Disks[DiskCount++ % 8] = disk;
}

void HostOpenDisk(HostDisk *disk, const char *path, uint32_t sectorSize)
{
    struct stat info;
    int file = open(path, O_RDWR);
    if (file < 0 || fstat(file, &info))
        Die("no image");
    uint8_t *bytes =
        mmap(nullptr, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED)
        Die("mmap");
    close(file);
    HostMemoryDisk(disk, bytes, (uint64_t)info.st_size, sectorSize);
}

int HostCommand(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    int code = system(line);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

// Nothing is traced here.
volatile uint32_t KeTraceGroups;
void KeTrace(TraceKind kind, uint32_t value, uint64_t a, uint64_t b) {}
void KeTraceMore(TraceKind kind, uint32_t value, uint64_t a, uint64_t b, const void *more,
                 size_t size)
{
}
