// process.c - system calls about processes, threads and the handles they have.
// SPDX-License-Identifier: MIT
#include "sysi.h"
#include "win.h"

#define COMMAND_LINE_MAXIMUM 32767u
#define ENVIRONMENT_MAXIMUM  65536u

Status SysGetProcessInfo(Handle handle, UserPointer result)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, ObAccessQuery, &process);
    if (status != StatusSuccess)
        return status;
    ProcessInfo info;
    PsQueryProcess(process, &info);
    info.WindowCount = info.Exited ? 0 : WinGetWindowCount(process);
    ObDereference(process);
    return MmCopyToUser(result, &info, sizeof(info));
}

// ---- CreateProcess

// Everything CreateProcess needs, in kernel memory.
typedef struct Creation {
    AbiCreateProcess Parameters;
    SysStart Start;
    char *CommandLine, *Environment; // heap
    char Directory[MaximumPath];
} Creation;

// Copies length bytes and adds a NUL. StatusInvalidParameter: longer than maximum.
static Status CopyText(UserPointer text, uint64_t length, uint64_t maximum, char **copy)
{
    if (length > maximum)
        return StatusInvalidParameter;
    *copy = MmAllocateHeap(length + 1, SYS_TAG);
    return *copy == nullptr ? StatusNoMemory : MmCopyFromUser(*copy, text, length);
}

static Status DecodeDirectory(Creation *creation)
{
    const AbiCreateProcess *parameters = &creation->Parameters;
    char own[MaximumPath], given[MaximumPath];
    PsGetCurrentDirectory(PsGetCurrentProcess(), own);
    if (parameters->CurrentDirectory == 0) {
        RtlCopyString(creation->Directory, sizeof(creation->Directory), own);
        return StatusSuccess;
    }
    if (parameters->CurrentDirectoryLength >= sizeof(given))
        return StatusNameTooLong;
    memset(given, 0, sizeof(given));
    Status status =
        MmCopyFromUser(given, parameters->CurrentDirectory, parameters->CurrentDirectoryLength);
    if (status == StatusSuccess)
        status = FsNormalizePath(own, given, creation->Directory);
    if (status != StatusSuccess)
        return status;
    FileInfo info;
    status = FsQueryPath(creation->Directory, &info);
    if (status == StatusSuccess && (info.Attributes & FileAttributeDirectory) == 0)
        status = StatusNotADirectory;
    return status;
}

static Status DecodeStrings(Creation *creation)
{
    const AbiCreateProcess *parameters = &creation->Parameters;
    uint64_t length = parameters->CommandLineLength;
    Status status =
        CopyText(parameters->CommandLine, length, COMMAND_LINE_MAXIMUM, &creation->CommandLine);
    if (status == StatusSuccess && strlen(creation->CommandLine) != length)
        status = StatusInvalidParameter;
    if (status != StatusSuccess || parameters->Environment == 0)
        return status;
    length = parameters->EnvironmentLength;
    status = CopyText(parameters->Environment, length, ENVIRONMENT_MAXIMUM, &creation->Environment);
    if (status == StatusSuccess && length != 0 && creation->Environment[length - 1] != '\0')
        status = StatusInvalidParameter;
    creation->Start.EnvironmentSize = length;
    return status;
}

