"""DOOM started and closed by hand, as often as somebody might in an evening."""
# SPDX-License-Identifier: MIT
import metal
import test_play

MINUTES = 5


@metal.limit(1800)
def test_twenty_starts_from_the_launcher_leave_nothing_behind():
    test_play.check_starts(20)
