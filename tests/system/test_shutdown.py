"""The orderly end: the power button, and what programs and the volume look like after it."""
# SPDX-License-Identifier: MIT
import metal


def test_power_button():
    """Pressed while programs run: they end, the volume is written, the machine goes off."""
    with metal.boot(options=[("run", "fire.exe"), ("run", "/tests/stress.exe -rounds 1000")]) as machine:
        machine.wait_for_log("acpi: running", 60)
        machine.qmp.command("system_powerdown")
        machine.wait_for_end(60)
        assert "shutdown: exit code 0" in machine.log, machine.log[-2000:]
        assert "do not end" not in machine.log
        assert not machine.bugcheck
