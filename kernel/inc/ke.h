// ke.h - the kernel core: processors, interrupt levels, spin locks, threads and their scheduling,
// things to wait for, timers, deferred procedure calls, the log, the bugcheck.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalTraceFormat.h"
#include "hal.h"

// ------------------------------------------------------------------------------- interrupt levels
// A software level per processor. Dispatch: no preemption, DPCs wait, no page faults, no waiting.
// High: also interrupts off.
typedef enum KIrql : uint8_t { PassiveLevel = 0, DispatchLevel = 1, HighLevel = 2 } KIrql;

KIrql KeGetCurrentIrql(void);
// Returns the old level, for KeLowerIrql alone: raising to HighLevel adds a mark to it when
// interrupts were off already, so that they stay off. level >= the old one.
KIrql KeRaiseIrql(KIrql level);
void KeLowerIrql(KIrql level); // runs pending DPCs and a pending reschedule on the way down

// ------------------------------------------------------------------------------------- spin locks
// Ranks: a processor may take a lock only when its rank is above that of every lock it holds
// (docs/locking.md has the list and why). Checked at run time in checked builds.
typedef enum KLockRank : uint8_t {
    LockRankWindow = 10,
    LockRankFile = 20,
    LockRankVolume = 22,
    LockRankCache = 26,
    LockRankDevice = 30,
    LockRankBus = 35,
    LockRankProcess = 40,
    LockRankHandle = 50,
    LockRankAddressSpace = 60,
    LockRankHeapCache = 68,
    LockRankHeap = 70,
    LockRankKernelSpace = 75,
    LockRankPageFrame = 80,
    LockRankDispatcher = 90,
    LockRankReadyQueue = 100,
    LockRankTimer = 110,
    LockRankRandom = 115,
    LockRankLog = 120,
    LockRankInterrupt =
        130, // taken by interrupt handlers, which may come while any of the above is held
    LockRankInput = 132,
} KLockRank;

typedef struct KSpinLock {
    volatile uint32_t Value; // 0 free, else owner processor + 1
    KLockRank Rank;
    const char *Name;
} KSpinLock;
#define KE_SPIN_LOCK_INIT(rank, name) {.Value = 0, .Rank = (rank), .Name = (name)}

void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name);
[[nodiscard]] KIrql KeAcquireSpinLock(KSpinLock *lock); // raises to Dispatch
[[nodiscard]] KIrql
KeAcquireSpinLockRaiseToHigh(KSpinLock *lock); // for data an interrupt routine touches
void KeReleaseSpinLock(KSpinLock *lock, KIrql old);
// For an interrupt that only looks at what the lock guards, whatever it interrupted; never waits.
bool KeTryLockInInterrupt(KSpinLock *lock);
void KeUnlockInInterrupt(KSpinLock *lock);
bool KeIsSpinLockHeld(const KSpinLock *lock); // by this processor; for assertions

// ------------------------------------------------------------------------------- dispatcher
// objects Everything that can be waited for begins with a KDispatcherHeader.
typedef enum KObjectKind : uint8_t {
    KObjectEventManual,
    KObjectEventAuto,
    KObjectSemaphore,
    KObjectMutex,
    KObjectMutant,
    KObjectTimer,
    KObjectThread,
    KObjectProcess,
} KObjectKind;

typedef struct KDispatcherHeader {
    KObjectKind Kind;
    int32_t Signal;     // > 0: signalled (semaphore: the count)
    ListEntry WaitList; // of KWaitBlock
} KDispatcherHeader;

typedef struct KEvent {
    KDispatcherHeader Header;
} KEvent;
typedef struct KSemaphore {
    KDispatcherHeader Header;
    int32_t Limit;
} KSemaphore;
// Owned by a thread, recursive; a sleeping lock for PassiveLevel code.
typedef struct KMutex {
    KDispatcherHeader Header;
    struct KThread *Owner;
    uint32_t Recursion;
    KLockRank Rank;
} KMutex;

// A program's mutex: owned by a thread, recursive, and abandoned when its owner ends: whoever takes
// it next is told so.
typedef struct KMutant {
    KDispatcherHeader Header;
    struct KThread *Owner;
    uint32_t Recursion;
    bool Abandoned;
    ListEntry OwnedLink; // in the owner's Mutants
} KMutant;

