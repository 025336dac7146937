"""The benchmark of tests/perf/bench: runs it on MetalOS and on Linux in the same machine, and knows its table.

A run is a dictionary from the name of an operation to its median in instructions.
"""
# SPDX-License-Identifier: MIT
import collections
import os
import tempfile

from . import fat32, gpt, machine, qmp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.path.join(ROOT, "out", "build")
IMAGE = os.path.join(BUILD, "tools", "metalos.img")
PLUGIN = os.path.join(BUILD, "tools", "libicount.so")
# Numbers of lib/rtl/mark.h.
LOADER_ENTRY, ENTER_USER_MODE, PROGRAM = 1, 2, 0x80
LINUX_DISK = 512 << 20
POINTER_STEP = 6, 1  # of tests/perf/bench/platform.h

# bar: the most that MetalOS may take; slack: how far it may go beyond what docs/performance.md records, as a part
# of it, before that is a regression; EXACT: it comes out the same in every run, and whatever differs has changed.
EXACT = 0
Row = collections.namedtuple("Row", "number name text bar slack")
ROWS = [
    Row("1", "null-call", "null system call", 110, EXACT),
    Row("1", "unknown-call", "unknown system call", 110, EXACT),
    Row("2", "yield-alone", "yield, alone", 300, EXACT),
    Row("2", "yield-between", "yield between two threads, a switch", 600, EXACT),
    Row("3", "event-switch", "event between threads, a switch", 1200, EXACT),
    Row("4", "pipe-switch", "pipe between processes, a switch", 2000, 0.02),
    Row("5", "thread", "thread created and joined", 12000, 0.25),
    Row("6", "process", "program started and waited for", 150000, 0.15),
    Row("7", "zero-fault", "demand-zero page fault", 1200, EXACT),
    Row("8", "copy-fault", "copy-on-write page fault", 1500, EXACT),
    Row("9", "allocate-untouched", "page of address space allocated and freed", 3000, 0.03),
    Row("9", "allocate-touched", "the same, touched", 5000, 0.03),
    Row("9", "protect-pair", "page protected and back", 1500, 0.03),
    Row("10", "read-1", "cached file, read of 1 byte", 700, EXACT),
    Row("10", "read-4096", "cached file, read of 4 KB", 1200, EXACT),
    Row("10", "write-4096", "cached file, write of 4 KB", 1500, EXACT),
    Row("10", "write-64k-per-kb", "cached file, write of 64 KB, a KB", 150, EXACT),
    Row("11", "open-close", "file opened and closed", 4000, 0.02),
    Row("11", "create-delete", "file created and deleted", 15000, 0.02),
    Row("12", "timer-late", "1 ms timer, how late", 1500, 0.25),
    Row("12", "timer-late-most", "the same, the latest", 3000, 0.5),
    Row("15", "boot", "loader entry to first user instruction", 100_000_000, 0.25),
    Row("16", "present", "full frame of 1280 x 800 shown", 1_200_000, 0.02),
    Row("16", "pointer-ground", "pointer moved a step over the wallpaper", 30_000, 0.15),
    Row("16", "pointer-frame", "pointer moved a step over a window's frame", 30_000, 0.15),
    Row("", "memcpy-per-kb", "memcpy of 64 KB, a KB", 96, 0.02),
    Row("", "memset-per-kb", "memset of 64 KB, a KB", 56, 0.02),
]


def _read_marks(path):
    with open(path, encoding="ascii") as file:
        return [tuple(map(int, line.split())) for line in file]


def _parse(output):
    """Medians, and the most under NAME-most, from the benchmark's lines."""
    found = {}
    for line in output.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) == 4 and all(word.isdigit() for word in words[1:]):
            found[words[0]] = int(words[1])
            found[words[0] + "-most"] = int(words[3])
        elif words and words[0] == "bench:":
            raise machine.MachineError(line)
    return found


def _play_mouse(guest, timeout):
    """Moves the mouse a step each time the benchmark asks for it, until the machine stops."""
    done = 0
    while guest.wait_until_stopped_or(lambda: guest.output.count(b"move\n") > done, timeout):
        try:
            guest.mouse_move(*POINTER_STEP)
        except qmp.QmpError:  # it has just powered off
            pass
        done += 1


