// glue.h - what the runtime (runtime/) and musl's insides do for each other. Files that include
// musl's internal headers live here; the runtime sees musl only through this header and the public
// ones.
// SPDX-License-Identifier: MIT
#ifndef METALOS_MUSL_GLUE_H
#define METALOS_MUSL_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- Offered to the runtime.

// Bytes of musl's per-thread data, which the runtime places at the start of its own and makes the
// target of ThreadBlock.RuntimeData; a multiple of 16.
size_t CrtThreadSize(void);
// Prepares zeroed per-thread data. The thread is not running yet.
void CrtPrepareThread(void *thread, bool first);
// On the thread itself, when it starts and before it ends. threadId is not 0.
void CrtEnterThread(void *thread, uint32_t threadId);
void CrtLeaveThread(void *thread);
// The C library before main, on the first thread after CrtEnterThread.
void CrtInitialize(const char *program, char **environment);
// The environment array (what a program sees as `environ`).
char ***__metalos_environ(void);
// From now on locks are really taken. Idempotent; call before the second thread starts.
void CrtGoThreaded(void);
// True once the thread's data may be freed by the runtime at its end; false: a pthread_join frees
// it.
bool CrtOwnsNoThread(void *thread);

// ---- Asked of the runtime.

// The C program ends: libraries are told, then stdio is flushed by the caller.
void RtDetachLibraries(void);
_Noreturn void RtExitProcess(int code);
_Noreturn void RtExitThread(uint32_t code);
// Writes a line to standard error (and, without one, to the kernel log) and ends the process.
_Noreturn void RtFatal(int exitCode, const char *text);

// Threads for pthread_create: data of CrtThreadSize bytes or more, started at entry(argument).
void *RtAllocateThread(void);
void RtFreeThread(void *thread);
int RtStartThread(void *thread, uint32_t (*entry)(void *), void *argument, size_t stackSize,
                  uint32_t *handle); // errno value
void RtWaitThread(uint32_t handle);  // until it has ended; closes the handle
void RtCloseThread(uint32_t handle);

// Starts a program with three of the caller's descriptors (-1: none) as its standard handles; 0 or
// an errno value. environment 0: the caller's. Its exit is told by SYS_wait4.
int RtSpawn(const char *commandLine, char *const *environment, const int standard[3], int *pid);

// Runs a command line and waits; the exit code, or -1 with errno set.
int RtRunCommand(const char *command);

#endif
