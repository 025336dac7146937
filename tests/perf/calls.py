"""What system calls, switches, threads, processes and copies cost, in instructions."""
# SPDX-License-Identifier: MIT
import os
import statistics

import metal
from instructions import count, marks

# (what, first mark of apps/calltest, most instructions the median may take)
OPERATIONS = [
    ("system call that finds nothing to do", 0x80, 250),
    ("unknown system call", 0x82, 110),
    ("yield alone", 0x84, 300),
    ("two event switches between threads", 0x86, 2400),
    ("two pipe switches between processes", 0x88, 4400),
    ("thread created and joined", 0x8A, 12000),
    ("program started and waited for", 0x8C, 150000),
    ("memcpy of 64 KiB without ERMS", 0x8E, 64 * 96),
    ("memset of 64 KiB without ERMS", 0x90, 64 * 56),
]


def test_call_costs():
    """The medians stay under their bars."""
    path = os.path.join(metal.KEPT, "calls.marks")
    result = metal.run("/tests/calltest.exe", **count(path))
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
        print(f"# {what}: median {median:.0f}, least {min(costs)}, most {max(costs)} instructions (bar {bar})")
        if median > bar:
            missed.append(what)
    assert not missed, missed
