// cputest.exe - programs that misuse the processor must hurt nobody but themselves. In the guest's
// /tests.
//
//   cputest.exe         runs every case below in a process of its own and checks how it ended
//   cputest.exe CASE    is one of them
// SPDX-License-Identifier: MIT
#include "MetalOS.h"
#include "SystemCalls.h"

#include <stdio.h>
#include <string.h>

#define ACCESS_VIOLATION    0xC0000005u
#define ILLEGAL_INSTRUCTION 0xC000001Du
#define BREAKPOINT          0x80000003u
#define SINGLE_STEP         0x80000004u
#define DIVIDE_BY_ZERO      0xC0000094u
#define FAST_FAIL           0xC0000409u
#define STILL_FINE          7u

static uint64_t SystemCall(uint64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    register uint64_t r10 __asm__("r10") = a1;
    register uint64_t r8 __asm__("r8") = a3;
    register uint64_t r9 __asm__("r9") = a4;
    __asm__ volatile("syscall"
                     : "+a"(number), "+r"(r10), "+d"(a2), "+r"(r8), "+r"(r9)
                     :
                     : "rcx", "r11", "memory");
    return number;
}

static void ZeroDivide(void)
{
    __asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" : : "a"(1), "d"(0) : "rcx");
}
static void Int3(void)
{
    __asm__ volatile("int3");
}
static void Int80(void)
{
    __asm__ volatile("int $0x80");
}
static void Int14(void)
{
    __asm__ volatile("int $14");
}
static void FastFail(void)
{
    __asm__ volatile("movl $7, %%ecx\n\tint $0x29" : : : "rcx");
}
static void Ud2(void)
{
    __asm__ volatile("ud2");
}
static void Halt(void)
{
    __asm__ volatile("hlt");
}
static void Cli(void)
{
    __asm__ volatile("cli");
}
static void Port(void)
{
    __asm__ volatile("inb $0x64, %%al" : : : "rax");
}
static void ReadMsr(void)
{
    __asm__ volatile("rdmsr" : : "c"(0xC0000082) : "rax", "rdx");
}
static void Swapgs(void)
{
    __asm__ volatile("swapgs");
}
static void ReadGsBase(void)
{
    __asm__ volatile("rdgsbase %%rax" : : : "rax");
}
static void WriteGsBase(void)
{
    __asm__ volatile("wrgsbase %0" : : "r"(0xFFFF800000000000ull));
}
static void Sysret(void)
{
    __asm__ volatile("sysretq");
}
static void NonCanonicalRead(void)
{
    (void)*(volatile int *)0x8000000000000000ull;
}
static void NonCanonicalJump(void)
{
    __asm__ volatile("jmpq *%0" : : "r"(0x0000800000000000ull));
}
static void KernelRead(void)
{
    (void)*(volatile int *)0xFFFFF80000000000ull;
}
static void KernelJump(void)
{
    __asm__ volatile("jmpq *%0" : : "r"(0xFFFFF80000001000ull));
}

