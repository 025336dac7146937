"""The desktop, driven as a person would: mouse, keys, menu, windows. The guest's side is apps/wintest."""
# SPDX-License-Identifier: MIT
import re
import os
import time

import metal

WINTEST = "/tests/wintest.exe"
GREEN = (0x30, 0xA0, 0x60)  # what the message window is filled with
CLIENT = (100, 100, 500, 400)  # where it is
SCREEN = (1280, 800)
TITLE = (250, 80)
CLOSE = (477, 83)


def desktop(*programs, **options):
    """A machine with the desktop shown and only these programs."""
    machine = metal.boot(execute=programs, options=[("resolution", "1280x800")], **options)
    try:
        machine.wait_for_log("win: the desktop is on the screen", 90)
    except BaseException:
        machine.__exit__(None, None, None)
        raise
    return machine


def said(machine):
    return machine.output.decode(errors="replace").splitlines()


def wait_for_line(machine, pattern, timeout=20):
    """Waits until a line of output matches; returns the last match."""
    found = []

    def look():
        found[:] = [m for m in (re.fullmatch(pattern, line) for line in said(machine)) if m]
        return found
    machine.wait_until(look, timeout, f"line {pattern!r}")
    return found[-1]


def test_window_calls():
    result = metal.run(f"{WINTEST} limits", f"{WINTEST} leak 50", f"{WINTEST} inversion")
    assert result.code == 0 and "wintest:" not in result.output, result.output


def test_programs_that_die():
    """Programs that leave, crash or are ended in the middle of window calls take everything with them."""
    result = metal.run(f"{WINTEST} deaths 40", timeout=200)
    assert result.code == 0, result.output


def test_presenting_is_cheap():
    """A full 1280x800 frame costs at most 1.2 million instructions (8 counts each)."""
    result = metal.run(f"{WINTEST} present", timeout=240, options=[("resolution", "1280x800")],
                       extra=["-icount", "shift=3,sleep=off", "-rtc", "clock=vm"])
    assert result.code == 0, result.output
    counts = dict(re.findall(r"present (\S+): (\d+)", result.output))
    assert int(counts["1280x800"]) <= 1_200_000 * 8, counts
    assert int(counts["64x64"]) <= 15_000 * 8, counts


def test_picture_is_exact():
    """A full-screen window covers the panel and is on the screen pixel by pixel, whatever passes over it."""
    with desktop(f"{WINTEST} pattern") as machine:
        machine.wait_for_output(b"pattern", 60)
        for x, y in [(5, 5), (640, 400), (1270, 5), (5, 795), (900, 700)]:
            machine.point_at(x, y)
        machine.point_at(5000, 5000)  # the bottom right corner: one pixel of the pointer is left
        time.sleep(0.5)
        picture = machine.look()
        assert (picture.width, picture.height) == SCREEN
        for y in range(SCREEN[1] - 4):
            expected = b"".join(bytes((x & 255, y & 255, (x >> 8) * 16 + (y >> 8))) for x in range(SCREEN[0] - 4))
            assert picture.row(y, 0, SCREEN[0] - 4) == expected, f"row {y}"
        machine.key("spc", True)  # the machine may be off before a release
        machine.wait_for_end(30)
        machine.stop()  # and all of the log is read
        assert machine.exit_code == 0


def test_messages():
    """Keys, characters, mouse, focus and close arrive as the header says."""
    with desktop(f"{WINTEST} messages") as machine:
        machine.wait_for_output(b"ready", 60)
        wait_for_line(machine, "paint")
        wait_for_line(machine, "focus")
        machine.keys("a")
        wait_for_line(machine, "keydown 04 10 61 0")
        wait_for_line(machine, "keyup 04 10 0 0")
        machine.keys("shift", "1")
        wait_for_line(machine, "keydown 1e 11 21 0")
        machine.point_at(150, 160)
        wait_for_line(machine, "move 50 60 0 0 0")
        machine.mouse_button("left", True)
        wait_for_line(machine, "down 50 60 1 1 0")
        machine.mouse_move(-100, 0)  # out of the window with the button held
        wait_for_line(machine, "move -50 60 1 0 0")
        machine.mouse_button("left", False)
        wait_for_line(machine, "up -50 60 0 1 0")
        machine.point_at(150, 160)
        machine.mouse_button("wheel-up", True)
        machine.mouse_button("wheel-up", False)
        wait_for_line(machine, "wheel 50 60 0 0 1")
        machine.key("w", True)  # held over the change of focus
        wait_for_line(machine, "keydown 1a 10 77 0")
        machine.keys("meta_l")
        wait_for_line(machine, "keyup 1a 10 0 0|keyup 1a 30 0 0")
        wait_for_line(machine, "blur")
        machine.key("w", False)
        machine.keys("esc")
        machine.point_at(*CLOSE)
        machine.mouse_button("left", True)
        machine.mouse_button("left", False)
        wait_for_line(machine, "close")
        machine.wait_for_end(30)
        machine.stop()  # and all of the log is read
        assert machine.exit_code == 0, machine.output
        lines = said(machine)
        assert lines.index("blur") > lines.index("keydown 1a 10 77 0")
        assert lines.count("close") == 1


