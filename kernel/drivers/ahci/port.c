// port.c - one port with its disk: commands, completion, recovery.
// SPDX-License-Identifier: MIT
#include "ahci.h"

#define TAG_PORT         MM_TAG('A', 'h', 'P', 't')
#define MICROSECOND      1000ull
#define MILLISECOND      1000000ull
#define SECOND           1000000000ull
#define TRANSFER_TIMEOUT (10 * SECOND)
#define FLUSH_TIMEOUT    (60 * SECOND)
#define READY_TIMEOUT    (10 * SECOND) // a disk that spins up
#define WATCH_PERIOD     (500 * MILLISECOND)
#define POLL_PERIOD      MILLISECOND
#define MAXIMUM_ATTEMPTS 2u

#define ATA_READ_DMA_EXT   0x25
#define ATA_WRITE_DMA_EXT  0x35
#define ATA_READ_FPDMA     0x60
#define ATA_WRITE_FPDMA    0x61
#define ATA_FLUSH_EXT      0xEA
#define ATA_IDENTIFY       0xEC
#define FIS_HOST_TO_DEVICE 0x27
#define FIS_COMMAND        0x80
#define DEVICE_LBA         0x40

bool AhciWait(volatile uint32_t *reg, uint32_t mask, uint32_t value, uint64_t time)
{
    uint64_t start = KeQueryTime();
    for (uint32_t i = 0; (*reg & mask) != value; i++) {
        if (KeQueryTime() - start > time)
            return (*reg & mask) == value;
        if (i < 100)
            HalStallNanoseconds(10 * MICROSECOND);
        else if (KeDelay(KernelWait, MILLISECOND) != StatusSuccess)
            return false;
    }
    return true;
}

// 10.3.2
bool AhciStopEngine(volatile AhciPortRegisters *registers)
{
    registers->CMD &= ~CMD_ST;
    bool stopped = AhciWait(&registers->CMD, CMD_CR, 0, 500 * MILLISECOND);
    registers->CMD &= ~CMD_FRE;
    return AhciWait(&registers->CMD, CMD_FR, 0, 500 * MILLISECOND) && stopped;
}

// The command list runs from here on; the device must be idle (10.3.1).
static Status StartEngine(AhciPort *port)
{
    volatile AhciPortRegisters *registers = port->Registers;
    if (!AhciWait(&registers->TFD, TFD_BUSY | TFD_DRQ, 0, READY_TIMEOUT))
        return StatusDeviceNotReady;
    registers->SERR = UINT32_MAX;
    registers->IS = UINT32_MAX;
    registers->CMD |= CMD_ST;
    return StatusSuccess;
}

// ---- commands

// Register FIS, host to device: Serial ATA 3.0, 10.5.5.
static void BuildFis(uint8_t *fis, uint8_t command, uint64_t sector, uint32_t features,
                     uint32_t count)
{
    fis[0] = FIS_HOST_TO_DEVICE;
    fis[1] = FIS_COMMAND;
    fis[2] = command;
    fis[3] = (uint8_t)features;
    fis[4] = (uint8_t)sector;
    fis[5] = (uint8_t)(sector >> 8);
    fis[6] = (uint8_t)(sector >> 16);
    fis[7] = command == ATA_IDENTIFY ? 0 : DEVICE_LBA;
    fis[8] = (uint8_t)(sector >> 24);
    fis[9] = (uint8_t)(sector >> 32);
    fis[10] = (uint8_t)(sector >> 40);
    fis[11] = (uint8_t)(features >> 8);
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
    memset(fis + 14, 0, 6);
}

static void AddRegion(AhciTable *table, uint32_t *count, PhysicalAddress address, size_t size)
{
    if (*count) { // goes on where the last one ended?
        AhciRegion *last = &table->PRDT[*count - 1];
        PhysicalAddress end = (last->DBA | (uint64_t)last->DBAU << 32) + last->DBC + 1;
        if (end == address && last->DBC + 1 + size <= AHCI_REGION_BYTES) {
            last->DBC += (uint32_t)size;
            return;
        }
    }
    table->PRDT[(*count)++] = (AhciRegion){
        .DBA = (uint32_t)address, .DBAU = (uint32_t)(address >> 32), .DBC = (uint32_t)size - 1};
}

