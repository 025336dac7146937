// pci.c - PCI and PCI Express configuration space: finding functions, their BARs, message
// interrupts.
//
// Configuration space is reached through the memory-mapped window that the ACPI table MCFG
// describes (segment 0), one bus mapped when first needed, else through ports CF8h/CFCh, which know
// 256 bytes a function. The scan starts at bus 0 and follows bridges' secondary bus numbers as the
// firmware left them; each bus is visited once, so wrong numbers cannot make it endless. Sections
// refer to the PCI Local Bus Specification 3.0; MSI-X and the capability list are in its chapter 6.
// SPDX-License-Identifier: MIT
#include "iop.h"

#define CONFIG_ADDRESS 0xCF8
#define CONFIG_DATA    0xCFC
#define ECAM_BUS_SIZE  0x100000u

#define PCI_VENDOR           0x00
#define PCI_COMMAND          0x04
#define PCI_STATUS           0x06
#define PCI_REVISION         0x08
#define PCI_HEADER_TYPE      0x0E
#define PCI_BAR0             0x10
#define PCI_SECONDARY_BUS    0x19
#define PCI_CAPABILITIES     0x34
#define PCI_HEADER_SIZE      0x40u
#define COMMAND_IO           1u
#define COMMAND_MEMORY       2u
#define COMMAND_MASTER       4u
#define COMMAND_NO_INTX      0x400u
#define STATUS_CAPABILITIES  0x10u
#define HEADER_MULTIFUNCTION 0x80u
#define CAPABILITY_MSI       5
#define CAPABILITY_MSIX      17

typedef struct McfgEntry {
    uint64_t BaseAddress;
    uint16_t Segment;
    uint8_t StartBus, EndBus;
    uint32_t Reserved;
} McfgEntry;
static_assert(sizeof(McfgEntry) == 16, "PCI Firmware Specification 3.2, table 4-3");
#define MCFG_ENTRIES 44 // offset of the first entry

static struct {
    PhysicalAddress Ecam; // of bus 0; 0: ports
    uint8_t StartBus, EndBus;
    uint8_t *Buses[256]; // mappings; written during the scan only
    uint64_t Visited[4];
    KSpinLock PortLock; // guards the address port
} Pci = {.PortLock = KE_SPIN_LOCK_INIT(LockRankDevice, "pci configuration ports")};

static void FindEcam(void)
{
    size_t length;
    const uint8_t *table = HalFindAcpiTable("MCFG", 0, &length);
    for (size_t at = MCFG_ENTRIES; table && at + sizeof(McfgEntry) <= length;
         at += sizeof(McfgEntry)) {
        McfgEntry entry;
        memcpy(&entry, table + at, sizeof(entry));
        if (entry.Segment != 0 || entry.StartBus > entry.EndBus || !entry.BaseAddress)
            continue;
        Pci.Ecam = entry.BaseAddress;
        Pci.StartBus = entry.StartBus;
        Pci.EndBus = entry.EndBus;
        return;
    }
}

static void MapBus(uint8_t bus)
{
    void *mapping;
    if (!Pci.Ecam || bus < Pci.StartBus || bus > Pci.EndBus || Pci.Buses[bus])
        return;
    PhysicalAddress address = Pci.Ecam + (uint64_t)bus * ECAM_BUS_SIZE;
    if (MmMapDevice(address, ECAM_BUS_SIZE, CachingUncached, &mapping) == StatusSuccess)
        Pci.Buses[bus] = mapping;
}

// Reads or writes 1, 2 or 4 bytes at an offset that is a multiple of that.
static uint32_t Access(uint32_t address, uint32_t offset, uint32_t size, bool write, uint32_t value)
{
    volatile uint8_t *bus = Pci.Buses[address >> 16 & 255];
    uint32_t device = address >> 8 & 31, function = address & 7;
    if (offset + size > (bus ? 4096u : 256u) || (offset & (size - 1)) ||
        (!bus && !HalHasLegacyDevices()))
        return UINT32_MAX;
    if (bus) {
        volatile uint8_t *at = bus + (device << 15 | function << 12 | offset);
        if (!write)
            return size == 1   ? *at
                   : size == 2 ? *(volatile uint16_t *)at
                               : *(volatile uint32_t *)at;
        if (size == 1)
            *at = (uint8_t)value;
        else if (size == 2)
            *(volatile uint16_t *)at = (uint16_t)value;
        else
            *(volatile uint32_t *)at = value;
        return 0;
    }
    uint16_t port = (uint16_t)(CONFIG_DATA + (offset & 3));
    KIrql old = KeAcquireSpinLock(&Pci.PortLock);
    HalWritePort32(CONFIG_ADDRESS, 1u << 31 | (address >> 16 & 255) << 16 | device << 11 |
                                       function << 8 | (offset & 0xFC));
    uint32_t result = 0;
    if (write && size == 1)
        HalWritePort8(port, (uint8_t)value);
    else if (write && size == 2)
        HalWritePort16(port, (uint16_t)value);
    else if (write)
        HalWritePort32(port, value);
    else
        result = size == 1   ? HalReadPort8(port)
                 : size == 2 ? HalReadPort16(port)
                             : HalReadPort32(port);
    KeReleaseSpinLock(&Pci.PortLock, old);
    return result;
}

