"""A virtual machine that runs MetalOS: QEMU with a copy of the disk image, its COM1 and its controls.

The machine is a q35 with OVMF, a disk on the AHCI controller, PS/2 keyboard and mouse, a VGA adapter and
one serial port. COM1 and QMP are socket pairs, read by one thread each; everything that happens is
noted under one condition variable, so whoever waits wakes at the event and never polls.
"""
# SPDX-License-Identifier: MIT
import ctypes
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from . import console, disk, hvhost, qmp

FIRMWARE = "/usr/share/ovmf/OVMF.fd"
CONFIGURATION = "/metalos.cfg"
REPORT_BEGIN, REPORT_END = "*** BUGCHECK", "*** END OF REPORT"
SHUTDOWN_LINE = "shutdown: exit code "
PR_SET_PDEATHSIG = 1

# QEMU arguments that attach the drive `disk`, by machine and by what it is attached to.
DISKS = {
    ("q35", "ahci"): ["-device", "ide-hd,drive=disk,bus=ide.0"],
    ("pc", "ahci"): ["-device", "ahci,id=ahci", "-device", "ide-hd,drive=disk,bus=ahci.0"],
    ("pc", "ide"): ["-device", "ide-hd,drive=disk,bus=ide.0"],
    ("q35", "nvme"): ["-device", "nvme,drive=disk,serial=1"],
    ("q35", "virtio"): ["-device", "virtio-blk-pci,drive=disk"],
    ("q35", "usb"): ["-device", "qemu-xhci", "-device", "usb-storage,drive=disk"],
    ("q35", "none"): [],
}


class MachineError(Exception):
    """The machine cannot be made or used; the text says why."""


class StartError(MachineError):
    """QEMU has ended before the machine could start; the text is what it said."""


class TimeOut(MachineError):
    """What was waited for did not happen in time."""


def find_qemu(machine=None):
    """The emulator's path. Raises MachineError with a sentence when something is missing."""
    if machine == "hyperv":
        try:
            return os.path.join(hvhost.folder(), "qemu-hvhost")
        except hvhost.BuildError as error:
            raise MachineError(str(error)) from error
    path = shutil.which("qemu-system-x86_64")
    if not path:
        raise MachineError("qemu-system-x86_64 is not installed (tools/setup installs it)")
    if not os.path.exists(FIRMWARE):
        raise MachineError(f"{FIRMWARE} is missing; it comes with the Debian package ovmf")
    return path


def configure(text, execute=(), options=()):
    """The text of metalos.cfg with programs to execute and (name, value) options put in.

    Programs to execute replace those that would be started on the desktop.
    """
    replaced = {name for name, _ in options}
    if execute:
        replaced |= {"run", "exec", "bugcheck"}
    lines = [line for line in text.splitlines() if line.partition("=")[0].strip() not in replaced]
    lines += [f"{name} = {value}" for name, value in options]
    if execute:
        lines += [f"exec = {program}" for program in execute]
        if "bugcheck" not in {name for name, _ in options}:
            lines.append("bugcheck = exit")
    return "\n".join(lines) + "\n"


def count_instructions(plugin, path, profile=None):
    """QEMU arguments that have the plugin of tools/icount write its marks to the file at path, and what was executed
    during a trace to the one at profile.

    The processor is one without fast string instructions, which would make copying look slow: each of their
    iterations, a byte, counts as one.
    """
    options = "".join(f",{name}={value.replace(',', ',,')}" for name, value in (("output", path), ("profile", profile)) if value)
    return ["-cpu", "max,-erms,-fsrm", "-plugin", plugin.replace(",", ",,") + options]


