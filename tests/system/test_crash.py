"""Deliberate crashes (kernel/kd/crash.c): the report names what happened and the whole way there, on COM1, on the
screen, and in the dump."""
# SPDX-License-Identifier: MIT
import os
import re
import sys
import tempfile

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "kd"))
import crashdump  # noqa: E402
import crashscreen  # noqa: E402

FRAME = re.compile(r"^  (?:(\S+)!([^+\s]+)(?:\+0x[0-9a-f]+)?(?:  (\S+):(\d+))?(?:  \((?:\d+ times|inlined)\))?|(\S+))$")
START = ["CrashMiddle", "CrashOuter", "KdCrash", "CrashIfAsked", "RunSteps", "Begin", "HalpStartThread"]

DOOM = "doom.exe -iwad freedoom1.wad -timedemo demo1 -nosound"

ELSEWHERE = ["Begin", "HalpStartThread"]

# Option value -> (name of the code, functions from the innermost outwards, words the report must have).
CRASHES = {
    "read-null": ("PAGE_FAULT", ["CrashReadNull"] + START, "read of address 0000000000000008: no page is there"),
    "call-null": ("PAGE_FAULT", ["CrashCallNull"] + START, "execution of address 0000000000000000"),
    "write-code": ("PAGE_FAULT", ["CrashWriteCode"] + START, "the page does not allow it"),
    "execute-data": ("PAGE_FAULT", ["CrashExecuteData"] + START, "the page does not allow it"),
    "read-user": ("PAGE_FAULT", ["MmReadUserPage"] + START, "the page does not allow it"),
    "run-user": ("PAGE_FAULT", ["MmRunUserPage"] + START, "execution of address 0000000000010000: the page does not allow it"),
    "non-canonical": ("UNHANDLED_EXCEPTION", ["CrashNonCanonical"] + START, "vector 13"),
    "divide": ("UNHANDLED_EXCEPTION", ["CrashDivide"] + START, "vector 0 "),
    "undefined": ("UNHANDLED_EXCEPTION", ["CrashUndefined"] + START, "vector 6 "),
    "assertion": ("ASSERTION", ["KeBugCheckFrame", "KeAssertionFailed", "CrashAssertion"] + START, "zero == 1"),
    "bugcheck": ("MANUAL", ["CrashBugCheck"] + START, "parameters 0000000000000001 0000000000000002"),
    "stack-overflow": ("PROCESSOR_TRAP", ["CrashOverflowStack"] + START, "times)"),
    "stack-smash": ("SECURITY", ["CrashSmashStack"], "overrun"),
    "dpc": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashInDpcRoutine", "HalpTrap", "CrashSpin", "CrashInDpc"] + START,
            "write of address"),
    "queued-dpc": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashInDpcRoutine", "KiDispatchPendingWork", "CrashQueuedDpc"] + START,
                   "write of address"),
    "interrupt": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashReadNull", "CrashInInterruptRoutine", "HalpTrap"] + START, "read of address"),
    "locked": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashLocked"] + START, "write of address"),
    "lock-twice": ("LOCK_RANK", ["CrashLockTwice"] + START, "out of order"),
    "wild-stack": ("PROCESSOR_TRAP", ["CrashWildStack"], "Double fault"),
    "nmi": ("HARDWARE", ["CrashNmi"] + START, "Non-maskable interrupt"),
    "work-item": ("PAGE_FAULT", ["CrashReadNull", "CrashInWorkItemRoutine"] + ELSEWHERE, "read of address"),
    "elsewhere": ("PAGE_FAULT", ["CrashWriteNull", "CrashElsewhereRoutine"] + ELSEWHERE, "processor 1 "),
    "spin-elsewhere": ("PAGE_FAULT", ["CrashWriteNull", "CrashSpinElsewhere"] + START, "*** PROCESSOR 1, rsp"),
    "stuck-dispatch": ("DISPATCH_WATCHDOG", ["CrashSpin", "CrashStuckDispatch"] + START, "has not come back"),
    "stuck-interrupts": ("CLOCK_WATCHDOG", ["CrashSpin", "CrashStuckInterrupts"] + START, "stopped taking interrupts"),
    "heap-overrun": ("HEAP_CORRUPT", ["MmFreeHeap", "OverrunHeapBlock"] + START, "past its end"),
    "heap-double-free": ("BAD_HEAP_CALLER", ["MmFreeHeap", "FreeHeapBlockTwice"] + START, "heap"),
}


