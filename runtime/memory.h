// memory.h - which memory functions suit the processor (memory.c).
// SPDX-License-Identifier: MIT
#pragma once

// Asks CPUID once, before main; until then the plain SSE2 forms are used.
void RtSelectMemoryFunctions(void);
