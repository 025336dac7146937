// selftest.c - tries the core at boot in checked builds: waits and their time-outs, handing over of
// signals, priorities and time slices, timers, DPCs, work items, the ends of threads. What the
// native tests cannot: real interrupts and real context switches. A failed expectation is an
// assertion, so it stops the machine with its line.
// SPDX-License-Identifier: MIT
#include "ki.h"

#ifdef METALOS_CHECKED

#define STACK_SIZE   16384u
#define MILLISECOND  1000000ull
#define TEST_THREADS 4
#define ROUNDS       1000

static struct {
    KThread Thread;
    uint8_t Stack[STACK_SIZE] __attribute__((aligned(16)));
    KEvent Cleaned;
} Threads[TEST_THREADS];

static KEvent Ping, Pong, Done;
static KMutex Mutex;
static volatile uint32_t Shared;
static volatile bool Stop;

static void Cleaned(KThread *thread)
{
    for (size_t i = 0; i < TEST_THREADS; i++)
        if (&Threads[i].Thread == thread)
            KeSetEvent(&Threads[i].Cleaned);
}

static void StartTestThread(size_t index, uint8_t priority, void (*entry)(void *), void *context)
{
    KThreadParameters parameters = {
        .Entry = entry,
        .Context = context,
        .KernelStackLimit = Threads[index].Stack,
        .KernelStackSize = STACK_SIZE,
        .Priority = priority,
        .Name = "self test",
        .Cleanup = Cleaned,
    };
    KeInitializeEvent(&Threads[index].Cleaned, true, false);
    Status status = KeInitializeThread(&Threads[index].Thread, &parameters, nullptr);
    KE_ASSERT(status == StatusSuccess);
    KeStartThread(&Threads[index].Thread);
}

static void JoinTestThread(size_t index)
{
    // A busy host runs processors by turns: what needs all of them at once, flushes, takes long.
    constexpr uint64_t patience = 60000 * MILLISECOND;
    KE_ASSERT(KeWaitForObject(&Threads[index].Thread, KernelWait, patience) == StatusSuccess);
    KE_ASSERT(KeWaitForObject(&Threads[index].Cleaned, KernelWait, patience) == StatusSuccess);
}

static void TestTimeOuts(void)
{
    KEvent event;
    KeInitializeEvent(&event, false, false);
    KE_ASSERT(KeWaitForObject(&event, KernelWait, 0) == StatusTimeout);
    uint64_t start = KeQueryTime();
    KE_ASSERT(KeWaitForObject(&event, KernelWait, 2 * MILLISECOND) == StatusTimeout);
    uint64_t waited = KeQueryTime() - start;
    KE_ASSERT(waited >= 2 * MILLISECOND && waited < 1000 * MILLISECOND);
    KeSetEvent(&event);
    KE_ASSERT(KeWaitForObject(&event, KernelWait, 0) == StatusSuccess);
    KE_ASSERT(KeWaitForObject(&event, KernelWait, 0) == StatusTimeout); // auto-reset: taken once
}

static void Answer(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        (void)KeWaitForObject(&Ping, KernelWait, KE_INFINITE);
        KeSetEvent(&Pong);
    }
}

static void TestPingPong(void)
{
    KeInitializeEvent(&Ping, false, false);
    KeInitializeEvent(&Pong, false, false);
    StartTestThread(0, KePriorityNormal, Answer, nullptr);
    uint64_t start = HalReadTsc();
    for (int i = 0; i < ROUNDS; i++) {
        KeSetEvent(&Ping);
        KE_ASSERT(KeWaitForObject(&Pong, KernelWait, 1000 * MILLISECOND) == StatusSuccess);
    }
    uint64_t ticks = HalReadTsc() - start;
    JoinTestThread(0);
    KeLog(LogDebug, "self test: event ping-pong, %llu TSC ticks a switch", ticks / (2 * ROUNDS));
}

static void AddUnderMutex(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        KeAcquireMutex(&Mutex);
        KeAcquireMutex(&Mutex);
        uint32_t value = Shared;
        if (i % 16 == 0)
            KeYield();
        Shared = value + 1;
        KeReleaseMutex(&Mutex);
        KeReleaseMutex(&Mutex);
    }
}

static void TestMutex(void)
{
    KeInitializeMutex(&Mutex, LockRankDevice);
    Shared = 0;
    for (size_t i = 0; i < TEST_THREADS; i++)
        StartTestThread(i, KePriorityNormal, AddUnderMutex, nullptr);
    for (size_t i = 0; i < TEST_THREADS; i++)
        JoinTestThread(i);
    KE_ASSERT(Shared == TEST_THREADS * ROUNDS);
}

static void Spin(void *context)
{
    while (!Stop)
        ++*(volatile uint64_t *)context;
}

