// MetalOS.h - the native interface of MetalOS: every call a program can make, its parameters,
// units, errors and who owns what.
//
// Conventions
//   * Every call that can fail returns a Status; results go through pointers and are written only
//     on success (unless said otherwise). These are not repeated below:
//       any call                  StatusInvalidParameter, StatusNoMemory, StatusInvalidAddress (a
//                                 pointer the program may not access)
//       calls that take a handle  StatusInvalidHandle (not open), StatusWrongType,
//                                 StatusAccessDenied (opened without that right)
//       calls that make a handle  StatusTooManyHandles
//       calls that take a path    StatusNotFound, StatusPathNotFound (a folder on the way is
//                                 missing), StatusNotADirectory, StatusInvalidName,
//                                 StatusNameTooLong
//       calls that use the disk   StatusIoError, StatusCorrupt, StatusDeviceNotReady
//   * Strings are UTF-8. Paths run from the root of the boot volume, parts joined by '/' ('\' is
//     accepted); a path without a leading '/' starts at the process's current directory.
//   * A Handle belongs to the process. CloseHandle gives it back; the end of the process closes
//     all. Each handle has access rights, which every call checks (see "handles").
//   * Time-outs are in milliseconds; InfiniteTimeout waits for ever, 0 only looks.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalException.h"
#include "MetalStatus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(METALOS_BUILD_RUNTIME)
#define METALOS_API __declspec(dllexport)
#elif defined(METALOS_BUILD_KERNEL) || defined(METALOS_NATIVE)
#define METALOS_API
#else
#define METALOS_API __declspec(dllimport)
#endif

// Names an open object of the process. 0 is never a valid handle.
typedef uint32_t Handle;

#define InvalidHandle     ((Handle)0)
#define CurrentProcess    ((Handle)0xFFFFFFFFu) // pseudo handle: the calling process
#define CurrentThread     ((Handle)0xFFFFFFFEu) // pseudo handle: the calling thread
#define InfiniteTimeout   0xFFFFFFFFu
#define MaximumObjectName 256  // bytes of an object's name with its final NUL
#define MaximumPath       1024 // bytes of a whole path with its final NUL; a part: 255 UTF-16 units

// ---------------------------------------------------------------------------------------- system

typedef struct SystemInfo {
    uint32_t ProcessorCount;
    uint32_t PageSize;    // bytes
    uint64_t TotalMemory; // bytes of RAM the kernel manages
    uint64_t FreeMemory;  // bytes not in use now (free, zeroed; cache that can be dropped excluded)
    uint64_t CacheMemory; // bytes held by caches that shrink on demand
    uint64_t UpTime;      // nanoseconds since the kernel started
    uint32_t ProcessCount;
    uint32_t ThreadCount;
    uint32_t HandleCount; // open handles of all processes
    uint32_t WindowCount;
    uint64_t BootTime; // nanoseconds from loader entry to the first user instruction
    uint64_t IdleTime; // nanoseconds that processors had nothing to do, of all of them together
    char Version[32];  // "MetalOS 0.1 ..."
} SystemInfo;

// Fills *info. Errors: none beyond the common ones.
METALOS_API Status GetSystemInfo(SystemInfo *info);

#define CurrentProcessor 0xFFFFFFFFu // number of the processor that runs the call
typedef struct ProcessorInfo {
    uint32_t Number;
    uint32_t Reserved;
    uint64_t UpTime;   // nanoseconds since the kernel started
    uint64_t IdleTime; // nanoseconds with nothing to do; the rest of UpTime is its load
    uint64_t ContextSwitches, Interrupts, DeferredCalls;
    uint64_t Steals;  // threads taken over that waited for other processors
    uint64_t Flushes; // address translations dropped at others' request
} ProcessorInfo;

// processor: below SystemInfo's ProcessorCount, or CurrentProcessor. StatusInvalidParameter.
METALOS_API Status GetProcessorInfo(uint32_t processor, ProcessorInfo *info);

// What a part of the kernel counts: events since the start, or what there is now.
typedef struct CounterInfo {
    char Name[56]; // "mm: page faults"
    uint64_t Value;
} CounterInfo;

// Fills list with the counters there are, those of one part together, up to capacity of them;
// *count (may be larger) is how many there are. list may be NULL with capacity 0.
METALOS_API Status ListCounters(CounterInfo *list, size_t capacity, size_t *count);

// Milliseconds since the kernel started; never goes back.
METALOS_API uint64_t GetTickCount(void);
// Nanoseconds since the kernel started; never goes back.
METALOS_API uint64_t GetMonotonicTime(void);
// *time = nanoseconds since 1970-01-01 00:00 UTC.
METALOS_API Status GetSystemTime(uint64_t *time);
// Writes at most 4096 bytes of text to the kernel log; no newline is added.
METALOS_API Status DebugPrint(const char *text);
// Copies the newest bytes of the kernel's log, at most size and 64 KiB, whole lines but for the
// first; *length says how many.
METALOS_API Status ReadSystemLog(char *buffer, size_t size, size_t *length);
// Fills buffer with random bytes (size <= 1 MiB) from the kernel's generator.
METALOS_API Status GetRandomBytes(void *buffer, size_t size);

