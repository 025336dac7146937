#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lib/pdb against llvm-symbolizer: `test_symbols.py PDB_LOOKUP IMAGE PDB`, for addresses all over the code."""
import json
import ntpath
import re
import subprocess
import sys

ADDRESSES = 4000


def code_sections(image):
    """(base, [(rva, size)]) of the executable sections."""
    text = subprocess.run(["llvm-readobj-19", "--file-headers", "--sections", image],
                          check=True, capture_output=True, text=True).stdout
    base = int(re.search(r"ImageBase: (\w+)", text).group(1), 0)
    sections = []
    for part in text.split("Section {")[1:]:
        if "IMAGE_SCN_MEM_EXECUTE" in part:
            sections.append((int(re.search(r"VirtualAddress: (\w+)", part).group(1), 0),
                             int(re.search(r"VirtualSize: (\w+)", part).group(1), 0)))
    return base, sections


def function_starts(image, base):
    text = subprocess.run(["llvm-readobj-19", "--unwind", image], check=True, capture_output=True, text=True).stdout
    return [int(value, 16) - base for value in re.findall(r"StartAddress: .*\((0x\w+)\)", text)]


def main():
    lookup, image, pdb = sys.argv[1:4]
    base, sections = code_sections(image)
    total = sum(size for _, size in sections)
    step = max(1, total // ADDRESSES)
    addresses = [rva + offset for rva, size in sections for offset in range(0, size, step)]
    addresses += function_starts(image, base)
    ours = subprocess.run([lookup, image, pdb], input="\n".join(f"{a:x}" for a in addresses), check=True,
                          capture_output=True, text=True).stdout.splitlines()
    theirs = subprocess.run(["llvm-symbolizer-19", "--obj=" + image, "--output-style=JSON"],
                            input="\n".join(hex(base + a) for a in addresses), check=True,
                            capture_output=True, text=True).stdout.splitlines()
    wrong = unknown = inlined = 0
    for address, mine, other in zip(addresses, ours, theirs):
        function, _, file, line, *rest = mine.split("\t")
        symbols = json.loads(other)["Symbol"]  # innermost first
        expected = [(s["FunctionName"][:95], ntpath.basename(s["FileName"]), s["Line"]) for s in symbols]
        if expected[-1][0] == "":
            unknown += 1
            continue
        got = [(rest[i], ntpath.basename(rest[i + 1]), int(rest[i + 2])) for i in range(0, len(rest), 3)]
        got = got[::-1] + [(function, ntpath.basename(file), int(line))]
        inlined += len(got) > 1
        # The other reader gives code of the compiler's own no line.
        same = len(got) == len(expected) and all(
            g[0] == e[0] and (g[1:] == e[1:] or e[2] == 0) for g, e in zip(got, expected))
        if not same:
            wrong += 1
            if wrong <= 10:
                print(f"# {address:#x}: {got}, expected {expected}")
    compared = len(addresses) - unknown
    print("1..2")
    print(f"{'ok' if not wrong else 'not ok'} 1 - {compared} addresses ({inlined} in inlined functions): "
          "functions, files and lines as llvm-symbolizer has them")
    print(f"{'ok' if compared >= len(addresses) * 0.9 else 'not ok'} 2 - the other reader knows {compared} of {len(addresses)}")
    return 1 if wrong else 0


sys.exit(main())