uint32_t IoPciRead(const IoDevice *device, uint32_t offset, uint32_t size)
{
    return Access(device->PciAddress, offset, size, false, 0);
}

void IoPciWrite(const IoDevice *device, uint32_t offset, uint32_t size, uint32_t value)
{
    Access(device->PciAddress, offset, size, true, value);
}

// ---- finding functions

static void ReportFunction(uint32_t address)
{
    IoDevice *device = IopCreateDevice(IoBusPci);
    if (!device)
        return;
    uint32_t id = Access(address, PCI_VENDOR, 4, false, 0),
             class = Access(address, PCI_REVISION, 4, false, 0);
    device->PciAddress = address;
    device->Pci = (IoPciId){.Vendor = (uint16_t)id,
                            .Device = (uint16_t)(id >> 16),
                            .Class = (uint8_t)(class >> 24),
                            .Subclass = (uint8_t)(class >> 16),
                            .Interface = (uint8_t)(class >> 8),
                            .Revision = (uint8_t)class};
    RtlFormat(device->Name, sizeof(device->Name), "pci %02x:%02x.%x", address >> 16,
              address >> 8 & 31, address & 7);
    KeLog(LogDebug, "io: %s: %04x:%04x class %02x%02x%02x", device->Name, device->Pci.Vendor,
          device->Pci.Device, device->Pci.Class, device->Pci.Subclass, device->Pci.Interface);
    IopOfferDevice(device);
}

static void ScanBus(uint8_t bus, uint8_t *pending, uint32_t *pendingCount)
{
    MapBus(bus);
    for (uint32_t device = 0; device < 32; device++) {
        for (uint32_t function = 0; function < 8; function++) {
            uint32_t address = (uint32_t)bus << 16 | device << 8 | function;
            if ((Access(address, PCI_VENDOR, 2, false, 0) & 0xFFFF) == 0xFFFF) {
                if (function == 0)
                    break;
                continue;
            }
            uint8_t type = (uint8_t)Access(address, PCI_HEADER_TYPE, 1, false, 0);
            uint8_t secondary = (uint8_t)Access(address, PCI_SECONDARY_BUS, 1, false, 0);
            if ((type & 0x7F) == 1 && secondary &&
                !(Pci.Visited[secondary / 64] >> secondary % 64 & 1)) {
                Pci.Visited[secondary / 64] |= 1ull << secondary % 64;
                pending[(*pendingCount)++] = secondary; // each bus once: 256 are enough
            }
            ReportFunction(address);
            if (function == 0 && !(type & HEADER_MULTIFUNCTION))
                break;
        }
    }
}

void IopScanPci(void)
{
    static uint8_t pending[256];
    uint32_t count = 1;
    FindEcam();
    if (!Pci.Ecam && !HalHasLegacyDevices())
        return;
    Pci.Visited[0] = 1;
    for (uint32_t done = 0; done < count; done++)
        ScanBus(pending[done], pending, &count);
}

// ---- base address registers (6.2.5.1)

// Sizing needs the decoders off for a moment; only done before the device's driver uses it.
static uint64_t SizeBar(const IoDevice *device, uint32_t offset, bool wide, uint64_t value)
{
    uint32_t command = IoPciRead(device, PCI_COMMAND, 2);
    IoPciWrite(device, PCI_COMMAND, 2, command & ~(COMMAND_IO | COMMAND_MEMORY));
    IoPciWrite(device, offset, 4, UINT32_MAX);
    uint64_t mask = IoPciRead(device, offset, 4) & ~15u;
    IoPciWrite(device, offset, 4, (uint32_t)value);
    if (wide) {
        IoPciWrite(device, offset + 4, 4, UINT32_MAX);
        mask |= (uint64_t)IoPciRead(device, offset + 4, 4) << 32;
        IoPciWrite(device, offset + 4, 4, (uint32_t)(value >> 32));
    } else {
        mask |= 0xFFFFFFFFull << 32;
    }
    IoPciWrite(device, PCI_COMMAND, 2, command);
    return ~mask + 1; // 0: not implemented
}

