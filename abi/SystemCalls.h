// SystemCalls.h - the one definition of the system call table, expanded by the kernel into its
// table and prototypes and by the runtime into its stubs.
//
// Calling convention: `syscall` with the number in eax, arguments 1-4 in r10, rdx, r8, r9,
// arguments 5 and 6 where the Microsoft x64 convention has them on the caller's stack ([rsp+0x28],
// [rsp+0x30] seen after the stub's return address). The Status returns in eax; rcx, r11 and the
// volatile registers are lost. An unknown number returns StatusUnknownSystemCall.
//
// SYSTEM_CALL(name, number of arguments, prototype); truth values travel as uint32_t, 0 or not.
// USER(T) is a pointer to T in the caller's address space: `T *` for the runtime, a plain address
// that only MmCopyFromUser/MmCopyToUser take for the kernel. Numbers follow the order here and are
// private to one build: programs go through mosrt.dll.
//
// FailAllocation is for tests and works in test kernels only (KeSetFailingAllocation).
// SPDX-License-Identifier: MIT
#pragma once

#define METALOS_SYSTEM_CALLS(SYSTEM_CALL, USER)                                                    \
    SYSTEM_CALL(GetSystemInfo, 1, (USER(SystemInfo) info))                                         \
    SYSTEM_CALL(GetProcessorInfo, 2, (uint32_t processor, USER(ProcessorInfo) info))               \
    SYSTEM_CALL(ListCounters, 3,                                                                   \
                (USER(CounterInfo) list, uint64_t capacity, USER(uint64_t) count))                 \
    SYSTEM_CALL(QueryTime, 2, (USER(uint64_t) monotonic, USER(uint64_t) system))                   \
    SYSTEM_CALL(DebugPrint, 2, (USER(const char) text, uint64_t length))                           \
    SYSTEM_CALL(ReadSystemLog, 3, (USER(char) buffer, uint64_t size, USER(uint64_t) length))       \
    SYSTEM_CALL(GetRandomBytes, 2, (USER(void) buffer, uint64_t size))                             \
    SYSTEM_CALL(FailAllocation, 4,                                                                 \
                (uint64_t n, uint32_t perStack, uint32_t inherit, USER(uint64_t) failures))        \
    SYSTEM_CALL(CreateTrace, 2, (USER(const TraceParameters) parameters, USER(Handle) trace))      \
    SYSTEM_CALL(StopTrace, 2, (Handle trace, USER(TraceInfo) info))                                \
    SYSTEM_CALL(ReadTrace, 6,                                                                      \
                (Handle trace, uint32_t processor, uint64_t index, USER(TraceRecord) records,      \
                 uint64_t capacity, USER(uint64_t) count))                                         \
    SYSTEM_CALL(ShutdownSystem, 2, (uint32_t action, int32_t exitCode))                            \
    SYSTEM_CALL(GetProcessInfo, 2, (Handle process, USER(ProcessInfo) info))                       \
    SYSTEM_CALL(ListProcesses, 3,                                                                  \
                (USER(ProcessInfo) list, uint64_t capacity, USER(uint64_t) count))                 \
    SYSTEM_CALL(OpenProcess, 3, (uint32_t processId, uint32_t access, USER(Handle) process))       \
    SYSTEM_CALL(CreateProcess, 2, (USER(const AbiCreateProcess) parameters, USER(Handle) process)) \
    SYSTEM_CALL(TerminateProcess, 2, (Handle process, uint32_t exitCode))                          \
    SYSTEM_CALL(CreateThread, 2, (USER(const AbiCreateThread) parameters, USER(Handle) thread))    \
    SYSTEM_CALL(ExitThread, 1, (uint32_t exitCode))                                                \
    SYSTEM_CALL(TerminateThread, 2, (Handle thread, uint32_t exitCode))                            \
    SYSTEM_CALL(SetExceptionEntry, 1, (uint64_t entry))                                            \
    SYSTEM_CALL(GetThreadExitCode, 2, (Handle thread, USER(uint32_t) exitCode))                    \
    SYSTEM_CALL(GetThreadInfo, 2, (Handle thread, USER(ThreadInfo) info))                          \
    SYSTEM_CALL(ListThreads, 4,                                                                    \
                (Handle process, USER(ThreadInfo) list, uint64_t capacity, USER(uint64_t) count))  \
    SYSTEM_CALL(OpenThread, 3, (uint32_t threadId, uint32_t access, USER(Handle) thread))          \
    SYSTEM_CALL(SetThreadPriority, 2, (Handle thread, uint32_t priority))                          \
    SYSTEM_CALL(SetThreadAffinity, 2, (Handle thread, uint64_t processors))                        \
    SYSTEM_CALL(Sleep, 1, (uint32_t milliseconds))                                                 \
    SYSTEM_CALL(CloseHandle, 1, (Handle handle))                                                   \
    SYSTEM_CALL(DuplicateHandle, 6,                                                                \
                (Handle sourceProcess, Handle source, Handle targetProcess,                        \
                 USER(Handle) duplicate, uint32_t access, uint32_t flags))                         \
    SYSTEM_CALL(GetHandleInfo, 2, (Handle handle, USER(HandleInfo) info))                          \
    SYSTEM_CALL(SetHandleFlags, 2, (Handle handle, uint32_t flags))                                \
    SYSTEM_CALL(NameObject, 2, (Handle object, USER(const char) name))                             \
    SYSTEM_CALL(OpenObject, 4,                                                                     \
                (USER(const char) name, uint32_t kind, uint32_t access, USER(Handle) object))      \
    SYSTEM_CALL(CreateEvent, 3, (uint32_t manualReset, uint32_t initiallySet, USER(Handle) event)) \
    SYSTEM_CALL(SetEvent, 1, (Handle event))                                                       \
    SYSTEM_CALL(ResetEvent, 1, (Handle event))                                                     \
    SYSTEM_CALL(CreateSemaphore, 3, (uint32_t count, uint32_t maximum, USER(Handle) semaphore))    \
    SYSTEM_CALL(ReleaseSemaphore, 3, (Handle semaphore, uint32_t count, USER(uint32_t) previous))  \
    SYSTEM_CALL(CreateMutex, 2, (uint32_t owned, USER(Handle) mutex))                              \
    SYSTEM_CALL(ReleaseMutex, 1, (Handle mutex))                                                   \
    SYSTEM_CALL(CreateTimer, 2, (uint32_t manualReset, USER(Handle) timer))                        \
    SYSTEM_CALL(SetTimer, 3, (Handle timer, uint64_t delay, uint64_t period))                      \
    SYSTEM_CALL(CancelTimer, 1, (Handle timer))                                                    \
    SYSTEM_CALL(WaitForSingleObject, 2, (Handle object, uint32_t timeout))                         \
    SYSTEM_CALL(WaitForMultipleObjects, 5,                                                         \
                (uint64_t count, USER(const Handle) objects, uint32_t waitAll, uint32_t timeout,   \
                 USER(uint64_t) index))                                                            \
    SYSTEM_CALL(WaitOnAddress, 3,                                                                  \
                (USER(const volatile uint32_t) address, uint32_t expected, uint32_t timeout))      \
    SYSTEM_CALL(WakeByAddress, 2, (USER(const volatile uint32_t) address, uint32_t count))         \
    SYSTEM_CALL(VirtualAlloc, 3, (USER(uint64_t) base, uint64_t size, uint32_t protection))        \
    SYSTEM_CALL(VirtualFree, 1, (uint64_t base))                                                   \
    SYSTEM_CALL(VirtualProtect, 3, (uint64_t base, uint64_t size, uint32_t protection))            \
    SYSTEM_CALL(VirtualDecommit, 2, (uint64_t base, uint64_t size))                                \
    SYSTEM_CALL(VirtualQuery, 2, (uint64_t address, USER(MemoryInfo) info))                        \
    SYSTEM_CALL(CreateSection, 4,                                                                  \
                (Handle file, uint64_t size, uint32_t access, USER(Handle) section))               \
    SYSTEM_CALL(MapView, 6,                                                                        \
                (Handle section, uint64_t offset, uint64_t size, uint32_t protection,              \
                 uint32_t flags, USER(uint64_t) base))                                             \
    SYSTEM_CALL(UnmapView, 1, (uint64_t base))                                                     \
    SYSTEM_CALL(MapImage, 2, (USER(const char) path, USER(AbiImageInfo) image))                    \
    SYSTEM_CALL(UnmapImage, 1, (uint64_t base))                                                    \
    SYSTEM_CALL(GetModuleInfo, 2, (uint64_t address, USER(ModuleInfo) info))                       \
    SYSTEM_CALL(CreateFile, 4,                                                                     \
                (USER(const char) path, uint32_t access, uint32_t disposition, USER(Handle) file)) \
    SYSTEM_CALL(ReadFile, 4,                                                                       \
                (Handle file, USER(void) buffer, uint64_t size, USER(uint64_t) transferred))       \
    SYSTEM_CALL(WriteFile, 4,                                                                      \
                (Handle file, USER(const void) buffer, uint64_t size, USER(uint64_t) transferred)) \
    SYSTEM_CALL(SetFilePointer, 4,                                                                 \
                (Handle file, int64_t offset, uint32_t origin, USER(uint64_t) position))           \
    SYSTEM_CALL(SetFileSize, 2, (Handle file, uint64_t size))                                      \
    SYSTEM_CALL(FlushFile, 1, (Handle file))                                                       \
    SYSTEM_CALL(ReadFileAt, 5,                                                                     \
                (Handle file, uint64_t offset, USER(void) buffer, uint64_t size,                   \
                 USER(uint64_t) transferred))                                                      \
    SYSTEM_CALL(WriteFileAt, 5,                                                                    \
                (Handle file, uint64_t offset, USER(const void) buffer, uint64_t size,             \
                 USER(uint64_t) transferred))                                                      \
    SYSTEM_CALL(SetFileTime, 2, (Handle file, uint64_t modifyTime))                                \
    SYSTEM_CALL(LockFile, 5,                                                                       \
                (Handle file, uint64_t offset, uint64_t length, uint32_t mode, uint32_t timeout))  \
    SYSTEM_CALL(                                                                                   \
        QueryFileLock, 5,                                                                          \
        (Handle file, uint64_t offset, uint64_t length, uint32_t mode, USER(FileLock) conflict))   \
    SYSTEM_CALL(GetFileInfo, 2, (Handle file, USER(FileInfo) info))                                \
    SYSTEM_CALL(GetPathInfo, 2, (USER(const char) path, USER(FileInfo) info))                      \
    SYSTEM_CALL(DeleteFile, 1, (USER(const char) path))                                            \
    SYSTEM_CALL(MoveFile, 2, (USER(const char) from, USER(const char) to))                         \
    SYSTEM_CALL(CreateDirectory, 1, (USER(const char) path))                                       \
    SYSTEM_CALL(RemoveDirectory, 1, (USER(const char) path))                                       \
    SYSTEM_CALL(OpenDirectory, 2, (USER(const char) path, USER(Handle) directory))                 \
    SYSTEM_CALL(ReadDirectory, 2, (Handle directory, USER(DirectoryEntry) entry))                  \
    SYSTEM_CALL(SetCurrentDirectory, 1, (USER(const char) path))                                   \
    SYSTEM_CALL(GetCurrentDirectory, 2, (USER(char) buffer, uint64_t size))                        \
    SYSTEM_CALL(GetVolumeInfo, 1, (USER(VolumeInfo) info))                                         \
    SYSTEM_CALL(CreatePipe, 2, (USER(Handle) readEnd, USER(Handle) writeEnd))                      \
    SYSTEM_CALL(CreateConsole, 4,                                                                  \
                (uint32_t columns, uint32_t rows, USER(Handle) terminal, USER(Handle) console))    \
    SYSTEM_CALL(GetConsoleInfo, 2, (Handle console, USER(ConsoleInfo) info))                       \
    SYSTEM_CALL(SetConsoleMode, 2, (Handle console, uint32_t mode))                                \
    SYSTEM_CALL(SetConsoleSize, 3, (Handle console, uint32_t columns, uint32_t rows))              \
    SYSTEM_CALL(SetConsoleForeground, 3,                                                           \
                (Handle console, uint64_t count, USER(const Handle) objects))                      \
    SYSTEM_CALL(                                                                                   \
        AllocWindow, 3,                                                                            \
        (USER(const WindowParameters) parameters, USER(Handle) window, USER(WindowBuffer) buffer)) \
    SYSTEM_CALL(PaintWindow, 2, (Handle window, USER(const Rect) area))                            \
    SYSTEM_CALL(MoveWindow, 3, (Handle window, int32_t x, int32_t y))                              \
    SYSTEM_CALL(ResizeWindow, 4,                                                                   \
                (Handle window, uint32_t width, uint32_t height, USER(WindowBuffer) buffer))       \
    SYSTEM_CALL(GetWindowRect, 2, (Handle window, USER(Rect) rect))                                \
    SYSTEM_CALL(SetWindowTitle, 2, (Handle window, USER(const char) title))                        \
    SYSTEM_CALL(SetWindowFlags, 2, (Handle window, uint32_t flags))                                \
    SYSTEM_CALL(ActivateWindow, 1, (Handle window))                                                \
    SYSTEM_CALL(GetScreenRect, 1, (USER(Rect) rect))                                               \
    SYSTEM_CALL(GetScreenMode, 2, (uint32_t index, USER(ScreenMode) mode))                         \
    SYSTEM_CALL(SetScreenMode, 2, (uint32_t width, uint32_t height))                               \
    SYSTEM_CALL(GetMessage, 2, (USER(Message) message, uint32_t timeout))                          \
    SYSTEM_CALL(PeekMessage, 1, (USER(Message) message))                                           \
    SYSTEM_CALL(SetClipboard, 2, (USER(const char) text, uint64_t length))                         \
    SYSTEM_CALL(GetClipboard, 3, (USER(char) buffer, uint64_t size, USER(uint64_t) length))

typedef enum SystemCallNumber {
#define SYSTEM_CALL_NUMBER(name, count, prototype) SystemCall##name,
#define SYSTEM_CALL_POINTER(type)                  type *
    METALOS_SYSTEM_CALLS(SYSTEM_CALL_NUMBER, SYSTEM_CALL_POINTER)
#undef SYSTEM_CALL_POINTER
#undef SYSTEM_CALL_NUMBER
        SystemCallCount
} SystemCallNumber;
