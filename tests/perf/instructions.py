"""Promises about speed, kept by counting instructions: the same on every machine."""
# SPDX-License-Identifier: MIT
import os

import metal
from metalos import machine

PLUGIN = os.path.join(metal.BUILD, "tools", "libicount.so")
# Numbers of lib/rtl/mark.h.
LOADER_ENTRY, ENTER_USER_MODE, PRESENT_BEGIN, PRESENT_END = 1, 2, 3, 4


def count(path, **options):
    """The arguments for a machine that writes its marks to the file at path."""
    return dict(options, extra=machine.count_instructions(PLUGIN, path))


def marks(path):
    """(number, instructions since power-on) of every mark the machine executed."""
    with open(path, encoding="ascii") as file:
        return [tuple(map(int, line.split())) for line in file]


def test_boot_to_first_user_instruction():
    """At most 100 million from the loader's entry."""
    path = os.path.join(metal.KEPT, "boot.marks")
    result = metal.run("sysinfo.exe", **count(path))
    assert result.code == 0, result.output
    seen = marks(path)
    begin = next(at for number, at in seen if number == LOADER_ENTRY)
    user = next(at for number, at in seen if number == ENTER_USER_MODE)
    print(f"# loader entry to first user instruction: {(user - begin) / 1e6:.1f} million instructions")
    assert user - begin <= 100_000_000, f"{user - begin:,} instructions"


def test_presenting_a_full_screen():
    """At most 1.2 million for 1280 x 800 pixels: the least of several, as other threads may come between."""
    path = os.path.join(metal.KEPT, "present.marks")
    metal.run("/tests/wintest.exe present", **count(path))
    costs, begin = [], None
    for number, at in marks(path):
        if number == PRESENT_BEGIN:
            begin = at
        elif number == PRESENT_END and begin is not None:
            costs.append(at - begin)
            begin = None
    assert costs, "the whole screen was never presented"
    print(f"# presenting the whole screen: {min(costs) / 1e6:.2f} million instructions")
    assert min(costs) <= 1_200_000, f"{min(costs):,} instructions"
