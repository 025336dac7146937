"""Running out of memory, and of stack, is a program's problem and not the machine's."""
# SPDX-License-Identifier: MIT
import metal


def test_exhausting_memory():
    """A program takes all memory, uses it and gives it back; the next one runs as before."""
    result = metal.run("/tests/memtest.exe exhaust", "sysinfo.exe", memory=128)
    assert result.code == 0, result.output
    assert "afterwards" in result.output, result.output


def test_stack_overrun_ends_the_program():
    result = metal.run("/tests/memtest.exe overrun", "sysinfo.exe")
    assert result.code == 0, result.output
    assert "sysinfo: memory" in result.output, result.output
