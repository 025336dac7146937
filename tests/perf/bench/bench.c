// bench.c - what operations of the kernel cost, in instructions; one source for MetalOS and Linux.
//
// The machine counts instructions as its time (docs/performance.md): the time stamp counter moves
// by the same amount at each, so a difference of two readings, less that of two readings in a row,
// is the number of instructions executed meanwhile, in whatever ring and thread. How many ticks an
// instruction is follows from a loop of known length.
//
// Prints a line per operation: its name, median, least, most. Rounds that something else came
// between show in `most`.
// SPDX-License-Identifier: MIT
#include "mark.h"
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    Page = 4096,
    FrameBytes = 1280 * 800 * 4,
    Rounds = 64,
    FewRounds = 24,
    MostRounds = 256,
};

static uint64_t ticksPerInstruction, readingTicks;
static uint64_t samples[MostRounds];

// No fence: the emulator executes in order, and a fence would be one more instruction.
static inline uint64_t ReadTicks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// ---- the clock
static uint64_t LoopTicks(uint64_t turns)
{
    uint64_t begin = ReadTicks();
    __asm__ volatile("1: decq %0\n\tjnz 1b" : "+r"(turns)::"cc");
    return ReadTicks() - begin;
}

// The least of several: an interrupt may come between.
static uint64_t LeastLoopTicks(uint64_t turns)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t ticks = LoopTicks(turns);
        least = ticks < least ? ticks : least;
    }
    return least;
}

static void Calibrate(void)
{
    enum { Short = 1000, Long = 2000 };
    ticksPerInstruction = (LeastLoopTicks(Long) - LeastLoopTicks(Short)) / (2 * (Long - Short));
    readingTicks = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t begin = ReadTicks(), ticks = ReadTicks() - begin;
        readingTicks = ticks < readingTicks ? ticks : readingTicks;
    }
    if (ticksPerInstruction == 0)
        PlatformFail("the time stamp counter does not count instructions");
}

// ---- reports
static int Ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// The samples are ticks for `parts` operations each.
static void Report(const char *name, int count, uint64_t parts)
{
    qsort(samples, (size_t)count, sizeof samples[0], Ascending);
    uint64_t unit = ticksPerInstruction * parts;
    printf("%s %llu %llu %llu\n", name, (unsigned long long)(samples[count / 2] / unit),
           (unsigned long long)(samples[0] / unit),
           (unsigned long long)(samples[count - 1] / unit));
    fflush(stdout);
}

#define MEASURE(name, rounds, parts, ...)                                                          \
    do {                                                                                           \
        for (int round = 0; round < (rounds); round++) {                                           \
            uint64_t begin = ReadTicks();                                                          \
            __VA_ARGS__;                                                                           \
            samples[round] = ReadTicks() - begin - readingTicks;                                   \
        }                                                                                          \
        Report(name, rounds, parts);                                                               \
    } while (0)

// ---- threads
static Object ping, pong;
static volatile bool stop;

static volatile uint32_t turns;

static void YieldOn(void)
{
    for (; !stop; turns++)
        PlatformYield();
}

// Until the other thread has had its turn: a scheduler may think that it has had enough.
static void YieldOver(void)
{
    for (uint32_t before = turns; turns == before;)
        PlatformYield();
}

static void MeasureYield(void)
{
    MEASURE("yield-alone", Rounds, 1, PlatformYield());
    stop = false;
    Object thread = PlatformStartThread(YieldOn);
    MEASURE("yield-between", Rounds, 2, YieldOver()); // there and back
    stop = true;
    PlatformJoinThread(thread);
}

static void Answer(void)
{
    for (;;) {
        PlatformWaitEvent(ping);
        if (stop)
            return;
        PlatformSetEvent(pong);
    }
}

static void MeasureEvents(void)
{
    ping = PlatformMakeEvent();
    pong = PlatformMakeEvent();
    stop = false;
    Object thread = PlatformStartThread(Answer);
    MEASURE("event-switch", Rounds, 2, {
        PlatformSetEvent(ping);
        PlatformWaitEvent(pong);
    });
    stop = true;
    PlatformSetEvent(ping);
    PlatformJoinThread(thread);
}

