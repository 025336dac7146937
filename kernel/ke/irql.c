// irql.c - interrupt levels and spin locks.
//
// The level is a byte in the processor's data. DispatchLevel leaves interrupts on: an interrupt
// routine then queues its DPC and the reschedule it causes, and both wait in PendingWork until the
// level drops to PassiveLevel. HighLevel is DispatchLevel with the interrupt flag off.
//
// Spin locks carry a rank. A processor may only take a lock whose rank is above those it holds,
// which makes a cycle, and so a deadlock, impossible; checked builds keep the held locks and stop
// at the first wrong order, whether or not it would have deadlocked this time.
// SPDX-License-Identifier: MIT
#include "ki.h"

KIrql KeGetCurrentIrql(void)
{
    return (KIrql)KiGetIrql();
}

#define INTERRUPTS_WERE_OFF 0x80u

KIrql KeRaiseIrql(KIrql level)
{
    uint8_t old = KiGetIrql();
    KI_CHECK(level >= old);
    if (level == HighLevel && !HalSaveInterrupts())
        old |= INTERRUPTS_WERE_OFF;
    KiSetIrql(level);
    return (KIrql)old;
}

void KeLowerIrql(KIrql level)
{
    bool stayOff = (level & INTERRUPTS_WERE_OFF) != 0;
    uint8_t old = KiGetIrql();
    level &= (KIrql)~INTERRUPTS_WERE_OFF;
    KI_CHECK(level <= old);
    KiSetIrql(level);
    if (stayOff)
        return;
    if (old == HighLevel && level < HighLevel)
        HalEnableInterrupts();
    if (level == PassiveLevel && KiIsWorkPending())
        KiDispatchPendingWork();
}

// What waited for PassiveLevel: expired timers, DPCs, a better thread. The last may switch threads,
// so that this returns much later and on another processor. Seldom needed: it stays out of those
// who look for work.
[[gnu::noinline]] void KiDispatchPendingWork(void)
{
    bool enabled = HalSaveInterrupts();
    while (KiIsWorkPending()) {
        KPrcb *prcb = KiGetPrcb();
        prcb->Hal.PendingWork = 0;
        prcb->Alive++;
        KiSetIrql(DispatchLevel);
        HalEnableInterrupts();
        if (prcb->TimerExpired)
            KiExpireTimers(prcb);
        KiRunDpcs(prcb);
        if (prcb->Reschedule)
            KiPreemptIfNeeded();
        HalDisableInterrupts();
        KiSetIrql(PassiveLevel);
    }
    HalRestoreInterrupts(enabled);
}

// ------------------------------------------------------------------------------------- spin locks

#ifdef METALOS_CHECKED
static void RecordLock(const KSpinLock *lock)
{
    KPrcb *prcb = KiGetPrcb();
    if (prcb->HeldLockCount != 0) {
        const KSpinLock *last = prcb->HeldLocks[prcb->HeldLockCount - 1];
        if (last->Rank >= lock->Rank && !KiIsFreezing())
            KeBugCheck(BugCheckLockRank, (uint64_t)lock, lock->Rank, (uint64_t)last, last->Rank);
    }
    KE_ASSERT(prcb->HeldLockCount < KE_MAXIMUM_HELD_LOCKS);
    prcb->HeldLocks[prcb->HeldLockCount] = lock;
    __atomic_signal_fence(__ATOMIC_SEQ_CST); // an interrupt routine may take and release its own
    prcb->HeldLockCount++;
}

// The dispatcher lock is released by another thread than took it, but on the same processor; locks
// of different ranks may be released in any order.
static void ForgetLock(const KSpinLock *lock)
{
    KPrcb *prcb = KiGetPrcb();
    for (uint32_t i = prcb->HeldLockCount; i-- > 0;) {
        if (prcb->HeldLocks[i] != lock)
            continue;
        for (uint32_t j = i; j + 1 < prcb->HeldLockCount; j++)
            prcb->HeldLocks[j] = prcb->HeldLocks[j + 1];
        prcb->HeldLockCount--;
        return;
    }
}
#else
static inline void RecordLock(const KSpinLock *lock) {}
static inline void ForgetLock(const KSpinLock *lock) {}
#endif

void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name)
{
    *lock = (KSpinLock)KE_SPIN_LOCK_INIT(rank, name);
}

// A lock that this processor holds already would never come free.
void KiSpinForLock(KSpinLock *lock)
{
    uint32_t self = KeGetCurrentProcessorNumber() + 1;
    do {
        for (uint32_t owner; (owner = __atomic_load_n(&lock->Value, __ATOMIC_RELAXED)) != 0;) {
            if (owner == self)
                KeBugCheck(BugCheckLockRank, (uint64_t)lock, lock->Rank, (uint64_t)lock,
                           lock->Rank);
            HalPause();
        }
    } while (!KiTrySpinLock(lock));
}

static void Acquire(KSpinLock *lock)
{
    RecordLock(lock);
    if (!KiTrySpinLock(lock))
        KiSpinForLock(lock);
}

KIrql KeAcquireSpinLock(KSpinLock *lock)
{
    KIrql old = (KIrql)KiGetIrql();
    if (old < DispatchLevel)
        KiSetIrql(DispatchLevel);
    Acquire(lock);
    return old;
}

KIrql KeAcquireSpinLockRaiseToHigh(KSpinLock *lock)
{
    KIrql old = KeRaiseIrql(HighLevel);
    Acquire(lock);
    return old;
}

void KeReleaseSpinLock(KSpinLock *lock, KIrql old)
{
    KI_CHECK(KeIsSpinLockHeld(lock));
    ForgetLock(lock);
    __atomic_store_n(&lock->Value, 0, __ATOMIC_RELEASE);
    if (old != PassiveLevel || KiGetIrql() != DispatchLevel) {
        KeLowerIrql(old);
        return;
    }
    KiSetIrql(PassiveLevel);
    if (KiIsWorkPending())
        KiDispatchPendingWork();
}

bool KeTryLockInInterrupt(KSpinLock *lock)
{
    KI_CHECK(KiGetIrql() == HighLevel);
    return KiTrySpinLock(lock);
}

void KeUnlockInInterrupt(KSpinLock *lock)
{
    __atomic_store_n(&lock->Value, 0, __ATOMIC_RELEASE);
}

bool KeIsSpinLockHeld(const KSpinLock *lock)
{
    return __atomic_load_n(&lock->Value, __ATOMIC_RELAXED) == KeGetCurrentProcessorNumber() + 1;
}