typedef enum ShutdownAction { ShutdownPowerOff = 0, ShutdownRestart = 1 } ShutdownAction;
// Ends all processes, writes everything to disk and powers off or restarts; does not return on
// success. exitCode is written to the log as the run's result. StatusNotSupported: firmware
// refused.
METALOS_API Status ShutdownSystem(ShutdownAction action, int exitCode);

// ------------------------------------------------------------------------- processes and threads

typedef struct ProcessInfo {
    uint32_t ProcessId;
    uint32_t ParentProcessId; // 0: started by the kernel
    uint32_t Exited;          // 1 once the process has ended
    uint32_t ExitCode;        // valid once Exited
    uint32_t ThreadCount;
    uint32_t HandleCount;
    uint32_t WindowCount;
    uint32_t Reserved;
    uint64_t CommittedMemory; // bytes promised to the address space
    uint64_t ResidentMemory;  // bytes of page frames of its own, page tables included
    uint64_t KernelTime;      // nanoseconds of processor time
    uint64_t UserTime;
    uint64_t CreateTime; // nanoseconds since 1970
    uint64_t SystemCalls;
    uint64_t PageFaults; // of its threads in its own memory
    uint64_t ContextSwitches;
    uint64_t ReadCount, WriteCount; // ReadFile and WriteFile calls that moved something
    uint64_t ReadBytes, WriteBytes; // what they moved
    char Name[64];                  // file name of the program
} ProcessInfo;

// Information about a process: CurrentProcess or a handle, which may be of one that has ended.
// Right: AccessQuery.
METALOS_API Status GetProcessInfo(Handle process, ProcessInfo *info);
// Fills list with the processes there are, ids ascending, up to capacity of them; *count (may be
// larger) is how many there are. list may be NULL with capacity 0.
METALOS_API Status ListProcesses(ProcessInfo *list, size_t capacity, size_t *count);
// A handle to the running process with that id. access: Access... rights. StatusNotFound.
METALOS_API Status OpenProcess(uint32_t processId, uint32_t access, Handle *process);

typedef struct CreateProcessParameters {
    const char *CommandLine; // program and arguments; see "command lines" in docs/system-calls.md
    const char *CurrentDirectory;   // NULL: the caller's
    const char *const *Environment; // NULL-terminated "NAME=value" list; NULL: the caller's
    Handle StandardInput;           // 0: none. Each is duplicated into the new process
    Handle StandardOutput;
    Handle StandardError;
    uint32_t Flags; // Process...
} CreateProcessParameters;

// The new process also gets every handle of the caller that is marked HandleInherit, with the same
// value, rights and mark.
enum { ProcessInheritHandles = 1 };

// Starts a program. Its first word is looked up as a path, or, when it has no '/', in the current
// directory, then /apps, then /system; ".exe" is added when missing. *process is a handle that is
// signalled when the process has ended. StatusBadImage (the file is no program),
// StatusImportNotFound (mosrt.dll lacks what it imports), StatusInvalidHandle (a standard handle),
// StatusLimitReached. Other libraries are loaded by the new process, which ends with exit code 127
// when one is missing.
METALOS_API Status CreateProcess(const CreateProcessParameters *parameters, Handle *process);
// Ends the calling process with all its threads, at once: `exit` runs atexit functions, tells
// libraries and flushes streams before.
METALOS_API void ExitProcess(uint32_t exitCode) __attribute__((noreturn));
// Ends another process (or, with CurrentProcess, the caller). One that has ended stays as it is.
// Returns at once; the handle is signalled when everything the process had is given back.
// Right: AccessTerminate.
METALOS_API Status TerminateProcess(Handle process, uint32_t exitCode);

typedef uint32_t (*ThreadEntry)(void *argument);
// Starts a thread of the calling process at entry(argument). stackSize in bytes, 0: 1 MiB.
// *thread is signalled when the thread has ended. StatusLimitReached, StatusNoAddressSpace.
METALOS_API Status CreateThread(ThreadEntry entry, void *argument, size_t stackSize,
                                Handle *thread);
// Ends the calling thread; the process ends with its last thread, as by `exit`.
METALOS_API void ExitThread(uint32_t exitCode) __attribute__((noreturn));
// Ends a thread, wherever it is in its program, or, with CurrentThread, the caller. It runs none of
// the program's code any more: what it has locked in user memory stays locked, mutexes it owns are
// abandoned, its stack is freed, and no library is told. For a thread that cannot be asked. A
// process whose last thread ends so ends with that exit code, without `exit`. Returns at once.
// Right: AccessTerminate.
METALOS_API Status TerminateThread(Handle thread, uint32_t exitCode);
// StatusWouldBlock while the thread still runs. Right: AccessQuery.
METALOS_API Status GetThreadExitCode(Handle thread, uint32_t *exitCode);

typedef enum ThreadState {
    ThreadIsReady = 1, // waits for a processor
    ThreadIsRunning = 2,
    ThreadIsWaiting = 3,
    ThreadHasEnded = 4,
} ThreadState;
typedef struct ThreadInfo {
    uint32_t ThreadId;
    uint32_t ProcessId;
    uint32_t State;      // ThreadState
    uint32_t Priority;   // as set
    uint32_t ExitCode;   // valid when it has ended
    uint32_t Processor;  // where it runs or last ran
    uint64_t KernelTime; // nanoseconds of processor time
    uint64_t UserTime;
    uint64_t SystemCalls;
    uint64_t ContextSwitches; // times it was given a processor
    uint64_t Affinity;        // bit n: processor n may run it
} ThreadInfo;

