"""Long abuse: random calls, failing allocations, sanitized kernels, the same thing a thousand times."""
# SPDX-License-Identifier: MIT
import metal
import test_abuse
import test_api

MINUTES = 70

GROUPS = ("system memory sections files directories pipes handles waits objects sharing races locks lists threads windows libraries tls "
          "fpu stdio strings stdlib math time posix setjmp mappings poll exceptions heap pthreads processes exitcodes console lessons leaks").split()
# Those that do the same ten thousand times, or take seconds: so many failures of each call stack, instead of each allocation.
PER_STACK = {"handles": 8, "threads": 4, "windows": 2, "heap": 4, "races": 4, "leaks": 4}
HOUR = 3600


def check(result):
    assert result.code == 0, result.output[-4000:]


def test_sanitizer_notices():
    for crash, words in (("freed-block", "read of 1 bytes"), ("behind-block", "behind a heap block"),
                         ("behind-variable", "behind a variable")):
        test_abuse.check_notice("kasan", crash, words)


@metal.limit(2 * HOUR)
def test_random_calls():
    """A million on four processors, from 20 seeds and more."""
    check(metal.run("/tests/stress.exe -rounds 20 -calls 20000 -time 120000 -total 1000000", cpus=4, timeout=2 * HOUR))


@metal.limit(HOUR)
def test_random_calls_sanitized():
    for kernel in ("ubsan", "kasan"):
        check(metal.run("/tests/stress.exe -seed 1000 -rounds 20 -calls 5000 -time 60000", cpus=4, kernel=kernel,
                        timeout=HOUR // 2))


@metal.limit(HOUR)
def test_interface_sanitized():
    """Everything apitest knows, and every bad argument, on the sanitized kernels."""
    for kernel in ("ubsan", "kasan"):
        for cpus in (1, 4):
            test_api.check(metal.run("/tests/apitest.exe", timeout=HOUR // 4, kernel=kernel, cpus=cpus))
        check(metal.run("/tests/abuse.exe pointers races failures", kernel=kernel, cpus=4, timeout=HOUR // 4))


@metal.limit(HOUR)
def test_thousand_programs():
    check(metal.run('/tests/abuse.exe repeat 1000 "/tests/apitest.exe --child nothing"', cpus=2, timeout=HOUR))


@metal.limit(HOUR)
def test_thousand_windows():
    check(metal.run("/tests/abuse.exe windows 1000", cpus=2, timeout=HOUR))


@metal.limit(2 * HOUR)
def test_doom_runs():
    check(metal.run('/tests/abuse.exe repeat 20 "doom.exe -iwad freedoom1.wad -timedemo demo1 -nosound -nomusic -nosfx -nogui"',
                    timeout=2 * HOUR))


@metal.limit(HOUR)
def test_races():
    """What threads do to each other, again and again."""
    check(metal.run('/tests/abuse.exe repeat 30 "/tests/apitest.exe races pipes waits sharing locks lists"', cpus=4, timeout=HOUR))


def _failing(group):
    @metal.limit(HOUR)
    def test():
        """A group of apitest as often as it allocates, with the first, the second ... allocation failing."""
        result = metal.run(f'/tests/abuse.exe programs {PER_STACK.get(group, 0)} "/tests/apitest.exe {group}"', kernel="ubsan", timeout=HOUR)
        check(result)
        assert ", 0 times it waited" in result.output, result.output[-4000:]
    return test


for _group in GROUPS:
    globals()["test_failing_" + _group] = _failing(_group)
