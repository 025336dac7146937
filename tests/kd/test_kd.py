"""The kernel debugger (kernel/kd) from outside: every request, stops of every kind, bad lines, no debugger."""
# SPDX-License-Identifier: MIT
import os
import random
import re
import struct
import subprocess
import threading
import time

import client as kd
import metal

PDB = os.path.join(metal.BUILD, "kernel", "moskrnl.pdb")
IMAGE = os.path.join(metal.BUILD, "kernel", "moskrnl.exe")
DOOM = "doom.exe -iwad freedoom1.wad -timedemo demo1"


def symbols(*names):
    """RVAs of public symbols of the kernel, by another reader of its PDB."""
    with open(IMAGE, "rb") as file:
        image = file.read()
    header, = struct.unpack_from("<I", image, 0x3C)
    optional, = struct.unpack_from("<H", image, header + 20)
    table = header + 24 + optional
    text = subprocess.run(["llvm-pdbutil-19", "dump", "--publics", PDB], check=True, capture_output=True, text=True).stdout
    result = []
    for name in names:
        match = re.search(r"`%s`\n.*addr = (\d+):(\d+)" % re.escape(name), text)
        assert match, f"the PDB has no {name}"
        section, offset = map(int, match.groups())
        result.append(struct.unpack_from("<I", image, table + 40 * (section - 1) + 12)[0] + offset)
    return result


def refused(client, *arguments, **options):
    return client.request(*arguments, **options)[0] != kd.SUCCESS


# ------------------------------------------------------------------------------------- the requests

def check_identity(c):
    """Version block, data block, module list, and the PDB that belongs to the kernel."""
    version = c.version
    assert version.MachineType == 0x8664 and version.ProtocolVersion == 6 and version.Flags & 7 == 7, version
    assert c.read(version.KernBase, 2) == b"MZ"
    head = c.word(version.DebuggerDataList)
    block = c.read(head, 0x380)
    assert block[0x10:0x14] == b"KDBG" and struct.unpack_from("<I", block, 0x14)[0] == 0x380
    assert struct.unpack_from("<Q", block, 0x18)[0] == version.KernBase
    assert struct.unpack_from("<Q", block, 0x48)[0] == version.PsLoadedModuleList
    lab = c.read(struct.unpack_from("<Q", block, 0x208)[0], 16).split(b"\0")[0]
    assert lab.startswith(b"MetalOS"), lab
    prcbs, = struct.unpack_from("<Q", block, 0x218)
    for processor in range(c.stop.processors):
        prcb = c.word(prcbs + 8 * processor)
        assert struct.unpack("<I", c.read(prcb + struct.unpack_from("<H", block, 0x2BE)[0], 4))[0] == processor
    (base, size, name), = c.module_list(version.PsLoadedModuleList)
    assert base == version.KernBase and name.endswith("moskrnl.exe"), (base, name)
    assert size >= os.path.getsize(IMAGE) // 2
    # As WinDbg goes: headers, debug directory, CodeView record; then the file by GUID and age.
    nt = base + struct.unpack("<I", c.read(base + 0x3C, 4))[0]
    directory, _ = struct.unpack("<II", c.read(nt + 24 + 112 + 8 * 6, 8))
    entry = c.read(base + directory, 28)
    record = c.read(base + struct.unpack_from("<I", entry, 20)[0], 64)
    assert record[:4] == b"RSDS" and record[24:].split(b"\0")[0] == b"moskrnl.pdb", record
    guid = record[4:20]
    summary = subprocess.run(["llvm-pdbutil-19", "dump", "--summary", PDB], check=True, capture_output=True, text=True).stdout
    d1, d2, d3 = struct.unpack_from("<IHH", guid)
    text = f"{d1:08X}-{d2:04X}-{d3:04X}-{guid[8:10].hex().upper()}-{guid[10:].hex().upper()}"
    assert text in summary.upper() and f"Age: {struct.unpack_from('<I', record, 20)[0]}" in summary, (text, summary)
    return version


