// objects.c - the things to wait for: events, semaphores, mutexes, ended processes.
// SPDX-License-Identifier: MIT
#include "ki.h"

static void InitializeHeader(KDispatcherHeader *header, KObjectKind kind, int32_t signal)
{
    header->Kind = kind;
    header->Signal = signal;
    RtlInitializeList(&header->WaitList);
}

void KeInitializeEvent(KEvent *event, bool manualReset, bool set)
{
    InitializeHeader(&event->Header, manualReset ? KObjectEventManual : KObjectEventAuto, set);
}

void KeSetEvent(KEvent *event)
{
    KIrql old = KiLockDispatcher();
    event->Header.Signal = 1;
    KiSignalObject(&event->Header);
    KiUnlockDispatcher(old);
}

void KeResetEvent(KEvent *event)
{
    if (!KeReadEvent(event))
        return; // as if the reset had come just before whatever sets it now
    KIrql old = KiLockDispatcher();
    event->Header.Signal = 0;
    KiUnlockDispatcher(old);
}

bool KeReadEvent(const KEvent *event)
{
    return *(volatile const int32_t *)&event->Header.Signal > 0;
}

void KeInitializeSemaphore(KSemaphore *semaphore, int32_t count, int32_t limit)
{
    InitializeHeader(&semaphore->Header, KObjectSemaphore, count);
    semaphore->Limit = limit;
}

Status KeReleaseSemaphore(KSemaphore *semaphore, int32_t count, int32_t *previous)
{
    if (count <= 0)
        return StatusInvalidParameter;
    Status status = StatusSuccess;
    KIrql old = KiLockDispatcher();
    if (previous != nullptr)
        *previous = semaphore->Header.Signal;
    if (count > semaphore->Limit - semaphore->Header.Signal) {
        status = StatusLimitReached;
    } else {
        semaphore->Header.Signal += count;
        KiSignalObject(&semaphore->Header);
    }
    KiUnlockDispatcher(old);
    return status;
}

// ----------------------------------------------------------------------------------------- mutexes

void KeInitializeMutex(KMutex *mutex, KLockRank rank)
{
    InitializeHeader(&mutex->Header, KObjectMutex, 1);
    mutex->Owner = nullptr;
    mutex->Recursion = 0;
    mutex->Rank = rank;
}

#ifdef METALOS_CHECKED
static void RecordMutex(KThread *thread, const KMutex *mutex)
{
    uint32_t held = thread->HeldMutexCount;
    if (held != 0 && thread->HeldMutexRanks[held - 1] > mutex->Rank)
        KeBugCheck(BugCheckLockRank, (uint64_t)mutex, mutex->Rank, 0,
                   thread->HeldMutexRanks[held - 1]);
    KE_ASSERT(held < KE_MAXIMUM_HELD_MUTEXES);
    thread->HeldMutexRanks[thread->HeldMutexCount++] = mutex->Rank;
}

static void ForgetMutex(KThread *thread, const KMutex *mutex)
{
    for (uint32_t i = thread->HeldMutexCount; i-- > 0;) {
        if (thread->HeldMutexRanks[i] != mutex->Rank)
            continue;
        thread->HeldMutexCount--;
        for (uint32_t j = i; j < thread->HeldMutexCount; j++)
            thread->HeldMutexRanks[j] = thread->HeldMutexRanks[j + 1];
        return;
    }
}
#else
static inline void RecordMutex(KThread *thread, const KMutex *mutex) {}
static inline void ForgetMutex(KThread *thread, const KMutex *mutex) {}
#endif

void KeAcquireMutex(KMutex *mutex)
{
    KThread *thread = HalGetCurrentThread();
    if (mutex->Owner != thread)
        RecordMutex(thread, mutex);
    Status status = KeWaitForObject(mutex, KernelWait, KE_INFINITE);
    KE_ASSERT(status == StatusSuccess);
}

void KeReleaseMutex(KMutex *mutex)
{
    KThread *thread = HalGetCurrentThread();
    KE_ASSERT(mutex->Owner == thread);
    KIrql old = KiLockDispatcher();
    if (--mutex->Recursion == 0) {
        ForgetMutex(thread, mutex);
        mutex->Owner = nullptr;
        mutex->Header.Signal = 1;
        if (thread->Lent) {
            thread->Lent = false;
            KiSetThreadPriority(thread, thread->BasePriority);
        }
        KiSignalObject(&mutex->Header);
        KiLendPriority(mutex);
    }
    KiUnlockDispatcher(old);
}

// ----------------------------------------------------------------------------------------- mutants

void KeInitializeMutant(KMutant *mutant, bool owned)
{
    InitializeHeader(&mutant->Header, KObjectMutant, 1);
    mutant->Owner = nullptr;
    mutant->Recursion = 0;
    mutant->Abandoned = false;
    RtlInitializeList(&mutant->OwnedLink);
    if (!owned)
        return;
    KIrql old = KiLockDispatcher();
    (void)!KiTakeMutant(mutant, HalGetCurrentThread()); // nobody can have abandoned it
    KiUnlockDispatcher(old);
}

// For a wait that found it free, or the thread its owner. StatusSuccess, StatusAbandoned.
Status KiTakeMutant(KMutant *mutant, KThread *thread)
{
    if (mutant->Owner == nullptr)
        RtlInsertTail(&thread->Mutants, &mutant->OwnedLink);
    mutant->Header.Signal = 0;
    mutant->Owner = thread;
    mutant->Recursion++;
    Status status = mutant->Abandoned ? StatusAbandoned : StatusSuccess;
    mutant->Abandoned = false;
    return status;
}

static void FreeMutant(KMutant *mutant)
{
    RtlRemoveEntry(&mutant->OwnedLink);
    mutant->Owner = nullptr;
    mutant->Recursion = 0;
    mutant->Header.Signal = 1;
    KiSignalObject(&mutant->Header);
}

Status KeReleaseMutant(KMutant *mutant)
{
    KIrql old = KiLockDispatcher();
    Status status = mutant->Owner == HalGetCurrentThread() ? StatusSuccess : StatusNotOwner;
    if (status == StatusSuccess && --mutant->Recursion == 0)
        FreeMutant(mutant);
    KiUnlockDispatcher(old);
    return status;
}

void KeRetireMutant(KMutant *mutant)
{
    KIrql old = KiLockDispatcher();
    RtlRemoveEntry(&mutant->OwnedLink);
    mutant->Owner = nullptr;
    KiUnlockDispatcher(old);
}

// The thread ends. The dispatcher lock is held.
void KiAbandonMutants(KThread *thread)
{
    while (!RtlIsListEmpty(&thread->Mutants)) {
        KMutant *mutant = RTL_CONTAINER_OF(thread->Mutants.Next, KMutant, OwnedLink);
        mutant->Abandoned = true;
        FreeMutant(mutant);
    }
}

// --------------------------------------------------------------------------------------- processes

void KeInitializeProcess(KProcess *process, uint64_t pageTableRoot)
{
    InitializeHeader(&process->Header, KObjectProcess, 0);
    process->PageTableRoot = pageTableRoot;
    KiInheritFailure(process);
}

void KeSignalForever(KDispatcherHeader *header)
{
    KIrql old = KiLockDispatcher();
    header->Signal = 1;
    KiSignalObject(header);
    KiUnlockDispatcher(old);
}
