"""Machines to boot on, and what is expected of each: the desktop, or a sentence that says what is missing."""
# SPDX-License-Identifier: MIT
import collections

import metal

DESKTOP = "win: the desktop is on the screen"
NO_DISPLAY = "win: no display"
NO_DISK = "MetalOS cannot start the boot volume"
NO_NX = "MetalOS cannot start: this processor has no no-execute pages"  # the loader says so
TIME = 60  # seconds until one of them must be there

Case = collections.namedtuple("Case", "name options expected", defaults=(DESKTOP,))


def case(name, expected=DESKTOP, **options):
    return Case(name, options, expected)


def check(chosen):
    """Boots a case; raises unless what is expected of it comes, on COM1 and on the screen."""
    with metal.boot(cold=True, **chosen.options) as machine:
        machine.wait_until(lambda: chosen.expected in machine.log or machine.bugcheck_complete, TIME,
                           f"'{chosen.expected}' ({chosen.name})")
        assert chosen.expected in machine.log, machine.bugcheck
        if chosen.expected == NO_DISPLAY:
            machine.wait_for_log("acpi: running", TIME)  # it goes on without
        elif chosen.expected == NO_NX:
            assert len(machine.look().colours(0, 0, 600, 200)) > 1
        elif chosen.expected == DESKTOP:
            assert machine.bugcheck is None
            assert len(machine.look().colours(0, 0, 200, 200)) > 2
        else:  # the stop is on the screen too: text on a dark ground
            machine.wait_until(lambda: machine.bugcheck_complete, TIME, "the report's end")
            picture = machine.look()
            assert picture.pixel(2, 300) == (0x10, 0x18, 0x28), picture.pixel(2, 300)
            assert len(picture.colours(0, 40, 600, 200)) > 2


def processor(model, **options):
    return {"extra": ["-cpu", model], **options}


# A few that differ most; each is quick.
SHORT = [
    case("pc, an AHCI controller added", machine="pc", disk_on="ahci"),
    case("pc, IDE", NO_DISK, machine="pc", disk_on="ide"),
    case("NVMe", NO_DISK, disk_on="nvme"),
    case("no PS/2", machine="q35,i8042=off"),
    case("no display", NO_DISPLAY, video="none"),
    case("8 processors", cpus=8),
]

LONG = SHORT + [
    *[case(f"{size} MB", memory=size) for size in (64, 96, 128, 256, 1024, 2048, 3072, 4096, 6144, 8192, 16384)],
    *[case(f"{size} MB, pc", memory=size, machine="pc") for size in (64, 3584, 4096, 8192)],
    *[case(f"{count} processors", cpus=count) for count in (2, 3, 4, 16)],
    case("16 processors, 4 threads a core", cpus="16,sockets=2,cores=2,threads=4"),
    case("pc, 3 processors, 6 GB", machine="pc", cpus=3, memory=6144),
    *[case(f"processor {model}", **processor(model, cpus=cpus)) for model in ("qemu64", "max", "Nehalem", "EPYC")
      for cpus in (1, 2)],
    case("qemu64, pc, 64 MB", **processor("qemu64", machine="pc", memory=64)),
    case("no 1 GiB pages", **processor("max,-pdpe1gb")),
    case("no NX", NO_NX, **processor("max,-nx")),
    case("no SMEP, SMAP, UMIP", **processor("max,-smep,-smap,-umip")),
    case("no XSAVE", **processor("max,-xsave")),
    case("no HPET", machine="q35,hpet=off"),
    case("virtio disk", NO_DISK, disk_on="virtio"),
    case("USB disk", NO_DISK, disk_on="usb"),
    *[case(f"adapter {name}", video=name) for name in ("cirrus", "qxl", "virtio")],
    *[case(f"firmware's {x}x{y}", video="none", extra=["-device", f"VGA,edid=on,xres={x},yres={y}"])
      for x, y in ((640, 480), (800, 600), (1024, 768), (1920, 1080), (2560, 1600))],
    *[case(f"resolution = {text}", options=[("resolution", text)])
      for text in ("640x480", "800x600", "1024x768", "1920x1200", "2560x1600", "99999x1", "nonsense")],
]
