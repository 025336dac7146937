// raw.h - system calls by number, as only mosrt.dll makes them: for what its functions would not
// let through.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalTrace.h"
#include "ProcessAbi.h"
#include "SystemCalls.h"

Status RawCall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
               uint64_t f);