def test_relative_mouse():
    """A game gets movements and the pointer disappears; Super frees it."""
    with desktop(f"{WINTEST} relative") as machine:
        machine.wait_for_output(b"ready", 60)
        wait_for_line(machine, "focus")
        machine.mouse_move(20, -7)
        wait_for_line(machine, "move 20 -7 0 0 0")
        picture = machine.wait_for_still_screen()
        machine.mouse_move(-60, 33)
        wait_for_line(machine, "move -60 33 0 0 0")
        assert not machine.look().differs(picture, 0, 0, 1180, 800)  # no pointer moved
        machine.keys("meta_l")
        wait_for_line(machine, "blur")
        machine.keys("esc")
        machine.keys("ctrl", "alt")
        machine.point_at(*CLOSE)
        machine.mouse_button("left", True)
        machine.mouse_button("left", False)
        wait_for_line(machine, "close")
        machine.wait_for_end(30)
        machine.stop()  # and all of the log is read


def test_dragging_past_every_edge():
    """A window dragged past each edge and back leaves the screen exactly as it was."""
    with desktop(f"{WINTEST} messages") as machine:
        machine.wait_for_output(b"ready", 60)
        machine.point_at(*TITLE)
        before = machine.wait_for_still_screen()
        assert before.pixel(300, 250) == GREEN
        for to in [(0, 80), (1279, 80), (250, 0), (250, 799), (0, 0), (1279, 799), (0, 799)]:
            machine.point_at(*TITLE)
            machine.mouse_button("left", True)
            time.sleep(0.1)
            machine.mouse_move(to[0] - TITLE[0], to[1] - TITLE[1])
            time.sleep(0.2)
            machine.mouse_move(TITLE[0] - to[0], TITLE[1] - to[1])
            time.sleep(0.2)
            machine.mouse_button("left", False)
            after = machine.wait_for_still_screen()
            if after.differs(before, 0, 0, 1180, 800):  # beside the clock
                machine.shoot("differs")
            assert not after.differs(before, 0, 0, 1180, 800), f"after a drag to {to}"
        machine.drag(*TITLE, 640, 799)  # dropped below the screen, its title bar stays above the panel
        after = machine.wait_for_still_screen()
        machine.shoot("bottom")
        machine.drag(640, 748, 640, 300)
        assert machine.wait_for_still_screen().count(GREEN) > 100_000, "the window could not be fetched back"


def test_launcher():
    """The menu opens by mouse and by key, starts programs and switches the machine off."""
    with metal.boot(options=[("resolution", "1280x800"), ("run", "")]) as machine:
        machine.wait_for_log("win: the desktop is on the screen", 90)
        empty = machine.wait_for_still_screen()
        time.sleep(1)
        assert machine.look().crop(0, 0, 1280, 756) == empty.crop(0, 0, 1280, 756)
        machine.point_at(30, 780)
        machine.mouse_button("left", True)
        machine.mouse_button("left", False)
        machine.wait_for_screen(lambda s: s.differs(empty, 20, 600, 300, 740), 20, "menu")
        machine.shoot("menu")
        machine.keys("esc")
        machine.wait_for_screen(lambda s: not s.differs(empty, 60, 500, 320, 740), 20, "closed menu")
        machine.keys("meta_l")
        machine.wait_for_screen(lambda s: s.differs(empty, 20, 600, 300, 740), 20, "menu")
        machine.keys("up")  # from the bottom: power off
        machine.key("ret", True)
        machine.wait_for_end(30)
        machine.stop()  # and all of the log is read
        assert machine.exit_code == 0


def test_console_program_in_a_terminal():
    """What a console program says is on the screen after its end, until a key."""
    sysinfo = os.path.join(metal.BUILD, "apps", "sysinfo.exe")
    with metal.boot(options=[("resolution", "1280x800"), ("run", ""), ("log", "debug")],
                    copy=[(sysinfo, "/apps/aaa.exe")]) as machine:
        machine.wait_for_log("win: the desktop is on the screen", 90)
        empty = machine.wait_for_still_screen()
        machine.keys("meta_l")
        machine.wait_for_screen(lambda s: s.differs(empty, 20, 600, 300, 740), 20, "menu")
        machine.do("down*4 ret")
        machine.wait_for_log("win: opened 'aaa'", 30)
        machine.wait_for_still_screen()
        machine.shoot("sysinfo")
        machine.keys("a")
        machine.wait_for_screen(lambda s: not s.differs(empty, 0, 0, 1270, 745), 20, "empty desktop")


def test_program_that_cannot_start():
    """The launcher says why; the sentence goes with the next key."""
    with metal.boot(options=[("resolution", "1280x800"), ("run", "")],
                    copy=[(__file__, "/apps/aaa.exe")]) as machine:
        machine.wait_for_log("win: the desktop is on the screen", 90)
        empty = machine.wait_for_still_screen()
        machine.keys("meta_l")
        machine.wait_for_screen(lambda s: s.differs(empty, 20, 600, 300, 740), 20, "menu")
        machine.do("down*4 ret")  # after Terminal, DOOM and Fire
        machine.wait_for_log("could not be started: not a valid MetalOS program", 30)
        machine.wait_for_screen(lambda s: s.differs(empty, 1000, 700, 1270, 745), 20, "notice")
        machine.shoot("notice")
        machine.keys("a")
        machine.wait_for_screen(lambda s: not s.differs(empty, 700, 600, 1270, 745), 20, "empty desktop")
