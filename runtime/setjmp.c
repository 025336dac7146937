// setjmp and longjmp for the Microsoft x64 convention: the buffer
// (ports/musl/arch/metalos/bits/setjmp.h) has rbx rbp rdi rsi rsp r12-r15 rip at 0-72, MXCSR at 80,
// the x87 control word at 84 and xmm6-xmm15 from 88. Frames in between are dropped without
// unwinding. Leaf functions.
// SPDX-License-Identifier: MIT
#include <setjmp.h>

#define ASM(text) __asm__ volatile(text)

__attribute__((naked, returns_twice)) int setjmp(jmp_buf buffer)
{
    ASM(".seh_proc setjmp\n.seh_endprologue");
    ASM("movq %rbx, 0(%rcx)");
    ASM("movq %rbp, 8(%rcx)");
    ASM("movq %rdi, 16(%rcx)");
    ASM("movq %rsi, 24(%rcx)");
    ASM("leaq 8(%rsp), %rax"); // rsp after the return
    ASM("movq %rax, 32(%rcx)");
    ASM("movq %r12, 40(%rcx)");
    ASM("movq %r13, 48(%rcx)");
    ASM("movq %r14, 56(%rcx)");
    ASM("movq %r15, 64(%rcx)");
    ASM("movq (%rsp), %rax");
    ASM("movq %rax, 72(%rcx)");
    ASM("stmxcsr 80(%rcx)");
    ASM("fnstcw 84(%rcx)");
    ASM("movups %xmm6, 88(%rcx)");
    ASM("movups %xmm7, 104(%rcx)");
    ASM("movups %xmm8, 120(%rcx)");
    ASM("movups %xmm9, 136(%rcx)");
    ASM("movups %xmm10, 152(%rcx)");
    ASM("movups %xmm11, 168(%rcx)");
    ASM("movups %xmm12, 184(%rcx)");
    ASM("movups %xmm13, 200(%rcx)");
    ASM("movups %xmm14, 216(%rcx)");
    ASM("movups %xmm15, 232(%rcx)");
    ASM("xorl %eax, %eax");
    ASM("retq\n.seh_endproc");
}

__attribute__((naked, noreturn)) void longjmp(jmp_buf buffer, int value)
{
    ASM(".seh_proc longjmp\n.seh_endprologue");
    ASM("movl %edx, %eax");
    ASM("cmpl $1, %eax"); // value 0 arrives as 1
    ASM("adcl $0, %eax");
    ASM("movups 88(%rcx), %xmm6");
    ASM("movups 104(%rcx), %xmm7");
    ASM("movups 120(%rcx), %xmm8");
    ASM("movups 136(%rcx), %xmm9");
    ASM("movups 152(%rcx), %xmm10");
    ASM("movups 168(%rcx), %xmm11");
    ASM("movups 184(%rcx), %xmm12");
    ASM("movups 200(%rcx), %xmm13");
    ASM("movups 216(%rcx), %xmm14");
    ASM("movups 232(%rcx), %xmm15");
    ASM("fnclex");
    ASM("fldcw 84(%rcx)");
    ASM("ldmxcsr 80(%rcx)");
    ASM("movq 0(%rcx), %rbx");
    ASM("movq 8(%rcx), %rbp");
    ASM("movq 16(%rcx), %rdi");
    ASM("movq 24(%rcx), %rsi");
    ASM("movq 40(%rcx), %r12");
    ASM("movq 48(%rcx), %r13");
    ASM("movq 56(%rcx), %r14");
    ASM("movq 64(%rcx), %r15");
    ASM("movq 72(%rcx), %rdx");
    ASM("movq 32(%rcx), %rsp");
    ASM("jmpq *%rdx\n.seh_endproc");
}

int _setjmp(jmp_buf buffer) __attribute__((naked, returns_twice));
int _setjmp(jmp_buf buffer)
{
    __asm__ volatile("jmp setjmp");
}
void _longjmp(jmp_buf buffer, int value) __attribute__((naked, noreturn));
void _longjmp(jmp_buf buffer, int value)
{
    __asm__ volatile("jmp longjmp");
}
