"""Promises about speed, kept by counting instructions: the same on every machine."""
# SPDX-License-Identifier: MIT
import os
import statistics

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


def spans(seen, first, last):
    """The instructions from each mark `first` to the next mark `last`."""
    costs, begin = [], None
    for number, at in seen:
        if number == first:
            begin = at
        elif number == last and begin is not None:
            costs.append(at - begin)
            begin = None
    return costs


def check_medians(program, operations, name):
    """Runs a program that marks the begin of operation i's every turn and, one number up, its end. Each
    (what, first mark, most instructions): the median may not take more."""
    path = os.path.join(metal.KEPT, name + ".marks")
    result = metal.run(program, **count(path))
    assert result.code == 0, result.output
    seen = marks(path)
    missed = []
    for what, mark, bar in operations:
        costs = spans(seen, mark, mark + 1)
        assert costs, what + " was never measured"
        median = statistics.median(costs)
        print(f"# {what}: median {median:.0f}, least {min(costs)}, most {max(costs)} instructions (bar {bar})")
        if median > bar:
            missed.append(what)
    assert not missed, missed


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
    costs = spans(marks(path), PRESENT_BEGIN, PRESENT_END)
    assert costs, "the whole screen was never presented"
    print(f"# presenting the whole screen: {min(costs) / 1e6:.2f} million instructions")
    assert min(costs) <= 1_200_000, f"{min(costs):,} instructions"
