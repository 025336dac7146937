// ahci.c - SATA disks behind an AHCI 1.3.1 host bus adapter: finding and starting the adapter.
//
// How a request travels. IoSubmit puts it on its port's queue; a free command slot takes it: the
// command FIS and the region descriptors are written into the slot's table, straight to the
// caller's memory, and the slot is started. The adapter's message interrupt only notes which ports
// want attention and queues their DPCs; the DPC finds the slots that finished, completes their
// requests and fills the slots anew. With native command queuing up to 32 commands are under way; a
// flush is not a queued command and so waits for the others and runs alone.
//
// Errors and time-outs end in port.c's AhciRecoverPort, on a thread of the adapter's own (the
// system worker may itself be waiting for the disk): the port is reset (COMRESET), and what was
// under way runs once more, one at a time and unqueued, which tells the command that fails from its
// innocent neighbours. A port that does not come back fails everything from then on.
//
// Without a message interrupt a millisecond timer looks for completions instead.
//
// Limits: ATA disks with 48-bit addresses only; ATAPI devices and port multipliers are left alone;
// no hot plug. Every wait is bounded.
// SPDX-License-Identifier: MIT
#include "ahci.h"

#include "ps.h"

#define TAG_AHCI     MM_TAG('A', 'h', 'c', 'i')
#define MILLISECOND  1000000ull
#define ABSENT_AFTER (200 * MILLISECOND)  // a port without any sign of a device
#define SILENT_AFTER (2000 * MILLISECOND) // a device that never establishes the link

static void HandleInterrupt(void *context)
{
    AhciHba *hba = context;
    uint32_t pending = hba->Registers->IS;
    for (uint32_t left = pending; left; left &= left - 1) {
        uint32_t number = (uint32_t)__builtin_ctz(left);
        volatile AhciPortRegisters *registers = &hba->Registers->Ports[number];
        uint32_t events = registers->IS;
        registers->IS = events;
        AhciPort *port = hba->Ports[number];
        if (port) {
            __atomic_or_fetch(&port->Events, events, __ATOMIC_ACQ_REL);
            KeQueueDpc(&port->Dpc);
        }
    }
    hba->Registers->IS = pending; // after the ports' own, 10.7.2.1
}

// The firmware lets go of the adapter, 10.6.3.
static void TakeOwnership(AhciHba *hba)
{
    volatile AhciRegisters *registers = hba->Registers;
    if (!(registers->CAP2 & CAP2_BOH))
        return;
    registers->BOHC |= BOHC_OOS;
    AhciWait(&registers->BOHC, BOHC_BOS, 0, 25 * MILLISECOND);
    if (registers->BOHC & BOHC_BB)
        AhciWait(&registers->BOHC, BOHC_BB, 0, 2000 * MILLISECOND);
}

// 10.4.3. *linked are the ports worth waiting for: those where the firmware found something, or all
// when it did not look.
static Status ResetHba(AhciHba *hba, uint32_t *linked)
{
    volatile AhciRegisters *registers = hba->Registers;
    bool initialised = registers->GHC & GHC_AE;
    uint32_t implemented = registers->PI;
    *linked = 0;
    for (uint32_t left = implemented; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        if (SSTS_DET(registers->Ports[i].SSTS) != DET_NONE)
            *linked |= 1u << i;
    }
    registers->GHC |= GHC_AE;
    registers->GHC |= GHC_HR;
    if (!AhciWait(&registers->GHC, GHC_HR, 0, 1000 * MILLISECOND))
        return StatusDeviceNotReady;
    registers->GHC |= GHC_AE;
    registers->IS = UINT32_MAX;
    if (!initialised || !*linked)
        *linked = implemented;
    return StatusSuccess;
}

static void PowerPort(AhciHba *hba, uint32_t number)
{
    volatile AhciPortRegisters *registers = &hba->Registers->Ports[number];
    registers->CMD = (registers->CMD & ~CMD_ICC_MASK) | CMD_SUD | CMD_POD | CMD_ICC_ACTIVE;
}