// Right: AccessQuery.
METALOS_API Status GetThreadInfo(Handle thread, ThreadInfo *info);
// The threads of a process that have not ended, as ListProcesses does. Right: AccessQuery.
METALOS_API Status ListThreads(Handle process, ThreadInfo *list, size_t capacity, size_t *count);
// A handle to the thread with that id, of any process. StatusNotFound.
METALOS_API Status OpenThread(uint32_t threadId, uint32_t access, Handle *thread);
METALOS_API uint32_t GetCurrentThreadId(void);
METALOS_API uint32_t GetCurrentProcessId(void);
// priority: 1 (lowest) to 15; 8 is normal. Right: AccessModify.
METALOS_API Status SetThreadPriority(Handle thread, uint32_t priority);
// Only processors whose bits are set run the thread; bits of processors that do not exist are
// ignored. StatusInvalidParameter: no bit is left.
METALOS_API Status SetThreadAffinity(Handle thread, uint64_t processors);
// Sleeps at least that long; 0 gives up the processor to threads of the same priority.
METALOS_API void Sleep(uint32_t milliseconds);

// --------------------------------------------------------------------------------------- handles

// Rights of a handle; each call names what it needs beyond none. The low 16 bits belong to the kind
// of object (files: FileRead, FileWrite, FileAppend). What a program creates it has all rights to;
// files have those they were opened with.
enum {
    AccessWait = 1 << 16,      // wait for it
    AccessQuery = 1 << 17,     // ask about it
    AccessModify = 1 << 18,    // change it: set, release, move, paint
    AccessTerminate = 1 << 19, // processes, threads: end it
    AccessDuplicate = 1 << 20, // processes: take handles out of it and put handles into it
};
#define AccessAll 0xFFFFFFFFu

enum {
    HandleInherit = 1, // child processes started with ProcessInheritHandles get it
};

typedef enum ObjectKind {
    ObjectEvent = 1,
    ObjectSemaphore = 2,
    ObjectMutex = 3,
    ObjectTimer = 4,
    ObjectFile = 5, // disk file, directory, pipe end, device
    ObjectSection = 6,
    ObjectProcess = 7,
    ObjectThread = 8,
    ObjectWindow = 9,
    ObjectTrace = 10, // MetalTrace.h
} ObjectKind;

typedef struct HandleInfo {
    uint32_t Kind;                // ObjectKind
    uint32_t Access;              // Access... and the kind's own rights
    uint32_t Flags;               // Handle...
    uint32_t HandleCount;         // open handles to the object, in all processes
    char Name[MaximumObjectName]; // given by NameObject; empty: none
} HandleInfo;

// The object goes when its last handle is closed and nobody uses it any more. Not for pseudo
// handles.
METALOS_API Status CloseHandle(Handle handle);
enum {
    DuplicateSameAccess = 1,  // the duplicate has the rights of the source; access is ignored
    DuplicateCloseSource = 2, // the source is closed, whatever else fails
    DuplicateInherit = 4,     // the duplicate is marked HandleInherit
};
// Opens a further handle to the object that `source` names in sourceProcess: in targetProcess, with
// the rights `access`, of which the source must have all (StatusAccessDenied). Either process may
// be CurrentProcess or a handle with AccessDuplicate; *duplicate is valid in targetProcess. The
// pseudo handles CurrentProcess and CurrentThread as a source give real ones, of the caller.
// flags: Duplicate... StatusTerminating: one of the processes has ended or is about to.
METALOS_API Status DuplicateHandle(Handle sourceProcess, Handle source, Handle targetProcess,
                                   Handle *duplicate, uint32_t access, uint32_t flags);
// What is known about a handle of the caller. No right is needed.
METALOS_API Status GetHandleInfo(Handle handle, HandleInfo *info);
// Replaces the handle's flags: Handle...
METALOS_API Status SetHandleFlags(Handle handle, uint32_t flags);
// Gives the object a name under which every process can open it, with at most the rights of this
// handle. Names are up to 255 bytes of UTF-8, compared byte by byte, in one space for all kinds of
// objects; the name goes with the object's last handle. To create or open whoever comes first:
// create, name, and when that says StatusAlreadyExists close and open, again while that says
// StatusNotFound. StatusAlreadyExists: the name is taken; StatusConflict: the object has a name;
// StatusInvalidName: empty or with a control character; StatusNameTooLong.
METALOS_API Status NameObject(Handle object, const char *name);
// A handle to the object of that name. kind: ObjectKind, 0: any. access: Access... and the kind's
// own rights, 0: all that the name grants. StatusNotFound, StatusWrongType, StatusAccessDenied.
METALOS_API Status OpenObject(const char *name, ObjectKind kind, uint32_t access, Handle *object);