// Describes the request's memory; the number of regions.
static uint32_t BuildRegions(AhciTable *table, const IoRequest *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->SegmentCount; i++) {
        const uint8_t *at = request->Segments[i].Buffer;
        size_t left = request->Segments[i].Size;
        while (left) {
            uintptr_t direct = (uintptr_t)at - DIRECT_MAP_BASE;
            bool contiguous = direct < DIRECT_MAP_SIZE;
            size_t part =
                contiguous ? left : RTL_MIN(left, PAGE_SIZE - ((uintptr_t)at & (PAGE_SIZE - 1)));
            AddRegion(table, &count, contiguous ? direct : MmVirtualToPhysical(at), part);
            at += part;
            left -= part;
        }
    }
    return count;
}

// Starts a request in a free slot. Lock held.
static void Issue(AhciPort *port, IoRequest *request, bool queued)
{
    uint32_t slot = (uint32_t)__builtin_ctz(~port->Issued);
    AhciTable *table = &port->Memory->Tables[slot];
    AhciCommandHeader *header = &port->Memory->Headers[slot];
    bool write = request->Operation == IoWrite, flush = request->Operation == IoFlush;
    if (flush)
        BuildFis(table->CFIS, ATA_FLUSH_EXT, 0, 0, 0);
    else if (queued)
        BuildFis(table->CFIS, write ? ATA_WRITE_FPDMA : ATA_READ_FPDMA, request->Sector,
                 request->Count, slot << 3);
    else
        BuildFis(table->CFIS, write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT, request->Sector, 0,
                 request->Count);
    uint32_t regions = BuildRegions(table, request);
    header->Flags = HEADER_FIS_DWORDS | (write ? HEADER_WRITE : 0) | regions << 16;
    header->PRDBC = 0;
    request->Attempts++;
    request->Deadline = KeQueryTime() + (flush ? FLUSH_TIMEOUT : TRANSFER_TIMEOUT);
    port->Slots[slot] = request;
    port->Issued |= 1u << slot;
    port->Commands++;
    __atomic_thread_fence(__ATOMIC_RELEASE); // the table before the doorbell
    if (queued)
        port->Registers->SACT = 1u << slot;
    port->Registers->CI = 1u << slot;
}

// Gives slots to waiting requests, in order. Lock held.
static void StartWaiting(AhciPort *port)
{
    while (!RtlIsListEmpty(&port->Queue) && !port->Recovering && !port->Exclusive) {
        IoRequest *request = RTL_CONTAINER_OF(port->Queue.Next, IoRequest, Link);
        bool queued = port->Queued && request->Operation != IoFlush && request->Attempts == 0;
        if (queued ? port->Issued == port->SlotMask : port->Issued != 0)
            break;
        RtlRemoveEntry(&request->Link);
        port->Exclusive = !queued;
        Issue(port, request, queued);
    }
    if (port->Issued && !port->TimerArmed) {
        port->TimerArmed = true;
        KeSetTimer(&port->Timer, port->Hba->HasInterrupt ? WATCH_PERIOD : POLL_PERIOD, 0,
                   &port->WatchDpc);
    }
}

// Takes the requests in `slots` out, onto a list. Lock held.
static void TakeSlots(AhciPort *port, uint32_t slots, ListEntry *list)
{
    for (uint32_t left = slots; left; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctz(left);
        RtlInsertTail(list, &port->Slots[slot]->Link);
        port->Slots[slot] = nullptr;
    }
    port->Issued &= ~slots;
    if (!port->Issued)
        port->Exclusive = false;
}

