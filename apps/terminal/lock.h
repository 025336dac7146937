// lock.h - a lock between threads: 0 free, 1 held, 2 held and somebody sleeps.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

typedef struct Lock {
    volatile uint32_t State;
} Lock;

static inline void LockAcquire(Lock *lock)
{
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&lock->State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&lock->State, 2, __ATOMIC_ACQUIRE) != 0)
        (void)!WaitOnAddress(&lock->State, 2, InfiniteTimeout); // tried again in any case
}

static inline void LockRelease(Lock *lock)
{
    if (__atomic_exchange_n(&lock->State, 0, __ATOMIC_RELEASE) == 2)
        (void)!WakeByAddress(&lock->State, 1); // nobody may be waiting any more
}
