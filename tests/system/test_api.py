"""Every call of MetalOS.h, the C library and the lessons of an earlier system, tested from inside by apitest.exe."""
# SPDX-License-Identifier: MIT
import re

import metal

SUMMARY = re.compile(r"^apitest: (\d+) passed, (\d+) failed$", re.MULTILINE)


def check(result):
    summary = SUMMARY.search(result.output)
    assert summary, f"no summary; exit code {result.code}\n{result.output}"
    assert result.code == 0 and summary[2] == "0", result.output
    return int(summary[1])


@metal.limit(300)
def test_api():
    assert check(metal.run("/tests/apitest.exe", timeout=280)) > 10000


@metal.limit(200)
def test_api_in_little_memory():
    check(metal.run("/tests/apitest.exe memory heap threads processes leaks", timeout=180, memory=96))


def test_missing_program():
    result = metal.run("nosuchprogram.exe with arguments")
    assert result.code == 127, result.output
    assert "cannot start nosuchprogram.exe with arguments" in result.output, result.output
    assert "StatusNotFound" in result.output, result.output


def test_exit_code():
    assert metal.run("/tests/apitest.exe --child return 42").code == 42
