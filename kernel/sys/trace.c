// trace.c - system calls about traces of the system (ke's trace.c). The rings are a section that
// belongs to the trace object, mapped in the kernel.
// SPDX-License-Identifier: MIT
#include "sysi.h"

enum { RecordsMinimum = 1024, RecordsMaximum = 1 << 20, RecordsPerCall = 32768 };

typedef enum TraceState : uint32_t {
    TracePrepared, // not begun
    TraceRuns,
    TraceEnds, // by one thread
    TraceStopped,
} TraceState;

typedef struct Trace {
    volatile TraceState State; // atomic
    uint32_t Records;          // per ring
    MmSection *Section;
    TraceRecord *Rings; // mapped
    TraceInfo Info;     // once stopped
} Trace;

static void DeleteTrace(void *body);
static ObType TraceType = {
    .Name = "trace",
    .Kind = ObjectTrace,
    .Tag = MM_TAG('S', 'y', 'T', 'r'),
    .DispatcherOffset = OB_NOT_WAITABLE,
    .Delete = DeleteTrace,
};
static volatile bool Busy; // atomic: a trace runs, or ends

static bool Take(Trace *trace, TraceState from, TraceState to)
{
    return __atomic_compare_exchange_n(&trace->State, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

// The caller has taken the trace from TraceRuns to TraceEnds.
static void End(Trace *trace)
{
    KeStopTrace();
    trace->Info.ProcessorCount = KeGetProcessorCount();
    trace->Info.SystemCallCount = SystemCallCount;
    for (uint32_t i = 0; i < RTL_COUNT_OF(trace->Info.Records); i++)
        trace->Info.Records[i] = KeQueryTraceWritten(i);
    __atomic_store_n(&trace->State, TraceStopped, __ATOMIC_RELEASE);
    __atomic_store_n(&Busy, false, __ATOMIC_RELEASE);
}

static void DeleteTrace(void *body)
{
    Trace *trace = body;
    if (Take(trace, TraceRuns, TraceEnds))
        End(trace);
    if (trace->Rings != nullptr)
        MmUnmapSectionInKernel(trace->Section, trace->Rings);
    if (trace->Section != nullptr)
        MmDereferenceSection(trace->Section);
}

static Status MakeRings(Trace *trace, uint32_t records)
{
    trace->Records = 1u << (31 - __builtin_clz(records));
    size_t size = RTL_ALIGN_UP(KeTraceMemory(trace->Records), PAGE_SIZE);
    MmCounters memory;
    MmQueryCounters(&memory);
    if (size > memory.PagesFree * PAGE_SIZE / 4)
        return StatusNoMemory;
    void *mapping;
    Status status = MmCreateSection(size, PageSection, &trace->Section);
    if (status == StatusSuccess)
        status = MmMapSectionInKernel(trace->Section, &mapping);
    if (status == StatusSuccess)
        trace->Rings = mapping;
    return status;
}

static Status Begin(Trace *trace, const TraceParameters *parameters)
{
    if (__atomic_exchange_n(&Busy, true, __ATOMIC_ACQ_REL))
        return StatusConflict;
    trace->State = TraceRuns;
    KeStartTrace(parameters->Groups, trace->Records, parameters->SamplePeriod, trace->Rings);
    return StatusSuccess;
}

Status SysCreateTrace(UserPointer parameters, UserPointer result)
{
    TraceParameters copy;
    Status status = MmCopyFromUser(&copy, parameters, sizeof(copy));
    if (status != StatusSuccess)
        return status;
    if (copy.Groups == 0 || (copy.Groups & ~(uint32_t)TraceEverything) != 0 ||
        copy.Records < RecordsMinimum || copy.Records > RecordsMaximum ||
        ((copy.Groups & TraceSamples) != 0 && copy.SamplePeriod < TraceMinimumPeriod) ||
        copy.SamplePeriod > KE_INFINITE / 4)
        return StatusInvalidParameter;
    void *trace;
    status = ObCreateObject(&TraceType, sizeof(Trace), &trace);
    if (status != StatusSuccess)
        return status;
    status = MakeRings(trace, copy.Records);
    if (status == StatusSuccess)
        status = Begin(trace, &copy);
    if (status == StatusSuccess)
        return SysiReturnHandle(trace, AccessAll, result);
    ObDereference(trace);
    return status;
}

Status SysStopTrace(Handle handle, UserPointer result)
{
    void *body;
    Status status = ObReferenceByHandle(SysiHandles(), handle, &TraceType, AccessModify, &body);
    if (status != StatusSuccess)
        return status;
    Trace *trace = body;
    if (Take(trace, TraceRuns, TraceEnds)) {
        KeLimitTrace();
        PsTraceProcesses();
        End(trace);
    }
    status = __atomic_load_n(&trace->State, __ATOMIC_ACQUIRE) == TraceStopped
                 ? MmCopyToUser(result, &trace->Info, sizeof(trace->Info))
                 : StatusConflict; // another thread is at it
    ObDereference(trace);
    return status;
}

// Records of a ring from the index-th on, as they come after each other in memory.
static size_t FindRun(const Trace *trace, uint32_t processor, uint64_t index,
                      const TraceRecord **records)
{
    uint64_t written = trace->Info.Records[processor];
    uint64_t left = RTL_MIN(written, (uint64_t)trace->Records);
    if (index >= left)
        return 0;
    uint64_t place = (written - left + index) & (trace->Records - 1);
    *records = trace->Rings + (size_t)processor * trace->Records + place;
    return (size_t)RTL_MIN(left - index, trace->Records - place);
}

static Status CopyRecords(const Trace *trace, uint32_t processor, uint64_t index,
                          UserPointer records, uint64_t capacity, uint64_t *count)
{
    Status status = StatusSuccess;
    *count = 0;
    capacity = RTL_MIN(capacity, (uint64_t)RecordsPerCall);
    while (status == StatusSuccess && *count < capacity) {
        const TraceRecord *from;
        size_t run = FindRun(trace, processor, index + *count, &from);
        if (run == 0)
            break;
        run = RTL_MIN(run, (size_t)(capacity - *count));
        status = MmCopyToUser(records + *count * sizeof(*from), from, run * sizeof(*from));
        *count += run;
    }
    return status;
}

Status SysReadTrace(Handle handle, uint32_t processor, uint64_t index, UserPointer records,
                    uint64_t capacity, UserPointer result)
{
    void *body;
    uint64_t count;
    Status status = ObReferenceByHandle(SysiHandles(), handle, &TraceType, AccessQuery, &body);
    if (status != StatusSuccess)
        return status;
    const Trace *trace = body;
    if (__atomic_load_n(&trace->State, __ATOMIC_ACQUIRE) != TraceStopped)
        status = StatusConflict;
    else if (processor >= trace->Info.ProcessorCount)
        status = StatusInvalidParameter;
    else
        status = CopyRecords(trace, processor, index, records, capacity, &count);
    if (status == StatusSuccess)
        status = MmCopyToUser(result, &count, sizeof(count));
    ObDereference(body);
    return status;
}