// ------------------------------------------------------------------------------ waiting, signals
//
// What can be waited for, and when it is signalled:
//   event      from SetEvent on: until ResetEvent, or (auto-reset) until one wait took it
//   semaphore  while its count is above 0; a wait lowers it by one
//   mutex      while no thread owns it; a wait makes its thread the owner
//   timer      from its due time on: until SetTimer, or (auto-reset) until one wait took it
//   process    once it has ended and everything it had is given back
//   thread     once it has ended
//   pipe end   read: while there are bytes, or no writer is left; write: while there is room for
//              4096 bytes, or no reader is left
//   console    while there is something to read, or nobody left who could write it
//   window     while its process has messages; for good once that process has ended
// Disk files, directories, devices and sections: StatusWrongType. Right: AccessWait.

// An auto-reset event lets one waiter through per SetEvent, a manual-reset one all until
// ResetEvent.
METALOS_API Status CreateEvent(bool manualReset, bool initiallySet, Handle *event);
METALOS_API Status SetEvent(Handle event);   // right: AccessModify
METALOS_API Status ResetEvent(Handle event); // right: AccessModify
// 0 <= count <= maximum, 1 <= maximum <= INT32_MAX.
METALOS_API Status CreateSemaphore(uint32_t count, uint32_t maximum, Handle *semaphore);
// Raises the count; *previous (may be NULL) is what it was. StatusLimitReached, with nothing
// changed: it would exceed the maximum. Right: AccessModify.
METALOS_API Status ReleaseSemaphore(Handle semaphore, uint32_t count, uint32_t *previous);
// A mutex can be taken again by its owner and must be released as often. owned: by the caller from
// the start. When its owner ends, for whatever reason, the mutex is abandoned: the next wait takes
// it and says StatusAbandoned instead of StatusSuccess, since what it guards may be half done.
METALOS_API Status CreateMutex(bool owned, Handle *mutex);
// StatusNotOwner. Right: AccessModify.
METALOS_API Status ReleaseMutex(Handle mutex);
// A timer, not armed and not signalled.
METALOS_API Status CreateTimer(bool manualReset, Handle *timer);
// Arms it, not signalled: due after `delay` nanoseconds, and with period != 0 every `period`
// nanoseconds from then on. What falls due while it is still signalled is not made up for: the next
// time is the first of the rhythm after the wait that took the signal. Right: AccessModify.
METALOS_API Status SetTimer(Handle timer, uint64_t delay, uint64_t period);
// Disarms it; a signal that was there stays. Right: AccessModify.
METALOS_API Status CancelTimer(Handle timer);
// Waits until the object is signalled. StatusTimeout; StatusAbandoned: taken, see CreateMutex;
// StatusWrongType for what is never signalled.
METALOS_API Status WaitForSingleObject(Handle object, uint32_t timeout);
// Waits until one (*index says which) or, with waitAll, every one of count <= 64 objects is
// signalled; then all are taken at once, and none before. index may be NULL. StatusTimeout;
// StatusAbandoned: taken, and the mutex *index, or with waitAll one of them, was abandoned.
METALOS_API Status WaitForMultipleObjects(size_t count, const Handle *objects, bool waitAll,
                                          uint32_t timeout, size_t *index);
// Sleeps while *address == expected, until WakeByAddress or the time-out (StatusTimeout).
// StatusWouldBlock when the value already differs. address is 4-byte aligned. Wake-ups may be
// spurious.
METALOS_API Status WaitOnAddress(const volatile uint32_t *address, uint32_t expected,
                                 uint32_t timeout);
// Wakes up to count threads of this process that wait on address.
METALOS_API Status WakeByAddress(const volatile uint32_t *address, uint32_t count);

// ----------------------------------------------------------------------------------------- locks
//
// For the threads of one process. Each is plain memory, zero-initialised ({}), needs no clean-up
// and must not be moved or copied while in use. Taking or releasing one that nobody else wants is a
// few instructions and no system call; who has to wait sleeps in WaitOnAddress. Nothing is checked:
// releasing what is not held is a bug of the program, and a thread that ends without releasing
// leaves the lock held.

// One exclusive owner, or any number of shared ones; not recursive. Who waits to own it exclusively
// goes before sharers that come later.
typedef struct SrwLock {
    volatile uint32_t State;
    volatile uint32_t Wakeups;
} SrwLock;
METALOS_API void AcquireSrwLockExclusive(SrwLock *lock);
METALOS_API bool TryAcquireSrwLockExclusive(SrwLock *lock);
METALOS_API void ReleaseSrwLockExclusive(SrwLock *lock);
METALOS_API void AcquireSrwLockShared(SrwLock *lock);
METALOS_API bool TryAcquireSrwLockShared(SrwLock *lock);
METALOS_API void ReleaseSrwLockShared(SrwLock *lock);

// Owned by a thread, which may enter it again and must leave as often.
typedef struct CriticalSection {
    volatile uint32_t State;
    volatile uint32_t Owner; // thread id
    uint32_t Depth;
} CriticalSection;
METALOS_API void EnterCriticalSection(CriticalSection *section);
METALOS_API bool TryEnterCriticalSection(CriticalSection *section);
METALOS_API void LeaveCriticalSection(CriticalSection *section);

// Sleeping gives the lock up, waits for a wake-up and takes the lock again. Wake-ups may be
// spurious: the caller looks at its condition in a loop. StatusTimeout, the lock held again all the
// same. A critical section must be held exactly once.
typedef struct ConditionVariable {
    volatile uint32_t Sequence;
    volatile uint32_t Waiters;
} ConditionVariable;
METALOS_API Status SleepConditionVariable(ConditionVariable *condition, CriticalSection *section,
                                          uint32_t timeout);
