// wait.c - waiting, and what ends it.
//
// A dispatcher object is a signal count and a list of wait blocks, one per waiting thread, which
// lie on those threads' stacks. Signalling walks the list in order of arrival and hands the signal
// over (an auto-reset event, semaphore or mutex never becomes visibly free in between), so that no
// waiter can be overtaken. A wait for all takes its objects together or not at all. Key waits queue
// the thread itself in a hash table. Everything here is guarded by KiDispatcherLock.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define KEY_BUCKETS 64

static struct {
    ListEntry Threads;         // of KThread.KeyLink
    volatile uint32_t Waiters; // atomic: threads in it, or about to look whether they shall wait
} KeyBuckets[KEY_BUCKETS];

void KiInitializeWaits(void)
{
    for (size_t i = 0; i < KEY_BUCKETS; i++)
        RtlInitializeList(&KeyBuckets[i].Threads);
}

static bool IsSignalled(const KDispatcherHeader *header, const KThread *thread)
{
    if (header->Signal > 0)
        return true;
    if (header->Kind == KObjectMutex)
        return RTL_CONTAINER_OF(header, KMutex, Header)->Owner == thread;
    if (header->Kind != KObjectMutant)
        return false;
    const KMutant *mutant = RTL_CONTAINER_OF(header, KMutant, Header);
    return mutant->Owner == thread && mutant->Recursion < UINT32_MAX;
}

// The thread's wait takes its share of a signalled object. StatusSuccess or StatusAbandoned.
static Status Consume(KDispatcherHeader *header, KThread *thread)
{
    switch (header->Kind) {
    case KObjectEventAuto:
        header->Signal = 0;
        break;
    case KObjectSemaphore:
        header->Signal--;
        break;
    case KObjectMutex: {
        KMutex *mutex = RTL_CONTAINER_OF(header, KMutex, Header);
        header->Signal = 0;
        mutex->Owner = thread;
        mutex->Recursion++;
        break;
    }
    case KObjectMutant:
        return KiTakeMutant(RTL_CONTAINER_OF(header, KMutant, Header), thread);
    case KObjectTimer:
        KiConsumeTimer(RTL_CONTAINER_OF(header, KTimer, Header));
        break;
    case KObjectEventManual:
    case KObjectThread:
    case KObjectProcess:
        break;
    }
    return StatusSuccess;
}

// All objects of a wait, or none: StatusWouldBlock.
static Status ConsumeAll(KThread *thread)
{
    for (size_t i = 0; i < thread->WaitCount; i++)
        if (!IsSignalled(thread->WaitBlocks[i].Object, thread))
            return StatusWouldBlock;
    Status status = StatusSuccess;
    for (size_t i = 0; i < thread->WaitCount; i++)
        if (Consume(thread->WaitBlocks[i].Object, thread) == StatusAbandoned)
            status = StatusAbandoned;
    return status;
}

static void Boost(KThread *thread)
{
    if (thread->FpuArea == nullptr || thread->BasePriority > KePriorityUserHigh)
        return;
    uint8_t lifted = (uint8_t)RTL_MIN(thread->BasePriority + KI_PRIORITY_BOOST, KePriorityUserHigh);
    thread->Priority = RTL_MAX(thread->Priority, lifted);
}

void KiEndWait(KThread *thread, Status status, size_t index)
{
    for (size_t i = 0; i < thread->WaitCount; i++)
        RtlRemoveEntry(&thread->WaitBlocks[i].Link);
    RtlRemoveEntry(&thread->KeyLink);
    if (thread->TimeOut.Armed)
        KiDisarmTimerNode(&thread->TimeOut);
    thread->WaitCount = 0;
    thread->WaitStatus = status;
    thread->WaitIndex = index;
    Boost(thread);
    KiReadyThread(thread, false);
}

void KiSignalObject(KDispatcherHeader *header)
{
    ListEntry *link = header->WaitList.Next;
    while (link != &header->WaitList && header->Signal > 0) {
        KWaitBlock *block = RTL_CONTAINER_OF(link, KWaitBlock, Link);
        KThread *thread = block->Thread;
        Status status = thread->WaitAll ? ConsumeAll(thread) : Consume(header, thread);
        if (status != StatusWouldBlock) {
            KiEndWait(thread, status, block->Index);
            link = header->WaitList.Next; // the thread may have waited here twice
        } else {
            link = link->Next;
        }
    }
}

static void TimedOut(KTimerNode *node)
{
    KiEndWait(RTL_CONTAINER_OF(node, KThread, TimeOut), StatusTimeout, 0);
}

Status KiBlock(KThread *thread, KWaitMode mode, uint64_t timeout)
{
    KI_CHECK(thread != KiGetPrcb()->IdleThread);
    if (mode == UserWait && thread->Terminating) {
        for (size_t i = 0; i < thread->WaitCount; i++)
            RtlRemoveEntry(&thread->WaitBlocks[i].Link);
        RtlRemoveEntry(&thread->KeyLink);
        thread->WaitCount = 0;
        return StatusTerminating;
    }
    thread->WaitMode = mode;
    thread->State = ThreadWaiting;
    if (timeout != KE_INFINITE) {
        uint64_t now = KeQueryTime();
        thread->TimeOut.Expire = TimedOut;
        KiArmTimerNode(&thread->TimeOut,
                       timeout < KE_INFINITE - now ? now + timeout : KE_INFINITE - 1);
    }
    KiSwitchAway(thread);
    return thread->WaitStatus;
}

