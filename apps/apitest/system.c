// system.c - the system and handle calls of MetalOS.h.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "raw.h"

static void TestInformation(void)
{
    SystemInfo info;
    OK(GetSystemInfo(&info));
    CHECK(info.ProcessorCount >= 1);
    EQUAL(info.PageSize, 4096);
    CHECK(info.TotalMemory >= 32 << 20);
    CHECK(info.FreeMemory > 0 && info.FreeMemory < info.TotalMemory);
    CHECK(info.ProcessCount >= 2 && info.ThreadCount >= info.ProcessCount);
    CHECK(info.HandleCount >= 1);
    CHECK(!strncmp(info.Version, "MetalOS ", 8));
    ProcessInfo self;
    OK(GetProcessInfo(CurrentProcess, &self));
    EQUAL(self.ProcessId, GetCurrentProcessId());
    EQUAL(self.Exited, 0);
    CHECK(self.ThreadCount >= 1);
    CHECK(self.ResidentMemory > 0 && self.CommittedMemory >= self.ResidentMemory / 2);
    TEXT(self.Name, "apitest.exe");
    CHECK(GetCurrentThreadId() != 0);
}

static uint64_t FindCounter(const CounterInfo *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].Name, name))
            return list[i].Value;
    CHECK(!"a counter of that name");
    return 0;
}

static void TestCounters(void)
{
    static CounterInfo list[200], later[200];
    SystemInfo info;
    size_t count = 0, again = 0;
    OK(ListCounters(nullptr, 0, &count));
    CHECK(count >= 40 && count <= COUNT_OF(list));
    OK(ListCounters(list, COUNT_OF(list), &again));
    EQUAL(again, count);
    OK(GetSystemInfo(&info));
    EQUAL(FindCounter(list, count, "ke: processors"), info.ProcessorCount);
    EQUAL(FindCounter(list, count, "mm: pages") * info.PageSize, info.TotalMemory);
    CHECK(FindCounter(list, count, "ps: processes") >= 2);
    CHECK(FindCounter(list, count, "io: reads") > 0);
    (void)FindCounter(list, count, "win: compositions"); // of which there may be none yet
    void *memory = nullptr;
    if (OK(VirtualAlloc(&memory, 10 * info.PageSize, MemoryReadWrite)))
        memset(memory, 1, 10 * info.PageSize);
    OK(VirtualFree(memory));
    Sleep(1);
    OK(ListCounters(later, COUNT_OF(later), &again));
    EQUAL(again, count);
    static const char *const growing[] = {"ke: context switches", "ke: clock interrupts",
                                          "mm: page faults", "mm: demand-zero faults"};
    for (size_t i = 0; i < COUNT_OF(growing); i++)
        CHECK(FindCounter(later, count, growing[i]) > FindCounter(list, count, growing[i]));
    OK(ListCounters(list, 3, &again)); // only three fit
    EQUAL(again, count);
    STATUS(ListCounters(nullptr, 1, &again), StatusInvalidAddress);
    STATUS(ListCounters(list, COUNT_OF(list), nullptr), StatusInvalidAddress);
}

static void TestClocks(void)
{
    uint64_t before = GetMonotonicTime(), system = 0, later = 0;
    uint64_t ticks = GetTickCount();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = GetMonotonicTime();
        if (!CHECK(now >= before))
            break;
        before = now;
    }
    CHECK(before / 1000000 >= ticks && before / 1000000 < ticks + 10000);
    OK(GetSystemTime(&system));
    constexpr uint64_t Second = 1000000000ull;
    CHECK(system > 1704067200ull * Second - 86400ull * 365 * 30 * Second); // not before about 1994
    CHECK(system < 4102444800ull * Second);                                // nor after 2099
    Sleep(30);
    OK(GetSystemTime(&later));
    CHECK(later - system >= 25000000 && later - system < 5 * Second);
}

static void TestRandom(void)
{
    uint8_t a[64] = {}, b[64] = {};
    OK(GetRandomBytes(a, sizeof a));
    OK(GetRandomBytes(b, sizeof b));
    CHECK(memcmp(a, b, sizeof a) != 0);
    OK(GetRandomBytes(a, 0));
    static uint8_t big[(1 << 20) + 1];
    OK(GetRandomBytes(big, 1 << 20));
    STATUS(GetRandomBytes(big, sizeof big), StatusInvalidParameter);
    unsigned ones = 0;
    for (size_t i = 0; i < 1 << 20; i++)
        ones += (unsigned)__builtin_popcount(big[i]);
    // Half of 2^23 bits, with a standard deviation of 1448: eight of them never happen by chance.
    CHECK(ones > 4194304 - 8 * 1448 && ones < 4194304 + 8 * 1448);
}

