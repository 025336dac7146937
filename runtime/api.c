// The native interface, as far as a call is one system call. sdk/include/MetalOS.h is its contract.
// SPDX-License-Identifier: MIT
#include "rt.h"

#include <string.h>

// ---- system
Status GetProcessorInfo(uint32_t processor, ProcessorInfo *info)
{
    return SysGetProcessorInfo(processor, info);
}
Status ListCounters(CounterInfo *list, size_t capacity, size_t *count)
{
    return SysListCounters(list, capacity, (uint64_t *)count);
}
Status GetSystemInfo(SystemInfo *info)
{
    return SysGetSystemInfo(info);
}

uint64_t GetMonotonicTime(void)
{
    uint64_t monotonic = 0, system;
    (void)SysQueryTime(&monotonic, &system);
    return monotonic;
}

uint64_t GetTickCount(void)
{
    return GetMonotonicTime() / 1000000;
}

Status GetSystemTime(uint64_t *time)
{
    uint64_t monotonic;
    return SysQueryTime(&monotonic, time);
}

Status DebugPrint(const char *text)
{
    if (!text)
        return StatusInvalidAddress;
    size_t length = strnlen(text, 4096);
    return SysDebugPrint(text, length);
}

Status ReadSystemLog(char *buffer, size_t size, size_t *length)
{
    return SysReadSystemLog(buffer, size, (uint64_t *)length);
}

Status GetRandomBytes(void *buffer, size_t size)
{
    return SysGetRandomBytes(buffer, size);
}
Status CreateTrace(const TraceParameters *parameters, Handle *trace)
{
    return SysCreateTrace(parameters, trace);
}
Status StopTrace(Handle trace, TraceInfo *info)
{
    return SysStopTrace(trace, info);
}
Status ReadTrace(Handle trace, uint32_t processor, uint64_t index, TraceRecord *records,
                 size_t capacity, size_t *count)
{
    return SysReadTrace(trace, processor, index, records, capacity, (uint64_t *)count);
}
Status ShutdownSystem(ShutdownAction action, int exitCode)
{
    return SysShutdownSystem(action, exitCode);
}

// ---- processes and threads (CreateProcess: process.c, CreateThread: thread.c)
Status GetProcessInfo(Handle process, ProcessInfo *info)
{
    return SysGetProcessInfo(process, info);
}
Status ListProcesses(ProcessInfo *list, size_t capacity, size_t *count)
{
    return SysListProcesses(list, capacity, (uint64_t *)count);
}
Status OpenProcess(uint32_t processId, uint32_t access, Handle *process)
{
    return SysOpenProcess(processId, access, process);
}
Status TerminateThread(Handle thread, uint32_t exitCode)
{
    return SysTerminateThread(thread, exitCode);
}
Status GetThreadInfo(Handle thread, ThreadInfo *info)
{
    return SysGetThreadInfo(thread, info);
}
Status ListThreads(Handle process, ThreadInfo *list, size_t capacity, size_t *count)
{
    return SysListThreads(process, list, capacity, (uint64_t *)count);
}
Status OpenThread(uint32_t threadId, uint32_t access, Handle *thread)
{
    return SysOpenThread(threadId, access, thread);
}
Status TerminateProcess(Handle process, uint32_t exitCode)
{
    return SysTerminateProcess(process, exitCode);
}
Status GetThreadExitCode(Handle thread, uint32_t *exitCode)
{
    return SysGetThreadExitCode(thread, exitCode);
}
Status SetThreadAffinity(Handle thread, uint64_t processors)
{
    return SysSetThreadAffinity(thread, processors);
}
Status SetThreadPriority(Handle thread, uint32_t priority)
{
    return SysSetThreadPriority(thread, priority);
}
uint32_t GetCurrentThreadId(void)
{
    return (uint32_t)RtGetThreadBlock()->ThreadId;
}
uint32_t GetCurrentProcessId(void)
{
    return RtGetThreadBlock()->ProcessId;
}
void Sleep(uint32_t milliseconds)
{
    (void)SysSleep(milliseconds);
}

void ExitProcess(uint32_t exitCode)
{
    for (;;)
        (void)SysTerminateProcess(CurrentProcess, exitCode);
}

// ---- handles, waiting, signals
Status CloseHandle(Handle handle)
{
    return SysCloseHandle(handle);
}
Status DuplicateHandle(Handle sourceProcess, Handle source, Handle targetProcess, Handle *duplicate,
                       uint32_t access, uint32_t flags)
{
    return SysDuplicateHandle(sourceProcess, source, targetProcess, duplicate, access, flags);
}
Status GetHandleInfo(Handle handle, HandleInfo *info)
{
    return SysGetHandleInfo(handle, info);
}
Status SetHandleFlags(Handle handle, uint32_t flags)
{
    return SysSetHandleFlags(handle, flags);
}
Status NameObject(Handle object, const char *name)
{
    return SysNameObject(object, name);
}
Status OpenObject(const char *name, ObjectKind kind, uint32_t access, Handle *object)
{
    return SysOpenObject(name, kind, access, object);
}

