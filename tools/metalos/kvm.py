"""Whether KVM can run the machine here: a /dev/kvm that opens may still fail to run firmware."""
# SPDX-License-Identifier: MIT
import hashlib
import os
import platform
import re
import subprocess

from . import machine

PROBE_LIMIT = 20  # seconds; firmware under KVM needs about two
FIRMWARE_SIGN = "BdsDxe"  # what OVMF prints on COM1 when it looks for something to boot


def _identity(qemu):
    """What the answer depends on: host kernel, processor, emulator."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    version = subprocess.run([qemu, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    text = "\n".join((platform.release(), platform.version(), model.group(1) if model else "", version))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Probe(machine.Machine):
    halted = False

    def _event(self, name, data):
        if name in ("STOP", "GUEST_PANICKED"):
            self.halted = True  # a "KVM internal error" stops the machine
        super()._event(name, data)


def _firmware_runs(image):
    try:
        with _Probe(image, snapshot=False, memory=128, accelerator="kvm", extra=["-snapshot"]) as probe:
            probe.start()
            probe.wait_until(lambda: FIRMWARE_SIGN in probe.log or probe.halted, PROBE_LIMIT, "firmware")
            return not probe.halted
    except machine.MachineError:
        return False


def works(image, cache):
    """True when KVM runs the firmware. The answer is remembered in the folder cache."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    known = os.path.join(cache, "kvm-" + _identity(machine.find_qemu()))
    if not os.path.exists(known):
        answer = "yes" if _firmware_runs(image) else "no"
        with open(known, "w", encoding="utf-8") as out:
            out.write(answer)
    with open(known, encoding="utf-8") as file:
        return file.read() == "yes"
