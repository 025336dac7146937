"""What page faults and memory calls cost, in instructions."""
# SPDX-License-Identifier: MIT
import os
import statistics

import metal
from instructions import count, marks

# (what, first mark of apps/memtest, most instructions the median may take)
OPERATIONS = [
    ("demand-zero page fault", 0x80, 1200),
    ("copy-on-write fault", 0x82, 1500),
    ("allocate and free a page", 0x84, 3000),
    ("allocate, touch and free a page", 0x86, 5000),
    ("protect a page and back", 0x88, 3400),  # Debian's Linux takes 3,041; 1,500 is the aim
]


def test_memory_costs():
    """The medians stay under their bars."""
    path = os.path.join(metal.KEPT, "memory.marks")
    result = metal.run("/tests/memtest.exe costs", **count(path))
    assert result.code == 0, result.output
    seen = marks(path)
    missed = []
    for what, mark, bar in OPERATIONS:
        costs, begin = [], None
        for number, at in seen:
            if number == mark:
                begin = at
            elif number == mark + 1 and begin is not None:
                costs.append(at - begin)
        assert costs, what + " was never measured"
        median = statistics.median(costs)
        print(f"# {what}: median {median:.0f}, most {max(costs)} instructions (bar {bar})")
        if median > bar:
            missed.append(what)
    assert not missed, missed
