// greed.c - a child that takes of one thing as much as it can get.
//
// It must come to an error return, the one documented, and get on with what it has. Then it says so
// (the event FULL), waits to be told to go on (GO), gives everything back, takes some again and
// ends; or is killed, full as it is. The exit code is 0 or the line that was wrong.
// SPDX-License-Identifier: MIT
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

enum { MostHandles = 65536, SomeHandles = 10000, ManyThreads = 5000 };

static Handle full, go;
static Handle taken[MostHandles + 1];
static size_t count;

// Tells that everything is taken and waits.
static void Hold(void)
{
    (void)SetEvent(full);
    (void)WaitForSingleObject(go, InfiniteTimeout);
}

static int CloseAll(void)
{
    while (count > 0)
        REQUIRE(CloseHandle(taken[--count]) == StatusSuccess);
    return 0;
}

// Makes objects until there is an error, or `most` of them.
static Status Fill(Status (*make)(Handle *handle), size_t most)
{
    Status status = StatusSuccess;
    while (count < most && (status = make(&taken[count])) == StatusSuccess)
        count++;
    return status;
}

static Status MakeEvent(Handle *handle)
{
    return CreateEvent(false, false, handle);
}

static int Handles(void)
{
    REQUIRE(Fill(MakeEvent, SomeHandles) == StatusSuccess); // ten thousand are nothing special
    Status status = Fill(MakeEvent, MostHandles + 1);
    REQUIRE(status == StatusTooManyHandles || status == StatusNoMemory);
    Hold();
    REQUIRE(CloseAll() == 0);
    REQUIRE(Fill(MakeEvent, 100) == StatusSuccess);
    return 0;
}

// Ten thousand of all kinds, each with a name.
static Status MakeMixed(Handle *handle)
{
    static unsigned number;
    char name[32];
    Status status;
    switch (number % 5) {
    case 0:
        status = CreateSemaphore(0, 1, handle);
        break;
    case 1:
        status = CreateMutex(true, handle);
        break;
    case 2:
        status = CreateTimer(false, handle);
        if (status == StatusSuccess)
            status = SetTimer(*handle, 1000000, 1000000);
        break;
    case 3:
        status = CreateFile(LIMITS_PROGRAM, FileRead, FileOpenExisting, handle);
        break;
    default:
        status = CreateEvent(true, true, handle);
    }
    snprintf(name, sizeof name, "limits.%u", number++);
    return status == StatusSuccess ? NameObject(*handle, name) : status;
}

static int Objects(void)
{
    Handle named;
    Status status = Fill(MakeMixed, SomeHandles);
    REQUIRE(status == StatusSuccess || status == StatusNoMemory);
    REQUIRE(OpenObject("limits.0", ObjectSemaphore, 0, &named) == StatusSuccess);
    REQUIRE(CloseHandle(named) == StatusSuccess);
    Hold();
    REQUIRE(CloseAll() == 0);
    REQUIRE(OpenObject("limits.0", ObjectSemaphore, 0, &named) == StatusNotFound);
    return 0;
}

static Status MakePipe(Handle *handle)
{
    Handle write;
    Status status = CreatePipe(handle, &write);
    if (status == StatusSuccess)
        (void)CloseHandle(write);
    return status;
}

static int Pipes(void)
{
    Status status = Fill(MakePipe, SomeHandles);
    REQUIRE(status == StatusSuccess || status == StatusNoMemory);
    Hold();
    return CloseAll();
}

static uint32_t WaitForGo(void *argument)
{
    return WaitForSingleObject((Handle)(uintptr_t)argument, InfiniteTimeout) != StatusSuccess;
}

static Handle release;
static Status MakeThread(Handle *handle)
{
    return CreateThread(WaitForGo, (void *)(uintptr_t)release, 65536, handle);
}

static int Threads(void)
{
    REQUIRE(CreateEvent(true, false, &release) == StatusSuccess);
    Status status = Fill(MakeThread, ManyThreads);
    REQUIRE(status == StatusSuccess || status == StatusNoMemory || status == StatusNoAddressSpace ||
            status == StatusLimitReached);
    REQUIRE(count >= 100);
    printf("limits: %zu threads, then %s\n", count, GetStatusText(status));
    fflush(stdout);
    Hold();
    REQUIRE(SetEvent(release) == StatusSuccess);
    for (size_t i = 0; i < count; i++) {
        uint32_t code = 1;
        REQUIRE(WaitForSingleObject(taken[i], InfiniteTimeout) == StatusSuccess);
        REQUIRE(GetThreadExitCode(taken[i], &code) == StatusSuccess && code == 0);
    }
    return CloseAll();
}