static void CompleteAll(ListEntry *list, Status result)
{
    while (!RtlIsListEmpty(list)) {
        IoRequest *request = RTL_CONTAINER_OF(list->Next, IoRequest, Link);
        RtlRemoveEntry(&request->Link);
        request->Result = result;
        request->Complete(request);
    }
}

static void Submit(IoBlockDevice *device, IoRequest *request)
{
    AhciPort *port = device->Context;
    KIrql old = KeAcquireSpinLock(&port->Lock);
    bool dead = port->Dead;
    if (!dead) {
        RtlInsertTail(&port->Queue, &request->Link);
        StartWaiting(port);
    }
    KeReleaseSpinLock(&port->Lock, old);
    if (dead) {
        request->Result = StatusDeviceNotReady;
        request->Complete(request);
    }
}

// ---- completion

static bool IsOverdue(const AhciPort *port)
{
    uint64_t now = KeQueryTime();
    for (uint32_t left = port->Issued; left; left &= left - 1) {
        if (now > port->Slots[__builtin_ctz(left)]->Deadline)
            return true;
    }
    return false;
}

// After an interrupt, and with `watch` when the timer has fired; either may come for nothing.
static void Service(AhciPort *port, bool watch)
{
    ListEntry done;
    RtlInitializeList(&done);
    KIrql old = KeAcquireSpinLock(&port->Lock);
    if (watch)
        port->TimerArmed = false;
    uint32_t events = __atomic_exchange_n(&port->Events, 0, __ATOMIC_ACQ_REL);
    if (!port->Recovering) {
        if (!port->Hba->HasInterrupt) {
            events |= port->Registers->IS;
            port->Registers->IS = events;
        }
        TakeSlots(port, port->Issued & ~(port->Registers->SACT | port->Registers->CI), &done);
        if ((events & IS_ERRORS) || (watch && port->Issued && IsOverdue(port))) {
            port->Recovering = true;
            port->Errors++;
            KeSetEvent(&port->Hba->RecoveryNeeded);
        }
        StartWaiting(port);
    }
    KeReleaseSpinLock(&port->Lock, old);
    CompleteAll(&done, StatusSuccess);
}

static void ServiceInterrupt(void *context)
{
    Service(context, false);
}
static void ServiceTimer(void *context)
{
    Service(context, true);
}

// ---- recovery (6.2.2, 10.4.2)

static Status ResetLink(AhciPort *port)
{
    volatile AhciPortRegisters *registers = port->Registers;
    bool stopped = AhciStopEngine(registers);
    registers->SCTL = (registers->SCTL & ~15u) | 1; // COMRESET while DET is 1, for at least 1 ms
    Status waited = KeDelay(KernelWait, 2 * MILLISECOND);
    registers->SCTL &= ~15u;
    if (waited != StatusSuccess || !AhciWait(&registers->SSTS, 15, DET_PRESENT, 2 * SECOND))
        return StatusDeviceNotReady;
    registers->SERR = UINT32_MAX;
    registers->CMD |= CMD_FRE;
    return stopped ? StartEngine(port) : StatusDeviceNotReady;
}

// What was under way goes back to the head of the queue or, tried often enough, to `failed`; from a
// dead port everything goes there. Lock held.
static void Requeue(AhciPort *port, ListEntry *failed)
{
    ListEntry pending;
    RtlInitializeList(&pending);
    TakeSlots(port, port->Issued, &pending);
    while (!RtlIsListEmpty(&pending)) {
        IoRequest *request = RTL_CONTAINER_OF(pending.Previous, IoRequest, Link);
        RtlRemoveEntry(&request->Link);
        if (request->Attempts < MAXIMUM_ATTEMPTS)
            RtlInsertHead(&port->Queue, &request->Link);
        else
            RtlInsertTail(failed, &request->Link);
    }
    while (port->Dead && !RtlIsListEmpty(&port->Queue)) {
        ListEntry *entry = port->Queue.Next;
        RtlRemoveEntry(entry);
        RtlInsertTail(failed, entry);
    }
}

