"""Programs of others, built with the SDK: their own tests give in the guest what they give on Linux."""
# SPDX-License-Identifier: MIT
import os
import sqlite3
import subprocess
import tempfile

import metal

PORTS = os.path.join(metal.BUILD, "ports")
SOURCES = os.path.join(os.environ.get("METALOS_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "metalos"), "sources")
SCRIPT = """
local file = assert(io.open("/tests/lua.txt", "w"))
local words = {}
for word in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do words[#words + 1] = word end
table.sort(words)
file:write(table.concat(words, " "), "\\n", string.format("%.17g %q %5.1f|%x", 0.1, "a\\nb", math.pi, 255), "\\n")
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
file:write(co(), co(), co(), " ", os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), " ", 7 // 2, " ", 2 ^ 53, "\\n")
file:write(select(2, pcall(error, "caught")), " ", tostring(1 << 62), " ", utf8.char(0x20AC, 0x1F600), "\\n")
file:close()
os.exit(#arg)
"""


def at(port, program):
    return os.path.join(PORTS, port, program + ".exe"), f"/tests/{program}.exe"


def put(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def check_database(data):
    """What Linux's SQLite says to a database that the guest wrote."""
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        file.write(data)
        file.flush()
        with sqlite3.connect(file.name) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


def test_lua():
    with tempfile.TemporaryDirectory() as folder:
        script = put(folder, "test.lua", SCRIPT.encode())
        result = metal.run("lua.exe /tests/test.lua one two", copy=[(script, "/tests/test.lua")], fetch=["/tests/lua.txt"])
    assert result.code == 2, result.output
    assert result.fetched[0].decode() == (
        "brown dog fox jumps lazy over quick the the\n0.10000000000000001 \"a\\\nb\"   3.1|ff\n"
        "149 1971-01-01 00:00:00 3 9.007199254741e+15\ncaught 4611686018427387904 \u20ac\U0001F600\n"), result.fetched[0]


def test_zlib():
    """example and infcover say what they say on Linux; minigzip's output is gzip's."""
    text = bytes(range(256)) * 300 + b"MetalOS " * 5000
    with tempfile.TemporaryDirectory() as folder:
        plain = put(folder, "plain", text)
        result = metal.run("/tests/example.exe /tests/foo.gz", "/tests/infcover.exe", "minigzip.exe -9 /tests/plain",
                           copy=[at("zlib", "example"), at("zlib", "infcover"), (plain, "/tests/plain")],
                           fetch=["/tests/plain.gz"])
        assert result.code == 0, result.output
        for line in ("gzgets() after gzseek:  hello!", "large_inflate(): OK", "after inflateSync(): hello, hello!",
                     "inflate with dictionary: hello, hello!", "copy direct from output: 7408 high water mark"):
            assert line in result.output.splitlines(), result.output
        assert "not freed" not in result.output and "failed" not in result.output, result.output
        unpacked = subprocess.run(["gzip", "-dc"], input=result.fetched[0], capture_output=True, check=True).stdout
        assert unpacked == text


def test_sqlite():
    """A database on disk, with the write-ahead log and without, by kvtest, speedtest1 and the shell."""
    result = metal.run("/tests/kvtest.exe init /tests/kv.db --count 100 --size 3000",
                       "/tests/kvtest.exe run /tests/kv.db --count 100 --update",
                       "/tests/speedtest1.exe --size 1 --verify --journal wal /tests/speed.db",
                       "sqlite3.exe /tests/shell.db \"CREATE TABLE t(a, b); INSERT INTO t SELECT value, value * 0.5 FROM json_each('[1,2,3]'); "
                       "SELECT sum(b), printf('%.3f', exp(1)) FROM t; PRAGMA integrity_check;\"",
                       copy=[at("sqlite", "kvtest"), at("sqlite", "speedtest1")],
                       fetch=["/tests/kv.db", "/tests/speed.db", "/tests/shell.db"], timeout=200)
    assert result.code == 0, result.output
    lines = result.output.splitlines()
    assert "3.0|2.718" in lines and "ok" in lines, result.output
    # The hash of all results, as the same program prints it on Linux.
    assert "Verification Hash: 111130 1e792c9db61996c477b8ab5ce2d690052e8dae74824a430a" in lines, result.output
    for data in result.fetched:
        assert check_database(data) > 0


WRITERS = """cd /tests
sqlite3 w.db "PRAGMA journal_mode=wal; CREATE TABLE t(who, n);"
for who in 1 2; do
  (for i in 1 2 3; do sqlite3 -cmd ".timeout 60000" w.db "INSERT INTO t SELECT $who, value FROM generate_series(1,20);"; done) &
done
wait
sqlite3 w.db "PRAGMA integrity_check; SELECT count(*) FROM t WHERE who = 1; SELECT count(*) FROM t;"
"""


def test_sqlite_processes():
    """Two processes write the same database with a write-ahead log: its shared memory is a mapping of a file."""
    with tempfile.TemporaryDirectory() as folder:
        script = put(folder, "writers", WRITERS.encode())
        result = metal.run("/system/shell.exe /tests/writers", copy=[(script, "/tests/writers")], fetch=["/tests/w.db"], cpus=2)
    assert result.code == 0 and result.output.replace("\r", "").splitlines() == ["wal", "ok", "60", "120"], result.output
    assert check_database(result.fetched[0]) == 1


def test_sqlite_threads():
    """threadtest3's shorter cases: pthreads, shared memory, locks."""
    result = metal.run("/tests/threadtest3.exe cgt_pager_1 vacuum1", copy=[at("sqlite", "threadtest3")], timeout=200, cpus=2)
    assert result.code == 0 and "0 errors out of 2 tests" in result.output, result.output


def test_sqlite_fuzzcheck():
    """A part of SQLite's stored cases; `make soak` has them all."""
    cases = os.path.join(SOURCES, "sqlite-3.40.1", "test", "fuzzdata4.db")
    with tempfile.TemporaryDirectory() as folder:
        few = os.path.join(folder, "few.db")
        with open(cases, "rb") as source, open(few, "wb") as target:
            target.write(source.read())
        with sqlite3.connect(few) as database:
            database.execute("DELETE FROM xsql WHERE sqlid % 20 <> 0")
            count = database.execute("SELECT count(*) FROM xsql").fetchone()[0]
        database.close()
        result = metal.run("/tests/fuzzcheck.exe --limit-mem 100M /tests/few.db", copy=[at("sqlite", "fuzzcheck"), (few, "/tests/few.db")],
                           memory=1024, timeout=280)
    assert result.code == 0 and "fuzzcheck: 0 errors" in result.output, result.output
    assert count > 0
