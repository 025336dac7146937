// thread.c - threads of processes and of the kernel.
//
// A user thread has a kernel stack, an FPU area, a user stack with a guard page below it and, above
// it, its ThreadBlock in a page of its own. It starts in the kernel, on its own page tables, fills
// in its block and drops to ring 3. Everything but the object is given back when it ends: user
// memory by the thread itself (unless the whole address space goes anyway), the rest by the reaper,
// which runs when nobody is on its stack.
//
// A thread that runs holds one reference to itself, given back by the reaper, and one to its
// process.
// SPDX-License-Identifier: MIT
#include "psi.h"

#define STACK_DEFAULT       (1ull << 20)
#define STACK_MINIMUM       (64ull << 10)
#define THREADS_PER_PROCESS 16384u
#define FPU_ALIGNMENT       64u
// What a function finds above its return address: the four register homes of the Microsoft
// convention.
#define STACK_HOME   (5 * sizeof(uint64_t))
#define STACK_JITTER 0x3F0u // the initial rsp varies within a quarter page, 16-byte aligned

static void DeleteThread(void *body);

ObType PsThreadType = {
    .Name = "thread",
    .Kind = ObjectThread,
    .Tag = MM_TAG('P', 's', 'T', 'h'),
    .DispatcherOffset = offsetof(PsThread, Thread.Header),
    .Delete = DeleteThread,
};

static volatile uint32_t ThreadCount;    // atomic: started and not yet reaped
static volatile uint64_t FirstUserStamp; // atomic, written once

// ---- creation

static void FreeKernelParts(PsThread *thread)
{
    if (thread->KernelStack != nullptr)
        MmFreeKernelStack(thread->KernelStack, MM_KERNEL_STACK_SIZE);
    thread->KernelStack = nullptr;
    MmFreeHeap(thread->FpuBlock);
    thread->FpuBlock = nullptr;
    MmFreeHeap(thread->TransferBuffer);
    thread->TransferBuffer = nullptr;
}

// Called by the reaper, once.
static void CleanUp(KThread *kthread)
{
    PsThread *thread = RTL_CONTAINER_OF(kthread, PsThread, Thread);
    PsProcess *process = thread->Process;
    FreeKernelParts(thread);
    __atomic_sub_fetch(&ThreadCount, 1, __ATOMIC_RELAXED);
    bool last = false;
    if (process != nullptr) {
        ObReference(process);
        KIrql old = KeAcquireSpinLock(&process->Lock);
        last = --process->LivingThreads == 0;
        KeReleaseSpinLock(&process->Lock, old);
    }
    ObDereference(thread);
    if (last)
        PsiFinishProcess(process);
    if (process != nullptr)
        ObDereference(process);
}

// The object with its kernel memory; ke does not know it yet.
static Status CreateThreadObject(PsProcess *process, PsThread **result)
{
    void *body;
    Status status = ObCreateObject(&PsThreadType, sizeof(PsThread), &body);
    if (status != StatusSuccess)
        return status;
    PsThread *thread = body;
    thread->Id = PsiNextId();
    RtlInitializeList(&thread->Link);
    if (process != nullptr) {
        ObReference(process);
        thread->Process = process;
        thread->FpuBlock = MmAllocateHeap(KeFpuAreaSize() + FPU_ALIGNMENT, PS_TAG);
        if (thread->FpuBlock == nullptr)
            status = StatusNoMemory;
    }
    if (status == StatusSuccess)
        status = MmAllocateKernelStack(MM_KERNEL_STACK_SIZE, &thread->KernelStack);
    if (status != StatusSuccess) {
        ObDereference(thread);
        return status;
    }
    *result = thread;
    return StatusSuccess;
}

