"""The small language of tools/run --keys and --mouse: words, done one after another.

    a  ret  ctrl-c  alt-f4      press and release; names as QEMU's send-key has them
    down*3                      three times
    +up  -up                    press, release
    "text:Hello, world"         types characters of a US keyboard
    move:DX,DY                  move the mouse by so many counts
    to:X,Y                      into the top left corner and from there by X, Y
    click  click:right  double  press and release a button
    +button:left  -button:left  press, release
    wheel:N                     N notches, negative away from the user
    wait:SECONDS                let time pass
    "log:text"  "out:text"      wait for a log line or program output that has the text
    shot:FILE.png               save the screen
"""
# SPDX-License-Identifier: MIT
import shlex
import time

WAIT_LIMIT = 120  # seconds for log: and out:
HOLD = 0.05

_UNSHIFTED = {" ": "spc", "\n": "ret", "\t": "tab", "-": "minus", "=": "equal", "[": "bracket_left",
              "]": "bracket_right", ";": "semicolon", "'": "apostrophe", "`": "grave_accent",
              "\\": "backslash", ",": "comma", ".": "dot", "/": "slash"}
_SHIFTED = dict(zip('!@#$%^&*()_+{}:"~|<>?', "1 2 3 4 5 6 7 8 9 0 - = [ ] ; ' ` \\ , . /".split()))


class ScriptError(Exception):
    """A word that is none."""


def key_of(character):
    """The QEMU key codes that type a character on a US keyboard."""
    if character in _SHIFTED:
        return ("shift", *key_of(_SHIFTED[character]))
    if character.isupper():
        return ("shift", character.lower())
    if character in _UNSHIFTED:
        return (_UNSHIFTED[character],)
    if character.isalnum() and character.isascii():
        return (character,)
    raise ScriptError(f"no key types '{character}'")


def type_text(machine, text):
    for character in text:
        machine.keys(*key_of(character), hold=HOLD / 2)
        time.sleep(HOLD / 2)


def _numbers(word, value, count):
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ScriptError(f"'{word}' wants {count} whole number(s)")
    return numbers


def _click(machine, button):
    machine.mouse_button(button, True)
    time.sleep(HOLD)
    machine.mouse_button(button, False)
    time.sleep(HOLD)


def _to(machine, x, y):
    machine.mouse_move(-5000, -5000)
    machine.mouse_move(x, y)


def _wheel(machine, notches):
    for _ in range(abs(notches)):
        _click(machine, "wheel-down" if notches > 0 else "wheel-up")


def _press(machine, word):
    names, star, times = word.partition("*")
    if star and not times.isdigit():
        raise ScriptError(f"'{word}' wants a number after the star")
    for _ in range(int(times) if star else 1):
        machine.keys(*names.split("-"), hold=HOLD)
        time.sleep(HOLD)


def step(machine, word):
    """Does one word of a script."""
    verb, colon, value = word.partition(":")
    if verb in ("+button", "-button"):
        machine.mouse_button(value, verb[0] == "+")
    elif verb == "text":
        type_text(machine, value)
    elif verb == "move":
        machine.mouse_move(*_numbers(word, value, 2))
    elif verb == "to":
        _to(machine, *_numbers(word, value, 2))
    elif verb in ("click", "double"):
        for _ in range(1 if verb == "click" else 2):
            _click(machine, value or "left")
    elif verb == "wheel":
        _wheel(machine, *_numbers(word, value, 1))
    elif verb == "wait":
        time.sleep(float(value))
    elif verb == "log":
        machine.wait_for_log(value, WAIT_LIMIT)
    elif verb == "out":
        machine.wait_for_output(value.encode(), WAIT_LIMIT)
    elif verb == "shot":
        machine.screenshot(value)
    elif colon:
        raise ScriptError(f"'{word}' is no step of a script")
    elif word[0] in "+-" and len(word) > 1:
        machine.key(word[1:], word[0] == "+")
    else:
        _press(machine, word)


def words(text):
    """The words of a script; '@FILE' stands for the text of a file, where # begins a comment."""
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            return shlex.split(file.read(), comments=True)
    return shlex.split(text)
