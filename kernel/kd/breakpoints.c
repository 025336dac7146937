// breakpoints.c - breakpoint instructions that a debugger has put into code.
//
// An entry keeps the byte that INT3 took the place of. A breakpoint is never set over one that is
// there, whose byte would be taken for the original.
// SPDX-License-Identifier: MIT
#include "remote.h"

#define INT3 0xCCu

typedef struct Breakpoint {
    uint64_t Address;
    uint8_t Original;
    bool Used;
} Breakpoint;

static Breakpoint breakpoints[KDI_BREAKPOINTS]; // only while the machine stands still

bool KdiIsBreakpoint(uint64_t address)
{
    for (size_t i = 0; i < KDI_BREAKPOINTS; i++) {
        if (breakpoints[i].Used && breakpoints[i].Address == address)
            return true;
    }
    return false;
}

uint32_t KdiSetBreakpoint(uint64_t address)
{
    static const uint8_t int3 = INT3;
    uint32_t i = 0;
    uint8_t original;
    while (i < KDI_BREAKPOINTS && breakpoints[i].Used)
        i++;
    if (i == KDI_BREAKPOINTS || KdiIsBreakpoint(address) ||
        KdiTargetRead(address, &original, 1) != 1 || KdiTargetWrite(address, &int3, 1) != 1)
        return 0;
    breakpoints[i] = (Breakpoint){address, original, true};
    return i + 1;
}

bool KdiClearBreakpoint(uint32_t handle)
{
    uint8_t now;
    if (handle == 0 || handle > KDI_BREAKPOINTS || !breakpoints[handle - 1].Used)
        return false;
    Breakpoint *breakpoint = &breakpoints[handle - 1];
    breakpoint->Used = false;
    // The code may have gone, or been written anew.
    return KdiTargetRead(breakpoint->Address, &now, 1) == 1 &&
           (now != INT3 || KdiTargetWrite(breakpoint->Address, &breakpoint->Original, 1) == 1);
}

void KdiClearBreakpointsIn(uint64_t begin, size_t size)
{
    for (uint32_t i = 0; i < KDI_BREAKPOINTS; i++) {
        if (breakpoints[i].Used && breakpoints[i].Address - begin < size)
            (void)KdiClearBreakpoint(i + 1);
    }
}

void KdiClearAllBreakpoints(void)
{
    for (uint32_t i = 0; i < KDI_BREAKPOINTS; i++)
        (void)KdiClearBreakpoint(i + 1);
}
