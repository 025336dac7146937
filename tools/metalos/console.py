"""Splits what arrives on COM1 into the kernel's log and the output of programs.

The bytes between SO (0x0E) and SI (0x0F) are program output, the rest is log. SO, SI and DLE (0x10)
inside output arrive as DLE, byte ^ 0x40 (KeWriteConsole in kernel/inc/ke.h).
"""
# SPDX-License-Identifier: MIT
SHIFT_OUT, SHIFT_IN, ESCAPE = 0x0E, 0x0F, 0x10
ESCAPE_MASK = 0x40


class Decoder:
    """feed() takes bytes as they come, cut anywhere, and returns (log, output)."""

    def __init__(self):
        self._in_output = False
        self._escaped = False

    def feed(self, data):
        log, output = bytearray(), bytearray()
        for byte in data:
            if self._escaped:
                output.append(byte ^ ESCAPE_MASK)
                self._escaped = False
            elif byte == SHIFT_OUT:
                self._in_output = True
            elif byte == SHIFT_IN:
                self._in_output = False
            elif not self._in_output:
                log.append(byte)
            elif byte == ESCAPE:
                self._escaped = True
            else:
                output.append(byte)
        return bytes(log), bytes(output)
