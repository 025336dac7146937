"""A kernel debugger that scripts drive: the host's side of the protocol of kernel/kd/wire.h.

    client = Client(connect(path))
    client.attach()                 # break-in; client.stop is the state change
    client.read(client.version.KernBase, 2)
    client.go()

Every request is checked to be answered in kind. A host may be as bad as tests want it to be: send_raw()
puts any bytes on the line, and the client counts what it had to do to get along.
"""
# SPDX-License-Identifier: MIT
import collections
import select
import socket
import struct
import time

MANIPULATE, DEBUG_IO, ACKNOWLEDGE, RESEND, RESET, STATE_CHANGE = 2, 3, 4, 5, 6, 7
DATA, CONTROL = b"0000", b"iiii"
INITIAL, SYNC = 0x80800000, 0x800
SUCCESS, UNSUCCESSFUL = 0, 0xC0000001
BREAKPOINT, SINGLE_STEP, WAKE = 0x80000003, 0x80000004, 0x80000007
HANDLED, NOT_HANDLED = 0x00010001, 0x80010001

READ_VIRTUAL, WRITE_VIRTUAL, GET_CONTEXT, SET_CONTEXT = 0x3130, 0x3131, 0x3132, 0x3133
WRITE_BREAKPOINT, RESTORE_BREAKPOINT, CONTINUE = 0x3134, 0x3135, 0x3136
READ_CONTROL, WRITE_CONTROL, READ_IO, WRITE_IO = 0x3137, 0x3138, 0x3139, 0x313A
REBOOT, CONTINUE2, READ_PHYSICAL, WRITE_PHYSICAL = 0x313B, 0x313C, 0x313D, 0x313E
READ_IO_EX, WRITE_IO_EX, GET_VERSION = 0x3144, 0x3145, 0x3146
WRITE_BREAKPOINTS, RESTORE_BREAKPOINTS, CRASH, SWITCH_PROCESSOR = 0x3147, 0x3148, 0x3149, 0x3150
READ_MSR, WRITE_MSR, SEARCH, GET_BUS, SET_BUS = 0x3152, 0x3153, 0x3156, 0x3157, 0x3158
CHECK_LOW_MEMORY, CLEAR_INTERNAL, FILL, QUERY_MEMORY = 0x3159, 0x315A, 0x315B, 0x315C
GET_CONTEXT_EX, SET_CONTEXT_EX = 0x315F, 0x3160

Version = collections.namedtuple("Version", "MajorVersion MinorVersion ProtocolVersion KdSecondaryVersion Flags "
                                 "MachineType MaxPacketType MaxStateChange MaxManipulate Simulation Unused "
                                 "KernBase PsLoadedModuleList DebuggerDataList")
# Offsets in CONTEXT.
REGISTERS = {name: 0x78 + 8 * i for i, name in enumerate(
    "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip".split())}
REGISTERS |= {f"dr{n}": 0x48 + 8 * i for i, n in enumerate((0, 1, 2, 3, 6, 7))}
CONTEXT_SIZE, SPECIAL_SIZE = 0x4D0, 0xE0


class KdError(Exception):
    """The target does not keep to the protocol, or does not answer."""


class Refused(KdError):
    """The target refused a request; .status says how."""

    def __init__(self, api, status):
        super().__init__(f"request {api:#x} was refused with {status:#x}")
        self.status = status


class Stop:
    """A state change."""

    def __init__(self, data):
        (self.kind, _, self.processor, self.processors, self.thread, self.pc) = struct.unpack_from("<IHHI4xQQ", data)
        self.data = data
        if self.kind == 0x3030:
            self.code, _, _, self.address = struct.unpack_from("<IIQQ", data, 0x20)
            self.first_chance, = struct.unpack_from("<I", data, 0xB8)
        elif self.kind == 0x3031:
            length, = struct.unpack_from("<I", data, 0x20)
            self.base, self.process = struct.unpack_from("<QQ", data, 0x28)
            self.checksum, self.size, self.unload = struct.unpack_from("<IIB", data, 0x38)
            self.path = data[0xF0:0xF0 + length].rstrip(b"\0").decode()
        (self.dr6, self.dr7, self.eflags, count, self.flags) = struct.unpack_from("<QQIHH", data, 0xC0)
        self.code_bytes = data[0xD8:0xD8 + count]


