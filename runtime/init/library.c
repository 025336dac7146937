// The entry point of every DLL: seeds its stack cookie, then calls its DllMain.
// SPDX-License-Identifier: MIT
#include "init.h"

extern uint64_t __security_cookie;
extern int DllMain(void *base, uint32_t reason, void *reserved);

__attribute__((no_stack_protector)) int InitLibrary(void *base, uint32_t reason, void *reserved)
{
    if (reason == DllProcessAttach) {
        ThreadBlock *block;
        __asm__("movq %%gs:0x30, %0" : "=r"(block));
        __security_cookie = (block->Process->RandomSeed[0] ^ (uint64_t)(uintptr_t)base) << 8;
    }
    if (reason == DllProcessAttach)
        InitCall(InitConstructors, InitConstructorsEnd);
    int result = DllMain(base, reason, reserved);
    if (reason == DllProcessDetach)
        InitCall(InitDestructors, InitDestructorsEnd);
    return result;
}