static void TestDebugPrint(void)
{
    OK(DebugPrint("apitest: DebugPrint\n"));
    OK(DebugPrint(""));
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    OK(DebugPrint(text)); // the first 4096 bytes
    OK(DebugPrint("control \x1b[31m \x0e\x0f characters\n"));
    STATUS(DebugPrint(nullptr), StatusInvalidAddress);
    EQUAL(RawCall(SystemCallDebugPrint, (uintptr_t)text, 4097, 0, 0, 0, 0), StatusInvalidParameter);
}

// Numbers no call has.
static void TestUnknownCalls(void)
{
    static const uint64_t numbers[] = {SystemCallCount,    SystemCallCount + 1, 0x7FFFFFFF,
                                       0x80000000,         0xFFFFFFFF,          1ull << 32,
                                       0x8000000000000000, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uint64_t number = numbers[i];
        Status status = RawCall(number, 0, 0, 0, 0, 0, 0);
        // The number is in eax: bits above are not looked at.
        if ((uint32_t)number >= SystemCallCount)
            TestStatus(status, StatusUnknownSystemCall, __FILE__, __LINE__, "an unknown number");
    }
}

void TestSystem(void)
{
    TestInformation();
    TestCounters();
    TestClocks();
    TestRandom();
    TestDebugPrint();
    TestUnknownCalls();
    STATUS(ShutdownSystem((ShutdownAction)77, 0), StatusInvalidParameter);
    CHECK(strstr(GetStatusText(StatusNotFound), "StatusNotFound") != nullptr);
    CHECK(GetStatusText((Status)12345) != nullptr);
}

// ---- handles

// Every call that takes a handle, with handles of the wrong kind.
static Status CallWith(unsigned call, Handle handle)
{
    static char buffer[64];
    size_t size;
    uint32_t code;
    uint64_t position;
    FileInfo file;
    FileLock lock;
    DirectoryEntry entry;
    ProcessInfo process;
    ThreadInfo thread;
    HandleInfo info;
    Rect rect;
    Handle duplicate;
    switch (call) {
    case 0:
        return GetProcessInfo(handle, &process);
    case 1:
        return GetThreadExitCode(handle, &code);
    case 2:
        return SetThreadPriority(handle, 8);
    case 3:
        return SetEvent(handle);
    case 4:
        return ResetEvent(handle);
    case 5:
        return ReadFile(handle, buffer, sizeof buffer, &size);
    case 6:
        return WriteFile(handle, buffer, sizeof buffer, &size);
    case 7:
        return SetFilePointer(handle, 0, FileBegin, &position);
    case 8:
        return SetFileSize(handle, 0);
    case 9:
        return FlushFile(handle);
    case 10:
        return GetFileInfo(handle, &file);
    case 11:
        return ReadDirectory(handle, &entry);
    case 12:
        return PaintWindow(handle, nullptr);
    case 13:
        return MoveWindow(handle, 0, 0);
    case 14:
        return GetWindowRect(handle, &rect);
    case 15:
        return SetWindowTitle(handle, "x");
    case 16:
        return SetWindowFlags(handle, 0);
    case 17:
        return ActivateWindow(handle);
    case 18:
        return TerminateProcess(handle, 0);
    case 19:
        return WaitForSingleObject(handle, 0);
    case 20:
        return DuplicateHandle(CurrentProcess, handle, CurrentProcess, &duplicate, 0,
                               DuplicateSameAccess);
    case 21:
        return CloseHandle(handle);
    case 22:
        return ReadFileAt(handle, 0, buffer, sizeof buffer, &size);
    case 23:
        return WriteFileAt(handle, 0, buffer, sizeof buffer, &size);
    case 24:
        return SetFileTime(handle, 0);
    case 25:
        return LockFile(handle, 0, 1, FileLockShared, 0);
    case 26:
        return QueryFileLock(handle, 0, 1, FileLockShared, &lock);
    case 27:
        return ReleaseSemaphore(handle, 1, nullptr);
    case 28:
        return ReleaseMutex(handle);
    case 29:
        return SetTimer(handle, 0, 0);
    case 30:
        return CancelTimer(handle);
    case 31:
        return TerminateThread(handle, 0);
    case 32:
        return GetThreadInfo(handle, &thread);
    case 33:
        return ListThreads(handle, nullptr, 0, &size);
    case 34:
        return DuplicateHandle(handle, CurrentThread, CurrentProcess, &duplicate, 0, 0);
    case 35:
        return DuplicateHandle(CurrentProcess, CurrentThread, handle, &duplicate, 0, 0);
    case 36:
        return GetHandleInfo(handle, &info);
    case 37:
        return SetHandleFlags(handle, 0);
    case 38:
        return NameObject(handle, "apitest.bad");
    }
    return StatusNotSupported;
}
constexpr unsigned CallsWithHandles = 39;

