"""What the kernel's operations cost, against the table of docs/performance.md: a regression is a failure."""
# SPDX-License-Identifier: MIT
import metal
from metalos import bench


@metal.limit(300)
def test_no_operation_has_become_dearer():
    """The benchmark on MetalOS. `tools/bench --metalos --record` records what a change has moved."""
    recorded = bench.read_table()[1]
    measured = bench.run_metalos()
    dearer = []
    for row in bench.ROWS:
        now, then = measured.get(row.name), recorded.get(row.name)
        print(f"# {row.text}: {now} instructions, recorded {then}, bar {row.bar}")
        if now is None or then is None or now > then * (1 + row.slack):
            dearer.append(f"{row.text}: {now} instructions, recorded {then}")
    assert not dearer, "\n".join(dearer)
