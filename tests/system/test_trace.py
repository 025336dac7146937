"""The event trace and the profiler: what they say of DOOM, and that it is so."""
# SPDX-License-Identifier: MIT
import collections
import json
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree

import metal
from metalos import machine, trace

DOOM = "doom.exe -iwad freedoom1.wad -timedemo demo1 -nosound"
PLUGIN = os.path.join(metal.BUILD, "tools", "libicount.so")


def test_second_of_doom():
    """One second of it, on two processors: JSON that loads, whose slices begin and end, and that knows who did what."""
    result = metal.run(f"trace -o /t.bin -d 1500 -t 1000 {DOOM}", cpus=2, fetch=["/t.bin"])
    assert result.code == 0, result.output
    recorded = trace.read(result.fetched[0])
    events = trace.to_json(recorded)
    path = os.path.join(metal.KEPT, "doom-trace.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"traceEvents": events}, file)
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    assert trace.check(events) == []
    times = [event["ts"] for event in events if "ts" in event]
    assert 900_000 < max(times) - min(times) < 3_000_000, (min(times), max(times))
    processes = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    assert {"doom.exe", "trace.exe", "system", "processors"} <= set(processes), processes
    calls = collections.Counter(e["name"] for e in events if e["ph"] == "B" and e["pid"] == processes["doom.exe"])
    assert calls["PaintWindow"] > 5 and calls["QueryTime"] > 5, calls
    on_cpu = collections.Counter(e["name"] for e in events if e["ph"] == "B" and e["pid"] == processes["processors"])
    assert on_cpu["doom.exe"] >= 1 and any(name.startswith("interrupt") for name in on_cpu), on_cpu
    assert {r.processor for r in recorded.records} == {0, 1}


def test_every_kind():
    """A program that uses the disk, from its start: each kind of event is there, and each thread has a name."""
    result = metal.run("trace -o /t.bin -e sfctip /tests/apitest.exe files", fetch=["/t.bin"])
    assert result.code == 0, result.output
    recorded = trace.read(result.fetched[0])
    kinds = collections.Counter(record.kind for record in recorded.records)
    wanted = set(range(trace.SWITCH, trace.MODULE_END + 1)) - {trace.PROCESS_END, trace.MODULE_END}
    assert wanted <= set(kinds), kinds
    events = trace.to_json(recorded)
    assert trace.check(events) == []
    names = {trace.name_of(r) for r in recorded.records if r.kind == trace.PROCESS}
    assert {"apitest.exe", "trace.exe"} <= names, names
    opened = {(e["id"], e["ph"]) for e in events if e.get("cat") == "disk"}
    assert opened, "no disk transfer"
    kernel = trace.kernel_names([a for r in recorded.records if r.kind == trace.SAMPLE for a in trace.stack_of(r)])
    assert "HalpSystemCallEntry" in kernel.values() or not kernel, kernel


def counted_functions(profile, bases):
    """Instructions by "module!function", from the plugin's blocks and another reader of the PDBs."""
    blocks = collections.defaultdict(collections.Counter)
    for line in profile.splitlines():
        address, count = line.split()
        address = int(address, 16)
        for module, (base, size, image) in bases.items():
            if 0 <= address - base < size:
                blocks[module, image][address - base] += int(count)
    functions = collections.Counter()
    for (module, image), counts in blocks.items():
        text = subprocess.run(["llvm-symbolizer-19", f"--obj={image}", "--relative-address", "--no-inlines"],
                              input="".join(f"{rva:#x}\n" for rva in counts), check=True, capture_output=True,
                              text=True).stdout
        for count, block in zip(counts.values(), text.strip().split("\n\n")):
            functions[f"{module}!{block.splitlines()[0]}"] += count
    return functions


@metal.limit(400)
def test_profile_against_instruction_counter():
    """The functions of DOOM in which most instructions are executed are those that prof.exe names, in like proportions."""
    with tempfile.TemporaryDirectory() as folder:
        marks, counted = os.path.join(folder, "marks"), os.path.join(folder, "profile")
        result = metal.run(f"prof -p 2000 -r 60 -o /graph.svg -d 1500 -t 2500 {DOOM}", timeout=350, fetch=["/graph.svg"],
                           options=[("log", "debug")],
                           extra=machine.count_time() + machine.count_instructions(PLUGIN, marks, counted))
        with open(counted, encoding="ascii") as file:
            profile = file.read()
    assert result.code == 0, result.output
    found = {name: float(share) for share, name in re.findall(r"^ *([\d.]+)% +[\d.]+% +\d+  (\S+)$", result.output, re.M)}
    bases = {}
    for name, image in (("doom", "apps/doom.exe"), ("mosrt", "runtime/mosrt.dll")):
        path = os.path.join(metal.BUILD, image)
        base = re.search(r"has \S*/%s at ([0-9a-f]+)" % re.escape(os.path.basename(image)), result.log)
        assert base, result.log[-2000:]
        bases[name] = (int(base[1], 16), os.path.getsize(path) * 2, path)
    functions = counted_functions(profile, bases)
    everything = sum(functions.values())
    sampled = sum(share for name, share in found.items() if name.partition("!")[0] in bases)
    lines = []
    for name, count in functions.most_common(8):
        share, seen = 100 * count / everything, 100 * found.get(name, 0) / sampled
        lines.append(f"{name}: {share:.1f} % of the instructions, {seen:.1f} % of the samples")
        print("#", lines[-1])
        if share >= 3:
            assert abs(share - seen) < max(3, share * 0.4), "\n".join(lines) + "\n" + result.output
    top = [name for name, _ in functions.most_common(5)]
    most = sorted((name for name in found if name.partition("!")[0] in bases), key=found.get, reverse=True)[:8]
    assert set(top) <= set(most), (top, most)
    graph = xml.etree.ElementTree.fromstring(result.fetched[0])
    titles = [title.text for title in graph.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("doom!R_RenderPlayerView ") for title in titles), titles[:50]
