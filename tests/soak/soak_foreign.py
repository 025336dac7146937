"""Debuggers and readers that were not written here: radare2's KD client, and kdmp-parser for dumps.

Neither is in Debian 12, so their sources are taken from where METALOS_RADARE2 and METALOS_KDMP_PARSER say, folders of
unpacked sources (radare2 6, kdmp-parser 0.7); without them the tests are skipped. What is compiled of radare2 is its KD
client, shlr/winkd, as it is, except that the name of a module is read from where 64-bit targets have it (the length of
a UNICODE_STRING is padded to 8 bytes). The rest of radare2 is not needed: tests/kd/foreign/shim.h has the lists and
locks that the client uses.
"""
# SPDX-License-Identifier: MIT
import os
import re
import subprocess
import sys
import tempfile

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "kd"))
import crashdump  # noqa: E402
import test_kd  # noqa: E402

MINUTES = 10

FOREIGN = os.path.join(metal.ROOT, "tests", "kd", "foreign")
LOAD = "/tests/stress.exe -rounds 1000 -calls 10000"  # on all processors, longer than it takes


def sources(variable, what):
    folder = os.environ.get(variable)
    if not folder:
        raise metal.Skip(f"{variable} does not say where the sources of {what} are")
    return folder


def compile_radare2(folder):
    """The path of the client."""
    winkd = os.path.join(sources("METALOS_RADARE2", "radare2"), "shlr", "winkd")
    os.makedirs(os.path.join(folder, "r_util"))
    for header in ("r_util", "r_types", "r_types_base", "r_list", "r_cons", "r_bind", "r_th", "r_util/r_log"):
        with open(os.path.join(folder, header + ".h"), "w", encoding="ascii") as file:
            file.write('#include "shim.h"\n')
    with open(os.path.join(winkd, "winkd.c"), encoding="utf-8") as file:
        text = file.read().replace("nameoff + sizeof (ut32)", "nameoff + ctx->ptr_size")
    with open(os.path.join(folder, "winkd.c"), "w", encoding="utf-8") as file:
        file.write(text)
    client = os.path.join(folder, "client")
    subprocess.run(["gcc", "-w", "-I", folder, "-I", FOREIGN, "-I", winkd, "-o", client, os.path.join(FOREIGN, "radare2.c"),
                    os.path.join(folder, "winkd.c"), *(os.path.join(winkd, name) for name in ("kd.c", "iob_pipe.c", "transport.c"))],
                   check=True)
    return client


def kernel_base(log):
    return int(re.search(r"kernel at (?:0x)?([0-9a-f]{16})", log)[1], 16)


def run_client(command):
    """Output of the client. It knows no time-outs: an answer that it missed it would await for ever."""
    try:
        return subprocess.run(command, timeout=60, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired as error:
        raise metal.TimeOut(f"the client waits, after:\n{(error.stdout or b'').decode(errors='replace')}") from error


@metal.limit(900)
def test_radare2():
    """Attaches to four processors under load, ten times, each at the first try, and does what a debugger does; the load goes on."""
    with tempfile.TemporaryDirectory() as folder:
        client = compile_radare2(folder)
        function, = test_kd.symbols("HalSwitchStack")
        with metal.boot(com2=True, cpus=4, options=[("debug", "on")], execute=[LOAD]) as machine:
            machine.wait_for_log("win: the desktop", 120)
            for _ in range(10):
                result = run_client([client, machine.com2, f"{function:x}", f"{kernel_base(machine.log):x}"])
                assert result.returncode == 0, result.stdout
                for wanted in ("attached, 4 processors", "process 4 System", "breakpoint\nstep\ngone on"):
                    assert wanted in result.stdout, result.stdout
                names = re.findall(r"^module [0-9a-f]+ [0-9a-f]+ (.*)$", result.stdout, re.M)
                assert names[0].endswith("moskrnl.exe"), result.stdout
            print("#", "\n# ".join(result.stdout.splitlines()))
            there = len(machine.output)
            machine.wait_until(lambda: len(machine.output) > there, 120, "next round of calls")
            assert machine.bugcheck is None


@metal.limit(300)
def test_kdmp_parser():
    """Header, registers, translation and the failing thread's stack, as another reader sees them."""
    library = os.path.join(sources("METALOS_KDMP_PARSER", "kdmp-parser"), "src", "lib")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(library, "kdmp-parser-version.h.in"), encoding="ascii") as file:
            version = re.sub(r"@\w+@", "0", file.read())
        with open(os.path.join(folder, "kdmp-parser-version.h"), "w", encoding="ascii") as file:
            file.write(version)
        reader, dump = os.path.join(folder, "reader"), os.path.join(folder, "memory.dmp")
        subprocess.run(["g++", "-std=c++20", "-w", "-I", library, "-I", folder, "-o", reader, os.path.join(FOREIGN, "kdmp.cc")],
                       check=True)
        for crash in ("read-null", "stack-overflow", "dpc", "heap-overrun"):
            with metal.boot(cpus=2, options=[("crash", crash), ("bugcheck", "exit")]) as machine:
                machine.wait_for_end(60)
                machine.stop()
                ours = crashdump.take(machine.image)
                with open(dump, "wb") as file:
                    file.write(ours.data)
                base, size, _ = ours.modules()[0]
                text = subprocess.run([reader, dump, f"{base:x}"], check=True, capture_output=True, text=True).stdout
                report = machine.bugcheck
            assert f"bugcheck {ours.bugcheck.code:x} {ours.bugcheck.p1:x}\n" in text and "kernel MZ\n" in text, text[:400]
            assert f"pages {len(ours.offsets)}\n" in text, text[:400]
            rip, rsp = (int(n, 16) for n in re.search(r"rip (\w+) rsp (\w+)", text).groups())
            assert (rip, rsp) == (ours.register(crashdump.RIP), ours.register(crashdump.RSP)), report
            if crash == "stack-overflow":  # its rsp is in the guard page
                continue
            words = [int(word, 16) - base - 1 for word in re.findall(r"^stack (\w+)$", text, re.M)]
            names = crashdump.names_of([rip - base] + [rva for rva in words if 0x1000 <= rva < size])
            chain = iter(names)
            for wanted in ("CrashMiddle", "CrashOuter", "KdCrash", "CrashIfAsked"):
                assert wanted in chain, (crash, wanted, names)
