// power.c - switching the machine off.
// SPDX-License-Identifier: MIT
#include "io.h"

void AcpiPowerOff(void) { HalPowerOff(); }
