"""The loader: what it does with missing and damaged files, little and much memory, other processors and modes."""
# SPDX-License-Identifier: MIT
import os
import re

import matrix
import metal

KERNEL, PDB, CONFIGURATION = "/system/moskrnl.exe", "/system/moskrnl.pdb", "/metalos.cfg"
STARTED = "MetalOS on "  # the kernel's first line


def write(machine, path, data):
    machine.disk.write(path, data, os.path.join(machine.folder, "damaged"))


def start(damage=lambda machine: None, **options):
    """A started machine after damage(machine) has been at its disk."""
    machine = metal.TestMachine(**options)
    try:
        damage(machine)
        machine.start()
    except BaseException:
        machine.__exit__(None, None, None)
        raise
    return machine


def refusal(damage, then=None):
    """The sentence with which the loader goes back to the firmware; then: a log line of the firmware to await after it."""
    with start(damage, cold=then is not None) as machine:
        line = re.compile("MetalOS cannot start: ([^\r\n]*)[\r\n]")  # all of it: COM1 comes in pieces
        machine.wait_until(lambda: line.search(machine.log), 60, "the loader's refusal")
        if then:
            machine.wait_for_log(then, 60, line.search(machine.log).end())
        assert STARTED not in machine.log
        return line.search(machine.log).group(1)


def kernel_bytes(machine):
    return bytearray(machine.disk.read(KERNEL))


def test_missing_kernel():
    sentence = refusal(lambda machine: machine.disk.delete(KERNEL), "BdsDxe: failed to start")  # it has it back
    assert sentence == f"{KERNEL} does not exist on the boot volume."


def test_truncated_kernel():
    sentence = refusal(lambda machine: write(machine, KERNEL, kernel_bytes(machine)[:100000]))
    assert sentence == f"{KERNEL} is truncated (100000 bytes)."


def test_foreign_kernel():
    sentence = refusal(lambda machine: write(machine, KERNEL, machine.disk.read("/EFI/BOOT/BOOTX64.EFI")))
    assert sentence == f"{KERNEL} is a program, but not a MetalOS kernel."


def test_text_kernel():
    sentence = refusal(lambda machine: write(machine, KERNEL, b"#!/bin/sh\n"))
    assert sentence == f"{KERNEL} is not a program image (10 bytes)."


def test_damaged_kernel():
    """A section header that says writable and executable."""
    def damage(machine):
        data = kernel_bytes(machine)
        section = data.index(b".text\0\0\0")
        data[section + 39] |= 0x80
        write(machine, KERNEL, data)
    assert refusal(damage).startswith(f"{KERNEL} is damaged")


def test_foreign_configuration():
    sentence = refusal(lambda machine: write(machine, CONFIGURATION, b"log = debug\n\0\1\2"))
    assert sentence == f"{CONFIGURATION} is not a text file (byte 12 is 00h)."


def test_long_configuration():
    assert refusal(lambda machine: write(machine, CONFIGURATION, b"#" * 5000)).startswith(f"{CONFIGURATION} is too large")


def test_missing_symbols_and_configuration():
    """A note each, and the kernel starts."""
    def damage(machine):
        machine.disk.delete(PDB)
        machine.disk.delete(CONFIGURATION)
    with start(damage) as machine:
        machine.wait_for_log(STARTED, 60)
        assert f"MetalOS loader: {PDB} does not exist" in machine.log
        assert f"MetalOS loader: there is no {CONFIGURATION}" in machine.log


def test_foreign_symbols():
    """A PDB that is none, and one of another program, leave a report without names."""
    def damage(machine):
        write(machine, PDB, b"hello" * 1000)
        machine.configure(options=[("crash", "divide")])
    with start(damage) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete, 60, "report")
        assert f"MetalOS loader: {PDB} is not a PDB" in machine.log
        assert re.search(r"^  moskrnl\+0x[0-9a-f]+$", machine.bugcheck, re.M), machine.bugcheck


def test_slide():
    """slide = off: the kernel runs where it was linked. Otherwise it is somewhere else nearly always."""
    with metal.boot(options=[("slide", "off"), ("resolution", "1024x768")]) as machine:
        machine.wait_for_log(STARTED, 60)
        assert "kernel at fffff80000000000" in machine.log
        assert "display 1024x768" in machine.log


def boots(**options):
    with start(cold=True, **options) as machine:
        machine.wait_for_log("win: display", 60)


def test_little_memory():
    boots(memory=64)


def test_much_memory():
    """Above 4 GiB too."""
    boots(memory=5120)


def test_plain_processor():
    """No 1 GiB pages, SMEP, SMAP, RDRAND or XSAVE."""
    boots(extra=["-cpu", "qemu64"])


@metal.limit(400)
def test_other_machines():
    for case in matrix.SHORT:
        matrix.check(case)


def test_random_bases():
    """Of 512 places, three boots do not all take the same."""
    bases = set()
    for _ in range(3):
        with start() as machine:
            machine.wait_for_log(STARTED, 60)
            bases.add(re.search("kernel at ([0-9a-f]+)", machine.log).group(1))
    assert len(bases) > 1, bases
