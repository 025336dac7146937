// objects.c - semaphores, mutexes, timers, what can be waited for, and objects that processes
// share: by name, by inheritance, by duplication.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

constexpr uint64_t Millisecond = 1000000;
constexpr uint32_t Long = 20000; // milliseconds that must not pass

static void Join(Handle thread)
{
    OK(WaitForSingleObject(thread, Long));
    OK(CloseHandle(thread));
}

// ---- semaphores

static void TestSemaphores(void)
{
    Handle semaphore = InvalidHandle;
    uint32_t previous = 99;
    STATUS(CreateSemaphore(0, 0, &semaphore), StatusInvalidParameter);
    STATUS(CreateSemaphore(2, 1, &semaphore), StatusInvalidParameter);
    STATUS(CreateSemaphore(0, 0x80000000u, &semaphore), StatusInvalidParameter);
    EQUAL(semaphore, InvalidHandle);
    NEEDED(CreateSemaphore(2, 3, &semaphore));
    OK(WaitForSingleObject(semaphore, 0));
    OK(WaitForSingleObject(semaphore, 0));
    STATUS(WaitForSingleObject(semaphore, 0), StatusTimeout);
    STATUS(ReleaseSemaphore(semaphore, 0, &previous), StatusInvalidParameter);
    STATUS(ReleaseSemaphore(semaphore, UINT32_MAX, &previous), StatusInvalidParameter);
    STATUS(ReleaseSemaphore(semaphore, 4, &previous), StatusLimitReached);
    EQUAL(previous, 99);
    OK(ReleaseSemaphore(semaphore, 2, &previous));
    EQUAL(previous, 0);
    OK(ReleaseSemaphore(semaphore, 1, nullptr));
    STATUS(ReleaseSemaphore(semaphore, 1, &previous), StatusLimitReached);
    for (int i = 0; i < 3; i++)
        OK(WaitForSingleObject(semaphore, 0));
    STATUS(SetEvent(semaphore), StatusWrongType);
    STATUS(ReleaseMutex(semaphore), StatusWrongType);
    OK(CloseHandle(semaphore));
    STATUS(ReleaseSemaphore(semaphore, 1, nullptr), StatusInvalidHandle);
}

typedef struct Gate {
    Handle Semaphore, Done;
    volatile int Inside, Most;
} Gate;

static uint32_t PassGate(void *argument)
{
    Gate *gate = argument;
    for (int i = 0; i < 50; i++) {
        if (WaitForSingleObject(gate->Semaphore, Long) != StatusSuccess)
            return 1;
        int inside = __atomic_add_fetch(&gate->Inside, 1, __ATOMIC_SEQ_CST);
        if (inside > gate->Most)
            gate->Most = inside;
        if (i % 8 == 0)
            Sleep(0);
        __atomic_sub_fetch(&gate->Inside, 1, __ATOMIC_SEQ_CST);
        (void)ReleaseSemaphore(gate->Semaphore, 1, nullptr);
    }
    return 0;
}

