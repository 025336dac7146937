// syscall.c - the system call table as the entry code (hal/x64/entry.c) uses it.
//
// Calls with up to four arguments are called straight from the table; the others through a routine
// of the entry code that first copies arguments five and six from the user's stack.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define MAXIMUM_SYSTEM_CALLS 256

static void *DirectTable[MAXIMUM_SYSTEM_CALLS];
void *const *KiSystemCallTable = DirectTable;
void *const *KiSystemCallStackTable;
uint64_t KiSystemCallLimit;

void KeRegisterSystemCalls(KSystemCall *const *table, const uint8_t *argumentCounts, size_t count)
{
    KE_ASSERT(count <= MAXIMUM_SYSTEM_CALLS);
    for (size_t i = 0; i < count; i++)
        DirectTable[i] =
            argumentCounts[i] <= 4 ? (void *)table[i] : (void *)HalSystemCallWithStackArguments;
    KiSystemCallStackTable = (void *const *)table;
    KiSystemCallLimit = count;
}
