// locks.c - locks in user memory, which cost no system call while nobody has to wait; lists of
// processes and threads, their counters, and the end of single threads.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

constexpr uint32_t Long = 20000; // milliseconds that must not pass
constexpr int Rounds = 1000;

static uint64_t CountCalls(void)
{
    ThreadInfo info = {};
    (void)GetThreadInfo(CurrentThread, &info);
    return info.SystemCalls;
}

// Calls the thread makes in `statement`, Rounds times.
#define CALLS(statement)                                                                           \
    ({                                                                                             \
        uint64_t before = CountCalls();                                                            \
        for (int i = 0; i < Rounds; i++) {                                                         \
            statement;                                                                             \
        }                                                                                          \
        CountCalls() - before - 1; /* the one that tells the count */                              \
    })

static void TestUncontended(void)
{
    SrwLock srw = {};
    CriticalSection section = {};
    ConditionVariable condition = {};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    char text[16];
    FILE *file = fopen(FOLDER "/locks", "w");
    CHECK(file != nullptr && setvbuf(file, nullptr, _IOFBF, 65536) == 0);
    fputc('x', file);
    EQUAL(CALLS((void)WakeByAddress((uint32_t[]){0}, 1)), Rounds); // calls are counted
    EQUAL(CALLS(AcquireSrwLockExclusive(&srw); ReleaseSrwLockExclusive(&srw)), 0);
    EQUAL(CALLS(AcquireSrwLockShared(&srw); ReleaseSrwLockShared(&srw)), 0);
    EQUAL(CALLS(EnterCriticalSection(&section); EnterCriticalSection(&section);
                LeaveCriticalSection(&section); LeaveCriticalSection(&section)),
          0);
    EQUAL(CALLS(WakeConditionVariable(&condition); WakeAllConditionVariable(&condition)), 0);
    EQUAL(CALLS(pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex)), 0);
    EQUAL(CALLS(pthread_rwlock_wrlock(&rwlock); pthread_rwlock_unlock(&rwlock)), 0);
    EQUAL(CALLS(pthread_cond_signal(&cond); pthread_cond_broadcast(&cond)), 0);
    EQUAL(CALLS(fputc('x', file)), 0);
    EQUAL(CALLS(free(malloc(100))), 0);
    EQUAL(CALLS((void)GetCurrentThreadId(); (void)GetCurrentProcessId()), 0);
    EQUAL(CALLS(snprintf(text, sizeof text, "%d", i)), 0);
    fclose(file);
}

// ---- contended: counters that go wrong when two are inside.
typedef struct Contest {
    SrwLock Srw;
    CriticalSection Section;
    volatile unsigned Shared, Sharers;
    volatile bool Wrong;
} Contest;

static uint32_t FightOverSrw(void *argument)
{
    Contest *contest = argument;
    for (int i = 0; i < Rounds; i++) {
        if (i % 4 != 0) {
            AcquireSrwLockShared(&contest->Srw);
            unsigned value = contest->Shared;
            if (i % 32 == 1)
                Sleep(0);
            if (contest->Shared != value)
                contest->Wrong = true;
            ReleaseSrwLockShared(&contest->Srw);
        } else {
            AcquireSrwLockExclusive(&contest->Srw);
            unsigned value = contest->Shared;
            if (i % 32 == 0)
                Sleep(0);
            contest->Shared = value + 1;
            ReleaseSrwLockExclusive(&contest->Srw);
        }
    }
    return 0;
}

static uint32_t FightOverSection(void *argument)
{
    Contest *contest = argument;
    for (int i = 0; i < Rounds; i++) {
        EnterCriticalSection(&contest->Section);
        if (TryEnterCriticalSection(&contest->Section)) {
            unsigned value = contest->Shared;
            if (i % 32 == 0)
                Sleep(0);
            contest->Shared = value + 1;
            LeaveCriticalSection(&contest->Section);
        } else {
            contest->Wrong = true;
        }
        LeaveCriticalSection(&contest->Section);
    }
    return 0;
}

static void Fight(ThreadEntry entry, unsigned expected)
{
    Contest contest = {};
    Handle threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(entry, &contest, 0, &threads[i]));
    OK(WaitForMultipleObjects(COUNT_OF(threads), threads, true, 60000, nullptr));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        OK(CloseHandle(threads[i]));
    CHECK(!contest.Wrong);
    EQUAL(contest.Shared, expected);
    EQUAL(contest.Srw.State, 0);
    EQUAL(contest.Section.State, 0);
}

