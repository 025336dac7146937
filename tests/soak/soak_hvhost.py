"""The Gen2 machine itself, with guests that are not ours."""
# SPDX-License-Identifier: MIT
import os
import subprocess

import metal


@metal.limit(3600)
def test_linux_and_ipxe_on_the_gen2_machine():
    subprocess.run([os.path.join(metal.ROOT, "tools", "setup"), "hyperv", "validate"], check=True)
    result = subprocess.run([os.path.join(metal.ROOT, "tools", "hvhost", "validate"), "all"], check=False,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
