// legacy.c - the hardware of a PC that a Generation 2 machine does not have.
//
// The firmware (OVMF) needs a PC: PCI, 8254, 8259 and, to load from, an AHCI controller. So these
// exist until an operating system makes itself known by the guest id MSR; from then on, until
// reset, "nothing there" lies over them: reads give ones, writes are lost, and each is logged. What
// a Generation 2 machine does have stays: CMOS clock, ACPI power management, COM ports, IOAPIC
// (OpenVMM, vm_manifest_builder). Port 0xCF8 stays too, as 0xCF9 is inside of it; a PCI access
// shows at 0xCFC.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "exec/address-spaces.h"

enum { AbsentPriority = 1000, LoggedMax = 100 };

static const struct Range {
    bool io;
    uint64_t at, size;
    const char *name;
} Ranges[] = {
    {true, 0x00, 0x70, "absent-dma-pic-pit-keyboard"},
    {true, 0x72, 0x8E - 0x72, "absent-dma-pages"}, // 0x8E is our hypercall port
    {true, 0x8F, 0x2F8 - 0x8F, "absent-isa"},
    {true, 0x300, 0xF8, "absent-isa-vga"},
    {true, 0xCFC, 4, "absent-pci-data"},
    {false, 0xB0000000, 0x10000000, "absent-mmconfig"},
};
QEMU_BUILD_BUG_ON(ARRAY_SIZE(Ranges) > ARRAY_SIZE(((HvHost *)0)->absent));

static void NoteAccess(const struct Range *range, const char *what, hwaddr offset)
{
    if (Host->legacyAccesses++ < LoggedMax)
        HvPrint("legacy: %s of %s 0x%" PRIx64 " (%s)", what, range->io ? "port" : "address",
                range->at + offset, range->name);
}

static uint64_t ReadAbsent(void *opaque, hwaddr offset, unsigned size)
{
    NoteAccess(opaque, "read", offset);
    return ~0ull;
}

static void WriteAbsent(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    const struct Range *range = opaque;

    if (range->io && range->at + offset == 0x80)
        return; // the delay port: harmless everywhere
    NoteAccess(range, "write", offset);
}

static const MemoryRegionOps AbsentOps = {
    .read = ReadAbsent,
    .write = WriteAbsent,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 1, .max_access_size = 8},
    .impl = {.min_access_size = 1, .max_access_size = 4},
};

void HvLegacyInit(HvHost *host)
{
    for (unsigned i = 0; i < ARRAY_SIZE(Ranges); i++) {
        memory_region_init_io(&host->absent[i], OBJECT(host), &AbsentOps, (void *)&Ranges[i],
                              Ranges[i].name, Ranges[i].size);
        memory_region_set_enabled(&host->absent[i], false);
        memory_region_add_subregion_overlap(Ranges[i].io ? get_system_io() : get_system_memory(),
                                            Ranges[i].at, &host->absent[i], AbsentPriority);
    }
}

static void Apply(void *opaque)
{
    HvHost *host = opaque;

    memory_region_transaction_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(Ranges); i++)
        memory_region_set_enabled(&host->absent[i], host->legacyHidden);
    memory_region_transaction_commit();
}

void HvLegacyHide(HvHost *host, bool hide)
{
    if (!host->legacyVanishes || hide == host->legacyHidden)
        return;
    host->legacyHidden = hide;
    HvWhileStopped(Apply, host);
}
