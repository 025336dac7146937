// What a Generation 2 machine describes beside its processors (OpenVMM, vm/acpi/src/dsdt.rs; Microsoft's
// own firmware): the module device that carries VMBus and the memory that its devices may be mapped in,
// COM ports, the clock. No PCI, no legacy hardware.
// SPDX-License-Identifier: MIT
DefinitionBlock ("dsdt.aml", "DSDT", 2, "MSFTVM", "DSDT01", 1)
{
    Name (\_S0, Package () { 0, 0 })
    Name (\_S5, Package () { 0, 0 })
    Scope (\_SB)
    {
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                // The firmware's frame buffer is at the bottom of the low window.
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x0, 0xC0000000, 0xC7FFFFFF, 0x0, 0x08000000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x0, 0xFE0000000, 0xFEFFFFFFF, 0x0, 0x10000000)
            })
            Device (VMBS)
            {
                Name (STA, 0x0F)
                Name (_HID, "MSFT1000")
                Name (_CID, "VMBus")
                Name (_DDN, "VMBUS")
                Name (_UID, 0)
                Method (_STA, 0) { Return (STA) }
                Method (_DIS, 0) { And (STA, 0x0D, STA) }
                Method (_PS0, 0) { Or (STA, 0x0F, STA) }
                Method (_PS3, 0) { }
                Name (_CRS, ResourceTemplate () { IRQ (Edge, ActiveHigh, Exclusive) {5} })
            }
            Device (RTC0)
            {
                Name (_HID, EisaId ("PNP0B00"))
                Name (_UID, 0)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0070, 0x0070, 0, 2)
                    IRQNoFlags () {8}
                })
            }
            Device (UAR1)
            {
                Name (_HID, EisaId ("PNP0501"))
                Name (_DDN, "COM1")
                Name (_UID, 1)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                    IRQ (Edge, ActiveHigh, Exclusive) {4}
                })
            }
            Device (UAR2)
            {
                Name (_HID, EisaId ("PNP0501"))
                Name (_DDN, "COM2")
                Name (_UID, 2)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x02F8, 0x02F8, 1, 8)
                    IRQ (Edge, ActiveHigh, Exclusive) {3}
                })
            }
        }
    }
}
