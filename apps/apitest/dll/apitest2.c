// apitest2.dll - imported by apitest1.dll: thread-local data, exported data, its own DllMain.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#define EXPORT __declspec(dllexport)

static _Thread_local int local = 100;
static _Thread_local char zero[64];
static int events[4];

EXPORT int Apitest2Value = 42;
EXPORT int Apitest2Next(void);
EXPORT int Apitest2Zero(void);
EXPORT int Apitest2Events(unsigned reason);
int DllMain(void *base, uint32_t reason, void *reserved);

int Apitest2Next(void)
{
    return ++local;
}
int Apitest2Zero(void)
{
    return zero[0]++ + zero[63];
}
int Apitest2Events(unsigned reason)
{
    return reason < 4 ? events[reason] : -1;
}

int DllMain(void *base, uint32_t reason, void *reserved)
{
    if (reason < 4)
        events[reason]++;
    return 1;
}
