// schedule.c - which thread runs.
//
// Each processor has a ready queue with 32 priorities and runs the first thread of the highest one;
// equals take turns of KI_QUANTUM. A user thread whose wait ends is lifted by KI_PRIORITY_BOOST and
// sinks by one with each quantum it uses up, so that threads that answer people come before those
// that compute. A thread that has been ready for a second without running is lifted to the top of
// the user priorities and sinks the same way, so that nobody starves. The owner of a mutex has at
// least the priority of those who wait for it. A processor without ready threads runs its idle
// thread, which halts; no clock ticks while nothing is due, and a quantum is only timed while an
// equal waits for its end.
//
// Several processors. A thread that becomes ready goes to the processor that ran it last when that
// one is idle, else to another idle one, else to the one that does the least important work; only
// when that is as important as the thread does it wait, where it ran last. A processor takes the
// most important thread that waits in any queue before its own when that is better, so it never
// idles, or does lesser work, while somebody waits. A thread's Affinity limits all of this. Another
// processor's queue is changed under the lock; the processor is then interrupted to look at it.
//
// Locking. One lock, KiDispatcherLock, guards ready queues, wait lists, dispatcher objects and
// timers of all processors. It stays held across a context switch: the thread that is switched to
// releases it. So nobody can run (or reap) a thread before its registers are saved, and there is no
// window to reason about.
//
// What is switched: rsp and the callee-saved registers, CR3 when the address space differs (never
// for the idle thread: it keeps what is loaded, tlb.c), the user gs base, and the FPU state, saved
// whenever a user thread leaves and loaded unless this processor's registers still hold it.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define THREAD_OF(link) RTL_CONTAINER_OF(link, KThread, ReadyLink)

KSpinLock KiDispatcherLock = KE_SPIN_LOCK_INIT(LockRankDispatcher, "dispatcher");

static uint64_t IdleProcessors; // [d] bit n: n runs its idle thread and has been given nothing
static uint32_t ReadyThreads;   // [d] in all queues

static bool IsAllowed(const KThread *thread, const KPrcb *prcb)
{
    return thread->Affinity >> prcb->Hal.Number & 1;
}

// The processor looks at its queue and its quantum soon.
static void RequestReschedule(KPrcb *prcb)
{
    prcb->Reschedule = true;
    if (prcb == KiGetPrcb())
        prcb->Hal.PendingWork = 1;
    else
        HalRequestReschedule(prcb->Hal.Number);
}

void KiRescheduleInterrupt(void *context)
{
    KPrcb *prcb = KiGetPrcb();
    prcb->Hal.PendingWork = 1;
    prcb->Hal.ReturnWork |= prcb->Hal.Thread->Terminating;
    KiBeginSampling(prcb);
}

// Times the running thread's quantum while somebody is ready who would be its equal, lifted or not.
static void UpdateQuantumEnd(KPrcb *prcb)
{
    const KThread *running = prcb->Hal.Thread;
    uint8_t level = RTL_MIN(running->Priority, running->BasePriority);
    if (running == prcb->IdleThread || !(prcb->Ready.Mask >> level)) {
        prcb->QuantumEnd = KE_INFINITE;
        return;
    }
    prcb->QuantumEnd = running->RunStart + running->QuantumLeft;
    KiProgramClock(prcb);
}

static void InsertReady(KPrcb *prcb, KThread *thread, bool front)
{
    thread->State = ThreadReady;
    thread->Processor = prcb->Hal.Number;
    thread->ReadyEpoch = prcb->StarvationEpoch;
    KiInsertReady(&prcb->Ready, &thread->ReadyLink, thread->Priority, front);
    ReadyThreads++;
    if (!prcb->StarvationCheck.Armed)
        KiArmTimerNode(&prcb->StarvationCheck, KeQueryTime() + KI_STARVATION_CHECK);
}

static void RemoveReady(KPrcb *prcb, KThread *thread)
{
    KiRemoveReady(&prcb->Ready, &thread->ReadyLink, thread->Priority);
    ReadyThreads--;
}

// ---- which processor

// What the processor does or will do next; -1: nothing.
static int ImportanceOf(const KPrcb *prcb)
{
    const KThread *running = prcb->Hal.Thread;
    int highest = KiHighestReady(&prcb->Ready);
    return running == prcb->IdleThread ? highest : RTL_MAX(highest, running->Priority);
}

static KPrcb *LeastImportant(const KThread *thread, KPrcb *best)
{
    int least = best != nullptr ? ImportanceOf(best) : KE_PRIORITY_LEVELS;
    for (uint32_t i = 0; i < KiProcessorCount; i++) {
        KPrcb *prcb = KiProcessors[i];
        if (!IsAllowed(thread, prcb))
            continue;
        int importance = ImportanceOf(prcb);
        if (importance < least) {
            least = importance;
            best = prcb;
        }
    }
    return best;
}

