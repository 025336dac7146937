"""Reads the files of trace.exe (apps/trace/trace.c, sdk/include/MetalTraceFormat.h), and makes trace events of them."""
# SPDX-License-Identifier: MIT
import collections
import os
import re
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
KERNEL = os.path.join(ROOT, "out", "build", "kernel", "moskrnl.exe")
KERNEL_BASE = 0xFFFFF80000000000
RECORD = struct.Struct("<QIHBBQQ")

(NOTHING, MORE, SWITCH, READY, FAULT_BEGIN, FAULT_END, CALL_BEGIN, CALL_END, TRANSFER_BEGIN, TRANSFER_END,
 INTERRUPT_BEGIN, INTERRUPT_END, DPC_BEGIN, DPC_END, SAMPLE, PROCESS, PROCESS_END, THREAD, MODULE, MODULE_END) = range(20)

# time: nanoseconds; more: the bytes that follow the record.
Record = collections.namedtuple("Record", "time thread value kind processor a b more")
# written: of each processor while it was traced, of which the records are the last.
Trace = collections.namedtuple("Trace", "processors written records")


class TraceError(Exception):
    """It is no trace, or a damaged one."""


def _read_ring(data, at, count):
    records, more = [], None
    for _ in range(count):
        time, thread, value, kind, processor, a, b = RECORD.unpack_from(data, at)
        if kind == MORE:
            if more is not None:  # else its record has been overwritten
                more += struct.pack("<QQQ", time, a, b)
        else:
            more = bytearray()
            records.append(Record(time, thread, value, kind, processor, a, b, more))
        at += RECORD.size
    return records


def read(data):
    """The Trace in a file's bytes, records in the order of time."""
    if data[:8] != b"MetalTrc":
        raise TraceError("this is no file of trace.exe")
    try:
        version, processors = struct.unpack_from("<II", data, 8)
        if version != 1:
            raise TraceError(f"version {version} is not known")
        at, written, records = 16, [], []
        for _ in range(processors):
            total, count = struct.unpack_from("<QQ", data, at)
            records += _read_ring(data, at + 16, count)
            written.append(total)
            at += 16 + count * RECORD.size
    except struct.error as error:
        raise TraceError("the file is cut short") from error
    records.sort(key=lambda record: record.time)
    return Trace(processors, written, records)


def name_of(record):
    return record.more[:record.value].decode(errors="replace")


