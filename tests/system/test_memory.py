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


def test_mapped_file_in_little_memory():
    """A file larger than the memory that is left is written through a view, and is on the disk afterwards."""
    megabytes, page = 48, 4096
    result = metal.run(f"/tests/memtest.exe map {megabytes}", memory=96, fetch=["/tests/mapped.bin"])
    assert result.code == 0, result.output
    content = result.fetched[0]
    assert len(content) == megabytes << 20
    for offset in range(0, len(content), page):
        value = int.from_bytes(content[offset:offset + 4], "little")
        assert value == (offset // page * 2654435761 + 1) % 2**32, hex(offset)