static KPrcb *ChooseProcessor(const KThread *thread)
{
    KPrcb *last = KiProcessors[thread->Processor];
    if (KiProcessorCount == 1)
        return last;
    if (!IsAllowed(thread, last))
        last = nullptr;
    uint64_t idle = IdleProcessors & thread->Affinity;
    if (idle == 0) {
        KPrcb *least = LeastImportant(thread, last);
        return last == nullptr || thread->Priority > ImportanceOf(least) ? least : last;
    }
    uint64_t here = 1ull << KiGetPrcb()->Hal.Number;
    uint32_t chosen = last != nullptr && (idle >> thread->Processor & 1) ? thread->Processor
                      : (idle & here) != 0                               ? KiGetPrcb()->Hal.Number
                                           : (uint32_t)__builtin_ctzll(idle);
    IdleProcessors &= ~(1ull << chosen);
    return KiProcessors[chosen];
}

KE_TRACER static void NoteReady(const KThread *thread)
{
    KeTrace(TraceReady, 0, thread->Id, 0);
}

void KiReadyThread(KThread *thread, bool front)
{
    KPrcb *prcb = ChooseProcessor(thread);
    const KThread *running = prcb->Hal.Thread;
    if (KeIsTracing(TraceScheduling))
        NoteReady(thread);
    InsertReady(prcb, thread, front);
    if (running == prcb->IdleThread || thread->Priority > running->Priority)
        RequestReschedule(prcb);
    else if (thread->Priority >= running->BasePriority && prcb->QuantumEnd == KE_INFINITE) {
        if (prcb == KiGetPrcb())
            UpdateQuantumEnd(prcb);
        else
            RequestReschedule(prcb);
    }
}

// The first thread in the list of another processor's queue that may run here.
static KThread *FindAllowed(const ListEntry *list, const KPrcb *prcb)
{
    RTL_FOR_EACH (link, list)
        if (IsAllowed(THREAD_OF(link), prcb))
            return THREAD_OF(link);
    return nullptr;
}

// The most important thread above `priority` that waits elsewhere and may run here, or nullptr.
static KThread *FindElsewhere(const KPrcb *prcb, int priority)
{
    KThread *best = nullptr;
    for (uint32_t i = 0; i < KiProcessorCount; i++) {
        const KReadyQueue *queue = &KiProcessors[i]->Ready;
        uint32_t mask = KiProcessors[i] == prcb ? 0 : queue->Mask;
        for (int level; mask != 0 && (level = 31 - __builtin_clz(mask)) > priority;
             mask &= ~(1u << level)) {
            KThread *thread = FindAllowed(&queue->Lists[level], prcb);
            if (thread != nullptr) {
                best = thread;
                priority = level;
            }
        }
    }
    return best;
}

// Takes the thread that should run here out of its queue; nullptr: nobody waits.
static KThread *TakeNext(KPrcb *prcb)
{
    int priority = KiHighestReady(&prcb->Ready);
    if (ReadyThreads != prcb->Ready.Count) {
        KThread *thread = FindElsewhere(prcb, priority);
        if (thread != nullptr) {
            RemoveReady(KiProcessors[thread->Processor], thread);
            prcb->Counters.Steals++;
            return thread;
        }
    }
    if (priority < 0)
        return nullptr;
    ReadyThreads--;
    return THREAD_OF(KiTakeReady(&prcb->Ready, (uint8_t)priority));
}

// The first of each list has waited longest. A lifted thread sinks by one with each quantum.
void KiCheckStarvation(KTimerNode *node)
{
    KPrcb *prcb = RTL_CONTAINER_OF(node, KPrcb, StarvationCheck);
    prcb->StarvationEpoch++;
    for (uint8_t priority = 0; priority < KePriorityUserHigh; priority++) {
        if (!(prcb->Ready.Mask & 1u << priority))
            continue;
        KThread *thread = THREAD_OF(prcb->Ready.Lists[priority].Next);
        if (prcb->StarvationEpoch - thread->ReadyEpoch < 2)
            continue;
        RemoveReady(prcb, thread);
        thread->Priority = KePriorityUserHigh;
        thread->QuantumLeft = KI_QUANTUM;
        KiReadyThread(thread, false);
    }
    if (prcb->Ready.Count != 0 && !node->Armed)
        KiArmTimerNode(node, KeQueryTime() + KI_STARVATION_CHECK);
}

static void ChargeTime(KThread *thread, uint64_t now)
{
    uint64_t ran = now - thread->RunStart;
    thread->RunStart = now;
    thread->RunTime += ran;
    thread->QuantumLeft -= RTL_MIN(ran, thread->QuantumLeft);
}

