// crash.c - deliberate crashes, for the tests of the crash report: boot option `crash = NAME`.
//
// Each has a chain of functions of its own, CrashOuter -> CrashMiddle -> ..., that the report must
// show.
// SPDX-License-Identifier: MIT
#include "kdi.h"

// Keeps the call a call and the caller on the stack: something remains to be done after it.
#define NOT_LAST() __asm__ volatile("" : : : "memory")
#define CRASH      __attribute__((noinline)) static void

static volatile uint64_t *volatile badPointer;
static void (*volatile badFunction)(void);
static volatile uint32_t zero, depth;
static volatile bool wait = true;

CRASH CrashReadNull(void)
{
    depth += (uint32_t)badPointer[1];
}
CRASH CrashWriteNull(void)
{
    badPointer[1] = 1;
}
CRASH CrashCallNull(void)
{
    badFunction();
    NOT_LAST();
}
CRASH CrashWriteCode(void)
{
    *(volatile uint8_t *)CrashReadNull = 0xCC;
}
CRASH CrashExecuteData(void)
{
    static uint8_t code[] = {0xC3};
    badFunction = (void (*)(void))(uint64_t)code;
    badFunction();
    NOT_LAST();
}
CRASH CrashNonCanonical(void)
{
    depth += *(volatile uint32_t *)0x8000000000000000ull;
}
CRASH CrashDivide(void)
{
    depth = 100 / zero;
}
CRASH CrashUndefined(void)
{
    __asm__ volatile("ud2");
    NOT_LAST();
}
CRASH CrashAssertion(void)
{
    KE_ASSERT(zero == 1);
    NOT_LAST();
}
CRASH CrashBugCheck(void)
{
    KeBugCheck(BugCheckManual, 1, 2, 3, 4);
}

CRASH CrashOverflowStack(void)
{
    volatile uint8_t room[512];
    room[depth % sizeof room] = (uint8_t)depth;
    if (++depth != zero)
        CrashOverflowStack();
    depth -= room[depth % sizeof room];
}

CRASH CrashSmashStack(void)
{
    volatile uint8_t room[32];
    for (volatile size_t i = 0; i < 64 + zero; i++)
        room[i] = 0x41;
}

static KDpc dpc;
static KTimer timer;

CRASH CrashInDpcRoutine(void *context)
{
    CrashWriteNull();
    NOT_LAST();
}

// The loop that the clock interrupt finds, on whose stack the DPC runs.
CRASH CrashSpin(void)
{
    while (wait)
        HalPause();
}

CRASH CrashInDpc(void)
{
    KeInitializeDpc(&dpc, CrashInDpcRoutine, nullptr);
    KeInitializeTimer(&timer, false);
    KeSetTimer(&timer, 50000000, 0, &dpc); // ns: not before it spins
    CrashSpin();
    NOT_LAST();
}

CRASH CrashQueuedDpc(void)
{
    KIrql old = KeRaiseIrql(DispatchLevel);
    KeInitializeDpc(&dpc, CrashInDpcRoutine, nullptr);
    KeQueueDpc(&dpc);
    KeLowerIrql(old); // runs it
    NOT_LAST();
}

CRASH CrashInInterruptRoutine(void *context)
{
    CrashReadNull();
    NOT_LAST();
}

// An interrupt of the processor's own making, by a vector that messages use.
CRASH CrashInInterrupt(void)
{
    uint64_t address;
    uint32_t data;
    KE_ASSERT(HalConnectMessageInterrupt(CrashInInterruptRoutine, nullptr, &address, &data) ==
              StatusSuccess);
    HalRequestInterrupt(KeGetCurrentProcessorNumber(), (uint8_t)data);
    CrashSpin();
    NOT_LAST();
}

CRASH CrashLocked(void)
{
    static KSpinLock lock = KE_SPIN_LOCK_INIT(LockRankLog, "crash");
    KIrql old = KeAcquireSpinLock(&lock);
    CrashWriteNull();
    KeReleaseSpinLock(&lock, old);
}

// A lock that this processor has already never comes free.
CRASH CrashLockTwice(void)
{
    static KSpinLock lock = KE_SPIN_LOCK_INIT(LockRankLog, "crash");
    KIrql old = KeAcquireSpinLock(&lock);
    KIrql again = KeAcquireSpinLock(&lock);
    KeReleaseSpinLock(&lock, again);
    KeReleaseSpinLock(&lock, old);
}

// Not even the fault can be delivered on such a stack; there is nothing to walk.
CRASH CrashWildStack(void)
{
    __asm__ volatile("movq $0x1000, %rsp\n\tpushq %rax");
    NOT_LAST();
}

