// threads.c - threads, thread-local data, and what a thread keeps for itself.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

static uint32_t ReturnArgument(void *argument)
{
    return (uint32_t)(uintptr_t)argument;
}

static uint32_t ExitWithArgument(void *argument)
{
    ExitThread((uint32_t)(uintptr_t)argument);
}

static uint32_t WaitThenReturn(void *argument)
{
    (void)WaitForSingleObject(*(Handle *)argument, 10000);
    return 21;
}

static uint32_t UseStack(void *argument)
{
    volatile char big[512 * 1024]; // probed page by page on the way down
    big[0] = 1;
    big[sizeof big - 1] = 2;
    return (uint32_t)(big[0] + big[sizeof big - 1]);
}

static void RunThread(ThreadEntry entry, void *argument, size_t stack, uint32_t expected)
{
    Handle thread;
    uint32_t code = 0xDEAD;
    if (!NEEDED(CreateThread(entry, argument, stack, &thread)))
        return;
    OK(WaitForSingleObject(thread, 10000));
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, expected);
    OK(CloseHandle(thread));
}

static void TestLifeTime(void)
{
    Handle event, thread;
    uint32_t code = 77;
    RunThread(ReturnArgument, (void *)0x12345678, 0, 0x12345678);
    RunThread(ReturnArgument, (void *)0xFFFFFFFF, 0, 0xFFFFFFFF);
    RunThread(ExitWithArgument, (void *)5, 65536, 5);
    RunThread(UseStack, nullptr, 0, 3);
    RunThread(UseStack, nullptr, 4 << 20, 3);
    NEEDED(CreateEvent(false, false, &event));
    NEEDED(CreateThread(WaitThenReturn, &event, 0, &thread));
    STATUS(GetThreadExitCode(thread, &code), StatusWouldBlock);
    EQUAL(code, 77);
    STATUS(WaitForSingleObject(thread, 5), StatusTimeout);
    OK(SetThreadPriority(thread, 15));
    OK(SetThreadPriority(thread, 1));
    STATUS(SetThreadPriority(thread, 0), StatusInvalidParameter);
    STATUS(SetThreadPriority(thread, 16), StatusInvalidParameter);
    OK(SetThreadPriority(CurrentThread, 8));
    OK(SetEvent(event));
    OK(WaitForSingleObject(thread, 10000));
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, 21);
    OK(CloseHandle(thread));
    OK(CloseHandle(event));
    STATUS(CreateThread(nullptr, nullptr, 0, &thread), StatusInvalidParameter);
    CHECK(CreateThread(ReturnArgument, nullptr, SIZE_MAX, &thread) != StatusSuccess);
    CHECK(CreateThread(ReturnArgument, nullptr, 1ull << 46, &thread) != StatusSuccess);
}

// A thread runs where it may; the processors count what they do.
static uint32_t SpinOn(void *argument)
{
    const volatile uint32_t *stop = argument;
    while (*stop == 0)
        ;
    return 0;
}

static void TestProcessors(void)
{
    SystemInfo system;
    ProcessorInfo before, after;
    ThreadInfo thread;
    Handle spinner;
    static volatile uint32_t stop;
    OK(GetSystemInfo(&system));
    uint64_t all = system.ProcessorCount == 64 ? ~0ull : (1ull << system.ProcessorCount) - 1;
    for (uint32_t i = 0; i < system.ProcessorCount; i++) {
        OK(SetThreadAffinity(CurrentThread, 1ull << i));
        OK(GetProcessorInfo(CurrentProcessor, &before));
        EQUAL(before.Number, i);
        OK(GetThreadInfo(CurrentThread, &thread));
        EQUAL(thread.Affinity, 1ull << i);
        EQUAL(thread.Processor, i);
        Sleep(1);
        OK(GetProcessorInfo(i, &after));
        CHECK(after.ContextSwitches > before.ContextSwitches && after.UpTime > before.UpTime);
        CHECK(after.IdleTime >= before.IdleTime && after.IdleTime <= after.UpTime);
    }
    STATUS(SetThreadAffinity(CurrentThread, 0), StatusInvalidParameter);
    if (~all != 0)
        STATUS(SetThreadAffinity(CurrentThread, ~all), StatusInvalidParameter);
    STATUS(GetProcessorInfo(system.ProcessorCount, &after), StatusInvalidParameter);
    OK(SetThreadAffinity(CurrentThread, all));
    NEEDED(CreateThread(SpinOn, (void *)&stop, 0, &spinner));
    for (uint32_t i = 0; i < system.ProcessorCount; i++) { // moved while it runs or is ready
        OK(SetThreadAffinity(spinner, 1ull << i));
        do { // until it has a turn there
            OK(GetThreadInfo(spinner, &thread));
            Sleep(1);
        } while (thread.Processor != i);
    }
    stop = 1;
    OK(WaitForSingleObject(spinner, 10000));
    OK(CloseHandle(spinner));
}