typedef enum KWaitMode : uint8_t {
    KernelWait, // not interrupted by termination
    UserWait,   // returns StatusTerminating when the thread is told to end
} KWaitMode;

#define KE_INFINITE UINT64_MAX // time-outs are relative nanoseconds; 0 polls

void KeInitializeEvent(KEvent *event, bool manualReset, bool set);
void KeSetEvent(KEvent *event);
void KeResetEvent(KEvent *event);
bool KeReadEvent(const KEvent *event);
void KeInitializeSemaphore(KSemaphore *semaphore, int32_t count, int32_t limit);
// *previous (may be nullptr) is the count before. StatusLimitReached, StatusInvalidParameter.
Status KeReleaseSemaphore(KSemaphore *semaphore, int32_t count, int32_t *previous);
void KeInitializeMutex(KMutex *mutex, KLockRank rank);
void KeAcquireMutex(KMutex *mutex); // waits; PassiveLevel
void KeReleaseMutex(KMutex *mutex);
void KeInitializeMutant(KMutant *mutant, bool owned); // owned: by the caller
Status KeReleaseMutant(KMutant *mutant);              // StatusNotOwner
void KeRetireMutant(KMutant *mutant);                 // before its memory goes: an owner forgets it
// Waits at PassiveLevel. StatusSuccess, StatusTimeout, StatusTerminating; StatusAbandoned: success,
// with a mutant whose owner ended.
Status KeWaitForObject(void *object, KWaitMode mode, uint64_t timeout);
#define KE_MAXIMUM_WAIT_OBJECTS 64
// *index (may be nullptr) is the object that ended a wait-any.
Status KeWaitForMultipleObjects(size_t count, void *const objects[], bool waitAll, KWaitMode mode,
                                uint64_t timeout, size_t *index);
Status KeDelay(KWaitMode mode, uint64_t time); // 0: yields
// Futex-class: sleeps on key until KeWakeKey; `check` runs under the bucket's lock at DispatchLevel
// and must not fault: return false to leave with StatusWouldBlock.
Status KeWaitOnKey(uint64_t space, uint64_t key, bool (*check)(void *), void *context,
                   KWaitMode mode, uint64_t timeout);
uint32_t KeWakeKey(uint64_t space, uint64_t key, uint32_t count);

// ----------------------------------------------------------------------------- DPCs, timers, work
typedef void KDpcRoutine(void *context);
typedef struct KDpc {
    ListEntry Link;
    KDpcRoutine *Routine;
    void *Context;
    bool Queued;
} KDpc;
void KeInitializeDpc(KDpc *dpc, KDpcRoutine *routine, void *context);
bool KeQueueDpc(
    KDpc *dpc); // any level; false when already queued. Runs at DispatchLevel on this processor

// A place in a processor's heap of deadlines (timerheap.c).
typedef struct KTimerNode {
    struct KTimerNode *Child, *Next,
        *Previous;     // Previous: parent of a first child; nullptr: root or out
    uint64_t Deadline; // KeQueryTime value
    void (*Expire)(struct KTimerNode *node); // dispatcher lock held
    uint32_t Processor;
    bool Armed;
} KTimerNode;

typedef struct KTimer {
    KDispatcherHeader Header;
    KTimerNode Node;
    bool ManualReset;
    uint64_t Period; // nanoseconds, 0: once
    KDpc *Dpc;       // queued at expiry, may be nullptr
} KTimer;
void KeInitializeTimer(KTimer *timer, bool manualReset);
void KeSetTimer(KTimer *timer, uint64_t delay, uint64_t period, KDpc *dpc);
bool KeCancelTimer(KTimer *timer); // true when it was armed; the DPC may still be running

typedef struct KWorkItem {
    ListEntry Link;
    void (*Routine)(void *context);
    void *Context;
    bool Queued;
} KWorkItem;
// Runs routine at PassiveLevel in the system worker thread; any level <= Dispatch. false: already
// queued.
bool KeQueueWorkItem(KWorkItem *item);

