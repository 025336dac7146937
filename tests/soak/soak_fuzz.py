"""The fuzzers, each for a minute's worth of work and with another seed each time."""
# SPDX-License-Identifier: MIT
import os
import secrets
import subprocess
import tempfile

import metal

MINUTES = 25

SECONDS = 60


def _test(name):
    @metal.limit(10 * SECONDS)
    def test():
        program = os.path.join(metal.BUILD, "tests", "fuzz", name)
        seed = secrets.randbelow(2 ** 31)
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([program, f"-max_total_time={SECONDS}", f"-seed={seed}", "-timeout=10", "-verbosity=0",
                                     folder], cwd=metal.KEPT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert result.returncode == 0, f"seed {seed}; the input is in {metal.KEPT}\n" + \
            result.stdout.decode(errors="replace")[-4000:]
    return test


for _name in sorted(os.listdir(os.path.join(metal.BUILD, "tests", "fuzz"))):
    if _name.startswith("fuzz_") and "." not in _name:
        globals()["test_" + _name] = _test(_name)
