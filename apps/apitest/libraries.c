// libraries.c - LoadLibrary, GetProcAddress, FreeLibrary, and what happens around them.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdlib.h>
#include <string.h>

typedef int Function(void);

static void *Find(LibraryHandle library, const char *name)
{
    void *address = nullptr;
    OK(GetProcAddress(library, name, &address));
    return address;
}

static int Call(LibraryHandle library, const char *name)
{
    Function *function = (Function *)Find(library, name);
    return function ? function() : -1;
}

typedef struct ThreadUse {
    Function *Next, *DependencyNext;
    Handle Loaded, Go;
} ThreadUse;

// Runs since before the libraries were loaded: their thread-local data must reach it all the same.
static uint32_t UseLibraryLocals(void *argument)
{
    ThreadUse *use = argument;
    if (WaitForSingleObject(use->Go, 10000) != StatusSuccess)
        return 0;
    return use->Next() == 8 && use->Next() == 9 && use->DependencyNext() == 101;
}

static void TestLoaded(LibraryHandle library)
{
    int (*add)(int, int) = (int (*)(int, int))Find(library, "Apitest1Add");
    char *(*format)(int) = (char *(*)(int))Find(library, "Apitest1Format");
    if (!add || !format)
        return;
    EQUAL(add(2, 3), 5);
    char *text = format(17); // one heap for everybody
    TEXT(text, "value 17");
    free(text);
    EQUAL(Call(library, "Apitest1DependencyReady"), 1);
    EQUAL(Call(library, "Apitest1Next"), 8);
    EQUAL(Call(library, "Apitest1Next"), 9);
    EQUAL(Call(library, "Apitest1DependencyNext"), 101);
    void *address = (void *)1;
    STATUS(GetProcAddress(library, "NoSuchName", &address), StatusNotFound);
    STATUS(GetProcAddress(library, "", &address), StatusNotFound);
    STATUS(GetProcAddress(nullptr, "Apitest1Add", &address), StatusInvalidHandle);
    STATUS(GetProcAddress((LibraryHandle)(void *)&library, "Apitest1Add", &address),
           StatusInvalidHandle);
    EQUAL((uintptr_t)address, 1);
}

static void TestCounts(void)
{
    LibraryHandle a = nullptr, b = nullptr, dependency = nullptr;
    OK(LoadLibrary("apitest1", &a));
    OK(LoadLibrary("APITEST1.DLL", &b));
    CHECK(a == b);
    OK(LoadLibrary("/tests/apitest2.dll", &dependency)); // already in memory under its short name
    int (*events)(unsigned) = (int (*)(unsigned))Find(dependency, "Apitest2Events");
    if (events) {
        EQUAL(events(DllProcessAttach), 1);
        EQUAL(events(DllProcessDetach), 0);
    }
    OK(FreeLibrary(b));
    EQUAL(Call(a, "Apitest1DependencyReady"), 1);
    OK(FreeLibrary(a));
    STATUS(FreeLibrary(a), StatusInvalidHandle);
    if (events)
        EQUAL(events(DllProcessAttach), 1); // still held by its own handle
    OK(FreeLibrary(dependency));
    STATUS(FreeLibrary(dependency), StatusInvalidHandle);
    MemoryInfo info;
    if (events) {
        OK(VirtualQuery((void *)events, &info));
        EQUAL(info.Kind, 0);
    }
}

static void TestLoadErrors(void)
{
    LibraryHandle library = (LibraryHandle)(void *)&library;
    Handle file;
    size_t moved;
    STATUS(LoadLibrary("nosuchlibrary", &library), StatusNotFound);
    STATUS(LoadLibrary("/nowhere/x.dll", &library), StatusPathNotFound);
    STATUS(LoadLibrary("", &library), StatusInvalidName);
    STATUS(LoadLibrary(nullptr, &library), StatusInvalidAddress);
    STATUS(LoadLibrary("apitest1", nullptr), StatusInvalidAddress);
    OK(CreateFile(FOLDER "/bad.dll", FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, "MZ this is no image", 19, &moved));
    OK(CloseHandle(file));
    STATUS(LoadLibrary(FOLDER "/bad.dll", &library), StatusBadImage);
    OK(CreateFile(FOLDER "/empty.dll", FileWrite, FileCreateAlways, &file));
    OK(CloseHandle(file));
    STATUS(LoadLibrary(FOLDER "/empty.dll", &library), StatusBadImage);
    STATUS(LoadLibrary("apitest3", &library), StatusCancelled); // its DllMain says no
    STATUS(LoadLibrary("apitest3", &library), StatusCancelled);
    CHECK(library == (LibraryHandle)(void *)&library);
    STATUS(FreeLibrary(nullptr), StatusInvalidHandle);
}