static SrwLock tried;

static uint32_t TryIt(void *argument)
{
    uint32_t exclusive = TryAcquireSrwLockExclusive(&tried);
    if (exclusive)
        ReleaseSrwLockExclusive(&tried);
    uint32_t shared = TryAcquireSrwLockShared(&tried);
    if (shared)
        ReleaseSrwLockShared(&tried);
    return exclusive * 2 + shared;
}

static uint32_t FromThread(ThreadEntry entry, void *argument)
{
    Handle thread;
    uint32_t code = 99;
    NEEDED(CreateThread(entry, argument, 0, &thread));
    OK(WaitForSingleObject(thread, Long));
    OK(GetThreadExitCode(thread, &code));
    OK(CloseHandle(thread));
    return code;
}

static uint32_t TrySection(void *argument)
{
    CriticalSection *section = argument;
    if (!TryEnterCriticalSection(section))
        return 0;
    LeaveCriticalSection(section);
    return 1;
}

static void TestTrying(void)
{
    CriticalSection section = {};
    EQUAL(FromThread(TryIt, nullptr), 3);
    AcquireSrwLockShared(&tried);
    EQUAL(FromThread(TryIt, nullptr), 1);
    ReleaseSrwLockShared(&tried);
    AcquireSrwLockExclusive(&tried);
    EQUAL(FromThread(TryIt, nullptr), 0);
    ReleaseSrwLockExclusive(&tried);
    EQUAL(FromThread(TrySection, &section), 1);
    EnterCriticalSection(&section);
    EQUAL(FromThread(TrySection, &section), 0);
    LeaveCriticalSection(&section);
    EQUAL(FromThread(TrySection, &section), 1);
}

// ---- condition variables: a queue of one between producer and consumers.
typedef struct Slot {
    CriticalSection Section;
    SrwLock Srw;
    ConditionVariable Full, Empty;
    bool UseSrw;
    unsigned Value; // 0: empty
    unsigned Sum;
} Slot;

static void Lock(Slot *slot)
{
    if (slot->UseSrw)
        AcquireSrwLockExclusive(&slot->Srw);
    else
        EnterCriticalSection(&slot->Section);
}

static void Unlock(Slot *slot)
{
    if (slot->UseSrw)
        ReleaseSrwLockExclusive(&slot->Srw);
    else
        LeaveCriticalSection(&slot->Section);
}

static Status SleepOnSlot(Slot *slot, ConditionVariable *condition, uint32_t timeout)
{
    return slot->UseSrw ? SleepConditionVariableSrw(condition, &slot->Srw, false, timeout)
                        : SleepConditionVariable(condition, &slot->Section, timeout);
}

static uint32_t Consume(void *argument)
{
    Slot *slot = argument;
    for (int i = 0; i < 200; i++) {
        Lock(slot);
        while (slot->Value == 0)
            if (SleepOnSlot(slot, &slot->Full, Long) != StatusSuccess) {
                Unlock(slot);
                return 1;
            }
        slot->Sum += slot->Value;
        slot->Value = 0;
        Unlock(slot);
        WakeConditionVariable(&slot->Empty);
    }
    return 0;
}

static void TestConditions(bool useSrw)
{
    Slot slot = {.UseSrw = useSrw};
    Handle threads[2];
    Lock(&slot);
    STATUS(SleepOnSlot(&slot, &slot.Full, 10), StatusTimeout);
    Unlock(&slot);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(Consume, &slot, 0, &threads[i]));
    for (unsigned i = 1; i <= 400; i++) {
        Lock(&slot);
        while (slot.Value != 0)
            if (!OK(SleepOnSlot(&slot, &slot.Empty, Long)))
                break;
        slot.Value = i;
        Unlock(&slot);
        WakeAllConditionVariable(&slot.Full);
    }
    OK(WaitForMultipleObjects(2, threads, true, Long, nullptr));
    EQUAL(slot.Sum, 400 * 401 / 2);
    EQUAL(slot.Full.Waiters + slot.Empty.Waiters, 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        OK(CloseHandle(threads[i]));
}

