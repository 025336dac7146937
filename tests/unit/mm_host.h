// mm_host.h - forced into kernel/mm when it is compiled for the host: "physical" memory and the
// frame database live at addresses a Linux process can map.
// SPDX-License-Identifier: MIT
#pragma once
#include "../../abi/LoaderParams.h"
#undef DIRECT_MAP_BASE
#undef PFN_DATABASE_BASE
#define DIRECT_MAP_BASE   0x200000000000ull
#define PFN_DATABASE_BASE 0x300000000000ull
