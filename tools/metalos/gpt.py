"""Writes a GUID partition table: an EFI system partition, and room for crash dumps (UEFI 2.10, section 5)."""
# SPDX-License-Identifier: MIT
import struct
import uuid
import zlib

SECTOR = 512
FIRST_LBA = 2048  # 1 MB, the customary alignment
ENTRIES, ENTRY_SIZE = 128, 128
ENTRY_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
DUMP_TYPE = uuid.UUID("4d65746c-4f53-4475-6d70-000000000001")  # of kernel/io/partition.c
# Fixed, so that the same files give the same image.
DISK_GUID = uuid.UUID("4d65746c-4f53-4469-b36b-000000000001")
PARTITION_GUID = uuid.UUID("4d65746c-4f53-4573-b070-000000000001")
DUMP_GUID = uuid.UUID("4d65746c-4f53-4573-b070-000000000002")


def partition_sectors(size):
    """Sectors of the system partition on a disk of `size` bytes, or that has `size` bytes and room for dumps."""
    return size // SECTOR - FIRST_LBA - ENTRY_SECTORS - 1


def write(file, size, dump=0, name="MetalOS"):
    """Writes the protective MBR and both tables of a disk of size + dump bytes; the system partition begins at
    byte FIRST_LBA * SECTOR, that for dumps, if there is one, at byte size."""
    last = (size + dump) // SECTOR - 1
    end = FIRST_LBA + partition_sectors(size) - 1
    mbr = bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1,
                                   min(last, 0xFFFFFFFF))
    entry = struct.pack("<16s16sQQQ72s", ESP_TYPE.bytes_le, PARTITION_GUID.bytes_le, FIRST_LBA, end, 0,
                        name.encode("utf-16-le"))
    if dump:
        entry += struct.pack("<16s16sQQQ72s", DUMP_TYPE.bytes_le, DUMP_GUID.bytes_le, size // SECTOR,
                             last - ENTRY_SECTORS - 1, 0, "MetalOS crash dump".encode("utf-16-le"))
    entries = entry.ljust(ENTRIES * ENTRY_SIZE, b"\0")

    def header(own, other, table):
        def pack(crc):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, own, other,
                               2 + ENTRY_SECTORS, last - ENTRY_SECTORS - 1, DISK_GUID.bytes_le, table,
                               ENTRIES, ENTRY_SIZE, zlib.crc32(entries))
        return pack(zlib.crc32(pack(0)))

    for sector, data in ((0, mbr.ljust(510, b"\0") + b"\x55\xaa"), (1, header(1, last, 2)), (2, entries),
                         (last - ENTRY_SECTORS, entries),
                         (last, header(last, 1, last - ENTRY_SECTORS))):
        file.seek(sector * SECTOR)
        file.write(data)


def esp_offset(file):
    """Byte offset of the first EFI system partition of the raw image, by its table; None without one."""
    return partition_offset(file, ESP_TYPE)


def partition_offset(file, kind):
    """Byte offset of the first partition of that type GUID; None without one."""
    file.seek(SECTOR)
    header = file.read(92)
    if header[:8] != b"EFI PART":
        return None
    table, count, size = struct.unpack_from("<QII", header, 72)
    for index in range(min(count, 1024)):
        file.seek(table * SECTOR + index * size)
        entry = file.read(48)
        if entry[:16] == kind.bytes_le:
            return struct.unpack_from("<Q", entry, 32)[0] * SECTOR
    return None