def check_memory(c, version):
    variable, = (version.KernBase + rva for rva in symbols("KdiTriedVariable"))
    c.write(variable, b"\x11\x22\x33\x44\x55\x66\x77\x88")
    assert c.read(variable, 8) == b"\x11\x22\x33\x44\x55\x66\x77\x88"
    # A page of code: writing goes through its protection, and the direct map shows the same byte.
    function, = (version.KernBase + rva for rva in symbols("KdiTriedFunction"))
    original = c.read(function, 1)
    c.write(function, b"\x90")
    assert c.read(function, 1) == b"\x90"
    c.write(function, original)
    # Physical: the page tables lead from the function to the same bytes.
    cr3, = struct.unpack_from("<Q", c.special(), 0x10)
    table = cr3 & ~0xFFF
    for shift in (39, 30, 21, 12):
        entry, = struct.unpack("<Q", c.read(table + (function >> shift & 511) * 8, 8, api=kd.READ_PHYSICAL))
        assert entry & 1
        table = entry & 0x000FFFFFFFFFF000
        if shift in (21, 30) and entry & 0x80:
            table = table & -(1 << shift) | function & (1 << shift) - 1 & ~0xFFF
            break
    assert c.read(table | function & 0xFFF, 32, api=kd.READ_PHYSICAL) == c.read(function, 32)
    c.write(table | function & 0xFFF, original, api=kd.WRITE_PHYSICAL)
    # What is not there: an error, and the bytes before it.
    for address in (0, 8, 0x7FFFFFFFF000, 0x800000000000, 0xFFFF7FFFFFFFFFFF, 0xFFFFFFFFFFFFFFF8):
        status, union, data = c.request(kd.READ_VIRTUAL, struct.pack("<QI", address, 64))
        assert status != 0 and data == b"" and struct.unpack_from("<I", union, 12)[0] == 0, hex(address)
        assert refused(c, kd.WRITE_VIRTUAL, struct.pack("<QI", address, 4), b"abcd")
        assert refused(c, kd.WRITE_BREAKPOINT, struct.pack("<Q", address))
    for physical in (0xFEE00000, 0xC0000000, 1 << 40, (1 << 64) - 8):  # registers and nothing
        assert refused(c, kd.READ_PHYSICAL, struct.pack("<QI", physical, 8)), hex(physical)
        assert refused(c, kd.WRITE_PHYSICAL, struct.pack("<QI", physical, 8), bytes(8)), hex(physical)
    assert len(c.request(kd.READ_VIRTUAL, struct.pack("<QI", version.KernBase, 0xFFFFFFFF))[2]) == 3944
    # Search, fill, query.
    c.write(variable, b"needle!\0")
    union, _ = c.demand(kd.SEARCH, struct.pack("<QQI", variable - 64, 4096, 7), b"needle!")
    assert struct.unpack_from("<Q", union)[0] == variable
    assert refused(c, kd.SEARCH, struct.pack("<QQI", version.KernBase, 65536, 40), b"\xA5\x5A" * 20)
    assert refused(c, kd.SEARCH, struct.pack("<QQI", 0x1000, 1 << 62, 2), b"\xA5\x5A")
    union, _ = c.demand(kd.FILL, struct.pack("<QIHH", variable, 8, 1, 3), b"xyz")
    assert struct.unpack_from("<I", union, 8)[0] == 8 and c.read(variable, 8) == b"xyzxyzxy"
    assert refused(c, kd.FILL, struct.pack("<QIHH", 0, 8, 1, 3), b"xyz")
    access = {}
    for name, address in (("code", function), ("data", variable), ("none", 0x1000)):
        union, _ = c.demand(kd.QUERY_MEMORY, struct.pack("<QQII", address, 0, 0, 0))
        access[name] = struct.unpack_from("<II", union, 16)
    assert access == {"code": (2, 5), "data": (2, 3), "none": (0, 0)}, access


