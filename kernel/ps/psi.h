// psi.h - what the files of ps share.
// SPDX-License-Identifier: MIT
#pragma once

#include "ps.h"

#define PS_STACK_MAXIMUM (256ull << 20) // bytes of a user stack
#define PS_TAG           MM_TAG('P', 's', ' ', ' ')

// What each thread counts and its process adds up.
typedef struct PsCounters {
    uint64_t KernelTime, UserTime; // nanoseconds
    uint64_t SystemCalls, PageFaults, ContextSwitches;
} PsCounters;

// Legend: [c] constant once started, [l] Lock, [g] the list lock of process.c, [s] Structure,
// [o] only threads of the process and, once those are gone, whoever clears up.
struct PsProcess {
    KProcess Process;                 // signalled once everything the process had is given back
    uint32_t Id, ParentId;            // [c]
    uint64_t CreateTime;              // [c] Unix nanoseconds
    volatile uint64_t ExceptionEntry; // user address a failing thread goes on at; 0: none
    ListEntry Link;                   // [g]
    char Name[64];                    // [c] file name of the program

    KSpinLock Lock;
    ListEntry Threads;      // [l] PsThread.Link; those that still run user code or system calls
    uint32_t ActiveThreads; // [l] on the list
    uint32_t LivingThreads; // [l] active ones and those the reaper has not had yet
    bool Ending;            // [l] no more threads; those there are have been told to end
    volatile bool Exited;   // everything is given back
    uint32_t ExitCode;      // [l] valid once Ending
    PsCounters Ended;       // [l] of threads that have left
    volatile uint64_t ReadCount, WriteCount, ReadBytes, WriteBytes; // atomic
    void *WindowData;                                               // [o]
    char CurrentDirectory[MaximumPath];                             // [l]
    ListEntry Modules; // [l] to read, [s] and [l] to change: LdrModule.Link

    KMutex Structure;             // the address space and the handle table exist while it is held
    MmAddressSpace *Space;        // [s] nullptr once gone
    ObHandleTable *Handles;       // [s] nullptr once gone
    LdrModule *Program, *Runtime; // [c]
    uint64_t BlockBase;           // [c] ProcessBlock in user memory
};

struct PsThread {
    KThread Thread;       // first: Cleanup finds the rest by it
    PsProcess *Process;   // [c] referenced; nullptr: a kernel thread
    uint64_t Id;          // [c]
    ListEntry Link;       // [process lock] self-linked once it has left
    uint32_t EndCode;     // [process lock] exit code of a thread that is told to end by itself
    void *KernelStack;    // [c]
    void *FpuBlock;       // [c] heap block that holds the FPU area
    void *TransferBuffer; // [thread only]
    uint64_t UserStack, UserStackTop,
        UserStackLimit;                   // [c] region base, initial rsp, lowest usable byte
    uint64_t BlockBase;                   // [c] ThreadBlock in user memory
    uint64_t Start, Argument1, Argument2; // [c]
    void (*Entry)(void *);                // [c] kernel threads
    void *Context;                        // [c]
};
static_assert(offsetof(PsThread, Thread) == 0, "the reaper's KThread is the PsThread");

// The next process or thread id; never 0.
uint32_t PsiNextId(void);

// ---- thread.c
// A thread of the process, not running; one reference. The process gets it with PsiStartThread.
Status PsiCreateUserThread(PsProcess *process, const AbiCreateThread *parameters,
                           PsThread **thread);
// StatusTerminating: the process is ending; the thread stays unused.
Status PsiStartThread(PsThread *thread);
// Gives back what a thread that was never started has in the address space.
void PsiDiscardThread(PsThread *thread);
void PsiCountThread(PsThread *thread, PsCounters *counters); // adds its own
void PsiInitializeThreads(void);

// ---- process.c
// The last thread has left: callbacks, then the handles. In that thread.
void PsiLeaveProcess(PsProcess *process);
// Every thread is reaped: address space, handle table, list; then the process is signalled.
void PsiFinishProcess(PsProcess *process);

// ---- module.c
Status PsiMapModule(PsProcess *process, LdrImage *image, const char *path, LdrModule **module);
void PsiForgetModules(PsProcess *process);

// ---- start.c
// Builds the ProcessBlock with its strings in the address space. process->BlockBase tells where.
Status PsiBuildProcessBlock(PsProcess *process, const PsCreateParameters *parameters,
                            const Handle standard[3]);

// ---- trace.c
void PsiTraceProcess(const PsProcess *process);
void PsiTraceProcessEnd(const PsProcess *process);

// ---- fault.c
void PsiInitializeFaults(void);