static void Nothing(void) {}

static void MeasureThreads(void)
{
    MEASURE("thread", Rounds, 1, PlatformJoinThread(PlatformStartThread(Nothing)));
}

// ---- processes
static void Echo(void)
{
    Object in = PlatformStandardInput(), out = PlatformStandardOutput();
    char byte;
    while (PlatformRead(in, &byte, 1))
        PlatformWrite(out, &byte, 1);
}

static void MeasurePipes(void)
{
    Object requestRead, requestWrite, answerRead, answerWrite;
    PlatformMakePipe(&requestRead, &requestWrite);
    PlatformMakePipe(&answerRead, &answerWrite);
    Object process = PlatformStartProcess("echo", requestRead, answerWrite);
    PlatformClose(requestRead);
    PlatformClose(answerWrite);
    char byte = 1;
    MEASURE("pipe-switch", Rounds, 2, {
        PlatformWrite(requestWrite, &byte, 1);
        (void)PlatformRead(answerRead, &byte, 1);
    });
    PlatformClose(requestWrite);
    PlatformJoinProcess(process);
    PlatformClose(answerRead);
}

static void MeasureProcesses(void)
{
    MEASURE("process", FewRounds, 1, PlatformJoinProcess(PlatformStartProcess("nothing", 0, 0)));
}

// ---- memory
static volatile char data[Rounds * Page] = {1}; // initialised: pages of the image, copied when
                                                // written
static volatile char sink;

static void AllocateAndFree(bool touch)
{
    volatile char *base = PlatformAllocate(Page);
    if (touch)
        *base = 1;
    PlatformFree((void *)base, Page);
}

static void MeasureMemory(void)
{
    volatile char *bytes = PlatformAllocate(Rounds * Page);
    for (int i = 0; i < 100; i++)
        PlatformSleepMillisecond(); // an idle machine may clear pages ahead
    MEASURE("zero-fault", Rounds, 1, bytes[round * Page] = 1);
    for (int i = 0; i < Rounds; i++)
        sink = data[i * Page];
    MEASURE("copy-fault", Rounds, 1, data[round * Page] = 2);
    MEASURE("allocate-untouched", Rounds, 1, AllocateAndFree(false));
    MEASURE("allocate-touched", Rounds, 1, AllocateAndFree(true));
    // Neighbours of another protection: no regions to join and to split again.
    char *middle = (char *)bytes + Page;
    PlatformProtect((char *)bytes, Page, NoAccess);
    PlatformProtect(middle + Page, Page, NoAccess);
    MEASURE("protect-pair", Rounds, 1, {
        PlatformProtect(middle, Page, ReadOnly);
        PlatformProtect(middle, Page, ReadWrite);
    });
    PlatformFree((void *)bytes, Rounds * Page);
}

// ---- files
static char buffer[64 * 1024], other[64 * 1024];

static void MeasureFiles(void)
{
    enum { Blocks = 16, BlockKilobytes = sizeof buffer / 1024 };
    static const char name[] = "bench.dat", made[] = "made.dat";
    memset(buffer, 1, sizeof buffer);
    Object file = PlatformOpen(name, true);
    for (int i = 0; i < Blocks; i++)
        PlatformWrite(file, buffer, sizeof buffer);
    PlatformRewind(file);
    MEASURE("read-1", Rounds, 1, (void)PlatformRead(file, buffer, 1));
    PlatformRewind(file);
    MEASURE("read-4096", Rounds, 1, (void)PlatformRead(file, buffer, 4096));
    PlatformRewind(file);
    MEASURE("write-4096", Rounds, 1, PlatformWrite(file, buffer, 4096));
    PlatformRewind(file);
    MEASURE("write-64k-per-kb", Blocks, BlockKilobytes, PlatformWrite(file, buffer, sizeof buffer));
    PlatformClose(file);
    MEASURE("open-close", Rounds, 1, PlatformClose(PlatformOpen(name, false)));
    MEASURE("create-delete", Rounds, 1, {
        PlatformClose(PlatformOpen(made, true));
        PlatformDelete(made);
    });
    PlatformDelete(name);
}