void TestLocks(void)
{
    TestUncontended();
    Fight(FightOverSrw, 4 * Rounds / 4);
    Fight(FightOverSection, 4 * Rounds);
    TestTrying();
    TestConditions(false);
    TestConditions(true);
}

// ---- processes and threads of the system

static const ProcessInfo *FindProcess(const ProcessInfo *list, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].ProcessId == id)
            return &list[i];
    return nullptr;
}

static void TestProcessList(void)
{
    static ProcessInfo list[64];
    SystemInfo system;
    ProcessInfo info;
    size_t count = 0, again = 0;
    Handle child, opened;
    OK(ListProcesses(nullptr, 0, &count));
    OK(GetSystemInfo(&system));
    EQUAL(count, system.ProcessCount);
    NEEDED(StartChild("sleep 60000", InvalidHandle, InvalidHandle, InvalidHandle, &child));
    OK(GetProcessInfo(child, &info));
    OK(ListProcesses(list, COUNT_OF(list), &again));
    EQUAL(again, count + 1);
    for (size_t i = 1; i < again; i++)
        CHECK(list[i - 1].ProcessId < list[i].ProcessId);
    const ProcessInfo *self = FindProcess(list, again, GetCurrentProcessId());
    const ProcessInfo *other = FindProcess(list, again, info.ProcessId);
    CHECK(self && !strcmp(self->Name, "apitest.exe"));
    CHECK(other && other->ParentProcessId == GetCurrentProcessId());
    OK(ListProcesses(list, 1, &again)); // only one fits
    EQUAL(again, count + 1);
    STATUS(ListProcesses(nullptr, 1, &again), StatusInvalidAddress);
    STATUS(OpenProcess(0, AccessQuery, &opened), StatusNotFound);
    STATUS(OpenProcess(0xFFFFFFF0u, AccessQuery, &opened), StatusNotFound);
    OK(OpenProcess(info.ProcessId, AccessQuery | AccessWait, &opened));
    STATUS(TerminateProcess(opened, 1), StatusAccessDenied);
    OK(CloseHandle(opened));
    OK(OpenProcess(info.ProcessId, AccessTerminate | AccessWait, &opened));
    OK(TerminateProcess(opened, 31));
    OK(WaitForSingleObject(opened, Long));
    OK(CloseHandle(opened));
    EQUAL(EndChild(child), 31);
    STATUS(OpenProcess(info.ProcessId, AccessQuery, &opened), StatusNotFound);
}

static uint32_t WaitForEvent(void *argument)
{
    return WaitForSingleObject(*(Handle *)argument, Long) == StatusSuccess ? 6 : 7;
}

static void TestThreadList(void)
{
    static ThreadInfo list[32];
    ThreadInfo info;
    ProcessInfo process;
    Handle event, thread, opened;
    size_t count;
    uint32_t code;
    NEEDED(CreateEvent(false, false, &event));
    NEEDED(CreateThread(WaitForEvent, &event, 0, &thread));
    do { // until it waits
        Sleep(1);
        OK(GetThreadInfo(thread, &info));
    } while (info.State != ThreadIsWaiting);
    EQUAL(info.ProcessId, GetCurrentProcessId());
    EQUAL(info.Priority, 8);
    CHECK(info.SystemCalls >= 1 && info.ContextSwitches >= 1);
    OK(ListThreads(CurrentProcess, list, COUNT_OF(list), &count));
    OK(GetProcessInfo(CurrentProcess, &process));
    EQUAL(count, process.ThreadCount);
    EQUAL(count, 2);
    EQUAL(list[0].ThreadId, GetCurrentThreadId());
    EQUAL(list[0].State, ThreadIsRunning);
    EQUAL(list[1].ThreadId, info.ThreadId);
    OK(ListThreads(CurrentProcess, nullptr, 0, &count));
    EQUAL(count, 2);
    STATUS(OpenThread(0, AccessQuery, &opened), StatusNotFound);
    OK(OpenThread(info.ThreadId, AccessWait, &opened));
    STATUS(TerminateThread(opened, 1), StatusAccessDenied);
    OK(SetEvent(event));
    OK(WaitForSingleObject(opened, Long));
    OK(CloseHandle(opened));
    OK(GetThreadInfo(thread, &info));
    EQUAL(info.State, ThreadHasEnded);
    EQUAL(info.ExitCode, 6);
    OK(TerminateThread(thread, 9)); // too late
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, 6);
    OK(CloseHandle(thread));
    OK(CloseHandle(event));
}

