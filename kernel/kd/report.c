// report.c - the crash report: what happened, where, in whose name, and how it came there, on COM1
// and on the screen.
//
// ke calls the reporter once, with interrupts off and the other processors stopped. It moves to a
// stack of its own, since the one it is on may be what broke. COM1 is written first, line by line:
// a fault in the report itself ends it, but what was found out until then is there.
// SPDX-License-Identifier: MIT
#include "kdi.h"
#include "target.h"

enum { ReportStackSize = 16384, LineSize = 304 };

static alignas(16) uint8_t reportStack[ReportStackSize];
static void (*printScreen)(const char *text, size_t length);
static bool (*nameProcess)(char *text, size_t size);

static struct {
    const KBugCheck *BugCheck;
    UnwindFrame Start;
} report; // there is one report in a kernel's life

void KdRegisterScreen(void (*print)(const char *text, size_t length))
{
    printScreen = print;
}
void KdRegisterProcessNamer(bool (*name)(char *text, size_t size))
{
    nameProcess = name;
}

__attribute__((format(printf, 1, 2))) static void Print(const char *format, ...)
{
    char line[LineSize];
    va_list arguments;
    va_start(arguments, format);
    size_t length = RtlFormatV(line, sizeof line, format, arguments);
    va_end(arguments);
    length = RTL_MIN(length, sizeof line - 1);
    HalWriteSerial(line, length);
    KdPrint(line, length);
    if (printScreen != nullptr)
        printScreen(line, length);
}

typedef struct CodeText {
    KBugCheckCode Code;
    const char *Name, *Hint;
} CodeText;
static const CodeText codeTexts[] = {
    {BugCheckIrqlNotLessOrEqual, "IRQL_NOT_LESS_OR_EQUAL",
     "Pageable or missing memory was touched at a raised level."},
    {BugCheckHeapCorrupt, "HEAP_CORRUPT", "A kernel heap block was overwritten, or freed twice."},
    {BugCheckUnhandledException, "UNHANDLED_EXCEPTION",
     "The processor refused an instruction of the kernel."},
    {BugCheckPageFault, "PAGE_FAULT",
     "The kernel touched memory that is not there, or not for that use."},
    {BugCheckNoBootDevice, "NO_BOOT_DEVICE",
     "The volume that the system started from was not found."},
    {BugCheckProcessorTrap, "PROCESSOR_TRAP",
     "A fault that handlers cannot take; a double fault is usually a full stack."},
    {BugCheckHardware, "HARDWARE", "The processor reported an error of its own or of the memory."},
    {BugCheckBadHeapCaller, "BAD_HEAP_CALLER",
     "A heap function was called with what is no heap block."},
    {BugCheckManual, "MANUAL", "Somebody asked for this."},
    {BugCheckSecurity, "SECURITY", "A stack cookie or a list was overwritten."},
    {BugCheckCriticalProcess, "CRITICAL_PROCESS",
     "A program that the system cannot go on without has ended."},
    {BugCheckClockWatchdog, "CLOCK_WATCHDOG",
     "A processor has had interrupts off for much too long; the stack is its own."},
    {BugCheckDispatchWatchdog, "DISPATCH_WATCHDOG",
     "A spin lock never came free, or a deferred call does not end."},
    {BugCheckAssertion, "ASSERTION", "Something the kernel takes for granted is not so."},
    {BugCheckLockRank, "LOCK_RANK", "A lock was taken out of order, which can deadlock."},
    {BugCheckInitialization, "INITIALIZATION", "A step of the start-up failed."},
    {BugCheckUndefinedBehaviour, "UNDEFINED_BEHAVIOUR", "The code did what C leaves undefined."},
    {BugCheckBadAccess, "BAD_ACCESS", "Memory was used that is free or not the object's."},
};

static const CodeText *FindCodeText(KBugCheckCode code)
{
    static const CodeText unknown = {.Name = "UNKNOWN", .Hint = "The code has no text."};
    for (size_t i = 0; i < RTL_COUNT_OF(codeTexts); i++) {
        if (codeTexts[i].Code == code)
            return &codeTexts[i];
    }
    return &unknown;
}

// What the parameters mean, where they are known to.
static void PrintParameters(const KBugCheck *bugCheck)
{
    const uint64_t *p = bugCheck->Parameters;
    Print("parameters %016llx %016llx %016llx %016llx\n", p[0], p[1], p[2], p[3]);
    if (bugCheck->Frame != nullptr &&
        bugCheck->Frame->Vector == 14) { // SDM 3A, 4.7: page fault error code
        uint64_t error = bugCheck->Frame->ErrorCode;
        Print("%s of address %016llx: %s\n",
              error & 16  ? "execution"
              : error & 2 ? "write"
                          : "read",
              HalReadCr2(),
              error & 8   ? "a reserved bit is set in a page table"
              : error & 1 ? "the page does not allow it"
                          : "no page is there");
    }
}

