// acpii.h - shared inside kernel/acpi: ACPICA beside the kernel's headers.
// SPDX-License-Identifier: MIT
#pragma once

#include <acpi/acpi.h>

#include "io.h"
#include "ps.h"

extern PhysicalAddress AcpiiRootPointer; // the RSDP
