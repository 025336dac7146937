// lock.c - locks in user memory: the slow half of RtLock, and SRW locks, critical sections and
// condition variables for programs.
//
// All are words that change by atomic instructions; the kernel comes in only when a thread has to
// sleep, in WaitOnAddress, or when a word says that somebody sleeps, in WakeByAddress. Who goes to
// sleep first leaves a mark in the word; a change of the word between the mark and the sleep makes
// WaitOnAddress return at once, so no wake-up is lost. Wake-ups may come for nothing: every sleep
// is in a loop.
// SPDX-License-Identifier: MIT
#include "rt.h"

void RtWaitForLock(RtLock *lock)
{
    while (__atomic_exchange_n(&lock->State, 2, __ATOMIC_ACQUIRE) != 0)
        (void)SysWaitOnAddress(&lock->State, 2, InfiniteTimeout);
}

void RtWakeLock(RtLock *lock)
{
    (void)SysWakeByAddress(&lock->State, 1);
}

// ---- SRW locks. State counts the sharers, or says that there is an owner; two more bits say that
// somebody sleeps, and that one of them wants to be the owner, which keeps new sharers out. Whoever
// frees the lock clears both bits and wakes everybody: those that do not get it set them again.
constexpr uint32_t SrwExclusive = 1u << 31, SrwSleepers = 1u << 30, SrwOwnerWaits = 1u << 29;
constexpr uint32_t SrwSharers = SrwOwnerWaits - 1;

