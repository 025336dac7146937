"""The desktop and DOOM as a person uses them: keys and mouse in, pixels out."""
# SPDX-License-Identifier: MIT
import os
import re

import metal

DOOM = "Freedoom: Phase 1"
SCALE = 2                       # doom.exe's default
AMMO = (0, 171, 46, 191)        # the status bar's first number, in the game's 320x200 pixels
VIEW = (16, 14, 304, 150)       # the picture of the level, without border, messages and status bar
TITLE_HEIGHT = 34
STARTS, WARM_UPS = 5, 3
SAVED_GAME = "/doom/savegames/freedoom1.wad/doomsav0.dsg"


class Window:
    """A window found by the log line of its opening; its client area follows the drags done here."""

    def __init__(self, machine, title, start=0):
        pattern = re.compile(rf"win: opened '{re.escape(title)}' at (-?\d+),(-?\d+) (\d+)x(\d+)\r?\n")
        machine.wait_until(lambda: pattern.search(machine.log, start), 60, f"window '{title}'")
        self.machine, self.title = machine, title
        self.x, self.y, self.width, self.height = map(int, pattern.search(machine.log, start).groups())

    def box(self, area=None):
        left, top, right, bottom = (value * SCALE for value in area) if area else (0, 0, self.width, self.height)
        return self.x + left, self.y + top, self.x + right, self.y + bottom

    def crop(self, area=None):
        return self.machine.look().crop(*self.box(area))

    def wait_until_differs(self, before, area=None, timeout=30):
        """Waits until a part of the game's picture is not `before`; returns it."""
        self.machine.wait_for_screen(lambda screen: screen.crop(*self.box(area)) != before, timeout,
                                     "change of the picture")
        return self.crop(area)

    def wait_until_is(self, wanted, area=None, timeout=30):
        self.machine.wait_for_screen(lambda screen: screen.crop(*self.box(area)) == wanted, timeout,
                                     "picture seen before")

    def wait_until_still(self, area=None, timeout=30):
        """Waits until a part of the picture has not changed for five looks; returns it."""
        seen = []

        def still(screen):
            seen.append(screen.crop(*self.box(area)))
            return len(seen) >= 5 and len(set(seen[-5:])) == 1
        self.machine.wait_for_screen(still, timeout, "still picture")
        return seen[-1]

    def hold_title(self, picture, area):
        """Presses the left button on the title bar and moves by a pixel, until the window follows: a PS/2 mouse
        may report a press together with the movement after it. `picture` is the area's at rest. Returns where the
        pointer is, and how far below its old place the window is."""
        x, y = self.x + self.width // 2, self.y - TITLE_HEIGHT // 2
        pointer = x, y, x + 8, y + 12
        seen = [self.machine.look().crop(*pointer)]
        self.machine.point_at(x, y)

        def arrived(screen):  # and come to rest
            seen.append(screen.crop(*pointer))
            return seen[-1] != seen[0] and seen[-3:].count(seen[-1]) == 3
        self.machine.wait_for_screen(arrived, 10, "pointer on the title bar")
        self.machine.mouse_button("left", True)
        for step in (1, -1, 1, -1):
            self.machine.mouse_move(0, step)
            y += step
            try:
                self.machine.wait_for_screen(lambda s: s.crop(*self.box(area)) != picture, 3, "window that follows")
                return x, y, step
            except metal.TimeOut:
                continue
        raise AssertionError(f"'{self.title}' does not follow the mouse")


def boot_doom(**options):
    return metal.boot(options=[("log", "debug"), ("resolution", "1280x800"), ("run", "fire.exe"),
                               ("run", "doom.exe -iwad freedoom1.wad")], **options)


def start_game(machine, doom):
    """From the title screen through the menu into the first level."""
    title = doom.wait_until_still()
    machine.do("esc")
    doom.wait_until_differs(title)
    for _ in ("new game", "chapter", "skill"):
        machine.do("wait:0.3 ret")
    # The level stands still until somebody moves, but for the face and, while it lasts, the wipe.
    doom.wait_until_differs(title, VIEW)
    machine.do("wait:2")
    return doom.wait_until_still(AMMO)


