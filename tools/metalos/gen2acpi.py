"""The ACPI tables of a Generation 2 machine, as OVMF takes them from fw_cfg.

QEMU's own tables would describe a PC. With -no-acpi and three fw_cfg files instead the firmware installs these:
RSDP, XSDT, FADT, FACS, MADT, WAET and the DSDT of tools/hvhost/acpi (ACPI 6.4, chapter 5). The third file is a list of
commands that place the tables and put addresses and checksums into them (QEMU, hw/acpi/bios-linker-loader.c).
"""
# SPDX-License-Identifier: MIT
import os
import struct

TABLES, RSDP, LOADER = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"
PM1_EVENT, PM1_CONTROL, PM_TIMER, RESET_PORT, SCI = 0x600, 0x604, 0x608, 0xCF9, 9
LOCAL_APIC, IO_APIC = 0xFEE00000, 0xFEC00000
SYSTEM_MEMORY, SYSTEM_IO = 0, 1  # address spaces of a generic address


class _Loader:
    """The commands; each is 128 bytes."""

    def __init__(self):
        self.commands = b""

    def _add(self, number, *parts):
        self.commands += (struct.pack("<I", number) + b"".join(parts)).ljust(128, b"\0")

    @staticmethod
    def _name(name):
        return name.encode().ljust(56, b"\0")

    def allocate(self, name, alignment, zone):
        self._add(1, self._name(name), struct.pack("<IB", alignment, zone))

    def add_pointer(self, name, target, offset, size):
        self._add(2, self._name(name), self._name(target), struct.pack("<IB", offset, size))

    def add_checksum(self, name, offset, start, length):
        self._add(3, self._name(name), struct.pack("<III", offset, start, length))


def _table(signature, revision, body):
    return (signature + struct.pack("<IBB6s8sI4sI", 36 + len(body), revision, 0, b"VRTUAL", b"MICROSFT", 1, b"MSFT", 1)
            + body)


def _address(space, bits, address, access=0):
    return struct.pack("<BBBBQ", space, bits, 0, access, address)


def _fadt():
    """Always in ACPI mode (no SMI port), no VGA, no 8042; reset by register."""
    none = _address(SYSTEM_MEMORY, 0, 0)
    wbinvd, processor_c1, sleep_button, rtc_wake, reset, headless = 1 << 0, 1 << 2, 1 << 5, 1 << 7, 1 << 10, 1 << 8
    no_vga, no_msi = 1 << 2, 1 << 3
    body = struct.pack("<IIBBHIBBBB", 0, 0, 0, 0, SCI, 0, 0, 0, 0, 0)
    body += struct.pack("<IIIIIIII", PM1_EVENT, 0, PM1_CONTROL, 0, 0, PM_TIMER, 0, 0)
    body += struct.pack("<BBBBBBBBHHHHBBBBBHBI", 4, 2, 0, 4, 0, 0, 0, 0, 101, 1001, 0, 0, 0, 0, 0, 0, 0x32,
                        no_vga | no_msi, 0, wbinvd | processor_c1 | sleep_button | rtc_wake | reset | headless)
    body += _address(SYSTEM_IO, 8, RESET_PORT, 1) + struct.pack("<BHB", 0x0F, 0, 0) + struct.pack("<QQ", 0, 0)
    body += _address(SYSTEM_IO, 32, PM1_EVENT, 2) + none + _address(SYSTEM_IO, 16, PM1_CONTROL, 2) + none + none
    body += _address(SYSTEM_IO, 32, PM_TIMER, 3) + none + none + none + none + b"Microsof"
    return _table(b"FACP", 6, body)


def _madt(processors):
    body = struct.pack("<II", LOCAL_APIC, 0)  # without the flag that says there is an 8259
    for number in range(processors):
        body += struct.pack("<BBBBI", 0, 8, number + 1, number, 1)
    body += struct.pack("<BBBBII", 1, 12, processors, 0, IO_APIC, 0)
    body += struct.pack("<BBBBIH", 2, 10, 0, SCI, SCI, 0x0D)  # level, active high
    return _table(b"APIC", 4, body)


def write(folder, processors, dsdt):
    """Writes the three files into the folder; returns QEMU's arguments for them. dsdt: compiled, as bytes."""
    loader, blob, at = _Loader(), bytearray(), {}

    def put(name, data, alignment=16):
        blob.extend(bytes(-len(blob) % alignment))
        at[name] = len(blob)
        blob.extend(data)

    loader.allocate(TABLES, 64, 1)
    loader.allocate(RSDP, 16, 2)
    put("FACS", b"FACS" + struct.pack("<II", 64, 0) + bytes(20) + bytes([2]) + bytes(31), 64)
    put("DSDT", dsdt)
    put("FACP", _fadt())
    for field, target, form in ((36, "FACS", "<I"), (40, "DSDT", "<I"), (140, "DSDT", "<Q")):
        struct.pack_into(form, blob, at["FACP"] + field, at[target])
        loader.add_pointer(TABLES, TABLES, at["FACP"] + field, struct.calcsize(form))
    put("APIC", _madt(processors))
    put("WAET", _table(b"WAET", 1, struct.pack("<I", 3)))  # clock and timer need no workarounds
    listed = ("FACP", "APIC", "WAET")
    put("XSDT", _table(b"XSDT", 1, b"".join(struct.pack("<Q", at[name]) for name in listed)))
    for number in range(len(listed)):
        loader.add_pointer(TABLES, TABLES, at["XSDT"] + 36 + 8 * number, 8)
    for name in (*listed, "XSDT"):
        length = struct.unpack_from("<I", blob, at[name] + 4)[0]
        loader.add_checksum(TABLES, at[name] + 9, at[name], length)
    rsdp = b"RSD PTR \0VRTUAL\2" + struct.pack("<IIQBBBB", 0, 36, at["XSDT"], 0, 0, 0, 0)
    loader.add_pointer(RSDP, TABLES, 24, 8)
    loader.add_checksum(RSDP, 8, 0, 20)
    loader.add_checksum(RSDP, 32, 0, 36)
    arguments = []
    for name, data in ((TABLES, bytes(blob)), (RSDP, rsdp), (LOADER, loader.commands)):
        path = os.path.join(folder, name.rpartition("/")[2])
        with open(path, "wb") as file:
            file.write(data)
        arguments += ["-fw_cfg", f"name={name},file={path.replace(',', ',,')}"]
    return arguments
