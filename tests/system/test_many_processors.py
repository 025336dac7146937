"""Machines with several processors: they start, share the work, and are stopped together."""
# SPDX-License-Identifier: MIT
import metal
from test_crash import frames_of, report_of


def test_start():
    for count in (2, 3, 16):
        result = metal.run("sysinfo.exe", cpus=count)
        assert result.code == 0 and f"{count} processors" in result.output, f"{count}: {result.output}"


def test_option():
    """`processors = N` leaves the others asleep."""
    result = metal.run("sysinfo.exe", cpus=4, options=[("processors", "2")])
    assert result.code == 0 and "2 processors" in result.output, result.output


@metal.limit(300)
def test_api():
    """What needs the scheduler, page tables of several threads, and much waiting."""
    result = metal.run("/tests/apitest.exe memory pipes handles waits threads pthreads processes windows leaks",
                       cpus=4, timeout=280)
    assert result.code == 0, result.output[-2000:]


@metal.limit(300)
def test_calls():
    result = metal.run("/tests/stress.exe -rounds 6 -calls 10000", cpus=4, timeout=280)
    assert result.code == 0, result.output[-2000:]


def check_stuck(crash, code, function):
    report = report_of(crash, [("watchdog", "3")], cpus=3)
    assert any(line.endswith(code) for line in report), "\n".join(report)
    names = [name for _, name, _, _ in frames_of(report)]
    assert "CrashSpin" in names and function in names, "\n".join(report)


def test_stop():
    """The report shows what every processor was doing."""
    report = report_of("spin-elsewhere", cpus=3)
    text = "\n".join(report)
    others = [i for i, line in enumerate(report) if line.startswith("*** PROCESSOR ")]
    assert len(others) == 2, text
    assert any("!SpinElsewhere" in line for line in report[others[0]:]), text


def test_stuck_at_dispatch_level():
    check_stuck("stuck-dispatch", "DISPATCH_WATCHDOG", "CrashStuckDispatch")


def test_stuck_with_interrupts_off():
    """Another processor notices, and shows the stack of the one that is stuck."""
    check_stuck("stuck-interrupts", "CLOCK_WATCHDOG", "CrashStuckInterrupts")
