"""Commands for lldb on a stopped MetalOS kernel: `command script import tools/lldb/metalos.py`, then `metalos load`.

    metalos attach PORT    attaches to QEMU's debugger stub; the machine stops
    metalos load [LOG]     loads the symbols where the log (out/debug.log) says that the kernel is
    metalos threads        every thread: where it runs or waits, its process, its name
    metalos processes      every process: number, parent, threads, handles, name
    metalos handles ID     the handle table of a process
    metalos pages          page frames by use
    metalos locks          spin locks that are held, and by which processor
"""
# SPDX-License-Identifier: MIT
import os
import re
import shlex
import struct
import time

import lldb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PREFERRED = 0xFFFFF80000000000
STATES = ("new", "ready", "running", "waiting", "ended")


class CommandError(Exception):
    """Said to the person instead of a result."""


def variable(target, name):
    found = target.FindFirstGlobalVariable(name)
    if not found.IsValid():
        raise CommandError(f"there is no variable {name} (metalos load?)")
    return found


def kind(target, name):
    found = target.FindFirstType(name)
    if not found.IsValid():
        raise CommandError(f"there is no type {name}")
    return found


def number(value, path):
    for name in path.split("."):
        value = value.GetChildMemberWithName(name)
    return value.GetValueAsUnsigned()


def text(value, name):
    raw = value.GetChildMemberWithName(name).GetData()
    return bytes(raw.uint8s).split(b"\0")[0].decode(errors="replace")


def entries(target, head, type_name, link):
    """The structures of a list, by the name of the member that links them."""
    of = kind(target, type_name)
    offset = next(f.GetOffsetInBytes() for f in of.get_fields_array() if f.GetName() == link)
    end, at = head.GetLoadAddress(), number(head, "Next")
    for _ in range(100000):
        if at in (0, end):
            return
        address = lldb.SBAddress(at - offset, target)
        item = target.CreateValueFromAddress("item", address, of)
        yield item
        at = number(item, link + ".Next")


def attach(target, arguments):
    # lldb waits for the first answer for no time at all, which a machine that is running may not manage.
    for _ in range(20):
        outcome = lldb.SBCommandReturnObject()
        target.GetDebugger().GetCommandInterpreter().HandleCommand(f"gdb-remote 127.0.0.1:{int(arguments[0])}", outcome)
        if outcome.Succeeded():
            return ["attached"]
        time.sleep(0.1)
    raise CommandError(outcome.GetError())


def load(target, arguments):
    log = arguments[0] if arguments else os.path.join(ROOT, "out", "debug.log")
    with open(log, encoding="utf-8", errors="replace") as file:
        found = re.search(r"kernel at ([0-9a-f]{16})", file.read())
    if not found:
        raise CommandError(f"{log} does not say where the kernel is")
    slide = int(found[1], 16) - PREFERRED
    error = target.SetModuleLoadAddress(target.GetModuleAtIndex(0), slide)
    if error.Fail():
        raise CommandError(error.GetCString())
    return [f"kernel at {found[1]}, symbols loaded"]


def threads(target, _):
    lines = ["address           id  process  state    cpu  priority  name"]
    for thread in entries(target, variable(target, "AllThreads"), "KThread", "AllLink"):
        process = thread.GetChildMemberWithName("OwnProcess").Dereference()
        lines.append(f"{thread.GetLoadAddress():016x} {number(thread, 'Id'):3}  {number(process, 'Id'):7}  "
                     f"{STATES[min(number(thread, 'State'), 4)]:8} {number(thread, 'Processor'):3}  "
                     f"{number(thread, 'Priority'):8}  {text(thread, 'Name')}")
    return lines


def each_process(target):
    return entries(target, variable(target, "Processes"), "PsProcess", "Link")


def processes(target, _):
    lines = ["address           id  parent  threads  name"]
    for process in each_process(target):
        lines.append(f"{process.GetLoadAddress():016x} {number(process, 'Id'):3}  {number(process, 'ParentId'):6}  "
                     f"{number(process, 'ActiveThreads'):7}  {text(process, 'Name')}")
    return lines


def table_of(target, table):
    """The open entries of an ObHandleTable (kernel/ob/handle.c): body, access, generation, flags in 16 bytes."""
    size, lines, error = 16, ["entry  object            access"], lldb.SBError()
    leaves = table.GetChildMemberWithName("Leaves")
    for index in range(number(table, "Used")):
        leaf = leaves.GetChildAtIndex(index // (4096 // size)).GetValueAsUnsigned()
        data = target.GetProcess().ReadMemory(leaf + index % (4096 // size) * size, size, error)
        body, access = struct.unpack_from("<QI", data) if error.Success() else (0, 0)
        if body:
            lines.append(f"{index:5}  {body:016x}  access {access:x}")
    return lines


def handles(target, arguments):
    if not arguments:
        raise CommandError("of which process? metalos processes lists them")
    for process in each_process(target):
        if number(process, "Id") == int(arguments[0], 0):
            return table_of(target, process.GetChildMemberWithName("Handles").Dereference())
    raise CommandError("there is no such process")


def pages(target, _):
    counters = variable(target, "MiCounters")
    lines = [f"{number(counters, 'PagesTotal')} pages, {number(counters, 'PagesFree')} free, "
             f"{number(counters, 'PagesPromised')} promised; heap: {number(counters, 'HeapBytes')} bytes"]
    uses = counters.GetChildMemberWithName("PagesByUse")
    for index, member in enumerate(kind(target, "MmPageUse").get_enum_members_array()):
        count = uses.GetChildAtIndex(index).GetValueAsUnsigned()
        if count:
            lines.append(f"{count:8} {member.GetName()}")
    return lines


def locks(target, _):
    lines = []
    for module_variable in target.FindGlobalVariables(".*", 20000, lldb.eMatchTypeRegex):
        if module_variable.GetTypeName() == "KSpinLock" and number(module_variable, "Value"):
            lines.append(f"{module_variable.GetName()} held by processor {number(module_variable, 'Value') - 1}")
    return lines or ["none of the kernel's own is held"]


COMMANDS = {"attach": attach, "load": load, "threads": threads, "processes": processes, "handles": handles, "pages": pages, "locks": locks}


def metalos(debugger, command, result, _):
    """Looks at a stopped MetalOS: load, threads, processes, handles ID, pages, locks."""
    words = shlex.split(command)
    try:
        if not words or words[0] not in COMMANDS:
            raise CommandError(__doc__.partition("\n\n")[2].rstrip())
        result.PutCString("\n".join(COMMANDS[words[0]](debugger.GetSelectedTarget(), words[1:])))
    except (CommandError, OSError, ValueError) as error:
        result.SetError(str(error))


def __lldb_init_module(debugger, _):
    debugger.HandleCommand("command script add --overwrite --function metalos.metalos metalos")
