// apitest3.dll - refuses to be loaded.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

int DllMain(void *base, uint32_t reason, void *reserved);
__declspec(dllexport) int Apitest3Nothing(void);

int Apitest3Nothing(void)
{
    return 0;
}
int DllMain(void *base, uint32_t reason, void *reserved)
{
    return reason != DllProcessAttach;
}