def connect(path, timeout=10):
    """Connects to the Unix socket of an emulated COM port."""
    end = time.monotonic() + timeout
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(path)
            return line
        except OSError:
            line.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Client:
    """One session over a connected socket."""

    def __init__(self, line, timeout=60):
        self.line, self.timeout = line, timeout
        self.received = b""
        self.next_id, self.expected = INITIAL, None  # expected: the target's next id; None: whichever comes
        self.stop = None
        self.text = ""  # what the target printed
        self.modules = []  # (path, base, size, process, unload) of module events
        self.prompts = []
        self.answers = collections.deque()  # to prompts
        self.on_module = None
        self.resent = self.repeated = 0
        self.attaching = False
        self.corrupt_next = None  # a function that spoils the next data packet before it is sent

    def close(self):
        self.line.close()

    # -------------------------------------------------------------------------------- packets

    def send_raw(self, data):
        self.line.sendall(data)

    @staticmethod
    def packet(kind, identity, data=b""):
        """The bytes of a data packet."""
        return (DATA + struct.pack("<HHII", kind, len(data), identity, sum(data) & 0xFFFFFFFF) + data + b"\xAA")

    @staticmethod
    def control(kind, identity=0):
        return CONTROL + struct.pack("<HHII", kind, 0, identity, 0)

    def _bytes(self, count, end):
        while len(self.received) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.line], [], [], left)[0]:
                return False
            piece = self.line.recv(65536)
            if not piece:
                raise KdError("the line is closed")
            self.received += piece
        return True

    def _next(self, seconds):
        """The next packet: (type, id, data), or None. Checks what it can."""
        end = time.monotonic() + seconds
        while True:
            if not self._bytes(16, end):
                return None
            if self.received[:4] not in (DATA, CONTROL):
                self.received = self.received[1:]
                continue
            leader = self.received[:4]
            kind, count, identity, checksum = struct.unpack_from("<HHII", self.received, 4)
            if leader == CONTROL:
                self.received = self.received[16:]
                return kind, identity, b""
            if not self._bytes(16 + count + 1, end):
                return None
            data = self.received[16:16 + count]
            good = count <= 4000 and sum(data) & 0xFFFFFFFF == checksum and self.received[16 + count] == 0xAA
            if not good:
                raise KdError(f"a bad packet of type {kind}")
            self.received = self.received[16 + count + 1:]
            return kind, identity, data

    def _take(self, identity):
        """Acknowledges a data packet; whether it is a new one."""
        plain = identity & ~SYNC
        if identity & SYNC:
            self.expected = plain
        self.send_raw(self.control(ACKNOWLEDGE, plain))
        if self.expected is not None and plain != self.expected:
            self.repeated += 1
            return False
        self.expected = plain ^ 1
        return True

    def _handle(self, kind, data):
        """A data packet that nobody waits for in particular."""
        if kind == DEBUG_IO:
            api, _, _, length, room = struct.unpack_from("<IHHII", data)
            text = data[16:16 + length].decode(errors="replace")
            if api == 0x3230:
                self.text += text
            elif api == 0x3231:
                self.prompts.append(text)
                answer = self.answers.popleft() if self.answers else b""
                self.send(DEBUG_IO, struct.pack("<IHHII", 0x3231, 0, 0, len(text), len(answer)) + answer)
            else:
                raise KdError(f"debug I/O {api:#x}")
        elif kind == STATE_CHANGE:
            self.stop = Stop(data)
        elif not self.attaching:  # else an answer to a host before us
            raise KdError(f"an unexpected packet of type {kind}")

    def receive(self, wanted, seconds):
        """Waits for a packet of a type; others are handled. Its data, or None when time is up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            packet = self._next(left)
            if packet is None:
                return None
            kind, identity, data = packet
            if kind == RESET:
                self.next_id, self.expected = INITIAL, None
            elif kind in (ACKNOWLEDGE, RESEND):
                continue
            elif self._take(identity):
                if kind == wanted:
                    return data
                self._handle(kind, data)
        return None

    def send(self, kind, data):
        """Sends a data packet until it is acknowledged."""
        identity = self.next_id
        packet = self.packet(kind, identity, data)
        spoiled = packet
        if self.corrupt_next:
            spoiled, self.corrupt_next = self.corrupt_next(packet), None
        self.send_raw(spoiled)
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            answer = self._next(2)
            if answer is None:
                self.resent += 1
                self.send_raw(packet)
                continue
            kind_there, identity_there, data_there = answer
            if kind_there == ACKNOWLEDGE:
                if identity_there == identity:
                    self.next_id ^= 1
                    return
            elif kind_there == RESEND:
                self.resent += 1
                self.send_raw(packet)
            elif kind_there == RESET:
                raise KdError("the target started anew")
            elif self._take(identity_there):
                self._handle(kind_there, data_there)
        raise KdError("a packet was not acknowledged")

    # -------------------------------------------------------------------------------- requests

    def request(self, api, union=b"", data=b"", processor=0xFFFF, answered=True):
        """(status, union, data) of the answer."""
        header = struct.pack("<IHHII", api, 0xDEAD, processor, 0x103, 0xCCCCCCCC) + union.ljust(0x28, b"\xCD")
        self.send(MANIPULATE, header + data)
        if not answered:
            return None
        answer = self.receive(MANIPULATE, self.timeout)
        if answer is None:
            raise KdError(f"no answer to request {api:#x}")
        there, _, _, status = struct.unpack_from("<IHHI", answer)
        if there != api or len(answer) < 0x38:
            raise KdError(f"request {api:#x} was answered with {there:#x}")
        return status, answer[0x10:0x38], answer[0x38:]

    def demand(self, *arguments, **options):
        """As request, for what must be granted."""
        status, union, data = self.request(*arguments, **options)
        if status != SUCCESS:
            raise Refused(arguments[0], status)
        return union, data

    def wait_for_stop(self, seconds=None, modules=False):
        """The next state change; module events are noted and passed unless asked for."""
        end = time.monotonic() + (seconds or self.timeout)
        while True:
            if self.stop is None:
                data = self.receive(STATE_CHANGE, max(end - time.monotonic(), 0))
                if data is None:
                    raise KdError("no state change")
                self.stop = Stop(data)
            if self.stop.kind != 0x3031 or modules:
                return self.stop
            self.note_module()
            self.go()

    def note_module(self):
        self.modules.append((self.stop.path, self.stop.base, self.stop.size, self.stop.process, self.stop.unload))
        if self.on_module:
            self.on_module(self.stop)

    def attach(self, seconds=60):
        """Breaks in and starts anew, as hosts do; returns the stop."""
        end = time.monotonic() + seconds
        self.stop, self.attaching = None, True
        while time.monotonic() < end:
            self.send_raw(b"b")
            data = self.receive(STATE_CHANGE, 1)
            if data is not None:
                break
        else:
            raise KdError("the target does not stop")
        self.send_raw(self.control(RESET))
        self.next_id, self.expected = INITIAL, None
        answered = False
        while not answered:
            packet = self._next(self.timeout)
            if packet is None:
                raise KdError("the target does not answer a reset")
            answered = packet[0] == RESET  # what was under way comes again
        data = self.receive(STATE_CHANGE, self.timeout)
        if data is None:
            raise KdError("no state change after a reset")
        self.stop, self.attaching = Stop(data), False
        return self.wait_for_stop()

    def break_in(self, seconds=20):
        """Stops a target that this client is attached to."""
        end = time.monotonic() + seconds
        while self.stop is None and time.monotonic() < end:
            self.send_raw(b"b")
            data = self.receive(STATE_CHANGE, 0.5)
            if data is not None:
                self.stop = Stop(data)
        if self.stop is None:
            raise KdError("the target does not stop")
        return self.wait_for_stop()

    def go(self, trace=False, dr7=0x400, status=HANDLED):
        self.stop = None
        self.request(CONTINUE2, struct.pack("<IIQQQ", status, int(trace), dr7, 1, 1), answered=False)

    def step(self):
        self.go(trace=True)
        return self.wait_for_stop()

    def run(self, seconds):
        """Lets the target run and takes what it says; the stop, if one comes."""
        data = self.receive(STATE_CHANGE, seconds)
        if data is not None:
            self.stop = Stop(data)
        return self.stop

    @property
    def version(self):
        union, _ = self.demand(GET_VERSION)
        return Version(*struct.unpack("<HHBBHHBBBBHQQQ", union))

    def read(self, address, size, api=READ_VIRTUAL):
        data = b""
        while len(data) < size:
            union, piece = self.demand(api, struct.pack("<QI", address + len(data), min(size - len(data), 3944)))
            if struct.unpack_from("<I", union, 12)[0] != len(piece) or not piece:
                raise KdError("a read whose count is not that of its bytes")
            data += piece
        return data

    def write(self, address, data, api=WRITE_VIRTUAL):
        union, _ = self.demand(api, struct.pack("<QI", address, len(data)), data)
        if struct.unpack_from("<I", union, 12)[0] != len(data):
            raise KdError("a write that was not done")

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def context(self, processor=0):
        _, data = self.demand(GET_CONTEXT, processor=processor)
        if len(data) != CONTEXT_SIZE:
            raise KdError("a context of the wrong size")
        return bytearray(data)

    def set_context(self, context, processor=0):
        self.demand(SET_CONTEXT, data=bytes(context), processor=processor)

    def special(self, processor=0):
        _, data = self.demand(READ_CONTROL, struct.pack("<QI", 2, SPECIAL_SIZE), processor=processor)
        return bytearray(data)

    def set_special(self, special, processor=0):
        self.demand(WRITE_CONTROL, struct.pack("<QI", 2, len(special)), bytes(special), processor=processor)

    def set_breakpoint(self, address):
        union, _ = self.demand(WRITE_BREAKPOINT, struct.pack("<Q", address))
        return struct.unpack_from("<I", union, 8)[0]

    def clear_breakpoint(self, handle):
        self.demand(RESTORE_BREAKPOINT, struct.pack("<I", handle))

    def switch(self, processor):
        self.stop = None
        self.request(SWITCH_PROCESSOR, processor=processor, answered=False)
        return self.wait_for_stop()

    def module_list(self, head):
        """(base, size, name) of a list of loader entries."""
        modules, entry = [], self.word(head)
        while entry != head and len(modules) < 1000:
            data = self.read(entry, 0x88)
            base, _, size = struct.unpack_from("<QQI", data, 0x30)
            length, _, buffer = struct.unpack_from("<HH4xQ", data, 0x48)
            modules.append((base, size, self.read(buffer, length).decode("utf-16-le")))
            entry, = struct.unpack_from("<Q", data)
        return modules


def get(context, name):
    return struct.unpack_from("<Q", context, REGISTERS[name])[0]


def put(context, name, value):
    struct.pack_into("<Q", context, REGISTERS[name], value)
