// waits.c - events, waiting, time-outs.
// SPDX-License-Identifier: MIT
#include "test.h"

constexpr uint64_t Millisecond = 1000000;

// Nanoseconds that `wait` took.
#define TIMED(statement)                                                                           \
    ({                                                                                             \
        uint64_t start = GetMonotonicTime();                                                       \
        statement;                                                                                 \
        GetMonotonicTime() - start;                                                                \
    })

// At least as long as asked, and not much longer: an emulator may be slow, 10^6 times is a bug.
static void CheckTime(uint64_t taken, uint32_t asked, int line)
{
    TestCheck(taken >= asked * Millisecond, __FILE__, line, "a time-out came early");
    TestCheck(taken < asked * Millisecond + 1000 * Millisecond, __FILE__, line,
              "a time-out came late");
}

static void TestTimeouts(void)
{
    Handle event;
    uint32_t word = 5;
    NEEDED(CreateEvent(false, false, &event));
    static const uint32_t times[] = {1, 2, 10, 35, 100, 250};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        uint32_t time = times[i];
        Status status = StatusSuccess;
        CheckTime(TIMED(Sleep(time)), time, __LINE__);
        CheckTime(TIMED(status = WaitForSingleObject(event, time)), time, __LINE__);
        STATUS(status, StatusTimeout);
        CheckTime(TIMED(status = WaitForMultipleObjects(1, &event, true, time, nullptr)), time,
                  __LINE__);
        STATUS(status, StatusTimeout);
        CheckTime(TIMED(status = WaitOnAddress(&word, 5, time)), time, __LINE__);
        STATUS(status, StatusTimeout);
    }
    CHECK(TIMED(Sleep(0)) < 500 * Millisecond);
    CHECK(TIMED((void)WaitForSingleObject(event, 0)) < 500 * Millisecond);
    OK(CloseHandle(event));
    // One-millisecond sleeps do not add up to more than their tick.
    CHECK(TIMED(for (int i = 0; i < 50; i++) Sleep(1)) < 1500 * Millisecond);
}

static void TestEventKinds(void)
{
    Handle manual, automatic;
    NEEDED(CreateEvent(true, true, &manual));
    OK(WaitForSingleObject(manual, 0));
    OK(WaitForSingleObject(manual, 0));
    OK(ResetEvent(manual));
    STATUS(WaitForSingleObject(manual, 0), StatusTimeout);
    NEEDED(CreateEvent(false, true, &automatic));
    OK(WaitForSingleObject(automatic, InfiniteTimeout));
    STATUS(WaitForSingleObject(automatic, 0), StatusTimeout);
    OK(SetEvent(automatic));
    OK(SetEvent(automatic)); // twice is once
    OK(WaitForSingleObject(automatic, 0));
    STATUS(WaitForSingleObject(automatic, 0), StatusTimeout);
    OK(CloseHandle(manual));
    OK(CloseHandle(automatic));
}

static void TestMultiple(void)
{
    Handle events[65];
    size_t index = 99;
    for (size_t i = 0; i < COUNT_OF(events); i++)
        NEEDED(CreateEvent(false, false, &events[i]));
    STATUS(WaitForMultipleObjects(0, events, false, 0, &index), StatusInvalidParameter);
    STATUS(WaitForMultipleObjects(65, events, false, 0, &index), StatusInvalidParameter);
    STATUS(WaitForMultipleObjects(SIZE_MAX, events, false, 0, &index), StatusInvalidParameter);
    STATUS(WaitForMultipleObjects(64, events, false, 10, &index), StatusTimeout);
    OK(SetEvent(events[63]));
    OK(WaitForMultipleObjects(64, events, false, 1000, &index));
    EQUAL(index, 63);
    STATUS(WaitForSingleObject(events[63], 0), StatusTimeout); // it was consumed
    OK(SetEvent(events[5]));
    OK(SetEvent(events[9]));
    OK(WaitForMultipleObjects(64, events, false, 0, &index));
    EQUAL(index, 5);
    OK(WaitForMultipleObjects(64, events, false, 0, &index));
    EQUAL(index, 9);
    // All: nothing is consumed until every one is there.
    OK(SetEvent(events[0]));
    STATUS(WaitForMultipleObjects(3, events, true, 10, &index), StatusTimeout);
    OK(WaitForSingleObject(events[0], 0));
    for (size_t i = 0; i < 3; i++)
        OK(SetEvent(events[i]));
    OK(WaitForMultipleObjects(3, events, true, 10, &index));
    for (size_t i = 0; i < 3; i++)
        STATUS(WaitForSingleObject(events[i], 0), StatusTimeout);
    Handle twice[2] = {events[0], events[0]};
    STATUS(WaitForMultipleObjects(2, twice, false, 5, &index), StatusTimeout);
    Handle closed = events[64];
    OK(CloseHandle(closed));
    STATUS(WaitForMultipleObjects(65 - 1 + 0, events, false, 0, nullptr), StatusTimeout);
    Handle withBad[2] = {events[0], closed};
    STATUS(WaitForMultipleObjects(2, withBad, false, 0, &index), StatusInvalidHandle);
    for (size_t i = 0; i < 64; i++)
        OK(CloseHandle(events[i]));
}