static uint32_t WaitForLinks(AhciHba *hba, uint32_t candidates)
{
    uint64_t start = KeQueryTime();
    uint32_t ready = 0;
    for (;;) {
        uint64_t passed = KeQueryTime() - start;
        uint32_t waiting = 0;
        for (uint32_t left = candidates & ~ready; left; left &= left - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(left);
            uint32_t state = SSTS_DET(hba->Registers->Ports[i].SSTS);
            if (state == DET_PRESENT)
                ready |= 1u << i;
            else if (passed < (state == DET_NONE ? ABSENT_AFTER : SILENT_AFTER))
                waiting |= 1u << i;
        }
        if (!waiting || KeDelay(KernelWait, MILLISECOND) != StatusSuccess)
            return ready;
    }
}

static void RecoverPorts(void *context)
{
    AhciHba *hba = context;
    while (KeWaitForObject(&hba->RecoveryNeeded, KernelWait, KE_INFINITE) == StatusSuccess) {
        for (uint32_t i = 0; i < AHCI_MAXIMUM_PORTS; i++) {
            if (hba->Ports[i])
                AhciRecoverPort(hba->Ports[i]);
        }
    }
}

static Status StartHba(AhciHba *hba)
{
    volatile AhciRegisters *registers = hba->Registers;
    uint32_t linked;
    TakeOwnership(hba);
    KeInitializeEvent(&hba->RecoveryNeeded, false, false);
    Status status = PsCreateSystemThread("ahci recovery", KePrioritySystem, RecoverPorts, hba);
    if (status == StatusSuccess)
        status = ResetHba(hba, &linked);
    if (status != StatusSuccess)
        return status;
    hba->Capabilities = registers->CAP;
    for (uint32_t left = linked; left; left &= left - 1)
        PowerPort(hba, (uint32_t)__builtin_ctz(left));
    uint32_t ready = WaitForLinks(hba, linked);
    hba->HasInterrupt = IoPciConnectInterrupt(hba->Device, HandleInterrupt, hba) == StatusSuccess;
    if (hba->HasInterrupt)
        registers->GHC |= GHC_IE;
    else
        KeLog(LogWarning, "ahci: no message interrupt, completions are polled");
    for (uint32_t left = ready; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        status = AhciStartPort(hba, i, &hba->Ports[i]);
        if (status != StatusSuccess)
            KeLog(status == StatusNotSupported ? LogDebug : LogWarning,
                  "ahci: port %u left alone, status %u", i, (unsigned)status);
    }
    return StatusSuccess;
}

static Status Probe(IoDevice *device)
{
    if (device->Pci.Class != 1 || device->Pci.Subclass != 6 || device->Pci.Interface != 1)
        return StatusNotSupported;
    void *mapping;
    size_t size;
    Status status = IoPciMapBar(device, 5, &mapping, &size);
    if (status != StatusSuccess)
        return status;
    AhciHba *hba = MmAllocateHeap(sizeof(AhciHba), TAG_AHCI);
    if (!hba || size < offsetof(AhciRegisters, Ports[1])) {
        MmUnmapDevice(mapping, size);
        MmFreeHeap(hba);
        return hba ? StatusDeviceNotReady : StatusNoMemory;
    }
    hba->Device = device;
    hba->Registers = mapping;
    device->DriverData = hba;
    return StartHba(
        hba); // one that fails half-way keeps its memory: the adapter may still write there
}

static void Shutdown(IoDevice *device)
{
    AhciHba *hba = device->DriverData;
    hba->Registers->GHC &= ~GHC_IE;
    for (uint32_t i = 0; i < AHCI_MAXIMUM_PORTS; i++) {
        if (hba->Ports[i])
            AhciStopEngine(hba->Ports[i]->Registers);
    }
}

const IoDriver AhciDriver = {.Name = "ahci", .Bus = IoBusPci, .Probe = Probe, .Shutdown = Shutdown};
