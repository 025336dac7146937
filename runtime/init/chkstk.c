// __chkstk: a function with a large frame calls it with the frame's size in rax before moving rsp,
// so that the stack's pages are touched one by one from the top and its guard page is never jumped
// over. Keeps every register but r10, r11 and the flags. Source: Microsoft x64 calling convention.
// Also _fltused, which floating-point code refers to.
// SPDX-License-Identifier: MIT

extern int _fltused;
int _fltused = 0x9875;

void __chkstk(void);

// A leaf without a frame: the pages between rsp and rsp - rax are read from the top down.
__attribute__((naked)) void __chkstk(void)
{
    __asm__ volatile(".seh_proc __chkstk\n.seh_endprologue");
    __asm__ volatile("leaq 8(%rsp), %r10"); // the caller's rsp
    __asm__ volatile("movq %r10, %r11");
    __asm__ volatile("subq %rax, %r11"); // where it will be
    __asm__ volatile("jae 0f");
    __asm__ volatile("xorl %r11d, %r11d"); // more than there is: fault at the guard page
    __asm__ volatile("0:");
    __asm__ volatile("andq $-4096, %r10");
    __asm__ volatile("andq $-4096, %r11");
    __asm__ volatile("1:");
    __asm__ volatile("cmpq %r11, %r10");
    __asm__ volatile("jbe 2f");
    __asm__ volatile("subq $4096, %r10");
    __asm__ volatile("testb $0, (%r10)");
    __asm__ volatile("jmp 1b");
    __asm__ volatile("2:");
    __asm__ volatile("retq\n.seh_endproc");
}
