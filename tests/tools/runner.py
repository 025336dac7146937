"""The parts of tools/run that need no machine."""
# SPDX-License-Identifier: MIT
import os
import tempfile
import time
import unittest.mock

import metal  # noqa: F401  (puts tools/ on the path)
from metalos import console, machine, screen, script, warmstart


def encode(data):
    """What KeWriteConsole sends for data."""
    out = b"\x0e"
    for byte in data:
        out += bytes([0x10, byte ^ 0x40]) if byte in (0x0E, 0x0F, 0x10) else bytes([byte])
    return out + b"\x0f"


def test_console_framing_survives_any_bytes_and_cuts():
    every = bytes(range(256))
    stream = b"log 1\n" + encode(every) + b"log 2\n" + encode(b"") + encode(b"tail\n")
    for step in (1, 2, 3, 7, len(stream)):
        decoder, log, output = console.Decoder(), b"", b""
        for at in range(0, len(stream), step):
            part = decoder.feed(stream[at:at + step])
            log, output = log + part[0], output + part[1]
        assert log == b"log 1\nlog 2\n" and output == every + b"tail\n", step


def test_configuration_keeps_what_it_does_not_replace():
    text = "# comment\nresolution = 640x480\nrun = fire.exe\nlog=info\n"
    out = machine.configure(text, ["a.exe -b c", "d.exe"], [("log", "debug")])
    assert out.splitlines() == ["# comment", "resolution = 640x480", "log = debug", "exec = a.exe -b c",
                                "exec = d.exe", "bugcheck = exit"], out
    assert machine.configure(text) == text


def test_every_character_of_a_us_keyboard_can_be_typed():
    for code in list(range(32, 127)) + [10, 9]:
        assert script.key_of(chr(code))
    assert script.key_of("A") == ("shift", "a") and script.key_of("?") == ("shift", "slash")


def test_scripts_refuse_what_they_do_not_know():
    for word in ("jump:3", "move:1", "wheel:x", "a*b"):
        try:
            script.step(unittest.mock.Mock(), word)
        except script.ScriptError:
            pass
        else:
            assert False, word


def test_screen_reads_pixels():
    picture = screen.Screen(b"P6\n2 2\n255\n" + bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
    assert picture.pixel(1, 0) == (4, 5, 6) and picture.pixel(0, 1) == (7, 8, 9)
    assert picture.count((10, 11, 12)) == 1 and len(picture.colours(0, 0, 2, 1)) == 2


def test_few_machine_states_are_kept_and_those_of_late():
    with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(warmstart, "CACHE", folder):
        for number in range(100):
            path = os.path.join(folder, f"{number}.state")
            open(path, "wb").close()
            used = time.time() - (number if number < 30 else warmstart.KEEP + number if number > 90 else 60 + number)
            os.utime(path, (used, used))
        warmstart.make_room()
        assert sorted(os.listdir(folder)) == sorted(f"{number}.state" for number in range(warmstart.AT_MOST - 1))
        for number in range(30):
            os.utime(os.path.join(folder, f"{number}.state"), (0, 0))
        warmstart.make_room()
        assert len(os.listdir(folder)) == warmstart.AT_MOST - 1 - 30
