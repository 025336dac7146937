// process.c - starting other programs: CreateProcess and the C library's system().
// SPDX-License-Identifier: MIT
#include "rt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
