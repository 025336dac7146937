"""The synthetic devices of a Hyper-V Gen2 machine in use: nothing of what the other tests know may look different,
and no rule of the protocols may be broken. tools/hvhost makes the machine."""
# SPDX-License-Identifier: MIT
import os
import random
import re
import subprocess
import tempfile
import time
import zlib

import metal
import test_crash
import test_doom
import test_play
import test_storage

MARK_BEGIN, MARK_END, MARK_WAIT, MARK_KEY = 3, 4, 0x80, 0x81  # lib/rtl/mark.h; the last two, apps/wintest
GATEWAY = "10.0.2.2"  # QEMU's own network answers


def boot(**options):
    options.setdefault("options", [("log", "debug"), ("run", "fire.exe")])
    return metal.boot(machine="hyperv", **options)


def check_rules(machine):
    """Strict mode has nothing to say."""
    assert machine.host_property("violations") == 0, machine.host_messages()
    assert machine.host_property("legacy-accesses") == 0, machine.host_messages()


def power_off(machine):
    test_play.power_off(machine)
    assert not machine.bugcheck, machine.bugcheck
    machine.disk.check(os.path.join(machine.folder, "volume"))


def restless(machine, box):
    """Waits until the picture inside a box has changed: whoever paints there is alive, and seen."""
    before = machine.look().crop(*box)
    machine.wait_for_screen(lambda screen: screen.crop(*box) != before, 30, "burning fire")


@metal.limit(300)
def test_a_game_from_menu_to_saved_game():
    test_play.play_a_game(machine="hyperv", check=check_rules)


@metal.limit(600)
def test_doom_frames():
    test_doom.compare("freedoom1.wad", ["demo1", "demo2"], 400, machine="hyperv")