static uint32_t SpinForEver(void *argument)
{
    for (;;)
        ++*(volatile unsigned *)argument;
}

static uint32_t EndItself(void *argument)
{
    (void)TerminateThread(CurrentThread, 77);
    return 1;
}

static void TestTermination(void)
{
    static volatile unsigned spun;
    Handle event, threads[3];
    uint32_t code;
    ProcessInfo before, after;
    OK(GetProcessInfo(CurrentProcess, &before));
    NEEDED(CreateEvent(false, false, &event));
    NEEDED(CreateThread(SpinForEver, (void *)&spun, 0, &threads[0])); // in user mode
    NEEDED(CreateThread(WaitForEvent, &event, 0, &threads[1]));       // in a wait
    NEEDED(CreateThread(EndItself, nullptr, 0, &threads[2]));
    while (spun == 0)
        Sleep(1);
    OK(TerminateThread(threads[0], 70));
    OK(TerminateThread(threads[1], 71));
    OK(WaitForMultipleObjects(3, threads, true, Long, nullptr));
    static const uint32_t codes[] = {70, 71, 77};
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, codes[i]);
        OK(CloseHandle(threads[i]));
    }
    OK(CloseHandle(event));
    OK(GetProcessInfo(CurrentProcess, &after));
    EQUAL(after.ThreadCount, before.ThreadCount);
    EQUAL(after.HandleCount, before.HandleCount);
    // The last thread takes its process along.
    EQUAL(RunChild("endthread"), 78);
}

// Time in user mode and in the kernel, faults, calls, transfers.
static void TestCounters(void)
{
    enum { Pages = 64 };
    ProcessInfo a, b;
    Handle file;
    size_t moved;
    OK(GetProcessInfo(CurrentProcess, &a));
    volatile uint64_t x = 1;
    for (int i = 0; i < 20000000; i++)
        x = x * 3 + 1;
    OK(GetProcessInfo(CurrentProcess, &b));
    uint64_t user = b.UserTime - a.UserTime, kernel = b.KernelTime - a.KernelTime;
    CHECK(user > 1000000 && kernel < user / 2);
    EQUAL(b.SystemCalls - a.SystemCalls, 1);
    for (int i = 0; i < 100000; i++)
        (void)ResetEvent(InvalidHandle);
    OK(GetProcessInfo(CurrentProcess, &a));
    user = a.UserTime - b.UserTime, kernel = a.KernelTime - b.KernelTime;
    CHECK(kernel > user / 4 && kernel > 1000000);
    EQUAL(a.SystemCalls - b.SystemCalls, 100001);
    struct timespec time = {};
    ThreadInfo thread;
    EQUAL(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
    OK(GetThreadInfo(CurrentThread, &thread));
    uint64_t used = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    CHECK(used > 2000000 && used <= thread.KernelTime + thread.UserTime);
    void *memory = nullptr;
    OK(VirtualAlloc(&memory, Pages * 4096, MemoryReadWrite));
    for (int i = 0; i < Pages; i++)
        ((volatile char *)memory)[i * 4096] = 1;
    OK(VirtualFree(memory));
    OK(GetProcessInfo(CurrentProcess, &b));
    CHECK(b.PageFaults - a.PageFaults >= Pages && b.PageFaults - a.PageFaults < 2 * Pages);
    OK(CreateFile(FOLDER "/counted", FileRead | FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, &a, 100, &moved));
    OK(WriteFile(file, &a, 50, &moved));
    OK(SetFilePointer(file, 0, FileBegin, nullptr));
    OK(ReadFile(file, &a, sizeof a, &moved));
    STATUS(ReadFile(file, &a, sizeof a, &moved), StatusEndOfFile);
    OK(CloseHandle(file));
    OK(GetProcessInfo(CurrentProcess, &a));
    EQUAL(a.WriteCount - b.WriteCount, 2);
    EQUAL(a.WriteBytes - b.WriteBytes, 150);
    EQUAL(a.ReadCount - b.ReadCount, 1);
    EQUAL(a.ReadBytes - b.ReadBytes, 150);
}

void TestLists(void)
{
    TestProcessList();
    TestThreadList();
    TestTermination();
    TestCounters();
}