// All memory, every page touched: what was granted must be there.
static int Memory(void)
{
    enum { Most = 16384 };
    static void *blocks[Most];
    size_t size = 4 << 20, got = 0, bytes = 0;
    while (size >= 4096 && got < Most) {
        blocks[got] = nullptr;
        Status status = VirtualAlloc(&blocks[got], size, MemoryReadWrite);
        if (status != StatusSuccess) {
            REQUIRE(status == StatusNoMemory);
            size /= 4;
            continue;
        }
        for (size_t at = 0; at < size; at += 4096)
            ((volatile uint8_t *)blocks[got])[at] = 1;
        bytes += size;
        got++;
    }
    REQUIRE(got >= 4);
    Hold();
    while (got > 0)
        REQUIRE(VirtualFree(blocks[--got]) == StatusSuccess);
    void *again = nullptr;
    REQUIRE(VirtualAlloc(&again, bytes / 2, MemoryReadWrite) == StatusSuccess);
    return 0;
}

static int Heap(void)
{
    typedef struct Block {
        struct Block *Next;
    } Block;
    Block *first = nullptr, *block;
    size_t got = 0;
    while ((block = malloc(100000)) != nullptr) {
        block->Next = first;
        first = block;
        got++;
    }
    REQUIRE(got >= 100);
    Hold();
    while ((block = first) != nullptr) {
        first = block->Next;
        free(block);
    }
    block = malloc(1 << 20);
    REQUIRE(block != nullptr);
    free(block);
    return 0;
}

static Status MakeWindow(Handle *handle)
{
    const WindowParameters parameters = {"greed", 0, 0, 16, 16, WindowNoActivate};
    WindowBuffer buffer;
    return AllocWindow(&parameters, handle, &buffer);
}

static int Windows(void)
{
    Status status = Fill(MakeWindow, MostHandles);
    if (status == StatusNoSuchDevice)
        return 0;
    REQUIRE(status == StatusLimitReached || status == StatusNoMemory);
    REQUIRE(count >= 10);
    Hold();
    REQUIRE(CloseAll() == 0);
    REQUIRE(Fill(MakeWindow, 5) == StatusSuccess);
    return 0;
}

// Programs that end when this one does: then their input is at its end.
static Handle childInput;
static Status MakeProcess(Handle *handle)
{
    return StartProgram(LIMITS_PROGRAM " -idle", childInput, InvalidHandle, handle);
}

static int Processes(void)
{
    enum { Most = 150 };
    Handle end;
    REQUIRE(CreatePipe(&childInput, &end) == StatusSuccess);
    Status status = Fill(MakeProcess, Most);
    REQUIRE(status == StatusSuccess || status == StatusNoMemory);
    REQUIRE(count >= 10);
    Hold();
    REQUIRE(CloseHandle(end) == StatusSuccess);
    for (size_t i = 0; i < count; i++)
        REQUIRE(WaitForSingleObject(taken[i], 60000) == StatusSuccess);
    return CloseAll();
}

// The whole disk, in one file and then in many.
static int Disk(void)
{
    static uint8_t block[1 << 18];
    Handle big, small;
    VolumeInfo before, after;
    size_t moved;
    Status status;
    REQUIRE(GetVolumeInfo(&before) == StatusSuccess);
    REQUIRE(CreateFile(LIMITS_FOLDER "/big", FileWrite, FileCreateAlways, &big) == StatusSuccess);
    REQUIRE(SetFileSize(big, before.FreeBytes + (1 << 20)) == StatusDiskFull);
    while ((status = WriteFile(big, block, sizeof block, &moved)) == StatusSuccess) {}
    REQUIRE(status == StatusDiskFull);
    REQUIRE(GetVolumeInfo(&after) == StatusSuccess && after.FreeBytes < sizeof block);
    status = CreateFile(LIMITS_FOLDER "/small", FileWrite, FileCreateAlways, &small);
    REQUIRE(status == StatusSuccess || status == StatusDiskFull);
    if (status == StatusSuccess) {
        REQUIRE(WriteFile(small, block, sizeof block, &moved) == StatusDiskFull);
        REQUIRE(CloseHandle(small) == StatusSuccess);
        REQUIRE(DeleteFile(LIMITS_FOLDER "/small") == StatusSuccess);
    }
    Hold();
    REQUIRE(CloseHandle(big) == StatusSuccess);
    REQUIRE(DeleteFile(LIMITS_FOLDER "/big") == StatusSuccess);
    REQUIRE(GetVolumeInfo(&after) == StatusSuccess && after.FreeBytes == before.FreeBytes);
    return 0;
}

static const struct {
    const char *Name;
    int (*Run)(void);
} kinds[] = {
    {"handles", Handles}, {"objects", Objects},     {"pipes", Pipes},
    {"threads", Threads}, {"memory", Memory},       {"heap", Heap},
    {"windows", Windows}, {"processes", Processes}, {"disk", Disk},
};
const char *const greeds[] = {"handles", "objects", "pipes",     "threads", "memory",
                              "heap",    "windows", "processes", "disk"};
const size_t greedCount = COUNT_OF(greeds);
static_assert(COUNT_OF(greeds) == COUNT_OF(kinds));

int RunGreed(const char *what)
{
    if (OpenObject("limits.full", ObjectEvent, 0, &full) != StatusSuccess ||
        OpenObject("limits.go", ObjectEvent, 0, &go) != StatusSuccess)
        return __LINE__;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (!strcmp(what, kinds[i].Name))
            return kinds[i].Run();
    return __LINE__;
}
