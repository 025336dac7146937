// processes.c - starting programs, their ends, leaks, and the lessons of an earlier system.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Runs a child with its output caught.
static int Capture(const char *words, char *output, size_t size)
{
    Handle read, write, process;
    size_t total = 0, moved;
    output[0] = 0;
    if (!NEEDED(CreatePipe(&read, &write)))
        return -1;
    bool started = NEEDED(StartChild(words, InvalidHandle, write, write, &process));
    OK(CloseHandle(write));
    while (started && total < size - 1 &&
           ReadFile(read, output + total, size - 1 - total, &moved) == StatusSuccess)
        total += moved;
    output[total] = 0;
    OK(CloseHandle(read));
    return started ? EndChild(process) : -1;
}

static void TestStartErrors(void)
{
    Handle process = 0x1234, file;
    CreateProcessParameters parameters = {};
    size_t moved;
    STATUS(CreateProcess(&parameters, &process), StatusInvalidParameter); // no command line
    static const struct {
        const char *Line;
        Status Expected;
    } lines[] = {
        {"nosuchprogram", StatusNotFound},
        {"nosuchprogram.exe with arguments", StatusNotFound},
        {"/nowhere/x.exe", StatusPathNotFound},
        {"/apps/nosuchprogram.exe", StatusNotFound},
        {FOLDER "/text.exe", StatusBadImage},
        {FOLDER "/empty.exe", StatusBadImage},
    };
    OK(CreateFile(FOLDER "/text.exe", FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, "#!/bin/sh\n", 10, &moved));
    OK(CloseHandle(file));
    OK(CreateFile(FOLDER "/empty.exe", FileWrite, FileCreateAlways, &file));
    OK(CloseHandle(file));
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        parameters.CommandLine = lines[i].Line;
        TestStatus(CreateProcess(&parameters, &process), lines[i].Expected, __FILE__, __LINE__,
                   lines[i].Line);
    }
    static const char *const odd[] = {"", " ", "\"", "\"\"", "/", "/apps", ".", "..", "\t\t"};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        parameters.CommandLine = odd[i];
        TestCheck(CreateProcess(&parameters, &process) != StatusSuccess, __FILE__, __LINE__,
                  odd[i]);
    }
    parameters.CommandLine = "/tests/apitest.exe --child nothing";
    parameters.StandardOutput = 0x7777;
    STATUS(CreateProcess(&parameters, &process), StatusInvalidHandle);
    parameters.StandardOutput = InvalidHandle;
    parameters.Flags = 0x8000;
    STATUS(CreateProcess(&parameters, &process), StatusInvalidParameter);
    parameters.Flags = 0;
    parameters.CurrentDirectory = "/nowhere";
    CHECK(CreateProcess(&parameters, &process) != StatusSuccess);
    EQUAL(process, 0x1234);
    STATUS(CreateProcess(nullptr, &process), StatusInvalidAddress);
    STATUS(CreateProcess(&parameters, nullptr), StatusInvalidAddress);
}

static void TestOutput(void)
{
    static char output[100000];
    EQUAL(Capture("print", output, sizeof output), 0);
    CHECK(strstr(output, "printed\n") && strstr(output, "put\n") && strstr(output, "to stderr\n"));
    EQUAL(Capture("atexit", output, sizeof output), 0);
    TEXT(output, "before\nat exit\n");
    EQUAL(Capture("atexit again", output, sizeof output), 4);
    TEXT(output, "before\nat exit\n");
    EQUAL(Capture(
              "arguments one \"two words\" \"a \\\"quote\\\"\" \\back\\slash \"end\\\\\" \"\" last",
              output, sizeof output),
          7);
    TEXT(output, "<one><two words><a \"quote\"><\\back\\slash><end\\><><last>");
    EQUAL(Capture("many 10000", output, sizeof output), 0);
    EQUAL(strlen(output), 90000);
    CHECK(!strncmp(output + 89991, "0000270f\n", 9));
    Handle read, write, process;
    NEEDED(CreatePipe(&read, &write));
    NEEDED(StartChild("reader", read, InvalidHandle, InvalidHandle, &process));
    EQUAL(EndChild(process), 6);
    OK(CloseHandle(read));
    OK(CloseHandle(write));
    for (int i = 0; i < 5; i++) {
        EQUAL(Capture("together", output, sizeof output), 14);
        TEXT(output, "flushed\n");
    }
    // Without handles: nothing crashes, input is at its end.
    EQUAL(RunChild("print"), 0);
    EQUAL(RunChild("read"), 7);
    EQUAL(RunChild("copy"), 0);
}

