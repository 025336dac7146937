// MetalTrace.h - watching the system run: what happened when, on which processor, in which thread.
//
// A trace is an object. From CreateTrace to StopTrace each processor notes events in a ring of its
// own, in which the newest take the place of the oldest. StopTrace adds what is needed to
// understand them - the processes, threads and modules there are - and after it ReadTrace gives the
// records, oldest first. Closing the handle gives everything back. There is one trace at a time.
//
// Addresses in the kernel are given as if it lay at its preferred address, FFFFF80000000000: where
// it really is stays its secret.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "MetalTraceFormat.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TraceMinimumPeriod 50000u // nanoseconds
typedef struct TraceParameters {
    uint32_t Groups;       // Trace..., not 0
    uint32_t Records;      // per processor, 1024 to 1048576; rounded down to a power of two
    uint64_t SamplePeriod; // nanoseconds, at least TraceMinimumPeriod; with TraceSamples only
} TraceParameters;

typedef struct TraceInfo {
    uint32_t ProcessorCount, SystemCallCount;
    uint64_t Records[64]; // by processor: noted since the beginning; the ring has the last of them
} TraceInfo;

// Begins a trace. StatusConflict: there is one.
METALOS_API Status CreateTrace(const TraceParameters *parameters, Handle *trace);
// Ends it, and adds what is known about processes. Once stopped it stays so. Right: AccessModify.
METALOS_API Status StopTrace(Handle trace, TraceInfo *info);
// Copies a stopped trace's records of a processor, from the index-th of those that are left on;
// *count, up to capacity, are given, 0 behind the last. StatusConflict: it is not stopped. Right:
// AccessQuery.
METALOS_API Status ReadTrace(Handle trace, uint32_t processor, uint64_t index, TraceRecord *records,
                             size_t capacity, size_t *count);

#ifdef __cplusplus
}
#endif