def check_registers(c):
    for processor in range(c.stop.processors):
        context, special = c.context(processor), c.special(processor)
        assert struct.unpack_from("<I", context, 0x30)[0] == 0x10001F
        assert context[0x34:0x38] == context[0x118:0x11C], "the two MXCSRs differ"
        assert kd.get(context, "rip") and kd.get(context, "rsp")
        _, whole = c.demand(kd.GET_CONTEXT_EX, struct.pack("<III", 0xF8, 8, 0), processor=processor)
        assert whole == context[0xF8:0x100]
        assert struct.unpack_from("<Q", special)[0] & 0x80000001 == 0x80000001  # paging, protected mode
        # The descriptor of the code segment says 64 bits, and can be read: WinDbg disassembles by it.
        gdt, = struct.unpack_from("<Q", special, 0x58)
        selector, = struct.unpack_from("<H", context, 0x38)
        assert c.word(gdt + (selector & ~7)) >> 53 & 1
        prcb, _, thread = (struct.unpack("<Q", c.demand(kd.READ_CONTROL, struct.pack("<QI", i, 8), processor=processor)[1])[0]
                           for i in (0, 1, 3))
        assert c.word(prcb) == prcb and c.word(prcb + 8) == thread
        # Written back unchanged, everything is taken; what would take the machine down is not.
        c.set_special(special, processor)
        broken = bytearray(special)
        struct.pack_into("<Q", broken, 0x10, 0xDEAD000)  # cr3
        assert refused(c, kd.WRITE_CONTROL, struct.pack("<QI", 2, len(broken)), bytes(broken), processor=processor)
        broken = bytearray(context)
        kd.put(broken, "rip", 0x8000000000000000)
        assert refused(c, kd.SET_CONTEXT, data=bytes(broken), processor=processor)
        changed = bytearray(context)
        kd.put(changed, "r15", 0x1122334455667788)
        c.set_context(changed, processor)
        assert kd.get(c.context(processor), "r15") == 0x1122334455667788
        c.demand(kd.SET_CONTEXT_EX, struct.pack("<III", kd.REGISTERS["r15"], 8, 0),
                 struct.pack("<Q", kd.get(context, "r15")), processor=processor)
        assert c.context(processor) == context
    for processor in (c.stop.processors, 63, 0xFFFF):
        assert refused(c, kd.GET_CONTEXT, processor=processor)
        assert refused(c, kd.READ_CONTROL, struct.pack("<QI", 2, 0xE0), processor=processor)


def check_ports(c):
    union, _ = c.demand(kd.READ_MSR, struct.pack("<I", 0xC0000082))
    low, high = struct.unpack_from("<II", union, 4)
    assert high << 32 | low == struct.unpack_from("<Q", c.special(), 0xC0)[0]  # LSTAR
    c.demand(kd.WRITE_MSR, struct.pack("<III", 0xC0000103, 7, 0))  # TSC_AUX, which nothing uses
    assert struct.unpack_from("<I", c.demand(kd.READ_MSR, struct.pack("<I", 0xC0000103))[0], 4)[0] == 7
    status, _, _ = c.request(kd.WRITE_MSR, struct.pack("<III", 0x6E1, 0, 1))  # reserved bits of PKRS: faults
    assert status == 0xC000000E, hex(status)
    c.demand(kd.WRITE_IO, struct.pack("<QII", 0x80, 1, 0x55))
    union, _ = c.demand(kd.READ_IO, struct.pack("<QI", 0x61, 1))
    assert struct.unpack_from("<I", union, 12)[0] < 256
    assert refused(c, kd.READ_IO, struct.pack("<QI", 0x2F8, 1)), "the debugger's own port"
    assert c.request(kd.READ_IO, struct.pack("<QI", 0x61, 3))[0] == 0xC000000D
    assert c.request(kd.READ_IO, struct.pack("<QI", 0x61, 2))[0] == 0x80000002
    c.demand(kd.READ_IO_EX, struct.pack("<IIIIQ", 1, 1, 0, 1, 0x61))
    assert refused(c, kd.READ_IO_EX, struct.pack("<IIIIQ", 1, 5, 0, 1, 0x61))
    union, data = c.demand(kd.GET_BUS, struct.pack("<IIIII", 4, 0, 0, 0, 4))
    assert data[:2] == b"\x86\x80" and struct.unpack_from("<I", union, 16)[0] == 4  # Intel's host bridge
    assert refused(c, kd.GET_BUS, struct.pack("<IIIII", 4, 0, 0, 300, 4))
    c.demand(kd.CHECK_LOW_MEMORY)
    c.request(kd.CLEAR_INTERNAL, answered=False)
    for api in (0x312F, 0x313F, 0x3151, 0x315D, 0x3161, 0x3162, 0x3200, 0, 0xFFFFFFFF):
        assert c.request(api)[0] == kd.UNSUCCESSFUL, hex(api)


