"""Hyper-V's devices lie at length: to the kernel that checks every access, and to the pure code."""
# SPDX-License-Identifier: MIT
import os
import subprocess
import sys

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "system"))
import test_hyperv  # noqa: E402

MINUTES = 30
DEVICES = ("mouse", "net", "video", "keyboard", "heartbeat", "timesync", "kvp", "scsi")


@metal.limit(7200)
def test_kernel_outlives_lies():
    for seed in range(1, 6):
        test_hyperv.outlive_lies("kasan", DEVICES, 20_000, seed, seconds=150)


@metal.limit(7200)
def test_ten_million_lies_to_each_device():
    result = subprocess.run([os.path.join(metal.BUILD, "tests", "unit", "test_synth")], check=False, capture_output=True,
                            text=True, env={**os.environ, "METALOS_LIES": "10000000"})
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
