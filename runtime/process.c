// process.c - starting other programs: CreateProcess and the C library's system().
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

constexpr size_t EnvironmentLimit = 65536; // bytes, as AbiCreateProcess says

// Strings one after another, each with its NUL. *size is 0 and the result nullptr when there are
// none.
static Status PackEnvironment(const char *const *environment, char **packed, size_t *size)
{
    *packed = nullptr;
    *size = 0;
    for (size_t i = 0; environment[i]; i++)
        *size += strlen(environment[i]) + 1;
    if (*size > EnvironmentLimit)
        return StatusLimitReached;
    if (*size == 0)
        return StatusSuccess;
    char *at = *packed = malloc(*size);
    if (!at)
        return StatusNoMemory;
    for (size_t i = 0; environment[i]; i++)
        at = stpcpy(at, environment[i]) + 1;
    return StatusSuccess;
}

Status CreateProcess(const CreateProcessParameters *parameters, Handle *process)
{
    if (!parameters || !process)
        return StatusInvalidAddress;
    if (!parameters->CommandLine)
        return StatusInvalidParameter;
    const char *const *environment = parameters->Environment;
    if (!environment)
        environment = (const char *const *)*__metalos_environ();
    char *packed;
    size_t size;
    Status status = PackEnvironment(environment, &packed, &size);
    if (status != StatusSuccess)
        return status;
    const char *directory = parameters->CurrentDirectory;
    AbiCreateProcess abi = {
        .CommandLine = (uintptr_t)parameters->CommandLine,
        .CommandLineLength = strlen(parameters->CommandLine),
        .CurrentDirectory = (uintptr_t)directory,
        .CurrentDirectoryLength = directory ? strlen(directory) : 0,
        .Environment = (uintptr_t)packed,
        .EnvironmentLength = size,
        .StandardHandles = {parameters->StandardInput, parameters->StandardOutput,
                            parameters->StandardError},
        .Flags = parameters->Flags,
    };
    status = SysCreateProcess(&abi, process);
    free(packed);
    return status;
}

int RtRunCommand(const char *command)
{
    CreateProcessParameters parameters = {
        .CommandLine = command,
        .StandardInput = GetStandardHandle(StandardInput),
        .StandardOutput = GetStandardHandle(StandardOutput),
        .StandardError = GetStandardHandle(StandardError),
    };
    Handle process;
    Status status = CreateProcess(&parameters, &process);
    if (status != StatusSuccess) {
        errno = RtStatusToErrno(status);
        return -1;
    }
    ProcessInfo info = {};
    (void)SysWaitForSingleObject(process, InfiniteTimeout);
    status = SysGetProcessInfo(process, &info);
    (void)SysCloseHandle(process);
    return status == StatusSuccess ? (int)(info.ExitCode & 0x7fffffff) : -1;
}

// ---- children that waitpid may ask about
typedef struct Child {
    Handle Process; // InvalidHandle: the entry is free
    uint32_t ProcessId;
} Child;

constexpr size_t ChildCount = 64; // as many as one wait takes
static Child children[ChildCount];
static RtLock childLock;

static Handle HandleOf(int descriptor)
{
    Handle handle = InvalidHandle;
    return descriptor >= 0 && PxGetHandle(descriptor, &handle) == 0 ? handle : InvalidHandle;
}

// Status of a failure to remember: the program runs on unobserved.
static void Remember(Handle process, uint32_t id)
{
    RtAcquire(&childLock);
    for (size_t i = 0; i < ChildCount; i++) {
        if (children[i].Process == InvalidHandle) {
            children[i] = (Child){process, id};
            process = InvalidHandle;
            break;
        }
    }
    RtRelease(&childLock);
    if (process != InvalidHandle)
        (void)SysCloseHandle(process);
}

int RtSpawn(const char *commandLine, char *const *environment, const int standard[3], int *pid)
{
    CreateProcessParameters parameters = {
        .CommandLine = commandLine,
        .Environment = (const char *const *)environment,
        .StandardInput = HandleOf(standard[0]),
        .StandardOutput = HandleOf(standard[1]),
        .StandardError = HandleOf(standard[2]),
    };
    Handle process;
    ProcessInfo info = {};
    Status status = CreateProcess(&parameters, &process);
    if (status != StatusSuccess)
        return RtStatusToErrno(status);
    (void)SysGetProcessInfo(process, &info);
    *pid = (int)info.ProcessId;
    Remember(process, info.ProcessId);
    return 0;
}

// The handles of the child with this id, or of all for -1.
static size_t CollectChildren(long long pid, Handle handles[ChildCount])
{
    size_t count = 0;
    RtAcquire(&childLock);
    for (size_t i = 0; i < ChildCount; i++)
        if (children[i].Process != InvalidHandle && (pid == -1 || children[i].ProcessId == pid))
            handles[count++] = children[i].Process;
    RtRelease(&childLock);
    return count;
}

static void Forget(Handle process)
{
    RtAcquire(&childLock);
    for (size_t i = 0; i < ChildCount; i++)
        if (children[i].Process == process)
            children[i].Process = InvalidHandle;
    RtRelease(&childLock);
    (void)SysCloseHandle(process);
}

// wait4: process id or -1, status, options, resource usage (not filled in).
long long PxWaitChild(long long pid, long long b, long long options, long long d, long long e,
                      long long f)
{
    Handle handles[ChildCount];
    size_t count = CollectChildren(pid, handles), index = 0;
    ProcessInfo info = {};
    if (count == 0)
        return -ECHILD;
    Status status = WaitForMultipleObjects(count, handles, false,
                                           options & WNOHANG ? 0 : InfiniteTimeout, &index);
    if (status == StatusTimeout)
        return 0;
    if (status != StatusSuccess)
        return -ECHILD; // another thread waited for it as well
    (void)SysGetProcessInfo(handles[index], &info);
    Forget(handles[index]);
    if (b)
        *(int *)b = (int)(info.ExitCode & 0xff) << 8; // as WEXITSTATUS takes it apart
    return info.ProcessId;
}
