// The calling thread's struct pthread is ThreadBlock.RuntimeData (abi/ProcessAbi.h), at gs:[0x68].
// SPDX-License-Identifier: MIT
static inline uintptr_t __get_tp(void)
{
    uintptr_t self;
    __asm__("movq %%gs:0x68, %0" : "=r"(self));
    return self;
}

#define MC_PC rip