static void TestBadHandles(void)
{
    Handle closed;
    NEEDED(CreateEvent(false, false, &closed));
    OK(CloseHandle(closed));
    const Handle handles[] = {InvalidHandle, closed,     1,          3,
                              0x7FFFFFFF,    0xFFFF0000, 0xFFFFFFF0, 0x00010001};
    for (unsigned call = 0; call < CallsWithHandles; call++) {
        for (size_t i = 0; i < COUNT_OF(handles); i++) {
            char text[64];
            // Small numbers may be open handles, standard ones for instance; what is closed must
            // stay out.
            Handle copy;
            if (i >= 2 && DuplicateHandle(CurrentProcess, handles[i], CurrentProcess, &copy, 0,
                                          DuplicateSameAccess) == StatusSuccess) {
                (void)CloseHandle(copy);
                continue;
            }
            snprintf(text, sizeof text, "call %u with handle 0x%x", call, handles[i]);
            TestStatus(CallWith(call, handles[i]), StatusInvalidHandle, __FILE__, __LINE__, text);
        }
    }
}

static void TestWrongTypes(void)
{
    Handle event;
    NEEDED(CreateEvent(true, false, &event));
    for (unsigned call = 0; call < 36; call++) {
        char text[64];
        if (call == 3 || call == 4 || (call >= 19 && call <= 21)) // an event is right for them
            continue;
        snprintf(text, sizeof text, "call %u with an event", call);
        TestStatus(CallWith(call, event), StatusWrongType, __FILE__, __LINE__, text);
    }
    OK(CloseHandle(event));
    STATUS(SetEvent(CurrentProcess), StatusInvalidHandle);
    Handle file, directory;
    OK(CreateFile(FOLDER "/type", FileWrite, FileCreateAlways, &file));
    STATUS(SetEvent(file), StatusWrongType);
    STATUS(WaitForSingleObject(file, 0), StatusWrongType);
    OK(CloseHandle(file));
    OK(OpenDirectory("/", &directory));
    STATUS(SetEvent(directory), StatusWrongType);
    OK(CloseHandle(directory));
}

static void TestManyHandles(void)
{
    static Handle handles[70000];
    size_t count = 0;
    Status status = StatusSuccess;
    while (count < COUNT_OF(handles) &&
           (status = CreateEvent(false, false, &handles[count])) == StatusSuccess)
        count++;
    CHECK(count >= 1000);
    if (count < COUNT_OF(handles))
        CHECK(status == StatusTooManyHandles || status == StatusNoMemory);
    for (size_t i = 0; i < count; i++)
        if (!OK(CloseHandle(handles[i])))
            break;
    NEEDED(CreateEvent(false, false, &handles[0]));
    STATUS(CloseHandle(handles[count > 1 ? 1 : 0] == handles[0] ? InvalidHandle
                                                                : handles[count > 1 ? 1 : 0]),
           StatusInvalidHandle);
    OK(CloseHandle(handles[0]));
    STATUS(CloseHandle(handles[0]), StatusInvalidHandle);
}

static void TestDuplicates(void)
{
    Handle event, copy;
    NEEDED(CreateEvent(false, false, &event));
    NEEDED(DuplicateHandle(CurrentProcess, event, CurrentProcess, &copy, 0, DuplicateSameAccess));
    CHECK(copy != event);
    OK(SetEvent(copy));
    OK(CloseHandle(copy));
    OK(WaitForSingleObject(event, 0));
    STATUS(WaitForSingleObject(event, 0), StatusTimeout);
    OK(CloseHandle(event));
    NEEDED(DuplicateHandle(CurrentProcess, CurrentProcess, CurrentProcess, &copy, 0,
                           DuplicateSameAccess));
    ProcessInfo info;
    OK(GetProcessInfo(copy, &info));
    EQUAL(info.ProcessId, GetCurrentProcessId());
    OK(CloseHandle(copy));
}

void TestHandles(void)
{
    TestBadHandles();
    TestWrongTypes();
    TestManyHandles();
    TestDuplicates();
}
