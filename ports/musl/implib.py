#!/usr/bin/env python3
"""Makes mosrt.dll's import library from its export table.

implib.py OUTPUT MOSRT.DLL READOBJ DLLTOOL

The linker's own one names a weak alias (musl has many) by what it stands for, so that programs would not
find it.
"""
# SPDX-License-Identifier: MIT
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from exports import DATA  # noqa: E402


def main():
    output, library, readobj, dlltool = sys.argv[1:]
    text = subprocess.run([readobj, '--coff-exports', library], check=True, capture_output=True, text=True).stdout
    names = [name for name in re.findall(r'^\s*Name: (\S+)$', text, re.MULTILINE)]
    definition = pathlib.Path(output).with_suffix('.import.def')
    definition.write_text('LIBRARY mosrt.dll\nEXPORTS\n' + ''.join(
        f'    {name} DATA\n' if name in DATA else f'    {name}\n' for name in names))
    subprocess.run([dlltool, '-m', 'i386:x86-64', '-d', definition, '-D', 'mosrt.dll', '-l', output], check=True)


if __name__ == '__main__':
    main()
