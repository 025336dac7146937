"""All of SQLite's stored cases and its long tests, and the results of the same sources built for Linux."""
# SPDX-License-Identifier: MIT
import glob
import os
import re
import sqlite3
import subprocess
import tempfile

import metal

MINUTES = 60

PORT = os.path.join(metal.BUILD, "ports", "sqlite")
SOURCES = os.path.join(os.environ.get("METALOS_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "metalos"), "sources", "sqlite-3.40.1")
HOUR = 3600


def program(name):
    return os.path.join(PORT, name + ".exe"), f"/tests/{name}.exe"


def build_for_linux(folder, name):
    path = os.path.join(folder, name)
    subprocess.run(["clang-19", "-O1", "-w", "-DNDEBUG", "-DSQLITE_THREADSAFE=1", "-DHAVE_USLEEP=1", "-DSQLITE_ENABLE_MATH_FUNCTIONS", f"-I{PORT}", "-o", path,
                    os.path.join(SOURCES, "test", name + ".c"), os.path.join(PORT, "sqlite3.c"), "-lm", "-lpthread", "-ldl"], check=True)
    return path


def is_sound(data):
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        file.write(data)
        file.flush()
        with sqlite3.connect(file.name) as database:
            return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def fuzz(number):
    cases = os.path.join(SOURCES, "test", f"fuzzdata{number}.db")
    result = metal.run(f"/tests/fuzzcheck.exe --limit-mem 100M /tests/{number}.db", copy=[program("fuzzcheck"), (cases, f"/tests/{number}.db")],
                       memory=2048, timeout=2 * HOUR)
    assert result.code == 0 and "fuzzcheck: 0 errors" in result.output, result.output[-2000:]


def make_fuzz_test(number):
    @metal.limit(2 * HOUR)
    def test():
        fuzz(number)
    return test


for _path in glob.glob(os.path.join(SOURCES, "test", "fuzzdata*.db")):
    _number = re.search(r"(\d+)\.db$", _path).group(1)
    globals()[f"test_fuzzcheck_{_number}"] = make_fuzz_test(_number)


def threadtest3(cases):
    """Runs some of its cases, or all for ''; the names of those with errors, and what was said."""
    result = metal.run("/tests/threadtest3.exe " + cases, copy=[program("threadtest3")], memory=1024, cpus=2, timeout=HOUR)
    failed, running = [], None
    for line in result.output.splitlines():
        if line.startswith("Running "):
            running = line.split()[1]
        elif line.startswith("Error:") and running not in failed:
            failed.append(running)
    summary = re.search(r"(\d+) errors out of (\d+) tests", result.output)
    assert summary and (summary[1] == "0") == (not failed), result.output[-2000:]
    return failed, result.output


@metal.limit(2 * HOUR)
def test_threadtest3():
    """All 15. Their threads give up a lock after five seconds, which can happen on a host that is busy with other things: a case
    in which nothing else went wrong is run again by itself."""
    failed, output = threadtest3("")
    assert "out of 15 tests" in output, output
    for case in failed:
        errors = [line for line in output.splitlines() if line.startswith("Error:")]
        assert all("database is locked" in line for line in errors), output
        again, said = threadtest3(case)
        assert not again, said


@metal.limit(HOUR)
def test_speedtest1():
    """The hash over all results, with and without the write-ahead log."""
    with tempfile.TemporaryDirectory() as folder:
        native = build_for_linux(folder, "speedtest1")
        for mode in ("wal", "delete"):
            options = f"--size 100 --verify --journal {mode}"
            linux = subprocess.run([native, *options.split(), os.path.join(folder, mode + ".db")], capture_output=True, text=True, check=True).stdout
            result = metal.run(f"/tests/speedtest1.exe {options} /tests/speed.db", copy=[program("speedtest1")], fetch=["/tests/speed.db"],
                               timeout=HOUR)
            assert result.code == 0 and linux.splitlines()[-1] in result.output, result.output[-2000:]
            assert is_sound(result.fetched[0])


@metal.limit(HOUR)
def test_kvtest():
    with tempfile.TemporaryDirectory() as folder:
        native = build_for_linux(folder, "kvtest")
        database = os.path.join(folder, "kv.db")
        subprocess.run([native, "init", database, "--count", "5000", "--size", "10000"], check=True)
        linux = subprocess.run([native, "stat", database], capture_output=True, text=True, check=True).stdout
        commands = [f"/tests/kvtest.exe {command}" for command in
                    ("init /tests/kv.db --count 5000 --size 10000", "run /tests/kv.db --count 5000 --random", "run /tests/kv.db --count 5000 --update",
                     "run /tests/kv.db --count 5000 --jmode wal --update", "run /tests/kv.db --count 5000 --mmap 10000000", "stat /tests/kv.db")]
        result = metal.run(*commands, copy=[program("kvtest")], fetch=["/tests/kv.db"], timeout=HOUR)
        assert result.code == 0 and linux.strip() in result.output, result.output[-2000:]
        assert is_sound(result.fetched[0])
