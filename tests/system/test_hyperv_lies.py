"""A Hyper-V host that lies (tools/hvhost/README.md, "Hostile mode"): devices may fail; the kernel stays up, works with all
of them once they are honest again, and has lost no memory."""
# SPDX-License-Identifier: MIT
import re
import time

import metal
import test_hyperv
import test_play

# The second controller lies, not the one that the programs are on. In the log, devices have other names.
DISKS = "scsi2"
INPUT = ("keyboard", "mouse")
OTHERS = ("video", "net", DISKS, "heartbeat", "timesync", "kvp", "shutdown")
NAMES = {"net": "network", "timesync": "time", "kvp": "keyvalue", DISKS: "scsi"}
KINDS = ("lengths", "offsets", "ids", "contents", "indices", "lost", "twice", "delayed", "changed", "answers", "noise",
         "rescinds")
BUS_KINDS = ("lengths", "ids", "contents", "lost", "twice", "delayed", "answers", "noise", "rescinds")
MEMORY = 64  # KiB that may be more or less in use: logs, caches
DESKTOP = 2048  # the same, with windows opened and closed by clicks and keys by chance
CHANNELS = 4096  # the kernel remembers every channel that was ever offered, of at most 2047


def boot(**options):
    """A machine whose desktop can be clicked at by chance, but not switched off by it."""
    return test_hyperv.boot(options=[("log", options.pop("log", "info")), ("stay", "on"), *options.pop("more", ())],
                            copy=test_play.copy_sysinfo(), **options)


def add_disks(machine):
    """A second controller with a disk."""
    at = len(machine.log)
    machine.qmp.command("device_add", driver="hv-scsi", id=DISKS, instance="6a8b2f01-0000-4000-8000-00000000d15c")
    machine.qmp.command("blockdev-add", **{"driver": "null-co", "node-name": "empty", "size": 64 << 20, "read-zeroes": True})
    machine.qmp.command("device_add", driver="scsi-hd", bus=f"{DISKS}.0", lun=3, drive="empty", id="empty-disk")
    machine.wait_for_log("unit 3, ", 60, at)


def told(machine, *device):
    return machine.host_property("hostile-messages", *device)


def kinds(machine, *device):
    return {name: int(count) for name, count in
            (word.split("=") for word in machine.host_property("hostile-kinds", *device).split())}


def lie(machine, devices, count, seed, seconds):
    """All of them lie at once, each until it has told so many lies (the host has no events: asked now and then)."""
    wanted = {device: told(machine, device) + count for device in devices}
    start = time.monotonic()
    for number, device in enumerate(devices):
        machine.set_host_property("hostile", seed + number, device)
    while wanted:
        time.sleep(0.2)
        for device in [device for device in wanted if told(machine, device) >= wanted[device]]:
            machine.set_host_property("hostile", 0, device)
            print(f"# {device}, {time.monotonic() - start:.0f} s: {machine.host_property('hostile-kinds', device)}")
            del wanted[device]
        assert not machine.bugcheck and not machine.stopped, machine.bugcheck
        assert time.monotonic() - start < seconds, {device: told(machine, device) for device in wanted}


def check_kinds(machine, devices, each):
    """Every kind of lie has been told: by each device, or by one of them."""
    counts = {device: kinds(machine, device) for device in devices}
    for kind in KINDS:
        silent = [device for device in devices if counts[device][kind] == 0]
        assert not silent if each else len(silent) < len(devices), f"no {kind}: {silent}"
    for device in set(devices) & {"net", DISKS}:
        assert counts[device]["data"] > 0


def reoffer(machine, devices):
    """The host, honest now, takes each away and brings it back; its driver takes it."""
    for device in devices:
        at = len(machine.log)
        machine.set_host_property("present", False, device)
        machine.set_host_property("present", True, device)
        taken = re.compile(rf"io: vmbus {NAMES.get(device, device)} \d+: hyperv")
        machine.wait_until(lambda: taken.search(machine.log, at), 60, f"driver of {device}")