// Hands the thread to ke. From here on it ends only through the reaper, which takes a reference.
static void InitializeKernelThread(PsThread *thread, const char *name, uint8_t priority,
                                   void (*entry)(void *))
{
    PsProcess *process = thread->Process;
    KThreadParameters parameters = {
        .Process = process == nullptr ? nullptr : &process->Process,
        .Entry = entry,
        .Context = thread,
        .KernelStackLimit = thread->KernelStack,
        .KernelStackSize = MM_KERNEL_STACK_SIZE,
        .Priority = priority,
        .Name = name,
        .Id = (uint32_t)thread->Id,
        .Cleanup = CleanUp,
    };
    void *fpuArea =
        (void *)RTL_ALIGN_UP((uint64_t)thread->FpuBlock, FPU_ALIGNMENT); // of nullptr: nullptr
    Status status = KeInitializeThread(&thread->Thread, &parameters, fpuArea);
    KE_ASSERT(status == StatusSuccess);
    __atomic_add_fetch(&ThreadCount, 1, __ATOMIC_RELAXED);
}

static void DeleteThread(void *body)
{
    PsThread *thread = body;
    FreeKernelParts(thread);
    if (thread->Process != nullptr)
        ObDereference(thread->Process);
}

// One region: a guard page, the stack, the page of the ThreadBlock.
static Status AllocateUserParts(PsThread *thread, uint64_t stackSize)
{
    if (stackSize == 0)
        stackSize = STACK_DEFAULT;
    if (stackSize > PS_STACK_MAXIMUM)
        return StatusInvalidParameter;
    stackSize = RTL_ALIGN_UP(RTL_MAX(stackSize, STACK_MINIMUM), PAGE_SIZE);
    Status status = MmAllocateVirtual(thread->Process->Space, &thread->UserStack,
                                      stackSize + 2 * PAGE_SIZE, MemoryReadWrite, RegionStack);
    if (status != StatusSuccess)
        return status;
    thread->UserStackLimit = thread->UserStack + PAGE_SIZE;
    thread->UserStackTop = thread->UserStackLimit + stackSize;
    thread->BlockBase = thread->UserStackTop;
    return StatusSuccess;
}

void PsiDiscardThread(PsThread *thread)
{
    // The program may have freed the region itself: then there is nothing to give back.
    if (MmFreeVirtual(thread->Process->Space, thread->UserStack) != StatusSuccess)
        KeLog(LogDebug, "ps: thread %llu freed its own stack", thread->Id);
}

static Status WriteThreadBlock(const PsThread *thread)
{
    ThreadBlock block = {
        .StackBase = thread->UserStackTop,
        .StackLimit = thread->UserStackLimit,
        .Self = (ThreadBlock *)thread->BlockBase,
        .ProcessId = thread->Process->Id,
        .ThreadId = thread->Id,
        .Process = (ProcessBlock *)thread->Process->BlockBase,
    };
    return MmCopyToUser(thread->BlockBase, &block, sizeof(block));
}

// Where a user thread begins, in the kernel.
static void StartInUserMode(void *context)
{
    PsThread *thread = context;
    if (KeIsTerminating(&thread->Thread))
        KeTerminateHook();
    if (WriteThreadBlock(thread) != StatusSuccess)
        PsTerminateProcess(thread->Process, ExceptionNoMemory);
    if (FirstUserStamp == 0)
        FirstUserStamp = __builtin_ia32_rdtsc();
    uint64_t stack = thread->UserStackTop - (KeGetRandom() & STACK_JITTER) - STACK_HOME;
    KeEnterUserMode(thread->Start, stack, thread->Argument1, thread->Argument2, thread->BlockBase);
}

Status PsiCreateUserThread(PsProcess *process, const AbiCreateThread *parameters, PsThread **result)
{
    PsThread *thread;
    Status status = CreateThreadObject(process, &thread);
    if (status != StatusSuccess)
        return status;
    thread->Start = parameters->Start;
    thread->Argument1 = parameters->Argument1;
    thread->Argument2 = parameters->Argument2;
    status = AllocateUserParts(thread, parameters->StackSize);
    if (status != StatusSuccess) {
        ObDereference(thread);
        return status;
    }
    *result = thread;
    return StatusSuccess;
}