// Who waits for a mutex lends its priority to the owner, until the owner releases a mutex: else a
// thread of middle priority that computes could keep both of them waiting for ever.
void KiLendPriority(const KMutex *mutex)
{
    KThread *owner = mutex->Owner;
    uint8_t highest = 0;
    RTL_FOR_EACH (link, &mutex->Header.WaitList) {
        const KWaitBlock *block = RTL_CONTAINER_OF(link, KWaitBlock, Link);
        highest = RTL_MAX(highest, block->Thread->Priority);
    }
    if (owner == nullptr || highest <= owner->Priority)
        return;
    owner->Lent = true;
    KiSetThreadPriority(owner, highest);
}

static Status WaitForObjects(size_t count, void *const objects[], KWaitBlock blocks[], bool waitAll,
                             KWaitMode mode, uint64_t timeout, size_t *index)
{
    KE_ASSERT(KiGetIrql() == PassiveLevel);
    KThread *thread = HalGetCurrentThread();
    KIrql old = KiLockDispatcher();
    Status status = StatusTimeout;
    thread->WaitIndex = 0;
    thread->WaitBlocks = blocks;
    thread->WaitAll = waitAll;
    for (size_t i = 0; i < count; i++) {
        KDispatcherHeader *header = objects[i];
        if (!waitAll && IsSignalled(header, thread)) {
            status = Consume(header, thread);
            thread->WaitIndex = i;
            goto done;
        }
        blocks[i] = (KWaitBlock){.Thread = thread, .Object = header, .Index = i};
    }
    thread->WaitCount = count;
    if (waitAll)
        status = ConsumeAll(thread);
    if (waitAll && status != StatusWouldBlock)
        goto done;
    status = StatusTimeout;
    if (timeout != 0) {
        for (size_t i = 0; i < count; i++) {
            RtlInsertTail(&blocks[i].Object->WaitList, &blocks[i].Link);
            if (blocks[i].Object->Kind == KObjectMutex)
                KiLendPriority(RTL_CONTAINER_OF(blocks[i].Object, KMutex, Header));
        }
        status = KiBlock(thread, mode, timeout);
    } else if (mode == UserWait && thread->Terminating)
        status = StatusTerminating;
done:
    thread->WaitCount = 0;
    if (index != nullptr && (status == StatusSuccess || status == StatusAbandoned))
        *index = thread->WaitIndex;
    KiUnlockDispatcher(old);
    return status;
}

Status KeWaitForObject(void *object, KWaitMode mode, uint64_t timeout)
{
    KWaitBlock block;
    return WaitForObjects(1, &object, &block, false, mode, timeout, nullptr);
}

Status KeWaitForMultipleObjects(size_t count, void *const objects[], bool waitAll, KWaitMode mode,
                                uint64_t timeout, size_t *index)
{
    KWaitBlock blocks[KE_MAXIMUM_WAIT_OBJECTS];
    if (count == 0 || count > KE_MAXIMUM_WAIT_OBJECTS)
        return StatusInvalidParameter;
    return WaitForObjects(count, objects, blocks, waitAll, mode, timeout, index);
}

Status KeDelay(KWaitMode mode, uint64_t time)
{
    KE_ASSERT(KiGetIrql() == PassiveLevel);
    if (time == 0) {
        KeYield();
        return StatusSuccess;
    }
    KThread *thread = HalGetCurrentThread();
    KIrql old = KiLockDispatcher();
    Status status = KiBlock(thread, mode, time);
    KiUnlockDispatcher(old);
    return status == StatusTimeout ? StatusSuccess : status;
}

// ---------------------------------------------------------------------------------------- key
// waits

static size_t BucketOf(uint64_t space, uint64_t key)
{
    uint64_t hash = (space ^ key >> 2) * 0x9E3779B97F4A7C15ull; // Fibonacci hashing
    return hash >> 58;
}
static_assert(KEY_BUCKETS == 1 << (64 - 58), "BucketOf");

Status KeWaitOnKey(uint64_t space, uint64_t key, bool (*check)(void *), void *context,
                   KWaitMode mode, uint64_t timeout)
{
    KE_ASSERT(KiGetIrql() == PassiveLevel);
    KThread *thread = HalGetCurrentThread();
    Status status = StatusTimeout;
    size_t bucket = BucketOf(space, key);
    KIrql old = KiLockDispatcher();
    __atomic_add_fetch(&KeyBuckets[bucket].Waiters, 1, __ATOMIC_SEQ_CST); // before the check
    if (!check(context)) {
        status = StatusWouldBlock;
    } else if (timeout != 0) {
        thread->KeySpace = space;
        thread->Key = key;
        RtlInsertTail(&KeyBuckets[bucket].Threads, &thread->KeyLink);
        status = KiBlock(thread, mode, timeout);
    }
    __atomic_sub_fetch(&KeyBuckets[bucket].Waiters, 1, __ATOMIC_RELAXED);
    KiUnlockDispatcher(old);
    return status;
}

__attribute__((noinline)) static uint32_t WakeThreads(ListEntry *bucket, uint64_t space,
                                                      uint64_t key, uint32_t count)
{
    uint32_t woken = 0;
    KIrql old = KiLockDispatcher();
    for (ListEntry *link = bucket->Next; link != bucket && woken < count;) {
        KThread *thread = RTL_CONTAINER_OF(link, KThread, KeyLink);
        link = link->Next;
        if (thread->KeySpace == space && thread->Key == key) {
            KiEndWait(thread, StatusSuccess, 0);
            woken++;
        }
    }
    KiUnlockDispatcher(old);
    return woken;
}

// Who changed what `check` looks at does not see a waiter only if that waiter's check sees the
// change: each writes first and reads then, with a fence between.
uint32_t KeWakeKey(uint64_t space, uint64_t key, uint32_t count)
{
    size_t bucket = BucketOf(space, key);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&KeyBuckets[bucket].Waiters, __ATOMIC_RELAXED) == 0)
        return 0;
    return WakeThreads(&KeyBuckets[bucket].Threads, space, key, count);
}
