// ps.h - processes and threads: how they come to be, run and end for whatever reason.
// SPDX-License-Identifier: MIT
#pragma once

#include "ProcessAbi.h"
#include "ke_thread.h"
#include "ldr.h"
#include "ob.h"

typedef struct PsProcess PsProcess;
typedef struct PsThread PsThread;
extern ObType PsProcessType, PsThreadType;

void PsInitialize(void);

typedef struct PsCreateParameters { // all kernel memory
    const LdrSource *Program, *Runtime;
    const char *CommandLine;
    const char *CurrentDirectory; // absolute, normalised
    const char *Environment;      // "A=b\0C=d\0", EnvironmentSize bytes
    size_t EnvironmentSize;
    void *StandardObjects[3]; // referenced objects to open in the new table, or nullptr
    uint32_t StandardAccess[3];
    PsProcess *Parent;   // may be nullptr
    bool InheritHandles; // those of Parent that are marked so
    char *Missing;       // StatusImportNotFound: receives the import's name
    size_t MissingSize;
} PsCreateParameters;
// Builds the process and starts its first thread. *process is referenced for the caller.
Status PsCreateProcess(const PsCreateParameters *parameters, PsProcess **process);
Status PsCreateThread(PsProcess *process, const AbiCreateThread *parameters, PsThread **thread);
uint64_t PsGetThreadId(const PsThread *thread);
Status PsGetThreadExitCode(const PsThread *thread,
                           uint32_t *exitCode); // StatusWouldBlock: still runs
void PsSetThreadPriority(PsThread *thread, uint8_t priority);
Status PsSetThreadAffinity(PsThread *thread, uint64_t processors); // KeSetAffinity
void PsQueryThread(PsThread *thread, ThreadInfo *info);
// Tells a thread to end, or, for the caller's own, ends it. One that has ended stays as it is.
void PsTerminateThread(PsThread *thread, uint32_t exitCode);
// A buffer of PS_TRANSFER_SIZE bytes that belongs to the calling thread of a process, for the
// system call in progress. nullptr: no memory.
#define PS_TRANSFER_SIZE (32u * 1024u)
void *PsGetTransferBuffer(void);
// Ends every thread of the process; returns at once unless it is the caller's own (then never).
void PsTerminateProcess(PsProcess *process, uint32_t exitCode);
// Ends a process, not the caller's own, and those that it and they have started.
void PsTerminateTree(PsProcess *process, uint32_t exitCode);
void PsExitThread(uint32_t exitCode) __attribute__((noreturn));

PsProcess *PsGetCurrentProcess(void); // nullptr for kernel threads
PsThread *PsGetCurrentThread(void);
// Of the caller's own process, which keeps both alive.
ObHandleTable *PsGetHandleTable(PsProcess *process);
MmAddressSpace *PsGetAddressSpace(PsProcess *process);
// Of any process; nullptr: it has ended. The table is referenced; the address space stays until
// PsUnlockAddressSpace, which is called in any case (a mutex of rank LockRankProcess).
ObHandleTable *PsReferenceHandleTable(PsProcess *process);
MmAddressSpace *PsLockAddressSpace(PsProcess *process);
void PsUnlockAddressSpace(PsProcess *process);
uint32_t PsGetProcessId(const PsProcess *process);
const char *
PsGetProgramPath(const PsProcess *process); // absolute; constant while the process lives
void PsQueryProcess(PsProcess *process, ProcessInfo *info);
// The current directory; Set takes an absolute, normalised path that fs has checked.
void PsGetCurrentDirectory(PsProcess *process, char path[MaximumPath]);
void PsSetCurrentDirectory(PsProcess *process, const char *path);
uint32_t PsGetProcessCount(void);
uint32_t PsGetThreadCount(void);
// Calls visit with each process, referenced, until it returns false.
void PsForEachProcess(bool (*visit)(PsProcess *process, void *context), void *context);
// The same with each thread of a process that has not left it.
void PsForEachThread(PsProcess *process, bool (*visit)(PsThread *thread, void *context),
                     void *context);
// By id, referenced; nullptr: there is none.
PsProcess *PsFindProcess(uint32_t id);
PsThread *PsFindThread(uint64_t id);
// Counts a transfer of the current process: bytes read (or written) by one call.
void PsCountTransfer(bool write, uint64_t bytes);
// A per-process slot for the window system (its message queue); freed by the callback when the
// process ends.
void PsSetWindowData(PsProcess *process, void *data);
void *PsGetWindowData(PsProcess *process);
// Where threads of the current process go on when their code fails: a user address that gets an
// AbiException; 0: such a fault ends the process. StatusInvalidAddress: no user address.
Status PsSetExceptionEntry(uint64_t entry);
// Called at PassiveLevel when a process has ended, before its handles are closed.
void PsRegisterExitCallback(void (*callback)(PsProcess *process));
// Maps a library into the current process, or counts one more user of it. image->Base tells where.
Status PsMapImage(const LdrSource *source, AbiImageInfo *image);
// The end of one use. StatusNotFound: no library there. StatusInvalidParameter: program or
// mosrt.dll.
Status PsUnmapImage(uint64_t base);
// Time stamp counter just before the first user instruction; 0: not yet.
uint64_t PsGetFirstUserStamp(void);
// The module of a process around an address, for reports. What it leads to is the caller's to use
// only while the module stays; its symbols only once the machine stands still.
struct KdUserModule;
bool PsFindUserModule(KProcess *process, uint64_t address, struct KdUserModule *module);
// Base, size and path of the current process's module around address. StatusNotFound: none.
Status PsQueryModule(uint64_t address, ModuleInfo *info);
// Keeps the list of the current process's modules as it is, for an interrupt that looks into it.
// false: somebody is changing it.
bool PsTryKeepModules(void);
void PsReleaseModules(void);
// Notes every process with its threads and modules in the trace (KeTrace). PassiveLevel.
void PsTraceProcesses(void);
// "name (id)" of the current process, for reports; false for the system's own. Takes no locks.
bool PsNameCurrentProcess(char *text, size_t size);
// A kernel thread at PassiveLevel.
Status PsCreateSystemThread(const char *name, uint8_t priority, void (*entry)(void *),
                            void *context);