def check_breakpoint_table(c, version):
    function, = (version.KernBase + rva for rva in symbols("KdiTriedFunction"))
    for handle in range(1, 33):  # as WinDbg begins
        c.request(kd.RESTORE_BREAKPOINT, struct.pack("<I", handle))
    original = c.read(function, 1)
    handle = c.set_breakpoint(function)
    assert c.read(function, 1) == b"\xCC"
    assert refused(c, kd.WRITE_BREAKPOINT, struct.pack("<Q", function))
    c.clear_breakpoint(handle)
    assert c.read(function, 1) == original
    assert refused(c, kd.RESTORE_BREAKPOINT, struct.pack("<I", handle))
    entries = b"".join(struct.pack("<QII", function + i, 0, 0) for i in range(3))
    _, data = c.demand(kd.WRITE_BREAKPOINTS, struct.pack("<II", 3, kd.HANDLED), entries)
    handles = [struct.unpack_from("<QI", data, 16 * i)[1] for i in range(3)]
    assert c.read(function, 3) == b"\xCC\xCC\xCC" and all(handles)
    c.demand(kd.RESTORE_BREAKPOINTS, struct.pack("<II", 3, 0), struct.pack("<3I", *handles))
    assert c.read(function, 1) == original
    return function


def check_bad_packets(c):
    """What is malformed is asked for again or ignored, and the next good packet is answered."""
    def spoil(*changes):
        def apply(packet):
            packet = bytearray(packet)
            for at, value in changes:
                packet[at] = value
            return bytes(packet)
        return apply
    for way in (spoil((20, 0xEE)),                           # the data
                spoil((12, 0)), spoil((15, 0xFF)),           # the checksum
                spoil((-1, 0)),                              # the trailer
                spoil((6, 0xFF), (7, 0xFF)),                 # longer than any packet
                spoil((4, 99)),                              # of no type
                spoil((0, 0x31)),                            # no leader
                lambda packet: packet[:9],                   # cut in the header
                lambda packet: packet[:40],                  # cut in the data
                lambda packet: packet + packet,              # twice
                lambda packet: b"\0\xFFnoise" + packet,
                lambda packet: b"000" + packet):
        c.corrupt_next = way
        assert c.version.MachineType == 0x8664
    # Out of order: control packets nobody asked for; a packet with an id of another time.
    for kind in (kd.ACKNOWLEDGE, kd.RESEND, 3, 8, 77):
        c.send_raw(c.control(kind, 0x12345))
        assert c.version.MachineType == 0x8664
    c.send_raw(c.packet(kd.MANIPULATE, c.next_id ^ 1, bytes(56)))
    assert c.version.MachineType == 0x8664
    # Requests without, or with half of, their header; the largest there is.
    for size in (0, 1, 55):
        c.send(kd.MANIPULATE, bytes(size))
        assert c.version.MachineType == 0x8664
    assert c.request(kd.WRITE_VIRTUAL, struct.pack("<QI", 8, 3944), bytes(3944))[0] == kd.UNSUCCESSFUL


# --------------------------------------------------------------------------------------- the tests

