"""What no program should do, done for every system call, on the kernel compiled to notice undefined behaviour."""
# SPDX-License-Identifier: MIT
import metal


def check(result):
    assert result.code == 0, result.output[-4000:]


def check_notice(kernel, crash, words):
    with metal.boot(options=[("crash", crash)], kernel=kernel) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete, 60, f"report of {crash}")
        assert words in machine.bugcheck, machine.bugcheck
        return machine.bugcheck


def test_sanitizer_notices():
    """That the kernel is compiled as it should be."""
    report = check_notice("ubsan", "overflow", "undefined behaviour: signed addition overflows at ../../kernel/startup.c:")
    assert "moskrnl!OverflowInteger" in report, report


@metal.limit(200)
def test_arguments():
    """Every pointer of every call: bad, or changing meanwhile; and every allocation of every call fails once."""
    check(metal.run("/tests/abuse.exe pointers races failures", kernel="ubsan", timeout=180))


@metal.limit(300)
def test_failing_programs():
    """Every allocation made for a program from its start fails once, and for some groups of apitest each with another
    call stack; tests/soak has all groups and all allocations."""
    result = metal.run('/tests/abuse.exe programs 0 "/tests/apitest.exe --child nothing" "/tests/apitest.exe --child threads"',
                       '/tests/abuse.exe programs 1 "/tests/apitest.exe pipes" "/tests/apitest.exe sections" "/tests/apitest.exe sharing"',
                       kernel="ubsan", timeout=280)
    check(result)
    assert result.output.count(", 0 times it waited for ever") == 5 and result.output.count(" 0 failed") == 2, result.output[-4000:]