static Status LocateBar(const IoDevice *device, uint32_t bar, PhysicalAddress *address,
                        uint64_t *size)
{
    if (bar > 5)
        return StatusInvalidParameter;
    uint32_t offset = PCI_BAR0 + bar * 4;
    uint64_t value = IoPciRead(device, offset, 4);
    bool wide = (value & 7) == 4;
    if ((value & 1) || (wide && bar == 5))
        return StatusNotSupported;
    if (wide)
        value |= (uint64_t)IoPciRead(device, offset + 4, 4) << 32;
    *size = SizeBar(device, offset, wide, value);
    *address = value & ~15ull;
    // A window nobody gave an address, or one that wraps, cannot be used.
    return *size && *address && *address + *size > *address ? StatusSuccess : StatusNoSuchDevice;
}

Status IoPciMapBar(const IoDevice *device, uint32_t bar, void **mapping, size_t *size)
{
    PhysicalAddress address;
    uint64_t bytes;
    Status status = LocateBar(device, bar, &address, &bytes);
    if (status != StatusSuccess)
        return status;
    status = MmMapDevice(address, bytes, CachingUncached, mapping);
    if (status != StatusSuccess)
        return status;
    *size = bytes;
    IoPciWrite(device, PCI_COMMAND, 2, IoPciRead(device, PCI_COMMAND, 2) | COMMAND_MEMORY);
    return StatusSuccess;
}

// ---- capabilities and message interrupts (6.7, 6.8)

// Offset of a capability; 0: none. At most 48 fit into 192 bytes, so a looped list ends.
static uint32_t FindCapability(const IoDevice *device, uint8_t id)
{
    if (!(IoPciRead(device, PCI_STATUS, 2) & STATUS_CAPABILITIES))
        return 0;
    uint32_t offset = IoPciRead(device, PCI_CAPABILITIES, 1) & 0xFC;
    for (int i = 0; i < 48 && offset >= PCI_HEADER_SIZE; i++) {
        if (IoPciRead(device, offset, 1) == id)
            return offset;
        offset = IoPciRead(device, offset + 1, 1) & 0xFC;
    }
    return 0;
}

static void ProgramMsi(const IoDevice *device, uint32_t offset, uint64_t address, uint32_t data)
{
    uint32_t control = IoPciRead(device, offset + 2, 2);
    bool wide = control & 0x80;
    IoPciWrite(device, offset + 4, 4, (uint32_t)address);
    if (wide)
        IoPciWrite(device, offset + 8, 4, (uint32_t)(address >> 32));
    IoPciWrite(device, offset + (wide ? 12 : 8), 2, data);
    if (control & 0x100) // per-vector masking: unmask vector 0
        IoPciWrite(device, offset + (wide ? 16 : 12), 4, 0);
    IoPciWrite(device, offset + 2, 2, (control & ~0x70u) | 1); // one vector, enabled
}

static Status ProgramMsix(const IoDevice *device, uint32_t offset, uint64_t address, uint32_t data)
{
    uint32_t table = IoPciRead(device, offset + 4, 4);
    PhysicalAddress bar;
    uint64_t size;
    void *mapping;
    Status status = LocateBar(device, table & 7, &bar, &size);
    uint64_t start = table & ~7ull;
    if (status == StatusSuccess && (size < 16 || start > size - 16))
        status = StatusNotSupported;
    if (status == StatusSuccess)
        status = MmMapDevice(bar + start, 16, CachingUncached, &mapping);
    if (status != StatusSuccess)
        return status;
    IoPciWrite(device, PCI_COMMAND, 2, IoPciRead(device, PCI_COMMAND, 2) | COMMAND_MEMORY);
    uint32_t control = IoPciRead(device, offset + 2, 2);
    IoPciWrite(device, offset + 2, 2,
               control | 0xC000); // enabled, all masked while the entry changes
    volatile uint32_t *entry = mapping;
    entry[0] = (uint32_t)address;
    entry[1] = (uint32_t)(address >> 32);
    entry[2] = data;
    entry[3] = 0;
    IoPciWrite(device, offset + 2, 2, (control & ~0x4000u) | 0x8000);
    MmUnmapDevice(mapping, 16);
    return StatusSuccess;
}

Status IoPciConnectInterrupt(IoDevice *device, HalInterruptHandler *handler, void *context)
{
    IoPciWrite(device, PCI_COMMAND, 2,
               IoPciRead(device, PCI_COMMAND, 2) | COMMAND_MASTER | COMMAND_NO_INTX);
    uint32_t msi = FindCapability(device, CAPABILITY_MSI);
    uint32_t msix = msi ? 0 : FindCapability(device, CAPABILITY_MSIX);
    if (!msi && !msix)
        return StatusNotSupported;
    uint64_t address;
    uint32_t data;
    Status status = HalConnectMessageInterrupt(handler, context, &address, &data);
    if (status != StatusSuccess)
        return status;
    if (msix)
        return ProgramMsix(device, msix, address, data);
    ProgramMsi(device, msi, address, data);
    return StatusSuccess;
}