@metal.limit(400)
def test_requests():
    """At a stop in the boot of a machine with four processors; then what the boot meets on its way."""
    with metal.boot(com2=True, cpus=4, options=[("debug", "boot"), ("crash", "debugger")],
                    execute=["/tests/apitest.exe files"]) as machine:
        machine.wait_for_log("kd: a debugger", 60)
        c = kd.Client(kd.connect(machine.com2))
        stop = c.attach()
        assert stop.code == kd.BREAKPOINT and stop.first_chance == 1
        version = check_identity(c)
        check_memory(c, version)
        check_registers(c)
        check_ports(c)
        check_bad_packets(c)
        function = check_breakpoint_table(c, version)
        assert stop.pc == c.word(c.word(version.DebuggerDataList) + 0x20), "WinDbg would not know the reason"
        stamp = float(re.findall(r"\[ *(\d+\.\d+) #\d+\]", machine.log)[-1])

        # The same text twice, for the answer is damaged the first time; then the function.
        c.answers.append(b"a debugger")
        c.set_breakpoint(function)
        time.sleep(3)  # the machine must not notice
        c.go()
        stop = c.wait_for_stop()
        assert stop.pc == function and stop.code == kd.BREAKPOINT, hex(stop.pc)
        assert b"\xCC" != stop.code_bytes[:1]  # taken out around the stop
        assert "text for the debugger\n" in c.text and c.prompts == ["What is it? "]
        assert "kd: 10 bytes of answer: a debugger" in machine.log
        next_stamp = float(re.findall(r"\[ *(\d+\.\d+) #\d+\] ahci", machine.log)[0])
        assert next_stamp - stamp < 2.8, (stamp, next_stamp)

        # The processors run now: each has registers, and can be switched to.
        assert stop.processors == 4
        check_registers(c)
        for processor in (3, 1, 1, 77, stop.processor):
            there = c.switch(processor)
            assert there.processor == (processor if processor < 4 else 1), processor
        context = c.context(stop.processor)
        kd.put(context, "rcx", 41)
        c.set_context(context, stop.processor)
        stop = c.step()
        assert stop.code == kd.SINGLE_STEP and function < stop.pc < function + 16, hex(stop.pc)

        # A watch on the variable, through the special registers, and for all processors by dr7.
        variable, = (version.KernBase + rva for rva in symbols("KdiTriedVariable"))
        special = c.special(stop.processor)
        struct.pack_into("<Q", special, 0x20, variable)
        c.set_special(special, stop.processor)
        c.go(dr7=0x400 | 0b10 | 0b1001 << 16)  # global, writes, 8 bytes
        stop = c.wait_for_stop()
        assert stop.code == kd.SINGLE_STEP and stop.dr6 & 1, (hex(stop.code), hex(stop.dr6))
        assert c.word(variable) == 1 and function < stop.pc < function + 32
        assert "kd: of 0 comes 42" in machine.log

        # An execution breakpoint on the function, in CONTEXT this time.
        context = c.context(stop.processor)
        kd.put(context, "dr1", function)
        c.set_context(context, stop.processor)
        c.go(dr7=0x400 | 0b1000)
        stop = c.wait_for_stop()
        assert stop.code == kd.SINGLE_STEP and stop.pc == function and stop.dr6 & 2, hex(stop.pc)
        c.go()

        # A breakpoint instruction in the code: the host steps over it.
        stop = c.wait_for_stop()
        assert stop.code == kd.BREAKPOINT and stop.code_bytes[:1] == b"\xCC"
        context = c.context(stop.processor)
        kd.put(context, "rip", stop.pc + 1)
        c.set_context(context, stop.processor)
        c.go()

        # Programs come and go.
        gone = threading.Event()
        c.on_module = lambda event: event.base == (1 << 64) - 1 and gone.set()
        end = time.monotonic() + 90
        while not gone.is_set() and time.monotonic() < end:
            stop = c.run(1)
            if stop is not None:
                assert stop.kind == 0x3031, (hex(stop.kind), hex(stop.pc))
                c.note_module()
                c.go()
        machine.wait_for_end(30)
        machine.stop()
        assert machine.exit_code == 0, machine.log[-2000:]
        names = [(os.path.basename(path), unload) for path, _, _, _, unload in c.modules]
        for wanted in (("init.exe", 0), ("mosrt.dll", 0), ("apitest.exe", 0), ("apitest.exe", 1)):
            assert wanted in names, (wanted, names)
        assert all(size for _, base, size, _, _ in c.modules if base != (1 << 64) - 1)
        assert "kd: tried" in c.text  # the log comes over the line too
        c.close()