// shared: how the lock is held.
METALOS_API Status SleepConditionVariableSrw(ConditionVariable *condition, SrwLock *lock,
                                             bool shared, uint32_t timeout);
METALOS_API void WakeConditionVariable(ConditionVariable *condition);
METALOS_API void WakeAllConditionVariable(ConditionVariable *condition);
// ------------------------------------------------------------------------------------ exceptions
// What they are: MetalException.h.

// Raises one from here: code with ExceptionFlagNoncontinuable or 0, and up to
// ExceptionMaximumParameters values (further ones are dropped; count 0: none, parameters unused).
// Returns when a handler has the program continue.
METALOS_API void RaiseException(uint32_t code, uint32_t flags, uint32_t count,
                                const uint64_t *parameters);
// Has handler asked before the functions on the stack: as the first of all or as the last.
// NULL: no memory. The result names it for RemoveVectoredExceptionHandler.
METALOS_API void *AddVectoredExceptionHandler(bool first, VectoredHandler *handler);
// StatusNotFound: no such handler. It may still be running in another thread.
METALOS_API Status RemoveVectoredExceptionHandler(void *handler);
// Has filter asked about exceptions that nobody handles; NULL: nobody. Returns the one before.
METALOS_API UnhandledExceptionFilter *SetUnhandledExceptionFilter(UnhandledExceptionFilter *filter);
// The caller's own state, as it is on return.
METALOS_API void CaptureContext(ThreadContext *context);

// ---------------------------------------------------------------------------------------- memory

typedef enum MemoryProtection {
    MemoryNoAccess = 0,
    MemoryRead = 1,
    MemoryReadWrite = 3,
    MemoryReadExecute = 5, // writable and executable together is refused
} MemoryProtection;

typedef enum MemoryState {
    MemoryFree = 0,
    MemoryReserved = 1,  // addresses only: nothing stands behind them
    MemoryCommitted = 2, // touching it cannot fail for want of memory
} MemoryState;

typedef struct MemoryInfo {
    uint64_t Base;           // start of the region that holds the address
    uint64_t Size;           // bytes
    uint32_t Protection;     // MemoryProtection
    uint32_t Kind;           // 0 free, 1 private, 2 image, 3 window, 4 stack, 5 view of a section
    uint64_t AllocationBase; // of the allocation the region is a part of
    uint64_t
        CommittedSize; // bytes of the region, from its end down: a stack is committed as it grows
    uint32_t State;    // MemoryState
    uint32_t Reserved;
} MemoryInfo;

// Zero-filled pages. *base NULL: anywhere; otherwise exactly there (page aligned), or
// StatusConflict. size is rounded up to pages. Memory that can be accessed is committed: there is
// enough of it, or the call fails. With MemoryNoAccess the addresses are only reserved, and
// VirtualProtect commits what it makes accessible. StatusNoMemory, StatusNoAddressSpace.
METALOS_API Status VirtualAlloc(void **base, size_t size, MemoryProtection protection);
// Frees the whole allocation that starts at base. StatusNotFound.
METALOS_API Status VirtualFree(void *base);
// Changes whole pages inside one allocation, view or image. StatusInvalidAddress outside of one,
// StatusAccessDenied for write access to a view of a section opened without it.
METALOS_API Status VirtualProtect(void *base, size_t size, MemoryProtection protection);
// Gives the memory of whole pages inside one allocation back, contents and commitment, and keeps
// their addresses reserved. StatusInvalidAddress outside of an allocation of VirtualAlloc.
METALOS_API Status VirtualDecommit(void *base, size_t size);
// The region around an address; StatusInvalidAddress outside a program's range of addresses.
METALOS_API Status VirtualQuery(const void *address, MemoryInfo *info);

// A section is memory that can be mapped more than once, by several processes too. That of a file
// is the file: views, ReadFile and WriteFile see each other's changes at once, and changes of views
// reach the disk as written data does, with FlushFile at the latest. While the section or a view of
// it exists the file cannot get shorter or be deleted (StatusSharingViolation).
// file InvalidHandle: new, zero-filled memory of size bytes, committed. Otherwise the first size
// bytes of the file, 0: all of it, which must not be empty (StatusInvalidParameter). access:
// MemoryRead or MemoryReadWrite, the most a view that is no copy can have; the file must be opened
// with as much. StatusNotSupported: not a disk file, or a volume whose clusters are not whole
// pages.
METALOS_API Status CreateSection(Handle file, uint64_t size, MemoryProtection access,
                                 Handle *section);
enum { SectionRead = 1, SectionWrite = 2 }; // access bits of its handles: what MapView may map
enum { ViewCopy = 1 }; // flags of MapView: changes stay in the view, page by page
// Maps size bytes from offset (whole pages) on; size 0: to the end. *base as in VirtualAlloc. The
// view keeps the section when its handle is closed. A page of a file that cannot be read ends the
// program that touches it. StatusConflict, StatusNoAddressSpace.
METALOS_API Status MapView(Handle section, uint64_t offset, size_t size,
                           MemoryProtection protection, uint32_t flags, void **base);
// Removes the whole view that starts at base. StatusNotFound.
METALOS_API Status UnmapView(void *base);

// ----------------------------------------------------------------------------------------- files

