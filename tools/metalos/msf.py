"""PDBs with small blocks. A PDB is a file of blocks in which each stream takes whole ones (MSF); the linker's have 4096
bytes, so that with a stream per object file more than half of a library's PDB is padding. In a system that keeps PDBs
in memory that counts. Nothing is left out: any debugger reads the packed file as it reads the other.
"""
# SPDX-License-Identifier: MIT
import struct

MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
MISSING = 0xFFFFFFFF
BLOCK = 512  # the smallest there is


class MsfError(Exception):
    """It is no PDB."""


def read(data):
    """The streams; None for one that was deleted."""
    if data[:32] != MAGIC:
        raise MsfError("not an MSF file")
    size, _, _, directory_size, _, map_block = struct.unpack_from("<6I", data, 32)

    def blocks(numbers, count):
        return b"".join(data[number * size:(number + 1) * size] for number in numbers)[:count]

    def numbers_of(count):
        return -(-count // size)
    directory = blocks(struct.unpack_from(f"<{numbers_of(directory_size)}I", data, map_block * size), directory_size)
    count, = struct.unpack_from("<I", directory)
    at, streams = 4 + 4 * count, []
    for length in struct.unpack_from(f"<{count}I", directory, 4):
        used = 0 if length == MISSING else numbers_of(length)
        streams.append(None if length == MISSING else blocks(struct.unpack_from(f"<{used}I", directory, at), length))
        at += 4 * used
    return streams


def write(streams, block=BLOCK):
    """A file with these streams."""
    content, numbers, next_free = {}, [], 3

    def put(data):
        nonlocal next_free
        taken = []
        for at in range(0, len(data), block):
            while next_free % block in (1, 2):  # the two free maps' places
                next_free += 1
            content[next_free] = data[at:at + block]
            taken.append(next_free)
            next_free += 1
        return taken
    for stream in streams:
        numbers.append(put(stream or b""))
    sizes = [MISSING if stream is None else len(stream) for stream in streams]
    directory = struct.pack(f"<{1 + len(sizes)}I", len(sizes), *sizes) + b"".join(
        struct.pack(f"<{len(taken)}I", *taken) for taken in numbers)
    taken = put(directory)
    if 4 * len(taken) > block:
        return write(streams, 2 * block)  # the list of the directory's blocks is one block
    map_block, = put(struct.pack(f"<{len(taken)}I", *taken))
    content[0] = MAGIC + struct.pack("<6I", block, 1, next_free, len(directory), 0, map_block)
    # The free map: a bit for each block, set when it is free; of its places as many are used as it has bytes.
    free = bytes(next_free // 8) + bytes([0xFF << next_free % 8 & 0xFF])
    for index, at in enumerate(range(1, next_free, block)):
        piece = free[index * block:(index + 1) * block]
        content[at] = piece + b"\xFF" * (block - len(piece))
        content[at + 1] = b"\xFF" * block
    return b"".join(content.get(number, b"").ljust(block, b"\0") for number in range(next_free))


def pack(data):
    """The PDB with the smallest blocks; what is none stays as it is."""
    try:
        return min(data, write(read(data)), key=len)
    except (MsfError, struct.error):
        return data