CRASH CrashNmi(void)
{
    HalSendNmi(KeGetPrcb(KeGetCurrentProcessorNumber())->Hal.ApicId);
    CrashSpin();
    NOT_LAST();
}

static void CrashInWorkItemRoutine(void *context)
{
    CrashReadNull();
    NOT_LAST();
}

CRASH CrashInWorkItem(void)
{
    static KWorkItem item = {.Routine = CrashInWorkItemRoutine};
    KeQueueWorkItem(&item);
    for (;;)
        (void)!KeDelay(KernelWait, 1000000000);
}

static void CrashElsewhereRoutine(void *context)
{
    (void)!KeSetAffinity(KeGetCurrentThread(), 1ull << (KeGetProcessorCount() - 1));
    KeYield();
    CrashWriteNull();
    NOT_LAST();
}

static void SpinElsewhere(void *context)
{
    (void)!KeSetAffinity(KeGetCurrentThread(), 2);
    __atomic_store_n((volatile bool *)context, true, __ATOMIC_RELEASE);
    CrashSpin();
    NOT_LAST();
}

static void StartElsewhere(void (*entry)(void *), volatile bool *there)
{
    static alignas(16) uint8_t stack[16384];
    static KThread thread;
    KThreadParameters parameters = {.Entry = entry,
                                    .Context = (void *)there,
                                    .KernelStackLimit = stack,
                                    .KernelStackSize = sizeof stack,
                                    .Priority = KePriorityNormal,
                                    .Name = "elsewhere"};
    (void)!KeSetAffinity(KeGetCurrentThread(), 1);
    KE_ASSERT(KeInitializeThread(&thread, &parameters, nullptr) == StatusSuccess);
    KeStartThread(&thread);
    while (!*there)
        (void)!KeDelay(KernelWait, 1000000);
}

// With another processor in the middle of something.
CRASH CrashSpinElsewhere(void)
{
    static volatile bool there;
    StartElsewhere(SpinElsewhere, &there);
    CrashWriteNull();
    NOT_LAST();
}

// On the last processor.
CRASH CrashElsewhere(void)
{
    static volatile bool never;
    StartElsewhere(CrashElsewhereRoutine, &never);
    NOT_LAST();
}

// Stuck, which only the watchdog ends.
CRASH CrashStuckDispatch(void)
{
    KIrql old = KeRaiseIrql(DispatchLevel);
    CrashSpin();
    KeLowerIrql(old);
}

// On the last processor: another one has to notice.
CRASH CrashStuckInterrupts(void)
{
    (void)!KeSetAffinity(KeGetCurrentThread(), 1ull << (KeGetProcessorCount() - 1));
    HalDisableInterrupts();
    CrashSpin();
    HalEnableInterrupts();
}

// ---- while a program runs: a periodic DPC waits for it to be where it should.
static bool inSystemCall, awaitNames;

// Whether a crash can name the functions there, as it can once a program has run for a while.
static bool AreNamesThere(const uint64_t *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        KdiModule module;
        if (KdiFindModule(addresses[i], &module) && !module.Kernel && module.Symbols == nullptr)
            return false;
    }
    return true;
}

CRASH CrashInProgramRoutine(void *context)
{
    uint64_t addresses[32];
    size_t count = KdWalkStack(nullptr, addresses, RTL_COUNT_OF(addresses));
    // Two frames of the program's: not while another address space is current, where one is seen.
    bool program = count > 1 && addresses[count - 2] < DIRECT_MAP_BASE, systemCall = false;
    for (size_t i = 0; i < count; i++)
        systemCall = systemCall || KdiIsSystemCallEntry(addresses[i]);
    if (program && systemCall == inSystemCall && AreNamesThere(addresses, count) == awaitNames)
        CrashWriteNull();
    NOT_LAST();
}

// On the first processor, while another one is in a program: after two seconds of that, when its
// names are there.
CRASH CrashBesideProgramRoutine(void *context)
{
    constexpr uint32_t enough = 700;
    static uint32_t seen;
    const KThread *thread = KeGetPrcb(KeGetProcessorCount() - 1)->Hal.Thread;
    if (thread->OwnProcess != &KeSystemProcess && seen++ == enough)
        CrashWriteNull();
    NOT_LAST();
}

static void RepeatDpc(KDpcRoutine *routine)
{
    constexpr uint64_t period = 3000000; // ns; no multiple of the scheduler's
    KeInitializeDpc(&dpc, routine, nullptr);
    KeInitializeTimer(&timer, false);
    KeSetTimer(&timer, period, period, &dpc);
}

