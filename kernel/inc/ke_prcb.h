// ke_prcb.h - a processor's own data, complete, for ke and kd.
// SPDX-License-Identifier: MIT
#pragma once

#include "ke_thread.h"

#define KE_MAXIMUM_PROCESSORS HAL_MAXIMUM_PROCESSORS
#define KE_MAXIMUM_HELD_LOCKS 16

// Threads that are ready to run, a list per priority; bit n of Mask: list n is not empty.
typedef struct KReadyQueue {
    ListEntry Lists[KE_PRIORITY_LEVELS];
    uint32_t Mask;
    uint32_t Count;
} KReadyQueue;

typedef struct KProcessorCounters { // [o] written by their processor alone
    uint64_t ContextSwitches, Interrupts, TimerInterrupts, PageFaults, Dpcs, TimersExpired,
        UnexpectedInterrupts, Flushes, Steals;
} KProcessorCounters;

// Legend: [d] dispatcher lock, [i] its own processor with interrupts off, [o] written by its own
// processor alone.
struct KPrcb {
    HalProcessor Hal; // first: gs points here
    KThread *IdleThread;
    KThread *FpuOwner;                 // [o] whose state the registers hold
    uint64_t PageTableRoot;            // [o] what CR3 holds; others read it: tlb.c
    uint64_t LoadingRoot;              // [o] what CR3 is about to hold, else the same
    KReadyQueue Ready;                 // [d]
    KTimerNode StarvationCheck;        // [d] armed while threads are ready
    uint32_t StarvationEpoch;          // [d] counts the checks
    KTimerNode *Timers;                // [d] heap by deadline
    uint64_t ArmedDeadline;            // [i] the clock will interrupt then; KE_INFINITE: not armed
    uint64_t QuantumEnd;               // [d] of the running thread; KE_INFINITE: no competitor
    ListEntry DpcQueue;                // [i]
    volatile bool Reschedule;          // [o] a better thread is ready
    bool QuantumEnded;                 // [d] the running thread goes behind its equals
    volatile bool TimerExpired;        // [i] the clock interrupt came
    volatile bool FreezeRequested;     // set by the owner of the machine with its NMI (freeze.c)
    volatile bool Frozen;              // stands still in StandStill
    KTrapFrame *FrozenFrame;           // while Frozen: what it was doing; may be nullptr
    void (*FrozenCall)(void *context); // while Frozen: set by the owner, cleared when it has run
    void *FrozenContext;
    void *SavedContext; // kd's: the registers at a stop, for readers of a dump
    KProcessorCounters Counters;
    const KSpinLock *HeldLocks[KE_MAXIMUM_HELD_LOCKS]; // [o] checked builds
    uint32_t HeldLockCount;

    // ---- watchdog.c [i]
    volatile uint32_t Alive;   // counts returns to PassiveLevel with work done
    volatile uint32_t Watches; // counts periods; read by the neighbour
    uint32_t AliveSeen, AliveMissed, NeighbourSeen, NeighbourMissed;
    const KPrcb *Neighbour; // of NeighbourSeen
    uint64_t WatchDue;      // the clock comes no later than that; KE_INFINITE: no watch

    // ---- trace.c [i]
    uint64_t SampleDue;               // as WatchDue
    const KTrapFrame *InterruptFrame; // of the interrupt that is being handled

    // ---- TLB flushes asked of others (tlb.c)
    volatile uint64_t FlushFrom; // atomic; bit n: processor n asks for its FlushRoot ... FlushEnd
    uint64_t FlushRoot, FlushStart, FlushEnd; // [o] constant while FlushesLeft is not 0
    volatile uint32_t FlushesLeft;            // atomic; processors that have not done it yet
};
static_assert(offsetof(KPrcb, Hal) == 0, "gs");
