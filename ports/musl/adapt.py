#!/usr/bin/env python3
"""Copies a musl source file with the few words exchanged that assume a `long` as wide as a pointer.

Each exchange must match exactly as often as told, so that another version of musl cannot slip by.
"""
# SPDX-License-Identifier: MIT
import pathlib
import sys

# %zd and %td store 64 bits; musl treats both as %ld.
SCANF = [("case 't':\n\t\t\tsize = SIZE_l;", "case 't':\n\t\t\tsize = SIZE_ll;", 1)]
EXCHANGES = {
    # Of a number below 1 there is none; the formulas give one for most negative numbers.
    'acosh.c': [('unsigned e = u.i >> 52 & 0x7ff;', 'unsigned e = u.i >> 52 & 0x7ff;\n\n\tif (x < 1)\n\t\treturn (x - x) / (x - x);', 1)],
    # The heap sort's bit sets are size_t; a_ctz_l takes unsigned long.
    'qsort.c': [('a_ctz_l((x))', 'a_ctz_64((x))', 1)],
    'vfscanf.c': SCANF,
    'vfwscanf.c': SCANF,
}


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    text = source.read_text()
    for old, new, count in EXCHANGES[source.name]:
        if text.count(old) != count:
            sys.exit(f'{source}: "{old}" occurs {text.count(old)} times, not {count}')
        text = text.replace(old, new)
    target.write_text(text)


main()