def count_time():
    """QEMU arguments for a machine whose time is the instructions it executes: 8 nanoseconds each, and idle time
    passes at once. Its runs are alike, whatever else the host does. (1 nanosecond each would be as good, but
    firmware waits for its clock by executing instructions.)"""
    return ["-icount", "shift=3,sleep=off", "-rtc", "base=2024-01-01,clock=vm"]


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """One machine. Use as a context manager; leaving it stops QEMU and removes the disk's copy.

    image: a raw disk image, or a .vhdx, whose files are then out of reach; snapshot: run on a throw-away copy of it. disk_errors: rules of QEMU's blkdebug
    by which the disk fails. com2: the path of a Unix socket that COM2 listens
    on, True: one in the machine's folder. machine: "q35" or "pc", with QEMU's
    options after a comma; disk_on: what the disk is attached to, a name of DISKS; video: QEMU's name of the display
    adapter; hyperv: options of the machine "hyperv", as tools/hvhost/README.md has them; resume: a state of
    warmstart.py to begin with instead of power-on. on_output(bytes) gets programs' output as it comes, on_log(bytes) the kernel's log, both on the reading thread.
    """

    def __init__(self, image, *, snapshot=True, memory=512, cpus=1, machine="q35", accelerator="tcg",
                 display="none", disk_errors="", disk_on="ahci", video="std", hyperv=(), com2=None,
                 extra=(), resume=None, on_output=None, on_log=None):
        if not os.path.exists(image):
            raise MachineError(f"{image} does not exist; 'make image' makes it")
        self._qemu = find_qemu(machine)
        self._folder = tempfile.TemporaryDirectory(prefix="metalos-")
        self.folder = self._folder.name
        self.image = image
        self._format = "vhdx" if image.endswith(".vhdx") else "raw"
        if snapshot:
            self.image = os.path.join(self.folder, "disk." + self._format)
            disk.copy_sparse(image, self.image)
        self.disk = disk.Disk(self.image) if self._format == "raw" else None
        self.hyperv = machine == "hyperv"
        self.host_log = os.path.join(self.folder, "hvhost.log")  # what the Gen2 machine has to say
        self._arguments = self._command_line(hvhost.PC if self.hyperv else machine, accelerator, memory, cpus,
                                             display)
        if self.hyperv:
            self._arguments += self._gen2_arguments(cpus, hyperv, disk_errors)
        else:
            self._arguments += self._drive_arguments(disk_errors)
            self._arguments += ["-vga", video, *DISKS[machine.partition(",")[0], disk_on]]
        self._arguments += extra
        self.com2 = os.path.join(self.folder, "com2") if com2 is True else com2
        self._resume = resume
        self._migration = None  # QEMU's word for how far saving the machine is
        self._on_output, self._on_log = on_output, on_log
        self._process = None
        self._changed = threading.Condition()
        self.log = ""  # the kernel's log so far
        self.output = b""  # programs' output so far
        self.shutdown_reason = None  # QEMU's word for it, once the machine has stopped
        self.closed = False  # QEMU has ended, with or without the guest's doing
        self.qmp = None
        self._pointer = None  # of the Gen2 machine; it begins in the middle

    def _command_line(self, machine, accelerator, memory, cpus, display):
        processor = "max" if accelerator.startswith("tcg") else "host"
        return [self._qemu, "-name", "MetalOS", "-machine", machine, "-accel", accelerator, "-cpu",
                processor, "-m", str(memory), "-smp", str(cpus), "-bios", FIRMWARE, "-nodefaults",
                "-no-user-config", "-display", display, "-net", "none",
                "-action", "reboot=shutdown,shutdown=pause"]

    def _error_rules(self, disk_errors):
        path = os.path.join(self.folder, "disk-errors")
        with open(path, "w", encoding="utf-8") as file:
            file.write(disk_errors)
        return path

    def _drive_arguments(self, disk_errors):
        drive = f"blkdebug:{self._error_rules(disk_errors)}:{self.image}" if disk_errors else self.image
        drive = drive.replace(",", ",,")
        return ["-drive", f"file={drive},if=none,id=disk,format={self._format},cache=unsafe,discard=unmap"]

    def _gen2_arguments(self, cpus, options, disk_errors):
        rules = self._error_rules(disk_errors) if disk_errors else None
        try:
            return (hvhost.arguments(self.folder, cpus, options, self.host_log)
                    + hvhost.disk_arguments(self.image, self._format, options, rules))
        except hvhost.BuildError as error:
            raise MachineError(str(error)) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._folder.cleanup()

    def configure(self, execute=(), options=()):
        """Sets boot options and programs to execute in the disk's metalos.cfg."""
        try:
            text = self.disk.read(CONFIGURATION).decode(errors="replace")
        except disk.DiskError:
            text = ""
        text = configure(text, execute, options)
        self.disk.write(CONFIGURATION, text.encode(), os.path.join(self.folder, "metalos.cfg"))

    def start(self):
        """Powers the machine on, or resumes it."""
        serial, serial_there = socket.socketpair()
        control, control_there = socket.socketpair()
        there = [serial_there, control_there]
        resume = []
        if self._resume:
            there.append(open(self._resume, "rb"))
            resume = ["-incoming", f"fd:{there[-1].fileno()}", "-fw_cfg", "name=opt/metalos/go,string=1"]
        arguments = self._arguments + resume + [
            "-chardev", f"socket,id=com1,fd={serial_there.fileno()}", "-serial", "chardev:com1",
            *([] if not self.com2 else ["-chardev", f"socket,id=com2,path={self.com2.replace(',', ',,')},"
                                         "server=on,wait=off", "-serial", "chardev:com2"]),
            "-chardev", f"socket,id=control,fd={control_there.fileno()}", "-mon",
            "chardev=control,mode=control"]
        self._errors = open(os.path.join(self.folder, "qemu-errors"), "w+b")
        self._process = subprocess.Popen(arguments, pass_fds=[s.fileno() for s in there],
                                         stdin=subprocess.DEVNULL, stdout=self._errors,
                                         stderr=self._errors, start_new_session=True,
                                         preexec_fn=_die_with_parent)
        for end in there:
            end.close()
        self._com1 = serial
        self._serial = threading.Thread(target=self._read_serial, args=(serial,), name="com1", daemon=True)
        self._serial.start()
        try:
            self.qmp = qmp.Qmp(control, self._event)
        except qmp.QmpError as error:
            self._process.wait()
            raise StartError(f"QEMU did not start: {self.qemu_messages()}") from error

    def save(self, path, timeout):
        """Writes the machine's state, without its disk, to a file; the machine is then at an end."""
        on = [{"capability": "events", "state": True}]
        self.qmp.command("migrate-set-capabilities", capabilities=on)
        self.qmp.command("migrate", uri="exec:cat > " + shlex.quote(path))
        status = self.wait_until(lambda: self._migration in ("completed", "failed") and self._migration, timeout,
                                 "end of saving the machine")
        if status == "failed":
            raise MachineError(f"the machine was not saved: {self.qemu_messages()}")

    def send_serial(self, data):
        """Sends bytes into COM1."""
        self._com1.sendall(data)

    def qemu_messages(self):
        """What QEMU itself has printed, but for its opinion of the names of the Gen2 machine's tables; and that a
        signal has ended it, if one has."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        lines = [line for line in lines if 'should be prefixed with "opt/"' not in line]
        code = self._process.poll()
        if code is not None and code < 0:
            lines.append(f"ended by signal {signal.Signals(-code).name}")
        return "\n".join(lines).strip()

    def _read_serial(self, connection):
        decoder = console.Decoder()
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                return
            log, output = decoder.feed(data)
            if log and self._on_log:
                self._on_log(log)
            if output and self._on_output:
                self._on_output(output)
            with self._changed:
                self.log += log.decode(errors="replace").replace("\r", "")
                self.output += output
                self._changed.notify_all()

    def _event(self, name, data):
        with self._changed:
            if name == "SHUTDOWN" and not self.shutdown_reason:
                self.shutdown_reason = data.get("reason", "unknown")
            elif name == "MIGRATION":
                self._migration = data.get("status")
            elif name == "CLOSED":
                self.closed = True
            self._changed.notify_all()

    # ------------------------------------------------------------------------------------ waiting

    def wait_until(self, condition, timeout, what):
        """Waits until condition(), looked at after each event, is true and returns what it gave.

        Raises TimeOut after `timeout` seconds, and MachineError when the machine stops first.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (result := condition()):
                if self.stopped:
                    raise MachineError(f"the machine stopped while {what} was awaited")
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeOut(f"no {what} within {timeout} seconds")
                self._changed.wait(left)
            return result

    def wait_until_stopped_or(self, condition, timeout):
        """Waits until condition() or until the machine stops; whether it runs still."""
        self.wait_until(lambda: self.stopped or self.bugcheck_complete or condition(), timeout, "end")
        return not (self.stopped or self.bugcheck_complete)

    @property
    def stopped(self):
        """By the guest's doing or from outside."""
        return self.closed or self.shutdown_reason is not None

    def wait_for_log(self, text, timeout, start=0):
        """Waits for text in the log at or after position start; returns the position behind its line."""
        def found():
            at = self.log.find(text, start)
            end = self.log.find("\n", at)
            return end + 1 if at >= 0 and end >= 0 else 0
        return self.wait_until(found, timeout, f"log line '{text}'")

    def wait_for_output(self, data, timeout):
        """Waits for bytes in programs' output."""
        return self.wait_until(lambda: data in self.output, timeout, f"output {data!r}")

    def wait_for_end(self, timeout):
        """Waits until the machine has powered off, or stopped on a bugcheck and said so."""
        self.wait_until(lambda: self.stopped or self.bugcheck_complete, timeout, "power off")

    @property
    def exit_code(self):
        """What the kernel gave as exit code when it shut down; None when it did not."""
        at = self.log.rfind(SHUTDOWN_LINE)
        digits = self.log[at + len(SHUTDOWN_LINE):].split("\n")[0].strip() if at >= 0 else ""
        return int(digits) if digits.lstrip("-").isdigit() else None

    @property
    def bugcheck_complete(self):
        """The kernel has printed its report to the end."""
        return REPORT_END in self.log

    @property
    def bugcheck(self):
        """The kernel's report when it stopped on a bugcheck, else None."""
        begin = self.log.find(REPORT_BEGIN)
        if begin < 0:
            return None
        begin = self.log.rfind("\n", 0, begin) + 1
        end = self.log.find(REPORT_END, begin)
        return self.log[begin:] if end < 0 else self.log[begin:self.log.find("\n", end) + 1 or None]

    # ------------------------------------------------------------------------------------ Hyper-V

    def host_property(self, name, device="hvhost"):
        """A property of the Gen2 machine or of one of its devices, such as "violations"."""
        return self.qmp.command("qom-get", path=f"/machine/peripheral/{device}", property=name)

    def set_host_property(self, name, value, device="hvhost"):
        self.qmp.command("qom-set", path=f"/machine/peripheral/{device}", property=name, value=value)

    def host_messages(self):
        """What the Gen2 machine has to say: what the guest did wrong, and touches of hardware that is not there."""
        try:
            with open(self.host_log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    # ------------------------------------------------------------------------------------ control

    def screenshot(self, path):
        """Writes the screen as a PNG (or PPM, by the name's ending)."""
        self.qmp.command("screendump", filename=os.path.abspath(path),
                         format="ppm" if path.endswith(".ppm") else "png")

    def keys(self, *names, hold=0.05):
        """Presses QEMU key codes together, holds them for so many seconds, releases them."""
        for name in names:
            self.key(name, True)
        time.sleep(hold)
        for name in reversed(names):
            self.key(name, False)

    def key(self, name, down):
        self._input({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}})

    def mouse_move(self, dx, dy):
        """Moves by so many counts, in steps small enough for a PS/2 packet."""
        if self.hyperv:  # its pointer is absolute
            size = [int(part) for part in self.host_property("resolution", "video").split("x")]
            place = self._pointer or [all_ // 2 for all_ in size]
            self._pointer = [min(max(at + by, 0), all_ - 1) for at, by, all_ in zip(place, (dx, dy), size)]
            self.mouse_absolute(*self._pointer, *size)
            return
        steps = max(abs(dx), abs(dy), 1) // 100 + 1
        for step in range(steps):
            part = [total * (step + 1) // steps - total * step // steps for total in (dx, dy)]
            self._input(*({"type": "rel", "data": {"axis": axis, "value": value}}
                          for axis, value in zip("xy", part) if value))
            time.sleep(0.01)  # the device queues only a few packets

    def mouse_absolute(self, x, y, width, height):
        """Places an absolute pointing device at pixel x, y of a screen of width times height."""
        scale = 0x7FFF
        self._input({"type": "abs", "data": {"axis": "x", "value": x * scale // max(width - 1, 1)}},
                    {"type": "abs", "data": {"axis": "y", "value": y * scale // max(height - 1, 1)}})

    def mouse_button(self, name, down):
        """name: left, middle, right, wheel-up, wheel-down."""
        self._input({"type": "btn", "data": {"button": name, "down": down}})

    def _input(self, *events):
        if events:
            self.qmp.command("input-send-event", events=list(events))

    def stop(self):
        """Ends QEMU, which for the guest is pulling the plug, and reads the rest of COM1."""
        if not self._process:
            return
        try:
            if self.qmp:
                self.qmp.command("quit", timeout=10)
        except qmp.QmpError:
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._serial.join(10)
