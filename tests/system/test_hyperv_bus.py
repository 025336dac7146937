"""The Gen2 machine of Hyper-V: processors, versions and features of the host, the end."""
# SPDX-License-Identifier: MIT
import re
import time

import metal

# What a host need not have; without all of it there are only the APIC's timer, a counter to ask for the time, messages.
LEAST = ["max-version=3.0", "old-contact=on", "stimers=off", "reference-tsc=off", "frequencies=off", "apic-msrs=off",
         "ipi-hypercall=off", "crash-msrs=off", "reset-msr=off"]
# What is rarely seen, and a host that is busy and lists its devices in another order.
RARE = ["direct-stimers=off", "auto-eoi=on", "flush-hypercall=on", "message-id=9", "busy=2", "shuffle=7", "max-version=5.2"]
MATRIX = [[f"max-version={version}"] for version in ("5.2", "5.1", "5.0", "4.1", "4.0", "3.0")] + [
    [], ["old-contact=on"], ["auto-eoi=on"], ["stimers=off"], ["direct-stimers=off"], ["direct-stimers=off", "auto-eoi=on"],
    ["reference-tsc=off"], ["tsc-sequence=0"], ["tsc-invariant=on"], ["apic-msrs=off"], ["ipi-hypercall=off"],
    ["flush-hypercall=on"], ["crash-msrs=off", "reset-msr=off"], ["busy=2"], ["shuffle=3"], ["unknown=0"],
    *[[f"without={device}"] for device in ("keyboard", "mouse", "video", "net", "shutdown", "heartbeat",
                                            "timesync", "kvp")], LEAST, RARE]


def check_host(machine):
    """The guest has kept to the protocols and left hardware alone that is not there."""
    wrong = re.findall("^hvhost: (?:violation|legacy|#GP).*", machine.host_messages(), re.M)
    assert not wrong, "\n".join(wrong)


def wait_for_host(machine, pattern):
    """The machine's own words raise no event."""
    end = time.monotonic() + 30
    while not re.search(pattern, machine.host_messages()):
        assert time.monotonic() < end, machine.host_messages()
        time.sleep(0.05)


def run(program, hyperv=(), **options):
    with metal.boot(execute=[program], machine="hyperv", hyperv=list(hyperv), **options) as machine:
        machine.wait_for_end(120)
        machine.stop()
        assert machine.exit_code == 0, machine.bugcheck or machine.output.decode(errors="replace")[-2000:]
        check_host(machine)
        return machine.log


def test_processors():
    log = run("sysinfo.exe", cpus=8)
    assert "ke: 8 of 8 processors run" in log, log


def test_least_host():
    assert "vmbus: version 3.0" in run("/tests/apitest.exe threads", LEAST, cpus=2)


def test_rare_host():
    log = run("/tests/apitest.exe threads", RARE, cpus=4)
    assert "message-timers" in log and "auto-eoi" in log and "vmbus: version 5.2" in log, log


def test_crash():
    """The host is told, and left in order."""
    with metal.boot(machine="hyperv", hyperv=["trace=on"], options=[("crash", "assertion")]) as machine:
        machine.wait_until(lambda: machine.bugcheck_complete, 60, "the report")
        wait_for_host(machine, "hvhost: guest crash message:\nMetalOS: ASSERTION: ")
        wait_for_host(machine, r"hvhost: channel [0-9]+ closed")  # before the crash none is
        check_host(machine)
