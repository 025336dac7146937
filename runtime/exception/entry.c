// entry.c - the few instructions of exception handling that C cannot say: coming from the kernel,
// saving and restoring a whole thread state, calling handlers from frames that can be recognised.
// Every routine has unwind data, so a stack walk crosses it to the code that failed.
// SPDX-License-Identifier: MIT
#include "exception.h"

#define ASM(text) __asm__ volatile(text)

uint32_t RtXStateSize;

// Stack picture at entry, as the kernel left it: rsp = AbiException, whose end is a machine frame.
static_assert(offsetof(AbiException, Record) == 0x20 && offsetof(AbiException, Context) == 0xC0 &&
                  offsetof(AbiException, Rip) == 0x3D0 && sizeof(AbiException) == 0x400,
              "stack picture");

// Saves the floating-point state below the AbiException, the whole of it where XSAVE can, and calls
// RtDispatchException(exception, FXSAVE image). rbx is this function's frame.
__attribute__((naked)) void RtExceptionEntry(void)
{
    ASM(".seh_proc RtExceptionEntry\n.seh_pushframe\n.seh_stackalloc 0x3D0");
    ASM("pushq %rbx\n.seh_pushreg %rbx");
    ASM("movq %rsp, %rbx\n.seh_setframe %rbx, 0\n.seh_endprologue");
    ASM("movl RtXStateSize(%rip), %eax");
    ASM("testl %eax, %eax");
    ASM("jz 1f");
    ASM("subq %rax, %rsp");
    ASM("andq $-64, %rsp");
    ASM("xorl %eax, %eax"); // the header, which XSAVE writes only a part of
    ASM("movq %rax, 512(%rsp)\nmovq %rax, 520(%rsp)\nmovq %rax, 528(%rsp)\nmovq %rax, 536(%rsp)");
    ASM("movq %rax, 544(%rsp)\nmovq %rax, 552(%rsp)\nmovq %rax, 560(%rsp)\nmovq %rax, 568(%rsp)");
    ASM("movl $-1, %eax");
    ASM("movl $-1, %edx");
    ASM("xsave64 (%rsp)");
    ASM("movq %rsp, 0x3C8(%rbx)"); // 8 + 0xC0 + offset of ExtendedState
    ASM("jmp 2f");
    ASM("1: subq $512, %rsp");
    ASM("andq $-64, %rsp");
    ASM("fxsave64 (%rsp)");
    ASM("2: leaq 8(%rbx), %rcx");
    ASM("movq %rsp, %rdx");
    ASM("subq $32, %rsp");
    ASM("callq RtDispatchException");
    ASM("ud2\n.seh_endproc");
}
static_assert(8 + 0xC0 + offsetof(ThreadContext, ExtendedState) == 0x3C8, "RtExceptionEntry");

// The state at the return from this call. A leaf.
__attribute__((naked)) void CaptureContext(ThreadContext *context)
{
    ASM(".seh_proc CaptureContext\n.seh_endprologue");
    ASM("movq %rax, 0x78(%rcx)\nmovq %rcx, 0x80(%rcx)\nmovq %rdx, 0x88(%rcx)\nmovq %rbx, "
        "0x90(%rcx)");
    ASM("leaq 8(%rsp), %rax\nmovq %rax, 0x98(%rcx)");
    ASM("movq %rbp, 0xA0(%rcx)\nmovq %rsi, 0xA8(%rcx)\nmovq %rdi, 0xB0(%rcx)\nmovq %r8, "
        "0xB8(%rcx)");
    ASM("movq %r9, 0xC0(%rcx)\nmovq %r10, 0xC8(%rcx)\nmovq %r11, 0xD0(%rcx)\nmovq %r12, "
        "0xD8(%rcx)");
    ASM("movq %r13, 0xE0(%rcx)\nmovq %r14, 0xE8(%rcx)\nmovq %r15, 0xF0(%rcx)");
    ASM("movq (%rsp), %rax\nmovq %rax, 0xF8(%rcx)");
    ASM("movl $0x10000B, 0x30(%rcx)");
    ASM("stmxcsr 0x34(%rcx)");
    ASM("movw %cs, 0x38(%rcx)\nmovw %ds, 0x3A(%rcx)\nmovw %es, 0x3C(%rcx)");
    ASM("movw %fs, 0x3E(%rcx)\nmovw %gs, 0x40(%rcx)\nmovw %ss, 0x42(%rcx)");
    ASM("leaq -8(%rsp), %rsp\npushfq\npopq %rax\nleaq 8(%rsp), %rsp\nmovl %eax, 0x44(%rcx)");
    ASM("fxsave64 0x100(%rcx)");
    ASM("movq $0, 0x300(%rcx)");
    ASM("movq 0x78(%rcx), %rax");
    ASM("retq\n.seh_endproc");
}

