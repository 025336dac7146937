#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a libFuzzer program as a test: `run_fuzzer.py PROGRAM [FIRST_INPUT...]`, the same work every time."""
import os
import subprocess
import sys
import tempfile

RUNS = 5000

program, inputs = sys.argv[1], sys.argv[2:]
longest = max([4096] + [os.path.getsize(path) for path in inputs])
# A finding is left beside the program as crash-HASH.
findings = os.path.join(os.path.dirname(os.path.abspath(program)), "")
command = [program, f"-artifact_prefix={findings}", f"-runs={RUNS}", "-seed=1",
           f"-max_len={longest}", "-timeout=10", "-verbosity=0"]
if inputs:
    command.append("-seed_inputs=" + ",".join(inputs))
with tempfile.TemporaryDirectory() as folder:
    sys.exit(subprocess.run(command + [folder]).returncode)