uint64_t KeQueryTime(void);       // nanoseconds since boot
uint64_t KeQuerySystemTime(void); // Unix nanoseconds
void KeSetSystemTimeAtBoot(uint64_t unixNanoseconds);
void KeSkipTime(
    uint64_t time); // the machine was stopped for so long: KeQueryTime does not count it

// ---- random numbers (random.c): ChaCha20 with fast key erasure, level <= Dispatch.
void KeSeedRandom(const uint8_t entropy[32]); // stirred into what is there
void KeGetRandomBytes(void *buffer, size_t size);
uint64_t KeGetRandom(void);

// ----------------------------------------------------------------------------- threads, processes
#define KE_PRIORITY_LEVELS 32
enum {
    KePriorityIdle = 0,
    KePriorityUserLow = 1,
    KePriorityNormal = 8,
    KePriorityUserHigh = 15,
    KePrioritySystem = 20,
    KePriorityRealtime = 28
};

// The scheduler's view of a process; ps embeds it.
typedef struct KProcess {
    KDispatcherHeader Header;                                           // signalled once ended
    uint32_t Id;                                                        // ps's; 0: the system
    uint64_t PageTableRoot;                                             // CR3
    volatile uint64_t Allocations, FailingAllocation, InheritedFailure; // test kernels: failure.c
    volatile uint32_t FailuresPerStack, InheritedPerStack;
} KProcess;

typedef enum KThreadState : uint8_t {
    ThreadInitialized,
    ThreadReady,
    ThreadRunning,
    ThreadWaiting,
    ThreadTerminated
} KThreadState;

typedef struct KThread KThread; // complete in ke_thread.h, which ke, ps and kd include

typedef struct KThreadParameters {
    KProcess *Process;     // nullptr: the system process
    void (*Entry)(void *); // kernel entry; a user thread's entry calls KeEnterUserMode
    void *Context;
    void *KernelStackLimit; // lowest byte of the stack mm allocated
    size_t KernelStackSize;
    uint8_t Priority;
    const char *Name; // for the debugger; copied, at most 31 bytes
    uint32_t Id;
    void (*Cleanup)(
        KThread *thread); // called once by the reaper, off the thread's stack, when it has ended
} KThreadParameters;

// Prepares a thread over caller's memory (FpuArea: KeFpuAreaSize() bytes, 64-byte aligned, for
// threads that enter user mode, else nullptr); it does not run before KeStartThread.
Status KeInitializeThread(KThread *thread, const KThreadParameters *parameters, void *fpuArea);
size_t KeFpuAreaSize(void);
// The thread enters user mode: its vector registers are saved and restored when it is switched.
bool KeHasUserState(const KThread *thread);
void KeStartThread(KThread *thread);
KThread *KeGetCurrentThread(void);
KProcess *KeGetCurrentProcess(void);
void KeExitThread(uint32_t exitCode)
    __attribute__((noreturn)); // never returns; the object becomes signalled
void KeSetPriority(KThread *thread, uint8_t priority);
// Asks a thread to end: its UserWaits return StatusTerminating and it calls its exit path at the
// next return to user mode (the `return to user` hook below).
void KeRequestTermination(KThread *thread);
bool KeIsTerminating(const KThread *thread);
typedef struct KThreadTimes {
    KThreadState State;
    uint8_t Priority;              // as set
    uint32_t Processor;            // where it runs or last ran
    uint64_t KernelTime, UserTime; // nanoseconds
    uint64_t SystemCalls, PageFaults, ContextSwitches;
} KThreadTimes;
void KeQueryThread(KThread *thread, KThreadTimes *times);
// Called with interrupts enabled at PassiveLevel before a thread that has been asked to end would
// return to user mode.
extern void (*KeTerminateHook)(void);
void KeYield(void);
// Drops to ring 3: rip, rsp, rcx = argument1, rdx = argument2, gs base = threadBlock. Other
// registers zero.
void KeEnterUserMode(uint64_t rip, uint64_t rsp, uint64_t argument1, uint64_t argument2,
                     uint64_t threadBlock) __attribute__((noreturn));
