"""Random system calls, and children killed in the middle of them."""
# SPDX-License-Identifier: MIT
import metal


def test_calls():
    result = metal.run("/tests/stress.exe -rounds 12 -calls 20000")
    assert result.code == 0, result.output[-2000:]