Status PsiStartThread(PsThread *thread)
{
    PsProcess *process = thread->Process;
    Status status = StatusSuccess;
    KIrql old = KeAcquireSpinLock(&process->Lock);
    if (process->Ending) {
        status = StatusTerminating;
    } else if (process->LivingThreads >= THREADS_PER_PROCESS) {
        status = StatusLimitReached;
    } else {
        InitializeKernelThread(thread, process->Name, KePriorityNormal, StartInUserMode);
        ObReference(thread);
        RtlInsertTail(&process->Threads, &thread->Link);
        process->ActiveThreads++;
        process->LivingThreads++;
    }
    KeReleaseSpinLock(&process->Lock, old);
    if (status == StatusSuccess && KeIsTracing(KE_TRACE_ALWAYS))
        KeTraceThread(&thread->Thread);
    if (status == StatusSuccess)
        KeStartThread(&thread->Thread);
    return status;
}

Status PsCreateThread(PsProcess *process, const AbiCreateThread *parameters, PsThread **thread)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel && process == PsGetCurrentProcess());
    Status status = MmCheckUserRange(parameters->Start, 1);
    if (status == StatusSuccess)
        status = PsiCreateUserThread(process, parameters, thread);
    if (status != StatusSuccess)
        return status;
    status = PsiStartThread(*thread);
    if (status != StatusSuccess) {
        PsiDiscardThread(*thread);
        ObDereference(*thread);
    }
    return status;
}

static void StartInKernel(void *context)
{
    PsThread *thread = context;
    thread->Entry(thread->Context);
    KeExitThread(0);
}

Status PsCreateSystemThread(const char *name, uint8_t priority, void (*entry)(void *),
                            void *context)
{
    PsThread *thread;
    Status status = CreateThreadObject(nullptr, &thread);
    if (status != StatusSuccess)
        return status;
    thread->Entry = entry;
    thread->Context = context;
    InitializeKernelThread(thread, name, priority, StartInKernel);
    KeStartThread(&thread->Thread); // the reference from its creation is the running thread's
    return StatusSuccess;
}

// ---- end

void PsExitThread(uint32_t exitCode)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    PsThread *thread = PsGetCurrentThread();
    PsProcess *process = thread->Process;
    if (!__atomic_load_n(&process->Ending, __ATOMIC_RELAXED))
        PsiDiscardThread(thread);
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RtlRemoveEntry(&thread->Link);
    PsiCountThread(thread, &process->Ended);
    bool last = --process->ActiveThreads == 0;
    if (last && !process->Ending) {
        process->Ending = true;
        process->ExitCode = exitCode;
    }
    KeReleaseSpinLock(&process->Lock, old);
    if (last)
        PsiLeaveProcess(process);
    KeExitThread(exitCode);
}

void PsTerminateThread(PsThread *thread, uint32_t exitCode)
{
    PsProcess *process = thread->Process;
    KIrql old = KeAcquireSpinLock(&process->Lock);
    if (!RtlIsListEmpty(&thread->Link) && !KeIsTerminating(&thread->Thread)) {
        thread->EndCode = exitCode;
        KeRequestTermination(&thread->Thread);
    }
    KeReleaseSpinLock(&process->Lock, old);
    if (thread == PsGetCurrentThread())
        KeTerminateHook();
}

// A thread that was told to end, alone or with its process, would return to user mode.
static void LeaveOnRequest(void)
{
    PsThread *thread = PsGetCurrentThread();
    PsProcess *process = thread->Process;
    KIrql old = KeAcquireSpinLock(&process->Lock);
    uint32_t exitCode = process->Ending ? process->ExitCode : thread->EndCode;
    KeReleaseSpinLock(&process->Lock, old);
    PsExitThread(exitCode);
}

void PsiInitializeThreads(void)
{
    KeTerminateHook = LeaveOnRequest;
}

// ---- look-up

PsThread *PsGetCurrentThread(void)
{
    KThread *thread = KeGetCurrentThread();
    return thread != nullptr && thread->Cleanup == CleanUp
               ? RTL_CONTAINER_OF(thread, PsThread, Thread)
               : nullptr;
}

uint64_t PsGetThreadId(const PsThread *thread)
{
    return thread->Id;
}