// Goes on as context says, which lies above this stack pointer and not right below the new one: rip
// goes there, for RET to take. (IRETQ would do it in one go, but emulators have been seen to read
// its frame as supervisor, which SMAP forbids.)
__attribute__((naked)) void RtRestoreContext(const ThreadContext *context)
{
    ASM(".seh_proc RtRestoreContext\n.seh_endprologue");
    ASM("movq 0x300(%rcx), %r8");
    ASM("testq %r8, %r8");
    ASM("jz 1f");
    ASM("movl $-1, %eax\nmovl $-1, %edx");
    ASM("xrstor64 (%r8)");
    ASM("jmp 2f");
    ASM("1: fxrstor64 0x100(%rcx)");
    ASM("2: movq 0x98(%rcx), %rax");
    ASM("movq 0xF8(%rcx), %rdx");
    ASM("movq %rdx, -8(%rax)");
    ASM("movl 0x44(%rcx), %eax");
    ASM("pushq %rax");
    ASM("movq 0x78(%rcx), %rax\nmovq 0x88(%rcx), %rdx\nmovq 0x90(%rcx), %rbx\nmovq 0xA0(%rcx), "
        "%rbp");
    ASM("movq 0xA8(%rcx), %rsi\nmovq 0xB0(%rcx), %rdi\nmovq 0xB8(%rcx), %r8\nmovq 0xC0(%rcx), %r9");
    ASM("movq 0xC8(%rcx), %r10\nmovq 0xD0(%rcx), %r11\nmovq 0xD8(%rcx), %r12\nmovq 0xE0(%rcx), "
        "%r13");
    ASM("movq 0xE8(%rcx), %r14\nmovq 0xF0(%rcx), %r15");
    ASM("popfq");
    ASM("movq 0x98(%rcx), %rsp");
    ASM("movq 0x80(%rcx), %rcx");
    ASM("leaq -8(%rsp), %rsp");
    ASM("retq\n.seh_endproc");
}
static_assert(offsetof(ThreadContext, Rax) == 0x78 && offsetof(ThreadContext, FloatLegacy) == 0x100,
              "RtRestoreContext");

// Both keep dispatcher at rsp + 0x20 of their body, which is what their own handler gets as its
// establisher: a handler that itself raises, or unwinds, is seen from there.
#define CALLER(name, handler, kind)                                                                \
    ExceptionDisposition handler(ExceptionRecord *record, uint64_t establisher,                    \
                                 ThreadContext *context, DispatcherContext *dispatcher);           \
    __attribute__((naked)) ExceptionDisposition name(ExceptionRecord *record,                      \
                                                     uint64_t establisher, ThreadContext *context, \
                                                     DispatcherContext *dispatcher)                \
    {                                                                                              \
        ASM(".seh_proc " #name "\n.seh_handler " #handler ", " kind);                              \
        ASM("subq $0x28, %rsp\n.seh_stackalloc 0x28\n.seh_endprologue");                           \
        ASM("movq %r9, 0x20(%rsp)");                                                               \
        ASM("callq *0x40(%r9)");                                                                   \
        ASM("nop"); /* the return address is in the body, not in the epilogue */                   \
        ASM("addq $0x28, %rsp");                                                                   \
        ASM("retq\n.seh_handlerdata\n.text\n.seh_endproc");                                        \
    }
#define SAVED_DISPATCHER 0x20

CALLER(RtCallExceptionHandler, RtNestedHandler, "@except, @unwind")
CALLER(RtCallTerminationHandler, RtCollidedHandler, "@unwind")

// A filter raised an exception: which frame the filter belongs to. Functions up to there are asked
// again, told that this is nested.
ExceptionDisposition RtNestedHandler(ExceptionRecord *record, uint64_t establisher,
                                     ThreadContext *context, DispatcherContext *dispatcher)
{
    if (record->Flags & (ExceptionFlagUnwinding | ExceptionFlagExitUnwind))
        return DispositionContinueSearch;
    const DispatcherContext *saved = *(DispatcherContext **)(establisher + SAVED_DISPATCHER);
    dispatcher->Found.Establisher = saved->Found.Establisher;
    return DispositionNestedException;
}

// A termination handler left by an unwind of its own: that one goes on where the first one was, so
// that no termination handler runs twice.
ExceptionDisposition RtCollidedHandler(ExceptionRecord *record, uint64_t establisher,
                                       ThreadContext *context, DispatcherContext *dispatcher)
{
    const DispatcherContext *saved = *(DispatcherContext **)(establisher + SAVED_DISPATCHER);
    UnwindFrame *frame = dispatcher->Frame;
    UnwindVector *vectors = frame->Vectors;
    uint64_t targetIp = dispatcher->TargetIp;
    *frame = *saved->Frame;
    frame->Vectors = vectors;
    for (size_t i = 0; i < 16; i++)
        vectors[i] = saved->Frame->Vectors[i];
    *dispatcher = *saved;
    dispatcher->Frame = frame;
    dispatcher->TargetIp = targetIp;
    return DispositionCollidedUnwind;
}