// Takes over what the entry code counted while the thread ran. It is in the kernel now.
static void CollectCounts(KPrcb *prcb, KThread *thread)
{
    thread->UserTicks += prcb->Hal.UserTicks;
    thread->SystemCalls += prcb->Hal.SystemCalls;
    prcb->Hal.UserTicks = prcb->Hal.SystemCalls = 0;
}

static void SwitchProcessorState(KPrcb *prcb, KThread *from, KThread *to)
{
    if (from->FpuArea != nullptr && from->State != ThreadTerminated)
        HalSaveFpu(from->FpuArea);
    prcb->Hal.Thread = to; // before the page tables are looked at: tlb.c
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (to->FpuArea != nullptr) {
        if (prcb->FpuOwner != to || to->FpuProcessor != prcb->Hal.Number)
            HalRestoreFpu(to->FpuArea);
        prcb->FpuOwner = to;
        to->FpuProcessor = prcb->Hal.Number;
        if (prcb->Hal.UserGsBase != to->UserGsBase)
            HalSetUserGsBase(to->UserGsBase);
    }
    if (to != prcb->IdleThread)
        KiUsePageTables(prcb, to->Process->PageTableRoot);
    HalSetKernelStack(to->KernelStackTop);
    prcb->Hal.ReturnWork = to->Terminating;
}

KE_TRACER static void NoteSwitch(const KThread *from, const KThread *to)
{
    KeTrace(TraceSwitch, from->State, to->Id, to->OwnProcess->Id);
}

static void SwitchTo(KPrcb *prcb, KThread *from, KThread *to)
{
    uint64_t now = KeQueryTime();
    if (KeIsTracing(TraceScheduling))
        NoteSwitch(from, to);
    ChargeTime(from, now);
    CollectCounts(prcb, from);
    to->RunStart = now;
    to->State = ThreadRunning;
    to->Processor = prcb->Hal.Number;
    to->Switches++;
    if (to->QuantumLeft == 0)
        to->QuantumLeft = KI_QUANTUM;
    prcb->Counters.ContextSwitches++;
    SwitchProcessorState(prcb, from, to);
    UpdateQuantumEnd(prcb);
    HalSwitchStack(&from->SavedStack, to->SavedStack);
}

void KiSwitchAway(KThread *current)
{
    KI_CHECK(KeIsSpinLockHeld(&KiDispatcherLock) && KiGetIrql() == DispatchLevel);
    KPrcb *prcb = KiGetPrcb();
    uint64_t bit = 1ull << prcb->Hal.Number;
    KThread *next = TakeNext(prcb);
    if (next == nullptr) {
        next = prcb->IdleThread;
        IdleProcessors |= bit;
    } else {
        IdleProcessors &= ~bit;
    }
    prcb->Reschedule = prcb->QuantumEnded = false;
    if (next == current) {
        current->State = ThreadRunning;
        UpdateQuantumEnd(prcb);
        return;
    }
    SwitchTo(prcb, current, next);
}

// The running thread goes back into a queue: its own, unless it may not stay or another processor
// idles.
static void PutBack(KPrcb *prcb, KThread *current, bool front)
{
    if (!IsAllowed(current, prcb) || (IdleProcessors & current->Affinity) != 0)
        KiReadyThread(current, front);
    else
        InsertReady(prcb, current, front);
}

// The running thread makes room when a better one, or at the end of its quantum an equal, is there.
void KiPreemptIfNeeded(void)
{
    KIrql old = KiLockDispatcher();
    KPrcb *prcb = KiGetPrcb();
    KThread *current = prcb->Hal.Thread;
    int highest = KiHighestReady(&prcb->Ready);
    bool ended = prcb->QuantumEnded;
    prcb->Reschedule = prcb->QuantumEnded = false;
    if (current == prcb->IdleThread) {
        KiSwitchAway(current);
    } else if (highest > current->Priority || (ended && highest == current->Priority) ||
               !IsAllowed(current, prcb)) {
        PutBack(prcb, current, !ended);
        KiSwitchAway(current);
    } else if (prcb->QuantumEnd == KE_INFINITE) {
        UpdateQuantumEnd(prcb);
    }
    KiUnlockDispatcher(old);
}

// The clock reached QuantumEnd.
void KiEndQuantum(KPrcb *prcb, uint64_t now)
{
    KThread *running = prcb->Hal.Thread;
    ChargeTime(running, now);
    running->QuantumLeft = KI_QUANTUM;
    if (running->Priority > running->BasePriority && !running->Lent)
        running->Priority--;
    if (KiHighestReady(&prcb->Ready) >= running->Priority) {
        prcb->QuantumEnded = true;
        RequestReschedule(prcb);
    }
    UpdateQuantumEnd(prcb);
}