Status PsGetThreadExitCode(const PsThread *thread, uint32_t *exitCode)
{
    if (thread->Thread.Header.Signal <= 0)
        return StatusWouldBlock;
    *exitCode = thread->Thread.ExitCode;
    return StatusSuccess;
}

void PsSetThreadPriority(PsThread *thread, uint8_t priority)
{
    KeSetPriority(&thread->Thread, priority);
}

Status PsSetThreadAffinity(PsThread *thread, uint64_t processors)
{
    return KeSetAffinity(&thread->Thread, processors);
}

void PsiCountThread(PsThread *thread, PsCounters *counters)
{
    KThreadTimes times;
    KeQueryThread(&thread->Thread, &times);
    counters->KernelTime += times.KernelTime;
    counters->UserTime += times.UserTime;
    counters->SystemCalls += times.SystemCalls;
    counters->PageFaults += times.PageFaults;
    counters->ContextSwitches += times.ContextSwitches;
}

void PsQueryThread(PsThread *thread, ThreadInfo *info)
{
    KThreadTimes times;
    KeQueryThread(&thread->Thread, &times);
    *info = (ThreadInfo){
        .ThreadId = (uint32_t)thread->Id,
        .ProcessId = thread->Process != nullptr ? thread->Process->Id : 0,
        .State = times.State == ThreadTerminated ? ThreadHasEnded
                 : times.State == ThreadWaiting  ? ThreadIsWaiting
                 : times.State == ThreadRunning  ? ThreadIsRunning
                                                 : ThreadIsReady,
        .Priority = times.Priority,
        .Processor = times.Processor,
        .Affinity = KeGetAffinity(&thread->Thread),
        .ExitCode = times.State == ThreadTerminated ? thread->Thread.ExitCode : 0,
        .KernelTime = times.KernelTime,
        .UserTime = times.UserTime,
        .SystemCalls = times.SystemCalls,
        .ContextSwitches = times.ContextSwitches,
    };
}

// The thread of the process with the lowest id above `id`, referenced, or nullptr.
static PsThread *NextThread(PsProcess *process, uint64_t id)
{
    PsThread *found = nullptr;
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RTL_FOR_EACH (entry, &process->Threads) {
        PsThread *thread = RTL_CONTAINER_OF(entry, PsThread, Link);
        if (thread->Id > id && (found == nullptr || thread->Id < found->Id))
            found = thread;
    }
    if (found != nullptr)
        ObReference(found);
    KeReleaseSpinLock(&process->Lock, old);
    return found;
}

void PsForEachThread(PsProcess *process, bool (*visit)(PsThread *thread, void *context),
                     void *context)
{
    uint64_t id = 0;
    for (PsThread *thread; (thread = NextThread(process, id)) != nullptr;) {
        id = thread->Id;
        bool more = visit(thread, context);
        ObDereference(thread);
        if (!more)
            return;
    }
}

typedef struct ThreadSearch {
    uint64_t Id;
    PsThread *Found;
} ThreadSearch;

static bool SearchProcess(PsProcess *process, void *context)
{
    ThreadSearch *search = context;
    PsThread *thread = search->Id == 0 ? nullptr : NextThread(process, search->Id - 1);
    if (thread == nullptr || thread->Id == search->Id)
        search->Found = thread;
    else
        ObDereference(thread);
    return search->Found == nullptr;
}

PsThread *PsFindThread(uint64_t id)
{
    ThreadSearch search = {.Id = id};
    PsForEachProcess(SearchProcess, &search);
    return search.Found;
}

void *PsGetTransferBuffer(void)
{
    PsThread *thread = PsGetCurrentThread();
    if (thread->TransferBuffer == nullptr)
        thread->TransferBuffer = MmAllocateHeap(PS_TRANSFER_SIZE, PS_TAG);
    return thread->TransferBuffer;
}

uint32_t PsGetThreadCount(void)
{
    return __atomic_load_n(&ThreadCount, __ATOMIC_RELAXED);
}

uint64_t PsGetFirstUserStamp(void)
{
    return FirstUserStamp;
}
