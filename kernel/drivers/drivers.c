// drivers.c - the driver table, in the order devices are offered.
// SPDX-License-Identifier: MIT
#include "drivers.h"

extern const IoDriver *const IoDriverTable[];
const IoDriver *const IoDriverTable[] = {
    &AhciDriver,       &Ps2Driver,     &HypervDriver,    &HvStorageDriver,     &HvVideoDriver,
    &HvKeyboardDriver, &HvMouseDriver, &HvNetworkDriver, &HvIntegrationDriver, nullptr};