static void TestGate(void)
{
    Gate gate = {};
    Handle threads[6];
    NEEDED(CreateSemaphore(2, 2, &gate.Semaphore));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(PassGate, &gate, 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        Join(threads[i]);
    CHECK(gate.Most >= 1 && gate.Most <= 2);
    OK(CloseHandle(gate.Semaphore));
}

// ---- mutexes

typedef struct Owner {
    Handle Mutex, Ready, Go;
    Status Released;
} Owner;

// Takes the mutex twice and ends without giving it back.
static uint32_t TakeAndEnd(void *argument)
{
    Owner *owner = argument;
    (void)WaitForSingleObject(owner->Mutex, Long);
    (void)WaitForSingleObject(owner->Mutex, Long);
    (void)SetEvent(owner->Ready);
    (void)WaitForSingleObject(owner->Go, Long);
    return 0;
}

static uint32_t ReleaseForeign(void *argument)
{
    Owner *owner = argument;
    owner->Released = ReleaseMutex(owner->Mutex);
    return WaitForSingleObject(owner->Mutex, 0) == StatusTimeout ? 0 : 1;
}

static void TestOwnership(void)
{
    Owner owner = {};
    Handle thread;
    uint32_t code;
    NEEDED(CreateMutex(true, &owner.Mutex));
    OK(WaitForSingleObject(owner.Mutex, 0)); // again
    NEEDED(CreateThread(ReleaseForeign, &owner, 0, &thread));
    OK(WaitForSingleObject(thread, Long));
    STATUS(owner.Released, StatusNotOwner);
    OK(GetThreadExitCode(thread, &code));
    EQUAL(code, 0);
    OK(CloseHandle(thread));
    OK(ReleaseMutex(owner.Mutex));
    OK(ReleaseMutex(owner.Mutex));
    STATUS(ReleaseMutex(owner.Mutex), StatusNotOwner);
    OK(WaitForSingleObject(owner.Mutex, 0));
    OK(CloseHandle(owner.Mutex)); // owned: nothing is left behind
}

static void TestAbandonment(void)
{
    Owner owner = {};
    Handle thread;
    size_t index = 9;
    NEEDED(CreateMutex(false, &owner.Mutex));
    NEEDED(CreateEvent(false, false, &owner.Ready));
    NEEDED(CreateEvent(false, false, &owner.Go));
    NEEDED(CreateThread(TakeAndEnd, &owner, 0, &thread));
    OK(WaitForSingleObject(owner.Ready, Long));
    STATUS(WaitForSingleObject(owner.Mutex, 0), StatusTimeout);
    OK(SetEvent(owner.Go));
    STATUS(WaitForSingleObject(owner.Mutex, Long), StatusAbandoned); // already waiting or not
    OK(WaitForSingleObject(owner.Mutex, 0));                         // told once
    OK(ReleaseMutex(owner.Mutex));
    OK(ReleaseMutex(owner.Mutex));
    Join(thread);
    // By a thread that is ended from outside, seen by waits for several.
    NEEDED(CreateThread(TakeAndEnd, &owner, 0, &thread));
    OK(WaitForSingleObject(owner.Ready, Long));
    OK(TerminateThread(thread, 5));
    Join(thread);
    const Handle some[] = {owner.Ready, owner.Mutex};
    STATUS(WaitForMultipleObjects(2, some, false, Long, &index), StatusAbandoned);
    EQUAL(index, 1);
    OK(ReleaseMutex(owner.Mutex));
    NEEDED(CreateThread(TakeAndEnd, &owner, 0, &thread));
    OK(WaitForSingleObject(owner.Ready, Long));
    OK(TerminateThread(thread, 5));
    Join(thread);
    OK(SetEvent(owner.Ready));
    STATUS(WaitForMultipleObjects(2, some, true, Long, &index), StatusAbandoned);
    OK(ReleaseMutex(owner.Mutex));
    OK(CloseHandle(owner.Mutex));
    OK(CloseHandle(owner.Ready));
    OK(CloseHandle(owner.Go));
}

static Handle countMutex;
static volatile unsigned counted;

static uint32_t CountUnderMutex(void *argument)
{
    for (int i = 0; i < 200; i++) {
        if (WaitForSingleObject(countMutex, Long) != StatusSuccess)
            return 1;
        unsigned value = counted;
        if (i % 16 == 0)
            Sleep(0);
        counted = value + 1;
        (void)ReleaseMutex(countMutex);
    }
    return 0;
}

static void TestExclusion(void)
{
    Handle threads[4];
    NEEDED(CreateMutex(false, &countMutex));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(CountUnderMutex, nullptr, 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        Join(threads[i]);
    EQUAL(counted, 800);
    OK(CloseHandle(countMutex));
}

// ---- timers

static void TestTimers(void)
{
    Handle timer, manual;
    NEEDED(CreateTimer(false, &timer));
    STATUS(WaitForSingleObject(timer, 0), StatusTimeout);
    uint64_t start = GetMonotonicTime();
    NEEDED(SetTimer(timer, 20 * Millisecond, 0));
    OK(WaitForSingleObject(timer, Long));
    CHECK(GetMonotonicTime() - start >= 20 * Millisecond);
    STATUS(WaitForSingleObject(timer, 30), StatusTimeout); // once
    // A rhythm: the n-th signal never comes before n periods.
    start = GetMonotonicTime();
    NEEDED(SetTimer(timer, 5 * Millisecond, 5 * Millisecond));
    for (uint64_t i = 1; i <= 5; i++) {
        OK(WaitForSingleObject(timer, Long));
        CHECK(GetMonotonicTime() - start >= i * 5 * Millisecond);
    }
    OK(CancelTimer(timer));
    (void)WaitForSingleObject(timer, 0); // a signal that was there stays
    STATUS(WaitForSingleObject(timer, 20), StatusTimeout);
    NEEDED(SetTimer(timer, UINT64_MAX, UINT64_MAX));
    STATUS(WaitForSingleObject(timer, 1), StatusTimeout);
    NEEDED(SetTimer(timer, 0, 1)); // as often as anybody looks
    for (int i = 0; i < 100; i++)
        OK(WaitForSingleObject(timer, Long));
    NEEDED(SetTimer(timer, 0, 0));
    OK(WaitForSingleObject(timer, Long));
    NEEDED(CreateTimer(true, &manual));
    NEEDED(SetTimer(manual, Millisecond, 0));
    OK(WaitForSingleObject(manual, Long));
    OK(WaitForSingleObject(manual, 0));
    NEEDED(SetTimer(manual, 1000000 * Millisecond, 0));
    STATUS(WaitForSingleObject(manual, 0), StatusTimeout);
    const Handle both[] = {manual, timer};
    size_t index = 7;
    NEEDED(SetTimer(timer, Millisecond, 0));
    OK(WaitForMultipleObjects(2, both, false, Long, &index));
    EQUAL(index, 1);
    STATUS(SetTimer(CurrentProcess, 0, 0), StatusInvalidHandle);
    OK(CloseHandle(manual)); // armed
    OK(CloseHandle(timer));
}

// ---- pipes and windows

static uint32_t WriteLater(void *argument)
{
    size_t moved;
    Sleep(20);
    return WriteFile(*(Handle *)argument, "x", 1, &moved) == StatusSuccess ? 0 : 1;
}

static void TestPipeWaits(void)
{
    static char buffer[65536];
    Handle read, write, thread;
    size_t moved;
    NEEDED(CreatePipe(&read, &write));
    STATUS(WaitForSingleObject(read, 0), StatusTimeout);
    OK(WaitForSingleObject(write, 0));
    NEEDED(CreateThread(WriteLater, &write, 0, &thread));
    OK(WaitForSingleObject(read, Long));
    OK(WaitForSingleObject(read, 0)); // still there
    NEEDED(ReadFile(read, buffer, sizeof buffer, &moved));
    EQUAL(moved, 1);
    STATUS(WaitForSingleObject(read, 0), StatusTimeout);
    Join(thread);
    OK(WriteFile(write, buffer, sizeof buffer, &moved)); // full
    STATUS(WaitForSingleObject(write, 0), StatusTimeout);
    OK(ReadFile(read, buffer, 4095, &moved));
    STATUS(WaitForSingleObject(write, 0), StatusTimeout); // a write of 4096 bytes would wait
    OK(ReadFile(read, buffer, 1, &moved));
    OK(WaitForSingleObject(write, 0));
    for (size_t rest = sizeof buffer - 4096; rest > 0; rest -= moved)
        if (!OK(ReadFile(read, buffer, sizeof buffer, &moved)))
            break;
    STATUS(WaitForSingleObject(read, 0), StatusTimeout);
    OK(CloseHandle(write));
    OK(WaitForSingleObject(read, 0)); // what is to be read is the end
    STATUS(ReadFile(read, buffer, 1, &moved), StatusEndOfFile);
    OK(CloseHandle(read));
    NEEDED(CreatePipe(&read, &write));
    OK(WriteFile(write, buffer, sizeof buffer, &moved));
    OK(CloseHandle(read));
    OK(WaitForSingleObject(write, 0));
    STATUS(WriteFile(write, buffer, 1, &moved), StatusPipeBroken);
    OK(CloseHandle(write));
}

static void TestWindowWaits(void)
{
    WindowParameters parameters = {"waits", 20, 20, 32, 32, WindowFrame};
    WindowBuffer buffer;
    Handle window;
    Message message;
    if (AllocWindow(&parameters, &window, &buffer) != StatusSuccess)
        return; // no display
    OK(ActivateWindow(window));
    OK(WaitForSingleObject(window, Long)); // MessageFocus at least
    while (PeekMessage(&message) == StatusSuccess) {}
    STATUS(WaitForSingleObject(window, 0), StatusTimeout);
    OK(CloseHandle(window));
}

static void TestNeverSignalled(void)
{
    Handle file, directory;
    OK(CreateFile(FOLDER "/never", FileRead | FileWrite, FileCreateAlways, &file));
    OK(OpenDirectory(FOLDER, &directory));
    STATUS(WaitForSingleObject(file, 0), StatusWrongType);
    STATUS(WaitForSingleObject(directory, 0), StatusWrongType);
    OK(CloseHandle(file));
    OK(CloseHandle(directory));
}

void TestObjects(void)
{
    TestSemaphores();
    TestGate();
    TestOwnership();
    TestAbandonment();
    TestExclusion();
    TestTimers();
    TestPipeWaits();
    TestWindowWaits();
    TestNeverSignalled();
}

// ---- names

static void TestNameErrors(Handle event)
{
    char longName[MaximumObjectName + 1];
    Handle other;
    memset(longName, 'n', sizeof longName - 1);
    longName[sizeof longName - 1] = 0;
    STATUS(NameObject(event, ""), StatusInvalidName);
    STATUS(NameObject(event, "line\nend"), StatusInvalidName);
    STATUS(NameObject(event, longName), StatusNameTooLong);
    STATUS(NameObject(CurrentProcess, "apitest.process"), StatusInvalidHandle);
    STATUS(OpenObject("", 0, 0, &other), StatusInvalidName);
    STATUS(OpenObject(longName, 0, 0, &other), StatusNameTooLong);
    STATUS(OpenObject("apitest.nothing", 0, 0, &other), StatusNotFound);
    STATUS(OpenObject("apitest.nothing", (ObjectKind)99, 0, &other), StatusInvalidParameter);
    longName[MaximumObjectName - 1] = 0;
    NEEDED(NameObject(event, longName));
    NEEDED(OpenObject(longName, ObjectEvent, 0, &other));
    OK(CloseHandle(other));
}

static void TestNames(void)
{
    Handle event, weak, other, second;
    HandleInfo info;
    NEEDED(CreateEvent(true, false, &event));
    TestNameErrors(event);
    OK(CloseHandle(event));
    NEEDED(CreateEvent(true, false, &event));
    NEEDED(
        DuplicateHandle(CurrentProcess, event, CurrentProcess, &weak, AccessWait | AccessQuery, 0));
    NEEDED(NameObject(weak, "apitest.event"));
    STATUS(NameObject(event, "apitest.again"), StatusConflict);
    NEEDED(CreateEvent(false, false, &second));
    STATUS(NameObject(second, "apitest.event"), StatusAlreadyExists);
    STATUS(OpenObject("apitest.event", ObjectMutex, 0, &other), StatusWrongType);
    STATUS(OpenObject("apitest.Event", 0, 0, &other), StatusNotFound);
    STATUS(OpenObject("apitest.event", 0, AccessModify, &other), StatusAccessDenied);
    NEEDED(OpenObject("apitest.event", ObjectEvent, 0, &other));
    STATUS(SetEvent(other), StatusAccessDenied);
    OK(SetEvent(event));
    OK(WaitForSingleObject(other, 0));
    OK(GetHandleInfo(other, &info));
    EQUAL(info.Kind, ObjectEvent);
    EQUAL(info.Access, AccessWait | AccessQuery);
    EQUAL(info.HandleCount, 3);
    TEXT(info.Name, "apitest.event");
    OK(CloseHandle(event));
    OK(CloseHandle(weak));
    STATUS(NameObject(second, "apitest.event"), StatusAlreadyExists); // `other` is open
    OK(CloseHandle(other));
    NEEDED(NameObject(second, "apitest.event"));
    OK(CloseHandle(second));
    STATUS(OpenObject("apitest.event", 0, 0, &other), StatusNotFound);
}

// Another process finds an object by name; the mutex it took there is abandoned by its end.
static void TestNamesAcross(void)
{
    Handle event, mutex, process, other;
    NEEDED(CreateEvent(false, false, &event));
    NEEDED(CreateMutex(false, &mutex));
    NEEDED(NameObject(event, "apitest.ready"));
    NEEDED(NameObject(mutex, "apitest.mutex"));
    NEEDED(StartChild("object take", InvalidHandle, InvalidHandle, InvalidHandle, &process));
    OK(WaitForSingleObject(event, Long));
    STATUS(WaitForSingleObject(mutex, 0), StatusTimeout);
    OK(TerminateProcess(process, 44));
    STATUS(WaitForSingleObject(mutex, Long), StatusAbandoned);
    EQUAL(EndChild(process), 44);
    OK(ReleaseMutex(mutex));
    OK(CloseHandle(mutex));
    OK(CloseHandle(event));
    STATUS(OpenObject("apitest.mutex", 0, 0, &other), StatusNotFound);
    EQUAL(RunChild("object name"), 0); // names something and ends
    STATUS(OpenObject("apitest.left", 0, 0, &other), StatusNotFound);
}

// ---- inheritance and duplication

static void TestInheritance(void)
{
    Handle marked, unmarked, process;
    HandleInfo info;
    char line[160];
    NEEDED(CreateEvent(true, false, &marked));
    NEEDED(CreateEvent(true, false, &unmarked));
    STATUS(SetHandleFlags(marked, 0x10), StatusInvalidParameter);
    STATUS(SetHandleFlags(CurrentProcess, HandleInherit), StatusInvalidHandle);
    OK(SetHandleFlags(marked, HandleInherit));
    OK(GetHandleInfo(marked, &info));
    EQUAL(info.Flags, HandleInherit);
    for (int inherit = 0; inherit < 2; inherit++) {
        snprintf(line, sizeof line, "/tests/apitest.exe --child object set %u %u", marked,
                 unmarked);
        CreateProcessParameters parameters = {.CommandLine = line,
                                              .Flags = inherit ? ProcessInheritHandles : 0};
        NEEDED(CreateProcess(&parameters, &process));
        EQUAL(EndChild(process), inherit ? 1 : 0); // how many of the two it could set
        STATUS(WaitForSingleObject(marked, 0), inherit ? StatusSuccess : StatusTimeout);
        STATUS(WaitForSingleObject(unmarked, 0), StatusTimeout);
    }
    OK(GetHandleInfo(marked, &info));
    EQUAL(info.HandleCount, 1);
    OK(CloseHandle(marked));
    OK(CloseHandle(unmarked));
}

static void TestRights(void)
{
    Handle event, copy, more, process, weak;
    uint32_t code;
    NEEDED(CreateEvent(true, false, &event));
    NEEDED(DuplicateHandle(CurrentProcess, event, CurrentProcess, &copy, AccessModify, 0));
    OK(SetEvent(copy));
    STATUS(WaitForSingleObject(copy, 0), StatusAccessDenied);
    const Handle both[] = {event, copy};
    STATUS(WaitForMultipleObjects(2, both, false, 0, nullptr), StatusAccessDenied);
    STATUS(DuplicateHandle(CurrentProcess, copy, CurrentProcess, &more, AccessWait, 0),
           StatusAccessDenied);
    STATUS(DuplicateHandle(CurrentProcess, copy, CurrentProcess, &more, 0, 0x80),
           StatusInvalidParameter);
    NEEDED(DuplicateHandle(CurrentProcess, copy, CurrentProcess, &more, 0, DuplicateCloseSource));
    STATUS(SetEvent(more), StatusAccessDenied);
    STATUS(SetEvent(copy), StatusInvalidHandle);
    OK(CloseHandle(more));
    OK(CloseHandle(event));
    // Of processes and threads.
    NEEDED(DuplicateHandle(CurrentProcess, CurrentProcess, CurrentProcess, &process, AccessAll, 0));
    NEEDED(DuplicateHandle(CurrentProcess, process, CurrentProcess, &weak, AccessWait, 0));
    ProcessInfo info;
    size_t count;
    STATUS(GetProcessInfo(weak, &info), StatusAccessDenied);
    STATUS(TerminateProcess(weak, 1), StatusAccessDenied);
    STATUS(ListThreads(weak, nullptr, 0, &count), StatusAccessDenied);
    STATUS(DuplicateHandle(weak, process, CurrentProcess, &copy, 0, 0), StatusAccessDenied);
    STATUS(DuplicateHandle(CurrentProcess, process, weak, &copy, 0, 0), StatusAccessDenied);
    STATUS(WaitForSingleObject(weak, 0), StatusTimeout);
    OK(CloseHandle(weak));
    OK(CloseHandle(process));
    NEEDED(DuplicateHandle(CurrentProcess, CurrentThread, CurrentProcess, &weak, AccessWait, 0));
    ThreadInfo thread;
    STATUS(GetThreadExitCode(weak, &code), StatusAccessDenied);
    STATUS(SetThreadPriority(weak, 8), StatusAccessDenied);
    STATUS(TerminateThread(weak, 1), StatusAccessDenied);
    STATUS(GetThreadInfo(weak, &thread), StatusAccessDenied);
    OK(CloseHandle(weak));
}

static void TestDuplicationAcross(void)
{
    Handle event, process, there, back, pipeRead, pipeWrite;
    ProcessInfo info;
    char byte = 0;
    size_t moved;
    NEEDED(CreateEvent(true, false, &event));
    NEEDED(StartChild("sleep 60000", InvalidHandle, InvalidHandle, InvalidHandle, &process));
    NEEDED(DuplicateHandle(CurrentProcess, event, process, &there, AccessAll, 0));
    NEEDED(DuplicateHandle(process, there, CurrentProcess, &back, AccessModify, 0));
    OK(SetEvent(back));
    OK(WaitForSingleObject(event, 0));
    OK(CloseHandle(back));
    NEEDED(DuplicateHandle(process, there, CurrentProcess, &back, 0,
                           DuplicateSameAccess | DuplicateCloseSource));
    STATUS(DuplicateHandle(process, there, CurrentProcess, &there, 0, DuplicateSameAccess),
           StatusInvalidHandle);
    OK(CloseHandle(back));
    // The only write end is the child's: its end is the pipe's end.
    NEEDED(CreatePipe(&pipeRead, &pipeWrite));
    NEEDED(DuplicateHandle(CurrentProcess, pipeWrite, process, &there, 0,
                           DuplicateSameAccess | DuplicateCloseSource));
    STATUS(WaitForSingleObject(pipeRead, 0), StatusTimeout);
    OK(TerminateProcess(process, 0));
    OK(WaitForSingleObject(pipeRead, Long));
    STATUS(ReadFile(pipeRead, &byte, 1, &moved), StatusEndOfFile);
    OK(WaitForSingleObject(process, Long));
    STATUS(DuplicateHandle(CurrentProcess, event, process, &there, AccessAll, 0),
           StatusTerminating);
    STATUS(DuplicateHandle(process, 0x10001, CurrentProcess, &there, 0, 0), StatusTerminating);
    OK(GetProcessInfo(process, &info));
    EQUAL(info.HandleCount, 0);
    OK(CloseHandle(process));
    OK(CloseHandle(pipeRead));
    OK(CloseHandle(event));
}

void TestSharing(void)
{
    TestNames();
    TestNamesAcross();
    TestInheritance();
    TestRights();
    TestDuplicationAcross();
}

// ---- on several processors at the same moment

static uint32_t OpenAndClose(void *over)
{
    Handle event;
    while (!*(volatile bool *)over)
        if (OpenObject("apitest.race", 0, 0, &event) == StatusSuccess)
            (void)CloseHandle(event);
    return 0;
}

// A name is looked up while the last handle to its object is being closed.
void TestRaces(void)
{
    constexpr int Rounds = 3000;
    Handle threads[3], event;
    volatile bool over = false;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(OpenAndClose, (void *)&over, 0, &threads[i]));
    for (int i = 0; i < Rounds; i++) {
        NEEDED(CreateEvent(false, false, &event));
        Status status = NameObject(event, "apitest.race");
        CHECK(status == StatusSuccess || status == StatusAlreadyExists); // or still held open
        OK(CloseHandle(event));
    }
    over = true;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        Join(threads[i]);
    STATUS(OpenObject("apitest.race", 0, 0, &event), StatusNotFound);
}

int ObjectChild(int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "";
    Handle mutex, event;
    if (!strcmp(what, "take")) { // dies with the mutex
        if (OpenObject("apitest.mutex", ObjectMutex, AccessWait | AccessModify, &mutex) ||
            OpenObject("apitest.ready", ObjectEvent, AccessModify, &event) ||
            WaitForSingleObject(mutex, Long) || SetEvent(event))
            return 1;
        Sleep(60000);
        return 2;
    }
    if (!strcmp(what, "name"))
        return CreateEvent(false, false, &event) || NameObject(event, "apitest.left");
    if (!strcmp(what, "set")) {
        int set = 0;
        for (int i = 1; i < argc; i++)
            set += SetEvent((Handle)strtoul(argv[i], nullptr, 10)) == StatusSuccess;
        return set;
    }
    return 99;
}