static void TrapFlag(void)
{
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" : : : "memory");
}
static void TrapFlagAtSystemCall(void)
{
    __asm__ volatile(
        "movl $0xFFFF, %%eax\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tsyscall\n\tnop"
        :
        :
        : "rax", "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
}

// The kernel must neither believe these flags nor lose its way by them.
static void WildFlags(void)
{
    for (int i = 0; i < 1000; i++) {
        __asm__ volatile("pushfq\n\torq $0x44400, (%%rsp)\n\tpopfq" : : : "memory"); // AC, NT, DF
        SystemCall(0xFFFF, 0, 0, 0, 0);
        for (volatile int j = 0; j < 2000; j++)
            ;
        __asm__ volatile("cld\n\tpushfq\n\tandq $~0x44000, (%%rsp)\n\tpopfq" : : : "memory");
    }
    ExitProcess(STILL_FINE);
}

static void AlignmentFlag(void)
{
    __asm__ volatile("pushfq\n\torq $0x40000, (%%rsp)\n\tpopfq" : : : "memory");
    uint64_t status = SystemCall(1, 0xFFFF800000000000ull, 0, 0, 0); // AC is SMAP's key too
    __asm__ volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" : : : "memory");
    ExitProcess(status == StatusInvalidAddress ? STILL_FINE : 1);
}

// Loading gs clears its base: the program loses its own thread block and nothing else.
static void LoadSegments(void)
{
    __asm__ volatile("movl $0x2B, %%eax\n\tmovl %%eax, %%gs\n\tmovl %%eax, %%fs\n\tmovl %%eax, %%es"
                     :
                     :
                     : "rax");
    for (int i = 0; i < 1000; i++)
        SystemCall(0xFFFF, 0, 0, 0, 0);
    for (volatile int j = 0; j < 30000000; j++)
        ;
    __asm__ volatile("xorl %%eax, %%eax\n\tmovl %%eax, %%gs" : : : "rax");
    for (int i = 0; i < 1000; i++)
        SystemCall(0xFFFF, 0, 0, 0, 0);
    ExitProcess(STILL_FINE); // a stub, which does not need gs
}

// System calls with every kind of stack pointer, of a call whose
// fifth argument lies on the stack.
static uint64_t CallOnStack(uint64_t stack)
{
    uint64_t result = SystemCallWaitForMultipleObjects;
    register uint64_t r10 __asm__("r10") = 1;
    register uint64_t r8 __asm__("r8") = 0;
    register uint64_t r9 __asm__("r9") = 0;
    register uint64_t saved __asm__("r12");
    __asm__ volatile("movq %%rsp, %1\n\tmovq %5, %%rsp\n\tsyscall\n\tmovq %1, %%rsp"
                     : "+a"(result), "=&r"(saved), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "r"(stack)
                     : "rcx", "rdx", "r11", "memory");
    return result;
}
static void WildStacks(void)
{
    static const uint64_t stacks[] = {0,
                                      8,
                                      0x1000,
                                      0x7FFFFFFEFFC8,
                                      0x7FFFFFFEFFD0,
                                      0x7FFFFFFFFFF8,
                                      0x800000000000,
                                      0xFFFF800000000000,
                                      0xFFFFF80000000000,
                                      0xFFFFFFFFFFFFFFF8,
                                      0xFFFFFFFFFFFFFFD0};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
        if (CallOnStack(stacks[i]) != StatusInvalidAddress)
            ExitProcess(1);
    ExitProcess(STILL_FINE);
}

static void WildNumbers(void)
{
    uint64_t seed = 88172645463325252ull;
    for (int i = 0; i < 100000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint64_t number = seed | 0x100; // past the table in the low half
        if (SystemCall(number, seed, seed, seed, seed) != StatusUnknownSystemCall)
            ExitProcess(1);
    }
    ExitProcess(STILL_FINE);
}

// ---- floating point and gs base are each thread's own

static volatile bool stop;

static uint32_t Disturb(void *argument)
{
    double value = (double)(size_t)argument;
    while (!stop) {
        __asm__ volatile("movq %0, %%xmm6\n\tmovq %0, %%xmm15" : : "r"(value) : "xmm6", "xmm15");
        Sleep(0);
    }
    return 0;
}

static void FloatingPoint(void)
{
    Handle threads[3];
    for (size_t i = 0; i < 3; i++)
        if (CreateThread(Disturb, (void *)(i + 100), 0, &threads[i]) != StatusSuccess)
            ExitProcess(1);
    uint64_t pattern = 0x0123456789ABCDEF, seen6 = 0, seen15 = 0;
    uint32_t control = 0, wanted = 0x7F80; // rounds towards zero
    __asm__ volatile("ldmxcsr %0" : : "m"(wanted));
    for (int i = 0; i < 3000; i++) {
        __asm__ volatile("movq %2, %%xmm6\n\tmovq %2, %%xmm15\n\t"
                         "movl $0xFFFF, %%eax\n\tsyscall\n\t"
                         "movq %%xmm6, %0\n\tmovq %%xmm15, %1"
                         : "=&r"(seen6), "=&r"(seen15)
                         : "r"(pattern)
                         : "rax", "rcx", "r11", "rdx", "r8", "r9", "r10", "xmm6", "xmm15",
                           "memory");
        if (seen6 != pattern || seen15 != pattern)
            ExitProcess(2);
        __asm__ volatile("movq %0, %%xmm15" : : "r"(pattern) : "xmm15");
        Sleep(0);
        __asm__ volatile("movq %%xmm15, %0" : "=r"(seen15));
        if (i % 100 == 0 && GetCurrentThreadId() == 0)
            ExitProcess(3);
    }
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    stop = true;
    if (WaitForMultipleObjects(3, threads, true, 10000, NULL) != StatusSuccess)
        ExitProcess(4);
    ExitProcess((control & 0xFFC0) == wanted ? STILL_FINE : 5);
}

static const struct Case {
    const char *Name;
    void (*Run)(void);
    uint32_t ExitCode;
} cases[] = {
    {"divide", ZeroDivide, DIVIDE_BY_ZERO},
    {"int3", Int3, BREAKPOINT},
    {"int80", Int80, ACCESS_VIOLATION},
    {"int14", Int14, ACCESS_VIOLATION},
    {"fastfail", FastFail, FAST_FAIL},
    {"ud2", Ud2, ILLEGAL_INSTRUCTION},
    {"hlt", Halt, ACCESS_VIOLATION},
    {"cli", Cli, ACCESS_VIOLATION},
    {"port", Port, ACCESS_VIOLATION},
    {"rdmsr", ReadMsr, ACCESS_VIOLATION},
    {"swapgs", Swapgs, ACCESS_VIOLATION},
    {"rdgsbase", ReadGsBase, ILLEGAL_INSTRUCTION},
    {"wrgsbase", WriteGsBase, ILLEGAL_INSTRUCTION},
    {"sysret", Sysret, ACCESS_VIOLATION},
    {"noncanonical-read", NonCanonicalRead, ACCESS_VIOLATION},
    {"noncanonical-jump", NonCanonicalJump, ACCESS_VIOLATION},
    {"kernel-read", KernelRead, ACCESS_VIOLATION},
    {"kernel-jump", KernelJump, ACCESS_VIOLATION},
    {"trap-flag", TrapFlag, SINGLE_STEP},
    {"trap-flag-syscall", TrapFlagAtSystemCall, SINGLE_STEP},
    {"wild-flags", WildFlags, STILL_FINE},
    {"alignment-flag", AlignmentFlag, STILL_FINE},
    {"segments", LoadSegments, STILL_FINE},
    {"wild-stacks", WildStacks, STILL_FINE},
    {"wild-numbers", WildNumbers, STILL_FINE},
    {"floating-point", FloatingPoint, STILL_FINE},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static bool RunCase(const struct Case *test)
{
    char command[64];
    Handle process;
    ProcessInfo info;
    snprintf(command, sizeof(command), "/tests/cputest.exe %s", test->Name);
    CreateProcessParameters parameters = {.CommandLine = command};
    Status status = CreateProcess(&parameters, &process);
    if (status != StatusSuccess) {
        printf("cputest: %s: cannot start, status %d\n", test->Name, status);
        return false;
    }
    status = WaitForSingleObject(process, 60000);
    if (status == StatusSuccess)
        status = GetProcessInfo(process, &info);
    bool right = status == StatusSuccess && info.ExitCode == test->ExitCode;
    if (!right)
        printf("cputest: %s: status %d, exit code %08x, expected %08x\n", test->Name, status,
               status == StatusSuccess ? info.ExitCode : 0, test->ExitCode);
    (void)TerminateProcess(process, 1);
    (void)CloseHandle(process);
    return right;
}

int main(int count, char **arguments)
{
    size_t right = 0;
    for (size_t i = 0; i < CASES; i++) {
        if (count > 1 && strcmp(arguments[1], cases[i].Name) == 0) {
            cases[i].Run();
            return 1;
        }
        if (count == 1)
            right += RunCase(&cases[i]);
    }
    printf("cputest: %zu of %zu right\n", right, CASES);
    return right == CASES ? 0 : 1;
}
