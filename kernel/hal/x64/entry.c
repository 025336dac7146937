// entry.c - the ways into the kernel and out of it, and the switch between stacks.
//
// Every routine is a naked function with one instruction a statement, so that the debugger sees
// lines, and with unwind data, so that a stack walk crosses it.
//
// What gs means. In the kernel gs base is this processor's HalProcessor, in user mode the thread's
// ThreadBlock; the other one waits in IA32_KERNEL_GS_BASE and swapgs exchanges them. CR4.FSGSBASE
// is off, so user code cannot write gs base; loading a selector clears it, which harms only itself.
//   * An ordinary trap exchanges them when the interrupted code selector has privilege level 3.
//   * NMI, machine check, double fault and debug trap can hit between a mode change and its swapgs.
//   They run
//     on stacks of their own (IST) whose top holds the HalProcessor's address, and set gs base to
//     that and put back what they found, whatever it was.
//
// Stack picture of a trap (KTrapFrame; the processor aligns rsp to 16 first):
//     +0xA8 ss   +0xA0 rsp  +0x98 rflags  +0x90 cs  +0x88 rip   pushed by the processor
//     +0x80 error code (0 where the processor pushes none)      by it or the vector's stub
//     +0x78 vector                                              by the stub
//     +0x70 r15 ... +0x00 rax                                   by HalpTrap
//
// Stack picture of a system call, from the top of the thread's kernel stack (user registers that
// the C calling convention preserves stay where they are):
//     -0x08 ss   -0x10 rsp  -0x18 rflags  -0x20 cs  -0x28 rip   as a trap would have it
//     -0x38 argument 6, -0x40 argument 5, -0x60 home area of the called function
// SPDX-License-Identifier: MIT
#include "hal_private.h"

#define TEXT(value)   #value
#define NUMBER(value) TEXT(value)

// Of KTrapFrame and HalProcessor; asserted below.
#define FRAME_SIZE      0xB0
#define FRAME_CS        0x90
#define GS_SELF         "%gs:0x00"
#define GS_KERNEL_STACK "%gs:0x10"
#define GS_USER_STACK   "%gs:0x18"
#define GS_RETURN_WORK  "%gs:0x22"
#define GS_SMAP         "%gs:0x23"
#define GS_SYSTEM_CALLS "%gs:0x30"
#define GS_USER_TICKS   "%gs:0x38"
static_assert(sizeof(KTrapFrame) == FRAME_SIZE && offsetof(KTrapFrame, Cs) == FRAME_CS,
              "stack picture");
static_assert(offsetof(HalProcessor, KernelStack) == 0x10 &&
                  offsetof(HalProcessor, UserStack) == 0x18 &&
                  offsetof(HalProcessor, ReturnWork) == 0x22 &&
                  offsetof(HalProcessor, SmapEnabled) == 0x23 &&
                  offsetof(HalProcessor, SystemCalls) == 0x30 &&
                  offsetof(HalProcessor, UserTicks) == 0x38,
              "gs");

// The time of user mode ends or begins: gs is the kernel's, interrupts are off, rax and rdx are
// lost.
#define READ_STAMP()                                                                               \
    __asm__("rdtsc");                                                                              \
    __asm__("shlq $32, %rdx");                                                                     \
    __asm__("orq %rdx, %rax")
#define LEAVE_USER_MODE()                                                                          \
    READ_STAMP();                                                                                  \
    __asm__("addq %rax, " GS_USER_TICKS)
#define ENTER_USER_MODE()                                                                          \
    READ_STAMP();                                                                                  \
    __asm__("subq %rax, " GS_USER_TICKS)

void HalpTrap(void);
void HalpTrapExit(void);
void HalpParanoidTrap(void);
void HalpStartThread(void);
uint64_t HalpCopyStackArguments(uint64_t userStack, uint64_t arguments[2]);

// One stub of 16 bytes per vector: equalises the frame, names the vector. Error codes come with
// vectors 8, 10-14, 17, 21, 29 and 30 (Intel SDM vol. 3, table 6-1; AMD APM vol. 2, 8.2).
__attribute__((naked)) void HalpVectorTable(void)
{
    __asm__(
        ".seh_proc HalpVectorTable\n"
        ".seh_pushframe @code\n"
        ".seh_endprologue\n"
        ".set vector, 0\n"
        ".rept 256\n"
        ".p2align 4, 0xCC\n"
        ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || "
        "vector == 29 || vector == 30)\n"
        "pushq $0\n"
        ".endif\n"
        "pushq $vector\n"
        ".if vector == 1 || vector == 2 || vector == 8 || vector == 18\n"
        "jmp HalpParanoidTrap\n"
        ".else\n"
        "jmp HalpTrap\n"
        ".endif\n"
        ".set vector, vector + 1\n"
        ".endr\n"
        ".seh_endproc");
}