// Switches the address space of the current thread for a while (used to build processes); returns
// the one it had, to be given back.
KProcess *KeAttachProcess(KProcess *process);
// The process of kernel threads; mm sets its PageTableRoot when it replaces the loader's tables.
extern KProcess KeSystemProcess;
// A KProcess as ps embeds it: header not signalled, times zero.
void KeInitializeProcess(KProcess *process, uint64_t pageTableRoot);
// Signals the header of a process that has ended (or of any object that stays signalled).
void KeSignalForever(KDispatcherHeader *header);

// System call dispatch: sys registers its table; entry code indexes it.
typedef uint64_t KSystemCall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                             uint64_t a6);
void KeRegisterSystemCalls(KSystemCall *const *table, const uint8_t *argumentCounts, size_t count);
// mm registers the page fault handler: true when resolved, false: the fault stands.
void KeRegisterPageFaultHandler(bool (*handler)(uint64_t address, uint64_t errorCode,
                                                KTrapFrame *frame));
// ps registers what a fault in ring 3 that nobody resolved does (ends the process).
void KeRegisterUserFaultHandler(void (*handler)(KTrapFrame *frame, uint64_t faultAddress));
// Code that may touch user memory: a fault between `begin` and `end` continues at `resume`.
void KeRegisterFaultRange(uint64_t begin, uint64_t end, uint64_t resume);
// The next exception of the current thread's kernel code at PassiveLevel that nothing else resolves
// continues at `resume`, on the stack as it was, instead of stopping the machine; nullptr: no
// longer. For code that works on untrusted data and is not ours.
void KeSetFaultResume(void (*resume)(void));

// -------------------------------------------------------------------------------- processors
typedef struct KPrcb KPrcb; // complete in ke_prcb.h
// Start-up, on the boot processor, in this order: gs, traps, locks and the log work after the first
// (the caller is then the idle thread to be); the system threads need the clock; KeRunIdle never
// returns.
void KeInitialize(void);
void KeStartSystemThreads(void); // worker and reaper
void KeRunIdle(void) __attribute__((noreturn));
// How long a processor may be stuck before the machine is stopped (watchdog.c); before the system
// threads start; 0: for ever.
void KeSetWatchdog(uint32_t seconds);
// In checked builds: tries the scheduler, waits and timers; stops the machine when one of them is
// wrong.
void KeRunSelfTests(void);          // on the boot processor alone
void KeRunProcessorTests(void);     // once the others run
KPrcb *KeGetCurrentPrcb(void);      // stable only while the thread cannot be preempted
uint32_t KeGetProcessorCount(void); // that run; numbered from 0
uint32_t KeGetCurrentProcessorNumber(void);
// Starts processor KeGetProcessorCount(); PassiveLevel, one at a time, after HalBeginStart. The
// memory is the caller's, zeroed, and stays the processor's. False: it does not answer, and the
// memory is lost; no further processor can be started.
typedef struct KProcessorMemory {
    KPrcb *Prcb;
    KThread *IdleThread;
    void *StackLimit; // lowest byte
    size_t StackSize;
} KProcessorMemory;
bool KeStartProcessor(const KProcessorMemory *memory);
size_t KeProcessorDataSize(void); // of a KPrcb

typedef struct KProcessorLoad {
    uint64_t IdleTime; // nanoseconds
    uint64_t ContextSwitches, Interrupts, Dpcs, Steals, Flushes;
} KProcessorLoad;
void KeQueryProcessor(uint32_t processor, KProcessorLoad *load); // one that runs

// ---- counters (counters.c)
typedef struct KCounterSink { // who wants to know
    void (*Take)(struct KCounterSink *sink, const char *name, uint64_t value);
    const char *Subsystem; // whose counter it is
} KCounterSink;
static inline void KeTellCounter(KCounterSink *sink, const char *name, uint64_t value)
{
    sink->Take(sink, name, value);
}
typedef struct KCounterSource {
    struct KCounterSource *Next; // ke's
    const char *Subsystem;
    void (*Tell)(KCounterSink *sink); // tells each of the subsystem's counters; PassiveLevel
} KCounterSource;
void KeRegisterCounters(KCounterSource *source); // start-up only
void KeReadCounters(KCounterSink *sink);         // PassiveLevel

