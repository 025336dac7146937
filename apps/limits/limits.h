// limits.h - what the parts of limits.exe share.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMITS_PROGRAM  "/tests/limits.exe"
#define LIMITS_FOLDER   "/limits"
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// ---- check.c
#define END_TIME 60000u // milliseconds until a program that was told to end must be gone
int Conclude(void);     // prints how many checks held; the exit code
// Counts; prints a line when it does not hold. Returns whether it did.
bool Check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Starts a program, its standard output and error on `output` unless that is InvalidHandle.
Status StartProgram(const char *commandLine, Handle input, Handle output, Handle *process);
// Waits so long, then kills; closes the handle. The exit code; *killed may be nullptr.
uint32_t EndProgram(Handle process, uint32_t milliseconds, bool *killed);

// ---- witness.c: another program, which goes on with its work and says whether it could.
int RunWitness(void);
void StartWitness(void);
bool AskWitness(void); // false, and a failed check: it noticed something, or does not answer
void EndWitness(void);

// ---- greed.c: takes as much of one thing as there is
int RunGreed(const char *what);
extern const char *const greeds[];
extern const size_t greedCount;

// ---- parts
void TestImages(unsigned rounds);
void TestKills(unsigned rounds);