// Two equals that never wait share the processor, and a better thread gets it at once.
static void TestTimeSlices(void)
{
    static volatile uint64_t counts[2];
    counts[0] = counts[1] = 0;
    Stop = false;
    StartTestThread(0, KePriorityUserLow, Spin, (void *)&counts[0]);
    StartTestThread(1, KePriorityUserLow, Spin, (void *)&counts[1]);
    uint64_t start = KeQueryTime();
    while ((counts[0] == 0 || counts[1] == 0) && KeQueryTime() - start < 1000 * MILLISECOND)
        (void)KeDelay(KernelWait, 2 * MILLISECOND);
    Stop = true;
    JoinTestThread(0);
    JoinTestThread(1);
    KE_ASSERT(counts[0] != 0 && counts[1] != 0);
}

// A thread below one that never waits still gets its turn.
static void TestStarvation(void)
{
    static volatile uint64_t counts[2];
    counts[0] = counts[1] = 0;
    Stop = false;
    StartTestThread(0, KePriorityNormal - 1, Spin, (void *)&counts[0]);
    StartTestThread(1, KePriorityUserLow, Spin, (void *)&counts[1]);
    uint64_t start = KeQueryTime();
    while (counts[1] == 0 && KeQueryTime() - start < 10000 * MILLISECOND)
        (void)KeDelay(KernelWait, 10 * MILLISECOND);
    uint64_t whileLifted = counts[0];
    for (int i = 0; i < 100 && counts[0] == whileLifted; i++)
        (void)KeDelay(KernelWait, 10 * MILLISECOND);
    Stop = true;
    JoinTestThread(0);
    JoinTestThread(1);
    KE_ASSERT(counts[1] != 0);           // it was lifted
    KE_ASSERT(counts[0] != whileLifted); // and sank again
}

static void WaitToBeEnded(void *context)
{
    KEvent never;
    KeInitializeEvent(&never, true, false);
    Shared = KeWaitForObject(&never, UserWait, KE_INFINITE);
    KeExitThread(7);
}

static void TestTermination(void)
{
    Shared = 0;
    StartTestThread(0, KePriorityNormal, WaitToBeEnded, nullptr);
    (void)KeDelay(KernelWait, MILLISECOND);
    KeRequestTermination(&Threads[0].Thread);
    JoinTestThread(0);
    KE_ASSERT(Shared == StatusTerminating && Threads[0].Thread.ExitCode == 7);
}

static void CountDpc(void *context)
{
    Shared++;
}

static void TestTimerAndWork(void)
{
    static KTimer timer;
    static KDpc dpc;
    static KWorkItem item = {.Routine = CountDpc};
    Shared = 0;
    KeInitializeTimer(&timer, false);
    KeInitializeDpc(&dpc, CountDpc, nullptr);
    KeSetTimer(&timer, MILLISECOND, MILLISECOND, &dpc);
    for (int i = 0; i < 3; i++)
        KE_ASSERT(KeWaitForObject(&timer, KernelWait, 1000 * MILLISECOND) == StatusSuccess);
    KE_ASSERT(KeCancelTimer(&timer));
    KE_ASSERT(Shared >= 3);
    uint32_t before = Shared;
    KE_ASSERT(KeQueueWorkItem(&item));
    for (int i = 0; i < 1000 && Shared == before; i++)
        (void)KeDelay(KernelWait, MILLISECOND);
    KE_ASSERT(Shared == before + 1);
}

static bool Always(void *context)
{
    return true;
}
static bool Never(void *context)
{
    return false;
}

static void WaitOnKey(void *context)
{
    if (KeWaitOnKey(1, (uint64_t)&Shared, Always, nullptr, KernelWait, 1000 * MILLISECOND) ==
        StatusSuccess)
        Shared++;
}

static void TestKeys(void)
{
    Shared = 0;
    KE_ASSERT(KeWaitOnKey(1, 8, Never, nullptr, KernelWait, MILLISECOND) == StatusWouldBlock);
    KE_ASSERT(KeWaitOnKey(1, 8, Always, nullptr, KernelWait, MILLISECOND) == StatusTimeout);
    for (size_t i = 0; i < 3; i++)
        StartTestThread(i, KePriorityRealtime, WaitOnKey, nullptr);
    KE_ASSERT(KeWakeKey(2, (uint64_t)&Shared, UINT32_MAX) == 0);
    KE_ASSERT(KeWakeKey(1, (uint64_t)&Shared, 1) == 1 && Shared == 1);
    KE_ASSERT(KeWakeKey(1, (uint64_t)&Shared, UINT32_MAX) == 2 && Shared == 3);
    for (size_t i = 0; i < 3; i++)
        JoinTestThread(i);
}