static bool Change(volatile uint32_t *word, uint32_t *from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, from, to, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

// Marks that the caller sleeps, unless the state has changed, and does. wakeups: as it was before
// the state was looked at.
static void SleepOnSrwLock(SrwLock *lock, uint32_t state, uint32_t marks, uint32_t wakeups)
{
    if (Change(&lock->State, &state, state | marks))
        (void)SysWaitOnAddress(&lock->Wakeups, wakeups, InfiniteTimeout);
}

static void WakeSrwLock(SrwLock *lock)
{
    __atomic_fetch_add(&lock->Wakeups, 1, __ATOMIC_RELEASE);
    (void)SysWakeByAddress(&lock->Wakeups, UINT32_MAX);
}

void AcquireSrwLockExclusive(SrwLock *lock)
{
    for (;;) {
        uint32_t wakeups = __atomic_load_n(&lock->Wakeups, __ATOMIC_ACQUIRE);
        uint32_t state = __atomic_load_n(&lock->State, __ATOMIC_ACQUIRE);
        if (state & (SrwExclusive | SrwSharers))
            SleepOnSrwLock(lock, state, SrwSleepers | SrwOwnerWaits, wakeups);
        else if (Change(&lock->State, &state, state | SrwExclusive))
            return;
    }
}

bool TryAcquireSrwLockExclusive(SrwLock *lock)
{
    uint32_t state = __atomic_load_n(&lock->State, __ATOMIC_RELAXED);
    return !(state & (SrwExclusive | SrwSharers)) &&
           Change(&lock->State, &state, state | SrwExclusive);
}

void ReleaseSrwLockExclusive(SrwLock *lock)
{
    if (__atomic_exchange_n(&lock->State, 0, __ATOMIC_RELEASE) & SrwSleepers)
        WakeSrwLock(lock);
}

static bool MayShare(uint32_t state)
{
    return !(state & (SrwExclusive | SrwOwnerWaits)) && (state & SrwSharers) != SrwSharers;
}

void AcquireSrwLockShared(SrwLock *lock)
{
    for (;;) {
        uint32_t wakeups = __atomic_load_n(&lock->Wakeups, __ATOMIC_ACQUIRE);
        uint32_t state = __atomic_load_n(&lock->State, __ATOMIC_ACQUIRE);
        if (!MayShare(state))
            SleepOnSrwLock(lock, state, SrwSleepers, wakeups);
        else if (Change(&lock->State, &state, state + 1))
            return;
    }
}

bool TryAcquireSrwLockShared(SrwLock *lock)
{
    uint32_t state = __atomic_load_n(&lock->State, __ATOMIC_RELAXED);
    while (MayShare(state))
        if (Change(&lock->State, &state, state + 1))
            return true;
    return false;
}

void ReleaseSrwLockShared(SrwLock *lock)
{
    uint32_t state = __atomic_sub_fetch(&lock->State, 1, __ATOMIC_RELEASE);
    while (!(state & (SrwExclusive | SrwSharers)) && (state & SrwSleepers)) {
        if (__atomic_compare_exchange_n(&lock->State, &state, 0, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
            WakeSrwLock(lock);
            return;
        }
    }
}

// ---- critical sections
static RtLock *LockOf(CriticalSection *section)
{
    return (RtLock *)&section->State;
}

// Whether the caller owns it already; then one level deeper. Only the owner itself can find its own
// id there.
static bool EnterAgain(CriticalSection *section, uint32_t self)
{
    if (__atomic_load_n(&section->Owner, __ATOMIC_RELAXED) != self)
        return false;
    section->Depth++;
    return true;
}

static void Own(CriticalSection *section, uint32_t self)
{
    __atomic_store_n(&section->Owner, self, __ATOMIC_RELAXED);
    section->Depth = 1;
}

void EnterCriticalSection(CriticalSection *section)
{
    uint32_t self = GetCurrentThreadId();
    if (EnterAgain(section, self))
        return;
    RtAcquire(LockOf(section));
    Own(section, self);
}

bool TryEnterCriticalSection(CriticalSection *section)
{
    uint32_t self = GetCurrentThreadId();
    if (EnterAgain(section, self))
        return true;
    if (!RtTryAcquire(LockOf(section)))
        return false;
    Own(section, self);
    return true;
}

void LeaveCriticalSection(CriticalSection *section)
{
    if (--section->Depth != 0)
        return;
    __atomic_store_n(&section->Owner, 0, __ATOMIC_RELAXED);
    RtRelease(LockOf(section));
}

// ---- condition variables. Waiters is raised while the lock is held, so who changes the condition
// under the lock sees it.
static uint32_t BeginSleep(ConditionVariable *condition)
{
    __atomic_fetch_add(&condition->Waiters, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&condition->Sequence, __ATOMIC_SEQ_CST);
}

static Status EndSleep(ConditionVariable *condition, uint32_t sequence, uint32_t timeout)
{
    Status status = SysWaitOnAddress(&condition->Sequence, sequence, timeout);
    __atomic_fetch_sub(&condition->Waiters, 1, __ATOMIC_SEQ_CST);
    return status == StatusTimeout ? StatusTimeout : StatusSuccess;
}

Status SleepConditionVariable(ConditionVariable *condition, CriticalSection *section,
                              uint32_t timeout)
{
    uint32_t sequence = BeginSleep(condition);
    LeaveCriticalSection(section);
    Status status = EndSleep(condition, sequence, timeout);
    EnterCriticalSection(section);
    return status;
}

Status SleepConditionVariableSrw(ConditionVariable *condition, SrwLock *lock, bool shared,
                                 uint32_t timeout)
{
    uint32_t sequence = BeginSleep(condition);
    if (shared)
        ReleaseSrwLockShared(lock);
    else
        ReleaseSrwLockExclusive(lock);
    Status status = EndSleep(condition, sequence, timeout);
    if (shared)
        AcquireSrwLockShared(lock);
    else
        AcquireSrwLockExclusive(lock);
    return status;
}

static void Wake(ConditionVariable *condition, uint32_t count)
{
    if (__atomic_load_n(&condition->Waiters, __ATOMIC_SEQ_CST) == 0)
        return;
    __atomic_fetch_add(&condition->Sequence, 1, __ATOMIC_SEQ_CST);
    (void)SysWakeByAddress(&condition->Sequence, count);
}

void WakeConditionVariable(ConditionVariable *condition)
{
    Wake(condition, 1);
}

void WakeAllConditionVariable(ConditionVariable *condition)
{
    Wake(condition, UINT32_MAX);
}
