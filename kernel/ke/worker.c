// worker.c - two system threads: the worker, which runs queued routines at PassiveLevel, and the
// reaper, which cleans up ended threads. Their queues are guarded by the dispatcher lock.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define STACK_SIZE 32768u

typedef struct Server {
    KThread Thread;
    ListEntry Queue; // [d]
    KEvent Filled;
    uint8_t Stack[STACK_SIZE] __attribute__((aligned(16)));
} Server;

static Server Worker, Reaper;

// Waits until the queue has an entry and takes it.
static ListEntry *TakeNext(Server *server)
{
    for (;;) {
        ListEntry *link = nullptr;
        KIrql old = KiLockDispatcher();
        if (!RtlIsListEmpty(&server->Queue)) {
            link = server->Queue.Next;
            RtlRemoveEntry(link);
        }
        KiUnlockDispatcher(old);
        if (link != nullptr)
            return link;
        (void)KeWaitForObject(&server->Filled, KernelWait, KE_INFINITE);
    }
}

static void Add(Server *server, ListEntry *link) // dispatcher lock held
{
    RtlInsertTail(&server->Queue, link);
    server->Filled.Header.Signal = 1;
    KiSignalObject(&server->Filled.Header);
}

bool KeQueueWorkItem(KWorkItem *item)
{
    if (__atomic_exchange_n(&item->Queued, true, __ATOMIC_ACQ_REL))
        return false;
    KIrql old = KiLockDispatcher();
    Add(&Worker, &item->Link);
    KiUnlockDispatcher(old);
    return true;
}

void KiQueueForReaper(KThread *thread)
{
    Add(&Reaper, &thread->ReadyLink);
}

static void Work(void *context)
{
    for (;;) {
        KWorkItem *item = RTL_CONTAINER_OF(TakeNext(&Worker), KWorkItem, Link);
        void (*routine)(void *) = item->Routine;
        void *argument = item->Context;
        __atomic_store_n(&item->Queued, false,
                         __ATOMIC_RELEASE); // may be queued again, or freed by its routine
        routine(argument);
    }
}

static void Reap(void *context)
{
    for (;;) {
        KThread *thread = RTL_CONTAINER_OF(TakeNext(&Reaper), KThread, ReadyLink);
        if (thread->Cleanup != nullptr)
            thread->Cleanup(thread);
    }
}

static void Start(Server *server, const char *name, void (*entry)(void *))
{
    RtlInitializeList(&server->Queue);
    KeInitializeEvent(&server->Filled, false, false);
    KThreadParameters parameters = {
        .Entry = entry,
        .KernelStackLimit = server->Stack,
        .KernelStackSize = STACK_SIZE,
        .Priority = KePrioritySystem,
        .Name = name,
    };
    Status status = KeInitializeThread(&server->Thread, &parameters, nullptr);
    KE_ASSERT(status == StatusSuccess);
    KeStartThread(&server->Thread);
}

void KeStartSystemThreads(void)
{
    KiStartWatch(KiGetPrcb());
    Start(&Worker, "worker", Work);
    Start(&Reaper, "reaper", Reap);
}