void KiSetThreadPriority(KThread *thread, uint8_t priority)
{
    KPrcb *prcb = KiProcessors[thread->Processor];
    if (thread->State == ThreadReady) {
        RemoveReady(prcb, thread);
        thread->Priority = priority;
        KiReadyThread(thread, false);
        return;
    }
    thread->Priority = priority;
    if (thread->State == ThreadRunning && KiHighestReady(&prcb->Ready) > priority)
        RequestReschedule(prcb);
}

void KeSetPriority(KThread *thread, uint8_t priority)
{
    KIrql old = KiLockDispatcher();
    thread->BasePriority = RTL_MIN(priority, KE_PRIORITY_LEVELS - 1);
    KiSetThreadPriority(thread, thread->Lent ? RTL_MAX(thread->Priority, thread->BasePriority)
                                             : thread->BasePriority);
    KiUnlockDispatcher(old);
}

Status KeSetAffinity(KThread *thread, uint64_t processors)
{
    uint32_t count = KiProcessorCount;
    if (count < KE_MAXIMUM_PROCESSORS && (processors & ((1ull << count) - 1)) == 0)
        return StatusInvalidParameter;
    if (processors == 0)
        return StatusInvalidParameter;
    KIrql old = KiLockDispatcher();
    thread->Affinity = processors;
    KPrcb *prcb = KiProcessors[thread->Processor];
    if (!IsAllowed(thread, prcb)) {
        if (thread->State == ThreadReady) {
            RemoveReady(prcb, thread);
            KiReadyThread(thread, false);
        } else if (thread->State == ThreadRunning) {
            RequestReschedule(prcb);
        }
    }
    KiUnlockDispatcher(old);
    return StatusSuccess;
}

uint64_t KeGetAffinity(const KThread *thread)
{
    return thread->Affinity;
}

void KeQueryProcessor(uint32_t processor, KProcessorLoad *load)
{
    KE_ASSERT(processor < KiProcessorCount);
    const KPrcb *prcb = KiProcessors[processor];
    const KThread *idle = prcb->IdleThread;
    KIrql old = KiLockDispatcher();
    uint64_t now = KeQueryTime();
    load->IdleTime = idle->RunTime;
    if (prcb->Hal.Thread == idle && now > idle->RunStart)
        load->IdleTime += now - idle->RunStart;
    KiUnlockDispatcher(old);
    const KProcessorCounters *counters = &prcb->Counters;
    load->ContextSwitches = counters->ContextSwitches;
    load->Interrupts = counters->Interrupts;
    load->Dpcs = counters->Dpcs;
    load->Steals = counters->Steals;
    load->Flushes = counters->Flushes;
}

// Behind its equals; what the thread had been lifted by for answering is given up too.
void KeYield(void)
{
    KI_CHECK(KiGetIrql() == PassiveLevel);
    KIrql old = KiLockDispatcher();
    KPrcb *prcb = KiGetPrcb();
    KThread *current = prcb->Hal.Thread;
    if (!current->Lent)
        current->Priority = current->BasePriority;
    if (current != prcb->IdleThread && KiHighestReady(&prcb->Ready) >= current->Priority) {
        PutBack(prcb, current, false);
        KiSwitchAway(current);
    }
    KiUnlockDispatcher(old);
}

KThread *KeGetCurrentThread(void)
{
    return HalGetCurrentThread();
}
KProcess *KeGetCurrentProcess(void)
{
    return HalGetCurrentThread()->OwnProcess;
}

KProcess *KeAttachProcess(KProcess *process)
{
    KIrql old = KeRaiseIrql(DispatchLevel);
    KPrcb *prcb = KiGetPrcb();
    KThread *thread = prcb->Hal.Thread;
    KProcess *previous = thread->Process;
    thread->Process = process; // before the page tables are looked at: tlb.c
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    KiUsePageTables(prcb, process->PageTableRoot);
    KeLowerIrql(old);
    return previous;
}

void KiJoinScheduling(KPrcb *prcb)
{
    KIrql old = KiLockDispatcher();
    prcb->IdleThread->RunStart = KeQueryTime();
    KiProcessors[prcb->Hal.Number] = prcb;
    IdleProcessors |= 1ull << prcb->Hal.Number;
    __atomic_store_n(&KiProcessorCount, prcb->Hal.Number + 1, __ATOMIC_RELEASE);
    KiUnlockDispatcher(old);
}

void KeRunIdle(void)
{
    for (;;) {
        HalDisableInterrupts();
        if (KiIsWorkPending()) {
            KiDispatchPendingWork();
            HalEnableInterrupts();
        } else {
            HalWaitForInterrupt();
        }
    }
}
