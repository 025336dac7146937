"""Crash dumps: a bugcheck leaves one, the next start makes a file of it, and the file tells of the crash."""
# SPDX-License-Identifier: MIT
import re

import crashdump
import dumpfile
import metal
from metalos import gpt

FILE = "/system/memory.dmp"


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


def test_fault():
    """On four processors: the failing thread's stack, and the others'."""
    with metal.boot(cpus=4, options=[("crash", "read-null"), ("bugcheck", "exit")]) as machine:
        report = crash(machine)
        failed = int(re.search(r"^processor (\d) ", report, re.M)[1])
        for processor in {0, 1, 2, 3} - {failed}:
            assert f"*** PROCESSOR {processor}, rsp" in report, report
        data, log = next_start(machine)
        assert data is not None and FILE in log, log
        dump = dumpfile.Dump(data)
        crashdump.check(dump, report)
        chain = iter(crashdump.stack_names(dump))
        for wanted in ("CrashReadNull", "CrashMiddle", "CrashOuter", "KdCrash", "CrashIfAsked", "RunSteps"):
            assert wanted in chain, wanted
        assert dump.processors == 4
        image = b"".join(dump.read_if_there(base, dumpfile.PAGE) for base in range(*crashdump.kernel_range(dump), dumpfile.PAGE))
        for line in re.findall(r"^\[.*$", machine.log, re.M)[-3:]:
            assert line.encode() in image, f"the log in the dump lacks: {line}"


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
        dump = dumpfile.Dump(data)
        crashdump.check(dump, report)
        assert "OverrunHeapBlock" in crashdump.stack_names(dump)
