// watchdog.c - notices a processor that is stuck, and stops the machine with its stack.
//
// Two things can go wrong for good: a processor stays at DispatchLevel (a spin lock that never
// comes free, a DPC that does not end), or it has interrupts off and answers nothing. Each
// processor's clock comes at least once a period, idle or not, and looks after both: its own level
// must have dropped to PassiveLevel since the last time (Alive counts that), and its neighbour's
// clock must have come (Watches counts that). After WATCH_LIMIT periods without, the machine is
// stopped. Nothing here takes a lock: whoever is stuck may hold any. On a machine with one
// processor nobody notices one that has interrupts off.
//
// Periods are counted, not time: a host that stops all processors for a while stops all counting.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define WATCH_LIMIT    5u
#define SECOND         1000000000ull
#define DEFAULT_PERIOD (4 * SECOND)

static uint64_t Period = DEFAULT_PERIOD;

void KeSetWatchdog(uint32_t seconds)
{
    Period = seconds == 0 ? KE_INFINITE : seconds * SECOND / WATCH_LIMIT;
}

void KiStartWatch(KPrcb *prcb)
{
    prcb->WatchDue = Period == KE_INFINITE ? KE_INFINITE : KeQueryTime() + Period;
}

static void CheckSelf(KPrcb *prcb)
{
    if (prcb->Alive != prcb->AliveSeen) {
        prcb->AliveSeen = prcb->Alive;
        prcb->AliveMissed = 0;
    } else if (++prcb->AliveMissed >= WATCH_LIMIT) {
        KeBugCheckFrame(BugCheckDispatchWatchdog, prcb->Hal.Number, WATCH_LIMIT * Period, 0, 0,
                        "This processor has not come back from DispatchLevel.", nullptr);
    }
}

static void ReportNeighbour(const KPrcb *neighbour)
{
    KTrapFrame *frame = nullptr;
    HalDisableInterrupts();
    while (!KeFreezeMachine(nullptr)) // the debugger may have it
        ;
    (void)KeGetFrozenFrame(neighbour->Hal.Number, &frame);
    KeBugCheckFrame(BugCheckClockWatchdog, neighbour->Hal.Number, WATCH_LIMIT * Period, 0, 0,
                    frame != nullptr
                        ? "A processor has stopped taking interrupts; it was here."
                        : "A processor has stopped taking interrupts, even this one's.",
                    frame);
}

static void CheckNeighbour(KPrcb *prcb)
{
    uint32_t count = KiProcessorCount;
    if (count < 2)
        return;
    const KPrcb *neighbour = KiProcessors[(prcb->Hal.Number + 1) % count];
    uint32_t watches = __atomic_load_n(&neighbour->Watches, __ATOMIC_RELAXED);
    if (prcb->Neighbour != neighbour || watches != prcb->NeighbourSeen) {
        prcb->Neighbour = neighbour;
        prcb->NeighbourSeen = watches;
        prcb->NeighbourMissed = 0;
    } else if (++prcb->NeighbourMissed >= WATCH_LIMIT) {
        ReportNeighbour(neighbour);
    }
}

void KiWatch(KPrcb *prcb, uint64_t now)
{
    prcb->WatchDue = now + Period;
    __atomic_store_n(&prcb->Watches, prcb->Watches + 1, __ATOMIC_RELAXED);
    CheckSelf(prcb);
    CheckNeighbour(prcb);
}

// The clock came while the level was raised: what it is for has to wait, but the watch goes on.
void KiKeepWatch(KPrcb *prcb)
{
    uint64_t due = RTL_MIN(prcb->WatchDue, prcb->SampleDue);
    if (prcb->ArmedDeadline != KE_INFINITE || due == KE_INFINITE)
        return;
    prcb->ArmedDeadline = due;
    HalArmTimer(due);
}
