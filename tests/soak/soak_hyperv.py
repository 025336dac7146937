"""Hyper-V's devices and its bus lie at length, through the whole kernel: a million lies each to the one that checks every
access, ten million to the one that people run."""
# SPDX-License-Identifier: MIT
import os
import subprocess
import sys

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "system"))
import test_hyperv_lies  # noqa: E402

MINUTES = 75
KASAN, MANY = 1_000_000, 10_000_000
HOUR = 3600


@metal.limit(2 * HOUR)
def test_a_million_lies_of_each_device_to_the_checked_kernel():
    test_hyperv_lies.outlive(test_hyperv_lies.OTHERS, KASAN, 11, 2 * HOUR, each=True, kernel="kasan")


@metal.limit(HOUR)
def test_a_million_lies_of_keyboard_and_mouse_to_the_checked_kernel():
    test_hyperv_lies.outlive(test_hyperv_lies.INPUT, KASAN, 12, HOUR, each=True, kernel="kasan")


@metal.limit(HOUR)
def test_a_million_lies_of_the_bus_to_the_checked_kernel():
    test_hyperv_lies.outlive_bus(KASAN, 13, HOUR, kernel="kasan")


@metal.limit(4 * HOUR)
def test_ten_million_lies_of_each_device():
    test_hyperv_lies.outlive(test_hyperv_lies.OTHERS, MANY, 21, 4 * HOUR, each=True)


@metal.limit(2 * HOUR)
def test_ten_million_lies_of_keyboard_and_mouse():
    test_hyperv_lies.outlive(test_hyperv_lies.INPUT, MANY, 22, 2 * HOUR, each=True)


@metal.limit(2 * HOUR)
def test_ten_million_lies_of_the_bus():
    test_hyperv_lies.outlive_bus(MANY, 23, 2 * HOUR)


@metal.limit(HOUR)
def test_ten_million_lies_to_the_pure_code():
    result = subprocess.run([os.path.join(metal.BUILD, "tests", "unit", "test_liars")], check=False, capture_output=True,
                            text=True, env={**os.environ, "METALOS_LIES": str(MANY)})
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


@metal.limit(HOUR)
def test_the_boot_disk_lies():
    test_hyperv_lies.outlive_boot_disk(KASAN, 31, HOUR, kernel="kasan")
