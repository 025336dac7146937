"""Random system calls from four threads on four processors, some killed in the middle of them."""
# SPDX-License-Identifier: MIT
import metal


def test_calls():
    result = metal.run("/tests/stress.exe -rounds 8 -calls 2500 -time 20000", cpus=4, timeout=200)
    assert result.code == 0, result.output[-2000:]
