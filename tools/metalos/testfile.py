"""Runs the test functions of one file, for tools/test; prints a line for each as it ends.

    testfile.py FILE [NAME...]
"""
# SPDX-License-Identifier: MIT
import importlib.util
import os
import signal
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LIMIT = 300  # seconds a test may take unless it says otherwise


class LimitReached(Exception):
    """Out of time."""


def tests_of(path):
    """(name, function) of the tests in a file, in the order in which they stand there."""
    for folder in (os.path.join(ROOT, "tests", "system"), os.path.join(ROOT, "tools"),
                   os.path.dirname(os.path.abspath(path))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(f"{name}.{key.removeprefix('test_')}", value) for key, value in vars(module).items()
            if key.startswith("test_") and callable(value)]


def _alarm(*_):
    raise LimitReached("the test did not end in its time")


def run(name, function):
    """Runs one test; returns whether it passed."""
    import metal  # of tests/system, on the path by now
    metal.current_test = name
    signal.signal(signal.SIGALRM, _alarm)
    start = time.monotonic()
    signal.alarm(getattr(function, "limit", LIMIT))
    word, detail = "ok", ""
    try:
        function()
    except metal.Skip as reason:
        word, detail = "skip", str(reason)
    except Exception:  # whatever a test raises is its failure
        word, detail = "not ok", traceback.format_exc()
    finally:
        signal.alarm(0)
    print(f"{word} - {name} ({time.monotonic() - start:.1f} s)")
    for line in detail.splitlines():
        print(f"#   {line}")
    sys.stdout.flush()
    return word != "not ok"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted = sys.argv[2:]
    try:
        tests = tests_of(sys.argv[1])
    except Exception:
        print(f"not ok - {os.path.basename(sys.argv[1])} cannot be loaded")
        print("\n".join("#   " + line for line in traceback.format_exc().splitlines()))
        return 1
    passed = [run(name, function) for name, function in tests
              if not wanted or any(word in name for word in wanted)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
