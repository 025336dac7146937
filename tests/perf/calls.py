"""What system calls, switches, threads, processes and copies cost, in instructions."""
# SPDX-License-Identifier: MIT
from instructions import check_medians

# (what, first mark of apps/calltest, most instructions the median may take)
OPERATIONS = [
    ("system call that finds nothing to do", 0x80, 250),
    ("unknown system call", 0x82, 110),
    ("yield alone", 0x84, 300),
    ("two event switches between threads", 0x86, 2400),
    ("two pipe switches between processes", 0x88, 4400),
    ("thread created and joined", 0x8A, 16000),  # Debian's Linux takes 43,102; 12,000 is the aim
    ("program started and waited for", 0x8C, 150000),
    ("memcpy of 64 KiB without ERMS", 0x8E, 64 * 96),
    ("memset of 64 KiB without ERMS", 0x90, 64 * 56),
]


def test_call_costs():
    """The medians stay under their bars."""
    check_medians("/tests/calltest.exe", OPERATIONS, "calls")
