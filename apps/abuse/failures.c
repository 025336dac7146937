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
#define SECOND           1000000000ull

typedef struct Failures {
    uint64_t Count;  // since boot
    uint64_t Number; // of the latest, among its program's allocations
} Failures;

static bool FailNext(uint64_t n, uint32_t perStack, bool inherit, Failures *failures)
{
    return RawCall(SystemCallFailAllocation, n, perStack, inherit, (uintptr_t)failures, 0, 0) ==
           StatusSuccess;
}

// Makes the call with its n-th allocation failing; returns whether there was one.
static bool TryOne(const Call *call, uint64_t n)
{
    uint64_t arguments[ARGUMENTS];
    memcpy(arguments, call->Arguments, sizeof arguments);
    if (call->Prepare)
        call->Prepare(arguments);
    Failures before = {}, after = {};
    (void)FailNext(n, 0, false, &before);
    Status status = MakeCall(call, arguments);
    (void)FailNext(0, 0, false, &after);
    bool failed = after.Count != before.Count;
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
    Failures failures;
    if (!Check(FailNext(0, 0, false, &failures), "this is no test kernel"))
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

// ---- whole programs
typedef struct Program {
    const char *Line;
    uint32_t PerStack; // as FailAllocation has it
    uint32_t Time;     // milliseconds: one that has not ended by then waits for ever
    uint64_t Number;   // of the allocation that failed last
    uint32_t Failed, Killed;
} Program;

// A program that cannot go on leaves those it started alone. They are no leak, and they end here.
static void EndChildren(uint32_t parent)
{
    static ProcessInfo list[64];
    size_t count = 0;
    OK(ListProcesses(list, COUNT_OF(list), &count));
    for (size_t i = 0; i < count && i < COUNT_OF(list); i++) {
        Handle child;
        if (list[i].ParentProcessId != parent || list[i].Exited ||
            OpenProcess(list[i].ProcessId, AccessAll, &child) != StatusSuccess)
            continue;
        (void)TerminateProcess(child, 1);
        (void)WaitForProgram(child, KILL_TIME, nullptr);
    }
}

// Runs the program with its n-th allocation failing, or the next that may; returns whether there
// was one. A program may then wait for ever for what it could not start, but must be killable.
static bool TryProgram(Program *program, uint64_t n)
{
    Handle process;
    bool killed = false;
    Failures before = {}, after = {};
    ProcessInfo info = {};
    (void)FailNext(n, program->PerStack, true, &before);
    Status status = StartProgram(program->Line, &process);
    (void)FailNext(0, 0, true, nullptr);
    if (!Check(status == StatusSuccess, "%s: %s", program->Line, GetStatusText(status)))
        return false;
    OK(GetProcessInfo(process, &info));
    (void)WaitForProgram(process, program->Time, &killed);
    EndChildren(info.ProcessId);
    (void)FailNext(0, 0, true, &after);
    program->Number = after.Number;
    if (killed) {
        program->Killed++;
        printf("abuse: %s with allocation %llu failing waits for ever\n", program->Line,
               (unsigned long long)after.Number);
    }
    return after.Count != before.Count;
}

// Returns the time in milliseconds that a run takes when nothing fails; what is made once is made.
static uint32_t WarmUp(const char *line)
{
    Program program = {.Line = line, .Time = 600000};
    uint64_t start = 0;
    for (size_t i = 0; i < 3; i++) {
        start = GetMonotonicTime();
        (void)TryProgram(&program, 0);
    }
    Check(program.Killed == 0, "%s does not end", line);
    return (uint32_t)((GetMonotonicTime() - start) / (SECOND / 1000));
}

void TestFailingPrograms(char *const *lines, int count, uint32_t perStack)
{
    Counters before;
    Failures failures;
    if (!Check(FailNext(0, 0, false, &failures), "this is no test kernel"))
        return;
    for (int i = 0; i < count; i++) {
        // Whoever waits in vain for ten seconds goes on, and whoever shares the host takes longer.
        Program program = {lines[i], perStack, 4 * WarmUp(lines[i]) + 12000, 0, 0, 0};
        CountAll(&before);
        for (uint64_t n = 1; TryProgram(&program, n); program.Failed++)
            n = perStack ? program.Number + 1 : n + 1;
        CompareCounters(&before, lines[i]);
        printf("abuse: %s: %u of %llu allocations failed, %u times it waited for ever\n", lines[i],
               program.Failed, (unsigned long long)program.Number, program.Killed);
        fflush(stdout);
    }
}