def frames_of(report):
    """The stack's lines as (module, function, file, line), with None for what is missing."""
    lines = report[report.index("stack:") + 1:]
    frames = []
    for line in lines:
        if line.startswith("***"):
            return frames
        match = FRAME.match(line)
        assert match, f"not a frame: {line!r}"
        frames.append(match.groups()[:4])
    raise AssertionError("the report has no end")


def stop_at(crash, settings=(), **options):
    """Boots with `crash = CRASH`: the report's lines, after the screen was compared with them; and the dump."""
    with metal.boot(options=[("crash", crash), *settings], **options) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete or machine.stopped, 60, "report")
        assert machine.bugcheck, f"{crash}: no report; the log ends with:\n{machine.log[-1000:]}"
        machine.wait_for_screen(lambda picture: crashscreen.shows(picture, machine.bugcheck), 20, "report on the screen")
        machine.stop()
        return machine.bugcheck.splitlines(), crashdump.take(machine.image)


def in_order(chain, names):
    names = iter(names)
    return next((wanted for wanted in chain if wanted not in names), None)


def check_report(crash, report):
    code, chain, words = CRASHES[crash]
    text = "\n".join(report)
    assert any(line.startswith("*** BUGCHECK ") and line.endswith(" " + code) for line in report), f"{crash}:\n{text}"
    assert words in text, f"{crash}: '{words}' is not in\n{text}"
    assert "thread" in text and "process system" in text, text
    frames = frames_of(report)
    missing = in_order(chain, [function for _, function, _, _ in frames])
    assert not missing, f"{crash}: {missing} is missing, or not where it should be, in\n{text}"
    named = [frame for frame in frames if frame[0] == "moskrnl" and frame[2] and frame[2].startswith("kernel/")]
    unnamed = len(frames) - len(named)
    wild = 1 if crash in ("call-null", "execute-data", "run-user", "stack-smash") else 0  # where no code is
    assert unnamed == wild, f"{crash}: {unnamed} frames without function and line in\n{text}"


def check(crash, settings=(), **options):
    report, dump = stop_at(crash, settings, **options)
    check_report(crash, report)
    crashdump.check(dump, "\n".join(report))
    if crash in ("wild-stack", "stack-smash"):  # the stack itself is gone
        return
    names = crashdump.stack_names(dump)
    missing = in_order(CRASHES[crash][1], names)
    assert not missing, f"{crash}: {missing} is missing in the dump: {names}"


def test_faults():
    for crash in ("read-null", "call-null", "write-code", "execute-data", "read-user", "run-user", "non-canonical"):
        check(crash)


def test_processor_exceptions():
    for crash in ("divide", "undefined", "stack-overflow", "wild-stack", "nmi"):
        check(crash)


def test_detected_damage():
    for crash in ("assertion", "bugcheck", "stack-smash", "heap-overrun", "heap-double-free", "lock-twice"):
        check(crash)


def test_raised_levels():
    for crash in ("dpc", "queued-dpc", "interrupt", "locked", "work-item"):
        check(crash)


def test_several_processors():
    for crash in ("elsewhere", "spin-elsewhere"):
        check(crash, cpus=2)
    for crash in ("stuck-dispatch", "stuck-interrupts"):
        check(crash, [("watchdog", "3")], cpus=2)