enum { FileRead = 1, FileWrite = 2, FileAppend = 4 }; // access bits
typedef enum FileDisposition {
    FileOpenExisting = 0, // StatusNotFound when missing
    FileCreateNew = 1,    // StatusAlreadyExists when there
    FileOpenAlways = 2,   // open, or create empty
    FileCreateAlways = 3, // create, or cut to length 0
} FileDisposition;
typedef enum FileOrigin { FileBegin = 0, FileCurrent = 1, FileEnd = 2 } FileOrigin;
enum { FileAttributeReadOnly = 1, FileAttributeDirectory = 16 };

typedef struct FileInfo {
    uint64_t Size;       // bytes
    uint64_t ModifyTime; // nanoseconds since 1970
    uint32_t Attributes; // FileAttribute...
    uint32_t Kind;       // 0 disk file or directory, 1 pipe, 2 character device
} FileInfo;

typedef struct DirectoryEntry {
    FileInfo Info;
    char Name[768]; // UTF-8
} DirectoryEntry;

typedef enum FileLockMode {
    FileLockNone = 0,
    FileLockShared = 1,
    FileLockExclusive = 2
} FileLockMode;

typedef struct FileLock {
    uint64_t Offset, Length; // Length 0: up to any end
    uint32_t ProcessId;
    uint32_t Mode; // FileLockMode
} FileLock;

typedef struct VolumeInfo {
    uint64_t TotalBytes;
    uint64_t FreeBytes;
    char Label[32];
} VolumeInfo;

// Opens or creates a file. "/device/console" is the machine's console: what is written leaves on
// COM1; nothing is typed there but with the boot option `console = com1`.
// StatusAlreadyExists, StatusIsADirectory, StatusAccessDenied (read-only file), StatusDiskFull,
// StatusSharingViolation.
METALOS_API Status CreateFile(const char *path, uint32_t access, FileDisposition disposition,
                              Handle *file);
// Reads up to size bytes at the file position; *transferred says how many. At the end of the file,
// or of a pipe whose writers are gone: StatusEndOfFile and 0. A pipe waits for at least one byte.
METALOS_API Status ReadFile(Handle file, void *buffer, size_t size, size_t *transferred);
// Writes at the file position. *transferred is valid on errors too. A pipe waits for room.
// StatusDiskFull, StatusPipeBroken, StatusFileTooLarge (4 GiB - 1 on FAT32), StatusAccessDenied.
METALOS_API Status WriteFile(Handle file, const void *buffer, size_t size, size_t *transferred);
// Moves the position; past the end is allowed, before the start is StatusInvalidParameter.
// *position (may be NULL) is the new one, from the start.
METALOS_API Status SetFilePointer(Handle file, int64_t offset, FileOrigin origin,
                                  uint64_t *position);
// Cuts or extends (zero-filled) the file to size bytes. StatusDiskFull, StatusFileTooLarge.
METALOS_API Status SetFileSize(Handle file, uint64_t size);
// Everything written so far is on the disk when this returns.
METALOS_API Status FlushFile(Handle file);
// As ReadFile and WriteFile, but at offset, and the file position stays where it is. Disk files
// only (StatusNotSupported). A file opened for FileAppend is written at its end all the same.
METALOS_API Status ReadFileAt(Handle file, uint64_t offset, void *buffer, size_t size,
                              size_t *transferred);
METALOS_API Status WriteFileAt(Handle file, uint64_t offset, const void *buffer, size_t size,
                               size_t *transferred);
// Sets when the file was last changed, in nanoseconds since 1970 (kept to two seconds on FAT).
METALOS_API Status SetFileTime(Handle file, uint64_t modifyTime);
// Locks a range of bytes against other processes: shared among readers, exclusive for one writer,
// or none to give it back. Advisory: reading and writing do not look at it. length 0: up to any
// end. Waits up to timeout for others (StatusTimeout; StatusWouldBlock when it is 0). A lock
// replaces what the process had locked of the range, and goes at the latest with the handle (and
// its duplicates) it was taken through. Exclusive needs FileWrite or FileAppend.
// StatusLimitReached.
METALOS_API Status LockFile(Handle file, uint64_t offset, uint64_t length, FileLockMode mode,
                            uint32_t timeout);
// *conflict = a lock of another process that LockFile would have to wait for; its Mode is
// FileLockNone when there is none.
METALOS_API Status QueryFileLock(Handle file, uint64_t offset, uint64_t length, FileLockMode mode,
                                 FileLock *conflict);
