// ki.h - shared inside kernel/ke.
// SPDX-License-Identifier: MIT
#pragma once

#include "ke_prcb.h"

#ifdef METALOS_CHECKED
#define KI_CHECK(expression) KE_ASSERT(expression)
#else
#define KI_CHECK(expression) ((void)sizeof(expression))
#endif

#define KI_QUANTUM 10000000ull // nanoseconds of a time slice

// ---- processor.c
extern KPrcb KiBootProcessor;
extern KPrcb *KiProcessors[KE_MAXIMUM_PROCESSORS];

// ---- irql.c: this processor's fields, one instruction each, so right even when preempted between two.
static inline uint8_t KiGetIrql(void)
{
    uint8_t level;
    __asm__ volatile("movb %%gs:0x20, %0" : "=q"(level));
    return level;
}
static inline void KiSetIrql(uint8_t level) { __asm__ volatile("movb %0, %%gs:0x20" : : "q"(level) : "memory"); }
static inline bool KiIsWorkPending(void)
{
    uint8_t pending;
    __asm__ volatile("movb %%gs:0x21, %0" : "=q"(pending));
    return pending != 0;
}
static inline KPrcb *KiGetPrcb(void) { return (KPrcb *)HalGetProcessor(); } // preemption off
static_assert(offsetof(HalProcessor, Irql) == 0x20 && offsetof(HalProcessor, PendingWork) == 0x21, "gs");
void KiDispatchPendingWork(void); // at PassiveLevel, interrupts on or off; returns with them as they were

// ---- readyqueue.c, timerheap.c: pure, tested natively
void KiInitializeReadyQueue(KReadyQueue *queue);
void KiInsertReady(KReadyQueue *queue, ListEntry *link, uint8_t priority, bool front);
void KiRemoveReady(KReadyQueue *queue, ListEntry *link, uint8_t priority);
int KiHighestReady(const KReadyQueue *queue); // priority, -1: empty
ListEntry *KiTakeReady(KReadyQueue *queue, uint8_t priority);
KTimerNode *KiTimerHeapInsert(KTimerNode *root, KTimerNode *node); // return the new root
KTimerNode *KiTimerHeapRemove(KTimerNode *root, KTimerNode *node);

// ---- dispatcher.c: the lock over all scheduling state
extern KSpinLock KiDispatcherLock;
static inline KIrql KiLockDispatcher(void) { return KeAcquireSpinLock(&KiDispatcherLock); }
void KiUnlockDispatcher(KIrql old);
void KiUnlockDispatcherKeepLevel(void);

// ---- schedule.c: dispatcher lock held
void KiReadyThread(KThread *thread, bool front);
void KiSwitchAway(KThread *current); // current->State says why; returns when it runs again, lock held
void KiPreemptIfNeeded(void);        // takes and releases the lock; DispatchLevel
void KiReprioritize(KThread *thread, uint8_t priority);
void KiUpdateQuantumTimer(KPrcb *prcb);
void KiBecomeIdle(void) __attribute__((noreturn)); // the boot context from now on

// ---- wait.c: dispatcher lock held
void KiSignalObject(KDispatcherHeader *header);
void KiEndWait(KThread *thread, Status status, size_t index);

// ---- timer.c: dispatcher lock held
void KiArmTimerNode(KTimerNode *node, uint64_t deadline);
bool KiDisarmTimerNode(KTimerNode *node);
void KiExpireTimers(KPrcb *prcb); // takes and releases the lock; DispatchLevel
void KiProgramClock(KPrcb *prcb);
void KiClockInterrupt(void *context);

// ---- dpc.c
void KiRunDpcs(KPrcb *prcb);

// ---- thread.c
void KiInitializeThreads(void);
void KiQueueForReaper(KThread *thread); // dispatcher lock held
void KiStartWorkers(void);
void KiStartReaper(void);

// ---- trap.c
void KiInitializeTraps(void);

// ---- bugcheck.c
bool KiIsFreezing(void);
void KiFreezeThisProcessor(void) __attribute__((noreturn));

// ---- log.c
void KiBreakLogLock(void); // for stops: whoever held it will not come back

// ---- selftest.c
void KiRunSelfTests(void);
