"""The C library against Linux's: tens of thousands of answers, from the same source compiled for both.

With musl's own build for Linux there is no difference, but for a mistake that is mended here. From glibc's the answers differ in the ways listed in
DIFFERENCES, each with its reason, and in no other.
"""
# SPDX-License-Identifier: MIT
import os
import re
import subprocess
import tempfile

import metal

SOURCE = os.path.join(metal.ROOT, "tests", "clib", "records.c")
SDK = os.path.join(metal.ROOT, "out", "build", "sdk", "metalos")
MUSL = "/usr/lib/x86_64-linux-musl"
LEAST = 60000  # records

# Units in the last place that musl's result may be away from glibc's (which rounds most correctly).
UNITS = {"tgamma": 4, "lgamma": 2, "cbrt": 2, **dict.fromkeys(
    "sin cos tan asin acos atan sinh tanh acosh log10 log1p erf erfc atan2 hypot".split(), 1)}


def ordered(pattern):
    """The bits of a double as a number in the order of the doubles."""
    bits = int(pattern, 16)
    return -(bits & (1 << 63) - 1) if bits >> 63 else bits


def near(linux, guest):
    name = linux.split()[1]
    return abs(ordered(linux.split()[-1]) - ordered(guest.split()[-1])) <= UNITS.get(name, 0)


def same_number_in_hexadecimal(linux, guest):
    text = [re.search(r"\[\s*(\S+)\s*\]", line).group(1) for line in (linux, guest)]
    return float.fromhex(text[0]) == float.fromhex(text[1])


def old(linux, _):
    """About a moment before 1970?"""
    if linux.startswith("mktime:"):
        return int(linux.split("=")[-1].split()[0]) < 0
    if linux.startswith("strptime:"):
        return int(re.search(r" (\d{4}) ", linux).group(1)) < 1970
    return re.search(r" -\d+ =", linux) is not None


# What a differing record looks like, a test of the two answers, and why both are good.
DIFFERENCES = (
    (r"math: ", near, "ISO C leaves the accuracy of these functions open; musl's differ in the last places"),
    (r"printf: %(\.3)?a ", same_number_in_hexadecimal, "%a: the same number, with another first digit for subnormals"),
    (r"printf: %\S*#\S*[gG] ", lambda a, b: True, "%#g: glibc drops zeros that # keeps when the value rounds up to a power of ten"),
    (r"strto(ll|ull): |strtod: ", lambda a, b: a.rsplit(" ", 1)[0] == b.rsplit(" ", 1)[0] and b.endswith(" 22"),
     "nothing to convert: POSIX allows EINVAL, which musl sets"),
    (r"strtod: ", lambda a, b: a.endswith(" 34") and b.endswith(" 0") and a[:-3] == b[:-2],
     "numbers below the normal ones: ISO C leaves ERANGE open; hexadecimal ones that are too large: musl forgets it"),
    (r"scanf: .*%lf", lambda a, b: "= 0" in b and "e" in a, "'31ed': ISO C has %lf fail after the longest prefix of a number"),
    (r"utf8: bad ", lambda a, b: b.endswith("= -1"), "UTF-8 has no sequences of five bytes"),
    (r"(localtime|mktime|strftime|strptime): ", old, "before 1970 the libraries apply a TZ rule's weeks differently"),
)


def mended(linux, guest):
    """What ports/musl/adapt.py puts right."""
    return re.match(r"math: acosh [bcdef]", linux) and guest.endswith("= 7ff8000000000000")


def explained(linux, guest):
    return any(re.match(pattern, linux) and test(linux, guest) for pattern, test, _ in DIFFERENCES)


def compile_for_linux(folder):
    program = os.path.join(folder, "records-glibc")
    subprocess.run(["clang-19", "-O1", "-fno-builtin", "-w", "-o", program, SOURCE, "-lm"], check=True)
    return program


def compile_with_musl(folder):
    program = os.path.join(folder, "records-musl")
    subprocess.run(["clang-19", "-O1", "-fno-builtin", "-w", "-nostdlibinc", "-isystem", "/usr/include/x86_64-linux-musl", "-static", "-nostdlib", "-o",
                    program, f"{MUSL}/crt1.o", f"{MUSL}/crti.o", SOURCE, f"{MUSL}/libc.a", f"{MUSL}/crtn.o",
                    "-rtlib=compiler-rt", "-Wl,--start-group", f"{MUSL}/libc.a",
                    subprocess.check_output(["clang-19", "-rtlib=compiler-rt", "-print-libgcc-file-name"], text=True).strip(), "-Wl,--end-group"],
                   check=True)
    return program


def answers_of_linux(program):
    path = program + ".txt"
    subprocess.run([program, path], check=True)
    return read(path)


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().splitlines()


def answers_of_guest(folder):
    program = os.path.join(folder, "records.exe")
    subprocess.run([os.path.join(SDK, "bin", "metalos-cc"), "-O1", "-fno-builtin", "-w", "-o", program, SOURCE], check=True)
    result = metal.run("/tests/records.exe /tests/records.txt", copy=[(program, "/tests/records.exe")],
                       fetch=["/tests/records.txt"])
    assert result.code == 0, result.output
    return result.fetched[0].decode(errors="surrogateescape").splitlines()


def compare(linux, guest, excuse):
    assert len(linux) == len(guest) >= LEAST, f"{len(linux)} records on Linux, {len(guest)} in the guest"
    wrong = [f"{a}\n    {b}" for a, b in zip(linux, guest) if a != b and not excuse(a, b)]
    assert not wrong, f"{len(wrong)} records differ, Linux's first:\n" + "\n".join(wrong[:20])


@metal.limit(400)
def test_records():
    with tempfile.TemporaryDirectory() as folder:
        guest = answers_of_guest(folder)
        compare(answers_of_linux(compile_with_musl(folder)), guest, mended)
        compare(answers_of_linux(compile_for_linux(folder)), guest, explained)
