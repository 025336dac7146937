"""The tests of tests/system that ask for no machine of their own, on the Gen2 machine, in strict mode."""
# SPDX-License-Identifier: MIT
import glob
import importlib
import os
import sys

import metal

SYSTEM = os.path.join(metal.ROOT, "tests", "system")
sys.path.insert(0, SYSTEM)

MINUTES = 15
# What is about hardware that a Generation 2 machine does not have, or about no machine at all.
OTHER = ("test_hyperv", "test_storage.sector", "test_storage.machine_without_keyboard",
         "test_storage.further_disks", "test_acpi")


def _on_the_gen2_machine(function):
    def test():
        usual, metal.usual_machine = metal.usual_machine, "hyperv"
        try:
            function()
        finally:
            metal.usual_machine = usual
    test.limit = 3 * getattr(function, "limit", 300)
    return test


for _path in sorted(glob.glob(os.path.join(SYSTEM, "test_*.py"))):
    _module = os.path.splitext(os.path.basename(_path))[0]
    for _name, _function in vars(importlib.import_module(_module)).items():
        _test = f"{_module}.{_name.removeprefix('test_')}"
        if _name.startswith("test_") and callable(_function) and not _test.startswith(OTHER):
            globals()[f"test_{_test}"] = _on_the_gen2_machine(_function)
