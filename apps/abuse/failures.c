// failures.c - every allocation that a system call makes fails once.
//
// Test kernels can make the n-th allocation on a program's behalf fail (FailAllocation). Each call
// that calls.c knows is made with n = 1, 2, ... until nothing was left to fail: it must return an
// error or succeed all the same, and leave nothing behind. Whole programs are run in the same way.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <stdio.h>
#include <string.h>

#define MOST_ALLOCATIONS 20000u // of one call; beyond, something repeats for ever
#define PROGRAM_TIME     8000u  // milliseconds until a program that hangs is killed

// How many allocations have been made to fail so far, after setting the next.
static uint64_t FailNext(uint64_t n, bool inherit)
{
    static uint64_t failures;
    if (RawCall(SystemCallFailAllocation, n, inherit, (uintptr_t)&failures, 0, 0, 0) !=
        StatusSuccess)
        return UINT64_MAX;
    return failures;
}

// Makes the call with its n-th allocation failing; returns whether there was one.
static bool TryOne(const Call *call, uint64_t n)
{
    uint64_t arguments[ARGUMENTS];
    memcpy(arguments, call->Arguments, sizeof arguments);
    if (call->Prepare)
        call->Prepare(arguments);
    uint64_t before = FailNext(n, false);
    Status status = MakeCall(call, arguments);
    bool failed = FailNext(0, false) != before;
    bool expected = status == call->Expected || (call->Other && status == call->Other) ||
                    (failed && (status == StatusNoMemory || status == StatusInvalidAddress));
    Check(expected, "%s with allocation %llu failing: %s", signatures[call->Number].Name,
          (unsigned long long)n, GetStatusText(status));
    if (status == StatusSuccess)
        UndoCall(call, arguments);
    else if (call->Clean)
        call->Clean(arguments);
    return failed;
}

void TestFailures(void)
{
    size_t count;
    uint64_t total = 0;
    Counters before;
    if (!Check(FailNext(0, false) != UINT64_MAX, "this is no test kernel"))
        return;
    OpenObjects();
    const Call *calls = GetCalls(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t warm = 0; warm < 2; warm++)
            (void)TryOne(&calls[i], 0);
        CountAll(&before);
        uint64_t n = 1;
        while (n < MOST_ALLOCATIONS && TryOne(&calls[i], n))
            n++;
        Check(n < MOST_ALLOCATIONS, "%s never stops allocating", signatures[calls[i].Number].Name);
        char what[64];
        snprintf(what, sizeof what, "%s, %llu failures", signatures[calls[i].Number].Name,
                 (unsigned long long)n - 1);
        CompareCounters(&before, what);
        total += n - 1;
    }
    CloseObjects();
    printf("abuse: %llu allocations failed in %zu calls\n", (unsigned long long)total, count);
}

// Runs a program with its n-th allocation failing; returns whether there was one. mayHang: it may
// wait for ever for what it could not start; then it must be possible to kill it.
static bool TryProgram(const char *line, uint64_t n, bool mayHang)
{
    Handle process;
    bool killed = false;
    uint64_t before = FailNext(n, true);
    Status status = StartProgram(line, &process);
    FailNext(0, true);
    if (!Check(status == StatusSuccess, "%s: %s", line, GetStatusText(status)))
        return false;
    uint32_t code = WaitForProgram(process, PROGRAM_TIME, &killed);
    Check(!killed || mayHang, "%s with allocation %llu failing does not end (0x%x)", line,
          (unsigned long long)n, code);
    return FailNext(0, true) != before;
}

void TestFailingPrograms(char *const *lines, int count, uint64_t step)
{
    Counters before;
    if (!Check(FailNext(0, false) != UINT64_MAX, "this is no test kernel"))
        return;
    for (int i = 0; i < count; i++) {
        for (size_t warm = 0; warm < 3; warm++)
            (void)TryProgram(lines[i], 0, false);
        CountAll(&before);
        uint64_t n = 1;
        uint64_t tried = 0;
        for (; TryProgram(lines[i], n, step == 0); tried++)
            n += step ? step : 1 + n / 32;
        CompareCounters(&before, lines[i]);
        printf("abuse: %s: %llu of about %llu allocations failed\n", lines[i],
               (unsigned long long)tried, (unsigned long long)n);
        fflush(stdout);
    }
}