// Threads come and go without leaving memory or handles behind.
static void TestManyThreads(void)
{
    SystemInfo before, after;
    ProcessInfo processBefore, processAfter;
    for (int i = 0; i < 20; i++)
        RunThread(ReturnArgument, (void *)1, 0, 1);
    OK(GetSystemInfo(&before));
    OK(GetProcessInfo(CurrentProcess, &processBefore));
    for (int i = 0; i < 200; i++)
        RunThread(ReturnArgument, (void *)2, 0, 2);
    OK(GetSystemInfo(&after));
    OK(GetProcessInfo(CurrentProcess, &processAfter));
    EQUAL(processAfter.HandleCount, processBefore.HandleCount);
    EQUAL(processAfter.ThreadCount, processBefore.ThreadCount);
    CHECK(processAfter.CommittedMemory <= processBefore.CommittedMemory + (1 << 20));
    // What has ended is given back by another thread; the disk's cache grows as it likes.
    uint64_t wanted = before.FreeMemory + before.CacheMemory - (2 << 20);
    for (int i = 0; i < 2000 && after.FreeMemory + after.CacheMemory < wanted; i++) {
        Sleep(1);
        OK(GetSystemInfo(&after));
    }
    CHECK(after.FreeMemory + after.CacheMemory >= wanted);
    Handle threads[50];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(ReturnArgument, (void *)i, 65536, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        uint32_t code = 0;
        OK(WaitForSingleObject(threads[i], 10000));
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, i);
        OK(CloseHandle(threads[i]));
    }
}

// Threads of different priority: both get on.
static volatile uint32_t spun[2];
static volatile bool stop;

static uint32_t Spin(void *argument)
{
    while (!stop)
        spun[(uintptr_t)argument]++;
    return 0;
}

static void TestPreemption(void)
{
    Handle threads[2];
    stop = false;
    for (uintptr_t i = 0; i < 2; i++)
        NEEDED(CreateThread(Spin, (void *)i, 0, &threads[i]));
    Sleep(200);
    stop = true;
    for (size_t i = 0; i < 2; i++) {
        OK(WaitForSingleObject(threads[i], 10000));
        OK(CloseHandle(threads[i]));
    }
    CHECK(spun[0] > 0 && spun[1] > 0);
}

// ---- the C library in several threads

static uint32_t SetErrno(void *argument)
{
    errno = (int)(uintptr_t)argument;
    Sleep(20);
    return errno == (int)(uintptr_t)argument;
}

static uint32_t FormatTime(void *argument)
{
    char text[64];
    time_t zero = 0;
    struct tm parts;
    gmtime_r(&zero, &parts);
    strftime(text, sizeof text, "%A %B", &parts); // reads the thread's locale
    return !strcmp(text, "Thursday January");
}

static FILE *shared;

static uint32_t PrintLines(void *argument)
{
    for (int i = 0; i < 500; i++)
        fprintf(shared, "%c%c%c%c%c%c%c%c\n", 'A' + (int)(uintptr_t)argument, 'a', 'b', 'c', 'd',
                'e', 'f', 'g');
    return 1;
}

