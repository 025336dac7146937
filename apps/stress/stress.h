// stress.h - what the two halves of stress.exe share.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#define STRESS_FOLDER "/stress"

// The child: threads that make random system calls until each has made `calls`, or so many
// milliseconds are over. Writes a byte to its standard output for each REPORT_CALLS calls. Does not
// return.
#define REPORT_CALLS 250u
void RunCalls(uint64_t seed, uint32_t calls, uint32_t time) __attribute__((noreturn));