def act(machine, doom, keys, area):
    """Does keys until they show in a part of the picture; returns the new part."""
    before = doom.crop(area)
    machine.do(keys)
    return doom.wait_until_differs(before, area)


@metal.limit(300)
def test_a_game_from_menu_to_saved_game():
    play_a_game()


def play_a_game(check=lambda machine: None, **options):
    """Through the menu into the first level, everything a player does, and out again with a saved game; check: called
    with the machine before it is powered off."""
    with boot_doom(**options) as machine:
        doom = Window(machine, DOOM)
        full = start_game(machine, doom)
        act(machine, doom, "+up wait:0.7 -up", VIEW)
        act(machine, doom, "+left wait:0.3 -left", VIEW)
        act(machine, doom, "+shift +right wait:0.3 -right -shift", VIEW)
        act(machine, doom, "+alt +right wait:0.3 -right -alt", VIEW)
        machine.mouse_move(120, 0)
        act(machine, doom, "move:80,0 wait:0.2", VIEW)
        shot = act(machine, doom, "+ctrl wait:0.3 -ctrl", AMMO)
        assert shot != full
        doom.wait_until_still(AMMO)
        act(machine, doom, "+button:left wait:0.3 -button:left", AMMO)
        saved = doom.wait_until_still(AMMO)
        machine.shoot("game")

        machine.do("f2 wait:0.5 ret wait:0.3 text:first ret wait:0.5")
        act(machine, doom, "+ctrl wait:0.5 -ctrl", AMMO)
        later = doom.wait_until_still(AMMO)
        assert later != saved
        machine.do("f3 wait:0.5 ret")
        doom.wait_until_is(saved, AMMO)
        machine.shoot("loaded")

        # Leave by the menu's question, power off by the launcher: the saved game is on the disk.
        machine.do("f10 wait:0.5 y")
        machine.wait_for_log(f"win: closed '{DOOM}'", 30)
        check(machine)
        power_off(machine)
        save = machine.disk.read(SAVED_GAME)
        assert save.startswith(b"FIRST\0"), save[:32]
        machine.disk.check(os.path.join(machine.folder, "volume"))


def power_off(machine):
    machine.do("meta_l wait:0.5 end wait:0.2 +ret")
    machine.wait_for_end(60)
    machine.stop()


@metal.limit(300)
def test_drag_across_every_edge_while_fire_burns():
    with boot_doom() as machine:
        doom, fire = Window(machine, DOOM), Window(machine, "Fire")
        start_game(machine, doom)
        machine.do("pause wait:1")  # the level's screens flicker until it takes effect
        machine.point_at(40, 40)
        paused = doom.wait_until_still(VIEW)  # the face in the status bar goes on looking about
        screen = machine.look()
        edges = {"left": (0, 300), "top": (500, 0), "right": (screen.width - 1, 250),
                 "bottom": (400, screen.height - 1), "corner": (screen.width - 1, screen.height - 1)}
        for name, pointer in edges.items():
            x, y, below = doom.hold_title(paused, VIEW)
            # By exact counts, there and back: movement that piles up is added, not lost, as long as the
            # pointer never runs against the edge.
            away = pointer[0] - x, pointer[1] - y
            machine.mouse_move(*away)
            doom.wait_until_still(VIEW)  # that is, what is to be seen at its old place
            beyond = machine.shoot(f"drag-{name}")
            machine.wait_for_screen(lambda s: s.crop(*fire.box()) != beyond.crop(*fire.box()), 30, "burning fire")
            machine.mouse_move(-away[0], -away[1] - below)
            doom.wait_until_is(paused, VIEW)
            machine.mouse_button("left", False)
            machine.point_at(40, 40)  # away, so that the next look finds the pointer coming


