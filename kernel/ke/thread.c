// thread.c - threads from preparation to end. Their memory and stacks belong to the caller (ps);
// the reaper calls Cleanup once a thread is off its stack for good.
// SPDX-License-Identifier: MIT
#include "ki.h"
#include "rtl/mark.h"

KProcess KeSystemProcess;
static ListEntry AllThreads = {&AllThreads, &AllThreads}; // dispatcher lock
static KThread BootThread; // the boot context, later processor 0's idle thread

static void Begin(void *context)
{
    KThread *thread = context;
    KiUnlockDispatcher(PassiveLevel); // taken by the thread that switched here
    thread->Entry(thread->Context);
    KeExitThread(0);
}

static void InitializeFields(KThread *thread)
{
    memset(thread, 0, sizeof(*thread));
    thread->Header.Kind = KObjectThread;
    RtlInitializeList(&thread->Header.WaitList);
    RtlInitializeList(&thread->ReadyLink);
    RtlInitializeList(&thread->KeyLink);
    RtlInitializeList(&thread->AllLink);
    RtlInitializeList(&thread->Mutants);
    thread->QuantumLeft = KI_QUANTUM;
    thread->Affinity = UINT64_MAX;
    thread->FpuProcessor = KE_MAXIMUM_PROCESSORS;
}

static void SetStack(KThread *thread, void *limit, size_t size)
{
    thread->KernelStackLimit = limit;
    thread->KernelStackSize = size;
    thread->KernelStackTop = (uint64_t)limit + size;
}

void KiInitializeIdleThread(KThread *thread, uint32_t processor, void *stackLimit, size_t stackSize)
{
    InitializeFields(thread);
    SetStack(thread, stackLimit, stackSize);
    thread->Process = thread->OwnProcess = &KeSystemProcess;
    thread->State = ThreadRunning;
    thread->Priority = thread->BasePriority = KePriorityIdle;
    thread->Processor = processor;
    thread->Affinity = 1ull << processor;
    RtlCopyString(thread->Name, sizeof(thread->Name), "idle");
    KIrql old = KiLockDispatcher();
    RtlInsertTail(&AllThreads, &thread->AllLink);
    KiUnlockDispatcher(old);
}

// The caller of KeInitialize becomes the thread that runs when no other can.
void KiInitializeBootThread(void)
{
    KeInitializeProcess(&KeSystemProcess, HalReadCr3());
    KiBootProcessor.IdleThread = KiBootProcessor.Hal.Thread = &BootThread;
    KiInitializeIdleThread(&BootThread, 0, nullptr, 0);
}

size_t KeFpuAreaSize(void)
{
    return HalFpuAreaSize();
}

bool KeHasUserState(const KThread *thread)
{
    return thread->FpuArea != nullptr;
}

Status KeInitializeThread(KThread *thread, const KThreadParameters *parameters, void *fpuArea)
{
    if (parameters->Entry == nullptr || parameters->KernelStackLimit == nullptr ||
        parameters->Priority >= KE_PRIORITY_LEVELS || ((uint64_t)fpuArea & 63) != 0)
        return StatusInvalidParameter;
    InitializeFields(thread);
    thread->Process = thread->OwnProcess =
        parameters->Process != nullptr ? parameters->Process : &KeSystemProcess;
    SetStack(thread, parameters->KernelStackLimit, parameters->KernelStackSize);
    thread->SavedStack = HalPrepareStack((void *)thread->KernelStackTop, Begin, thread);
    thread->Priority = thread->BasePriority = parameters->Priority;
    thread->Entry = parameters->Entry;
    thread->Context = parameters->Context;
    thread->Cleanup = parameters->Cleanup;
    thread->Id = parameters->Id;
    thread->FpuArea = fpuArea;
    if (fpuArea != nullptr)
        HalInitializeFpuArea(fpuArea);
    RtlCopyString(thread->Name, sizeof(thread->Name),
                  parameters->Name != nullptr ? parameters->Name : "");

    KIrql old = KiLockDispatcher();
    for (uint32_t i = 0; i < KiProcessorCount; i++)
        if (KiProcessors[i]->FpuOwner == thread)
            KiProcessors[i]->FpuOwner = nullptr; // an earlier thread in the same memory
    RtlInsertTail(&AllThreads, &thread->AllLink);
    KiUnlockDispatcher(old);
    return StatusSuccess;
}

