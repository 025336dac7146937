"""The Gen2 machine of tools/hvhost: building it when needed, and the arguments that make one.

What is built depends on the pinned QEMU source, on tools/hvhost/machine and on this file, and is kept in the cache
folder under a hash of those, outside of every checkout. QEMU's own part is compiled once, in a tree in the cache
that all checkouts share; a change of our files costs seconds.
"""
# SPDX-License-Identifier: MIT
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

from . import gen2acpi

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FOLDER = os.path.join(ROOT, "tools", "hvhost")
CACHE = os.path.join(os.environ.get("METALOS_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "metalos"))
SOURCE = os.path.join(CACHE, "sources", "qemu-source-7.2")
KEPT = 6  # binaries that stay in the cache

# Functions of QEMU that machine/hypervisor.c and msr.c take the place of. One that is gone is an error of the linker.
WRAPPED = ("cpu_x86_cpuid", "helper_rdmsr", "helper_wrmsr", "cpu_get_tsc", "apic_get_interrupt")
CONFIGURE = [
    "--target-list=x86_64-softmmu", "--without-default-features", "--without-default-devices",
    "--with-devices-x86_64=hvhost", "--enable-tcg", "--disable-kvm", "--enable-slirp", "--enable-fdt=system",
    "--enable-coroutine-pool", "--enable-plugins", "--enable-png", "--enable-vnc", "--audio-drv-list=",
    "--disable-tools", "--disable-docs", "--disable-install-blobs", "--disable-user", "--disable-debug-info",
    "--with-git-submodules=ignore", "--extra-ldflags=" + ",".join(["-Wl"] + [f"--wrap={name}" for name in WRAPPED]),
]


class BuildError(Exception):
    """The machine cannot be built; the text says why."""


def _digest(*parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _own_files():
    """Our part of the machine: name in tools/hvhost -> path."""
    found = glob.glob(os.path.join(FOLDER, "machine", "*")) + glob.glob(os.path.join(FOLDER, "acpi", "*.asl"))
    return {os.path.relpath(path, FOLDER): path for path in sorted(found)}


def key():
    """A name for the machine that the present files make."""
    own = [part for name, path in _own_files().items() for part in (name.encode(), _read(path))]
    return _digest(_read(os.path.join(FOLDER, "source")), repr(CONFIGURE).encode(), *own)


def folder():
    """The folder in the cache with the machine: qemu-hvhost, dsdt.aml. Builds it when it is not there."""
    result = os.path.join(CACHE, "hvhost", key())
    if not os.path.exists(os.path.join(result, "complete")):
        os.makedirs(os.path.join(CACHE, "hvhost"), exist_ok=True)
        with open(os.path.join(CACHE, "hvhost", "lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(os.path.join(result, "complete")):
                _build(result)
    os.utime(result)
    return result


def _run(command, where, log, environment=None):
    with open(log, "ab") as out:
        return subprocess.run(command, cwd=where, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                              env=environment, check=False).returncode


def _say(text):
    print(f"hvhost: {text}", file=sys.stderr, flush=True)


def _fail(text, log):
    with open(log, encoding="utf-8", errors="replace") as file:
        tail = "".join(file.readlines()[-25:])
    raise BuildError(f"{tail}{text}; all of it is in {log}")


def _write_if_new(path, data):
    if not os.path.exists(path) or _read(path) != data:
        if os.path.lexists(path):
            os.unlink(path)  # it may be a link to the fetched source
        with open(path, "wb") as file:
            file.write(data)


def _prepare_tree(tree, log):
    """QEMU's source, as links to the fetched one, configured; done again when the pin or the options change."""
    stamp = os.path.join(tree, "stamp")
    wanted = _digest(_read(os.path.join(FOLDER, "source")), repr(CONFIGURE).encode(), b"1").encode()
    if os.path.exists(stamp) and _read(stamp) == wanted:
        return
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "build"))
    source = os.path.join(tree, "qemu")
    shutil.copytree(SOURCE, source, copy_function=os.link, symlinks=True)
    os.mkdir(os.path.join(source, "hw", "hvhost"))
    meson = os.path.join(source, "hw", "meson.build")
    _write_if_new(meson, _read(meson) + b"subdir('hvhost')\n")
    _copy_own_files(source)
    _say("configuring QEMU (once)")
    # Debian's Python, the one that has Debian's Meson.
    environment = dict(os.environ, PATH="/usr/bin:/bin:/usr/sbin:/sbin")
    for name in ("CC", "CFLAGS", "LDFLAGS", "CPPFLAGS"):
        environment.pop(name, None)
    if _run([os.path.join(source, "configure"), *CONFIGURE], os.path.join(tree, "build"), log, environment):
        _fail("configuring QEMU failed", log)
    _write_if_new(stamp, wanted)


def _copy_own_files(source):
    place = os.path.join(source, "hw", "hvhost")
    own = {os.path.basename(name): path for name, path in _own_files().items() if name.startswith("machine" + os.sep)}
    for name in set(os.listdir(place)) - set(own):
        os.unlink(os.path.join(place, name))
    for name, path in own.items():
        _write_if_new(os.path.join(place, name), _read(path))
    devices = os.path.join(source, "configs", "devices", "x86_64-softmmu", "hvhost.mak")
    _write_if_new(devices, _read(own["devices.mak"]))


def _compile(build, log):
    """Runs Ninja, with a line now and then of how far it is."""
    environment = dict(os.environ, PATH="/usr/bin:/bin:/usr/sbin:/sbin", NINJA_STATUS="[%f/%t] ")
    jobs = max(len(os.sched_getaffinity(0)), 1)
    shown = 0
    with open(log, "ab") as out, subprocess.Popen(
            ["ninja", f"-j{jobs}", "qemu-system-x86_64"], cwd=build, stdin=subprocess.DEVNULL, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            out.write(line)
            if b"hw/hvhost/" in line and b"warning:" in line:
                _say(line.decode(errors="replace").strip())
            step = re.match(rb"\[(\d+)/(\d+)\]", line)
            if step and int(step[2]) > 100 and int(step[1]) * 10 // int(step[2]) > shown:
                shown = int(step[1]) * 10 // int(step[2])
                _say(f"compiling QEMU for the Gen2 machine (once): {shown * 10} %")
    if process.returncode:
        _fail("compiling the Gen2 machine failed", log)


def _build(result):
    if not os.path.exists(os.path.join(SOURCE, ".metalos-source")):
        raise BuildError("the source of QEMU is not there; 'tools/setup hyperv' fetches it")
    base = os.path.join(CACHE, "hvhost")
    tree, log = os.path.join(base, "tree"), os.path.join(base, "build.log")
    with open(log, "wb"):
        pass
    _prepare_tree(tree, log)
    _copy_own_files(os.path.join(tree, "qemu"))
    _compile(os.path.join(tree, "build"), log)
    fresh = result + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    shutil.copy2(os.path.join(tree, "build", "qemu-system-x86_64"), os.path.join(fresh, "qemu-hvhost"))
    if _run(["strip", "-S", "qemu-hvhost"], fresh, log):
        _fail("strip failed", log)
    if _run(["iasl", "-p", os.path.join(fresh, "dsdt"), os.path.join(FOLDER, "acpi", "dsdt.asl")], fresh, log):
        _fail("compiling the ACPI tables failed", log)
    _write_if_new(os.path.join(fresh, "complete"), b"")
    shutil.rmtree(result, ignore_errors=True)
    os.rename(fresh, result)
    _prune(base)


def _prune(base):
    kept = [os.path.join(base, name) for name in os.listdir(base) if re.fullmatch("[0-9a-f]{16}", name)]
    for old in sorted(kept, key=os.path.getmtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


# ------------------------------------------------------------------------------------ command line

DEVICES = ("keyboard", "mouse", "video", "scsi", "net", "shutdown", "heartbeat", "timesync", "kvp")
PC = "q35,i8042=off,smbus=off,vmport=off"  # what the firmware sees
DISK = "vendor=Msft,product=Virtual Disk,ver=1.0"


def _sort_options(options):
    """("name=value" or "device.name=value" or "without=device", ...) -> device -> its options; "": the host's."""
    sorted_options = {device: [] for device in ("", *DEVICES)}
    for option in options:
        name, _, value = option.partition("=")
        if name == "without":
            if value not in DEVICES:
                raise BuildError(f"there is no device '{value}' to go without")
            sorted_options.pop(value, None)
            continue
        device, name = name.split(".", 1) if "." in name else ("", name)
        if name == "max-version" and not device and "." in value:  # of VMBus, such as 5.3
            major, minor = value.split(".")
            value = str(int(major) << 16 | int(minor))
        if device not in sorted_options:
            raise BuildError(f"there is no device '{device}' to set '{option}' for")
        sorted_options[device].append(f"{name}={value}")
    return sorted_options


def arguments(folder_of_run, processors, options, log):
    """QEMU's arguments for the machine without its disk: everything that is not the same on a PC.

    options: words as _sort_options has them; log: the path of the host's own log."""
    built = folder()
    chosen = _sort_options(options)
    with open(os.path.join(built, "dsdt.aml"), "rb") as file:
        result = gen2acpi.write(folder_of_run, processors, file.read())
    # The tables' place in memory is the firmware's doing; a resumed machine has them there (warmstart.py).
    result += ["-no-acpi", "-no-hpet", "-global", "fw_cfg.acpi-mr-restore=off", "-L", "/usr/share/qemu", "-smbios",
               "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,version=Hyper-V UEFI Release v4.1"]
    host = ["hvhost", "id=hvhost", f"log={log.replace(',', ',,')}", *chosen[""]]
    result += ["-device", ",".join(host)]
    if "net" in chosen and not any(option.startswith("netdev=") for option in chosen["net"]):
        result += ["-netdev", "user,id=net,restrict=off"]
        chosen["net"].append("netdev=net")
    if "video" in chosen:
        chosen["video"].append("firmware=firmware-video")
    for device in DEVICES:
        if device in chosen:
            result += ["-device", ",".join([f"hv-{device}", f"id={device}", *chosen[device]])]
    return result + ["-device", "VGA,id=firmware-video,romfile="]  # for the firmware to draw on


def disk_arguments(image, kind, options, error_rules=None):
    """The disk, twice: the firmware reads it on AHCI, which is gone for the kernel, which has it on VMBus.

    kind: "raw" or "vhdx"; error_rules: the path of rules of QEMU's blkdebug by which it fails."""
    path = image.replace(",", ",,")
    file = f"file.driver=file,file.filename={path}"
    if error_rules:
        rules = error_rules.replace(",", ",,")
        file = f"file.driver=blkdebug,file.config={rules},file.image.driver=file,file.image.filename={path}"
    result = ["-blockdev", f"driver={kind},node-name=disk,cache.no-flush=on,discard=unmap,{file}",
              "-device", "ide-hd,bus=ide.0,drive=disk,share-rw=on,bootindex=0"]
    if "without=scsi" not in options:
        result += ["-device", f"scsi-hd,id=disk0,bus=scsi.0,scsi-id=0,lun=0,drive=disk,share-rw=on,{DISK}"]
    return result
