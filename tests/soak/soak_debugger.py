"""`make debug`'s way into a running kernel: lldb at QEMU's stub, symbols at the slid base, and the helper commands."""
# SPDX-License-Identifier: MIT
import os
import re
import shutil
import socket
import subprocess

import metal

MINUTES = 1
LLDB = "lldb-19"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def lldb(log, port, *commands):
    arguments = [LLDB, "--no-lldbinit", "--batch", "-o", f"target create {metal.BUILD}/kernel/moskrnl.exe",
                 "-o", f'settings set target.source-map "X:\\\\" {metal.ROOT}',
                 "-o", "settings set plugin.process.gdb-remote.packet-timeout 60",
                 "-o", f"command script import {metal.ROOT}/tools/lldb/metalos.py", "-o", f"metalos attach {port}",
                 "-o", f"metalos load {log}"]
    for command in commands:
        arguments += ["-o", command]
    result = subprocess.run([*arguments, "-o", "detach"], timeout=150, check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, cwd=metal.ROOT)
    return result.stdout


@metal.limit(400)
def test_lldb():
    """Stops by name and by line, with stacks as the source has it; threads, processes, handles, pages, locks; goes on."""
    if not shutil.which(LLDB):
        raise metal.Skip("lldb-19 is not installed (tools/setup debug)")
    with open(os.path.join(metal.ROOT, "kernel", "ke", "timer.c"), encoding="utf-8") as file:
        line = 1 + next(n for n, text in enumerate(file) if "prcb->TimerExpired = false" in text)
    port = free_port()
    with metal.boot(extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as machine:
        machine.wait_for_log("win: the desktop", 120)
        log = os.path.join(machine.folder, "log")
        with open(log, "w", encoding="utf-8") as file:
            file.write(machine.log)
        text = lldb(log, port, "breakpoint set --hardware --name HalSwitchStack", "continue", "bt",
                    "breakpoint delete --force", f"breakpoint set --hardware --file timer.c --line {line}", "continue", "bt",
                    "breakpoint delete --force", "metalos threads", "metalos processes", "metalos pages", "metalos locks")
        for wanted in (r"stop reason = breakpoint 1", r"frame #0: .*HalSwitchStack", r"stop reason = breakpoint 2",
                       rf"KiExpireTimers.* at timer\.c:{line}", r"init\.exe", r"PageKernelImage",
                       r"frame #\d: .*KiDispatchPendingWork"):
            assert re.search(wanted, text), f"{wanted}\n{text}"
        process = re.search(r"^[0-9a-f]{16} +(\d+) +\d+ +\d+ +init\.exe", text, re.M)[1]
        assert re.search(r"^ +\d+  [0-9a-f]{16}  access", lldb(log, port, f"metalos handles {process}"), re.M), text
        machine.screenshot(os.path.join(machine.folder, "alive.png"))
        assert not machine.stopped
