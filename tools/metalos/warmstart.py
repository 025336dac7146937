"""Machines behind their firmware: kept once, resumed by every run that need not see the firmware work.

Firmware takes several seconds under emulation to reach a loader, ours a fraction of one. So a machine of each kind is
started once on a disk whose loader only waits (tools/warmstart/wait.c) and saved, as QEMU saves a machine that moves to
another host. `machine.Machine(resume=...)` begins with it: with its own disk, which the waiting program has the
firmware find anew. From the loader's first instruction on, nothing differs from a start by power-on.

States lie in the cache, named after all they depend on: QEMU, the firmware, the waiting program, the machine's options.
"""
# SPDX-License-Identifier: MIT
import fcntl
import hashlib
import os
import tempfile
import time

from . import fat32, gpt, machine

CACHE = os.path.join(os.environ.get("METALOS_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "metalos"), "machines")
FORMAT = 2  # of what is kept; raised when the machine's arguments change in another way than by options
TIMEOUT = 120  # seconds that firmware may take, on a busy host
KEEP = 14 * 86400  # seconds that a state is kept which nobody resumes
AT_MOST = 60  # states that are kept, of 40 MB each; all of the tests together use fewer
SHAPES = ("memory", "cpus", "machine", "hyperv", "disk_on", "video", "extra")  # options that make another machine


def keep(program, image, **options):
    """The path of the state of a machine with these options of machine.Machine and a disk of the size of `image`; made
    now if there is none yet. program: the path of WAIT.EFI. Raises MachineError when it cannot be made."""
    size = os.path.getsize(image)
    # Of the Gen2 machine's devices only whether they are there: the firmware does not touch them.
    absent = tuple(sorted(option for option in options.get("hyperv", ()) if option.startswith("without=")))
    options = {name: value for name, value in options.items() if name in SHAPES} | {
        "com2": bool(options.get("com2")), "hyperv": absent}
    path = os.path.join(CACHE, _name(program, size, options) + ".state")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            make_room()
            _make(program, size, options, path)
        os.utime(path)
    return path


def _name(program, size, options):
    qemu = os.stat(machine.find_qemu(options.get("machine")))
    parts = [repr((FORMAT, qemu.st_size, qemu.st_mtime_ns, size, sorted(options.items()))).encode()]
    for file in (program, machine.FIRMWARE):
        with open(file, "rb") as source:
            parts.append(hashlib.sha256(source.read()).digest())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:24]


def make_room():
    """Forgets what nobody resumed in a while, and the least recently resumed where there would be more than AT_MOST with one more."""
    states = sorted((os.path.join(CACHE, name) for name in os.listdir(CACHE) if name.endswith(".state")),
                    key=os.path.getmtime, reverse=True)
    for place, path in enumerate(states):
        if place >= AT_MOST - 1 or time.time() - os.path.getmtime(path) > KEEP:
            os.unlink(path)


def _make(program, size, options, path):
    with tempfile.TemporaryDirectory(prefix="metalos-", dir=CACHE) as folder:
        image, state = os.path.join(folder, "wait.img"), os.path.join(folder, "state")
        _write_disk(image, size, program)
        with machine.Machine(image, snapshot=False, **options) as guest:
            guest.start()
            guest.wait_for_log("warm start: waiting", TIMEOUT)
            guest.save(state, TIMEOUT)
        os.replace(state, path)


def _write_disk(path, size, program):
    root = fat32.Directory()
    with open(program, "rb") as file:
        root.add("/EFI/BOOT/BOOTX64.EFI", file.read())
    with open(path, "wb") as out:
        out.truncate(size)
        gpt.write(out, size)
        fat32.write(out, gpt.FIRST_LBA * gpt.SECTOR, gpt.partition_sectors(size), root, timestamp=1704067200)
