// ki.h - shared inside kernel/ke.
// SPDX-License-Identifier: MIT
#pragma once

#include "ke_prcb.h"

#ifdef METALOS_CHECKED
#define KI_CHECK(expression) KE_ASSERT(expression)
#else
#define KI_CHECK(expression) ((void)sizeof(expression))
#endif

#define KI_QUANTUM          10000000ull  // nanoseconds of a time slice
#define KI_PRIORITY_BOOST   2            // of a user thread whose wait ended
#define KI_STARVATION_CHECK 500000000ull // nanoseconds; a thread ready for two checks is lifted

// ---- processor.c
extern KPrcb KiBootProcessor;
extern KPrcb *KiProcessors[KE_MAXIMUM_PROCESSORS];
extern volatile uint32_t KiProcessorCount; // those that run; grows while start-up starts others

// ---- tlb.c
// Loads the root into this processor, unless it has it. Preemption is off, and the thread that is
// the processor's current one needs this root.
void KiUsePageTables(KPrcb *prcb, uint64_t root);
void KiFlushInterrupt(void *context);

// ---- failure.c
void KiInheritFailure(KProcess *process); // a new process of the current thread's

// ---- irql.c: this processor's fields, one instruction each, so right even when preempted between
// two.
static inline uint8_t KiGetIrql(void)
{
    uint8_t level;
    __asm__ volatile("movb %%gs:0x20, %0" : "=q"(level));
    return level;
}
static inline void KiSetIrql(uint8_t level)
{
    __asm__ volatile("movb %0, %%gs:0x20" : : "q"(level) : "memory");
}
static inline bool KiIsWorkPending(void)
{
    uint8_t pending;
    __asm__ volatile("movb %%gs:0x21, %0" : "=q"(pending));
    return pending != 0;
}
static inline KPrcb *KiGetPrcb(void)
{
    return (KPrcb *)HalGetProcessor();
} // preemption off
static_assert(offsetof(HalProcessor, Irql) == 0x20 && offsetof(HalProcessor, PendingWork) == 0x21,
              "gs");
static inline bool KiTrySpinLock(KSpinLock *lock)
{
    uint32_t owner, expected = 0;
    __asm__ volatile("movl %%gs:0x24, %0" : "=r"(owner));
    return __atomic_compare_exchange_n(&lock->Value, &expected, owner + 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}
void KiSpinForLock(KSpinLock *lock); // until it is taken
// At PassiveLevel, interrupts on or off; returns with them as they were.
void KiDispatchPendingWork(void);

// ---- readyqueue.c, timerheap.c: pure, tested natively
void KiInitializeReadyQueue(KReadyQueue *queue);
void KiInsertReady(KReadyQueue *queue, ListEntry *link, uint8_t priority, bool front);
void KiRemoveReady(KReadyQueue *queue, ListEntry *link, uint8_t priority);
int KiHighestReady(const KReadyQueue *queue); // priority, -1: empty
ListEntry *KiTakeReady(KReadyQueue *queue, uint8_t priority);
KTimerNode *KiTimerHeapInsert(KTimerNode *root, KTimerNode *node); // return the new root
KTimerNode *KiTimerHeapRemove(KTimerNode *root, KTimerNode *node);

// ---- schedule.c
extern KSpinLock KiDispatcherLock; // over all scheduling state
static inline KIrql KiLockDispatcher(void)
{
    KI_CHECK(KiGetIrql() <= DispatchLevel); // interrupt routines queue a DPC instead
#ifdef METALOS_CHECKED
    return KeAcquireSpinLock(&KiDispatcherLock);
#else
    KIrql old = (KIrql)KiGetIrql();
    KiSetIrql(DispatchLevel);
    if (!KiTrySpinLock(&KiDispatcherLock))
        KiSpinForLock(&KiDispatcherLock);
    return old;
#endif
}
static inline void KiUnlockDispatcher(KIrql old)
{
#ifdef METALOS_CHECKED
    KeReleaseSpinLock(&KiDispatcherLock, old);
#else
    __atomic_store_n(&KiDispatcherLock.Value, 0, __ATOMIC_RELEASE);
    KiSetIrql(old);
    if (old == PassiveLevel && KiIsWorkPending())
        KiDispatchPendingWork();
#endif
}
// The lock is held:
void KiReadyThread(KThread *thread, bool front);
void KiSwitchAway(
    KThread *current); // current->State says why; returns when it runs again, lock held
void KiSetThreadPriority(KThread *thread, uint8_t priority);
void KiEndQuantum(KPrcb *prcb, uint64_t now);
void KiCheckStarvation(KTimerNode *node);
void KiRescheduleInterrupt(void *context);
void KiJoinScheduling(KPrcb *prcb); // a new processor, in its idle thread; takes the lock
// The lock is not held:
void KiPreemptIfNeeded(void); // DispatchLevel

// ---- wait.c: dispatcher lock held
void KiSignalObject(KDispatcherHeader *header);
void KiEndWait(KThread *thread, Status status, size_t index);
void KiLendPriority(const KMutex *mutex);                          // from its waiters to its owner
Status KiBlock(KThread *thread, KWaitMode mode, uint64_t timeout); // timeout not 0
void KiInitializeWaits(void);

// ---- objects.c: dispatcher lock held
Status KiTakeMutant(KMutant *mutant, KThread *thread);
void KiAbandonMutants(KThread *thread);

// ---- timer.c: dispatcher lock held
void KiArmTimerNode(KTimerNode *node, uint64_t deadline);
bool KiDisarmTimerNode(KTimerNode *node);
void KiExpireTimers(KPrcb *prcb); // takes and releases the lock; DispatchLevel
void KiProgramClock(KPrcb *prcb);
void KiConsumeTimer(KTimer *timer);
void KiClockInterrupt(void *context);

// ---- dpc.c
void KiRunDpcs(KPrcb *prcb);

// ---- thread.c
void KiInitializeBootThread(void); // the boot context is a thread: the idle thread to be
void KiInitializeIdleThread(KThread *thread, uint32_t processor, void *stackLimit,
                            size_t stackSize);
// ---- worker.c
void KiQueueForReaper(KThread *thread); // dispatcher lock held

// ---- trap.c
void KiInitializeTraps(void);
void KiInitializeCounters(void);

// ---- bugcheck.c
bool KiIsFreezing(void);
// ---- freeze.c
bool KiAnswerFreeze(KTrapFrame *frame); // an NMI came; false: it is not a request to stand still

// ---- watchdog.c
void KiStartWatch(KPrcb *prcb);
void KiWatch(KPrcb *prcb, uint64_t now); // in the clock interrupt, once WatchDue has come
void KiKeepWatch(KPrcb *prcb);           // interrupts off

// ---- trace.c: interrupts off
void KiBeginSampling(KPrcb *prcb);
void KiTakeSample(KPrcb *prcb, uint64_t now);
// ---- syscall.c
void KiTraceSystemCalls(bool on);

// ---- log.c
void KiSetDebugPrint(void (*print)(const char *text, size_t length));
void KiBreakLogLock(void); // for stops: whoever held it will not come back
