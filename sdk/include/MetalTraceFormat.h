// MetalTraceFormat.h - what a trace consists of; MetalTrace.h says how one is made.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

// What is noted, any of these together. Processes, threads and modules always are.
enum {
    TraceScheduling = 1 << 0,  // switches, threads that become ready
    TraceFaults = 1 << 1,      // page faults
    TraceSystemCalls = 1 << 2, //
    TraceTransfers = 1 << 3,   // requests to disks
    TraceInterrupts = 1 << 4,  // interrupts and deferred calls
    TraceSamples = 1 << 5,     // where each processor is, every SamplePeriod, with its stack
    TraceEverything = (1 << 6) - 1,
};

// What a record tells. "Thread" is the thread that ran; A and B as said.
typedef enum TraceKind {
    TraceNothing = 0,
    TraceMore = 1,   // 24 more bytes of the record before: TraceContinuation
    TraceSwitch = 2, // Thread leaves the processor. Value: its ThreadState; A: the next thread, B:
                     // that one's process
    TraceReady = 3,  // A: a thread becomes ready
    TraceFaultBegin = 4, // Value: the processor's error code; A: address, B: instruction
    TraceFaultEnd = 5,
    TraceCallBegin = 6,     // Value: number of the system call; A, B: its first two arguments
    TraceCallEnd = 7,       // A: Status
    TraceTransferBegin = 8, // Value: 0 read, 1 write, 2 flush; A: names the request, B: sector; the
                            // length in bytes follows
    TraceTransferEnd = 9,   // A: names the request; Value: Status
    TraceInterruptBegin = 10, // Value: vector; B: interrupted instruction
    TraceInterruptEnd = 11,
    TraceDpcBegin = 12, // A: function
    TraceDpcEnd = 13,
    TraceSample = 14,     // Value: addresses of the stack, innermost first, that follow; A: the
                          // instruction, B: process
    TraceProcess = 15,    // A: its id, B: its parent's; Value: bytes of its name, which follows
    TraceProcessEnd = 16, // A: its id
    TraceThread = 17,     // A: its id, B: its process; Value: bytes of its name, which follows
    TraceModule = 18,     // A: base, B: size, Thread: its process; Value: bytes of its path, which
                          // follows
    TraceModuleEnd = 19,  // A: base, Thread: its process
} TraceKind;

typedef struct TraceRecord {
    uint64_t Time;   // nanoseconds, as GetMonotonicTime
    uint32_t Thread; // id; 0: the idle thread or one of the kernel's own
    uint16_t Value;
    uint8_t Kind; // TraceKind
    uint8_t Processor;
    uint64_t A, B;
} TraceRecord;

// What follows a record, in so many of these as it takes.
typedef struct TraceContinuation {
    uint64_t First;
    uint32_t Reserved;
    uint16_t Reserved2;
    uint8_t Kind; // TraceMore
    uint8_t Processor;
    uint64_t Second, Third;
} TraceContinuation;

#define TraceMaximumStack 45u // addresses of a sample
