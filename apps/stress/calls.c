// calls.c - random system calls with plausible, odd and senseless arguments.
//
// Each thread draws from its own generator, so that a seed gives the same calls again (what they
// meet depends on the other threads). Arguments come from a mix: small numbers, values at the edges
// of types and address ranges, handles from a pool the threads share, paths, addresses in and
// around a buffer. Time-outs are kept short, and calls that would end the run at once are rare or
// left out.
// SPDX-License-Identifier: MIT
#include "../apitest/raw.h"
#include "stress.h"

#include <string.h>

#define THREADS   4u
#define POOL_SIZE 64u
#define ARGUMENTS 5u

static uint8_t area[1 << 16] __attribute__((aligned(4096)));
static volatile Handle pool[POOL_SIZE];
static volatile uint32_t finished;
static uint32_t callsPerThread;
static uint64_t firstSeed;

static uint64_t Next(uint64_t *state) // xorshift64*
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

static bool OneIn(uint64_t *state, uint32_t n)
{
    return (Next(state) >> 33) % n == 0;
}

static uint64_t OddValue(uint64_t *state)
{
    static const uint64_t values[] = {0,
                                      1,
                                      7,
                                      0xFFF,
                                      0x1000,
                                      0x1001,
                                      0xFFFF,
                                      0x10000,
                                      0x7FFFFFFF,
                                      0x80000000,
                                      CurrentThread,
                                      CurrentProcess,
                                      0x00007FFFFFFEFFFFull,
                                      0x00007FFFFFFF0000ull,
                                      0x0000800000000000ull,
                                      0xFFFF800000000000ull,
                                      0xFFFFF80000000000ull,
                                      0x8000000000000000ull,
                                      UINT64_MAX};
    return values[Next(state) % (sizeof values / sizeof *values)];
}

static uint64_t Path(uint64_t *state)
{
    static const char *const paths[] = {"/",
                                        "",
                                        "a",
                                        "b",
                                        STRESS_FOLDER "/a",
                                        STRESS_FOLDER "/b/c",
                                        STRESS_FOLDER "/b",
                                        "..",
                                        "/apps",
                                        "/none/x",
                                        "\\a",
                                        "mosrt.dll",
                                        "a/../b",
                                        "/device/none",
                                        "a:b",
                                        "fire.exe"};
    return (uintptr_t)paths[Next(state) % (sizeof paths / sizeof *paths)];
}

static uint64_t Argument(uint64_t *state)
{
    switch (Next(state) % 8) {
    case 0:
        return OddValue(state);
    case 1:
        return Next(state);
    case 2:
        return pool[Next(state) % POOL_SIZE];
    case 3:
        return Path(state);
    case 4:
        return Next(state) % 300;
    case 5:
        return (uintptr_t)area + sizeof area - Next(state) % 32;
    case 6:
        return Next(state) % 4;
    default:
        return ((uintptr_t)area + Next(state) % sizeof area) & ~7ull;
    }
}

// Bends the arguments of calls that would wait for long or do too much; false: leave this one out.
static bool Temper(uint64_t number, uint64_t *a, uint64_t *state)
{
    switch (number) {
    case SystemCallShutdownSystem:
    case SystemCallExitThread:
    case SystemCallOpenProcess: // the others are none of its business
    case SystemCallOpenThread:
        return false;
    case SystemCallTerminateThread:
        return (uint32_t)a[0] != CurrentThread && OneIn(state, 4);
    case SystemCallTerminateProcess:
        return (uint32_t)a[0] != CurrentProcess && OneIn(state, 4);
    case SystemCallCreateProcess:
    case SystemCallCreateThread:
    case SystemCallAllocWindow:
    case SystemCallResizeWindow:
        return OneIn(state, 8);
    case SystemCallDebugPrint:
    case SystemCallSetScreenMode:
        return OneIn(state, 16);
    case SystemCallVirtualFree:
    case SystemCallVirtualProtect:
    case SystemCallVirtualDecommit:
    case SystemCallUnmapView:
    case SystemCallUnmapImage:
        return OneIn(state, 16);
    case SystemCallSleep:
        a[0] &= 3;
        return OneIn(state, 16);
    case SystemCallWaitForSingleObject:
    case SystemCallGetMessage:
        a[1] &= 1;
        return true;
    case SystemCallWaitOnAddress:
        a[2] &= 1;
        return true;
    case SystemCallWaitForMultipleObjects:
        a[3] &= 1;
        return true;
    case SystemCallSetFileSize:
        a[1] &= 0xFFFFF;
        return true;
    case SystemCallLockFile:
        a[4] &= 1;
        return true;
    case SystemCallWriteFileAt:
        a[1] &= 0xFFFFF;
        a[3] &= 0xFFFF;
        return true;
    case SystemCallWriteFile:
        a[2] &= 0xFFFF;
        return true;
    default:
        return true;
    }
}

