// stress.h - what the two halves of stress.exe share.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#define STRESS_FOLDER "/stress"

// The child: threads that make random system calls until each has made `calls`, or time is up. Does
// not return.
void RunCalls(uint64_t seed, uint32_t calls) __attribute__((noreturn));
