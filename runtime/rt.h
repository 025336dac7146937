// rt.h - what the files of mosrt.dll share. The theory is at the head of start.c.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalTrace.h"
#include "ProcessAbi.h"
#include "SystemCalls.h"

#include "../ports/musl/glue/glue.h"
#include "command.h"
#include "init/init.h"
#include "memory.h"
#include "pe/pe.h"

#define RT_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// ---- system call stubs (stubs.c): Sys<Name>, one per line of abi/SystemCalls.h.
#define RT_STUB_POINTER(type)                     type *
#define RT_STUB_PROTOTYPE(name, count, prototype) Status Sys##name prototype;
METALOS_SYSTEM_CALLS(RT_STUB_PROTOTYPE, RT_STUB_POINTER)
#undef RT_STUB_PROTOTYPE

static inline ThreadBlock *RtGetThreadBlock(void)
{
    ThreadBlock *block;
    __asm__("movq %%gs:0x30, %0" : "=r"(block));
    return block;
}

// ---- a lock that sleeps (lock.c): 0 free, 1 held, 2 held and waited for.
typedef struct RtLock {
    volatile uint32_t State;
} RtLock;

void RtWaitForLock(RtLock *lock);
void RtWakeLock(RtLock *lock);

static inline void RtAcquire(RtLock *lock)
{
    uint32_t expected = 0;
    if (!__atomic_compare_exchange_n(&lock->State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        RtWaitForLock(lock);
}

static inline bool RtTryAcquire(RtLock *lock)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&lock->State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline void RtRelease(RtLock *lock)
{
    if (__atomic_exchange_n(&lock->State, 0, __ATOMIC_RELEASE) == 2)
        RtWakeLock(lock);
}

// ---- start.c
ProcessBlock *RtGetProcess(void);
const RtProgram *RtGetProgram(void);

// ---- thread.c
#define RT_TLS_MODULES 128 // libraries (and the program) with thread-local data in one process

// Per thread, at ThreadBlock.RuntimeData: musl's part first, this behind it at CrtThreadSize().
typedef struct RtThread {
    struct RtThread *Next, *Previous; // L: all threads of the process
    ThreadEntry Entry;
    void *Argument;
    bool Ending;               // L: has called ExitThread or returned
    void *Tls[RT_TLS_MODULES]; // ThreadBlock.TlsArray; L for other threads
} RtThread;

RtThread *RtGetThreadData(void *thread);
Status RtStartFirstThread(void);
// Makes room for TLS slot index in every thread, filled from the template. Loader lock held.
Status RtAddTlsModule(uint32_t index, const void *template, size_t templateSize, size_t zeroFill);
void RtRemoveTlsModule(uint32_t index);

// ---- loader.c
void RtLockLoader(void); // recursive
void RtUnlockLoader(void);
// Registers the program and mosrt.dll, loads what the program imports and attaches it.
Status RtLoadProgram(char *missing, size_t missingSize);
// Tells every attached image that the calling thread starts or ends (Dll...).
void RtNotifyThread(uint32_t reason);

// ---- exception/dispatch.c
// From here on faults of the process are exceptions that programs can handle.
void RtStartExceptions(void);

// ---- posix.c, posix_file.c
void RtInitializeFiles(void);
int RtStatusToErrno(Status status);
