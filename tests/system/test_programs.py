"""Damaged programs: an error or a report that names the file, never a machine that just hangs."""
# SPDX-License-Identifier: MIT
import os

import metal

INIT, RUNTIME = "/system/init.exe", "/system/mosrt.dll"


def report(path, data):
    """The kernel's report when the file at path is data (None: missing)."""
    machine = metal.TestMachine()
    try:
        machine.configure(options=[("bugcheck", "exit")])
        if data is None:
            machine.disk.delete(path)
        else:
            machine.disk.write(path, data, os.path.join(machine.folder, "damaged"))
        machine.start()
    except BaseException:
        machine.__exit__(None, None, None)
        raise
    with machine:
        machine.wait_for_end(60)
        assert machine.bugcheck, machine.log[-1000:]
        return machine.log


def test_missing_runtime():
    assert f"cannot open {RUNTIME}" in report(RUNTIME, None)


def test_foreign_runtime():
    assert f"cannot start {INIT}" in report(RUNTIME, b"MZ" + bytes(5000))


def test_missing_init():
    assert f"cannot start {INIT}" in report(INIT, None)


def test_truncated_init():
    with metal.TestMachine() as machine:
        whole = machine.disk.read(INIT)
    assert f"cannot start {INIT}" in report(INIT, whole[:len(whole) // 2])