METALOS_API Status GetFileInfo(Handle file, FileInfo *info);
METALOS_API Status GetPathInfo(const char *path, FileInfo *info);
// Removes a file. StatusSharingViolation while it is open anywhere, StatusIsADirectory,
// StatusAccessDenied (read-only).
METALOS_API Status DeleteFile(const char *path);
// Renames or moves within the volume; an existing file at the target is replaced, a directory not.
// StatusAlreadyExists, StatusSharingViolation, StatusAccessDenied, StatusDiskFull.
METALOS_API Status MoveFile(const char *from, const char *to);
// StatusAlreadyExists, StatusDiskFull.
METALOS_API Status CreateDirectory(const char *path);
// StatusDirectoryNotEmpty, StatusSharingViolation.
METALOS_API Status RemoveDirectory(const char *path);
// Opens a directory for ReadDirectory, from its first entry.
METALOS_API Status OpenDirectory(const char *path, Handle *directory);
// The next entry ("." and ".." are never listed). StatusNoMoreEntries after the last.
METALOS_API Status ReadDirectory(Handle directory, DirectoryEntry *entry);
// Where paths without a leading '/' start, for this process and those it starts.
METALOS_API Status SetCurrentDirectory(const char *path);
// buffer receives the absolute path. StatusBufferTooSmall.
METALOS_API Status GetCurrentDirectory(char *buffer, size_t size);
METALOS_API Status GetVolumeInfo(VolumeInfo *info);
// A byte pipe of 64 KiB. Both ends can be waited for. What one call writes is not mixed with what
// others write as long as it is at most 4096 bytes.
METALOS_API Status CreatePipe(Handle *readEnd, Handle *writeEnd);

// -------------------------------------------------------------------------------------- consoles
// A console is how a program talks to a person. It has two ends, both used with ReadFile and
// WriteFile: programs have the console's end as their standard handles; a terminal - the program
// that shows the console in a window - has the terminal's end, from which it reads what programs
// write and into which it writes what is typed. docs/console.md.

enum {
    // A read waits for a whole line, which can be edited until Enter is pressed; Control+D ends the
    // file. Without it a read takes each byte as it is typed.
    ConsoleLineInput = 1,
    ConsoleEcho = 2,      // what is typed is also written
    ConsoleInterrupt = 4, // Control+C interrupts the foreground instead of being read
    ConsoleNewLine = 8,   // "\n" is written as "\r\n"
};
#define ConsoleModeDefault 15u
#define ConsoleInterrupted 130u // exit code of a process that Control+C ended

typedef struct ConsoleInfo {
    uint32_t Columns, Rows; // of the terminal
    uint32_t Mode;          // Console...
    uint32_t Interrupts;    // how often Control+C was pressed
} ConsoleInfo;

// A console of that size (1..4096 each) in ConsoleModeDefault. When the terminal's last handle is
// closed the foreground is interrupted, reads say StatusEndOfFile and writes StatusPipeBroken; when
// the console's last handle is, reads of the terminal's end do. Writing to the terminal's end never
// waits: StatusWouldBlock when not all of it could be taken yet.
METALOS_API Status CreateConsole(uint32_t columns, uint32_t rows, Handle *terminal,
                                 Handle *console);
// Of either end. StatusWrongType: the file is no console.
METALOS_API Status GetConsoleInfo(Handle console, ConsoleInfo *info);
METALOS_API Status SetConsoleMode(Handle console, uint32_t mode);
// Tells programs that ask how large the terminal is now.
METALOS_API Status SetConsoleSize(Handle console, uint32_t columns, uint32_t rows);
// What Control+C is for, until the next call: processes, which it ends with all they have started,
// exit code ConsoleInterrupted, and events, which it sets; count <= 32, 0: nothing. Of the
// console's end. Rights: AccessTerminate, AccessModify.
METALOS_API Status SetConsoleForeground(Handle console, size_t count, const Handle *objects);

typedef enum StandardHandle {
    StandardInput = 0,
    StandardOutput = 1,
    StandardError = 2
} StandardHandle;
// The process's standard handle, or InvalidHandle when it was started without.
METALOS_API Handle GetStandardHandle(StandardHandle which);

// ------------------------------------------------------------------------------------- libraries

typedef struct Library *LibraryHandle;
// Loads a DLL with everything it imports, each attached before its importer. A name without '/' is
// looked for in the program's folder, the current directory, /apps and /system; ".dll" is added
// when missing. A library that is there already is only counted. StatusBadImage,
// StatusImportNotFound, StatusCancelled (a DllMain refused), StatusLimitReached.
METALOS_API Status LoadLibrary(const char *name, LibraryHandle *library);
// The address of a function or variable that the library exports. StatusNotFound.
METALOS_API Status GetProcAddress(LibraryHandle library, const char *name, void **address);
// Unloads once every LoadLibrary has been paired and no other library imports it.
METALOS_API Status FreeLibrary(LibraryHandle library);
typedef struct ModuleInfo {
    uint64_t Base, Size;    // bytes; where it is mapped
    char Path[MaximumPath]; // absolute, of its file
} ModuleInfo;
// The image of the calling process - program, mosrt.dll or library - around address.
// StatusNotFound.
METALOS_API Status GetModuleInfo(const void *address, ModuleInfo *info);
// A DLL may define `int DllMain(void *base, uint32_t reason, void *reserved)`: called when it is
// loaded (0 refuses), unloaded, and by every thread that starts or ends meanwhile. It may load
// libraries but must not wait for other threads.
enum { DllProcessDetach = 0, DllProcessAttach = 1, DllThreadAttach = 2, DllThreadDetach = 3 };

// --------------------------------------------------------------------------------------- windows

typedef struct Rect {
    int32_t Left, Top, Right, Bottom; // pixels; right and bottom are one past the last
} Rect;

enum {
    WindowFrame = 1, // title bar with close button, border; without: a bare rectangle
    // While focused: the cursor is hidden and held, MessageMouse has deltas.
    WindowRelativeMouse = 2,
    WindowNoActivate = 4, // appears without taking the focus
    WindowResizable = 8,  // with WindowFrame: the user may drag its edges; see ResizeWindow
};

