// platform.h - what the benchmark asks of a system, in the same words for both. Every function but
// PlatformStart ends the benchmark with a sentence when the system refuses.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uintptr_t Object; // a thread, event, pipe end, process or file

// Prepares the system. Linux: the benchmark is its first process.
void PlatformStart(void);
// Returns from a benchmark that has ended; Linux: powers the machine off.
void PlatformEnd(void);
[[noreturn]] void PlatformFail(const char *what);

// ---- system calls
void PlatformNullCall(void);    // the cheapest one that does what it is for
void PlatformUnknownCall(void); // a number that no call has
void PlatformYield(void);
void PlatformSleepMillisecond(void);

// ---- threads and processes
Object PlatformStartThread(void (*entry)(void));
void PlatformJoinThread(Object thread);
Object PlatformMakeEvent(void); // auto-reset, not set
void PlatformSetEvent(Object event);
void PlatformWaitEvent(Object event);
void PlatformMakePipe(Object *readEnd, Object *writeEnd);
// This program again, with one argument and a standard input and output (0: none of its own).
Object PlatformStartProcess(const char *argument, Object input, Object output);
void PlatformJoinProcess(Object process);
Object PlatformStandardInput(void);
Object PlatformStandardOutput(void);

// ---- memory
typedef enum Protection { NoAccess, ReadOnly, ReadWrite } Protection;
void *PlatformAllocate(size_t size);
void PlatformFree(void *base, size_t size);
void PlatformProtect(void *base, size_t size, Protection protection);

// ---- files
Object PlatformOpen(const char *name, bool create); // for reading and writing; create: it is new
void PlatformClose(Object file);
void PlatformDelete(const char *name);
void PlatformRewind(Object file);
bool PlatformRead(Object file, void *buffer,
                  size_t size); // false: the other end of the pipe is gone
void PlatformWrite(Object file, const void *buffer, size_t size);

// ---- display
// A picture of 1280 x 800 pixels of 32 bits, to be drawn and then shown again and again; nullptr
// when the machine has no such screen.
uint32_t *PlatformOpenScreen(void);
void PlatformShowScreen(void);
void PlatformCloseScreen(void);
// Whether the system draws a pointer that follows the mouse.
bool PlatformHasPointer(void);
// Opens a window with a frame whose upper left corner is where the pointer has come to from the
// middle of the screen by PointerSteps steps of PointerStepX, PointerStepY.
void PlatformOpenFrame(void);
enum { PointerSteps = 24, PointerStepX = 6, PointerStepY = 1 };