typedef struct PingPong {
    Handle Ping, Pong;
    unsigned Rounds, Count;
} PingPong;

static uint32_t Answer(void *argument)
{
    PingPong *game = argument;
    for (unsigned i = 0; i < game->Rounds; i++) {
        if (WaitForSingleObject(game->Ping, 10000) != StatusSuccess)
            return 1;
        game->Count++;
        (void)SetEvent(game->Pong);
    }
    return 0;
}

static void TestPingPong(void)
{
    PingPong game = {.Rounds = 2000};
    Handle thread;
    uint32_t code = 99;
    NEEDED(CreateEvent(false, false, &game.Ping));
    NEEDED(CreateEvent(false, false, &game.Pong));
    NEEDED(CreateThread(Answer, &game, 0, &thread));
    for (unsigned i = 0; i < game.Rounds; i++) {
        OK(SetEvent(game.Ping));
        if (!OK(WaitForSingleObject(game.Pong, 10000)))
            break;
    }
    OK(WaitForSingleObject(thread, 10000));
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, 0);
    EQUAL(game.Count, game.Rounds);
    OK(CloseHandle(thread));
    OK(CloseHandle(game.Ping));
    OK(CloseHandle(game.Pong));
}

static volatile uint32_t word;

static uint32_t WaitForWord(void *argument)
{
    while (word == 0)
        if (WaitOnAddress(&word, 0, 10000) == StatusTimeout)
            return 1;
    return 0;
}

static void TestAddresses(void)
{
    Handle threads[4];
    uint32_t code;
    word = 0;
    STATUS(WaitOnAddress(&word, 1, 1000), StatusWouldBlock);
    STATUS(WaitOnAddress((uint32_t *)((char *)&word + 1), 0, 0), StatusInvalidParameter);
    STATUS(WakeByAddress((uint32_t *)((char *)&word + 2), 1), StatusInvalidParameter);
    STATUS(WaitOnAddress(nullptr, 0, 0), StatusInvalidAddress);
    OK(WakeByAddress(&word, 1)); // nobody waits
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(WaitForWord, nullptr, 0, &threads[i]));
    Sleep(30);
    word = 1;
    OK(WakeByAddress(&word, UINT32_MAX));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        OK(WaitForSingleObject(threads[i], 5000));
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, 0);
        OK(CloseHandle(threads[i]));
    }
}

// A handle is closed while a thread waits on it: the wait goes on and can still be ended by the
// object.
static uint32_t WaitOnEvent(void *argument)
{
    return WaitForSingleObject(*(Handle *)argument, 300);
}

static void TestCloseWhileWaiting(void)
{
    Handle event, thread;
    uint32_t code = 0;
    NEEDED(CreateEvent(false, false, &event));
    Handle waited = event;
    NEEDED(CreateThread(WaitOnEvent, &waited, 0, &thread));
    Sleep(30);
    OK(CloseHandle(event));
    OK(WaitForSingleObject(thread, 5000));
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, StatusTimeout);
    OK(CloseHandle(thread));
}

void TestWaits(void)
{
    TestTimeouts();
    TestEventKinds();
    TestMultiple();
    TestPingPong();
    TestAddresses();
    TestCloseWhileWaiting();
    STATUS(WaitForSingleObject(CurrentProcess, 1), StatusTimeout);
    STATUS(WaitForSingleObject(CurrentThread, 1), StatusTimeout);
}