void KeStartThread(KThread *thread)
{
    KIrql old = KiLockDispatcher();
    KE_ASSERT(thread->State == ThreadInitialized);
    thread->Processor = KeGetCurrentProcessorNumber();
    KiReadyThread(thread, false);
    KiUnlockDispatcher(old);
}

void KeExitThread(uint32_t exitCode)
{
    KE_ASSERT(KiGetIrql() == PassiveLevel);
    KThread *thread = HalGetCurrentThread();
    KI_CHECK(thread->HeldMutexCount == 0);
    KIrql old = KiLockDispatcher();
    thread->ExitCode = exitCode;
    thread->State = ThreadTerminated;
    KiAbandonMutants(thread);
    thread->Header.Signal = 1;
    KiSignalObject(&thread->Header);
    RtlRemoveEntry(&thread->AllLink);
    KiQueueForReaper(thread);
    KiSwitchAway(thread);
    KiUnlockDispatcher(old);
    KeBugCheck(BugCheckManual, (uint64_t)thread, 0, 0, 0); // an ended thread was switched to
}

void KeRequestTermination(KThread *thread)
{
    KIrql old = KiLockDispatcher();
    thread->Terminating = true;
    if (thread->State == ThreadWaiting && thread->WaitMode == UserWait) {
        KiEndWait(thread, StatusTerminating, 0);
    } else if (thread->State == ThreadRunning) {
        if (thread->Processor == KeGetCurrentProcessorNumber())
            KiGetPrcb()->Hal.ReturnWork = 1;
        else
            HalRequestReschedule(thread->Processor); // which sets it there
    }
    KiUnlockDispatcher(old);
}

void KeQueryThread(KThread *thread, KThreadTimes *times)
{
    KIrql old = KiLockDispatcher();
    uint64_t total = thread->RunTime, userTicks = thread->UserTicks, calls = thread->SystemCalls;
    if (thread->State == ThreadRunning) { // on another processor: as of a moment ago
        const KPrcb *prcb = KiProcessors[thread->Processor];
        uint64_t now = KeQueryTime();
        total += now - RTL_MIN(now, thread->RunStart);
        calls += *(volatile const uint64_t *)&prcb->Hal.SystemCalls;
        userTicks += *(volatile const uint64_t *)&prcb->Hal.UserTicks;
        if ((int64_t)userTicks < 0)
            userTicks += HalReadTsc(); // it is in user mode
    }
    *times = (KThreadTimes){
        .State = thread->State,
        .Priority = thread->BasePriority,
        .Processor = thread->Processor,
        .UserTime = RTL_MIN(HalTicksToNanoseconds(userTicks), total),
        .SystemCalls = calls,
        .PageFaults = thread->PageFaults,
        .ContextSwitches = thread->Switches,
    };
    times->KernelTime = total - times->UserTime;
    KiUnlockDispatcher(old);
}

bool KeIsTerminating(const KThread *thread)
{
    return thread->Terminating;
}

void KeEnterUserMode(uint64_t rip, uint64_t rsp, uint64_t argument1, uint64_t argument2,
                     uint64_t threadBlock)
{
    KThread *thread = HalGetCurrentThread();
    KE_ASSERT(KiGetIrql() == PassiveLevel && thread->FpuArea != nullptr);
    KE_ASSERT(rip < 0x0000800000000000ull);
    HalDisableInterrupts();
    thread->UserGsBase = threadBlock;
    HalSetUserGsBase(threadBlock);
    while (KiGetPrcb()->Hal.ReturnWork)
        KiReturnToUser();
    RTL_MARK(MarkEnterUserMode);
    HalEnterUserMode(rip, rsp, argument1, argument2);
}

void KeTraceThreads(void)
{
    KIrql old = KiLockDispatcher();
    RTL_FOR_EACH (entry, &AllThreads)
        KeTraceThread(RTL_CONTAINER_OF(entry, KThread, AllLink));
    KiUnlockDispatcher(old);
}
