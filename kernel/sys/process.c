// process.c - system calls about processes.
// SPDX-License-Identifier: MIT
#include "sysi.h"
#include "win.h"

#define COMMAND_LINE_MAXIMUM 32767u
#define ENVIRONMENT_MAXIMUM  65536u

static void Describe(PsProcess *process, ProcessInfo *info)
{
    PsQueryProcess(process, info);
    info->WindowCount = info->Exited ? 0 : WinGetWindowCount(process);
}

Status SysGetProcessInfo(Handle handle, UserPointer result)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, AccessQuery, &process);
    if (status != StatusSuccess)
        return status;
    ProcessInfo info;
    Describe(process, &info);
    ObDereference(process);
    return MmCopyToUser(result, &info, sizeof(info));
}

// ---- the list of processes

static bool ListProcess(PsProcess *process, void *context)
{
    SysList *list = context;
    ProcessInfo info;
    Describe(process, &info);
    return SysiListItem(list, &info, sizeof(info));
}

Status SysListProcesses(UserPointer items, uint64_t capacity, UserPointer count)
{
    SysList list = {.Items = items, .Capacity = capacity};
    PsForEachProcess(ListProcess, &list);
    return SysiEndList(&list, count);
}

Status SysOpenProcess(uint32_t id, uint32_t access, UserPointer result)
{
    PsProcess *process = PsFindProcess(id);
    return process == nullptr ? StatusNotFound : SysiReturnHandle(process, access, result);
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
    if (status == StatusSuccess &&
        (creation->Parameters.Flags & ~(uint32_t)ProcessInheritHandles) != 0)
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
    creation->Start.InheritHandles = creation->Parameters.Flags & ProcessInheritHandles;
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
    return status == StatusSuccess ? SysiReturnHandle(process, AccessAll, result) : status;
}

Status SysTerminateProcess(Handle handle, uint32_t exitCode)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, AccessTerminate, &process);
    if (status != StatusSuccess)
        return status;
    bool own = process == PsGetCurrentProcess();
    if (own) // does not come back; the thread itself keeps the process alive
        ObDereference(process);
    PsTerminateProcess(process, exitCode);
    ObDereference(process);
    return StatusSuccess;
}