// Something new for the pool, in place of something old.
static void Collect(uint64_t *state)
{
    Handle handle = InvalidHandle, second = InvalidHandle;
    WindowParameters window = {.Title = "stress",
                               .X = (int32_t)(Next(state) % 2000) - 300,
                               .Y = 50,
                               .Width = 64,
                               .Height = 64};
    WindowBuffer buffer;
    Status status;
    switch (Next(state) % 32) {
    case 0:
        status = AllocWindow(&window, &handle, &buffer);
        break;
    case 1:
        status = CreatePipe(&handle, &second);
        break;
    case 6:
        status = CreateConsole(80, 25, &handle, &second);
        break;
    case 2:
        status = OpenDirectory("/", &handle);
        break;
    case 3:
    case 4:
    case 5:
        status = CreateFile(STRESS_FOLDER "/a", FileRead | FileWrite, FileOpenAlways, &handle);
        break;
    case 7:
    case 8:
        status = CreateSemaphore((uint32_t)(Next(state) % 4), 8, &handle);
        break;
    case 9:
    case 10:
        status = CreateMutex(OneIn(state, 2), &handle);
        break;
    case 11:
    case 12:
        status = CreateTimer(OneIn(state, 2), &handle);
        if (status == StatusSuccess && OneIn(state, 2))
            status = SetTimer(handle, Next(state) % 1000000, Next(state) % 1000000);
        break;
    case 13:
        status = DuplicateHandle(CurrentProcess, CurrentThread, CurrentProcess, &handle,
                                 AccessWait | AccessQuery, 0);
        break;
    default:
        status = CreateEvent(OneIn(state, 2), OneIn(state, 2), &handle);
    }
    if (status != StatusSuccess)
        return;
    Handle old = __atomic_exchange_n(&pool[Next(state) % POOL_SIZE], handle, __ATOMIC_RELAXED);
    status = CloseHandle(old);
    if (second != InvalidHandle)
        status = CloseHandle(second);
}

static Handle reports; // a copy of standard output whose value no argument hits upon

// Tells the parent of REPORT_CALLS calls.
static void Report(void)
{
    size_t moved;
    (void)!WriteFile(reports, "", 1, &moved);
}

static uint32_t MakeCalls(void *argument)
{
    uint64_t state = (firstSeed + 1) * 0x9E3779B97F4A7C15ull + (uintptr_t)argument * 7919;
    for (uint32_t i = 0; i < callsPerThread; i++) {
        uint64_t number = Next(&state) % (SystemCallCount + 1), a[ARGUMENTS];
        for (size_t k = 0; k < ARGUMENTS; k++)
            a[k] = Argument(&state);
        if (OneIn(&state, 4))
            Collect(&state);
        if (Temper(number, a, &state))
            (void)!RawCall(number, a[0], a[1], a[2], a[3], a[4], 0); // any answer will do
        if ((i + 1) % REPORT_CALLS == 0)
            Report();
    }
    __atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
    return 0;
}

void RunCalls(uint64_t seed, uint32_t calls, uint32_t time)
{
    firstSeed = seed;
    callsPerThread = calls;
    (void)!SetCurrentDirectory(STRESS_FOLDER); // somewhere else is as good
    for (int i = 0; i < 8; i++)
        (void)!DuplicateHandle(CurrentProcess, GetStandardHandle(StandardOutput), CurrentProcess,
                               &reports, 0, DuplicateSameAccess);
    for (size_t i = 0; i < THREADS; i++) {
        Handle thread;
        if (CreateThread(MakeCalls, (void *)i, 0, &thread) != StatusSuccess)
            ExitProcess(1);
    }
    for (uint64_t start = GetTickCount(); finished < THREADS && GetTickCount() - start < time;)
        Sleep(10);
    ExitProcess(finished == THREADS ? 0 : 2);
}
