// drivers.h - the drivers there are.
// SPDX-License-Identifier: MIT
#pragma once

#include "io.h"

extern const IoDriver AhciDriver;
extern const IoDriver HypervDriver;
extern const IoDriver HvIntegrationDriver, HvKeyboardDriver, HvMouseDriver, HvNetworkDriver,
    HvStorageDriver, HvVideoDriver;
extern const IoDriver Ps2Driver;