#define PUSH_REGISTER(name) __asm__("pushq %" name "\n\t.seh_pushreg %" name)
#define PUSH_ALL()                                                                                 \
    PUSH_REGISTER("r15");                                                                          \
    PUSH_REGISTER("r14");                                                                          \
    PUSH_REGISTER("r13");                                                                          \
    PUSH_REGISTER("r12");                                                                          \
    PUSH_REGISTER("r11");                                                                          \
    PUSH_REGISTER("r10");                                                                          \
    PUSH_REGISTER("r9");                                                                           \
    PUSH_REGISTER("r8");                                                                           \
    PUSH_REGISTER("rdi");                                                                          \
    PUSH_REGISTER("rsi");                                                                          \
    PUSH_REGISTER("rbp");                                                                          \
    PUSH_REGISTER("rbx");                                                                          \
    PUSH_REGISTER("rdx");                                                                          \
    PUSH_REGISTER("rcx");                                                                          \
    PUSH_REGISTER("rax")

#define POP_ALL()                                                                                  \
    __asm__("popq %rax");                                                                          \
    __asm__("popq %rcx");                                                                          \
    __asm__("popq %rdx");                                                                          \
    __asm__("popq %rbx");                                                                          \
    __asm__("popq %rbp");                                                                          \
    __asm__("popq %rsi");                                                                          \
    __asm__("popq %rdi");                                                                          \
    __asm__("popq %r8");                                                                           \
    __asm__("popq %r9");                                                                           \
    __asm__("popq %r10");                                                                          \
    __asm__("popq %r11");                                                                          \
    __asm__("popq %r12");                                                                          \
    __asm__("popq %r13");                                                                          \
    __asm__("popq %r14");                                                                          \
    __asm__("popq %r15")

// Common part of every ordinary trap: KiDispatchTrap(frame) between saving and restoring
// everything. Live at entry: rsp at the vector; the code below that saves is the prologue a stack
// walk undoes.
__attribute__((naked)) void HalpTrap(void)
{
    __asm__(".seh_proc HalpTrap\n\t.seh_pushframe @code\n\t.seh_stackalloc 8");
    PUSH_ALL();
    __asm__("subq $0x20, %rsp\n\t.seh_stackalloc 0x20\n\t.seh_endprologue");
    __asm__("cld");
    __asm__("testb $3, 0xB0(%rsp)"); // frame at rsp + 0x20
    __asm__("jz 1f");
    __asm__("swapgs");
    __asm__("lfence"); // no speculation past a wrongly predicted swapgs (CVE-2019-1125)
    LEAVE_USER_MODE();
    __asm__("1: cmpb $0, " GS_SMAP);
    __asm__("jz 2f");
    __asm__("clac");
    __asm__("2: leaq 0x20(%rsp), %rcx");
    __asm__("callq KiDispatchTrap");
    __asm__("testb $3, 0xB0(%rsp)");
    __asm__("jz 4f");
    __asm__("3: cmpb $0, " GS_RETURN_WORK);
    __asm__("jz 5f");
    __asm__("callq KiReturnToUser");
    __asm__("jmp 3b");
    __asm__("5:");
    ENTER_USER_MODE();
    __asm__("swapgs");
    __asm__("4: addq $0x20, %rsp");
    POP_ALL();
    __asm__("addq $16, %rsp");
    __asm__("iretq");
    __asm__(".seh_endproc");
}

