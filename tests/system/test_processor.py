"""Programs that misuse the processor, and machines of other kinds."""
# SPDX-License-Identifier: MIT
import metal

PROCESSORS = ["Nehalem", "max,-xsave", "max,-smep,-smap,-umip"]
SLOW_STRINGS = "max,-erms,-fsrm"  # large copies go by vector registers


def test_misuse():
    result = metal.run("/tests/cputest.exe")
    assert result.code == 0, result.output


def test_processors():
    for processor in PROCESSORS:
        result = metal.run("sysinfo.exe", extra=["-cpu", processor])
        assert result.code == 0, f"{processor}: {result.output}"


def test_slow_strings():
    result = metal.run("/tests/apitest.exe files", "/tests/cputest.exe", extra=["-cpu", SLOW_STRINGS])
    assert result.code == 0, result.output


def test_nmi():
    """A non-maskable interrupt stops the machine with a report, whatever it interrupts."""
    with metal.boot(options=[("bugcheck", "exit")]) as machine:
        machine.wait_for_log("win: display", 60)
        machine.qmp.command("inject-nmi")
        machine.wait_for_end(60)
        assert machine.bugcheck and "HARDWARE" in machine.bugcheck, machine.log[-1000:]
