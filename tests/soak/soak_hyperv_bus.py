"""The Gen2 machine with every version and feature of the host, and each number of processors."""
# SPDX-License-Identifier: MIT
import os
import sys

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "system"))
import matrix  # noqa: E402
import test_hyperv  # noqa: E402
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
    for _options in ([], test_hyperv_bus.LEAST, test_hyperv_bus.RARE):
        globals()[f"test_{' '.join(_options) or 'everything'} on {_cpus}"] = _test(_options, _cpus)


def test_without_a_disk():
    """The firmware's is gone when the kernel runs: it says what is missing."""
    matrix.check(matrix.case("no SCSI controller", matrix.NO_DISK, machine="hyperv", hyperv=["without=scsi"]))


def test_devices_that_go_and_come_on_four_processors():
    test_hyperv.devices_go_and_come(cpus=4)
