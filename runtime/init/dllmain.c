// The DllMain of a library that has none of its own.
// SPDX-License-Identifier: MIT
#include <stdint.h>

int DllMain(void *base, uint32_t reason, void *reserved);

int DllMain(void *base, uint32_t reason, void *reserved)
{
    return 1;
}