static void TestInheritance(void)
{
    char output[MaximumPath];
    setenv("APITEST", "from the parent", 1);
    EQUAL(Capture("environment APITEST", output, sizeof output), 1);
    TEXT(output, "from the parent");
    unsetenv("APITEST");
    EQUAL(Capture("environment APITEST", output, sizeof output), 0);
    OK(SetCurrentDirectory(FOLDER));
    EQUAL(Capture("directory", output, sizeof output), 0);
    TEXT(output, FOLDER);
    OK(SetCurrentDirectory("/"));
    static const char *const environment[] = {"ONE=1", "TWO=zwei", nullptr};
    Handle read, write, process;
    size_t moved = 0;
    NEEDED(CreatePipe(&read, &write));
    CreateProcessParameters parameters = {
        .CommandLine = "/tests/apitest.exe --child environment TWO",
        .CurrentDirectory = "/apps",
        .Environment = environment,
        .StandardOutput = write,
    };
    NEEDED(CreateProcess(&parameters, &process));
    OK(CloseHandle(write));
    OK(ReadFile(read, output, sizeof output, &moved));
    CHECK(moved == 4 && !memcmp(output, "zwei", 4));
    EQUAL(EndChild(process), 1);
    OK(CloseHandle(read));
}

static void TestTermination(void)
{
    Handle process;
    ProcessInfo info;
    NEEDED(StartChild("sleep 60000", InvalidHandle, InvalidHandle, InvalidHandle, &process));
    STATUS(WaitForSingleObject(process, 50), StatusTimeout);
    OK(GetProcessInfo(process, &info));
    EQUAL(info.Exited, 0);
    EQUAL(info.ParentProcessId, GetCurrentProcessId());
    CHECK(info.ProcessId != GetCurrentProcessId());
    OK(TerminateProcess(process, 99));
    OK(WaitForSingleObject(process, 10000));
    OK(GetProcessInfo(process, &info));
    EQUAL(info.Exited, 1);
    EQUAL(info.ExitCode, 99);
    EQUAL(info.ThreadCount, 0);
    (void)TerminateProcess(process, 5); // too late
    OK(GetProcessInfo(process, &info));
    EQUAL(info.ExitCode, 99);
    OK(CloseHandle(process));
    // Ended while it writes to a pipe nobody empties, and while it still starts.
    Handle read, write;
    NEEDED(CreatePipe(&read, &write));
    NEEDED(StartChild("many 100000", InvalidHandle, write, InvalidHandle, &process));
    Sleep(300);
    OK(TerminateProcess(process, 3));
    EQUAL(EndChild(process), 3);
    OK(CloseHandle(read));
    OK(CloseHandle(write));
    for (int i = 0; i < 5; i++) {
        NEEDED(StartChild("sleep 1000", InvalidHandle, InvalidHandle, InvalidHandle, &process));
        OK(TerminateProcess(process, (uint32_t)(10 + i)));
        EQUAL(EndChild(process), 10 + i);
    }
}

void TestProcesses(void)
{
    TestStartErrors();
    TestOutput();
    TestInheritance();
    TestTermination();
    EQUAL(RunChild("sleep 5"), 5);
    EQUAL(system("/tests/apitest.exe --child return 3") >> 8, 3);
}