def outlive(devices, count, seed=7, seconds=200, each=False, **options):
    """Devices lie; what they cost is given back, and all work again."""
    with boot(**options) as machine:
        machine.wait_for_log("the desktop is on the screen", 120)
        machine.programs = metal.disk(metal.IMAGE).list("/apps")
        add_disks(machine)
        reoffer(machine, devices)
        test_play.kernel_information(machine)  # what caches and the heap keep is kept from here on
        before, lists = test_play.kernel_information(machine), machine.host_property("lists")
        lie(machine, devices, count, seed, seconds)
        check_kinds(machine, devices, each)
        reoffer(machine, devices)
        after = test_play.kernel_information(machine)  # keys, the screen, programs: all of them work
        assert not machine.bugcheck, machine.bugcheck
        assert machine.host_property("lists") == lists
        print(f"# KiB free, processes, handles, windows: before {before}, after {after}")
        by_chance = set(devices) & set(INPUT)
        assert after[1:] == before[1:] or by_chance, (before, after)
        assert after[0] >= before[0] - (MEMORY if after[1:] == before[1:] else DESKTOP), (before, after)


def outlive_bus(count, seed=7, seconds=200, **options):
    """The bus lies: devices come and go by mistake, the boot disk among them, and others that are none come. A program
    that was there before runs on and sees what it costs."""
    with boot(more=[("run", "sysinfo.exe --every 2")], cpus=2, **options) as machine:
        def memory():
            """KiB that are free or programs', once the machine has come to rest."""
            seen = []
            while len(seen) < 3 or max(seen[-3:]) - min(seen[-3:]) > 8:
                assert len(seen) < 40, seen
                at = len(machine.output)
                machine.wait_until(lambda at=at: b"sysinfo: screen" in machine.output[at:], 60, "sysinfo.exe's next words")
                found = re.search(rb"free (\d+) KiB, cache (\d+) KiB, this program \d+ KiB, programs (\d+) KiB",
                                  machine.output[at:])
                seen.append(sum(map(int, found.groups())) if found else 0)
            return seen[-1]

        machine.wait_for_log("the desktop is on the screen", 120)
        before, lists = memory(), machine.host_property("lists")
        lie(machine, ["hvhost"], count, seed, seconds)
        told_kinds = kinds(machine, "hvhost")
        assert all(told_kinds[kind] > 0 for kind in BUS_KINDS), told_kinds
        reoffer(machine, (*INPUT, *(device for device in OTHERS if device != DISKS)))
        after = memory()
        assert not machine.bugcheck, machine.bugcheck
        # More lists at the host: memory that the guest was told it refuses.
        print(f"# KiB: before {before}, after {after}; lists {lists}, {machine.host_property('lists')}")
        assert after >= before - CHANNELS, (before, after)


def outlive_boot_disk(count, seed=7, seconds=200, **options):
    """The controller that everything came from lies: what needs the disk fails, what is in memory runs on."""
    with boot(more=[("run", "fire.exe")], log="debug", **options) as machine:
        fire = test_play.Window(machine, "Fire")
        machine.wait_for_log("the desktop is on the screen", 120)
        lie(machine, ["scsi"], count, seed, seconds)
        reoffer(machine, ["scsi"])
        test_hyperv.restless(machine, fire.box())
        assert not machine.bugcheck, machine.bugcheck


@metal.limit(300)
def test_devices_that_lie():
    outlive(OTHERS, 100_000, kernel="ubsan")


@metal.limit(300)
def test_keyboard_and_mouse_that_lie():
    outlive(INPUT, 100_000, kernel="ubsan")


@metal.limit(300)
def test_a_bus_that_lies():
    outlive_bus(100_000, kernel="ubsan")


def test_a_boot_disk_that_lies():
    outlive_boot_disk(100_000, kernel="ubsan")