// Processors that may run the thread, bit n: number n; those that do not exist are ignored.
// StatusInvalidParameter: none is left.
Status KeSetAffinity(KThread *thread, uint64_t processors);
uint64_t KeGetAffinity(const KThread *thread);

// ---- TLB (tlb.c). After page table entries of [start, end) have lost rights or gone: when it
// returns, no processor uses what it remembers of them, nor of tables they were in. root: that the
// entries belong to; of kernel addresses any. Level <= Dispatch.
void KeFlushTlb(uint64_t root, uint64_t start, uint64_t end);
void KeFlushTlbPageHere(
    uint64_t address);    // on this processor only: for an entry that gained rights
void KeFlushTlbAll(void); // KeFlushTlb for every address of every root
// Before the root's own page is freed: no processor keeps it loaded. No thread runs on it any more.
void KeForgetPageTables(uint64_t root);

// ------------------------------------------------------------ the machine for one processor alone
// For the crash report and the debugger (freeze.c). Stops every other processor where it is;
// interrupts off. frame: the caller's own interrupted state, for when it is stopped instead; may be
// nullptr. true: the machine is the caller's until KeThawMachine; calls nest. false: another
// processor had it, has stopped this one meanwhile and let it go again. A processor that does not
// answer is left out.
[[nodiscard]] bool KeFreezeMachine(KTrapFrame *frame);
void KeThawMachine(void);
bool KeIsMachineFrozen(void); // by this processor
// What a stopped processor was doing; *frame may be edited, and nullptr when it stood still of its
// own accord. false: it is not stopped.
bool KeGetFrozenFrame(uint32_t processor, KTrapFrame **frame);
// Runs routine on a stopped processor (or this one), interrupts off; false: it does not answer.
bool KeCallFrozen(uint32_t processor, void (*routine)(void *context), void *context);
// kd registers what takes breakpoint and debug traps before anybody else (true: the code goes on as
// the frame says), and what gets each line of the log.
void KeRegisterDebugger(bool (*trap)(KTrapFrame *frame),
                        void (*print)(const char *text, size_t length));
KPrcb *KeGetPrcb(uint32_t processor); // nullptr: there is none of that number