void AhciRecoverPort(AhciPort *port)
{
    if (!__atomic_load_n(&port->Recovering, __ATOMIC_ACQUIRE))
        return;
    if ((port->Errors & (port->Errors - 1)) ==
        0) // the 1st, 2nd, 4th, ...: a broken disk must not flood the log
        KeLog(LogWarning, "ahci: %s: error %llu, tfd %04x serr %08x; resetting the port",
              port->Block.Name, port->Errors, port->Registers->TFD & 0xFFFF, port->Registers->SERR);
    Status status = ResetLink(port);
    if (status != StatusSuccess)
        KeLog(LogError, "ahci: %s: the port does not come back, status %u", port->Block.Name,
              (unsigned)status);
    ListEntry failed;
    RtlInitializeList(&failed);
    KIrql old = KeAcquireSpinLock(&port->Lock);
    port->Dead = status != StatusSuccess;
    Requeue(port, &failed);
    __atomic_store_n(&port->Events, 0, __ATOMIC_RELEASE);
    port->Recovering = false;
    StartWaiting(port);
    KeReleaseSpinLock(&port->Lock, old);
    CompleteAll(&failed, status != StatusSuccess ? StatusDeviceNotReady : StatusIoError);
}

// ---- starting

static Status Identify(AhciPort *port)
{
    AhciTable *table = &port->Memory->Tables[0];
    uint32_t regions = 0;
    BuildFis(table->CFIS, ATA_IDENTIFY, 0, 0, 0);
    AddRegion(table, &regions, port->MemoryPhysical + offsetof(AhciMemory, Identify),
              sizeof(port->Memory->Identify));
    port->Memory->Headers[0].Flags = HEADER_FIS_DWORDS | regions << 16;
    port->Registers->CI = 1;
    bool done = AhciWait(&port->Registers->CI, 1, 0, 5 * SECOND);
    uint32_t events = port->Registers->IS;
    port->Registers->IS = events;
    return done && !(events & IS_FAILURES) && !(port->Registers->TFD & TFD_ERR) ? StatusSuccess
                                                                                : StatusIoError;
}

static void CopyModel(char model[41], const uint16_t words[256])
{
    for (int i = 0; i < 40; i++) {
        char c = (char)(words[27 + i / 2] >> (i & 1 ? 0 : 8));
        model[i] = c >= ' ' && c <= '~' ? c : ' ';
    }
    for (int i = 39; i >= 0 && model[i] == ' '; i--)
        model[i] = 0;
}

// What is believed of the identification: ATA8-ACS, 7.16.
static Status ReadGeometry(AhciPort *port)
{
    uint16_t words[256];
    memcpy(words, port->Memory->Identify, sizeof(words));
    if ((words[83] & 0xC400) != 0x4400)
        return StatusNotSupported; // no 48-bit addresses
    uint64_t sectors = words[100] | (uint64_t)words[101] << 16 | (uint64_t)words[102] << 32 |
                       (uint64_t)words[103] << 48;
    uint64_t size = 512;
    if ((words[106] & 0xD000) == 0x5000) // longer logical sectors, in words
        size = 2 * (words[117] | (uint64_t)words[118] << 16);
    if (size < 512 || size > PAGE_SIZE)
        return StatusNotSupported;
    CopyModel(port->Model, words);
    port->Block.SectorCount = RTL_MIN(sectors, 1ull << 48);
    port->Block.SectorSize = (uint32_t)size;
    port->Block.MaximumTransfer = AHCI_MAXIMUM_TRANSFER;
    port->Block.Context = port;
    port->Block.Submit = Submit;
    port->Block.PrepareDump = AhciPrepareDump;
    uint32_t slots = CAP_NCS(port->Hba->Capabilities);
    port->Queued =
        (port->Hba->Capabilities & CAP_SNCQ) && words[76] != 0xFFFF && (words[76] & 1u << 8);
    if (port->Queued)
        slots = RTL_MIN(slots, (words[75] & 31u) + 1);
    port->SlotMask = slots >= 32 ? UINT32_MAX : (1u << slots) - 1;
    return StatusSuccess;
}