def write_windowed(program, path):
    """A copy of a console program that says it has windows: the launcher starts it on the machine's console, without a
    terminal, whose memory is never quite the same."""
    with open(program, "rb") as file:
        image = bytearray(file.read())
    subsystem = int.from_bytes(image[0x3C:0x40], "little") + 4 + 20 + 68  # signature, file header, in the optional header
    assert image[subsystem] == 3, "sysinfo.exe is no console program"
    image[subsystem] = 2
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(image)


def ask_system(machine):
    """What sysinfo.exe, started from the launcher, says, in KiB: free memory, cache, its own, that of all programs;
    processes, handles, windows."""
    start = len(machine.output)
    launch(machine, "sysinfo")
    machine.wait_until(lambda: b"sysinfo: screen" in machine.output[start:], 60, "sysinfo.exe's output")
    said = machine.output[start:].decode()
    memory = re.search(r"free (\d+) KiB, cache (\d+) KiB, this program (\d+) KiB, programs (\d+) KiB", said)
    counts = re.search(r"(\d+) processes, \d+ threads, (\d+) handles, (\d+) windows", said)
    return tuple(map(int, memory.groups() + counts.groups()))


def system_information(machine):
    """Free memory with cache, and what the asking takes; processes, handles, windows."""
    free, cache, own, _, *counts = ask_system(machine)
    return free + cache + own, *counts


def kernel_information(machine):
    """The same, with what programs have for themselves: less of it is the kernel's doing."""
    free, cache, _, programs, *counts = ask_system(machine)
    return free + cache + programs, *counts


def launch(machine, program):
    """Opens the launcher and starts a program of /apps: those it knows come first, then the others by name."""
    names = sorted(name[:-4].lower() for name in machine.programs if name.lower().endswith(".exe"))
    order = sorted(names, key=lambda name: (name not in ("doom", "fire", "terminal"), name))
    machine.do(f"meta_l wait:0.5 down*{order.index(program) + 1} wait:0.1 ret")


def start_and_close_doom(machine):
    start = len(machine.log)
    launch(machine, "doom")
    machine.wait_until(lambda: re.search("win: opened 'Freedoom[^']*' at .*\n", machine.log[start:]), 60, "DOOM's window")
    title = re.search(r"win: opened '(Freedoom[^']*)'", machine.log[start:]).group(1)
    Window(machine, title, start).wait_until_still()
    machine.do("alt-f4 wait:0.7 y")
    machine.wait_until(lambda: f"win: closed '{title}'" in machine.log[start:], 60, "the end of DOOM")


def copy_sysinfo():
    """What system_information needs on the disk."""
    os.makedirs(metal.KEPT, exist_ok=True)
    sysinfo = os.path.join(metal.KEPT, "sysinfo-windowed.exe")
    write_windowed(os.path.join(metal.BUILD, "apps", "sysinfo.exe"), sysinfo)
    return [(sysinfo, "/apps/sysinfo.exe")]


def check_starts(count):
    with metal.boot(options=[("log", "debug"), ("run", "fire.exe")], copy=copy_sysinfo()) as machine:
        machine.programs = metal.disk(metal.IMAGE).list("/apps")
        Window(machine, "Fire")
        for _ in range(WARM_UPS):  # what caches and the heap keep is kept from here on
            start_and_close_doom(machine)
        before = system_information(machine)
        for _ in range(count):
            start_and_close_doom(machine)
        after = system_information(machine)
        assert after[1:] == before[1:], f"(processes, handles, windows) was {before[1:]}, is {after[1:]}"
        assert after[0] == before[0], f"{before[0]} KiB were free, now {after[0]}"
        machine.shoot("end")


@metal.limit(300)
def test_starts_from_the_launcher_leave_nothing_behind():
    """Not a kilobyte: what each start kept would show; tests/soak has twenty."""
    check_starts(STARTS)
