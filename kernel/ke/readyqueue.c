// readyqueue.c - one processor's ready threads: a list per priority and a bit per list that is not
// empty, so that every operation takes constant time. Pure: the caller holds whatever lock guards
// the queue.
// SPDX-License-Identifier: MIT
#include "ki.h"

void KiInitializeReadyQueue(KReadyQueue *queue)
{
    for (size_t i = 0; i < KE_PRIORITY_LEVELS; i++)
        RtlInitializeList(&queue->Lists[i]);
    queue->Mask = 0;
    queue->Count = 0;
}

void KiInsertReady(KReadyQueue *queue, ListEntry *link, uint8_t priority, bool front)
{
    if (front)
        RtlInsertHead(&queue->Lists[priority], link);
    else
        RtlInsertTail(&queue->Lists[priority], link);
    queue->Mask |= 1u << priority;
    queue->Count++;
}

void KiRemoveReady(KReadyQueue *queue, ListEntry *link, uint8_t priority)
{
    RtlRemoveEntry(link);
    if (RtlIsListEmpty(&queue->Lists[priority]))
        queue->Mask &= ~(1u << priority);
    queue->Count--;
}

int KiHighestReady(const KReadyQueue *queue)
{
    return queue->Mask == 0 ? -1 : 31 - __builtin_clz(queue->Mask);
}

// The first of a list that is not empty.
ListEntry *KiTakeReady(KReadyQueue *queue, uint8_t priority)
{
    ListEntry *link = queue->Lists[priority].Next;
    KiRemoveReady(queue, link, priority);
    return link;
}
