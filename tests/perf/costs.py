"""What the kernel's operations cost, against the table of docs/performance.md: a regression is a failure."""
# SPDX-License-Identifier: MIT
import metal
from metalos import bench
from metalos.machine import MachineError

RUNS = 3  # the kernel's addresses are random, and what they cost is not the same in every one of them


def measure():
    """A run of the benchmark; another when one was not finished: what QEMU is told to do with the mouse may come too early."""
    for _ in range(2):
        try:
            return bench.run_metalos()
        except MachineError:
            pass
    return bench.run_metalos()


@metal.limit(300)
def test_no_operation_has_become_dearer():
    """The benchmark on MetalOS. `tools/bench --metalos --record` records what a change has moved."""
    recorded = bench.read_table()[1]
    for _ in range(RUNS):
        measured = measure()
        moved = []
        for row in bench.ROWS:
            now, then = measured.get(row.name), recorded.get(row.name)
            print(f"# {row.text}: {now} instructions, recorded {then}, bar {row.bar}")
            exact = row.slack == bench.EXACT
            if now is None or then is None or now > then * (1 + row.slack) or (exact and now != then):
                moved.append(f"{row.text}: {now} instructions, recorded {then}")
        if not moved:
            return
    raise AssertionError("tools/bench --metalos --record writes down what a change means to move\n" + "\n".join(moved))
