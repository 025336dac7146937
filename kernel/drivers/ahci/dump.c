// dump.c - writing to a disk while the machine stands still.
//
// Nothing of the driver's state is believed in but what was copied here when the dump was prepared:
// where the adapter's registers are, which port, how large a sector is. The port is stopped and
// reset, given a command list of its own, and polled; no interrupt, lock, heap or timer is used,
// and every wait is bounded. One command at a time, as large as it gets.
// SPDX-License-Identifier: MIT
#include "ahci.h"

#define MICROSECOND        1000ull
#define POLL               (10 * MICROSECOND)
#define STOP_POLLS         50000u   // half a second
#define READY_POLLS        1000000u // ten seconds
#define FLUSH_POLLS        6000000u
#define ATA_WRITE_DMA_EXT  0x35
#define ATA_FLUSH_EXT      0xEA
#define FIS_HOST_TO_DEVICE 0x27
#define FIS_COMMAND        0x80
#define DEVICE_LBA         0x40
#define SCTL_DET_MASK      0xFu
#define SCTL_DET_RESET     1u
#define RESET_TIME         (1000 * MICROSECOND) // 10.4.2

typedef struct DumpMemory { // what the adapter reads and writes
    AhciCommandHeader Headers[AHCI_MAXIMUM_SLOTS];
    uint8_t ReceivedFis[256];
    uint8_t Padding[4096 - 1024 - 256];
    AhciTable Table;
} DumpMemory;
static_assert(KD_DUMP_SEGMENTS <= AHCI_MAXIMUM_REGIONS);

static alignas(4096) DumpMemory memory; // in the kernel image, which is contiguous
static PhysicalAddress memoryPhysical;
static volatile AhciRegisters *registers; // [c] from here on, once prepared
static volatile AhciPortRegisters *port;

static bool Wait(volatile uint32_t *reg, uint32_t mask, uint32_t value, uint32_t polls)
{
    for (uint32_t i = 0; (*reg & mask) != value; i++) {
        if (i == polls)
            return false;
        if (i > 100) // at first without a pause: most things are done at once
            HalStallNanoseconds(POLL);
    }
    return true;
}

static bool StopPort(void)
{
    port->CMD &= ~CMD_ST;
    bool stopped = Wait(&port->CMD, CMD_CR, 0, STOP_POLLS);
    port->CMD &= ~CMD_FRE;
    return Wait(&port->CMD, CMD_FR, 0, STOP_POLLS) && stopped;
}

static bool Start(void)
{
    registers->GHC = (registers->GHC | GHC_AE) & ~GHC_IE;
    port->IE = 0;
    if (!StopPort()) { // 10.4.3: the whole adapter then
        registers->GHC |= GHC_HR;
        if (!Wait(&registers->GHC, GHC_HR, 0, 2 * STOP_POLLS))
            return false;
        registers->GHC |= GHC_AE;
    }
    port->SCTL = (port->SCTL & ~SCTL_DET_MASK) | SCTL_DET_RESET;
    HalStallNanoseconds(RESET_TIME);
    port->SCTL &= ~SCTL_DET_MASK;
    if (!Wait(&port->SSTS, SCTL_DET_MASK, DET_PRESENT, READY_POLLS))
        return false;
    PhysicalAddress fis = memoryPhysical + offsetof(DumpMemory, ReceivedFis);
    PhysicalAddress table = memoryPhysical + offsetof(DumpMemory, Table);
    memory.Headers[0].CTBA = (uint32_t)table;
    memory.Headers[0].CTBAU = (uint32_t)(table >> 32);
    port->CLB = (uint32_t)memoryPhysical;
    port->CLBU = (uint32_t)(memoryPhysical >> 32);
    port->FB = (uint32_t)fis;
    port->FBU = (uint32_t)(fis >> 32);
    port->SERR = UINT32_MAX;
    port->CMD |= CMD_FRE | CMD_SUD | CMD_POD;
    if (!Wait(&port->TFD, TFD_BUSY | TFD_DRQ, 0, READY_POLLS))
        return false;
    port->SERR = UINT32_MAX;
    port->IS = UINT32_MAX;
    port->CMD |= CMD_ST;
    return true;
}

static bool RunCommand(uint8_t command, uint64_t sector, uint32_t count, uint32_t regions,
                       uint32_t polls)
{
    uint8_t *fis = memory.Table.CFIS;
    memset(fis, 0, 20);
    fis[0] = FIS_HOST_TO_DEVICE;
    fis[1] = FIS_COMMAND;
    fis[2] = command;
    fis[7] = DEVICE_LBA;
    for (int i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(sector >> 8 * i);
        fis[8 + i] = (uint8_t)(sector >> 8 * (i + 3));
    }
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
    memory.Headers[0].Flags = HEADER_FIS_DWORDS | (regions != 0 ? HEADER_WRITE : 0) | regions << 16;
    memory.Headers[0].PRDBC = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    port->CI = 1;
    bool done = Wait(&port->CI, 1, 0, polls);
    uint32_t events = port->IS;
    port->IS = events;
    return done && !(events & IS_FAILURES) && !(port->TFD & TFD_ERR);
}

static bool Write(uint64_t sector, const KdDumpSegment *segments, uint32_t count, uint32_t sectors)
{
    if (count > KD_DUMP_SEGMENTS || sectors == 0 || sectors > UINT16_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        memory.Table.PRDT[i] = (AhciRegion){.DBA = (uint32_t)segments[i].Physical,
                                            .DBAU = (uint32_t)(segments[i].Physical >> 32),
                                            .DBC = (uint32_t)segments[i].Size - 1};
    }
    return RunCommand(ATA_WRITE_DMA_EXT, sector, sectors, count, READY_POLLS);
}

static bool Flush(void)
{
    return RunCommand(ATA_FLUSH_EXT, 0, 0, 0, FLUSH_POLLS);
}

Status AhciPrepareDump(IoBlockDevice *device, KdDumpDevice *dump)
{
    AhciPort *owner = device->Context;
    memoryPhysical = MmVirtualToPhysical(&memory);
    if (!(owner->Hba->Capabilities & CAP_S64A) && memoryPhysical >> 32 != 0)
        return StatusNotSupported;
    registers = owner->Hba->Registers;
    port = owner->Registers;
    *dump = (KdDumpDevice){Start, Write, Flush, device->SectorSize};
    return StatusSuccess;
}
