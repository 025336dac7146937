"""Disks: a volume that fsck finds clean after every shutdown, and errors of the disk that surface as errors."""
# SPDX-License-Identifier: MIT
import os
import re
import subprocess

import metal

PARTITION = 1 << 20  # where the image's file system begins, bytes
SECTOR = 512
PROGRAM = "/apps/sysinfo.exe"
WRITER = "doom.exe -iwad freedoom1.wad -timedemo demo1 -nodraw"  # keeps its settings on the disk


def fsck(machine):
    """What fsck.fat says about the machine's volume; fails unless it is clean."""
    volume = os.path.join(machine.folder, "volume.img")
    subprocess.run(["dd", f"if={machine.image}", f"of={volume}", "bs=1M", "skip=1", "conv=sparse", "status=none"],
                   check=True)
    check = subprocess.run(["/sbin/fsck.fat", "-n", volume], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def sector_of(path, image):
    """A disk sector inside a file: its third."""
    with open(image, "rb") as file:
        file.seek(PARTITION)
        boot = file.read(SECTOR)
    reserved, fats, per_cluster = int.from_bytes(boot[14:16], "little"), boot[16], boot[13]
    data = reserved + fats * int.from_bytes(boot[36:40], "little")
    shown = subprocess.run(["mshowfat", "-i", f"{image}@@{PARTITION}", "::" + path], check=True, capture_output=True,
                           text=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout
    cluster = int(re.search(r"<(\d+)", shown).group(1))
    return PARTITION // SECTOR + data + (cluster - 2) * per_cluster + 2


def run(program, errors="", extra=(), timeout=120):
    """Runs a program on a machine whose disk fails as QEMU's blkdebug is told; {sector} is one of PROGRAM's."""
    errors = errors.format(sector=sector_of(PROGRAM, metal.IMAGE)) if errors else ""
    with metal.boot([program], disk_errors=errors, extra=extra) as machine:
        machine.wait_for_end(timeout)
        machine.stop()
        assert not machine.bugcheck, machine.bugcheck
        fsck(machine)
        return machine.exit_code, machine.output.decode(errors="replace"), machine.log


def test_volume_is_clean_after_writing():
    _, output, log = run(WRITER)
    assert "gametics" in output
    assert "not shut down cleanly" not in log


def test_sector_that_cannot_be_read():
    code, output, log = run("sysinfo.exe", '[inject-error]\nevent = "read_aio"\nsector = "{sector}"\nonce = "off"\n')
    assert code != 0 and "StatusIoError" in output, output
    assert "resetting the port" in log


def test_sector_that_is_read_at_the_second_try():
    code, output, log = run("sysinfo.exe", '[inject-error]\nevent = "read_aio"\nsector = "{sector}"\nonce = "on"\n')
    assert code == 0, output
    assert "resetting the port" in log


def test_disk_that_cannot_be_written():
    _, output, log = run(WRITER, '[inject-error]\nevent = "write_aio"\nonce = "off"\n')
    assert "gametics" in output
    assert "could not all be written" in log


def test_disk_that_cannot_be_flushed():
    _, output, log = run(WRITER, '[inject-error]\nevent = "flush_to_disk"\nonce = "off"\n')
    assert "gametics" in output


def test_machine_without_keyboard_controller():
    code, output, log = run("sysinfo.exe", extra=["-machine", "i8042=off"])
    assert code == 0, output
    assert "ps2:" not in log


def test_further_disks_and_a_cd_drive():
    extra = ["-drive", "if=none,id=cd,media=cdrom", "-device", "ide-cd,bus=ide.3,drive=cd",
             "-drive", "if=none,id=blank,driver=null-co,size=64M", "-device", "ide-hd,bus=ide.2,drive=blank"]
    code, output, log = run("sysinfo.exe", extra=extra)
    assert code == 0, output
    assert "disk1: port 2" in log