static Status DecodeStandardHandles(Creation *creation)
{
    SysStart *start = &creation->Start;
    for (size_t i = 0; i < 3; i++) {
        Handle handle = creation->Parameters.StandardHandles[i];
        if (handle == InvalidHandle)
            continue;
        Status status = ObQueryHandle(SysiHandles(), handle, &start->StandardObjects[i],
                                      &start->StandardAccess[i]);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

static Status DecodeCreation(Creation *creation, UserPointer parameters)
{
    Status status = MmCopyFromUser(&creation->Parameters, parameters, sizeof(creation->Parameters));
    if (status == StatusSuccess && creation->Parameters.Flags != 0)
        status = StatusInvalidParameter;
    if (status == StatusSuccess)
        status = DecodeStrings(creation);
    if (status == StatusSuccess)
        status = DecodeDirectory(creation);
    if (status == StatusSuccess)
        status = DecodeStandardHandles(creation);
    creation->Start.CommandLine = creation->CommandLine;
    creation->Start.CurrentDirectory = creation->Directory;
    creation->Start.Environment = creation->Environment;
    creation->Start.Parent = PsGetCurrentProcess();
    return status;
}

Status SysCreateProcess(UserPointer parameters, UserPointer result)
{
    Creation *creation = MmAllocateHeap(sizeof(*creation), SYS_TAG);
    if (creation == nullptr)
        return StatusNoMemory;
    PsProcess *process;
    Status status = SysiProbeHandle(result);
    if (status == StatusSuccess)
        status = DecodeCreation(creation, parameters);
    if (status == StatusSuccess)
        status = SysiStartProcess(&creation->Start, &process);
    for (size_t i = 0; i < 3; i++)
        if (creation->Start.StandardObjects[i] != nullptr)
            ObDereference(creation->Start.StandardObjects[i]);
    MmFreeHeap(creation->CommandLine);
    MmFreeHeap(creation->Environment);
    MmFreeHeap(creation);
    return status == StatusSuccess ? SysiReturnHandle(process, OB_ACCESS_ALL, result) : status;
}

Status SysTerminateProcess(Handle handle, uint32_t exitCode)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, ObAccessModify, &process);
    if (status != StatusSuccess)
        return status;
    bool own = process == PsGetCurrentProcess();
    if (own) // does not come back; the thread itself keeps the process alive
        ObDereference(process);
    PsTerminateProcess(process, exitCode);
    ObDereference(process);
    return StatusSuccess;
}

// ---- threads

Status SysCreateThread(UserPointer parameters, UserPointer result)
{
    AbiCreateThread copy;
    Status status = MmCopyFromUser(&copy, parameters, sizeof(copy));
    if (status == StatusSuccess)
        status = SysiProbeHandle(result);
    if (status != StatusSuccess)
        return status;
    PsThread *thread;
    status = PsCreateThread(PsGetCurrentProcess(), &copy, &thread);
    return status == StatusSuccess ? SysiReturnHandle(thread, OB_ACCESS_ALL, result) : status;
}

Status SysExitThread(uint32_t exitCode)
{
    PsExitThread(exitCode);
}

Status SysGetThreadExitCode(Handle handle, UserPointer result)
{
    PsThread *thread;
    Status status = SysiReferenceThread(handle, ObAccessQuery, &thread);
    if (status != StatusSuccess)
        return status;
    uint32_t exitCode;
    status = PsGetThreadExitCode(thread, &exitCode);
    ObDereference(thread);
    return status == StatusSuccess ? MmCopyToUser(result, &exitCode, sizeof(exitCode)) : status;
}

Status SysSetThreadPriority(Handle handle, uint32_t priority)
{
    if (priority < KePriorityUserLow || priority > KePriorityUserHigh)
        return StatusInvalidParameter;
    PsThread *thread;
    Status status = SysiReferenceThread(handle, ObAccessModify, &thread);
    if (status != StatusSuccess)
        return status;
    PsSetThreadPriority(thread, (uint8_t)priority);
    ObDereference(thread);
    return StatusSuccess;
}

Status SysSleep(uint32_t milliseconds)
{
    return KeDelay(UserWait, SysiTimeout(milliseconds));
}

// ---- handles

Status SysCloseHandle(Handle handle)
{
    return ObCloseHandle(SysiHandles(), handle);
}

// A handle to the object with the same rights; pseudo handles become real ones.
Status SysDuplicateHandle(Handle handle, UserPointer result)
{
    void *body;
    uint32_t access = OB_ACCESS_ALL;
    Status status = StatusSuccess;
    if (handle == CurrentProcess || handle == CurrentThread) {
        body =
            handle == CurrentProcess ? (void *)PsGetCurrentProcess() : (void *)PsGetCurrentThread();
        ObReference(body);
    } else {
        status = ObQueryHandle(SysiHandles(), handle, &body, &access);
    }
    return status == StatusSuccess ? SysiReturnHandle(body, access, result) : status;
}
