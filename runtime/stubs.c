// The system call stubs: abi/SystemCalls.h tells the convention. Leaf functions that leave rsp
// alone, so a stack walk through them needs no more than the return address.
// SPDX-License-Identifier: MIT
#include "rt.h"

#define STUB(name, count, prototype)                                                               \
    __attribute__((naked)) Status Sys##name prototype                                              \
    {                                                                                              \
        __asm__ volatile(".seh_proc Sys" #name "\n.seh_endprologue");                              \
        __asm__ volatile("movq %rcx, %r10");                                                       \
        __asm__ volatile("movl %0, %%eax" : : "i"(SystemCall##name));                              \
        __asm__ volatile("syscall");                                                               \
        __asm__ volatile("retq\n.seh_endproc");                                                    \
    }
METALOS_SYSTEM_CALLS(STUB, RT_STUB_POINTER)