static void SetBoth(void *context)
{
    KeSetEvent(&Ping);
    (void)KeDelay(KernelWait, MILLISECOND);
    KeSetEvent(&Pong);
}

static void TestMultipleWaits(void)
{
    KeInitializeEvent(&Ping, false, false);
    KeInitializeEvent(&Pong, false, false);
    KeInitializeEvent(&Done, true, true);
    void *objects[] = {&Ping, &Pong, &Done};
    size_t index = 9;
    KE_ASSERT(KeWaitForMultipleObjects(3, objects, false, KernelWait, 0, &index) == StatusSuccess &&
              index == 2);
    KE_ASSERT(KeWaitForMultipleObjects(3, objects, true, KernelWait, MILLISECOND, nullptr) ==
              StatusTimeout);
    StartTestThread(0, KePriorityNormal, SetBoth, nullptr);
    KE_ASSERT(KeWaitForMultipleObjects(3, objects, true, KernelWait, 1000 * MILLISECOND, nullptr) ==
              StatusSuccess);
    KE_ASSERT(!KeReadEvent(&Ping) && !KeReadEvent(&Pong) && KeReadEvent(&Done));
    JoinTestThread(0);
    StartTestThread(0, KePriorityNormal, SetBoth, nullptr);
    index = 9;
    KE_ASSERT(KeWaitForMultipleObjects(2, objects, false, KernelWait, 1000 * MILLISECOND, &index) ==
              StatusSuccess);
    KE_ASSERT(index == 0);
    JoinTestThread(0);
}

void KeRunSelfTests(void)
{
    static void (*const tests[])(void) = {TestTimeOuts,     TestPingPong,   TestMutex,
                                          TestTimeSlices,   TestStarvation, TestTermination,
                                          TestTimerAndWork, TestKeys,       TestMultipleWaits};
    for (size_t i = 0; i < RTL_COUNT_OF(tests); i++)
        tests[i]();
    const KProcessorCounters *counters = &KiBootProcessor.Counters;
    KeLog(LogDebug, "self test: %llu switches, %llu interrupts, %llu DPCs",
          counters->ContextSwitches, counters->Interrupts, counters->Dpcs);
}

// ------------------------------------------------------------------------------ several processors

static KSpinLock Lock = KE_SPIN_LOCK_INIT(LockRankDevice, "self test");
static volatile uint32_t Ran[KE_MAXIMUM_PROCESSORS];

// Goes to every processor in turn; each move is done when KeSetAffinity returns.
static void Travel(void *context)
{
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
            KE_ASSERT(KeSetAffinity(HalGetCurrentThread(), 1ull << i) == StatusSuccess);
            KE_ASSERT(KeGetCurrentProcessorNumber() == i);
            __atomic_fetch_add(&Ran[i], 1, __ATOMIC_RELAXED);
        }
    }
    KE_ASSERT(KeSetAffinity(HalGetCurrentThread(), UINT64_MAX) == StatusSuccess);
}

static void TestAffinity(void)
{
    KE_ASSERT(KeSetAffinity(HalGetCurrentThread(), 0) == StatusInvalidParameter);
    for (size_t i = 0; i < TEST_THREADS; i++)
        StartTestThread(i, KePriorityNormal, Travel, nullptr);
    for (size_t i = 0; i < TEST_THREADS; i++)
        JoinTestThread(i);
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++)
        KE_ASSERT(Ran[i] == TEST_THREADS * 10);
}

static void AddUnderSpinLock(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        KIrql old = KeAcquireSpinLock(&Lock);
        uint32_t value = Shared;
        HalPause();
        Shared = value + 1;
        KeReleaseSpinLock(&Lock, old);
    }
}

static void TestSpinLock(void)
{
    Shared = 0;
    for (size_t i = 0; i < TEST_THREADS; i++)
        StartTestThread(i, KePriorityNormal, AddUnderSpinLock, nullptr);
    for (size_t i = 0; i < TEST_THREADS; i++)
        JoinTestThread(i);
    KE_ASSERT(Shared == TEST_THREADS * ROUNDS);
}

// All flush at once, each waiting for all others.
static void FlushOften(void *context)
{
    for (int i = 0; i < ROUNDS / 10; i++)
        KeFlushTlbAll();
}

static void TestFlushes(void)
{
    for (size_t i = 0; i < TEST_THREADS; i++)
        StartTestThread(i, KePriorityNormal, FlushOften, nullptr);
    for (size_t i = 0; i < TEST_THREADS; i++)
        JoinTestThread(i);
}

void KeRunProcessorTests(void)
{
    TestAffinity();
    TestSpinLock();
    TestMutex();
    TestFlushes();
    TestPingPong();
}

#else

void KeRunSelfTests(void) {}
void KeRunProcessorTests(void) {}

#endif