static void ArmProgramCrash(bool systemCall, bool names)
{
    inSystemCall = systemCall;
    awaitNames = names;
    RepeatDpc(CrashInProgramRoutine);
}

static void CrashInProgram(void)
{
    ArmProgramCrash(false, true);
}
static void CrashInSystemCall(void)
{
    ArmProgramCrash(true, true);
}
static void CrashInNewProgram(void)
{
    ArmProgramCrash(false, false);
}

static void CrashBesideProgram(void)
{
    (void)!KeSetAffinity(KeGetCurrentThread(), 1); // where the timer is armed, it expires
    RepeatDpc(CrashBesideProgramRoutine);
}

// ---- no crash, but what a debugger at the other end can be tried on: text, a question, a function
// whose argument and result it can change, a variable to watch, a breakpoint in the code.
volatile uint64_t KdiTriedVariable;

__attribute__((noinline)) uint64_t KdiTriedFunction(uint64_t argument)
{
    KdiTriedVariable = argument;
    return argument + 1;
}

static void TryDebugger(void)
{
    static const char text[] = "text for the debugger\n";
    char answer[32];
    KdPrint(text, sizeof text - 1);
    size_t length = KdPrompt("What is it? ", answer, sizeof answer);
    KeLog(LogInfo, "kd: %zu bytes of answer: %s", length, answer);
    for (uint64_t i = 0; i < 3; i++)
        KeLog(LogInfo, "kd: of %llu comes %llu", i, KdiTriedFunction(i));
    __asm__ volatile("int3");
    KeLog(LogInfo, "kd: tried");
}

typedef struct Crash {
    const char *Name;
    void (*Routine)(void);
} Crash;
static const Crash crashes[] = {
    {"read-null", CrashReadNull},
    {"write-null", CrashWriteNull},
    {"call-null", CrashCallNull},
    {"write-code", CrashWriteCode},
    {"execute-data", CrashExecuteData},
    {"non-canonical", CrashNonCanonical},
    {"divide", CrashDivide},
    {"undefined", CrashUndefined},
    {"assertion", CrashAssertion},
    {"bugcheck", CrashBugCheck},
    {"stack-overflow", CrashOverflowStack},
    {"stack-smash", CrashSmashStack},
    {"dpc", CrashInDpc},
    {"queued-dpc", CrashQueuedDpc},
    {"interrupt", CrashInInterrupt},
    {"locked", CrashLocked},
    {"lock-twice", CrashLockTwice},
    {"wild-stack", CrashWildStack},
    {"nmi", CrashNmi},
    {"work-item", CrashInWorkItem},
    {"elsewhere", CrashElsewhere},
    {"spin-elsewhere", CrashSpinElsewhere},
    {"stuck-dispatch", CrashStuckDispatch},
    {"stuck-interrupts", CrashStuckInterrupts},
    {"program", CrashInProgram},
    {"system-call", CrashInSystemCall},
    {"new-program", CrashInNewProgram},
    {"beside-program", CrashBesideProgram},
    {"debugger", TryDebugger},
};
static Crash moreCrashes[8];
static size_t moreCrashCount;

void KdRegisterCrash(const char *name, void (*routine)(void))
{
    KE_ASSERT(moreCrashCount < RTL_COUNT_OF(moreCrashes));
    moreCrashes[moreCrashCount++] = (Crash){name, routine};
}

__attribute__((noinline)) static void CrashMiddle(void (*routine)(void))
{
    routine();
    NOT_LAST();
}

__attribute__((noinline)) static void CrashOuter(void (*routine)(void))
{
    CrashMiddle(routine);
    NOT_LAST();
}

static void (*FindCrash(const char *name))(void)
{
    for (size_t i = 0; i < RTL_COUNT_OF(crashes); i++) {
        if (strcmp(crashes[i].Name, name) == 0)
            return crashes[i].Routine;
    }
    for (size_t i = 0; i < moreCrashCount; i++) {
        if (strcmp(moreCrashes[i].Name, name) == 0)
            return moreCrashes[i].Routine;
    }
    return nullptr;
}

void KdCrash(const char *options)
{
    char name[32];
    if (!RtlFindOption(options, "crash", 0, name, sizeof name))
        return;
    void (*routine)(void) = FindCrash(name);
    if (routine != nullptr)
        CrashOuter(routine);
    else
        KeLog(LogWarning, "there is no crash '%s'", name);
}
