// queue.c - the bounded queue of one process's messages.
// SPDX-License-Identifier: MIT
#include "desk.h"

static uint32_t Place(const WiQueue *queue, uint32_t index)
{
    return (queue->Head + index) % WI_QUEUE_CAPACITY;
}

static void RemoveAt(WiQueue *queue, uint32_t index)
{
    for (uint32_t i = index; i + 1 < queue->Count; i++)
        queue->Items[Place(queue, i)] = queue->Items[Place(queue, i + 1)];
    queue->Count--;
}

static void MakeRoom(WiQueue *queue)
{
    uint32_t victim = 0;
    for (uint32_t i = 0; i < queue->Count; i++)
        if (queue->Items[Place(queue, i)].Message.Type == MessageMouseMove) {
            victim = i;
            break;
        }
    RemoveAt(queue, victim);
    queue->Dropped++;
}

// Whether the message became part of one that waits already.
static bool Join(WiQueue *queue, const Message *message, bool relative)
{
    if (queue->Count == 0)
        return false;
    if (message->Type == MessageMouseMove) {
        uint32_t last = Place(queue, queue->Count - 1);
        Message *old = &queue->Items[last].Message;
        if (old->Type != MessageMouseMove || old->Window != message->Window ||
            queue->Items[last].Relative != relative)
            return false;
        int32_t x = relative ? old->Mouse.X : 0, y = relative ? old->Mouse.Y : 0;
        *old = *message;
        if (__builtin_add_overflow(old->Mouse.X, x, &old->Mouse.X) ||
            __builtin_add_overflow(old->Mouse.Y, y, &old->Mouse.Y))
            *old = *message;
        return true;
    }
    if (message->Type == MessageClose || message->Type == MessagePaint ||
        message->Type == MessageResize)
        for (uint32_t i = 0; i < queue->Count; i++) {
            Message *old = &queue->Items[Place(queue, i)].Message;
            if (old->Type != message->Type || old->Window != message->Window)
                continue;
            if (message->Type == MessageResize)
                *old = *message; // the latest size
            return true;
        }
    return false;
}

void WiQueuePush(WiQueue *queue, const Message *message, bool relative)
{
    if (Join(queue, message, relative))
        return;
    if (queue->Count == WI_QUEUE_CAPACITY)
        MakeRoom(queue);
    uint32_t place = Place(queue, queue->Count++);
    queue->Items[place].Message = *message;
    queue->Items[place].Relative = relative;
}

bool WiQueuePop(WiQueue *queue, Message *message)
{
    if (queue->Count == 0)
        return false;
    *message = queue->Items[queue->Head].Message;
    queue->Head = Place(queue, 1);
    queue->Count--;
    return true;
}

void WiQueuePurge(WiQueue *queue, Handle window)
{
    for (uint32_t i = 0; i < queue->Count;)
        if (queue->Items[Place(queue, i)].Message.Window == window)
            RemoveAt(queue, i);
        else
            i++;
}
