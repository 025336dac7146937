// thread.c - system calls about threads.
// SPDX-License-Identifier: MIT
#include "sysi.h"

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
    return status == StatusSuccess ? SysiReturnHandle(thread, AccessAll, result) : status;
}

Status SysSetExceptionEntry(uint64_t entry)
{
    return PsSetExceptionEntry(entry);
}

Status SysExitThread(uint32_t exitCode)
{
    PsExitThread(exitCode);
}

Status SysTerminateThread(Handle handle, uint32_t exitCode)
{
    PsThread *thread;
    Status status = SysiReferenceThread(handle, AccessTerminate, &thread);
    if (status != StatusSuccess)
        return status;
    bool own = thread == PsGetCurrentThread();
    if (own) // does not come back; a thread that runs keeps itself alive
        ObDereference(thread);
    PsTerminateThread(thread, exitCode);
    ObDereference(thread);
    return StatusSuccess;
}

Status SysGetThreadExitCode(Handle handle, UserPointer result)
{
    PsThread *thread;
    Status status = SysiReferenceThread(handle, AccessQuery, &thread);
    if (status != StatusSuccess)
        return status;
    uint32_t exitCode;
    status = PsGetThreadExitCode(thread, &exitCode);
    ObDereference(thread);
    return status == StatusSuccess ? MmCopyToUser(result, &exitCode, sizeof(exitCode)) : status;
}

Status SysGetThreadInfo(Handle handle, UserPointer result)
{
    PsThread *thread;
    Status status = SysiReferenceThread(handle, AccessQuery, &thread);
    if (status != StatusSuccess)
        return status;
    ThreadInfo info;
    PsQueryThread(thread, &info);
    ObDereference(thread);
    return MmCopyToUser(result, &info, sizeof(info));
}

static bool ListThread(PsThread *thread, void *context)
{
    SysList *list = context;
    ThreadInfo info;
    PsQueryThread(thread, &info);
    return SysiListItem(list, &info, sizeof(info));
}

Status SysListThreads(Handle handle, UserPointer items, uint64_t capacity, UserPointer count)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, AccessQuery, &process);
    if (status != StatusSuccess)
        return status;
    SysList list = {.Items = items, .Capacity = capacity};
    PsForEachThread(process, ListThread, &list);
    ObDereference(process);
    return SysiEndList(&list, count);
}

Status SysOpenThread(uint32_t id, uint32_t access, UserPointer result)
{
    PsThread *thread = PsFindThread(id);
    return thread == nullptr ? StatusNotFound : SysiReturnHandle(thread, access, result);
}

Status SysSetThreadPriority(Handle handle, uint32_t priority)
{
    if (priority < KePriorityUserLow || priority > KePriorityUserHigh)
        return StatusInvalidParameter;
    PsThread *thread;
    Status status = SysiReferenceThread(handle, AccessModify, &thread);
    if (status != StatusSuccess)
        return status;
    PsSetThreadPriority(thread, (uint8_t)priority);
    ObDereference(thread);
    return StatusSuccess;
}

Status SysSetThreadAffinity(Handle handle, uint64_t processors)
{
    PsThread *thread;
    Status status = SysiReferenceThread(handle, AccessModify, &thread);
    if (status != StatusSuccess)
        return status;
    status = PsSetThreadAffinity(thread, processors);
    ObDereference(thread);
    return status;
}

Status SysSleep(uint32_t milliseconds)
{
    return KeDelay(UserWait, SysiTimeout(milliseconds));
}
