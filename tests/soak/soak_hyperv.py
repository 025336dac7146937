"""The Gen2 machine with every version and feature of the host, and each number of processors."""
# SPDX-License-Identifier: MIT
import test_hyperv_bus


def _test(options, cpus):
    def test():
        test_hyperv_bus.run("/tests/apitest.exe threads files", options, cpus=cpus)
    return test


for _options in test_hyperv_bus.MATRIX:
    for _cpus in (1, 4):
        globals()[f"test_{' '.join(_options) or 'all'}, {_cpus} processors"] = _test(_options, _cpus)
for _cpus in (2, 8):
    globals()[f"test_all, {_cpus} processors"] = _test([], _cpus)
