// security.c - what the compiler's stack protector calls.
// SPDX-License-Identifier: MIT
#include "hal_private.h"

extern uint64_t
    __security_cookie; // kd/loadconfig.c, which is how the loader finds it to make it random

// rcx = cookie as found in the frame, already unscrambled. Preserves every register when it is
// intact.
__attribute__((naked)) void __security_check_cookie(uint64_t cookie)
{
    __asm__("cmpq __security_cookie(%rip), %rcx");
    __asm__("jne 1f");
    __asm__("retq");
    __asm__("1: jmp HalpReportStackOverrun");
}

void HalpReportStackOverrun(uint64_t cookie)
{
    KiReportStackOverrun(cookie, __security_cookie);
}

// Frames of __try blocks name this handler. The kernel dispatches no exceptions to frames; stack
// walks only need the symbol. 1 is ExceptionContinueSearch.
int __C_specific_handler(void *record, void *frame, void *context, void *dispatcher)
{
    return 1;
}
