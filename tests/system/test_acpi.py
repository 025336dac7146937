"""ACPI tables are the firmware's; whatever they hold, the system starts, runs and ends."""
# SPDX-License-Identifier: MIT
import os
import random

import metal


def run_with_table(seed):
    """Boots with an SSDT of random bytes beside the machine's own tables; returns the log."""
    path = os.path.join(metal.KEPT, f"ssdt-{seed}.bin")
    with open(path, "wb") as file:
        file.write(random.Random(seed).randbytes(400))
    result = metal.run("sysinfo.exe", extra=["-acpitable", f"sig=SSDT,data={path}"])
    assert result.code == 0, result.output
    return result.log


def test_broken_tables():
    for seed in (1, 2, 3):
        run_with_table(seed)