def test_without_symbols():
    """Without its PDB, or with another's, the report has offsets in the image instead of names."""
    with open(os.path.join(metal.BUILD, "apps", "hello.pdb"), "rb") as file:
        other = file.read()
    for content in (b"", other):
        with tempfile.NamedTemporaryFile() as pdb:
            pdb.write(content)
            pdb.flush()
            report, dump = stop_at("read-null", copy=[(pdb.name, "/system/moskrnl.pdb")])
        stack = report[report.index("stack:") + 1:]
        offsets = [int(line.rpartition("0x")[2], 16) - 1 for line in stack if re.match(r"  moskrnl\+0x[0-9a-f]+$", line)]
        assert len(offsets) == len(frames_of(report)) > 5, report
        names = crashdump.names_of(offsets[1:])
        assert not in_order(["CrashMiddle", "CrashOuter", "KdCrash"], names), names
        crashdump.check(dump, "\n".join(report))


def stop_in_program(crash):
    """The report of a DPC's crash on the stack of a program, its frames, the dump and the log."""
    with metal.boot(execute=[DOOM], options=[("crash", crash), ("log", "debug")]) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete or machine.stopped, 60, "report")
        assert machine.bugcheck, f"no report; the log ends with:\n{machine.log[-1000:]}"
        machine.wait_for_screen(lambda picture: crashscreen.shows(picture, machine.bugcheck), 20, "report on the screen")
        machine.stop()
        assert re.search(r"^process \w+\.exe \(\d+\)", machine.bugcheck, re.M), machine.bugcheck
        return machine.bugcheck, frames_of(machine.bugcheck.splitlines()), crashdump.take(machine.image), machine.log


def check_program_frames(frames, report, dump, log):
    """Functions, files and lines to where the program began; the dump has the same stack."""
    assert len(frames) > 2 and all(module and function and line for module, function, _, line in frames), report
    assert [function for _, function, _, _ in frames[-2:]] == ["RtStartProcess", "InitProcess"], report
    assert frames[-1][0] != "mosrt" and frames[-1][2].startswith("runtime/init/"), report
    crashdump.check(dump, report)
    callers = [line.split("!")[1].split("+")[0] for line in report.splitlines()
               if re.match(r"  (?!moskrnl)\w+!", line) and not line.endswith("(inlined)")][1:]
    names = crashdump.program_stack_names(dump, report, log)
    assert not in_order(callers, names), (callers, names)


def test_in_program():
    """Through the interrupt into the program, to where the program began."""
    report, frames, dump, log = stop_in_program("program")
    functions = [frame[1] for frame in frames]
    assert functions.index("CrashInProgramRoutine") < functions.index("HalpTrap"), report
    check_program_frames(frames, report, dump, log)


def test_in_system_call():
    """Across the system call into the program: what the kernel did for it, the call's stub, its callers."""
    report, frames, dump, log = stop_in_program("system-call")
    entry = [frame[1] for frame in frames].index("HalpSystemCallEntry")
    assert frames[entry + 1][0] == "mosrt", report
    check_program_frames(frames, report, dump, log)


def test_in_new_program():
    """Before the PDBs of program and library are in memory: exported names, and offsets in the images."""
    report, frames, _, _ = stop_in_program("new-program")
    assert all(frame[2] for frame in frames if frame[0] == "moskrnl"), report
    assert re.search(r"\n  mosrt!RtStartProcess\+0x[0-9a-f]+\n  init\+0x[0-9a-f]+\n\*\*\*", report), report


def test_beside_program():
    """Another processor's stack, in a program that is not the one here."""
    with metal.boot(cpus=2, options=[("crash", "beside-program"), ("bugcheck", "exit"), ("run", DOOM), ("run", DOOM)]) as machine:
        machine.wait_for_end(90)
        machine.stop()
        report = machine.bugcheck
    assert report, f"no report; the log ends with:\n{machine.log[-1000:]}"
    lines = report.splitlines()
    there = next(n for n, line in enumerate(lines) if line.startswith("*** PROCESSOR 1, "))
    frames = frames_of(["stack:"] + lines[there + 1:])
    assert all(function and line for _, function, _, line in frames), report
    assert frames[-1][:2] == ("doom", "InitProcess"), report


def test_unknown_crash():
    """A name that is none is a warning; the system goes on."""
    with metal.boot(options=[("crash", "nonsense")]) as machine:
        machine.wait_for_log("there is no crash 'nonsense'", 60)
        assert machine.bugcheck is None
