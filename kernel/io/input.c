// input.c - the queue between input drivers and the window system.
//
// Drivers report at interrupt time into a ring; a DPC wakes the one reader, because an event may
// not be set above DispatchLevel. Motion that follows motion with the same buttons is added to it,
// so a reader that falls behind loses smoothness, not distance. When the ring is full the new event
// is dropped and counted.
// SPDX-License-Identifier: MIT
#include "iop.h"

#define QUEUE_SIZE 512u // events; a power of two

static struct {
    KSpinLock Lock; // guards everything but Ready and Wake; taken under drivers' locks
    IoInputEvent Events[QUEUE_SIZE];
    uint32_t Head, Tail; // free-running; Tail - Head events are waiting
    uint64_t Dropped;
    uint32_t Buttons;    // of the newest mouse event
    bool ButtonsChanged; // the newest event is a press or a release
    KEvent Ready;        // auto-reset: there may be something
    KDpc Wake;
} Queue = {.Lock = KE_SPIN_LOCK_INIT(LockRankInput, "input queue")};

static void WakeReader(void *context)
{
    KeSetEvent(&Queue.Ready);
}

void IopInitializeInput(void)
{
    KeInitializeEvent(&Queue.Ready, false, false);
    KeInitializeDpc(&Queue.Wake, WakeReader, nullptr);
}

// Adds a movement to the newest event, which is one too. A press or release stays an event of its
// own: whoever reads it must find the pointer where it was then.
static bool Merge(IoInputEvent *last, const IoInputEvent *event)
{
    if (Queue.ButtonsChanged || event->Kind == InputKey || last->Kind != event->Kind ||
        last->Buttons != event->Buttons || last->Wheel || event->Wheel)
        return false;
    if (event->Kind == InputMouseAbsolute) {
        last->X = event->X;
        last->Y = event->Y;
    } else {
        last->X = (int32_t)((uint32_t)last->X + (uint32_t)event->X);
        last->Y = (int32_t)((uint32_t)last->Y + (uint32_t)event->Y);
    }
    last->Time = event->Time;
    return true;
}

void IoReportInput(const IoInputEvent *event)
{
    KIrql old = KeAcquireSpinLockRaiseToHigh(&Queue.Lock);
    uint32_t waiting = Queue.Tail - Queue.Head;
    if (!waiting || !Merge(&Queue.Events[(Queue.Tail - 1) % QUEUE_SIZE], event)) {
        if (waiting < QUEUE_SIZE)
            Queue.Events[Queue.Tail++ % QUEUE_SIZE] = *event;
        else
            Queue.Dropped++;
        Queue.ButtonsChanged = event->Kind != InputKey && event->Buttons != Queue.Buttons;
        if (event->Kind != InputKey)
            Queue.Buttons = event->Buttons;
    }
    KeReleaseSpinLock(&Queue.Lock, old);
    KeQueueDpc(&Queue.Wake);
}

static bool Take(IoInputEvent *event)
{
    KIrql old = KeAcquireSpinLockRaiseToHigh(&Queue.Lock);
    bool some = Queue.Head != Queue.Tail;
    if (some)
        *event = Queue.Events[Queue.Head++ % QUEUE_SIZE];
    KeReleaseSpinLock(&Queue.Lock, old);
    return some;
}

Status IoReadInput(IoInputEvent *event, uint64_t timeout)
{
    uint64_t start = timeout && timeout != KE_INFINITE ? KeQueryTime() : 0;
    for (uint64_t left = timeout;;) {
        if (Take(event))
            return StatusSuccess;
        Status status = KeWaitForObject(&Queue.Ready, KernelWait, left);
        if (status != StatusSuccess)
            return Take(event) ? StatusSuccess : status;
        if (timeout != KE_INFINITE) {
            uint64_t passed = timeout ? KeQueryTime() - start : 0;
            left = passed < timeout ? timeout - passed : 0;
        }
    }
}

uint64_t IoGetInputDropped(void)
{
    return Queue.Dropped;
}

static void (*SetLeds)(uint32_t modifiers);

void IoRegisterKeyboardLeds(void (*set)(uint32_t modifiers))
{
    SetLeds = set;
}

void IoSetKeyboardLeds(uint32_t modifiers)
{
    if (SetLeds)
        SetLeds(modifiers);
}