// Traps on IST stacks. The frame lies right below the 16 bytes that hold the HalProcessor's
// address. A debug trap from user mode is ordinary: its frame moves to the thread's kernel stack,
// for it may end in the thread's death. The rest keeps gs base as found in rbx, which the calling
// convention preserves.
__attribute__((naked)) void HalpParanoidTrap(void)
{
    __asm__(".seh_proc HalpParanoidTrap\n\t.seh_pushframe @code\n\t.seh_stackalloc 8");
    PUSH_ALL();
    __asm__("subq $0x20, %rsp\n\t.seh_stackalloc 0x20\n\t.seh_endprologue");
    __asm__("cld");
    __asm__("cmpq $1, 0x98(%rsp)"); // vector
    __asm__("jne 1f");
    __asm__("testb $3, 0xB0(%rsp)");
    __asm__("jz 1f");
    __asm__("swapgs");
    __asm__("lfence");
    LEAVE_USER_MODE();
    __asm__("movq " GS_KERNEL_STACK ", %rdi");
    __asm__("subq $0xD0, %rdi"); // FRAME_SIZE + 0x20
    __asm__("movq %rsp, %rsi");
    __asm__("movq %rdi, %rax");
    __asm__("movl $26, %ecx"); // 0xD0 / 8
    __asm__("rep movsq");
    __asm__("movq %rax, %rsp");
    __asm__("leaq 0x20(%rsp), %rcx");
    __asm__("callq KiDispatchTrap");
    __asm__("4: cmpb $0, " GS_RETURN_WORK);
    __asm__("jz 5f");
    __asm__("callq KiReturnToUser");
    __asm__("jmp 4b");
    __asm__("5:");
    ENTER_USER_MODE();
    __asm__("swapgs");
    __asm__("jmp 3f");

    __asm__("1: movl $0xC0000101, %ecx");
    __asm__("rdmsr");
    __asm__("shlq $32, %rdx");
    __asm__("leaq (%rax,%rdx), %rbx"); // rdmsr clears the upper halves
    __asm__("movq 0xD0(%rsp), %rax");  // HalProcessor, above the frame
    __asm__("movq %rax, %rdx");
    __asm__("shrq $32, %rdx");
    __asm__("wrmsr");
    __asm__("cmpb $0, " GS_SMAP);
    __asm__("jz 2f");
    __asm__("clac");
    __asm__("2: leaq 0x20(%rsp), %rcx");
    __asm__("callq KiDispatchTrap");
    __asm__("movl $0xC0000101, %ecx");
    __asm__("movq %rbx, %rax");
    __asm__("movq %rbx, %rdx");
    __asm__("shrq $32, %rdx");
    __asm__("wrmsr");
    __asm__("3: addq $0x20, %rsp");
    POP_ALL();
    __asm__("addq $16, %rsp");
    __asm__("iretq");
    __asm__(".seh_endproc");
}

// SYSCALL lands here: rcx = user rip, r11 = user rflags, rsp = the user's, interrupts off,
// direction and AC clear (SFMASK). eax = number, r10, rdx, r8, r9 = arguments 1-4. The user's stack
// is not touched here.
//
// SYSRET faults in ring 0, on the user's stack, when rip is not canonical (Intel); user pages end
// below the last canonical page, and the check costs no more than clearing rdx would.
__attribute__((naked)) void HalpSystemCallEntry(void)
{
    __asm__(".seh_proc HalpSystemCallEntry\n\t.seh_pushframe\n\t.seh_stackalloc "
            "0x38\n\t.seh_endprologue");
    __asm__("swapgs");
    __asm__("movq %rsp, " GS_USER_STACK);
    __asm__("movq " GS_KERNEL_STACK ", %rsp");
    __asm__("pushq $0x2B");
    __asm__("pushq " GS_USER_STACK);
    __asm__("pushq %r11");
    __asm__("pushq $0x33");
    __asm__("pushq %rcx");
    __asm__("subq $0x38, %rsp");
    __asm__("movl %eax, %r11d");
    __asm__("movq %rdx, %rcx");
    LEAVE_USER_MODE();
    __asm__("incq " GS_SYSTEM_CALLS);
    __asm__("sti"); // rsp is the thread's own and the user's is saved: it may be preempted
    __asm__("movq %rcx, %rdx");
    __asm__("movl %r11d, %eax");
    __asm__("cmpq KiSystemCallLimit(%rip), %rax");
    __asm__("jae 2f");
    __asm__("movq %r10, %rcx");
    __asm__("movq KiSystemCallTable(%rip), %r10");
    __asm__("callq *(%r10,%rax,8)");
    __asm__("1: cli");
    __asm__("cmpb $0, " GS_RETURN_WORK);
    __asm__("jne 3f");
    __asm__("movl %eax, %r8d");
    ENTER_USER_MODE();
    __asm__("movl %r8d, %eax");
    __asm__("movq 0x38(%rsp), %rcx");
    __asm__("movq %rcx, %rdx");
    __asm__("shrq $47, %rdx");
    __asm__("jnz 4f");
    __asm__("movq 0x48(%rsp), %r11");
    __asm__("xorl %r8d, %r8d");
    __asm__("xorl %r9d, %r9d");
    __asm__("xorl %r10d, %r10d");
    __asm__("movq 0x50(%rsp), %rsp");
    __asm__("swapgs");
    __asm__("sysretq");

    __asm__("2: movl $46, %eax"); // StatusUnknownSystemCall
    __asm__("jmp 1b");
    __asm__("3: movq %rax, 0x20(%rsp)");
    __asm__("callq KiReturnToUser");
    __asm__("movq 0x20(%rsp), %rax");
    __asm__("jmp 1b");
    __asm__("4: ud2"); // cannot be: nothing is mapped there

    // From HalTracedSystemCall, with the registers and the stack as for the call above.
    __asm__(".globl HalpTracedCall");
    __asm__("HalpTracedCall: movq KiUntracedCallTable(%rip), %r10");
    __asm__("callq *(%r10,%rax,8)");
    __asm__("movq %rax, 0x30(%rsp)");
    __asm__("movl %eax, %ecx");
    __asm__("callq KiTraceCallEnd");
    __asm__("movq 0x30(%rsp), %rax");
    __asm__("jmp 1b");
    __asm__(".seh_endproc");
}
static_assert(StatusUnknownSystemCall == 46, "HalpSystemCallEntry");

