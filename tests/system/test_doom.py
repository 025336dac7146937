"""DOOM against Debian's own chocolate-doom, frame by frame.

The reference is made here: tests/doom/oracle.c, loaded into Debian's unmodified program, gives it a clock that
only waiting moves and writes what every frame shows. doom.exe -framehashes writes the same from the same clock.
"""
# SPDX-License-Identifier: MIT
import os
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


def play(wad, demos, timeout):
    """The lines doom.exe writes for each of the demos, played one after another in one machine."""
    programs = [f"doom.exe -iwad {wad} -timedemo {demo} {' '.join(SILENT)} -framehashes /{demo}.txt" for demo in demos]
    result = metal.run(*programs, timeout=timeout, fetch=[f"/{demo}.txt" for demo in demos])
    assert result.output.count("gametics") == len(demos), result.output[-2000:]
    return [frames.decode("ascii").splitlines() for frames in result.fetched]


def compare(wad, demos, timeout, pixels=True):
    folder = tempfile.mkdtemp(prefix="metalos-doom-")
    try:
        expected = [reference(wad, demo, folder) for demo in demos]
    finally:
        shutil.rmtree(folder)
    actual = play(wad, demos, timeout)
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
def test_freedoom2_demo_has_as_many_frames():
    compare("freedoom2.wad", ["demo1"], 800, pixels=False)
