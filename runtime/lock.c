// The slow half of RtLock.
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
