// test.h - what the groups of apitest share: checks, and the program as its own child.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- check.c
void TestBegin(const char *group); // of which the checks are that follow
int TestConclude(void);            // prints how many held; the exit code
// Counts, and prints a line when it fails. Returns whether it held.
bool TestCheck(bool holds, const char *file, int line, const char *text);
bool TestStatus(Status got, Status expected, const char *file, int line, const char *text);
bool TestNeeded(Status got, const char *file, int line, const char *text);
bool TestNumber(long long got, long long expected, const char *file, int line, const char *text);
bool TestText(const char *got, const char *expected, const char *file, int line, const char *text);

#define CHECK(condition) TestCheck((condition), __FILE__, __LINE__, #condition)
#define STATUS(expression, expected)                                                               \
    TestStatus((expression), (expected), __FILE__, __LINE__, #expression)
#define OK(expression) STATUS(expression, StatusSuccess)
// What the rest would wait for in vain, or use: when it fails the program ends.
#define NEEDED(expression) TestNeeded((expression), __FILE__, __LINE__, #expression)
#define EQUAL(expression, expected)                                                                \
    TestNumber((long long)(expression), (long long)(expected), __FILE__, __LINE__, #expression)
#define TEXT(expression, expected)                                                                 \
    TestText((expression), (expected), __FILE__, __LINE__, #expression)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// The folder the file tests work in; it is made before a group runs and removed after it.
#define FOLDER "/apitest"

typedef void TestGroup(void);
TestGroup TestSystem, TestMemory, TestSections, TestFiles, TestDirectories, TestPipes, TestWaits,
    TestThreads, TestProcesses, TestExitCodes, TestLeaks, TestHandles, TestWindows, TestLibraries,
    TestTls, TestFpu, TestStdio, TestStrings, TestStdlib, TestMath, TestTime, TestPosix, TestSetjmp,
    TestHeap, TestExceptions, TestPthreads, TestConsole, TestLessons, TestObjects, TestSharing,
    TestLocks, TestLists, TestMappings, TestPoll, TestRaces;

// Starts this program as `apitest.exe --child WORDS`, with handles that may be InvalidHandle.
Status StartChild(const char *words, Handle input, Handle output, Handle error, Handle *process);
// Runs it without handles to its end; its exit code, or -1 when it cannot be started.
int RunChild(const char *words);
// The end of a child: waits up to 20 seconds, closes the handle; exit code or -1.
int EndChild(Handle process);
int ChildMain(int argc, char **argv);
int ObjectChild(int argc, char **argv); // --child object ...
int ExceptionChild(const char *what);   // exceptions.c
int ChildSection(void);
int MappingChild(void); // posix.c

// A kernel address, one no page table can map, and one in the never mapped first 64 KiB.
#define KERNEL_ADDRESS        ((void *)0xFFFFF80000000000ull)
#define NON_CANONICAL_ADDRESS ((void *)0x0000900000000000ull)
#define LOW_ADDRESS           ((void *)0x1000)