def stack_of(record):
    """The addresses of a sample, innermost first."""
    count = min(record.value, len(record.more) // 8)
    return struct.unpack_from(f"<{count}Q", record.more)


def call_names():
    """Names of the system calls by number, from abi/SystemCalls.h."""
    with open(os.path.join(ROOT, "abi", "SystemCalls.h"), encoding="utf-8") as file:
        text = file.read().partition("#define METALOS_SYSTEM_CALLS")[2]
    return re.findall(r"SYSTEM_CALL\(\s*\\?\s*(\w+),", text)


def kernel_names(addresses):
    """Function names of kernel addresses, as far as they can be had."""
    addresses = sorted(a for a in set(addresses) if a >= KERNEL_BASE)
    names = {a: f"moskrnl+{a - KERNEL_BASE:#x}" for a in addresses}
    try:
        text = subprocess.run(["llvm-symbolizer-19", f"--obj={KERNEL}", "--relative-address", "--no-inlines"],
                              input="".join(f"{a - KERNEL_BASE:#x}\n" for a in addresses), check=True,
                              capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return names
    for address, block in zip(addresses, text.strip().split("\n\n")):
        if not block.startswith("??"):
            names[address] = block.splitlines()[0]
    return names


class _Writer:
    """Makes trace events: slices that begin and end in pairs on each track, whatever the ring has lost."""

    def __init__(self, trace):
        self.events = []
        self._open = collections.defaultdict(list)  # track -> names of slices
        self._transfers = {}  # number -> track and name, of those under way
        self._start = trace.records[0].time if trace.records else 0
        self._records = trace.records
        self.calls = call_names()
        self.functions = kernel_names([r.a for r in trace.records if r.kind == DPC_BEGIN])
        self.processes, self.threads = {0: "system"}, {}
        for record in trace.records:
            if record.kind == PROCESS:
                self.processes[record.a] = name_of(record)
            elif record.kind == THREAD:
                self.threads[record.a] = (record.b, name_of(record))
            elif record.kind == SWITCH:
                self.threads.setdefault(record.a, (record.b, f"thread {record.a}"))

    def time(self, record):
        return (record.time - self._start) / 1000

    def track(self, record):
        """Of the record's thread; a kernel thread without a number has none."""
        return self.threads.get(record.thread, (0, ""))[0], record.thread

    def event(self, phase, track, time, name, **fields):
        self.events.append({"ph": phase, "pid": track[0], "tid": track[1], "ts": time, "name": name, **fields})

    def begin(self, track, record, name, **arguments):
        self._open[track].append(name)
        self.event("B", track, self.time(record), name, args=arguments)

    def end(self, track, record, kind=None):
        """Ends the innermost slice; nothing when it began before the trace."""
        slices = self._open[track]
        if slices and (kind is None or slices[-1].startswith(kind)):
            self.event("E", track, self.time(record), slices.pop())

    def begin_transfer(self, record):
        name = ("read", "write", "flush", "unmap")[min(record.value, 3)]
        size = int.from_bytes(record.more[:8], "little")
        if record.a in self._transfers:  # its end was lost
            self.end_transfer(record.a, self.time(record))
        self._transfers[record.a] = self.track(record), name
        self.event("b", self.track(record), self.time(record), name, cat="disk", id=f"{record.a:#x}",
                   args={"sector": record.b, "bytes": size})

    def end_transfer(self, number, time, **arguments):
        """Nothing when it began before the trace."""
        if number in self._transfers:
            track, name = self._transfers.pop(number)
            self.event("e", track, time, name, cat="disk", id=f"{number:#x}", args=arguments)

    def finish(self):
        last = (self._records[-1].time - self._start) / 1000 if self._records else 0
        for track, slices in self._open.items():
            while slices:
                self.event("E", track, last, slices.pop())
        for number in list(self._transfers):
            self.end_transfer(number, last)

    def name_tracks(self, processors):
        for number in range(processors):
            self.meta("thread_name", CPU_PROCESS, number, f"processor {number}")
        self.meta("process_name", CPU_PROCESS, 0, "processors")
        for number, name in self.processes.items():
            self.meta("process_name", number, 0, name)
        for thread, (process, name) in self.threads.items():
            if thread:
                self.meta("thread_name", process, thread, name)

    def meta(self, what, process, thread, name):
        self.events.append({"ph": "M", "pid": process, "tid": thread, "name": what, "args": {"name": name}})


CPU_PROCESS = 1 << 30  # no process has that number


def _end_running(writer, cpu, record):
    """A switch happens at the bottom of everything else on a processor."""
    while writer._open[cpu]:
        writer.end(cpu, record)


def _convert(writer, record):
    cpu, thread, kind = (CPU_PROCESS, record.processor), writer.track(record), record.kind
    if kind == SWITCH:
        _end_running(writer, cpu, record)
        process, name = writer.threads.get(record.a, (0, "idle"))
        if record.a:
            writer.begin(cpu, record, name, process=writer.processes.get(process, str(process)), thread=record.a)
    elif kind == READY:
        if record.a:
            process = writer.threads.get(record.a, (0, ""))[0]
            writer.event("i", (process, record.a), writer.time(record), "ready", s="t")
    elif kind == CALL_BEGIN:
        name = writer.calls[record.value] if record.value < len(writer.calls) else f"call {record.value}"
        writer.begin(thread, record, name, a=f"{record.a:#x}", b=f"{record.b:#x}")
    elif kind in (CALL_END, FAULT_END):
        writer.end(thread, record)
    elif kind == FAULT_BEGIN:
        writer.begin(thread, record, "page fault", address=f"{record.a:#x}", instruction=f"{record.b:#x}", error=record.value)
    elif kind == TRANSFER_BEGIN:
        writer.begin_transfer(record)
    elif kind == TRANSFER_END:
        writer.end_transfer(record.a, writer.time(record), status=record.value)
    elif kind == INTERRUPT_BEGIN:
        writer.begin(cpu, record, f"interrupt {record.value:#x}")
    elif kind == INTERRUPT_END:
        writer.end(cpu, record, "interrupt")
    elif kind == DPC_BEGIN:
        writer.begin(cpu, record, "dpc " + writer.functions.get(record.a, f"{record.a:#x}"))
    elif kind == DPC_END:
        writer.end(cpu, record, "dpc")
    elif kind == SAMPLE:
        writer.event("i", cpu, writer.time(record), "sample", s="t", args={"stack": [f"{a:#x}" for a in stack_of(record)]})


def to_json(trace):
    """The list of trace events (Trace Event Format)."""
    writer = _Writer(trace)
    for record in trace.records:
        _convert(writer, record)
    writer.finish()
    writer.name_tracks(trace.processors)
    return writer.events


def check(events):
    """What is wrong with trace events: slices that do not nest, do not end, or run backwards; transfers likewise."""
    wrong, tracks, latest, transfers = [], collections.defaultdict(list), {}, {}
    for number, event in enumerate(events):
        place, phase = (event["pid"], event["tid"]), event["ph"]
        track, transfer = tracks[place], (event.get("cat"), event.get("id"))
        if phase in "BE":
            if event["ts"] < latest.get(place, 0):
                wrong.append(f"event {number} is earlier than the one before it")
            latest[place] = event["ts"]
        if phase == "B":
            track.append(event)
        elif phase == "E":
            if not track or track[-1]["name"] != event["name"]:
                wrong.append(f"event {number} ends '{event['name']}', which is not what is open")
            else:
                track.pop()
        elif phase == "b":
            if transfer in transfers:
                wrong.append(f"event {number} begins {transfer} once more")
            transfers[transfer] = event
        elif phase == "e":
            begun = transfers.pop(transfer, None)
            if not begun or begun["name"] != event["name"] or begun["ts"] > event["ts"]:
                wrong.append(f"event {number} ends {transfer}, which has not begun so")
    return (wrong + [f"'{event['name']}' has no end" for track in tracks.values() for event in track]
            + [f"{transfer} has no end" for transfer in transfers])
