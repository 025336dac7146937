"""Crash dumps: a bugcheck leaves one, the next start makes a file of it, and the file tells of the crash."""
# SPDX-License-Identifier: MIT
import os
import re
import struct
import subprocess

import dumpfile
import metal
from metalos import gpt

FILE = "/system/memory.dmp"
RIP, RSP = 0xF8, 0x98


def crash(machine):
    machine.wait_for_end(90)
    machine.stop()
    assert machine.bugcheck, machine.log[-1000:]
    assert re.search(r"^\*\*\* dump: \d+ pages are on the disk", machine.bugcheck, re.M), machine.bugcheck
    return machine.bugcheck


def next_start(machine, keep_what=FILE):
    """Starts the machine's disk again; the file it makes of the dump, None without one, and the log."""
    with metal.boot(image=machine.image, options=[("crash", "none")], execute=["/tests/apitest.exe no-such-test"]) as again:
        again.wait_for_end(90)
        again.stop()
        try:
            return again.disk.read(keep_what), again.log
        except metal._disk.DiskError:
            return None, again.log


def names_of(addresses):
    """Function names of addresses relative to the kernel's base, by another reader of the PDB."""
    image = os.path.join(metal.BUILD, "kernel", "moskrnl.exe")
    text = subprocess.run(["llvm-symbolizer-19", f"--obj={image}", "--relative-address", "--no-inlines",
                           "--functions=linkage", *(hex(a) for a in addresses)],
                          check=True, capture_output=True, text=True).stdout
    return [block.splitlines()[0] for block in text.strip().split("\n\n")]


def stack_names(dump, base, size, context=None):
    """The functions whose return addresses lie on the stack, outwards, after the one that it stands in."""
    at, found = dump.register(RSP, context), [dump.register(RIP, context) - base]
    while len(found) < 64:
        try:
            value = dump.word(at)
        except dumpfile.DumpError:
            break
        if 0x1000 <= value - base < size:
            found.append(value - base - 1)
        at += 8
    return names_of(found)


def check_dump(data, report, code):
    dump = dumpfile.Dump(data)
    assert dump.machine == 0x8664 and dump.bugcheck.code == code, dump.bugcheck
    parameters = re.search(r"^parameters (\w+) (\w+) (\w+) (\w+)", report, re.M).groups()
    assert dump.bugcheck[1:] == tuple(int(p, 16) for p in parameters)
    assert struct.unpack_from("<I", dump.context, 0x34) == struct.unpack_from("<I", dump.context, 0x118)
    block = dump.read(dump.data_block, 0x380)
    assert block[0x10:0x14] == b"KDBG"
    (base, size, name), = dump.modules()
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
        assert dump.register(RIP, contexts[-1]), processor
    assert dump.context in contexts
    return dump, base, size


def test_fault():
    """On four processors: the failing thread's stack, and the others'."""
    with metal.boot(cpus=4, options=[("crash", "read-null"), ("bugcheck", "exit")]) as machine:
        report = crash(machine)
        failed = int(re.search(r"^processor (\d) ", report, re.M)[1])
        for processor in {0, 1, 2, 3} - {failed}:
            assert f"*** PROCESSOR {processor}, rsp" in report, report
        data, log = next_start(machine)
        assert data is not None and FILE in log, log
        dump, base, size = check_dump(data, report, 0x50)
        names = stack_names(dump, base, size)
        chain = iter(names)
        for wanted in ("CrashReadNull", "CrashMiddle", "CrashOuter", "KdCrash", "CrashIfAsked", "RunSteps"):
            assert any(wanted in name for name in chain), (wanted, names)
        assert dump.processors == 4
        # What the report shows of the failing stack is what the dump says.
        rip, rsp = re.search(r"^rip (\w+)  rsp (\w+)", report, re.M).groups()
        assert (dump.register(RIP), dump.register(RSP)) == (int(rip, 16), int(rsp, 16))


def test_without_frame_and_torn():
    """A bugcheck that no trap led to; and a dump whose mark is missing is none."""
    with metal.boot(options=[("crash", "heap-overrun"), ("bugcheck", "exit")]) as machine:
        report = crash(machine)
        with open(machine.image, "r+b") as image:
            place = gpt.partition_offset(image, gpt.DUMP_TYPE)
            image.seek(place)
            whole = image.read(8192)
            assert whole[:8] == b"PAGEDU64"
            image.seek(place + 4)
            image.write(bytes(4))
        data, log = next_start(machine)
        assert data is None and "bugcheck" not in log, log
        with open(machine.image, "r+b") as image:
            image.seek(place)
            image.write(whole)
        data, log = next_start(machine)
        dump, base, size = check_dump(data, report, 0x19)
        names = stack_names(dump, base, size)
        assert any("OverrunHeapBlock" in name for name in names), names


def test_double_fault():
    """The stack is full: report and dump have stacks of their own."""
    with metal.boot(options=[("crash", "stack-overflow"), ("bugcheck", "exit")]) as machine:
        report = crash(machine)
        data, _ = next_start(machine)
        dump, base, size = check_dump(data, report, 0x7F)
        assert names_of([dump.register(RIP) - base]) == ["CrashOverflowStack"]
