"""Reads 64-bit Windows crash dumps of type 5: header, bitmap, memory by physical and virtual address."""
# SPDX-License-Identifier: MIT
import collections
import struct

PAGE = 4096
Bugcheck = collections.namedtuple("Bugcheck", "code p1 p2 p3 p4")


class DumpError(Exception):
    """It is no dump, or not a sound one."""


class Dump:
    def __init__(self, data):
        self.data = data
        if data[:8] != b"PAGEDU64":
            raise DumpError(f"signature {data[:8]!r}")
        self.kind, = struct.unpack_from("<I", data, 0xF98)
        self.required, self.system_time = struct.unpack_from("<QQ", data, 0xFA0)
        self.root, _, self.modules_head, self.processes_head = struct.unpack_from("<QQQQ", data, 0x10)
        self.machine, self.processors = struct.unpack_from("<II", data, 0x30)
        self.bugcheck = Bugcheck(struct.unpack_from("<I", data, 0x38)[0], *struct.unpack_from("<4Q", data, 0x40))
        self.data_block, = struct.unpack_from("<Q", data, 0x80)
        self.context = data[0x348:0x348 + 0x4D0]
        self.exception_code, _, _, self.exception_address = struct.unpack_from("<IIQQ", data, 0xF00)
        count, = struct.unpack_from("<I", data, 0xF18)
        self.exception_parameters = struct.unpack_from(f"<{count}Q", data, 0xF20)
        self.comment = data[0xFB0:0x1030].split(b"\0")[0].decode()
        self.attributes, = struct.unpack_from("<I", data, 0x1050)
        if data[0x2000:0x2008] != b"SDMPDUMP" or self.kind != 5:
            raise DumpError("not a bitmap dump")
        first, present, bits = struct.unpack_from("<QQQ", data, 0x2020)
        bitmap = data[0x2038:0x2038 + bits // 8]
        if bits % 32 or len(bitmap) != bits // 8 or first % PAGE or first < 0x2038 + bits // 8:
            raise DumpError("the bitmap does not fit")
        self.offsets = {}
        for index, byte in enumerate(bitmap):
            for bit in range(8):
                if byte >> bit & 1:
                    self.offsets[index * 8 + bit] = first + len(self.offsets) * PAGE
        if len(self.offsets) != present or first + present * PAGE != self.required or len(data) != self.required:
            raise DumpError("the numbers of pages do not agree")

    def physical(self, address, size):
        data = b""
        while len(data) < size:
            at = address + len(data)
            if at // PAGE not in self.offsets:
                raise DumpError(f"physical {at:#x} is not in it")
            piece = min(size - len(data), PAGE - at % PAGE)
            offset = self.offsets[at // PAGE] + at % PAGE
            data += self.data[offset:offset + piece]
        return data

    def translate(self, address, root=None):
        table = (root or self.root) & ~0xFFF
        for shift in (39, 30, 21, 12):
            entry, = struct.unpack("<Q", self.physical(table + (address >> shift & 511) * 8, 8))
            if not entry & 1:
                raise DumpError(f"{address:#x} is not mapped")
            table = entry & 0x000FFFFFFFFFF000
            if shift in (30, 21) and entry & 0x80:
                return (table & -(1 << shift)) | address & ((1 << shift) - 1)
        return table | address & 0xFFF

    def read(self, address, size, root=None):
        """root: of another address space's page tables."""
        data = b""
        while len(data) < size:
            at = address + len(data)
            data += self.physical(self.translate(at, root), min(size - len(data), PAGE - at % PAGE))
        return data

    def read_if_there(self, address, size):
        """Zeros where it is not in the dump."""
        try:
            return self.read(address, size)
        except DumpError:
            return bytes(size)

    def word(self, address, root=None):
        return struct.unpack("<Q", self.read(address, 8, root))[0]

    def register(self, offset, context=None):
        return struct.unpack_from("<Q", context or self.context, offset)[0]

    def modules(self):
        """(base, size, name)."""
        entry, found = self.word(self.modules_head), []
        while entry != self.modules_head and len(found) < 1000:
            base, _, size = struct.unpack_from("<QQI", self.read(entry, 0x88), 0x30)
            length, _, buffer = struct.unpack_from("<HH4xQ", self.read(entry + 0x48, 16))
            found.append((base, size, self.read(buffer, length).decode("utf-16-le")))
            entry = self.word(entry)
        return found