// -------------------------------------------------------------------------------------- the log
typedef enum KLogLevel : uint8_t { LogError, LogWarning, LogInfo, LogDebug } KLogLevel;
// One line "[seconds.micros #processor] text" into the ring and out of COM1. Any level.
void KeLog(KLogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void KeSetLogLevel(KLogLevel level); // of what goes to COM1; the ring takes everything
// Bytes of programs' console output, framed for the machine at the other end of COM1: the bytes
// between SO (0x0E) and SI (0x0F) are output, the rest is log; 0x0E, 0x0F, 0x10 inside are sent as
// 0x10, byte ^ 0x40.
void KeWriteConsole(const void *data, size_t size);
// Off: output is sent as it is, for a person at the other end; log lines come in between.
void KeSetConsoleFraming(bool framed);
// Copies out the newest bytes of the log ring; returns their number.
size_t KeReadLog(char *buffer, size_t size);

// ------------------------------------------------------------------------------------- the trace
// Events of the system, noted in rings (trace.c); sdk/include/MetalTrace.h says what they mean.
extern volatile uint32_t KeTraceGroups; // Trace..., that are noted now
#define KE_TRACE_ALWAYS 0x80000000u     // set while anything is: processes, threads, modules
static inline bool KeIsTracing(uint32_t group)
{
    return __builtin_expect((KeTraceGroups & group) != 0, false);
}
// For the function that notes what a hot path has asked about: its call costs that path no
// registers.
#define KE_TRACER __attribute__((noinline, cold, preserve_most))
// Notes an event of the current thread. Any level; asked for with KeIsTracing.
void KeTrace(TraceKind kind, uint32_t value, uint64_t a, uint64_t b);
void KeTraceMore(TraceKind kind, uint32_t value, uint64_t a, uint64_t b, const void *more,
                 size_t size);
// Of something with a name, nullptr: none. id: the record's Thread.
void KeTraceOf(uint32_t id, TraceKind kind, uint64_t a, uint64_t b, const char *name);
uint64_t KeHideSlide(uint64_t address); // of kernel code, as if the kernel were where it prefers
// One caller at a time. records (a power of two) per processor in memory, KeTraceMemory(records)
// bytes, zeroed, the trace's until KeStopTrace returns. KeLimitTrace: from now on only
// KE_TRACE_ALWAYS.
size_t KeTraceMemory(uint32_t records);
void KeStartTrace(uint32_t groups, uint32_t records, uint64_t samplePeriod, void *memory);
void KeLimitTrace(void);
void KeTraceThreads(void); // notes every thread
void KeTraceThread(const KThread *thread);
void KeStopTrace(void);
uint64_t KeQueryTraceWritten(uint32_t processor); // records since the start
// kd registers how a sample's stack is walked: interrupts off, in an interrupt.
void KeRegisterSampler(size_t (*walk)(const KTrapFrame *frame, uint64_t *addresses,
                                      size_t capacity));

// ---------------------------------------------------------------------------- failures on purpose
// Everything that hands out memory asks first whether it shall fail: never, but in test kernels.
#ifdef METALOS_FAILURES
bool KeFailAllocation(void);
#else
static inline bool KeFailAllocation(void)
{
    return false;
}
#endif
// The n-th allocation from now on for the current thread's process fails, or, with inherit, of each
// process that it starts from now on; 0: none. perStack: the first from the n-th on whose call
// stack in the kernel has failed fewer times since n was 1 last; 0: every stack will do.
// failures: how many allocations have been made to fail since boot, and what number the latest had
// in its process. StatusNotSupported but in test kernels.
Status KeSetFailingAllocation(uint64_t n, uint32_t perStack, bool inherit, uint64_t failures[2]);

// ------------------------------------------------------------------------------------- bugcheck
typedef enum KBugCheckCode
    : uint32_t { // NT's codes where the meaning is NT's (bug check reference)
        BugCheckIrqlNotLessOrEqual = 0x0A,
        BugCheckUnhandledException = 0x1E,
        BugCheckPageFault = 0x50,
        BugCheckNoBootDevice = 0x7B,
        BugCheckProcessorTrap = 0x7F, // 8: double fault
        BugCheckHardware = 0x80,
        BugCheckHeapCorrupt = 0x19,
        BugCheckBadHeapCaller = 0xC2,
        BugCheckManual = 0xE2,
        BugCheckSecurity = 0x139,                // stack cookie, list corruption
        BugCheckAssertion = 0x4D4F0001,          // file, line in the message
        BugCheckLockRank = 0x4D4F0002,           // lock, rank, held
        BugCheckInitialization = 0x4D4F0003,     // step, status
        BugCheckUndefinedBehaviour = 0x4D4F0004, // operands, line; only test kernels
        BugCheckBadAccess = 0x4D4F0005,          // address, size, caller, shadow; only test kernels
        BugCheckCriticalProcess = 0xEF,
        BugCheckClockWatchdog = 0x101,    // processor, nanoseconds
        BugCheckDispatchWatchdog = 0x133, // processor, nanoseconds
    } KBugCheckCode;

typedef struct KBugCheck {
    KBugCheckCode Code;
    uint64_t Parameters[4];
    const char *Message;     // may be nullptr
    const KTrapFrame *Frame; // the failing state; nullptr: the caller of KeBugCheck
} KBugCheck;

void KeBugCheck(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4)
    __attribute__((noreturn));
void KeBugCheckFrame(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4,
                     const char *message, const KTrapFrame *frame) __attribute__((noreturn));
// kd prints the report through this; called once, interrupts off, other processors halted.
void KeRegisterBugCheckReporter(void (*reporter)(const KBugCheck *bugCheck));
void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
    __attribute__((noreturn));
// Called last, after the report: for a bus that a host wants to be left in order.
void KeRegisterFarewell(void (*routine)(void));
// Option `bugcheck = exit`: reset the machine after the report instead of halting.
void KeSetBugCheckAction(bool reset);
#define KE_ASSERT(expression)                                                                      \
    ((expression) ? (void)0 : KeAssertionFailed(#expression, __FILE__, __LINE__))