typedef struct WindowParameters {
    const char *Title;
    int32_t X, Y; // of the client area's corner; WindowPositionDefault: the system chooses
    uint32_t Width, Height; // of the client area, 1..16384 pixels
    uint32_t Flags;         // Window...
} WindowParameters;
#define WindowPositionDefault INT32_MIN

typedef struct WindowBuffer {
    uint32_t *Pixels; // 0x00RRGGBB, shared with the window system until the window is closed or
                      // resized
    uint32_t Width, Height;
    uint32_t Stride; // pixels from a row to the next
} WindowBuffer;

// Makes a window; CloseHandle closes it and takes its buffer away. The buffer starts black.
// StatusLimitReached, StatusNoAddressSpace.
METALOS_API Status AllocWindow(const WindowParameters *parameters, Handle *window,
                               WindowBuffer *buffer);
// Shows what changed inside *area (client coordinates; NULL: everything). Returns when the pixels
// have been taken over: the program may draw the next frame.
METALOS_API Status PaintWindow(Handle window, const Rect *area);
// Moves the client area's corner to (x, y) on the screen; any place is allowed.
METALOS_API Status MoveWindow(Handle window, int32_t x, int32_t y);
// Replaces the buffer by one of that size, 1..16384 pixels a side; it starts black, and the old one
// must not be touched any more. The screen keeps the old size and picture until the next
// PaintWindow, which shows all of the new one. Only the window's process may ask
// (StatusAccessDenied). On failure nothing has changed: StatusInvalidParameter, StatusNoMemory,
// StatusNoAddressSpace. A program answers MessageResize with this; it may choose another size, and
// resize unasked.
METALOS_API Status ResizeWindow(Handle window, uint32_t width, uint32_t height,
                                WindowBuffer *buffer);
// *rect = the client area on the screen.
METALOS_API Status GetWindowRect(Handle window, Rect *rect);
METALOS_API Status SetWindowTitle(Handle window, const char *title);
METALOS_API Status SetWindowFlags(Handle window, uint32_t flags);
// Raises the window and gives it the focus.
METALOS_API Status ActivateWindow(Handle window);
METALOS_API Status GetScreenRect(Rect *rect);
typedef struct ScreenMode {
    uint32_t Width, Height; // pixels
} ScreenMode;
// The sizes the screen can have for certain, from index 0 on; StatusNoMoreEntries.
METALOS_API Status GetScreenMode(uint32_t index, ScreenMode *mode);
// Windows stay open. Others than the listed sizes may work, too. StatusNotSupported: the display
// has one size only.
METALOS_API Status SetScreenMode(uint32_t width, uint32_t height);

typedef enum MessageType {
    MessageNone = 0,
    MessageKeyDown = 1, // also for repeats
    MessageKeyUp = 2,
    MessageMouseMove = 3,
    MessageMouseDown = 4,
    MessageMouseUp = 5,
    MessageMouseWheel = 6,
    MessageFocus = 7, // the window became active
    MessageBlur = 8,  // it no longer is; keys still held are reported as released first
    MessagePaint =
        9, // the whole buffer will be shown anyhow; a program that draws on demand draws now
    MessageClose = 10,  // the close button was pressed; the program decides
    MessageResize = 11, // the user would like this Size; nothing happens without ResizeWindow
} MessageType;

enum { MouseButtonLeft = 1, MouseButtonRight = 2, MouseButtonMiddle = 4 };
enum {
    ModifierShift = 1,
    ModifierControl = 2,
    ModifierAlt = 4,
    ModifierCapsLock = 8,
    ModifierNumLock = 16,
    ModifierSuper = 32,
};

typedef struct Message {
    uint32_t Type; // MessageType
    Handle Window;
    uint64_t Time; // GetMonotonicTime of the event
    union {
        struct {
            uint16_t Code;      // KeyCode of MetalKeys.h (USB HID usage of the key's place)
            uint16_t Modifiers; // Modifier...
            uint32_t Character; // Unicode code point typed (US layout), 0: none
            uint32_t Repeat;    // 1: auto-repeat
        } Key;
        struct {
            int32_t X, Y;     // client coordinates; deltas with WindowRelativeMouse
            uint32_t Buttons; // MouseButton... held after the event
            uint32_t Changed; // the button this event is about
            int32_t Wheel;    // notches; positive: away from the user
        } Mouse;
        struct {
            uint32_t Width, Height; // of the client area
        } Size;
        uint64_t Reserved[4];
    };
} Message;

// Takes the next message of any window of this process, waiting up to timeout. StatusTimeout.
METALOS_API Status GetMessage(Message *message, uint32_t timeout);
// The same without waiting; StatusWouldBlock when there is none.
METALOS_API Status PeekMessage(Message *message);

// The clipboard is one text, UTF-8, for the whole desktop. Replaces it; length <= 1 MiB.
METALOS_API Status SetClipboard(const char *text, size_t length);
// Copies its first bytes, at most size; *length is how long it is.
METALOS_API Status GetClipboard(char *buffer, size_t size, size_t *length);

// "name: text" of a status, for error messages; never NULL.
METALOS_API const char *GetStatusText(Status status);

#ifdef __cplusplus
}
#endif