def _run(guest, first_user_mark, marks, timeout):
    guest.start()
    _play_mouse(guest, timeout)
    guest.stop()
    if guest.bugcheck:
        raise machine.MachineError(guest.bugcheck)
    found = _parse(guest.output)
    if not found:
        raise machine.MachineError("the benchmark did not run; the end of the log:\n" + guest.log[-2000:])
    seen = _read_marks(marks)
    begin = next(at for number, at in seen if number == LOADER_ENTRY)
    found["boot"] = next(at for number, at in seen if number == first_user_mark and at > begin) - begin
    return found


def _extra(marks):
    return machine.count_instructions(PLUGIN, marks) + machine.count_time()


def run_metalos(timeout=240, image=IMAGE):
    """The benchmark on MetalOS."""
    with tempfile.TemporaryDirectory(prefix="metalos-") as folder:
        marks = os.path.join(folder, "marks")
        with machine.Machine(image, extra=_extra(marks)) as guest:
            guest.configure(["/tests/bench.exe"])
            return _run(guest, ENTER_USER_MODE, marks, timeout)


def _initrd(init):
    """A cpio archive (format newc) with one file, /init."""
    def entry(name, mode, content):
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        return b"".join(part + bytes(-len(part) % 4) for part in (head, content))
    return entry(b"init", 0o100755, init) + entry(b"TRAILER!!!", 0, b"")


def _linux_disk(path, kernel):
    """A disk that the firmware starts Linux from, with the benchmark as its first process."""
    root = fat32.Directory()
    for host, guest in ((os.path.join(BUILD, "tests", "perf", "bench", "chain.efi"), "/EFI/BOOT/BOOTX64.EFI"),
                        (kernel, "/linux")):
        with open(host, "rb") as file:
            root.add(guest, file.read())
    with open(os.path.join(BUILD, "tests", "perf", "bench", "bench-linux"), "rb") as file:
        root.add("/initrd", _initrd(file.read()))
    with open(path, "wb") as out:
        out.truncate(LINUX_DISK)
        gpt.write(out, LINUX_DISK)
        fat32.write(out, gpt.FIRST_LBA * gpt.SECTOR, gpt.partition_sectors(LINUX_DISK), root, timestamp=1704067200)


def run_linux(kernel, timeout=400):
    """The benchmark on Linux; kernel: the file of a kernel with an EFI stub."""
    with tempfile.TemporaryDirectory(prefix="metalos-") as folder:
        image, marks = os.path.join(folder, "linux.img"), os.path.join(folder, "marks")
        _linux_disk(image, kernel)
        with machine.Machine(image, snapshot=False, extra=_extra(marks)) as guest:
            return _run(guest, PROGRAM, marks, timeout)


# ---- the table of docs/performance.md

TABLE = os.path.join(ROOT, "docs", "performance.md")
HEAD = "| # | operation | Linux | MetalOS | ratio | bar |\n|---|---|--:|--:|--:|--:|\n"


def table(linux, metalos):
    """The results of two runs side by side."""
    lines = []
    for row in ROWS:
        ours, theirs = metalos.get(row.name), linux.get(row.name)
        ratio = f"{theirs / ours:.1f}" if ours and theirs else "–"
        shown = [f"{value:,}" if value is not None else "–" for value in (theirs, ours)]
        lines.append(f"| {row.number or '–'} | {row.text} | {shown[0]} | {shown[1]} | {ratio} | {row.bar:,} |\n")
    return HEAD + "".join(lines)


def read_table():
    """What docs/performance.md has recorded: two runs, Linux's and ours."""
    linux, metalos = {}, {}
    by_text = {row.text: row.name for row in ROWS}
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 6 and cells[1] in by_text:
                for run, cell in ((linux, cells[2]), (metalos, cells[3])):
                    if cell != "–":
                        run[by_text[cells[1]]] = int(cell.replace(",", ""))
    return linux, metalos


def write_table(linux, metalos):
    """Replaces the recorded table."""
    with open(TABLE, encoding="utf-8") as file:
        before, head, rest = file.read().partition(HEAD)
    after = rest[rest.index("\n\n") + 1:] if "\n\n" in rest else ""
    with open(TABLE, "w", encoding="utf-8") as file:
        file.write(before + table(linux, metalos) + after)


def misses(linux, metalos):
    """Sentences on the rows that are over their bar or behind Linux."""
    said = []
    for row in ROWS:
        ours, theirs = metalos.get(row.name), linux.get(row.name)
        if ours is None:
            said.append(f"{row.text}: not measured")
        elif ours > row.bar:
            said.append(f"{row.text}: {ours:,} instructions, over the bar of {row.bar:,}")
        elif theirs is not None and ours > theirs:
            said.append(f"{row.text}: {ours:,} instructions, Linux takes {theirs:,}")
    return said
