// stress.exe - random system calls must never stop the kernel, and must leave nothing behind. In
// the guest's /tests.
//
//   stress.exe [-seed N] [-rounds N] [-calls N] [-time N] [-total N]
//
// Each round is a child process whose threads make random calls (calls.c), -calls each, for -time
// milliseconds at most; how it ends does not matter: by itself, by a fault it brought on itself, or
// killed in the middle of whatever it waits for. But it must end, and after all rounds the system
// has the processes, threads, handles and windows it had, and its memory. -rounds rounds are run,
// each with the next seed, and then more until -total calls have been made. The exit code is the
// number of things that are wrong. `-seed S -rounds 1` repeats the round of seed S.
// SPDX-License-Identifier: MIT
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_TIME 10000u // milliseconds until a killed child must be gone
#define MEMORY_SLACK                                                                               \
    (512u << 10) // bytes: kernel heap pages that stay half full, larger file tables

static int wrong;

static void Complain(const char *what, uint64_t before, uint64_t after)
{
    printf("stress: %s: %llu before, %llu after\n", what, (unsigned long long)before,
           (unsigned long long)after);
    wrong++;
}

static uint64_t callsMade;

// Runs a child and counts the calls it says it has made; its exit code.
static uint32_t RunChild(uint64_t seed, uint32_t calls, uint32_t time)
{
    static char reports[65536];
    char line[96];
    snprintf(line, sizeof line, "/tests/stress.exe -child %llu %u %u", (unsigned long long)seed,
             calls, time);
    CreateProcessParameters parameters = {.CommandLine = line};
    Handle child, end;
    size_t count;
    Status status = CreatePipe(&end, &parameters.StandardOutput);
    if (status == StatusSuccess)
        status = CreateProcess(&parameters, &child);
    (void)CloseHandle(parameters.StandardOutput);
    if (status != StatusSuccess) {
        printf("stress: child does not start: %s\n", GetStatusText(status));
        wrong++;
        return 0;
    }
    if (WaitForSingleObject(child, time + time / 2) == StatusTimeout)
        status = TerminateProcess(child, 3);
    if (status != StatusSuccess || WaitForSingleObject(child, KILL_TIME) != StatusSuccess) {
        printf("stress: seed %llu: the child does not end\n", (unsigned long long)seed);
        wrong++;
    }
    ProcessInfo info = {};
    status = GetProcessInfo(child, &info);
    status = CloseHandle(child);
    while (ReadFile(end, reports, sizeof reports, &count) == StatusSuccess)
        callsMade += count * REPORT_CALLS;
    status = CloseHandle(end);
    return info.ExitCode;
}

static void Compare(const SystemInfo *before, const SystemInfo *after)
{
    if (after->ProcessCount != before->ProcessCount)
        Complain("processes", before->ProcessCount, after->ProcessCount);
    if (after->ThreadCount > before->ThreadCount) // fewer: the kernel finished starting meanwhile
        Complain("threads", before->ThreadCount, after->ThreadCount);
    if (after->HandleCount != before->HandleCount)
        Complain("handles", before->HandleCount, after->HandleCount);
    if (after->WindowCount != before->WindowCount)
        Complain("windows", before->WindowCount, after->WindowCount);
    uint64_t had = before->FreeMemory + before->CacheMemory,
             has = after->FreeMemory + after->CacheMemory;
    if (has + MEMORY_SLACK < had)
        Complain("memory", had, has);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint32_t rounds = 20, calls = 5000, time = 4000;
    uint64_t total = 0;
    if (argc == 5 && strcmp(argv[1], "-child") == 0)
        RunCalls(strtoull(argv[2], nullptr, 10), (uint32_t)strtoul(argv[3], nullptr, 10),
                 (uint32_t)strtoul(argv[4], nullptr, 10));
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "-seed") == 0)
            seed = strtoull(argv[i + 1], nullptr, 10);
        else if (strcmp(argv[i], "-rounds") == 0)
            rounds = (uint32_t)strtoul(argv[i + 1], nullptr, 10);
        else if (strcmp(argv[i], "-calls") == 0)
            calls = (uint32_t)strtoul(argv[i + 1], nullptr, 10);
        else if (strcmp(argv[i], "-time") == 0)
            time = (uint32_t)strtoul(argv[i + 1], nullptr, 10);
        else if (strcmp(argv[i], "-total") == 0)
            total = strtoull(argv[i + 1], nullptr, 10);
    }
    Status status = CreateDirectory(STRESS_FOLDER);
    if (status != StatusSuccess && status != StatusAlreadyExists)
        printf("stress: " STRESS_FOLDER ": %s\n", GetStatusText(status));
    SystemInfo before = {}, after = {};
    RunChild(seed + rounds, calls, time); // fills caches and makes what is made once
    status = GetSystemInfo(&before);
    callsMade = 0;
    uint32_t round = 0;
    for (; !wrong && (round < rounds || callsMade < total); round++) {
        uint64_t made = callsMade;
        bool early = round % 4 == 3; // killed in the middle
        uint32_t exitCode = RunChild(seed + round, calls, early ? 50 + round * 7 % 400 : time);
        printf("stress: seed %llu: exit code 0x%x, %llu calls\n",
               (unsigned long long)(seed + round), exitCode, (unsigned long long)callsMade - made);
        fflush(stdout);
    }
    status = GetSystemInfo(&after);
    Compare(&before, &after);
    printf("stress: %u rounds, %llu calls, %d wrong\n", round, (unsigned long long)callsMade,
           wrong);
    return wrong;
}