// Threads that start and end are told to every library.
static void TestNotifications(void)
{
    LibraryHandle library = nullptr;
    Handle thread;
    if (!OK(LoadLibrary("apitest2", &library)))
        return;
    int (*events)(unsigned) = (int (*)(unsigned))Find(library, "Apitest2Events");
    void (*end)(uint32_t) = ExitThread;
    for (int i = 1; events && i <= 3; i++) {
        NEEDED(CreateThread((ThreadEntry)(void *)end, (void *)5, 0, &thread));
        OK(WaitForSingleObject(thread, 10000));
        OK(CloseHandle(thread));
        EQUAL(events(DllThreadAttach), i);
        EQUAL(events(DllThreadDetach), i);
    }
    OK(FreeLibrary(library));
}

static int RunProgram(const char *line)
{
    const CreateProcessParameters parameters = {.CommandLine = line};
    Handle process;
    return NEEDED(CreateProcess(&parameters, &process)) ? EndChild(process) : -1;
}

static bool CopyFile(const char *from, const char *to)
{
    static char buffer[65536];
    Handle source, target;
    size_t moved, written;
    if (!OK(CreateFile(from, FileRead, FileOpenExisting, &source)))
        return false;
    bool good = OK(CreateFile(to, FileWrite, FileCreateAlways, &target));
    while (good && ReadFile(source, buffer, sizeof buffer, &moved) == StatusSuccess)
        good = OK(WriteFile(target, buffer, moved, &written)) && written == moved;
    OK(CloseHandle(target));
    OK(CloseHandle(source));
    return good;
}

// A program with imports of its own; without its library it ends before main, with a message.
static void TestLinked(void)
{
    EQUAL(RunProgram("/tests/linktest.exe"), 42);
    if (CopyFile("/tests/linktest.exe", FOLDER "/linktest.exe"))
        EQUAL(RunProgram(FOLDER "/linktest.exe"), 127);
    // Its library is there, but not what that one imports.
    if (CopyFile("/tests/apitest1.dll", FOLDER "/apitest1.dll"))
        EQUAL(RunProgram(FOLDER "/linktest.exe"), 127);
    // Another library under the right name.
    if (CopyFile("/tests/apitest3.dll", FOLDER "/apitest1.dll"))
        EQUAL(RunProgram(FOLDER "/linktest.exe"), 127);
}

void TestLibraries(void)
{
    LibraryHandle library = nullptr;
    ThreadUse use = {};
    Handle thread;
    uint32_t code = 0;
    ProcessInfo before, after;
    NEEDED(CreateEvent(true, false, &use.Go));
    NEEDED(CreateThread(UseLibraryLocals, &use, 0, &thread));
    if (OK(LoadLibrary("apitest1", &library))) {
        TestLoaded(library);
        use.Next = (Function *)Find(library, "Apitest1Next");
        use.DependencyNext = (Function *)Find(library, "Apitest1DependencyNext");
        OK(SetEvent(use.Go));
        OK(WaitForSingleObject(thread, 10000));
        OK(GetThreadExitCode(thread, &code));
        EQUAL(code, 1);
        OK(FreeLibrary(library));
    } else {
        (void)WaitForSingleObject(thread, 20000);
    }
    OK(CloseHandle(thread));
    OK(CloseHandle(use.Go));
    TestCounts();
    TestLoadErrors();
    TestNotifications();
    TestLinked();
    OK(GetProcessInfo(CurrentProcess, &before));
    for (int i = 0; i < 30; i++) {
        if (!OK(LoadLibrary("apitest1", &library)))
            break;
        EQUAL(Call(library, "Apitest1Next"), 8); // fresh data every time
        OK(FreeLibrary(library));
    }
    OK(GetProcessInfo(CurrentProcess, &after));
    CHECK(after.CommittedMemory <= before.CommittedMemory + 65536);
    EQUAL(after.HandleCount, before.HandleCount);
    // The system's own library can be asked too.
    OK(LoadLibrary("mosrt", &library));
    CHECK(Find(library, "printf") != nullptr);
    OK(FreeLibrary(library));
}
