// sysi.h - what the files of sys share: the prototypes of all system calls and the helpers of their
// decode stages.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalTrace.h"
#include "SystemCalls.h"
#include "command.h"
#include "fs.h"
#include "ps.h"
#include "sys.h"

// Each system call NAME is a function SysNAME, in the file of its area. Pointers into the caller's
// memory are plain addresses that only mm's copy functions take.
#define SYS_USER(type)                        UserPointer
#define SYS_PROTOTYPE(name, count, prototype) Status Sys##name prototype;
METALOS_SYSTEM_CALLS(SYS_PROTOTYPE, SYS_USER)
#undef SYS_PROTOTYPE
#undef SYS_USER

// Cache of the loader's facts that system information needs; set once.
typedef struct SysFacts {
    uint64_t LoaderEntryStamp; // time stamp counter at loader entry
    uint64_t StartStamp,
        StartTime; // counter and KeQueryTime at SysInitialize: two points make a rate
} SysFacts;
extern SysFacts SysiFacts;

#define SYS_TAG     MM_TAG('S', 'y', 's', ' ')
#define MILLISECOND 1000000ull // nanoseconds

// ---- decode helpers
static inline ObHandleTable *SysiHandles(void)
{
    return PsGetHandleTable(PsGetCurrentProcess());
}
// A time-out of the interface in nanoseconds.
static inline uint64_t SysiTimeout(uint32_t milliseconds)
{
    return milliseconds == InfiniteTimeout ? KE_INFINITE : milliseconds * MILLISECOND;
}
// The process or thread a handle or pseudo handle names, referenced.
Status SysiReferenceProcess(Handle handle, uint32_t access, PsProcess **process);
Status SysiReferenceThread(Handle handle, uint32_t access, PsThread **thread);
// Copies a path from the caller and makes it absolute.
Status SysiCopyPath(UserPointer path, char result[MaximumPath]);
// Writes a handle of the caller out, or closes it when that fails.
Status SysiDeliverHandle(Handle handle, UserPointer result);
// Opens a handle to a new object, drops the creator's reference, and writes the handle out; on
// failure nothing is left.
Status SysiReturnHandle(void *body, uint32_t access, UserPointer result);
// The same for two objects that come together.
Status SysiReturnPair(void *bodies[2], const uint32_t access[2], UserPointer first,
                      UserPointer second);
// Makes sure that a handle can be written there, before what cannot be undone: a thread or process
// starts.
Status SysiProbeHandle(UserPointer result);

// A list of structures for the caller: items are written as long as there is room, all are counted.
typedef struct SysList {
    UserPointer Items;
    uint64_t Capacity, Count;
    Status Status;
} SysList;
bool SysiListItem(SysList *list, const void *item, size_t size); // whether to go on
Status SysiEndList(const SysList *list, UserPointer count);

// ---- images by path (image.c)
typedef enum SysImageKind { SysImageProgram, SysImageLibrary } SysImageKind;
typedef struct SysImageFile {
    LdrSource Source; // reads from File, named by Path
    FsFile *File;
    char Path[MaximumPath];
} SysImageFile;
// Looks the name up (docs/system-calls.md) and opens the file; closed by SysiCloseImage. directory:
// where relative names start; programDirectory: searched first for libraries, else nullptr.
Status SysiOpenImage(SysImageKind kind, const char *name, const char *directory,
                     const char *programDirectory, SysImageFile *image);
Status SysiOpenSource(const char *path, SysImageFile *image); // any file, by its absolute path
void SysiCloseImage(SysImageFile *image);

// ---- symbols.c
Status SysiStartSymbols(void); // once there are files

// ---- starting programs (start.c)
typedef struct SysStart { // kernel memory; objects are the caller's references
    const char *CommandLine, *CurrentDirectory, *Environment;
    size_t EnvironmentSize;
    void *StandardObjects[3];
    uint32_t StandardAccess[3];
    PsProcess *Parent;
    bool InheritHandles;
} SysStart;
Status SysiStartProcess(const SysStart *start, PsProcess **process);

// ---- shutdown.c
void SysiInitializeShutdown(void);
bool SysiIsShuttingDown(void);
// Reports the end of the first process, when nobody asked for it.
void SysiWatchInit(PsProcess *init);
// Waits, in a thread of a process, until the shutdown ends it.
Status SysiWaitForShutdown(void);
