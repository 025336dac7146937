// trap.c - what every trap means.
//
// entry.c saves the state and calls KiDispatchTrap with interrupts off. Interrupts run at
// HighLevel; on the way out to PassiveLevel, pending DPCs and a better thread get their turn, on
// the interrupted thread's stack. Exceptions in user mode go to mm (page faults) and else to ps,
// which ends the process. An exception in the kernel is resolved by mm, or lies in a registered
// fault range (code that touches user memory, which then returns an error), or stops the machine.
// SPDX-License-Identifier: MIT
#include "ki.h"

#include "LoaderParams.h"

enum {
    TrapDebug = 1,
    TrapNmi = 2,
    TrapBreakpoint = 3,
    TrapDoubleFault = 8,
    TrapPageFault = 14,
    TrapMachineCheck = 18,
    TrapFirstInterrupt = 32
};
#define RFLAGS_IF            0x200u
#define USER_HALF_END        0x0000800000000000ull
#define MAXIMUM_FAULT_RANGES 16

typedef struct FaultRange {
    uint64_t Begin, End, Resume;
} FaultRange;

static FaultRange FaultRanges[MAXIMUM_FAULT_RANGES]; // appended to at start-up only
static volatile uint32_t FaultRangeCount;
static bool (*PageFaultHandler)(uint64_t, uint64_t, KTrapFrame *);
static void (*UserFaultHandler)(KTrapFrame *, uint64_t);
static bool (*DebugTrap)(KTrapFrame *);
void (*KeTerminateHook)(void);

void KeRegisterDebugger(bool (*trap)(KTrapFrame *), void (*print)(const char *, size_t))
{
    DebugTrap = trap;
    KiSetDebugPrint(print);
}

void KeRegisterPageFaultHandler(bool (*handler)(uint64_t, uint64_t, KTrapFrame *))
{
    PageFaultHandler = handler;
}
void KeRegisterUserFaultHandler(void (*handler)(KTrapFrame *, uint64_t))
{
    UserFaultHandler = handler;
}

void KeRegisterFaultRange(uint64_t begin, uint64_t end, uint64_t resume)
{
    KE_ASSERT(begin < end && FaultRangeCount < MAXIMUM_FAULT_RANGES);
    FaultRanges[FaultRangeCount] = (FaultRange){begin, end, resume};
    FaultRangeCount++;
}

void KiInitializeTraps(void)
{
    KeRegisterFaultRange((uint64_t)HalStackArgumentsBegin, (uint64_t)HalStackArgumentsEnd,
                         (uint64_t)HalStackArgumentsFault);
    KeRegisterFaultRange(RUNTIME_SERVICES_BASE, KERNEL_DYNAMIC_BASE, (uint64_t)HalFirmwareFault);
}

static const FaultRange *FindFaultRange(uint64_t rip)
{
    for (uint32_t i = 0; i < FaultRangeCount; i++)
        if (rip >= FaultRanges[i].Begin && rip < FaultRanges[i].End)
            return &FaultRanges[i];
    return nullptr;
}

static void HandleUserFault(KTrapFrame *frame, uint64_t address)
{
    if (UserFaultHandler == nullptr)
        KeBugCheckFrame(BugCheckUnhandledException, frame->Vector, frame->Rip, address,
                        frame->ErrorCode, "A program failed before the process manager started.",
                        frame);
    HalEnableInterrupts();
    UserFaultHandler(frame, address);
    HalDisableInterrupts();
}

// Resolved by mm? Interrupts as the faulting code had them meanwhile.
static bool ResolvePageFault(KTrapFrame *frame, uint64_t address)
{
    if (PageFaultHandler == nullptr || KiGetIrql() != PassiveLevel)
        return false;
    if (!HalTrapFromUser(frame) && address < USER_HALF_END && FindFaultRange(frame->Rip) == nullptr)
        return false; // kernel code that uses a user address (or nullptr) directly is wrong, mapped
                      // or not
    if (frame->Rflags & RFLAGS_IF)
        HalEnableInterrupts();
    bool resolved = PageFaultHandler(address, frame->ErrorCode, frame);
    HalDisableInterrupts();
    return resolved;
}

void KeSetFaultResume(void (*resume)(void))
{
    HalGetCurrentThread()->FaultResume = (uint64_t)resume;
}

static bool ResumeGuardedThread(KTrapFrame *frame)
{
    KThread *thread = KiGetPrcb()->Hal.Thread;
    if (KiGetIrql() != PassiveLevel || thread == nullptr || thread->FaultResume == 0)
        return false;
    frame->Rip = thread->FaultResume;
    thread->FaultResume = 0;
    return true;
}

KE_TRACER static void NoteFault(const KTrapFrame *frame, uint64_t address)
{
    KeTrace(TraceFaultBegin, (uint32_t)frame->ErrorCode, KeHideSlide(address),
            KeHideSlide(frame->Rip));
}

