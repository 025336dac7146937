"""The task manager and the notice of a program that has failed, as a person uses them."""
# SPDX-License-Identifier: MIT
import re

import metal

CARD = (0x17, 0x1C, 0x2C)
PLACE = re.compile(r"win: opened 'Tasks' at (\d+),(\d+) ")


def click(machine, x, y):
    machine.point_at(x, y)
    machine.mouse_button("left", True)
    machine.mouse_button("left", False)


@metal.limit(120)
def test_ending_a_task():
    """The list is sorted by name, Fire chosen with an arrow key and ended with Delete; nothing else ends."""
    with metal.boot(options=[("log", "debug"), ("run", "fire.exe"), ("run", "tasks.exe")], cpus=2) as machine:
        machine.wait_for_log("win: the desktop is on the screen", 60)
        machine.wait_for_log("win: opened 'Tasks'", 60)
        left, top = map(int, PLACE.search(machine.log).groups())
        # Its lower edge is dragged: the list is as high as the window.
        bottom = top + 470
        machine.point_at(left + 300, bottom + 2)
        machine.shoot("edge")
        machine.mouse_button("left", True)
        machine.mouse_move(0, -100)
        machine.wait_for_screen(lambda s: s.pixel(left + 300, bottom - 120) == CARD != s.pixel(left + 300, bottom - 10), 20, "lower window")
        machine.mouse_button("left", False)
        machine.shoot("lower")
        click(machine, left + 60, top + 135)
        machine.keys("down")
        machine.shoot("chosen")
        machine.keys("delete")
        machine.wait_for_log("win: closed 'Fire'", 30)
        machine.shoot("ended")
        assert "win: closed 'Tasks'" not in machine.log
        machine.keys("tab")
        machine.keys("down")
        machine.shoot("counters")
        machine.keys("esc")
        machine.wait_for_log("win: closed 'Tasks'", 30)


@metal.limit(120)
def test_notice_of_a_stopped_program():
    """A program with windows fails: the notice names the place, Enter closes it, the log has the stack."""
    with metal.boot(options=[("log", "debug"), ("run", "/tests/wintest.exe die 1")]) as machine:
        machine.wait_for_log("win: opened 'Program stopped'", 60)
        machine.wait_for_still_screen()
        machine.shoot("notice")
        machine.keys("ret")
        machine.wait_for_log("win: closed 'Program stopped'", 30)
        assert "wintest.exe stopped: access violation writing 0x10" in machine.log
        assert "wintest!Die  apps/wintest/main.c:" in machine.log