static Status AllocateMemory(AhciPort *port)
{
    PhysicalAddress limit = port->Hba->Capabilities & CAP_S64A ? UINT64_MAX : 1ull << 32;
    Status status = MmAllocateContiguous(PageDevice, sizeof(AhciMemory) / PAGE_SIZE, PAGE_SIZE,
                                         limit, &port->MemoryPhysical);
    if (status != StatusSuccess)
        return status;
    port->Memory = MmPhysicalToVirtual(port->MemoryPhysical);
    memset(port->Memory, 0, sizeof(AhciMemory));
    for (uint32_t i = 0; i < AHCI_MAXIMUM_SLOTS; i++) {
        PhysicalAddress table =
            port->MemoryPhysical + offsetof(AhciMemory, Tables) + i * sizeof(AhciTable);
        port->Memory->Headers[i].CTBA = (uint32_t)table;
        port->Memory->Headers[i].CTBAU = (uint32_t)(table >> 32);
    }
    return StatusSuccess;
}

static Status BringUp(AhciPort *port)
{
    volatile AhciPortRegisters *registers = port->Registers;
    if (!AhciStopEngine(registers))
        return StatusDeviceNotReady;
    PhysicalAddress list = port->MemoryPhysical, fis = list + offsetof(AhciMemory, ReceivedFis);
    registers->CLB = (uint32_t)list;
    registers->CLBU = (uint32_t)(list >> 32);
    registers->FB = (uint32_t)fis;
    registers->FBU = (uint32_t)(fis >> 32);
    registers->IE = 0;
    registers->SERR = UINT32_MAX;
    registers->CMD |= CMD_FRE;
    Status status = StartEngine(port); // meanwhile the signature arrives
    if (status == StatusSuccess && registers->SIG != SIGNATURE_ATA)
        status = StatusNotSupported;
    if (status == StatusSuccess)
        status = Identify(port);
    if (status == StatusSuccess)
        status = ReadGeometry(port);
    return status;
}

static void InitializePort(AhciPort *port, AhciHba *hba, uint32_t number)
{
    port->Hba = hba;
    port->Number = number;
    port->Registers = &hba->Registers->Ports[number];
    KeInitializeSpinLock(&port->Lock, LockRankDevice, "ahci port");
    RtlInitializeList(&port->Queue);
    KeInitializeDpc(&port->Dpc, ServiceInterrupt, port);
    KeInitializeDpc(&port->WatchDpc, ServiceTimer, port);
    KeInitializeTimer(&port->Timer, false);
}

Status AhciStartPort(AhciHba *hba, uint32_t number, AhciPort **result)
{
    AhciPort *port = MmAllocateHeap(sizeof(AhciPort), TAG_PORT);
    if (!port)
        return StatusNoMemory;
    InitializePort(port, hba, number);
    Status status = AllocateMemory(port);
    if (status != StatusSuccess) {
        MmFreeHeap(port);
        return status;
    }
    status = BringUp(port);
    if (status == StatusSuccess)
        status = IoRegisterBlockDevice(&port->Block);
    if (status != StatusSuccess) {
        if (AhciStopEngine(port->Registers)) { // else the adapter may still write there
            MmFreeContiguous(port->MemoryPhysical, sizeof(AhciMemory) / PAGE_SIZE);
            MmFreeHeap(port);
        }
        return status;
    }
    *result = port;
    port->Registers->IS = UINT32_MAX;
    port->Registers->IE = hba->HasInterrupt ? IS_ENABLED : 0;
    KeLog(LogInfo, "ahci: %s: port %u, %s, %llu MiB, %u-byte sectors, %u %s", port->Block.Name,
          number, port->Model,
          (unsigned long long)(port->Block.SectorCount * port->Block.SectorSize >> 20),
          port->Block.SectorSize, (unsigned)__builtin_popcount(port->SlotMask),
          port->Queued ? "queued commands" : "slots");
    return StatusSuccess;
}
