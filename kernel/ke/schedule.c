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
// Locking. One lock, KiDispatcherLock, guards ready queues, wait lists, dispatcher objects and
// timers of all processors. It stays held across a context switch: the thread that is switched to
// releases it. So nobody can run (or reap) a thread before its registers are saved, and there is no
// window to reason about.
//
// What is switched: rsp and the callee-saved registers, CR3 when the address space differs (never
// for the idle thread: it keeps what is loaded, because only threads destroy address spaces), the
// user gs base, and the FPU state, saved whenever a user thread leaves and loaded unless the
// registers still hold it.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define THREAD_OF(link) RTL_CONTAINER_OF(link, KThread, ReadyLink)

KSpinLock KiDispatcherLock = KE_SPIN_LOCK_INIT(LockRankDispatcher, "dispatcher");

static void RequestReschedule(KPrcb *prcb)
{
    prcb->Reschedule = true;
    prcb->Hal.PendingWork = 1;
    if (prcb != KiGetPrcb())
        HalRequestReschedule(prcb->Hal.Number);
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
    thread->ReadyEpoch = prcb->StarvationEpoch;
    KiInsertReady(&prcb->Ready, &thread->ReadyLink, thread->Priority, front);
    if (!prcb->StarvationCheck.Armed && prcb == KiGetPrcb())
        KiArmTimerNode(&prcb->StarvationCheck, KeQueryTime() + KI_STARVATION_CHECK);
}

void KiReadyThread(KThread *thread, bool front)
{
    KPrcb *prcb = KiProcessors[thread->LastProcessor];
    const KThread *running = prcb->Hal.Thread;
    InsertReady(prcb, thread, front);
    if (running == prcb->IdleThread || thread->Priority > running->Priority)
        RequestReschedule(prcb);
    else if (thread->Priority >= running->BasePriority && prcb->QuantumEnd == KE_INFINITE)
        UpdateQuantumEnd(prcb);
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
        KiRemoveReady(&prcb->Ready, &thread->ReadyLink, priority);
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
    if (thread->FpuArea != nullptr)
        thread->OwnProcess->UserTime += ran;
    else
        thread->OwnProcess->KernelTime += ran;
}

static void SwitchProcessorState(KPrcb *prcb, KThread *from, KThread *to)
{
    if (from->FpuArea != nullptr && from->State != ThreadTerminated)
        HalSaveFpu(from->FpuArea);
    if (to->FpuArea != nullptr) {
        if (prcb->FpuOwner != to || to->LastProcessor != prcb->Hal.Number)
            HalRestoreFpu(to->FpuArea);
        prcb->FpuOwner = to;
        if (prcb->Hal.UserGsBase != to->UserGsBase)
            HalSetUserGsBase(to->UserGsBase);
    }
    if (to != prcb->IdleThread && prcb->PageTableRoot != to->Process->PageTableRoot) {
        prcb->PageTableRoot = to->Process->PageTableRoot;
        HalWriteCr3(prcb->PageTableRoot);
    }
    HalSetKernelStack(to->KernelStackTop);
    to->LastProcessor = prcb->Hal.Number;
    prcb->Hal.Thread = to;
    prcb->Hal.ReturnWork = to->Terminating;
}

static void SwitchTo(KPrcb *prcb, KThread *from, KThread *to)
{
    uint64_t now = KeQueryTime();
    ChargeTime(from, now);
    to->RunStart = now;
    to->State = ThreadRunning;
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
    int priority = KiHighestReady(&prcb->Ready);
    KThread *next =
        priority < 0 ? prcb->IdleThread : THREAD_OF(KiTakeReady(&prcb->Ready, (uint8_t)priority));
    prcb->Reschedule = prcb->QuantumEnded = false;
    if (next == current) {
        current->State = ThreadRunning;
        UpdateQuantumEnd(prcb);
        return;
    }
    SwitchTo(prcb, current, next);
}

// The running thread goes back into the queue when a better one, or at the end of its quantum an
// equal, is there.
void KiPreemptIfNeeded(void)
{
    KIrql old = KiLockDispatcher();
    KPrcb *prcb = KiGetPrcb();
    KThread *current = prcb->Hal.Thread;
    int highest = KiHighestReady(&prcb->Ready);
    bool ended = prcb->QuantumEnded;
    prcb->Reschedule = prcb->QuantumEnded = false;
    if (current == prcb->IdleThread) {
        if (highest >= 0)
            KiSwitchAway(current);
    } else if (highest > current->Priority || (ended && highest == current->Priority)) {
        InsertReady(prcb, current, !ended);
        KiSwitchAway(current);
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
    KPrcb *prcb = KiProcessors[thread->LastProcessor];
    if (thread->State == ThreadReady) {
        KiRemoveReady(&prcb->Ready, &thread->ReadyLink, thread->Priority);
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
        InsertReady(prcb, current, false);
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
    thread->Process = process;
    if (prcb->PageTableRoot != process->PageTableRoot) {
        prcb->PageTableRoot = process->PageTableRoot;
        HalWriteCr3(prcb->PageTableRoot);
    }
    KeLowerIrql(old);
    return previous;
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
