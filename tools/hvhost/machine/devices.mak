# SPDX-License-Identifier: MIT
# The devices of QEMU that the Gen2 machine has beside ours: those that its firmware needs, SCSI disks, a debug exit.
CONFIG_Q35=y
CONFIG_VGA_PCI=y
CONFIG_USB_XHCI_PCI=y
CONFIG_USB_STORAGE_BOT=y
CONFIG_USB_TABLET_WACOM=n
CONFIG_ISA_DEBUG=y
CONFIG_SERIAL_ISA=y