// Table entry of every call while calls are traced: notes it and goes back into
// HalpSystemCallEntry's frame, so that the call itself finds the stack as ever. rax = number, rcx,
// rdx, r8, r9 = arguments.
__attribute__((naked)) void HalTracedSystemCall(void)
{
    __asm__(".seh_proc HalTracedSystemCall");
    __asm__("subq $0x58, %rsp\n\t.seh_stackalloc 0x58\n\t.seh_endprologue");
    __asm__("movq %rcx, 0x30(%rsp)");
    __asm__("movq %rdx, 0x38(%rsp)");
    __asm__("movq %r8, 0x40(%rsp)");
    __asm__("movq %r9, 0x48(%rsp)");
    __asm__("movq %rax, 0x50(%rsp)");
    __asm__("movq %rdx, %r8");
    __asm__("movq %rcx, %rdx");
    __asm__("movq %rax, %rcx");
    __asm__("callq KiTraceCall");
    __asm__("movq 0x30(%rsp), %rcx");
    __asm__("movq 0x38(%rsp), %rdx");
    __asm__("movq 0x40(%rsp), %r8");
    __asm__("movq 0x48(%rsp), %r9");
    __asm__("movq 0x50(%rsp), %rax");
    __asm__("addq $0x60, %rsp"); // the return address too
    __asm__("jmp HalpTracedCall");
    __asm__(".seh_endproc");
}

// Table entry of the calls with 5 and 6 arguments: fetches those from the user's stack and goes on
// through KiSystemCallStackTable. rax = number, rcx, rdx, r8, r9 = arguments; the user's rsp is in
// the machine frame, 0x58 + 8 + 0x50 above this function's frame.
__attribute__((naked)) void HalSystemCallWithStackArguments(void)
{
    __asm__(".seh_proc HalSystemCallWithStackArguments");
    __asm__("subq $0x58, %rsp\n\t.seh_stackalloc 0x58\n\t.seh_endprologue");
    __asm__("movq %rcx, 0x30(%rsp)");
    __asm__("movq %rdx, 0x38(%rsp)");
    __asm__("movq %r8, 0x40(%rsp)");
    __asm__("movq %r9, 0x48(%rsp)");
    __asm__("movq %rax, 0x50(%rsp)");
    __asm__("movq 0xB0(%rsp), %rcx");
    __asm__("leaq 0x20(%rsp), %rdx");
    __asm__("callq HalpCopyStackArguments");
    __asm__("testq %rax, %rax");
    __asm__("jnz 1f");
    __asm__("movq 0x50(%rsp), %rax");
    __asm__("movq KiSystemCallStackTable(%rip), %r10");
    __asm__("movq 0x30(%rsp), %rcx");
    __asm__("movq 0x38(%rsp), %rdx");
    __asm__("movq 0x40(%rsp), %r8");
    __asm__("movq 0x48(%rsp), %r9");
    __asm__("callq *(%r10,%rax,8)");
    __asm__("1: addq $0x58, %rsp");
    __asm__("retq");
    __asm__(".seh_endproc");
}