static void TestSharedStream(void)
{
    Handle threads[4];
    char line[32];
    int lines = 0, bad = 0;
    shared = fopen(FOLDER "/shared.txt", "w");
    if (!CHECK(shared))
        return;
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(PrintLines, (void *)i, 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        OK(WaitForSingleObject(threads[i], 60000));
        OK(CloseHandle(threads[i]));
    }
    fclose(shared);
    shared = fopen(FOLDER "/shared.txt", "r");
    while (shared && fgets(line, sizeof line, shared)) {
        lines++;
        bad += line[0] < 'A' || line[0] > 'D' || strcmp(line + 1, "abcdefg\n") != 0;
    }
    EQUAL(lines, 2000);
    EQUAL(bad, 0);
    if (shared)
        fclose(shared);
}

static uint32_t AllocateMuch(void *argument)
{
    static const size_t sizes[] = {1, 24, 100, 1000, 5000, 70000, 300000};
    unsigned char *blocks[32] = {};
    unsigned random = (unsigned)(uintptr_t)argument * 2654435761u + 1;
    for (int i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;
        size_t slot = random >> 27, size = sizes[(random >> 8) % COUNT_OF(sizes)];
        if (blocks[slot] && blocks[slot][0] != (unsigned char)slot)
            return 0;
        free(blocks[slot]);
        blocks[slot] = malloc(size);
        if (!blocks[slot])
            return 0;
        blocks[slot][0] = (unsigned char)slot;
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        free(blocks[i]);
    return 1;
}

void TestThreads(void)
{
    TestLifeTime();
    TestProcessors();
    TestManyThreads();
    TestPreemption();
    RunThread(SetErrno, (void *)17, 0, 1);
    errno = 3;
    RunThread(SetErrno, (void *)18, 0, 1);
    EQUAL(errno, 3);
    RunThread(FormatTime, nullptr, 0, 1);
    TestSharedStream();
    Handle threads[4];
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(AllocateMuch, (void *)i, 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        uint32_t code = 0;
        OK(WaitForSingleObject(threads[i], 60000));
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, 1);
        OK(CloseHandle(threads[i]));
    }
}

// ---- thread-local data

static _Thread_local int counter = 1000;
static _Thread_local char zeros[5000];
static _Thread_local _Alignas(64) struct {
    int Value;
} aligned = {5};

static uint32_t UseLocals(void *argument)
{
    bool fresh = counter == 1000 && zeros[0] == 0 && zeros[4999] == 0 && aligned.Value == 5;
    counter += (int)(uintptr_t)argument;
    memset(zeros, 0x55, sizeof zeros);
    Sleep(10);
    return fresh && counter == 1000 + (int)(uintptr_t)argument && ((uintptr_t)&aligned & 63) == 0;
}

void TestTls(void)
{
    Handle threads[8];
    counter = 1;
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(UseLocals, (void *)(i + 1), 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        uint32_t code = 0;
        OK(WaitForSingleObject(threads[i], 10000));
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, 1);
        OK(CloseHandle(threads[i]));
    }
    EQUAL(counter, 1);
    EQUAL(zeros[0], 0);
    EQUAL((uintptr_t)&aligned & 63, 0);
}

// ---- registers: each thread keeps its own while the others compute

static uint32_t Compute(void *argument)
{
    double seed = (double)(uintptr_t)argument, x[10];
    for (int i = 0; i < 10; i++)
        x[i] = seed + i;
    for (int round = 0; round < 20000; round++) {
        for (int i = 0; i < 10; i++)
            x[i] = x[i] * 1.0000001 + seed / 3;
        if (round % 500 == 0)
            Sleep(0);
    }
    double sum = 0;
    for (int i = 0; i < 10; i++)
        sum += x[i];
    return (uint32_t)(uint64_t)sum;
}

static uint32_t KeepVectors(void *argument)
{
    uint64_t value = 0x0101010101010101ull * (uint64_t)(uintptr_t)argument, low = value, ok = 1;
    for (int round = 0; round < 200 && ok; round++) {
        uint64_t got0, got15;
        __asm__ volatile("movq %0, %%xmm0\n movq %0, %%xmm15" : : "r"(low) : "xmm0", "xmm15");
        for (volatile int spin = 0; spin < 20000; spin++) {}
        __asm__ volatile("movq %%xmm0, %0\n movq %%xmm15, %1" : "=r"(got0), "=r"(got15));
        ok = got0 == value && got15 == value;
        if (round % 20 == 0)
            Sleep(1);
    }
    return (uint32_t)ok;
}