static void PrintWho(void)
{
    KThread *thread = KeGetCurrentThread();
    KThread copy;
    char name[sizeof copy.Name + 1] = "?";
    bool readable = KdiReadMemory(nullptr, (uint64_t)thread, &copy, sizeof copy);
    if (readable) {
        for (size_t i = 0; i < sizeof copy.Name; i++)
            name[i] = copy.Name[i] < ' ' || copy.Name[i] > '~' ? 0 : copy.Name[i];
        name[sizeof copy.Name] = 0;
    }
    Print("processor %u (%s), thread %016llx \"%s\"", KeGetCurrentProcessorNumber(),
          HalGetProcessorName(), (uint64_t)thread, name);
    Print("\n");
    char process[96];
    if (nameProcess == nullptr || !nameProcess(process, sizeof process))
        RtlCopyString(process, sizeof process, "system");
    Print("process %s", process);
    if (readable)
        Print(", kernel stack %016llx-%016llx", (uint64_t)copy.KernelStackLimit,
              copy.KernelStackTop);
    Print("\n");
}

static void PrintRegisters(const KTrapFrame *frame)
{
    Print(
        "rip %016llx  rsp %016llx  rflags %08llx  cs %02llx  ss %02llx  vector %llu  error %llx\n",
        frame->Rip, frame->Rsp, frame->Rflags, frame->Cs, frame->Ss, frame->Vector,
        frame->ErrorCode);
    Print("rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", frame->Rax, frame->Rbx,
          frame->Rcx, frame->Rdx);
    Print("rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx\n", frame->Rsi, frame->Rdi,
          frame->Rbp, frame->R8);
    Print("r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx\n", frame->R9, frame->R10, frame->R11,
          frame->R12);
    Print("r13 %016llx  r14 %016llx  r15 %016llx\n", frame->R13, frame->R14, frame->R15);
    Print("cr0 %016llx  cr2 %016llx  cr3 %016llx  cr4 %016llx\n", HalReadCr0(), HalReadCr2(),
          HalReadCr3(), HalReadCr4());
}

static void PrintStackLine(void *context, const char *line)
{
    Print("  %s\n", line);
}

// Where the other processors stood when this one stopped them.
static void PrintOtherProcessors(void)
{
    static KdiStackFrame frames[KDI_MAXIMUM_OTHER_FRAMES];
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        KTrapFrame *frame, copy;
        if (i == KeGetCurrentProcessorNumber())
            continue;
        if (!KeGetFrozenFrame(i, &frame) ||
            !KdiReadMemory(nullptr, (uint64_t)frame, &copy, sizeof copy)) {
            Print("*** PROCESSOR %u does not answer\n", i);
            continue;
        }
        Print("*** PROCESSOR %u, rsp %016llx:\n", i, copy.Rsp);
        KdiLookAt(KeGetPrcb(i)->Hal.Thread);
        size_t count = KdiWalk(KdiFrameFromTrap(&copy), frames, RTL_COUNT_OF(frames));
        for (size_t j = 0; j < count; j++)
            KdiPrintFrame(&frames[j], PrintStackLine, nullptr);
        KdiLookAt(nullptr);
    }
}

static void PrintStack(void)
{
    static KdiStackFrame frames[KDI_MAXIMUM_FRAMES];
    size_t count = KdiWalk(report.Start, frames, RTL_COUNT_OF(frames));
    size_t skip = report.BugCheck->Frame == nullptr ? 1 : 0; // the reporter
    Print("stack:\n");
    for (size_t i = skip; i < count; i++)
        KdiPrintFrame(&frames[i], PrintStackLine, nullptr);
    if (count == RTL_COUNT_OF(frames))
        Print("  ...\n");
}

static void PrintReport(void)
{
    const KBugCheck *bugCheck = report.BugCheck;
    const CodeText *text = FindCodeText(bugCheck->Code);
    Print("\n*** BUGCHECK %08x %s\n%s\n", (uint32_t)bugCheck->Code, text->Name, text->Hint);
    if (bugCheck->Message != nullptr)
        Print("%s\n", bugCheck->Message);
    PrintParameters(bugCheck);
    PrintWho();
    if (bugCheck->Frame != nullptr)
        PrintRegisters(bugCheck->Frame);
    PrintStack();
    PrintOtherProcessors();
}

static void WriteDump(void)
{
    uint64_t pages;
    const char *failure = KdiWriteDump(report.BugCheck, &report.Start, &pages);
    if (failure == nullptr)
        Print("*** dump: %llu pages are on the disk; the next start makes a file of them\n", pages);
    else
        Print("*** dump: none was written: %s\n", failure);
}

static void CallOnStack(void *top, void (*routine)(void))
{
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %[top], %%rsp\n\t"
                     "subq $32, %%rsp\n\t"
                     "callq *%[routine]\n\t"
                     "movq %%rbx, %%rsp"
                     :
                     : [top] "r"(top), [routine] "r"(routine)
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
}

void KdiReport(const KBugCheck *bugCheck)
{
    report.BugCheck = bugCheck;
    if (bugCheck->Frame != nullptr)
        report.Start = KdiFrameFromTrap(bugCheck->Frame);
    else
        KdiCapture(&report.Start);
    CallOnStack(reportStack + sizeof reportStack, PrintReport);
    KdiBreakForBugCheck(bugCheck);
    CallOnStack(reportStack + sizeof reportStack, WriteDump);
    Print("*** END OF REPORT\n");
}
