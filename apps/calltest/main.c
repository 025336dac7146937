// calltest.exe - executes marks around calls, threads and processes, for counting instructions.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"
#include "ProcessAbi.h"
#include "SystemCalls.h"
#include "rtl/mark.h"

#include <stdio.h>
#include <string.h>

enum { Rounds = 64, FewRounds = 16 };

enum { // marks, in pairs of before and after
    MarkNullCall = MarkProgram,
    MarkUnknownCall = MarkProgram + 2,
    MarkYield = MarkProgram + 4,
    MarkEvents = MarkProgram + 6, // there and back: two switches
    MarkPipes = MarkProgram + 8,
    MarkThread = MarkProgram + 10,
    MarkProcess = MarkProgram + 12,
    MarkCopy = MarkProgram + 14, // 64 KiB
    MarkSet = MarkProgram + 16,
};

#define MEASURE(mark, rounds, statement)                                                           \
    for (int i = 0; i < (rounds); i++) {                                                           \
        RTL_MARK(mark);                                                                            \
        statement;                                                                                 \
        RTL_MARK((mark) + 1);                                                                      \
    }

static void CallNumber(uint32_t number)
{
    register uint64_t first __asm__("r10") = CurrentThread;
    __asm__ volatile("syscall"
                     : "+a"(number), "+r"(first)
                     :
                     : "rcx", "rdx", "r8", "r9", "r11", "memory");
}

static Handle ping, pong;
static volatile bool done;

static uint32_t Answer(void *argument)
{
    while (WaitForSingleObject(ping, InfiniteTimeout) == StatusSuccess && !done)
        (void)SetEvent(pong);
    return 0;
}

static uint32_t Nothing(void *argument)
{
    return 0;
}

static void MeasureEvents(void)
{
    Handle thread;
    (void)CreateEvent(false, false, &ping);
    (void)CreateEvent(false, false, &pong);
    if (CreateThread(Answer, nullptr, 0, &thread) != StatusSuccess)
        return;
    MEASURE(MarkEvents, Rounds, {
        (void)SetEvent(ping);
        (void)WaitForSingleObject(pong, InfiniteTimeout);
    });
    done = true;
    (void)SetEvent(ping);
    (void)WaitForSingleObject(thread, InfiniteTimeout);
    (void)CloseHandle(thread);
}

static void MeasureThreads(void)
{
    Handle thread;
    MEASURE(MarkThread, FewRounds, {
        if (CreateThread(Nothing, nullptr, 0, &thread) != StatusSuccess)
            return;
        (void)WaitForSingleObject(thread, InfiniteTimeout);
        (void)CloseHandle(thread);
    });
}

static void MeasureProcesses(void)
{
    const CreateProcessParameters parameters = {.CommandLine = "/tests/calltest.exe nothing"};
    Handle process;
    MEASURE(MarkProcess, FewRounds, {
        if (CreateProcess(&parameters, &process) != StatusSuccess)
            return;
        (void)WaitForSingleObject(process, InfiniteTimeout);
        (void)CloseHandle(process);
    });
}

// A byte to another process and back.
static void MeasurePipes(void)
{
    Handle requestRead, requestWrite, answerRead, answerWrite, process;
    char byte = 1;
    size_t moved;
    if (CreatePipe(&requestRead, &requestWrite) != StatusSuccess ||
        CreatePipe(&answerRead, &answerWrite) != StatusSuccess)
        return;
    const CreateProcessParameters parameters = {.CommandLine = "/tests/calltest.exe echo",
                                                .StandardInput = requestRead,
                                                .StandardOutput = answerWrite};
    if (CreateProcess(&parameters, &process) != StatusSuccess)
        return;
    MEASURE(MarkPipes, Rounds, {
        (void)WriteFile(requestWrite, &byte, 1, &moved);
        (void)ReadFile(answerRead, &byte, 1, &moved);
    });
    (void)CloseHandle(requestRead);
    (void)CloseHandle(requestWrite);
    (void)WaitForSingleObject(process, InfiniteTimeout);
}

static int Echo(void)
{
    char byte;
    size_t moved;
    while (ReadFile(GetStandardHandle(StandardInput), &byte, 1, &moved) == StatusSuccess)
        if (WriteFile(GetStandardHandle(StandardOutput), &byte, 1, &moved) != StatusSuccess)
            break;
    return 0;
}

// Until the others have done what they do after boot: many turns in a row come back at once.
static void Settle(void)
{
    enum { Turns = 200, TurnNanoseconds = 200000 };
    uint64_t start = GetMonotonicTime();
    for (int quick = 0; quick < Turns && GetMonotonicTime() - start < 30000000000ull; quick++) {
        uint64_t before = GetMonotonicTime();
        Sleep(0);
        if (GetMonotonicTime() - before > TurnNanoseconds)
            quick = 0;
    }
}

static char from[65536], to[65536];

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return 0;
    if (argc > 1 && !strcmp(argv[1], "echo"))
        return Echo();
    Settle();
    MEASURE(MarkNullCall, Rounds, CallNumber(SystemCallResetEvent)); // of a handle that is not open
    MEASURE(MarkUnknownCall, Rounds, CallNumber(SystemCallCount));
    MEASURE(MarkYield, Rounds, Sleep(0));
    MeasureEvents();
    MeasureThreads();
    MeasureProcesses();
    MeasurePipes();
    memset(from, 1, sizeof from);
    memcpy(to, from, sizeof to);
    MEASURE(MarkCopy, Rounds, memcpy(to, from, sizeof to));
    MEASURE(MarkSet, Rounds, memset(to, i, sizeof to));
    return 0;
}
