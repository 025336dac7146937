"""What page faults and memory calls cost, in instructions."""
# SPDX-License-Identifier: MIT
from instructions import check_medians

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
    check_medians("/tests/memtest.exe costs", OPERATIONS, "memory")