// Copies [userStack + 0x28] and [userStack + 0x30]. StatusInvalidAddress when they are not user
// memory. A leaf: a fault between HalStackArgumentsBegin and End continues at
// HalStackArgumentsFault.
__attribute__((naked)) uint64_t HalpCopyStackArguments(uint64_t userStack, uint64_t arguments[2])
{
    __asm__("movabsq $0x7FFFFFFEFFC8, %rax"); // last user byte + 1 - 0x38
    __asm__("cmpq %rax, %rcx");
    __asm__("ja HalStackArgumentsFault");
    __asm__("cmpb $0, " GS_SMAP);
    __asm__("jz HalStackArgumentsBegin");
    __asm__("stac");
    __asm__(".globl HalStackArgumentsBegin\nHalStackArgumentsBegin: movq 0x28(%rcx), %r8");
    __asm__("movq 0x30(%rcx), %r9");
    __asm__(".globl HalStackArgumentsEnd\nHalStackArgumentsEnd: movq %r8, (%rdx)");
    __asm__("movq %r9, 8(%rdx)");
    __asm__("xorl %eax, %eax");
    __asm__("1: cmpb $0, " GS_SMAP);
    __asm__("jz 2f");
    __asm__("clac");
    __asm__("2: retq");
    __asm__(
        ".globl HalStackArgumentsFault\nHalStackArgumentsFault: movl $20, %eax"); // StatusInvalidAddress
    __asm__("jmp 1b");
}
static_assert(StatusInvalidAddress == 20, "HalpCopyStackArguments");

// void HalSwitchStack(uint64_t *savedStack, uint64_t newStack)
// Saves rbx, rbp, rsi, rdi, r12-r15 below the return address; a new thread's stack looks the same
// (HalPrepareStack).
__attribute__((naked)) void HalSwitchStack(uint64_t *savedStack, uint64_t newStack)
{
    __asm__(".seh_proc HalSwitchStack");
    PUSH_REGISTER("rbx");
    PUSH_REGISTER("rbp");
    PUSH_REGISTER("rsi");
    PUSH_REGISTER("rdi");
    PUSH_REGISTER("r12");
    PUSH_REGISTER("r13");
    PUSH_REGISTER("r14");
    PUSH_REGISTER("r15");
    __asm__(".seh_endprologue");
    __asm__("movq %rsp, (%rcx)");
    __asm__("movq %rdx, %rsp");
    __asm__("popq %r15");
    __asm__("popq %r14");
    __asm__("popq %r13");
    __asm__("popq %r12");
    __asm__("popq %rdi");
    __asm__("popq %rsi");
    __asm__("popq %rbp");
    __asm__("popq %rbx");
    __asm__("retq");
    __asm__(".seh_endproc");
}

// A new thread's first instruction: rbx = entry, rsi = context, rsp 16-byte aligned, 0 on the stack
// where a caller's address would be, which ends stack walks.
__attribute__((naked)) void HalpStartThread(void)
{
    __asm__(".seh_proc HalpStartThread\n\t.seh_stackalloc 0x20\n\t.seh_endprologue");
    __asm__("movq %rsi, %rcx");
    __asm__("callq *%rbx");
    __asm__("ud2");
    __asm__(".seh_endproc");
}

uint64_t HalPrepareStack(void *top, void (*entry)(void *), void *context)
{
    uint64_t *stack = (uint64_t *)((uint64_t)top & ~15ull) - 2; // 0, padding
    stack[0] = stack[1] = 0;
    stack -= 4; // home area of HalpStartThread's callee
    memset(stack, 0, 4 * sizeof(*stack));
    stack -= 9; // r15, r14, r13, r12, rdi, rsi, rbp, rbx, return address
    memset(stack, 0, 9 * sizeof(*stack));
    stack[5] = (uint64_t)context;
    stack[7] = (uint64_t)entry;
    stack[8] = (uint64_t)HalpStartThread;
    return (uint64_t)stack;
}

// void HalEnterUserMode(rip, rsp, argument1, argument2): interrupts on in user mode, all other
// registers 0. FPU registers and IA32_KERNEL_GS_BASE are the thread's already.
__attribute__((naked)) void HalEnterUserMode(uint64_t rip, uint64_t rsp, uint64_t argument1,
                                             uint64_t argument2)
{
    __asm__("cli");
    __asm__("movq %rdx, %r10");
    ENTER_USER_MODE();
    __asm__("pushq $0x2B");
    __asm__("pushq %r10");
    __asm__("pushq $0x202");
    __asm__("pushq $0x33");
    __asm__("pushq %rcx");
    __asm__("movq %r8, %rcx");
    __asm__("movq %r9, %rdx");
    __asm__("xorl %eax, %eax");
    __asm__("xorl %ebx, %ebx");
    __asm__("xorl %ebp, %ebp");
    __asm__("xorl %esi, %esi");
    __asm__("xorl %edi, %edi");
    __asm__("xorl %r8d, %r8d");
    __asm__("xorl %r9d, %r9d");
    __asm__("xorl %r10d, %r10d");
    __asm__("xorl %r11d, %r11d");
    __asm__("xorl %r12d, %r12d");
    __asm__("xorl %r13d, %r13d");
    __asm__("xorl %r14d, %r14d");
    __asm__("xorl %r15d, %r15d");
    __asm__("swapgs");
    __asm__("iretq");
}
