// dpc.c - deferred procedure calls: the part of an interrupt that may take time or wake threads.
// They run in order at DispatchLevel on the processor that queued them, as soon as its level drops.
// SPDX-License-Identifier: MIT
#include "ki.h"

void KeInitializeDpc(KDpc *dpc, KDpcRoutine *routine, void *context)
{
    *dpc = (KDpc){.Routine = routine, .Context = context};
}

bool KeQueueDpc(KDpc *dpc)
{
    if (__atomic_exchange_n(&dpc->Queued, true, __ATOMIC_ACQ_REL))
        return false;
    bool enabled = HalSaveInterrupts();
    KPrcb *prcb = KiGetPrcb();
    RtlInsertTail(&prcb->DpcQueue, &dpc->Link);
    prcb->Hal.PendingWork = 1;
    HalRestoreInterrupts(enabled);
    if (KiGetIrql() == PassiveLevel)
        KiDispatchPendingWork();
    return true;
}

KE_TRACER static void NoteDpc(KDpcRoutine *routine)
{
    KeTrace(TraceDpcBegin, 0, KeHideSlide((uint64_t)routine), 0);
}

KE_TRACER static void NoteDpcEnd(void)
{
    KeTrace(TraceDpcEnd, 0, 0, 0);
}

void KiRunDpcs(KPrcb *prcb)
{
    for (;;) {
        HalDisableInterrupts();
        if (RtlIsListEmpty(&prcb->DpcQueue))
            break;
        KDpc *dpc = RTL_CONTAINER_OF(prcb->DpcQueue.Next, KDpc, Link);
        RtlRemoveEntry(&dpc->Link);
        KDpcRoutine *routine = dpc->Routine;
        void *context = dpc->Context;
        __atomic_store_n(&dpc->Queued, false,
                         __ATOMIC_RELEASE); // it may be queued again, or freed by its routine
        prcb->Counters.Dpcs++;
        HalEnableInterrupts();
        if (KeIsTracing(TraceInterrupts))
            NoteDpc(routine);
        routine(context);
        if (KeIsTracing(TraceInterrupts))
            NoteDpcEnd();
    }
    HalEnableInterrupts();
}