Status CreateEvent(bool manualReset, bool initiallySet, Handle *event)
{
    return SysCreateEvent(manualReset, initiallySet, event);
}

Status SetEvent(Handle event)
{
    return SysSetEvent(event);
}
Status ResetEvent(Handle event)
{
    return SysResetEvent(event);
}
Status CreateSemaphore(uint32_t count, uint32_t maximum, Handle *semaphore)
{
    return SysCreateSemaphore(count, maximum, semaphore);
}
Status ReleaseSemaphore(Handle semaphore, uint32_t count, uint32_t *previous)
{
    return SysReleaseSemaphore(semaphore, count, previous);
}
Status CreateMutex(bool owned, Handle *mutex)
{
    return SysCreateMutex(owned, mutex);
}
Status ReleaseMutex(Handle mutex)
{
    return SysReleaseMutex(mutex);
}
Status CreateTimer(bool manualReset, Handle *timer)
{
    return SysCreateTimer(manualReset, timer);
}
Status SetTimer(Handle timer, uint64_t delay, uint64_t period)
{
    return SysSetTimer(timer, delay, period);
}
Status CancelTimer(Handle timer)
{
    return SysCancelTimer(timer);
}
Status WaitForSingleObject(Handle object, uint32_t timeout)
{
    return SysWaitForSingleObject(object, timeout);
}

Status WaitForMultipleObjects(size_t count, const Handle *objects, bool waitAll, uint32_t timeout,
                              size_t *index)
{
    return SysWaitForMultipleObjects(count, objects, waitAll, timeout, (uint64_t *)index);
}

Status WaitOnAddress(const volatile uint32_t *address, uint32_t expected, uint32_t timeout)
{
    return SysWaitOnAddress(address, expected, timeout);
}

Status WakeByAddress(const volatile uint32_t *address, uint32_t count)
{
    return SysWakeByAddress(address, count);
}

// ---- memory
Status VirtualAlloc(void **base, size_t size, MemoryProtection protection)
{
    return SysVirtualAlloc((uint64_t *)base, size, protection);
}

Status VirtualFree(void *base)
{
    return SysVirtualFree((uintptr_t)base);
}

Status VirtualDecommit(void *base, size_t size)
{
    return SysVirtualDecommit((uintptr_t)base, size);
}

Status CreateSection(Handle file, uint64_t size, MemoryProtection access, Handle *section)
{
    return SysCreateSection(file, size, access, section);
}

Status MapView(Handle section, uint64_t offset, size_t size, MemoryProtection protection,
               uint32_t flags, void **base)
{
    return SysMapView(section, offset, size, protection, flags, (uint64_t *)base);
}

Status UnmapView(void *base)
{
    return SysUnmapView((uintptr_t)base);
}

Status VirtualProtect(void *base, size_t size, MemoryProtection protection)
{
    return SysVirtualProtect((uintptr_t)base, size, protection);
}

Status VirtualQuery(const void *address, MemoryInfo *info)
{
    return SysVirtualQuery((uintptr_t)address, info);
}

// ---- files
Status CreateFile(const char *path, uint32_t access, FileDisposition disposition, Handle *file)
{
    return SysCreateFile(path, access, disposition, file);
}

Status ReadFile(Handle file, void *buffer, size_t size, size_t *transferred)
{
    return SysReadFile(file, buffer, size, (uint64_t *)transferred);
}

Status WriteFile(Handle file, const void *buffer, size_t size, size_t *transferred)
{
    return SysWriteFile(file, buffer, size, (uint64_t *)transferred);
}

Status SetFilePointer(Handle file, int64_t offset, FileOrigin origin, uint64_t *position)
{
    return SysSetFilePointer(file, offset, origin, position);
}

Status SetFileSize(Handle file, uint64_t size)
{
    return SysSetFileSize(file, size);
}
Status FlushFile(Handle file)
{
    return SysFlushFile(file);
}
Status ReadFileAt(Handle file, uint64_t offset, void *buffer, size_t size, size_t *transferred)
{
    return SysReadFileAt(file, offset, buffer, size, (uint64_t *)transferred);
}

Status WriteFileAt(Handle file, uint64_t offset, const void *buffer, size_t size,
                   size_t *transferred)
{
    return SysWriteFileAt(file, offset, buffer, size, (uint64_t *)transferred);
}

Status SetFileTime(Handle file, uint64_t modifyTime)
{
    return SysSetFileTime(file, modifyTime);
}

