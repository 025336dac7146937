"""What a system test works with: the machine, the screen, programs' output.

A test file holds functions named test_...; an assertion or any exception fails the test. Always software
emulation, always a throw-away copy of the image.

    import metal

    def test_console():
        result = metal.run("/tests/apitest.exe files")
        assert result.code == 0, result.output

    def test_desktop():
        with metal.boot() as machine:
            machine.wait_for_log("desktop", 60)
            machine.shoot("desktop")

Every machine's log is kept as out/test/TEST.log and its screenshots beside it.
"""
# SPDX-License-Identifier: MIT
import collections
import os
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from metalos import disk as _disk  # noqa: E402
from metalos import machine as _machine  # noqa: E402
from metalos import qmp as _qmp  # noqa: E402
from metalos import screen as _screen  # noqa: E402
from metalos import script as _script  # noqa: E402
from metalos import warmstart as _warmstart  # noqa: E402

BUILD = os.path.join(ROOT, "out", "build")
IMAGE = os.path.join(BUILD, "tools", "metalos.img")
WAIT = os.path.join(BUILD, "tools", "warmstart", "WAIT.EFI")
KEPT = os.path.join(ROOT, "out", "test")
SOURCES = os.path.join(os.environ.get("METALOS_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "metalos"), "sources")

MachineError, TimeOut = _machine.MachineError, _machine.TimeOut
Result = collections.namedtuple("Result", "code output log fetched")
current_test = "test"  # set by the runner
# What tests run on that do not ask for a machine. METALOS_MACHINE=hyperv tools/test desktop: on another.
usual_machine = os.environ.get("METALOS_MACHINE", "q35")


disk = _disk.Disk


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def limit(seconds):
    """Decorator: how long the test may take; 300 seconds otherwise."""
    def mark(function):
        function.limit = seconds
        return function
    return mark


class TestMachine(_machine.Machine):
    """A machine whose log and screenshots are kept. cold: it begins with power-on, not behind the firmware.

    On the Gen2 machine every test fails whose guest has broken a rule of the protocols or touched hardware that is
    not there. Of a device that lies nobody can tell whose fault it is.
    """

    _count = collections.Counter()

    def __init__(self, cold=False, **options):
        image = options.pop("image", IMAGE)
        if "machine" not in options and usual_machine != "q35":
            options["machine"] = usual_machine
        if options.get("machine") == "hyperv" and options.keys() & {"disk_on", "video"}:
            raise Skip("the Gen2 machine has no such hardware")
        self._honest = True
        if not cold and not options.get("extra"):  # further hardware is rarely used twice: not worth a state
            options["resume"] = _warmstart.keep(WAIT, image, **options)
        super().__init__(image, **options)
        TestMachine._count[current_test] += 1
        number = TestMachine._count[current_test]
        self._name = os.path.join(KEPT, current_test + (f"-{number}" if number > 1 else ""))
        os.makedirs(KEPT, exist_ok=True)

    def __exit__(self, kind, error, trace):
        if error is not None and not self.closed and self.qmp:
            try:
                self.shoot("failed")
            except _qmp.QmpError:
                pass
        self.stop()
        with open(self._name + ".log", "w", encoding="utf-8") as out:
            out.write(self.log)
        broken = self.broken_rules()
        super().__exit__(kind, error, trace)
        if error is not None and self.bugcheck:
            raise MachineError(f"{error}\nbugcheck:\n{self.bugcheck}") from error
        if error is None and broken and self._honest:
            raise MachineError(broken)

    def set_host_property(self, name, value, device="hvhost"):
        self._honest = self._honest and name != "hostile"
        super().set_host_property(name, value, device)

    def broken_rules(self):
        """What the Gen2 machine has noted of its guest; empty: all is well."""
        return "\n".join(re.findall("^hvhost: (?:violation|legacy|#GP).*", self.host_messages(), re.M))

    def shoot(self, name):
        """Keeps a screenshot as out/test/TEST-NAME.png; returns the Screen."""
        self.screenshot(f"{self._name}-{name}.png")
        return self.look()

    def look(self):
        """The Screen as it is now."""
        path = os.path.join(self.folder, "screen.ppm")
        self.screenshot(path)
        with open(path, "rb") as file:
            return _screen.Screen(file.read())

    def wait_for_screen(self, condition, timeout, what="picture"):
        """Waits until condition(Screen) is true; returns that Screen. The screen has no events: looks
        several times a second, and fails at once when the machine stops."""
        end = time.monotonic() + timeout
        while True:
            picture = self.look()
            if condition(picture):
                return picture
            if self.stopped:
                raise MachineError(f"the machine stopped while the {what} was awaited")
            if time.monotonic() > end:
                self.shoot("awaited")
                raise TimeOut(f"no {what} within {timeout} seconds")
            time.sleep(0.15)

    def wait_for_still_screen(self, timeout=30, looks=4):
        """Waits until the picture has stopped changing."""
        seen = []

        def still(picture):
            seen.append(picture.pixels)
            return len(seen) >= looks and all(pixels == seen[-1] for pixels in seen[-looks:])
        return self.wait_for_screen(still, timeout, "still screen")

    def type(self, text):
        """Types characters on a US keyboard."""
        _script.type_text(self, text)

    def do(self, words):
        """Does the steps of a script, as tools/run --keys has them."""
        for word in _script.words(words):
            _script.step(self, word)

    def point_at(self, x, y):
        """Moves the mouse pointer to a pixel: into the top left corner and from there."""
        self.mouse_move(-5000, -5000)
        self.mouse_move(x, y)

    def drag(self, x, y, to_x, to_y):
        """Presses the left button at x, y, moves to to_x, to_y, and lets go."""
        self.point_at(x, y)
        self.mouse_button("left", True)
        time.sleep(0.05)
        self.mouse_move(to_x - x, to_y - y)
        time.sleep(0.05)
        self.mouse_button("left", False)


def count_instructions(path):
    """QEMU arguments (`extra`) that write each mark (lib/rtl/mark.h) and the instructions before it to a file."""
    return _machine.count_instructions(os.path.join(BUILD, "tools", "libicount.so"), path)


def kernel_files(name):
    """(host, guest) of a test kernel (kernel/sanitize/meson.build) with its PDB."""
    stem = os.path.join(BUILD, "kernel", "moskrnl-" + name)
    if not os.path.exists(stem + ".exe"):
        raise Skip(f"{stem}.exe is not built (ninja -C out/build kernel-{name})")
    return [(stem + kind, "/system/moskrnl" + kind) for kind in (".exe", ".pdb")]


def boot(execute=(), options=(), copy=(), kernel=None, **machine_options):
    """A started TestMachine, to be used in a with statement.

    execute: programs to run one after another; options: (name, value) boot options; copy: (host, guest); kernel:
    a test kernel's name, such as "ubsan".
    """
    machine = TestMachine(**machine_options)
    try:
        for host, guest in [*copy, *(kernel_files(kernel) if kernel else ())]:
            machine.disk.put(host, guest)
        if execute or options:
            machine.configure(execute, options)
        machine.start()
    except BaseException:
        machine.__exit__(None, None, None)
        raise
    return machine


def run(*programs, timeout=120, fetch=(), **options):
    """Runs programs one after another and powers off: Result(exit code, output text, log, fetched).

    fetch: guest paths; their content comes as a list of bytes. Raises on a bugcheck or a time-out.
    """
    with boot(execute=programs, **options) as machine:
        machine.wait_for_end(timeout)
        machine.stop()
        if machine.bugcheck or machine.exit_code is None:
            raise MachineError(f"the machine stopped without shutting down ({machine.shutdown_reason}); "
                               f"output so far:\n{machine.output.decode(errors='replace')[-2000:]}")
        fetched = [machine.disk.read(path) for path in fetch]
        return Result(machine.exit_code, machine.output.decode(errors="replace"), machine.log, fetched)
