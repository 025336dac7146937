"""All limits on four processors, a thousand damaged images and a thousand programs killed at any moment."""
# SPDX-License-Identifier: MIT
import metal
import test_limits

MINUTES = 15

HOUR = 3600


@metal.limit(2 * HOUR)
def test_limits_four_processors():
    test_limits.check(metal.run("/tests/limits.exe -rounds 1000", cpus=4, timeout=2 * HOUR))


@metal.limit(HOUR)
def test_limits_sanitized():
    for kernel in ("ubsan", "kasan"):
        test_limits.check(metal.run("/tests/limits.exe -rounds 100", cpus=2, kernel=kernel, timeout=HOUR // 2))
