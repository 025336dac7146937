#!/usr/bin/env python3
"""Writes the module definition of mosrt.dll's C library: what its libraries define and headers declare.

exports.py OUTPUT NM HEADERS... -- LIBRARIES...

A name is exported when one of the public headers mentions it and one of the libraries defines it. The
native interface is not in the list: its functions are marked in the source.
"""
# SPDX-License-Identifier: MIT
import pathlib
import re
import subprocess
import sys

# Data, which importers reach through a pointer; everything else is a function. `environ` is a function
# in our headers.
DATA = set("""stdin stdout stderr optarg optind opterr optopt optreset signgam tzname daylight timezone getdate_err
program_invocation_name program_invocation_short_name""".split())
HIDDEN = {'environ', '__environ', '_environ', '___environ', 'main', '_end', '_DYNAMIC'}
# Declared nowhere, called by compiled code or macros.
ALWAYS = {'__metalos_environ'}


def words(folders):
    found = set()
    for folder in folders:
        for header in sorted(pathlib.Path(folder).rglob('*.h')):
            found.update(re.findall(r'[A-Za-z_]\w*', header.read_text(errors='replace')))
    return found


def defined(nm, libraries):
    """Names with an address, and weak ones: musl's aliases, which COFF writes as undefined with a default."""
    text = subprocess.run([nm, '--extern-only', *libraries], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in text.splitlines()]
    return {words[-1] for words in lines if len(words) > 1 and words[-2] != 'U'}


def main():
    output, nm, *rest = sys.argv[1:]
    split = rest.index('--')
    names = (defined(nm, rest[split + 1:]) & words(rest[:split])) - HIDDEN | ALWAYS
    missing = DATA - names
    if missing:
        sys.exit('not defined: ' + ' '.join(sorted(missing)))
    lines = [f'    {name} DATA' if name in DATA else f'    {name}' for name in sorted(names)]
    pathlib.Path(output).write_text('LIBRARY mosrt.dll\nEXPORTS\n' + '\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