void TestExitCodes(void)
{
    static const struct {
        const char *Words;
        int64_t Code; // -2: anything but 0
    } cases[] = {
        {"return 0", 0},
        {"return 1", 1},
        {"return 42", 42},
        {"return 255", 255},
        {"return 256", 256},
        {"return -1", -1},
        {"exit 17", 17},
        {"exitprocess 0x12345678", 0x12345678},
        {"exitprocess 0xFFFFFFFF", -1},
        {"threads", 9},
        {"threadexit", 11},
        {"lastthread", 13},
        {"together", 14},
        {"abort", 134},
        {"smash", 134},
        {"fault read", (int)0xC0000005},
        {"fault write", (int)0xC0000005},
        {"fault kernel", (int)0xC0000005},
        {"fault noncanonical", -2},
        {"fault execute", (int)0xC0000005},
        {"fault code", (int)0xC0000005},
        {"fault privileged", -2},
        {"fault port", -2},
        {"fault undefined", -2},
        {"fault divide", -2},
        {"fault breakpoint", -2},
        {"overflow", -2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int code = RunChild(cases[i].Words);
        if (cases[i].Code == -2)
            TestCheck(code != 0 && code != 99, __FILE__, __LINE__, cases[i].Words);
        else
            TestNumber(code, cases[i].Code, __FILE__, __LINE__, cases[i].Words);
    }
}

// The same free memory, handles, windows, processes after as before.
static void CheckLeaks(const char *words, int rounds, int code)
{
    SystemInfo before, after;
    for (int i = 0; i < 3; i++) // caches and lists take their size
        EQUAL(RunChild(words), code);
    OK(GetSystemInfo(&before));
    for (int i = 0; i < rounds; i++)
        if (RunChild(words) != code) {
            TestCheck(false, __FILE__, __LINE__, words);
            break;
        }
    // A process's last memory goes back a moment after its handle is signalled.
    for (int i = 0; i < 50; i++) {
        OK(GetSystemInfo(&after));
        if (after.FreeMemory + after.CacheMemory >= before.FreeMemory + before.CacheMemory)
            break;
        Sleep(20);
    }
    int64_t lost = (int64_t)(before.FreeMemory + before.CacheMemory) -
                   (int64_t)(after.FreeMemory + after.CacheMemory);
    char text[160];
    snprintf(text, sizeof text, "%d times '%s' lost %lld bytes", rounds, words, (long long)lost);
    TestCheck(lost <= 65536, __FILE__, __LINE__, text);
    EQUAL(after.HandleCount, before.HandleCount);
    EQUAL(after.ProcessCount, before.ProcessCount);
    EQUAL(after.ThreadCount, before.ThreadCount);
    EQUAL(after.WindowCount, before.WindowCount);
}

void TestLeaks(void)
{
    CheckLeaks("nothing", 50, 0);
    CheckLeaks("threads", 10, 9);
    CheckLeaks("fault read", 10, (int)0xC0000005);
    CheckLeaks("window", 10, 0);
}

// What stopped an earlier system built to the same description (docs of the design): each is an
// error return or simply works. Some are tested at length in the other groups.
void TestLessons(void)
{
    Handle process, file;
    char byte;
    size_t moved = 9;
    CreateProcessParameters unknown = {.CommandLine = "unknowncommand"};
    STATUS(CreateProcess(&unknown, &process), StatusNotFound);
    OK(CreateFile(FOLDER "/lesson", FileWrite, FileCreateAlways, &file));
    OK(CloseHandle(file));
    OK(CreateFile(FOLDER "/lesson", FileRead, FileOpenExisting, &file));
    STATUS(ReadFile(file, &byte, 1, &moved), StatusEndOfFile);
    OK(CloseHandle(file));
    OK(CreateFile(FOLDER "/lesson", FileWrite, FileOpenExisting, &file));
    OK(CloseHandle(file));
    OK(MoveFile(FOLDER "/lesson",
                FOLDER "/lesson with a much longer name than nineteen characters"));
    OK(DeleteFile(FOLDER "/lesson with a much longer name than nineteen characters"));
    EQUAL(RunChild("print"), 0);
    EQUAL(RunChild("read"), 7);
    // 17 program starts exhausted the page tables.
    for (int i = 0; i < 20; i++)
        if (!EQUAL(RunChild("nothing"), 0))
            break;
    // Another process may do floating point meanwhile; the user's GS base survives both.
    NEEDED(StartChild("sleep 100", InvalidHandle, InvalidHandle, InvalidHandle, &process));
    volatile double value = 1.5;
    for (int i = 0; i < 200; i++) {
        value = value * 1.01 + 0.25;
        Sleep(1);
    }
    CHECK(value > 100 && value < 300);
    EQUAL(EndChild(process), 5);
}
