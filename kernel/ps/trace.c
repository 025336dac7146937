// trace.c - what a trace has to know about processes: their names, threads and modules.
// SPDX-License-Identifier: MIT
#include "psi.h"

void PsiTraceProcess(const PsProcess *process)
{
    if (KeIsTracing(KE_TRACE_ALWAYS))
        KeTraceOf(0, TraceProcess, process->Id, process->ParentId, process->Name);
}

void PsiTraceProcessEnd(const PsProcess *process)
{
    if (KeIsTracing(KE_TRACE_ALWAYS))
        KeTraceOf(0, TraceProcessEnd, process->Id, 0, nullptr);
}

static bool TraceWithModules(PsProcess *process, void *context)
{
    PsiTraceProcess(process);
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RTL_FOR_EACH (entry, &process->Modules) {
        const LdrModule *module = RTL_CONTAINER_OF(entry, LdrModule, Link);
        KeTraceOf(process->Id, TraceModule, module->Base, module->Size, module->Path);
    }
    KeReleaseSpinLock(&process->Lock, old);
    return true;
}

void PsTraceProcesses(void)
{
    KeTraceThreads();
    PsForEachProcess(TraceWithModules, nullptr);
}
