"""Machines with several processors: they start, and share the work. (That a stop stops all: test_crash.)"""
# SPDX-License-Identifier: MIT
import metal


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
    result = metal.run("/tests/apitest.exe memory pipes handles races waits threads pthreads processes windows leaks",
                       cpus=4, timeout=280)
    assert result.code == 0, result.output[-2000:]


@metal.limit(300)
def test_calls():
    result = metal.run("/tests/stress.exe -rounds 6 -calls 10000", cpus=4, timeout=280)
    assert result.code == 0, result.output[-2000:]