def attach_rounds(rounds):
    """Attaches and detaches while DOOM runs on four processors under load; DOOM must not notice."""
    with metal.boot(com2=True, cpus=4, options=[("debug", "on")], execute=[DOOM]) as machine:
        machine.wait_for_log("win: the desktop", 60)
        generator = random.Random(7)
        done = 0
        while done < rounds and not machine.stopped:
            c = kd.Client(kd.connect(machine.com2))
            try:
                stop = c.attach()
                assert stop.processors == 4
                assert c.read(c.version.KernBase, 2) == b"MZ"
                for processor in range(4):
                    assert kd.get(c.context(processor), "rip")
                if done % 3 == 0:
                    stop = c.step()
                    assert stop.code == kd.SINGLE_STEP
                if done % 3 == 1:  # the cable is pulled in the middle of a request, and put back
                    packet = c.packet(kd.MANIPULATE, c.next_id, bytes(56))
                    c.send_raw(packet[:generator.randrange(1, len(packet))])
                    c.close()
                    c = kd.Client(kd.connect(machine.com2))
                    c.attach()
                c.go()
                c.run(0.1)
                if c.stop is not None:
                    c.wait_for_stop(0.1) if c.stop.kind == 0x3031 else c.go()
            except kd.KdError:
                if machine.stopped:
                    break
                raise
            finally:
                c.close()
            done += 1
        assert done == rounds, done
        machine.wait_for_end(300)
        machine.stop()
        assert machine.exit_code is not None and b"gametics" in machine.output, machine.output[-500:]


@metal.limit(280)
def test_attach_while_doom_runs():
    attach_rounds(8)


def test_nobody_attached():
    """Text and modules for a debugger whose cable was pulled; then garbage on COM2. The machine goes on."""
    with metal.boot(com2=True, cpus=2, options=[("debug", "boot")], execute=["/tests/stress.exe -rounds 1 -calls 2000"]) as machine:
        machine.wait_for_log("kd: a debugger", 60)
        c = kd.Client(kd.connect(machine.com2))
        c.attach()
        c.go()
        c.close()
        machine.wait_for_log("fs: disk0", 60)
        line = kd.connect(machine.com2)
        line.settimeout(1)  # a machine that has stopped takes nothing
        stopping = threading.Event()

        def make_noise():
            generator = random.Random(3)
            try:
                while not stopping.is_set():
                    line.sendall(generator.randbytes(64) + b"bb" + b"iiii0000"[:generator.randrange(8)])
                    stopping.wait(0.05)
            except OSError:
                pass
        noise = threading.Thread(target=make_noise)
        noise.start()
        try:
            machine.wait_for_end(90)
        finally:
            stopping.set()
            noise.join()
            line.close()
        machine.stop()
        assert machine.exit_code == 0 and not machine.bugcheck, machine.log[-1000:]


def test_bugcheck():
    """The debugger hears of a bugcheck, sees its data, and may look around before the machine goes down."""
    with metal.boot(com2=True, options=[("debug", "boot"), ("crash", "read-null"), ("bugcheck", "exit")]) as machine:
        machine.wait_for_log("kd: a debugger", 60)
        c = kd.Client(kd.connect(machine.com2))
        c.attach()  # it may ask just before the machine stops by itself: one stop all the same
        c.go()
        stop = c.wait_for_stop()
        block = c.read(c.word(c.version.DebuggerDataList), 0x380)
        assert stop.pc == struct.unpack_from("<Q", block, 0x20)[0]
        reason = kd.get(c.context(), "rcx")
        assert reason == 3, reason  # DBG_STATUS_BUGCHECK_FIRST
        code, address = struct.unpack("<QQ", c.read(struct.unpack_from("<Q", block, 0x88)[0], 16))
        assert code == 0x50 and address == 8, (hex(code), hex(address))
        assert "*** BUGCHECK 00000050" in c.text and "CrashReadNull" in c.text
        c.go()
        machine.wait_for_end(30)
        c.close()
    # On request, and a reboot on request.
    for option, api in (("on", kd.CRASH), ("boot", kd.REBOOT)):
        with metal.boot(com2=True, options=[("debug", option), ("bugcheck", "exit")]) as machine:
            machine.wait_for_log("kd: a debugger" if option == "boot" else "win: the desktop", 60)
            c = kd.Client(kd.connect(machine.com2))
            c.attach()
            c.request(api, answered=False)
            if api == kd.CRASH:
                stop = c.wait_for_stop()
                c.go()
            machine.wait_for_end(30)
            if api == kd.CRASH:
                assert "*** BUGCHECK 000000e2" in machine.log, machine.log[-1000:]
            else:
                machine.wait_until(lambda m=machine: m.shutdown_reason == "guest-reset", 20, "reset")
            c.close()
