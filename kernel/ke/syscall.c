// syscall.c - the system call table as the entry code (hal/x64/entry.c) uses it.
//
// Calls with up to four arguments are called straight from the table; the others through a routine
// of the entry code that first copies arguments five and six from the user's stack. While calls are
// traced, all go through another routine that notes them.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define MAXIMUM_SYSTEM_CALLS 256

static void *DirectTable[MAXIMUM_SYSTEM_CALLS], *TracedTable[MAXIMUM_SYSTEM_CALLS];
void *const *KiSystemCallTable = DirectTable;
void *const *KiUntracedCallTable = DirectTable;
void *const *KiSystemCallStackTable;
uint64_t KiSystemCallLimit;

void KeRegisterSystemCalls(KSystemCall *const *table, const uint8_t *argumentCounts, size_t count)
{
    KE_ASSERT(count <= MAXIMUM_SYSTEM_CALLS);
    for (size_t i = 0; i < count; i++) {
        DirectTable[i] =
            argumentCounts[i] <= 4 ? (void *)table[i] : (void *)HalSystemCallWithStackArguments;
        TracedTable[i] = (void *)HalTracedSystemCall;
    }
    KiSystemCallStackTable = (void *const *)table;
    KiSystemCallLimit = count;
}

// A call that is on its way ends as it began.
void KiTraceSystemCalls(bool on)
{
    __atomic_store_n(&KiSystemCallTable, on ? TracedTable : DirectTable, __ATOMIC_RELEASE);
}
