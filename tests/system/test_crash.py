"""Deliberate crashes (kernel/kd/crash.c): the report names what happened and the whole way there."""
# SPDX-License-Identifier: MIT
import re

import metal

FRAME = re.compile(r"^  (?:(\S+)!([^+\s]+)(?:\+0x[0-9a-f]+)?(?:  (\S+):(\d+))?(?:  \((?:\d+ times|inlined)\))?|(\S+))$")
START = ["CrashMiddle", "CrashOuter", "KdCrash", "CrashIfAsked", "RunSteps", "Begin", "HalpStartThread"]

# Option value -> (name of the code, functions from the innermost outwards, words the report must have).
CRASHES = {
    "read-null": ("PAGE_FAULT", ["CrashReadNull"] + START, "read of address 0000000000000008: no page is there"),
    "call-null": ("PAGE_FAULT", ["CrashCallNull"] + START, "execution of address 0000000000000000"),
    "write-code": ("PAGE_FAULT", ["CrashWriteCode"] + START, "the page does not allow it"),
    "execute-data": ("PAGE_FAULT", ["CrashExecuteData"] + START, "the page does not allow it"),
    "non-canonical": ("UNHANDLED_EXCEPTION", ["CrashNonCanonical"] + START, "vector 13"),
    "divide": ("UNHANDLED_EXCEPTION", ["CrashDivide"] + START, "vector 0 "),
    "undefined": ("UNHANDLED_EXCEPTION", ["CrashUndefined"] + START, "vector 6 "),
    "assertion": ("ASSERTION", ["KeBugCheckFrame", "KeAssertionFailed", "CrashAssertion"] + START, "zero == 1"),
    "bugcheck": ("MANUAL", ["CrashBugCheck"] + START, "parameters 0000000000000001 0000000000000002"),
    "stack-overflow": ("PROCESSOR_TRAP", ["CrashOverflowStack"] + START, "times)"),
    "stack-smash": ("SECURITY", ["CrashSmashStack"], "overrun"),
    "dpc": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashInDpcRoutine", "HalpTrap", "CrashSpin", "CrashInDpc"] + START,
            "write of address"),
    "queued-dpc": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashInDpcRoutine", "KeLowerIrql", "CrashQueuedDpc"] + START,
                   "write of address"),
    "interrupt": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashReadNull", "CrashInInterruptRoutine", "HalpTrap"] + START, "read of address"),
    "locked": ("IRQL_NOT_LESS_OR_EQUAL", ["CrashWriteNull", "CrashLocked"] + START, "write of address"),
    "heap-overrun": ("HEAP_CORRUPT", ["MmFreeHeap", "OverrunHeapBlock"] + START, "past its end"),
    "heap-double-free": ("BAD_HEAP_CALLER", ["MmFreeHeap", "FreeHeapBlockTwice"] + START, "heap"),
}


def report_of(crash, settings=(), **options):
    """The report's lines of a boot with `crash = CRASH`."""
    with metal.boot(options=[("crash", crash), ("bugcheck", "exit"), *settings], **options) as machine:
        machine.wait_for_end(60)
        machine.stop()
        assert machine.bugcheck, f"{crash}: no report; the log ends with:\n{machine.log[-1000:]}"
        return machine.bugcheck.splitlines()


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


def check(crash):
    code, chain, words = CRASHES[crash]
    report = report_of(crash)
    text = "\n".join(report)
    assert any(line.startswith("*** BUGCHECK ") and line.endswith(" " + code) for line in report), f"{crash}:\n{text}"
    assert words in text, f"{crash}: '{words}' is not in\n{text}"
    assert "thread" in text and "processor 0" in text and "process system" in text, text
    frames = frames_of(report)
    functions = iter(function for _, function, _, _ in frames)
    for wanted in chain:
        assert wanted in functions, f"{crash}: {wanted} is missing, or not where it should be, in\n{text}"
    named = [frame for frame in frames if frame[0] == "moskrnl" and frame[2] and frame[2].startswith("kernel/")]
    unnamed = len(frames) - len(named)
    wild = 1 if crash in ("call-null", "execute-data", "stack-smash") else 0  # where no code is
    assert unnamed == wild, f"{crash}: {unnamed} frames without function and line in\n{text}"


def test_faults():
    for crash in ("read-null", "call-null", "write-code", "execute-data", "non-canonical"):
        check(crash)


def test_processor_exceptions():
    for crash in ("divide", "undefined", "stack-overflow"):
        check(crash)


def test_detected_damage():
    for crash in ("assertion", "bugcheck", "stack-smash", "heap-overrun", "heap-double-free"):
        check(crash)


def test_raised_levels():
    for crash in ("dpc", "queued-dpc", "interrupt", "locked"):
        check(crash)


def program_report(crash):
    """The frames of a DPC's crash on the stack of a program."""
    with metal.boot(execute=["doom.exe -iwad freedoom1.wad -timedemo demo1"], options=[("crash", crash)]) as machine:
        machine.wait_for_end(60)
        machine.stop()
        assert machine.bugcheck, f"no report; the log ends with:\n{machine.log[-1000:]}"
        assert re.search(r"^process \w+\.exe \(\d+\)", machine.bugcheck, re.M), machine.bugcheck
        return machine.bugcheck, frames_of(machine.bugcheck.splitlines())


def test_in_program():
    """Through the interrupt into the program, to where the program began."""
    report, frames = program_report("program")
    functions = [frame[1] for frame in frames]
    assert functions.index("CrashInProgramRoutine") < functions.index("HalpTrap"), report
    assert frames[-1][1] is None and re.search(r"\n  \w+\.exe\+0x[0-9a-f]+\n\*\*\*", report), report


def test_in_system_call():
    """Across the system call into the program: what the kernel did for it, the call's stub, its callers."""
    report, frames = program_report("system-call")
    functions = [frame[1] for frame in frames]
    entry = functions.index("HalpSystemCallEntry")
    assert all(functions[:entry]), report  # which ones depends on where the timer struck
    assert len(frames) > entry + 2, report
    assert all(frame[0] in (None, "mosrt.dll") for frame in frames[entry + 1:]), report
    assert re.search(r"\n  \w+\.exe\+0x[0-9a-f]+\n\*\*\*", report), report


def test_screen():
    """The report is on the screen too: much text on one background."""
    with metal.boot(options=[("crash", "divide")]) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete, 60, "report")
        picture = machine.shoot("report")
        area = (0, 100, picture.width, picture.height)
        background = picture.pixel(picture.width - 20, picture.height - 20)
        text = (picture.height - 100) * picture.width - picture.count(background, *area)
        assert 5000 < text < 200000, f"{text} pixels of text"


def test_unknown_crash():
    """A name that is none is a warning; the system goes on."""
    with metal.boot(options=[("crash", "nonsense")]) as machine:
        machine.wait_for_log("there is no crash 'nonsense'", 60)
        assert machine.bugcheck is None