KE_TRACER static void NoteFaultEnd(void)
{
    KeTrace(TraceFaultEnd, 0, 0, 0);
}

KE_TRACER static void NoteInterrupt(const KTrapFrame *frame)
{
    KeTrace(TraceInterruptBegin, (uint32_t)frame->Vector, 0, KeHideSlide(frame->Rip));
}

KE_TRACER static void NoteInterruptEnd(const KTrapFrame *frame)
{
    KeTrace(TraceInterruptEnd, (uint32_t)frame->Vector, 0, 0);
}

static void HandlePageFault(KTrapFrame *frame)
{
    uint64_t address = HalReadCr2();
    KiGetPrcb()->Counters.PageFaults++;
    if (address < USER_HALF_END && HalGetCurrentThread() != nullptr)
        HalGetCurrentThread()->PageFaults++;
    if (KeIsTracing(TraceFaults))
        NoteFault(frame, address);
    if (ResolvePageFault(frame, address)) {
        if (KeIsTracing(TraceFaults))
            NoteFaultEnd();
        return;
    }
    if (KeIsTracing(TraceFaults))
        NoteFaultEnd();
    if (HalTrapFromUser(frame)) {
        HandleUserFault(frame, address);
        return;
    }
    const FaultRange *range = FindFaultRange(frame->Rip);
    if (range != nullptr) {
        frame->Rip = range->Resume;
        return;
    }
    if (ResumeGuardedThread(frame))
        return;
    KeBugCheckFrame(KiGetIrql() > PassiveLevel ? BugCheckIrqlNotLessOrEqual : BugCheckPageFault,
                    address, KiGetIrql() > PassiveLevel ? KiGetIrql() : frame->ErrorCode,
                    frame->ErrorCode >> 1 & 1, frame->Rip, nullptr, frame);
}

static void HandleException(KTrapFrame *frame)
{
    switch (frame->Vector) {
    case TrapPageFault:
        HandlePageFault(frame);
        return;
    case TrapDebug:
    case TrapBreakpoint:
        if (DebugTrap != nullptr && DebugTrap(frame))
            return;
        break;
    case TrapNmi:
        if (KiAnswerFreeze(frame))
            return;
        KeBugCheckFrame(BugCheckHardware, frame->Vector, 0, 0, 0, "Non-maskable interrupt", frame);
    case TrapMachineCheck:
        KeBugCheckFrame(BugCheckHardware, frame->Vector, 0, 0, 0, "Machine check", frame);
    case TrapDoubleFault:
        KeBugCheckFrame(BugCheckProcessorTrap, frame->Vector, HalReadCr2(), 0, 0,
                        "Double fault: most often a kernel stack overflow", frame);
    default:
        break;
    }
    if (HalTrapFromUser(frame)) {
        HandleUserFault(frame, frame->Rip);
        return;
    }
    const FaultRange *range = FindFaultRange(frame->Rip);
    if (range != nullptr &&
        frame->Vector != TrapDebug) { // a non-canonical address, or firmware gone wrong
        frame->Rip = range->Resume;
        return;
    }
    if (frame->Vector != TrapDebug && ResumeGuardedThread(frame))
        return;
    KeBugCheckFrame(BugCheckUnhandledException, frame->Vector, frame->Rip, frame->ErrorCode, 0,
                    nullptr, frame);
}

static void HandleInterrupt(KTrapFrame *frame)
{
    KPrcb *prcb = KiGetPrcb();
    uint8_t old = prcb->Hal.Irql;
    prcb->Hal.Irql = HighLevel;
    prcb->Counters.Interrupts++;
    prcb->InterruptFrame = frame;
    if (KeIsTracing(TraceInterrupts))
        NoteInterrupt(frame);
    if (!HalHandleInterrupt((uint8_t)frame->Vector))
        prcb->Counters.UnexpectedInterrupts++;
    if (KeIsTracing(TraceInterrupts))
        NoteInterruptEnd(frame);
    prcb->Hal.Irql = old;
    if (old != PassiveLevel)
        KiKeepWatch(prcb);
    else if (prcb->Hal.PendingWork)
        KiDispatchPendingWork();
}

void KiDispatchTrap(KTrapFrame *frame)
{
    if (frame->Vector >= TrapFirstInterrupt && frame->Vector != VECTOR_FAST_FAIL)
        HandleInterrupt(frame);
    else
        HandleException(frame);
}

// The thread was asked to end while it was in the kernel (or in user mode on this processor).
void KiReturnToUser(void)
{
    KiGetPrcb()->Hal.ReturnWork = 0;
    if (!HalGetCurrentThread()->Terminating || KeTerminateHook == nullptr)
        return;
    HalEnableInterrupts();
    KeTerminateHook();
    HalDisableInterrupts();
}
