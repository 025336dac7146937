"""What the scripts under tools/ and tests/ share: disk images, virtual machines, the console protocol.

Standard library only.
"""
# SPDX-License-Identifier: MIT
