"""Reads the text of the screen that a bugcheck paints (kernel/win/screen.c), cell by cell."""
# SPDX-License-Identifier: MIT
import functools
import os
import re

import metal

MARGIN, HEADER = 44, 92
GROUND, TEXT, ACCENT = 0x101828, 0xE8ECF4, 0xFF8A4C
FONT = os.path.join(metal.BUILD, "tools", "fontgen", "gfx_assets.c")


def _mix(colour, alpha):
    """GfxMix of lib/gfx/gfx.h, over the ground."""
    result = 0
    for shift in (16, 8, 0):
        under, over = GROUND >> shift & 255, colour >> shift & 255
        result |= (under + ((over - under) * alpha >> 8) & 255) << shift
    return result


@functools.cache
def font():
    """Width, height, and the pixels of every cell that can be painted, as rows of bytes -> character."""
    with open(FONT, encoding="ascii") as file:
        text = file.read()
    width, height = map(int, re.search(r"GfxFontCell = \{\.Width = (\d+), \.Height = (\d+)", text).groups())
    cells = [int(n) for n in re.findall(r"\d+", re.search(r"cellBitmaps\[\d+\] = \{(.*?)\}", text, re.S)[1])]
    glyphs = {}
    for colour in (TEXT, ACCENT):
        pixels = [_mix(colour, alpha + (alpha >> 7)).to_bytes(3, "big") for alpha in range(256)]
        for number in range(len(cells) // (width * height)):
            cell = cells[number * width * height:(number + 1) * width * height]
            glyphs[b"".join(pixels[alpha] for alpha in cell)] = chr(ord(" ") + number)
    assert len(glyphs) == 2 * 95 - 1, "cells that look alike"  # the blank has no colour
    return width, height, glyphs


def read(screen):
    """The lines on a Screen, without blanks at their ends; "?" where no character is."""
    width, height, glyphs = font()
    lines = []
    for top in range(HEADER, screen.height - height + 1, height):
        rows = [screen.row(y) for y in range(top, top + height)]
        line = ""
        for left in range(MARGIN, screen.width - MARGIN // 2 - width + 1, width):
            line += glyphs.get(b"".join(row[left * 3:(left + width) * 3] for row in rows), "?")
        lines.append(line.rstrip())
    return lines


def layout(report, rows, width=1280):
    """The lines that the report, which begins with an empty one, makes on a screen of so many rows."""
    columns = (width - MARGIN // 2 - MARGIN) // font()[0]
    lines = [""]
    for line in report.rstrip("\n").split("\n"):
        lines += [line[at:at + columns].rstrip() for at in range(0, max(len(line), 1), columns)]
    return (lines + [""] * rows)[:rows]


def shows(screen, report):
    """Whether a Screen has the report, as far as it fits."""
    lines = read(screen)
    return lines == layout(report, len(lines), screen.width)
