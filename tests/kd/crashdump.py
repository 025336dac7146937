"""What a crash dump must say: identity, registers of every processor, the failing stack."""
# SPDX-License-Identifier: MIT
import os
import re
import struct
import subprocess

import dumpfile
import metal
from metalos import gpt

RIP, RSP = 0xF8, 0x98


def take(image):
    """The Dump that a bugcheck has left on a disk image, from its partition; None: there is none."""
    with open(image, "rb") as file:
        place = gpt.partition_offset(file, gpt.DUMP_TYPE)
        file.seek(place)
        header = file.read(8192)
        if header[:8] != b"PAGEDU64":
            return None
        file.seek(place)
        return dumpfile.Dump(file.read(struct.unpack_from("<Q", header, 0xFA0)[0]))


def names_of(addresses, image="moskrnl.exe"):
    """Function names of addresses relative to the image's base, by another reader of the PDB."""
    image = next(os.path.join(metal.BUILD, folder, image) for folder in ("kernel", "runtime", "apps")
                 if os.path.exists(os.path.join(metal.BUILD, folder, image)))
    text = subprocess.run(["llvm-symbolizer-19", f"--obj={image}", "--relative-address", "--no-inlines",
                           "--functions=linkage", *(hex(a) for a in addresses)],
                          check=True, capture_output=True, text=True).stdout
    return [block.splitlines()[0] for block in text.strip().split("\n\n")]


def stack_names(dump, context=None):
    """The functions whose return addresses lie on the stack, outwards, after the one that it stands in."""
    base, size, _ = dump.modules()[0]
    at, found = dump.register(RSP, context), []
    try:
        dump.word(at)
    except dumpfile.DumpError:  # in the guard page of a stack that is full
        at = (at | dumpfile.PAGE - 1) + 1
    if 0x1000 <= dump.register(RIP, context) - base < size:
        found.append(dump.register(RIP, context) - base)
    while len(found) < 100:
        try:
            value = dump.word(at)
        except dumpfile.DumpError:
            break
        if 0x1000 <= value - base < size and (not found or found[-1] != value - base - 1):
            found.append(value - base - 1)
        at += 8
    return names_of(found)


def program_stack_names(dump, report, log):
    """The functions whose return addresses lie on the stack of the program that the report tells of, outwards. What the
    dump says of its memory; where its images were, the log says (at level debug)."""
    root, process = int(re.search(r" cr3 (\w+)", report)[1], 16), re.search(r"^process \S+ \((\d+)\)", report, re.M)[1]
    images = [(int(base, 16), path) for path, base in re.findall(rf"ps: process {process} has (\S+) at (\w+)", log)]
    images = [(base, os.path.basename(path)) for base, path in images]
    sizes = {base: dump.read(base, 4096, root) for base, _ in images}
    for base, headers in sizes.items():
        sizes[base], = struct.unpack_from("<I", headers, struct.unpack_from("<I", headers, 0x3C)[0] + 24 + 56)

    def words(address, most):
        found = []
        try:
            while len(found) < most:
                found.append(dump.word(address, root))
                address += 8
        except dumpfile.DumpError:
            pass
        return found
    # The kernel's entry leaves the program's stack pointer near the top of its own stack.
    top = int(re.search(r"kernel stack \w+-(\w+)", report)[1], 16)
    pointers = [word for word in words(top - 0x100, 32) if 0x10000 < word < 1 << 47 and word % 8 == 0]
    best = []
    for pointer in pointers:
        places = [(image, word - base - 1) for word in words(pointer, 4096) for base, image in images
                  if 0x1000 <= word - base < sizes[base]]
        best = max(best, places, key=len)
    return [name for image, rva in best for name in names_of([rva], image)]


def kernel_range(dump):
    base, size, _ = dump.modules()[0]
    return base, base + size


def check(dump, report):
    """That the dump is whole and says what the report's text says."""
    assert dump is not None, "no dump"
    code = int(re.search(r"\*\*\* BUGCHECK ([0-9a-f]+)", report)[1], 16)
    assert dump.machine == 0x8664 and dump.bugcheck.code == code, dump.bugcheck
    parameters = re.search(r"^parameters (\w+) (\w+) (\w+) (\w+)", report, re.M).groups()
    assert dump.bugcheck[1:] == tuple(int(p, 16) for p in parameters)
    assert struct.unpack_from("<I", dump.context, 0x34) == struct.unpack_from("<I", dump.context, 0x118)
    fault = re.search(r"^(read|write|execution) of address (\w+)", report, re.M)
    vector = re.search(r"vector (\d+)", report)
    wanted = {"0": 0xC0000094, "6": 0xC000001D, "13": 0xC0000005, "14": 0xC0000005}.get(vector and vector[1], 0x80000003)
    assert dump.exception_code == wanted and dump.exception_address == dump.register(RIP), hex(dump.exception_code)
    assert dump.exception_parameters == ((("read", "write", None, None, None, None, None, None, "execution").index(fault[1]),
                                          int(fault[2], 16)) if fault else ()), dump.exception_parameters
    block = dump.read(dump.data_block, 0x380)
    assert block[0x10:0x14] == b"KDBG"
    (base, _, name), = dump.modules()
    assert name.endswith("moskrnl.exe") and dump.read(base, 2) == b"MZ"
    assert struct.unpack_from("<Q", block, 0x18)[0] == base
    # The PDB's identity, out of the dumped headers.
    nt = base + struct.unpack("<I", dump.read(base + 0x3C, 4))[0]
    directory, = struct.unpack("<I", dump.read(nt + 24 + 112 + 8 * 6, 4))
    record, = struct.unpack_from("<I", dump.read(base + directory, 28), 20)
    assert dump.read(base + record, 4) == b"RSDS"
    # Every processor's registers, by way of its KPRCB.
    prcbs, = struct.unpack_from("<Q", block, 0x218)
    pointer_offset, = struct.unpack_from("<H", block, 0x338)
    contexts = []
    for processor in range(dump.processors):
        contexts.append(dump.read(dump.word(dump.word(prcbs + 8 * processor) + pointer_offset), 0x4D0))
        assert processor == 0 or dump.register(RIP, contexts[-1]), processor
    assert dump.context in contexts
    # What the report shows of the failing instruction is what the dump says.
    registers = re.search(r"^rip (\w+)  rsp (\w+)", report, re.M)
    if registers:
        assert (dump.register(RIP), dump.register(RSP)) == tuple(int(r, 16) for r in registers.groups())
