"""The Gen2 machine with every version and feature of the host, and each number of processors; a bus that lies at length."""
# SPDX-License-Identifier: MIT
import os
import sys

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "system"))
import test_hyperv_bus  # noqa: E402

MINUTES = 25


def _test(options, cpus):
    def test():
        test_hyperv_bus.run("/tests/apitest.exe threads files", options, cpus=cpus)
    return test


for _options in test_hyperv_bus.MATRIX:
    for _cpus in (1, 4):
        globals()[f"test_{' '.join(_options) or 'everything'} on {_cpus}"] = _test(_options, _cpus)
for _cpus in (2, 8):
    globals()[f"test_everything on {_cpus}"] = _test([], _cpus)


@metal.limit(3600)
def test_a_bus_that_lies():
    for seed in range(1, 6):
        test_hyperv_bus.test_host_that_lies(20000, seed, kernel="kasan")