static uint32_t SetRounding(void *argument)
{
    int mode = (int)(uintptr_t)argument;
    fesetround(mode);
    for (int i = 0; i < 20; i++) {
        Sleep(1);
        if (fegetround() != mode)
            return 0;
    }
    return 1;
}

static void RunTogether(ThreadEntry entry, const uintptr_t *arguments, size_t count,
                        uint32_t expected)
{
    Handle threads[8];
    for (size_t i = 0; i < count; i++)
        NEEDED(CreateThread(entry, (void *)arguments[i], 0, &threads[i]));
    for (size_t i = 0; i < count; i++) {
        uint32_t code = 0;
        OK(WaitForSingleObject(threads[i], 60000));
        OK(GetThreadExitCode(threads[i], &code));
        if (expected)
            EQUAL(code, expected);
        else
            EQUAL(code, entry((void *)arguments[i]));
        OK(CloseHandle(threads[i]));
    }
}

void TestFpu(void)
{
    static const uintptr_t seeds[] = {1, 2, 3, 4};
    static const uintptr_t modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    RunTogether(Compute, seeds, COUNT_OF(seeds), 0);
    RunTogether(KeepVectors, seeds, COUNT_OF(seeds), 1);
    RunTogether(SetRounding, modes, COUNT_OF(modes), 1);
    EQUAL(fegetround(), FE_TONEAREST);
    // A system call leaves the callee-saved vector registers alone.
    uint64_t kept;
    __asm__ volatile("movq %0, %%xmm9" : : "r"(0x1122334455667788ull) : "xmm9");
    Sleep(5);
    __asm__ volatile("movq %%xmm9, %0" : "=r"(kept));
    EQUAL(kept, 0x1122334455667788ull);
}

// ---- POSIX and C11 threads

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int sharedCount;
static pthread_key_t key;
static int destroyed;

static void *Increment(void *argument)
{
    pthread_setspecific(key, argument);
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        sharedCount++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    return pthread_getspecific(key);
}

static void Destroy(void *value)
{
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED);
}

static int C11Thread(void *argument)
{
    return *(int *)argument + 1;
}

static once_flag once = ONCE_FLAG_INIT;
static int onceCount;
static void Once(void)
{
    onceCount++;
}

void TestPthreads(void)
{
    pthread_t threads[4];
    EQUAL(pthread_key_create(&key, Destroy), 0);
    for (uintptr_t i = 0; i < 4; i++)
        NEEDED(pthread_create(&threads[i], nullptr, Increment, (void *)(i + 1)) == 0
                   ? StatusSuccess
                   : StatusNoMemory);
    pthread_mutex_lock(&mutex);
    while (sharedCount < 4000 && sharedCount >= 0) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 20;
        if (pthread_cond_timedwait(&condition, &mutex, &end))
            break;
    }
    pthread_mutex_unlock(&mutex);
    for (uintptr_t i = 0; i < 4; i++) {
        void *result = nullptr;
        EQUAL(pthread_join(threads[i], &result), 0);
        EQUAL((uintptr_t)result, i + 1);
    }
    EQUAL(sharedCount, 4000);
    EQUAL(destroyed, 4);
    EQUAL(pthread_key_delete(key), 0);
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += 50000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&mutex);
    EQUAL(pthread_cond_timedwait(&condition, &mutex, &end), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sharedCount = 0;
    NEEDED(pthread_create(&threads[0], &attributes, Increment, nullptr) == 0 ? StatusSuccess
                                                                             : StatusNoMemory);
    for (int i = 0; i < 500 && sharedCount < 1000; i++)
        Sleep(10);
    EQUAL(sharedCount, 1000);
    thrd_t thread;
    int value = 41, result = 0;
    EQUAL(thrd_create(&thread, C11Thread, &value), thrd_success);
    EQUAL(thrd_join(thread, &result), thrd_success);
    EQUAL(result, 42);
    call_once(&once, Once);
    call_once(&once, Once);
    EQUAL(onceCount, 1);
}
