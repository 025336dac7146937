// timer.c - time and timers.
//
// Each processor keeps its armed timers in a heap and programs its one-shot clock for the earliest
// of them or the running thread's quantum. A clock that is set too early is left alone: the
// interrupt finds nothing due and programs the next deadline, which costs less than reprogramming
// at every switch.
// SPDX-License-Identifier: MIT
#include "ki.h"

static uint64_t BootTime; // Unix nanoseconds at KeQueryTime() == 0

uint64_t KeQueryTime(void)
{
    return HalQueryNanoseconds();
}
uint64_t KeQuerySystemTime(void)
{
    return BootTime + HalQueryNanoseconds();
}
void KeSetSystemTimeAtBoot(uint64_t unixNanoseconds)
{
    BootTime = unixNanoseconds;
}

void KeSkipTime(uint64_t time)
{
    HalSetClockBack(time);
    BootTime += time;
}

// The clock of this processor only.
void KiProgramClock(KPrcb *prcb)
{
    uint64_t deadline = RTL_MIN(RTL_MIN(prcb->QuantumEnd, prcb->WatchDue), prcb->SampleDue);
    if (prcb->Timers != nullptr)
        deadline = RTL_MIN(deadline, prcb->Timers->Deadline);
    if (deadline >= prcb->ArmedDeadline || prcb != KiGetPrcb())
        return;
    bool enabled = HalSaveInterrupts();
    prcb->ArmedDeadline = deadline;
    HalArmTimer(deadline);
    HalRestoreInterrupts(enabled);
}

void KiClockInterrupt(void *context)
{
    KPrcb *prcb = KiGetPrcb();
    prcb->Counters.TimerInterrupts++;
    prcb->ArmedDeadline = KE_INFINITE;
    prcb->TimerExpired = true;
    prcb->Hal.PendingWork = 1;
    if (prcb->WatchDue != KE_INFINITE || prcb->SampleDue != KE_INFINITE) {
        uint64_t now = KeQueryTime();
        if (now >= prcb->WatchDue)
            KiWatch(prcb, now);
        KiTakeSample(prcb, now);
    }
}

void KiExpireTimers(KPrcb *prcb)
{
    KIrql old = KiLockDispatcher();
    prcb->TimerExpired = false;
    uint64_t now = KeQueryTime();
    while (prcb->Timers != nullptr && prcb->Timers->Deadline <= now) {
        KTimerNode *node = prcb->Timers;
        KiDisarmTimerNode(node);
        prcb->Counters.TimersExpired++;
        node->Expire(node);
    }
    if (prcb->QuantumEnd <= now)
        KiEndQuantum(prcb, now);
    KiProgramClock(prcb);
    KiUnlockDispatcher(old);
}

void KiArmTimerNode(KTimerNode *node, uint64_t deadline)
{
    KI_CHECK(!node->Armed && KeIsSpinLockHeld(&KiDispatcherLock));
    KPrcb *prcb = KiGetPrcb();
    node->Deadline = deadline;
    node->Processor = prcb->Hal.Number;
    node->Armed = true;
    prcb->Timers = KiTimerHeapInsert(prcb->Timers, node);
    if (prcb->Timers == node)
        KiProgramClock(prcb);
}

bool KiDisarmTimerNode(KTimerNode *node)
{
    if (!node->Armed)
        return false;
    KPrcb *prcb = KiProcessors[node->Processor];
    prcb->Timers = KiTimerHeapRemove(prcb->Timers, node);
    node->Armed = false;
    return true;
}

// ------------------------------------------------------------------------------------------ KTimer

// Missed periods are skipped; the rhythm stays.
static void ArmNextPeriod(KTimer *timer)
{
    if (timer->Period == 0)
        return;
    uint64_t now = KeQueryTime(), next = timer->Node.Deadline + timer->Period;
    if (next <= now)
        next += (now - next) / timer->Period * timer->Period + timer->Period;
    KiArmTimerNode(&timer->Node, next);
}

// A periodic timer that nobody has taken notice of since it was signalled has nothing to add: it
// goes on counting when a wait takes the signal, so a program cannot cause more interrupts than it
// waits for. One with a DPC goes on at once.
static void Fire(KTimerNode *node)
{
    KTimer *timer = RTL_CONTAINER_OF(node, KTimer, Node);
    timer->Header.Signal = 1;
    KiSignalObject(&timer->Header);
    if (timer->Dpc != nullptr)
        KeQueueDpc(timer->Dpc);
    if (timer->Dpc != nullptr && !node->Armed)
        ArmNextPeriod(timer);
}

// A wait takes the timer's signal. The dispatcher lock is held.
void KiConsumeTimer(KTimer *timer)
{
    if (timer->ManualReset)
        return;
    timer->Header.Signal = 0;
    if (!timer->Node.Armed)
        ArmNextPeriod(timer);
}

void KeInitializeTimer(KTimer *timer, bool manualReset)
{
    memset(timer, 0, sizeof(*timer));
    timer->Header.Kind = KObjectTimer;
    RtlInitializeList(&timer->Header.WaitList);
    timer->ManualReset = manualReset;
    timer->Node.Expire = Fire;
}

void KeSetTimer(KTimer *timer, uint64_t delay, uint64_t period, KDpc *dpc)
{
    KIrql old = KiLockDispatcher();
    KiDisarmTimerNode(&timer->Node);
    timer->Header.Signal = 0;
    timer->Period = period;
    timer->Dpc = dpc;
    uint64_t now = KeQueryTime();
    KiArmTimerNode(&timer->Node, delay < KE_INFINITE - now ? now + delay : KE_INFINITE - 1);
    KiUnlockDispatcher(old);
}

bool KeCancelTimer(KTimer *timer)
{
    KIrql old = KiLockDispatcher();
    timer->Period = 0;
    bool armed = KiDisarmTimerNode(&timer->Node);
    KiUnlockDispatcher(old);
    return armed;
}