Status LockFile(Handle file, uint64_t offset, uint64_t length, FileLockMode mode, uint32_t timeout)
{
    return SysLockFile(file, offset, length, mode, timeout);
}

Status QueryFileLock(Handle file, uint64_t offset, uint64_t length, FileLockMode mode,
                     FileLock *conflict)
{
    return SysQueryFileLock(file, offset, length, mode, conflict);
}

Status GetFileInfo(Handle file, FileInfo *info)
{
    return SysGetFileInfo(file, info);
}
Status GetPathInfo(const char *path, FileInfo *info)
{
    return SysGetPathInfo(path, info);
}
Status DeleteFile(const char *path)
{
    return SysDeleteFile(path);
}
Status MoveFile(const char *from, const char *to)
{
    return SysMoveFile(from, to);
}
Status CreateDirectory(const char *path)
{
    return SysCreateDirectory(path);
}
Status RemoveDirectory(const char *path)
{
    return SysRemoveDirectory(path);
}
Status OpenDirectory(const char *path, Handle *directory)
{
    return SysOpenDirectory(path, directory);
}
Status ReadDirectory(Handle directory, DirectoryEntry *entry)
{
    return SysReadDirectory(directory, entry);
}
Status SetCurrentDirectory(const char *path)
{
    return SysSetCurrentDirectory(path);
}
Status GetCurrentDirectory(char *buffer, size_t size)
{
    return SysGetCurrentDirectory(buffer, size);
}
Status GetModuleInfo(const void *address, ModuleInfo *info)
{
    return SysGetModuleInfo((uintptr_t)address, info);
}

Status GetVolumeInfo(VolumeInfo *info)
{
    return SysGetVolumeInfo(info);
}
Status CreatePipe(Handle *readEnd, Handle *writeEnd)
{
    return SysCreatePipe(readEnd, writeEnd);
}

// ---- consoles
Status CreateConsole(uint32_t columns, uint32_t rows, Handle *terminal, Handle *console)
{
    return SysCreateConsole(columns, rows, terminal, console);
}
Status GetConsoleInfo(Handle console, ConsoleInfo *info)
{
    return SysGetConsoleInfo(console, info);
}
Status SetConsoleMode(Handle console, uint32_t mode)
{
    return SysSetConsoleMode(console, mode);
}
Status SetConsoleSize(Handle console, uint32_t columns, uint32_t rows)
{
    return SysSetConsoleSize(console, columns, rows);
}
Status SetConsoleForeground(Handle console, size_t count, const Handle *objects)
{
    return SysSetConsoleForeground(console, count, objects);
}

Handle GetStandardHandle(StandardHandle which)
{
    const ProcessBlock *process = RtGetProcess();
    return (uint32_t)which < RT_COUNT_OF(process->StandardHandles) ? process->StandardHandles[which]
                                                                   : InvalidHandle;
}

// ---- windows
Status AllocWindow(const WindowParameters *parameters, Handle *window, WindowBuffer *buffer)
{
    return SysAllocWindow(parameters, window, buffer);
}

Status PaintWindow(Handle window, const Rect *area)
{
    return SysPaintWindow(window, area);
}
Status MoveWindow(Handle window, int32_t x, int32_t y)
{
    return SysMoveWindow(window, x, y);
}
Status ResizeWindow(Handle window, uint32_t width, uint32_t height, WindowBuffer *buffer)
{
    return SysResizeWindow(window, width, height, buffer);
}
Status GetWindowRect(Handle window, Rect *rect)
{
    return SysGetWindowRect(window, rect);
}
Status SetWindowTitle(Handle window, const char *title)
{
    return SysSetWindowTitle(window, title);
}
Status SetWindowFlags(Handle window, uint32_t flags)
{
    return SysSetWindowFlags(window, flags);
}
Status ActivateWindow(Handle window)
{
    return SysActivateWindow(window);
}
Status GetScreenRect(Rect *rect)
{
    return SysGetScreenRect(rect);
}
Status GetScreenMode(uint32_t index, ScreenMode *mode)
{
    return SysGetScreenMode(index, mode);
}
Status SetScreenMode(uint32_t width, uint32_t height)
{
    return SysSetScreenMode(width, height);
}
Status GetMessage(Message *message, uint32_t timeout)
{
    return SysGetMessage(message, timeout);
}
Status PeekMessage(Message *message)
{
    return SysPeekMessage(message);
}
Status SetClipboard(const char *text, size_t length)
{
    return SysSetClipboard(text, length);
}
Status GetClipboard(char *buffer, size_t size, size_t *length)
{
    return SysGetClipboard(buffer, size, (uint64_t *)length);
}

const char *GetStatusText(Status status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case name:                                                                                     \
        return #name ": " text;
        METALOS_STATUS_LIST(STATUS_TEXT)
    }
    return "unknown status";
}
