// raw.c - a system call by number.
// SPDX-License-Identifier: MIT
#include "raw.h"

__attribute__((naked)) Status RawCall(uint64_t number, uint64_t a, uint64_t b, uint64_t c,
                                      uint64_t d, uint64_t e, uint64_t f)
{
    // The stub's arguments are one further along than the call's: 5 and 6 go to a copy of the
    // caller's frame.
    __asm__ volatile(".seh_proc RawCall");
    __asm__ volatile("subq $0x38, %rsp\n.seh_stackalloc 0x38\n.seh_endprologue");
    __asm__ volatile("movq %rcx, %rax");
    __asm__ volatile("movq %rdx, %r10");
    __asm__ volatile("movq 0x68(%rsp), %r11"); // e
    __asm__ volatile("movq %r11, 0x28(%rsp)");
    __asm__ volatile("movq 0x70(%rsp), %r11"); // f
    __asm__ volatile("movq %r11, 0x30(%rsp)");
    __asm__ volatile("movq %r8, %rdx");
    __asm__ volatile("movq %r9, %r8");
    __asm__ volatile("movq 0x60(%rsp), %r9"); // d
    __asm__ volatile("syscall");
    __asm__ volatile("addq $0x38, %rsp");
    __asm__ volatile("retq\n.seh_endproc");
}
