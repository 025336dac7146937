"""A hundred debuggers come and go while DOOM runs, some with the cable pulled in the middle of a packet."""
# SPDX-License-Identifier: MIT
import os
import sys

import metal

sys.path.insert(0, os.path.join(metal.ROOT, "tests", "kd"))
import test_kd as kd_tests  # noqa: E402

MINUTES = 20


@metal.limit(3600)
def test_a_hundred_attachments():
    done = 0
    while done < 100:  # the demo runs as long as so many rounds take
        kd_tests.attach_rounds(10)
        done += 10
