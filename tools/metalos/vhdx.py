"""Writes a raw image as a dynamic VHDX, Hyper-V's format (MS-VHDX 1.0), the same bytes each time.

Layout, in megabytes: 0 identifier, headers, region tables; 1 log (empty); 2 metadata; 3 block
allocation table; then the blocks that hold anything but zeros, in order. qemu-img writes the format too,
but with random identifiers.
"""
# SPDX-License-Identifier: MIT
import os
import struct
import uuid

MEGABYTE = 1 << 20
BLOCK = MEGABYTE  # the smallest allowed: little slack in a small image
SECTOR = 512
BAT_REGION = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA_REGION = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556")
NAMESPACE = uuid.UUID("4d65746c-4f53-5648-9d58-000000000001")  # ours; the file's own GUIDs derive from it
VIRTUAL_DISK, REQUIRED = 2, 4  # metadata entry flags
FULLY_PRESENT = 6  # block state


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def _with_checksum(data):
    """data with the CRC-32C of all of it, taken as zero there, in bytes 4 to 7."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return data[:4] + struct.pack("<I", crc ^ 0xFFFFFFFF) + data[8:]


def _header(sequence):
    guid = [uuid.uuid5(NAMESPACE, name).bytes_le for name in ("file write", "data write")]
    head = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, sequence, *guid, bytes(16), 0, 1, MEGABYTE,
                       MEGABYTE)
    return _with_checksum(head.ljust(4096, b"\0"))


def _metadata(size):
    items = ((FILE_PARAMETERS, struct.pack("<II", BLOCK, 0), REQUIRED),
             (DISK_SIZE, struct.pack("<Q", size), REQUIRED | VIRTUAL_DISK),
             (DISK_ID, uuid.uuid5(NAMESPACE, "disk").bytes_le, REQUIRED | VIRTUAL_DISK),
             (LOGICAL_SECTOR, struct.pack("<I", SECTOR), REQUIRED | VIRTUAL_DISK),
             (PHYSICAL_SECTOR, struct.pack("<I", 4096), REQUIRED | VIRTUAL_DISK))
    table, data = struct.pack("<8sHH20x", b"metadata", 0, len(items)), b""
    for item, value, flags in items:
        table += struct.pack("<16sIIII", item.bytes_le, 65536 + len(data), len(value), flags, 0)
        data += value
    return table.ljust(65536, b"\0") + data


def write(raw, path):
    """Converts the file named raw to a VHDX named path. The raw size must be a multiple of 1 MB."""
    size = os.path.getsize(raw)
    if size % MEGABYTE:
        raise ValueError("the size of the raw image is no multiple of 1 MB")
    blocks = size // BLOCK
    chunk = (1 << 23) * SECTOR // BLOCK  # payload blocks between two entries for sector bitmaps
    entries = blocks + (blocks - 1) // chunk
    bat_size = -(-entries * 8 // MEGABYTE) * MEGABYTE
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    regions += struct.pack("<16sQII", BAT_REGION.bytes_le, 3 * MEGABYTE, bat_size, 1)
    regions += struct.pack("<16sQII", METADATA_REGION.bytes_le, 2 * MEGABYTE, MEGABYTE, 1)
    regions = _with_checksum(regions.ljust(65536, b"\0"))
    zero = bytes(BLOCK)
    with open(raw, "rb") as source, open(path, "wb") as out:
        for offset, data in ((0, b"vhdxfile" + "MetalOS mkimage".encode("utf-16-le")),
                             (65536, _header(1)), (131072, _header(2)), (196608, regions),
                             (262144, regions), (2 * MEGABYTE, _metadata(size))):
            out.seek(offset)
            out.write(data)
        bat = [0] * entries
        position = 3 * MEGABYTE + bat_size
        for index in range(blocks):
            data = source.read(BLOCK)
            if data == zero:
                continue
            bat[index + index // chunk] = position | FULLY_PRESENT
            out.seek(position)
            out.write(data)
            position += BLOCK
        out.seek(3 * MEGABYTE)
        out.write(struct.pack(f"<{entries}Q", *bat))
        out.truncate(position)