// ---- time
static void MeasureTimer(void)
{
    constexpr uint64_t millisecond =
        1000000; // ticks: the counter of an emulated machine runs at 1 GHz
    for (int round = 0; round < Rounds; round++) {
        uint64_t begin = ReadTicks();
        PlatformSleepMillisecond();
        uint64_t ticks = ReadTicks() - begin;
        samples[round] = ticks < millisecond ? 0 : ticks - millisecond;
    }
    Report("timer-late", Rounds, 1);
}

// ---- copying, drawing, showing
static void MeasureCopies(void)
{
    enum { Kilobytes = sizeof buffer / 1024 };
    memcpy(other, buffer, sizeof buffer);
    MEASURE("memcpy-per-kb", Rounds, Kilobytes, memcpy(other, buffer, sizeof buffer));
    MEASURE("memset-per-kb", Rounds, Kilobytes, memset(other, round, sizeof other));
    sink = other[sizeof other - 1];
}

static void MeasureScreen(void)
{
    uint32_t *pixels = PlatformOpenScreen();
    if (pixels == nullptr)
        return;
    memset(pixels, 0x40, FrameBytes);
    MEASURE("present", FewRounds, 1, PlatformShowScreen());
    PlatformCloseScreen();
}

// What the system does for one movement of the mouse, in ticks: the time missing in a loop that
// only reads the counter, until nothing more happens. Whoever runs the benchmark moves the mouse a
// step for each line that asks for it. 0: nothing has happened.
static uint64_t TryPointerStep(void)
{
    constexpr uint64_t gap = 64, step = 2000, quiet = 400000, patience = 100000000; // instructions
    printf("move\n");
    fflush(stdout);
    uint64_t lost = 0, moved = 0, start = ReadTicks(), last = start;
    for (;;) {
        uint64_t now = ReadTicks(), missing = (now - last) / ticksPerInstruction;
        if (missing > gap)
            lost += now - last;
        if (missing > step)
            moved = now;
        last = now;
        if (moved != 0 && now - moved > quiet * ticksPerInstruction)
            return lost;
        if (now - start > patience * ticksPerInstruction)
            return 0;
    }
}

// The movement may come while the line is still being written.
static uint64_t PointerTicks(void)
{
    for (int i = 0; i < 5; i++) {
        uint64_t ticks = TryPointerStep();
        if (ticks != 0)
            return ticks;
    }
    PlatformFail("the mouse did not move");
}

static void MeasurePointerSteps(const char *name)
{
    for (int round = 0; round < PointerSteps; round++)
        samples[round] = PointerTicks();
    Report(name, PointerSteps, 1);
}

static void MeasurePointer(void)
{
    if (!PlatformHasPointer())
        return;
    MeasurePointerSteps("pointer-ground");
    PlatformOpenFrame(); // the pointer goes across its corner and along its title
    MeasurePointerSteps("pointer-frame");
}

int main(int argc, char **argv)
{
    RTL_MARK(MarkProgram);
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "nothing"))
        return 0;
    if (!strcmp(mode, "echo")) {
        Echo();
        return 0;
    }
    PlatformStart();
    Calibrate();
    for (int i = 0; i < 500; i++)
        PlatformSleepMillisecond(); // until the system has done what it does after boot
    MEASURE("null-call", Rounds, 1, PlatformNullCall());
    MEASURE("unknown-call", Rounds, 1, PlatformUnknownCall());
    MeasureYield();
    MeasureEvents();
    MeasurePipes();
    MeasureThreads();
    MeasureProcesses();
    MeasureMemory();
    MeasureFiles();
    MeasureTimer();
    MeasureCopies();
    MeasureScreen();
    MeasurePointer();
    PlatformEnd();
    return 0;
}