def test_screen_sizes_while_windows_are_open():
    with boot() as machine:
        fire = test_play.Window(machine, "Fire")
        machine.wait_for_log("the desktop is on the screen", 60)
        for width, height in ((1280, 720), (800, 600), (1600, 1200)):
            at = len(machine.log)
            machine.set_host_property("resolution", f"{width}x{height}", "video")
            machine.wait_for_log(f"win: display {width}x{height}", 30, at)
            machine.wait_for_screen(lambda screen: (screen.width, screen.height) == (width, height), 30, "new size")
            restless(machine, fire.box())
            machine.wait_for_log(f"win: wallpaper {width}x{height}", 30, at)  # a plain ground until it is computed
            machine.wait_for_screen(lambda screen: len(screen.colours(0, height - 200, width, height - 60)) > 1000, 30,
                                    "wallpaper")
        machine.shoot("large")
        machine.drag(fire.x + fire.width // 2, fire.y - 17, 1400, 1000)  # where no smaller screen reaches
        restless(machine, (1300, 1020, 1400, 1100))
        check_rules(machine)
        power_off(machine)


def pointers(feature):
    """Pictures around the pointer at some places of the empty desktop, and how many rectangles painting took."""
    with boot(options=[("run", "")], hyperv=[f"video.feature={feature}"]) as machine:
        machine.wait_for_log("the desktop is on the screen", 60)
        pictures, painted = [], 0
        for x, y in ((1023, 600), (40, 745)):
            empty = machine.wait_for_still_screen()
            painted -= machine.host_property("dirt-rectangles", "video")
            machine.point_at(x, y)
            box = max(x - 30, 0), y - 30, min(x + 30, 1024), min(y + 30, 768)
            machine.wait_for_screen(lambda screen: screen.crop(*box) != empty.crop(*box), 20, "pointer")
            pictures.append(machine.wait_for_still_screen().crop(*box))
            painted += machine.host_property("dirt-rectangles", "video")
        machine.shoot(feature)
        moves = machine.host_property("pointer-moves", "video")
        power_off(machine)
        return pictures, painted, moves


def test_the_host_shows_the_pointer():
    """A host that asks for it; it looks as it does when the desktop paints it, and costs no painting."""
    painted, cost, moves = pointers("never")
    assert moves == 1 and cost > 2, (moves, cost)  # hidden, once
    for feature in ("late", "early"):
        shown, cost, moves = pointers(feature)
        assert moves > 2 and cost <= 2, (moves, cost)  # the launcher's button lights up
        for ours, theirs in zip(painted, shown):  # which rounds in another way
            assert len(ours) == len(theirs) and max(abs(a - b) for a, b in zip(ours, theirs)) <= 3, feature


def come_and_go(machine):
    for device in ("keyboard", "mouse", "net", "video", "heartbeat", "kvp"):
        at = len(machine.log)
        machine.set_host_property("present", False, device)
        machine.wait_for_log("removed", 30, at)
        at = len(machine.log)
        machine.set_host_property("present", True, device)
        machine.wait_for_log(": hyperv ", 30, at)


def test_devices_that_go_and_come_while_in_use():
    devices_go_and_come()


def devices_go_and_come(**machine_options):
    with boot(options=[("log", "debug"), ("run", "fire.exe"), ("echo", GATEWAY)], copy=test_play.copy_sysinfo(),
              **machine_options) as machine:
        fire = test_play.Window(machine, "Fire")
        assert re.search(rf"{re.escape(GATEWAY)} at [0-9a-f:]+: echo in", machine.log)
        machine.wait_for_log("the desktop is on the screen", 60)
        machine.key("shift", True)  # held down on a keyboard that goes
        machine.mouse_button("left", True)
        machine.programs = metal.disk(metal.IMAGE).list("/apps")
        come_and_go(machine)
        before = test_play.system_information(machine)
        come_and_go(machine)
        come_and_go(machine)
        after = test_play.system_information(machine)
        assert abs(after[0] - before[0]) <= 64 and after[1:] == before[1:], (before, after)  # KiB
        restless(machine, fire.box())
        check_rules(machine)
        power_off(machine)


def test_disks_that_go_and_come():
    with boot() as machine:
        fire = test_play.Window(machine, "Fire")
        for node in ("first", "second", "third"):
            at = len(machine.log)
            machine.qmp.command("blockdev-add", **{"driver": "null-co", "node-name": node, "size": 64 << 20})
            machine.qmp.command("device_add", driver="scsi-hd", bus="scsi.0", lun=7, drive=node, id="stick")
            machine.wait_for_log("unit 7, ", 30, at)
            machine.qmp.command("device_del", id="stick")
            machine.wait_for_log("unit 7 is gone", 30, at)
        restless(machine, fire.box())
        check_rules(machine)
        power_off(machine)


def test_every_operation_of_disks_and_a_dvd_drive():
    """By the kernel itself, at start: a blank disk is written, flushed, read back and unmapped, a DVD read."""
    megabyte = 1 << 20
    with tempfile.NamedTemporaryFile() as blank, tempfile.NamedTemporaryFile() as dvd:
        blank.truncate(16 * megabyte)
        dvd.write(random.Random(1).randbytes(3 * megabyte))
        dvd.flush()
        extra = []
        for lun, (kind, name) in enumerate((("scsi-hd", blank.name), ("scsi-cd", dvd.name)), 1):
            extra += ["-blockdev", f"driver=raw,node-name=lun{lun},discard=unmap,file.driver=file,file.filename={name}",
                      "-device", f"{kind},bus=scsi.0,scsi-id=0,lun={lun},drive=lun{lun}"]
        result = metal.run("sysinfo.exe", machine="hyperv", cpus=2, extra=extra, options=[("try", "disk1"), ("try", "disk2")],
                           hyperv=["scsi.sub-channels=1", "scsi.refuse-6.2=on"])
        assert "disk1: written, read back and unmapped" in result.log, result.log
        with open(dvd.name, "rb") as file:
            checksum = zlib.crc32(file.read(megabyte))
        assert f"disk2: checksum {checksum:08x} of 512 sectors" in result.log, result.log
        with open(blank.name, "rb") as file:
            assert not any(file.read())
        assert os.stat(blank.name).st_blocks * 512 < megabyte, "the host still keeps what was written"


def test_sector_that_cannot_be_read():
    sector = test_storage.sector_of(test_storage.PROGRAM, metal.IMAGE)
    errors = f'[inject-error]\nevent = "read_aio"\nsector = "{sector}"\nonce = "off"\n'
    with boot(execute=["sysinfo.exe"], options=[], disk_errors=errors) as machine:
        machine.wait_for_end(60)
        machine.stop()
        assert machine.exit_code != 0 and not machine.bugcheck, machine.bugcheck
        assert b"StatusIoError" in machine.output, machine.output


def test_the_disk_in_the_format_of_hyper_v():
    """Boots from the .vhdx itself, which is in order afterwards, as is the volume in it."""
    with metal.boot(machine="hyperv", image=metal.IMAGE.replace(".img", ".vhdx"), cold=True) as machine:
        machine.wait_for_log("the desktop is on the screen", 120)
        machine.shoot("desktop")
        test_play.power_off(machine)
        assert machine.exit_code == 0, machine.bugcheck or machine.log[-1000:]
        subprocess.run(["qemu-img", "check", "-q", machine.image], check=True)
        raw = os.path.join(machine.folder, "raw")
        subprocess.run(["qemu-img", "convert", "-f", "vhdx", "-O", "raw", machine.image, raw], check=True)
        metal.disk(raw).check(os.path.join(machine.folder, "volume"))


def test_the_boot_disk_is_taken_away():
    """What needs the disk fails; the desktop lives on."""
    with boot() as machine:
        fire = test_play.Window(machine, "Fire")
        machine.wait_for_log("the desktop is on the screen", 60)
        machine.set_host_property("present", False, "scsi")
        machine.wait_for_log("removed", 60)
        restless(machine, fire.box())
        assert not machine.bugcheck, machine.bugcheck


def read_marks(path):
    """(number, instructions until then), as far as they are written."""
    with open(path, encoding="ascii") as file:
        return [tuple(map(int, line.split())) for line in file.read().splitlines(True) if line.endswith("\n")]


def press_keys(machine, counts):
    machine.wait_for_output(b"ready", 120)
    machine.wait_for_log("the desktop is on the screen", 60)
    for presses in range(1, 21):
        machine.keys("a", hold=0)
        ask_until(lambda: [number for number, _ in read_marks(counts)].count(MARK_KEY) == presses)
    machine.key("esc", True)  # the machine may be off before a release
    machine.wait_for_end(30)


def test_costs():
    """A read of a megabyte, eight under way: instructions, and hypercalls of a disk request, of which it takes four. A
    key press: from the host's interrupt to the return of GetMessage in the program that has waited, with falling asleep
    before it; nothing else happens on that machine, and who sleeps executes nothing."""
    megabytes = 1024
    with tempfile.NamedTemporaryFile() as counts:
        with boot(execute=["/tests/wintest.exe keys"], options=[("read", str(megabytes))],
                  extra=metal.count_instructions(counts.name)) as machine:
            machine.wait_for_log(f"{megabytes} MiB read", 120)
            signals = machine.host_property("signals")  # those of starting among them
            press_keys(machine, counts.name)
        marks = read_marks(counts.name)
    reading = [count for number, count in marks if number in (MARK_BEGIN, MARK_END)]
    instructions = (reading[1] - reading[0]) / megabytes
    print(f"# {instructions:.0f} instructions a megabyte, {signals} hypercalls for {megabytes} of them")
    assert instructions <= 25_000
    assert signals <= megabytes * 4 / 8
    keys = sorted(after[1] - before[1] for before, after in zip(marks, marks[1:])
                  if (before[0], after[0]) == (MARK_WAIT, MARK_KEY))
    print(f"# {keys[len(keys) // 2]} instructions a key press, {keys[0]} to {keys[-2]}; {keys[-1]} with what is left of the start")
    assert keys[len(keys) // 2] <= 20_000


def test_network_echo_on_two_processors():
    result = metal.run("sysinfo.exe", machine="hyperv", cpus=2, options=[("echo", GATEWAY)],
                       hyperv=["scsi.sub-channels=3"])
    assert result.code == 0, result.output
    assert re.search(rf"{re.escape(GATEWAY)} at [0-9a-f:]+: echo in", result.log), result.log


def test_crash_report_and_dump():
    """Painted on the synthetic display, written to the synthetic disk, of a machine that stands still."""
    test_crash.check("locked", machine="hyperv")
    test_crash.check("elsewhere", machine="hyperv", cpus=2)


def ask_until(condition, timeout=20):
    """The host's devices have no events, nor have files: asked several times a second."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "nothing has come of it"
        time.sleep(0.1)


def answers(machine, service):
    return machine.host_property("answers", service)


def test_integration_services():
    """The heart beats, the clock follows the host's, the host learns what runs, and its request to shut down ends in
    an orderly power off."""
    with boot() as machine:
        test_play.Window(machine, "Fire")
        before = answers(machine, "heartbeat")
        machine.set_host_property("request", "enumerate 0", "kvp")
        ask_until(lambda: machine.host_property("answer", "kvp") == "OSName=MetalOS")
        machine.set_host_property("offset", 3600, "timesync")
        machine.wait_for_log("the host sets the clock by 3", 10)
        ask_until(lambda: answers(machine, "heartbeat") > before)
        check_rules(machine)
        machine.set_host_property("request", "shutdown", "shutdown")
        machine.wait_for_end(60)
        machine.stop()  # and all of the log is read
        assert "the host asks for power off" in machine.log
        assert machine.exit_code == 0 and not machine.bugcheck, machine.log[-1000:]
        machine.disk.check(os.path.join(machine.folder, "volume"))


def test_power_button_before_there_are_programs():
    with boot() as machine:
        machine.wait_for_log("acpi: running", 60)
        machine.qmp.command("system_powerdown")
        machine.wait_for_end(60)
        machine.stop()
        assert machine.exit_code == 0 and not machine.bugcheck, machine.bugcheck or machine.log[-1000:]
