"""DOOM against Debian's own chocolate-doom, frame by frame.

The reference is made here: tests/doom/oracle.c, loaded into Debian's unmodified program, gives it a clock that
only waiting moves and writes what every frame shows. doom.exe -framehashes writes the same from the same clock.
"""
# SPDX-License-Identifier: MIT
import os
import re
import shutil
import subprocess
import tempfile

import metal

ENGINE = "/usr/games/chocolate-doom"
SILENT = ["-nosound", "-nomusic", "-nosfx", "-nogui"]


def reference(wad, demo, folder):
    """The lines Debian's chocolate-doom writes for a demo of a WAD."""
    if not os.path.exists(ENGINE):
        raise metal.MachineError(f"{ENGINE} is missing: run `make test`, whose set-up installs it")
    library = os.path.join(folder, "oracle.so")
    if not os.path.exists(library):
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                        "-I" + os.path.join(metal.SOURCES, "sdl2-headers"),
                        "-I" + os.path.join(metal.SOURCES, "sdl2-headers", "SDL2"),
                        "-o", library, os.path.join(metal.ROOT, "tests", "doom", "oracle.c"), "-ldl"], check=True)
    frames = os.path.join(folder, f"{demo}.txt")
    # setarch -R: a few demos read past a texture's end, so addresses must not vary.
    subprocess.run(["setarch", "-R", ENGINE, "-iwad", os.path.join(metal.SOURCES, "freedoom-0.12.1", wad),
                    "-timedemo", demo, *SILENT, "-window", "-config", os.path.join(folder, "a.cfg"),
                    "-extraconfig", os.path.join(folder, "b.cfg")],
                   env={**os.environ, "HOME": folder, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy",
                        "METALOS_FRAME_HASHES": frames, "LD_PRELOAD": library},
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, check=False, timeout=240)
    with open(frames, encoding="ascii") as file:
        return file.read().splitlines()


def play(wad, demos, timeout, **options):
    """The lines doom.exe writes for each of the demos, played one after another in one machine."""
    programs = [f"doom.exe -iwad {wad} -timedemo {demo} {' '.join(SILENT)} -framehashes /{demo}.txt" for demo in demos]
    result = metal.run(*programs, timeout=timeout, fetch=[f"/{demo}.txt" for demo in demos], **options)
    assert result.output.count("gametics") == len(demos), result.output[-2000:]
    return [frames.decode("ascii").splitlines() for frames in result.fetched]


def compare(wad, demos, timeout, pixels=True, **options):
    folder = tempfile.mkdtemp(prefix="metalos-doom-")
    try:
        expected = [reference(wad, demo, folder) for demo in demos]
    finally:
        shutil.rmtree(folder)
    actual = play(wad, demos, timeout, **options)
    for demo, want, got in zip(demos, expected, actual):
        assert len(want) > 100, f"{wad} {demo}: the reference has only {len(want)} frames"
        assert len(got) == len(want), f"{wad} {demo}: {len(got)} frames, the reference has {len(want)}"
        if pixels:
            for ours, theirs in zip(got, want):
                assert ours == theirs, f"{wad} {demo}: frame '{ours}', the reference has '{theirs}'"


@metal.limit(900)
def test_freedoom1_demos_match_every_frame():
    compare("freedoom1.wad", ["demo1", "demo2"], 800)


@metal.limit(900)
def test_freedoom2_demos_have_as_many_frames():
    compare("freedoom2.wad", ["demo1", "demo2", "demo3"], 800, pixels=False)


@metal.limit(600)
def test_speed():
    """35 pictures a second, DOOM's own pace, in its window of twice the size, with software emulation."""
    rates = []
    for _ in range(3):  # a busy host may spoil one
        result = metal.run("doom.exe -2 -iwad freedoom1.wad -timedemo demo1", timeout=180)
        said = re.search(r"timed (\d+) gametics in \d+ realtics \((\S+) fps\)", result.output)
        assert said and int(said.group(1)) > 1000, result.output[-2000:]
        rates.append(float(said.group(2)))
        print(f"# {rates[-1]:.1f} frames a second")
        if rates[-1] >= 35:
            return
    assert False, f"frames a second: {rates}"
