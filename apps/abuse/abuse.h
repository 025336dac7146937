// abuse.h - what the parts of abuse.exe share: a good way to make every system call, which each
// part then spoils in its own way.
// SPDX-License-Identifier: MIT
#pragma once

#include "../apitest/raw.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ARGUMENTS       6u
#define KILL_TIME       10000u // milliseconds until a killed program must be gone
#define ABUSE_FOLDER    "/abuse"
#define ABUSE_PROGRAM   "/tests/abuse.exe"

// ---- what abi/SystemCalls.h says about a call, read from its text
typedef enum PointerKind {
    PointerNone,
    PointerIn,     // the kernel reads a structure or bytes
    PointerString, // it reads up to a NUL
    PointerOut,    // it writes
} PointerKind;

typedef struct Signature {
    const char *Name;
    size_t Count;
    const char *Prototype;
} Signature;
extern const Signature signatures[SystemCallCount];

PointerKind GetPointerKind(uint32_t number, size_t argument);
// Whether the call writes a handle there.
bool IsHandleResult(uint32_t number, size_t argument);

// ---- a row of the table: arguments with which the call works
// Flags, each for an argument counted from 1.
#define OPTIONAL(argument) (1u << (argument))        // null is as good
#define LOOSE(argument)    (1u << (8 + (argument)))  // a bad one may be StatusInvalidParameter
#define IGNORED(argument)  (1u << (16 + (argument))) // never dereferenced
#define BYTES(argument)    (1u << (24 + (argument))) // with a length: no NUL ends it

typedef struct Call {
    uint32_t Number;
    uint32_t Flags;
    uint32_t SizeArgument; // counted from 1: bytes behind the BYTES pointer; 0: none
    Status Expected;       // of the call as it stands here
    Status Other;          // as good, or StatusSuccess
    uint64_t Arguments[ARGUMENTS];
    void (*Prepare)(uint64_t *arguments);     // before each call; may change arguments
    void (*Undo)(const uint64_t *arguments);  // after one that succeeded
    void (*Clean)(const uint64_t *arguments); // after one that failed
} Call;

// The rows, for as long as objects exist that they name. Some are left out where there is no
// display.
const Call *GetCalls(size_t *count);
bool IsCallLeftOut(uint32_t number); // and why: see calls.c
void OpenObjects(void);
void CloseObjects(void);

Status MakeCall(const Call *call, const uint64_t *arguments);
// Undoes a call that succeeded: the row's way, and closes the handles it wrote.
void UndoCall(const Call *call, const uint64_t *arguments);

// ---- check.c
int Conclude(void); // prints how many checks held; the exit code
// Counts; prints a line when it does not hold.
bool Check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define OK(expression)                                                                             \
    do {                                                                                           \
        Status got_ = (expression);                                                                \
        Check(got_ == StatusSuccess, "%s: %s", #expression, GetStatusText(got_));                  \
    } while (0)

// The system's counters, to compare.
typedef struct Counters {
    SystemInfo System;
    ProcessInfo Process;
} Counters;
void CountAll(Counters *counters);
uint64_t GetFreeMemory(const Counters *counters); // what caches would give back included
// Waits a moment for what ends late; then nothing may be left of `what`.
void CompareCounters(const Counters *before, const char *what);

// Starts `abuse.exe WORDS` and waits for its end, at most so long; its exit code.
uint32_t RunSelf(const char *words, uint32_t milliseconds);
Status StartProgram(const char *commandLine, Handle *process);
// Waits; kills what does not end in time. The handle is closed. *killed may be nullptr.
uint32_t WaitForProgram(Handle process, uint32_t milliseconds, bool *killed);

// ---- the parts
void TestPointers(void);
void TestFailures(void);
void TestFailingPrograms(char *const *commandLines, int count, uint32_t perStack);
void TestRaces(void);
int RaceChild(uint32_t call);
