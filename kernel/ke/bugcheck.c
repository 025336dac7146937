// bugcheck.c - the end: stop the other processors, explain, halt or reset.
//
// The first processor that gets here owns the report; another that fails meanwhile stops silently.
// A failure inside the report itself is told in one line and ends it.
// SPDX-License-Identifier: MIT
#include "hal_hyperv.h"
#include "ki.h"
#include "sanitize.h"

static volatile uint32_t OwnerPlusOne; // processor that reports
static uint32_t Depth;                 // of the owner's failures
static bool ResetAfterReport;
static void (*Reporter)(const KBugCheck *);
static void (*Farewell)(void);

void KeRegisterBugCheckReporter(void (*reporter)(const KBugCheck *))
{
    Reporter = reporter;
}
void KeRegisterFarewell(void (*routine)(void))
{
    Farewell = routine;
}
void KeSetBugCheckAction(bool reset)
{
    ResetAfterReport = reset;
}
bool KiIsFreezing(void)
{
    return OwnerPlusOne != 0;
}

static void Print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void Print(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    size_t used = RtlFormatV(line, sizeof(line), format, arguments);
    va_end(arguments);
    HalWriteSerial(line, RTL_MIN(used, sizeof(line) - 1));
}

static const char *NameOf(KBugCheckCode code)
{
    static const struct {
        KBugCheckCode Code;
        const char *Name;
    } names[] = {
        {BugCheckIrqlNotLessOrEqual, "IRQL_NOT_LESS_OR_EQUAL"},
        {BugCheckUnhandledException, "UNHANDLED_EXCEPTION"},
        {BugCheckPageFault, "PAGE_FAULT"},
        {BugCheckNoBootDevice, "NO_BOOT_DEVICE"},
        {BugCheckProcessorTrap, "PROCESSOR_TRAP"},
        {BugCheckHardware, "HARDWARE"},
        {BugCheckHeapCorrupt, "HEAP_CORRUPT"},
        {BugCheckBadHeapCaller, "BAD_HEAP_CALLER"},
        {BugCheckManual, "MANUAL"},
        {BugCheckSecurity, "SECURITY"},
        {BugCheckAssertion, "ASSERTION"},
        {BugCheckLockRank, "LOCK_RANK"},
        {BugCheckInitialization, "INITIALIZATION"},
        {BugCheckUndefinedBehaviour, "UNDEFINED_BEHAVIOUR"},
        {BugCheckBadAccess, "BAD_ACCESS"},
        {BugCheckCriticalProcess, "CRITICAL_PROCESS"},
        {BugCheckClockWatchdog, "CLOCK_WATCHDOG"},
        {BugCheckDispatchWatchdog, "DISPATCH_WATCHDOG"},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(names); i++)
        if (names[i].Code == code)
            return names[i].Name;
    return "UNKNOWN";
}

// The report of a kernel whose debugger support has not started.
static void ReportPlainly(const KBugCheck *bugCheck)
{
    Print("\n*** BUGCHECK %08x %s (%llx, %llx, %llx, %llx)\n", (uint32_t)bugCheck->Code,
          NameOf(bugCheck->Code), bugCheck->Parameters[0], bugCheck->Parameters[1],
          bugCheck->Parameters[2], bugCheck->Parameters[3]);
    if (bugCheck->Message != nullptr)
        Print("%s\n", bugCheck->Message);
    const KTrapFrame *frame = bugCheck->Frame;
    if (frame != nullptr) {
        Print("vector %llu error %llx rip %016llx cs %llx rflags %llx rsp %016llx\n", frame->Vector,
              frame->ErrorCode, frame->Rip, frame->Cs, frame->Rflags, frame->Rsp);
        Print("rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", frame->Rax, frame->Rbx,
              frame->Rcx, frame->Rdx);
        Print("rsi %016llx rdi %016llx rbp %016llx  r8 %016llx\n", frame->Rsi, frame->Rdi,
              frame->Rbp, frame->R8);
        Print(" r9 %016llx r10 %016llx r11 %016llx r12 %016llx\n", frame->R9, frame->R10,
              frame->R11, frame->R12);
        Print("r13 %016llx r14 %016llx r15 %016llx cr2 %016llx\n", frame->R13, frame->R14,
              frame->R15, HalReadCr2());
    }
    Print("*** END OF REPORT\n");
}

// Once, whatever fails in it.
static void TellHost(const KBugCheck *bugCheck)
{
    static bool told;
    char text[256];
    if (told)
        return;
    told = true;
    RtlFormat(text, sizeof(text), "MetalOS: %s: %s", NameOf(bugCheck->Code),
              bugCheck->Message != nullptr ? bugCheck->Message : "");
    HalReportCrash(bugCheck->Code, bugCheck->Parameters[0], bugCheck->Parameters[1], text);
    if (Farewell != nullptr)
        Farewell();
}

static void End(void) __attribute__((noreturn));
static void End(void)
{
    if (ResetAfterReport)
        HalReset();
    for (;;) {
        HalDisableInterrupts();
        __asm__ volatile("hlt");
    }
}

void KeBugCheckFrame(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4,
                     const char *message, const KTrapFrame *frame)
{
    SanStop();
    HalDisableInterrupts();
    KiSetIrql(HighLevel);
    uint32_t self = KeGetCurrentProcessorNumber() + 1, expected = 0;
    if (!__atomic_compare_exchange_n(&OwnerPlusOne, &expected, self, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST) &&
        expected != self) {
        for (;;) // the owner stops this processor here
            HalPause();
    }
    while (!KeFreezeMachine((KTrapFrame *)frame)) // the debugger may have it
        ;
    KBugCheck bugCheck = {code, {p1, p2, p3, p4}, message, frame};
    KiBreakLogLock();
    switch (Depth++) {
    case 0:
        if (Reporter != nullptr)
            Reporter(&bugCheck);
        else
            ReportPlainly(&bugCheck);
        break;
    case 1:
        Print("\nThe report itself failed:");
        ReportPlainly(&bugCheck);
        break;
    default:
        break;
    }
    TellHost(&bugCheck);
    End();
}

void KeBugCheck(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4)
{
    KeBugCheckFrame(code, p1, p2, p3, p4, nullptr, nullptr);
}

void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
{
    char message[256];
    RtlFormat(message, sizeof(message), "Assertion failed: %s, %s:%u", expression, file, line);
    KeBugCheckFrame(BugCheckAssertion, (uint64_t)expression, (uint64_t)file, line, 0, message,
                    nullptr);
}

void KiReportStackOverrun(uint64_t found, uint64_t expected)
{
    KeBugCheckFrame(BugCheckSecurity, 2, found, expected, 0,
                    "A function's stack frame was overrun.", nullptr);
}
