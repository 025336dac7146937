"""Writes a FAT32 volume in one pass: every file contiguous, the same input giving the same bytes.

The layout follows Microsoft's "FAT32 File System Specification" 1.03: boot sector and FSInfo with
backups at sector 6, two FATs, the root directory in cluster 2. Names that are not plain 8.3 upper case
get long-name entries (section "FAT Long Directory Entries").
"""
# SPDX-License-Identifier: MIT
import struct
import time

SECTOR = 512
CLUSTER = 4096  # one page; with it a volume needs 65525 clusters = 256 MB to be FAT32
RESERVED = 32  # sectors before the first FAT
MINIMUM_CLUSTERS = 65525  # below, every driver takes the volume for FAT16
END_OF_CHAIN = 0x0FFFFFFF
ATTRIBUTE_VOLUME_LABEL, ATTRIBUTE_DIRECTORY, ATTRIBUTE_ARCHIVE = 0x08, 0x10, 0x20
SHORT_NAME_CHARACTERS = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~")


class ImageError(Exception):
    """The files cannot be put on the volume; the text says why."""


class Directory:
    """A directory under construction: name -> Directory or bytes-like content."""

    def __init__(self):
        self.entries = {}

    def add(self, path, content):
        """Puts content (bytes) at path, making the directories on the way."""
        names = [name for name in path.replace("\\", "/").split("/") if name]
        if not names:
            raise ImageError(f"'{path}' is not a file name")
        node = self
        for name in names[:-1]:
            node = node._child(name, path)
        _check_name(names[-1])
        if names[-1].lower() in (name.lower() for name in node.entries):
            raise ImageError(f"two files for '{path}'")
        node.entries[names[-1]] = content

    def _child(self, name, path):
        _check_name(name)
        for existing, child in self.entries.items():
            if existing.lower() == name.lower():
                if not isinstance(child, Directory):
                    raise ImageError(f"'{path}' passes through a file")
                return child
        child = self.entries[name] = Directory()
        return child


def _check_name(name):
    units = len(name.encode("utf-16-le")) // 2
    if units > 255 or name in (".", "..") or any(c in '"*:<>?|' or ord(c) < 32 for c in name):
        raise ImageError(f"'{name}' cannot be a name on FAT")


def _short_name(name, taken):
    """The 11-byte 8.3 name, unique in taken, and whether it says all that name does."""
    base, dot, extension = name.rpartition(".")
    if not dot or not base:
        base, extension = name, ""
    encoded = [part.upper().encode("ascii", "replace") for part in (base, extension)]
    clean = [bytes(c for c in part if c in SHORT_NAME_CHARACTERS) for part in encoded]
    exact = (clean[0].decode() + (dot if extension else "") + clean[1].decode() == name
             and len(clean[0]) <= 8 and len(clean[1]) <= 3)
    short = clean[0][:8].ljust(8) + clean[1][:3].ljust(3)
    number = 0
    while short in taken or (number == 0 and not exact and [len(p) for p in clean]
                             != [len(p) for p in (base, extension)]) or short[:1] == b" ":
        number += 1
        tail = b"~%d" % number
        short = (clean[0][:8 - len(tail)] + tail).ljust(8) + clean[1][:3].ljust(3)
    taken.add(short)
    return short, exact and number == 0


