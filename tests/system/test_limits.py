"""Who asks for too much - handles, threads, memory, windows, the disk - gets an error, and nobody else notices."""
# SPDX-License-Identifier: MIT
import metal


def check(result):
    assert result.code == 0, result.output[-4000:]
    assert ", 0 wrong" in result.output, result.output[-4000:]


@metal.limit(300)
def test_limits():
    check(metal.run("/tests/limits.exe -rounds 24", timeout=280, cpus=2))


def test_hundred_programs_and_windows():
    """Leave the counters as they were; tests/soak does it a thousand times."""
    result = metal.run('/tests/abuse.exe repeat 100 "/tests/apitest.exe --child nothing"', "/tests/abuse.exe windows 100", cpus=2)
    assert result.code == 0 and result.output.count(" 0 failed") == 2, result.output[-2000:]


def test_five_thousand_threads():
    result = metal.run("/tests/limits.exe threads")
    check(result)
    assert "5000 threads, then StatusSuccess" in result.output, result.output[-1000:]
