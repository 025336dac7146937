// counters.c - what the subsystems count, in one place.
//
// Each subsystem keeps its counters where and how it likes and registers, once, a function that
// tells them by name. Who wants to know asks all of them: ListCounters, and so counters.exe. A
// number costs nothing until it is asked for.
//
// Locking: sources are registered by the start-up alone, and stay.
// SPDX-License-Identifier: MIT
#include "ki.h"

static KCounterSource *first, **end = &first;

void KeRegisterCounters(KCounterSource *source)
{
    source->Next = nullptr;
    __atomic_store_n(end, source, __ATOMIC_RELEASE);
    end = &source->Next;
}

void KeReadCounters(KCounterSink *sink)
{
    const KCounterSource *source = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
    for (; source != nullptr; source = __atomic_load_n(&source->Next, __ATOMIC_ACQUIRE)) {
        sink->Subsystem = source->Subsystem;
        source->Tell(sink);
    }
}

// ---- ke's own: of all processors together

static void TellCounters(KCounterSink *sink)
{
    KProcessorCounters sum = {};
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        const KProcessorCounters *counters = &KeGetPrcb(i)->Counters;
        sum.ContextSwitches += counters->ContextSwitches;
        sum.Interrupts += counters->Interrupts;
        sum.TimerInterrupts += counters->TimerInterrupts;
        sum.UnexpectedInterrupts += counters->UnexpectedInterrupts;
        sum.Dpcs += counters->Dpcs;
        sum.TimersExpired += counters->TimersExpired;
        sum.Flushes += counters->Flushes;
        sum.Steals += counters->Steals;
    }
    KeTellCounter(sink, "processors", KeGetProcessorCount());
    KeTellCounter(sink, "context switches", sum.ContextSwitches);
    KeTellCounter(sink, "threads stolen", sum.Steals);
    KeTellCounter(sink, "interrupts", sum.Interrupts);
    KeTellCounter(sink, "clock interrupts", sum.TimerInterrupts);
    KeTellCounter(sink, "unexpected interrupts", sum.UnexpectedInterrupts);
    KeTellCounter(sink, "deferred calls", sum.Dpcs);
    KeTellCounter(sink, "timers expired", sum.TimersExpired);
    KeTellCounter(sink, "translations flushed", sum.Flushes);
}

void KiInitializeCounters(void)
{
    static KCounterSource source = {.Subsystem = "ke", .Tell = TellCounters};
    KeRegisterCounters(&source);
}