def _long_entries(name, short):
    checksum = 0
    for byte in short:
        checksum = ((checksum >> 1) | (checksum << 7)) + byte & 0xFF
    units = name.encode("utf-16-le")
    count = (len(units) // 2 + 12) // 13
    if len(units) // 2 % 13:
        units = (units + b"\0\0").ljust(count * 26, b"\xff")
    out = []
    for index in range(count, 0, -1):
        part = units[(index - 1) * 26:index * 26]
        out.append(struct.pack("<B10sBBB12sH4s", index | (0x40 if index == count else 0), part[:10],
                               0x0F, 0, checksum, part[10:22], 0, part[22:]))
    return b"".join(out)


class _Writer:
    def __init__(self, file, offset, sectors, timestamp):
        self.file, self.offset, self.sectors = file, offset, sectors
        when = time.gmtime(timestamp)
        self.date = (when.tm_year - 1980) << 9 | when.tm_mon << 5 | when.tm_mday
        self.time = when.tm_hour << 11 | when.tm_min << 5 | when.tm_sec // 2
        per_cluster = CLUSTER // SECTOR
        # Each FAT maps the clusters that remain beside the FATs themselves.
        fat = 1
        while fat * (SECTOR // 4) < (sectors - RESERVED - 2 * fat) // per_cluster + 2:
            fat += 1
        reserved = RESERVED + -(RESERVED + 2 * fat) % per_cluster  # data begins cluster-aligned
        self.fat_sectors, self.reserved = fat, reserved
        self.data = reserved + 2 * fat
        self.clusters = (sectors - self.data) // per_cluster
        if self.clusters < MINIMUM_CLUSTERS:
            raise ImageError(f"{sectors * SECTOR >> 20} MB is too small for FAT32 with "
                             f"{CLUSTER}-byte clusters")
        self.fat = bytearray(struct.pack("<II", 0x0FFFFFF8, END_OF_CHAIN))

    def allocate(self, size):
        """A chain of consecutive clusters for size bytes; 0 for an empty file."""
        count = -(-size // CLUSTER)
        first = len(self.fat) // 4
        if first + count > self.clusters + 2:
            raise ImageError("the files do not fit; ask for a larger image")
        if not count:
            return 0
        self.fat += struct.pack(f"<{count}I", *range(first + 1, first + count), END_OF_CHAIN)
        return first

    def write(self, sector, data):
        self.file.seek(self.offset + sector * SECTOR)
        self.file.write(data)

    def write_cluster(self, cluster, data):
        self.write(self.data + (cluster - 2) * (CLUSTER // SECTOR), data)

    def entry(self, short, attribute, cluster, size):
        return struct.pack("<11sBBBHHHHHHHI", short, attribute, 0, 0, self.time, self.date, self.date,
                           cluster >> 16, self.time, self.date, cluster & 0xFFFF, size)

    def directory(self, node, parent, label=None):
        """Writes node and all below it; returns its first cluster."""
        names, taken = [], set()
        for name in sorted(node.entries, key=lambda n: (n.lower(), n)):
            short, exact = _short_name(name, taken)
            names.append((name, short, b"" if exact else _long_entries(name, short)))
        head = 32 if label else 64
        cluster = self.allocate(head + sum(len(long) + 32 for _, _, long in names) + 32)
        if label:
            out = self.entry(label.upper().encode("ascii").ljust(11), ATTRIBUTE_VOLUME_LABEL, 0, 0)
        else:
            out = self.entry(b".".ljust(11), ATTRIBUTE_DIRECTORY, cluster, 0)
            out += self.entry(b"..".ljust(11), ATTRIBUTE_DIRECTORY, parent, 0)
        for name, short, long in names:
            child = node.entries[name]
            if isinstance(child, Directory):
                # ".." of the root's children is 0, not the root's cluster.
                first = self.directory(child, 0 if label else cluster)
                out += long + self.entry(short, ATTRIBUTE_DIRECTORY, first, 0)
            else:
                first = self.allocate(len(child))
                if first:
                    self.write_cluster(first, child)
                out += long + self.entry(short, ATTRIBUTE_ARCHIVE, first, len(child))
        self.write_cluster(cluster, out.ljust(-(-len(out) // CLUSTER) * CLUSTER, b"\0"))
        return cluster

    def finish(self, serial, label):
        used = len(self.fat) // 4 - 2
        boot = struct.pack("<3s8sHBHBHHBHHHIIIHHIHH12xBxBI11s8s", b"\xeb\x58\x90", b"METALOS ", SECTOR,
                           CLUSTER // SECTOR, self.reserved, 2, 0, 0, 0xF8, 0, 63, 255,
                           self.offset // SECTOR, self.sectors, self.fat_sectors, 0, 0, 2, 1, 6,
                           0x80, 0x29, serial, label.upper().encode("ascii").ljust(11), b"FAT32   ")
        boot += b"\xf4\xeb\xfd"  # hlt and again: this volume boots by UEFI only
        boot = boot.ljust(510, b"\0") + b"\x55\xaa"
        info = struct.pack("<I480xIII12xI", 0x41615252, 0x61417272, self.clusters - used, used + 2,
                           0xAA550000)
        for first in (0, 6):
            self.write(first, boot + info + bytes(508) + b"\0\0\x55\xaa")
        for copy in range(2):
            self.write(self.reserved + copy * self.fat_sectors, bytes(self.fat))


def write(file, offset, sectors, root, *, label="METALOS", serial=0x4D4F5331, timestamp=1704067200):
    """Makes a volume of `sectors` sectors at byte `offset` of `file`, which reads as zeros there.

    root: a Directory. Raises ImageError when the files do not fit.
    """
    writer = _Writer(file, offset, sectors, timestamp)
    writer.directory(root, 0, label)
    writer.finish(serial, label)
