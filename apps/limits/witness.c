// witness.c - the program that must not notice anything.
//
// A child that answers each byte from its parent with 'y' after a round of ordinary work in what it
// has already: memory, a file, an event, a lock, a thread, a window. Or with a letter that says
// what went wrong.
// SPDX-License-Identifier: MIT
#include "limits.h"

#include <string.h>

constexpr uint32_t AnswerTime = 30000; // milliseconds
constexpr size_t FileSize = 65536, MemorySize = 1 << 20;

// ---- in the witness
static uint8_t memory[MemorySize];
static Handle file, ping, pong, window;
static WindowBuffer buffer;
static CriticalSection section;

static uint32_t Echo(void *argument)
{
    while (WaitForSingleObject(ping, InfiniteTimeout) == StatusSuccess)
        (void)SetEvent(pong);
    return 0;
}

static bool Prepare(void)
{
    WindowParameters parameters = {"witness", 600, 400, 64, 64, WindowFrame | WindowNoActivate};
    Handle thread;
    size_t moved;
    memset(memory, 1, sizeof memory);
    if (AllocWindow(&parameters, &window, &buffer) != StatusSuccess)
        window = InvalidHandle; // no display
    return CreateEvent(false, false, &ping) == StatusSuccess &&
           CreateEvent(false, false, &pong) == StatusSuccess &&
           CreateThread(Echo, nullptr, 0, &thread) == StatusSuccess &&
           CreateFile(LIMITS_FOLDER "/witness", FileRead | FileWrite, FileCreateAlways, &file) ==
               StatusSuccess &&
           WriteFile(file, memory, FileSize, &moved) == StatusSuccess;
}

// Writes and reads back a block of the file.
static bool UseFile(uint8_t value)
{
    uint8_t block[4096];
    size_t moved;
    uint64_t offset = value % (FileSize / sizeof block) * sizeof block;
    memset(block, value, sizeof block);
    if (SetFilePointer(file, (int64_t)offset, FileBegin, nullptr) != StatusSuccess ||
        WriteFile(file, block, sizeof block, &moved) != StatusSuccess || moved != sizeof block)
        return false;
    memset(block, 0, sizeof block);
    if (SetFilePointer(file, (int64_t)offset, FileBegin, nullptr) != StatusSuccess ||
        ReadFile(file, block, sizeof block, &moved) != StatusSuccess || moved != sizeof block)
        return false;
    return block[0] == value && block[sizeof block - 1] == value;
}

static char Work(uint8_t round)
{
    for (size_t i = 0; i < MemorySize; i += 4096)
        if (++memory[i] != (uint8_t)(round + 1))
            return 'm';
    for (int i = 0; i < 10; i++)
        if (SetEvent(ping) != StatusSuccess ||
            WaitForSingleObject(pong, AnswerTime) != StatusSuccess)
            return 'e';
    EnterCriticalSection(&section);
    LeaveCriticalSection(&section);
    if (!UseFile(round))
        return 'f';
    if (window != InvalidHandle) {
        memset(buffer.Pixels, round, buffer.Stride * 4);
        if (PaintWindow(window, nullptr) != StatusSuccess)
            return 'w';
    }
    return 'y';
}

int RunWitness(void)
{
    uint8_t byte;
    size_t moved;
    uint8_t round = 1;
    if (!Prepare())
        return 1;
    while (ReadFile(GetStandardHandle(StandardInput), &byte, 1, &moved) == StatusSuccess) {
        char answer = Work(round++);
        if (WriteFile(GetStandardHandle(StandardOutput), &answer, 1, &moved) != StatusSuccess)
            return 2;
    }
    return 0;
}

// ---- in its parent
static Handle witness, request, answers;

void StartWitness(void)
{
    Handle input = InvalidHandle, output = InvalidHandle;
    Status status = CreatePipe(&input, &request);
    if (status == StatusSuccess)
        status = CreatePipe(&answers, &output);
    if (status == StatusSuccess)
        status = StartProgram(LIMITS_PROGRAM " -witness", input, output, &witness);
    Check(status == StatusSuccess, "the witness does not start: %s", GetStatusText(status));
    (void)CloseHandle(input);
    (void)CloseHandle(output);
    (void)AskWitness();
}

bool AskWitness(void)
{
    char answer = '-';
    size_t moved;
    Status status = WriteFile(request, "?", 1, &moved);
    if (status == StatusSuccess)
        status = WaitForSingleObject(answers, AnswerTime);
    if (status == StatusSuccess)
        status = ReadFile(answers, &answer, 1, &moved);
    return Check(status == StatusSuccess && answer == 'y', "the witness answers %c (%s)", answer,
                 GetStatusText(status));
}

void EndWitness(void)
{
    (void)CloseHandle(request);
    bool killed;
    uint32_t code = EndProgram(witness, AnswerTime, &killed);
    Check(!killed && code == 0, "the witness ends with %u", code);
    (void)CloseHandle(answers);
    (void)DeleteFile(LIMITS_FOLDER "/witness");
}
