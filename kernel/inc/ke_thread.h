// ke_thread.h - the scheduler's thread, complete, for those that embed one (ps) or look inside (ke,
// kd). Everybody else uses the functions of ke.h.
// SPDX-License-Identifier: MIT
#pragma once

#include "ke.h"

// One object that one thread waits for. Lives on the waiting thread's kernel stack.
typedef struct KWaitBlock {
    ListEntry Link; // in the object's WaitList
    KThread *Thread;
    KDispatcherHeader *Object;
    size_t Index;
} KWaitBlock;

#define KE_MAXIMUM_HELD_MUTEXES 8

// Legend: [c] constant once initialised, [d] dispatcher lock, [t] only the thread itself,
// [p] only the processor that runs the thread, with preemption off.
struct KThread {
    KDispatcherHeader Header; // [d] signalled once the thread has ended

    // ---- context switch
    uint64_t SavedStack;     // [p] rsp while it does not run
    uint64_t KernelStackTop; // [c]
    void *KernelStackLimit;  // [c]
    size_t KernelStackSize;  // [c]
    KProcess *Process;       // [t] whose address space is loaded while it runs
    KProcess *OwnProcess;    // [c]
    void *FpuArea;           // [c] nullptr: never in user mode
    uint64_t UserGsBase;     // [t]
    uint32_t FpuProcessor;   // [p] whose registers may still hold FpuArea's state

    // ---- scheduling
    KThreadState State;        // [d]
    uint8_t Priority;          // [d] now, boost included
    uint8_t BasePriority;      // [d]
    bool Lent;                 // [d] Priority is that of a waiter for a mutex it owns
    volatile bool Terminating; // [d] set once
    KWaitMode WaitMode;        // [d]
    bool WaitAll;              // [d]
    uint32_t Processor;        // [d] which runs it, has it in its ready queue, or ran it last
    uint64_t Affinity;         // [d] bit n: processor n may run it
    uint32_t ReadyEpoch;       // [d] its processor's StarvationEpoch when it became ready
    ListEntry ReadyLink;       // [d] in a ready queue, or in the reaper's list
    uint64_t QuantumLeft;      // [d] nanoseconds
    uint64_t RunStart;         // [p] when it was switched to, ns
    uint64_t RunTime;          // [p] nanoseconds on a processor until RunStart
    uint64_t Switches;         // [p] times it was switched to
    uint64_t UserTicks;        // [p] time stamps of RunTime in user mode, until RunStart
    uint64_t SystemCalls;      // [p] until RunStart
    uint64_t PageFaults;       // [t] in user memory

    // ---- waiting
    Status WaitStatus;      // [d] result of the wait
    size_t WaitIndex;       // [d]
    KWaitBlock *WaitBlocks; // [d]
    size_t WaitCount;       // [d] blocks; 0: a key wait or a delay
    ListEntry KeyLink;      // [d] in a key bucket; empty otherwise
    uint64_t KeySpace, Key; // [d]
    KTimerNode TimeOut;     // [d]
    ListEntry Mutants;      // [d] it owns: KMutant.OwnedLink

    // ---- ending
    uint64_t FaultResume;             // [t] where a fault of its kernel code continues; 0: nowhere
    uint32_t ExitCode;                // [t] until Header is signalled, then [c]
    void (*Cleanup)(KThread *thread); // [c]

    // ---- start
    uint32_t Id;           // [c] ps's; 0: one of ke's own
    void (*Entry)(void *); // [c]
    void *Context;         // [c]
    ListEntry AllLink;     // [d] every thread, for the debugger
    char Name[32];         // [c]

    // ---- checked builds
    uint32_t HeldMutexCount;                         // [t]
    uint8_t HeldMutexRanks[KE_MAXIMUM_HELD_MUTEXES]; // [t]
};
