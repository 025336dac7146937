// handle.c - system calls about handles: closing, duplicating, asking, names.
//
// A duplicate never has rights that its source lacks, whichever processes are involved; a name
// never grants any that the handle lacked through which it was given.
// SPDX-License-Identifier: MIT
#include "sysi.h"

#define ALL_DUPLICATE_FLAGS (DuplicateSameAccess | DuplicateCloseSource | DuplicateInherit)

Status SysCloseHandle(Handle handle)
{
    return ObCloseHandle(SysiHandles(), handle);
}

// ---- DuplicateHandle

// The table of the process that a handle with AccessDuplicate names, referenced.
static Status ReferenceTable(Handle handle, ObHandleTable **table)
{
    PsProcess *process;
    Status status = SysiReferenceProcess(handle, AccessDuplicate, &process);
    if (status != StatusSuccess)
        return status;
    *table = PsReferenceHandleTable(process);
    ObDereference(process);
    return *table != nullptr ? StatusSuccess : StatusTerminating;
}

// The object of the source handle, referenced, and its rights. Pseudo handles are the caller's.
static Status ReferenceSource(ObHandleTable *table, Handle source, void **body, uint32_t *access)
{
    if (source != CurrentProcess && source != CurrentThread)
        return ObQueryHandle(table, source, body, access);
    *body = source == CurrentProcess ? (void *)PsGetCurrentProcess() : (void *)PsGetCurrentThread();
    *access = AccessAll;
    ObReference(*body);
    return StatusSuccess;
}

// Opens the object in the target process.
static Status OpenDuplicate(Handle targetProcess, void *body, uint32_t access, uint32_t flags,
                            UserPointer result)
{
    ObHandleTable *table;
    Status status = ReferenceTable(targetProcess, &table);
    if (status != StatusSuccess)
        return status;
    Handle handle;
    status = ObOpenHandleWithFlags(table, body, access, flags, &handle);
    if (status == StatusSuccess) {
        status = MmCopyToUser(result, &handle, sizeof(handle));
        if (status != StatusSuccess)
            (void)!ObCloseHandle(table, handle); // a thread of that process may have closed it
    }
    ObDereferenceHandleTable(table);
    return status;
}

Status SysDuplicateHandle(Handle sourceProcess, Handle source, Handle targetProcess,
                          UserPointer result, uint32_t access, uint32_t flags)
{
    if ((flags & ~(uint32_t)ALL_DUPLICATE_FLAGS) != 0)
        return StatusInvalidParameter;
    ObHandleTable *table;
    Status status = ReferenceTable(sourceProcess, &table);
    if (status != StatusSuccess)
        return status;
    void *body;
    uint32_t has;
    status = ReferenceSource(table, source, &body, &has);
    if (status == StatusSuccess) {
        if (flags & DuplicateSameAccess)
            access = has;
        status = (access & ~has) != 0
                     ? StatusAccessDenied
                     : OpenDuplicate(targetProcess, body, access,
                                     flags & DuplicateInherit ? HandleInherit : 0, result);
        // Last: the object must not be without a handle in between.
        if (flags & DuplicateCloseSource)
            (void)!ObCloseHandle(table, source); // another thread may have closed it already
        ObDereference(body);
    }
    ObDereferenceHandleTable(table);
    return status;
}

// ---- what a handle is

Status SysGetHandleInfo(Handle handle, UserPointer result)
{
    HandleInfo info;
    Status status = ObGetHandleInfo(SysiHandles(), handle, &info);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

Status SysSetHandleFlags(Handle handle, uint32_t flags)
{
    if ((flags & ~(uint32_t)HandleInherit) != 0)
        return StatusInvalidParameter;
    return ObSetHandleFlags(SysiHandles(), handle, flags);
}

// ---- names

static Status CopyName(UserPointer user, char name[MaximumObjectName])
{
    Status status = MmCopyStringFromUser(name, MaximumObjectName, user);
    if (status != StatusSuccess)
        return status;
    for (const char *at = name; *at != '\0'; at++)
        if ((uint8_t)*at < ' ' || *at == 0x7F)
            return StatusInvalidName;
    return name[0] == '\0' ? StatusInvalidName : StatusSuccess;
}

Status SysNameObject(Handle handle, UserPointer user)
{
    char name[MaximumObjectName];
    void *body;
    uint32_t access;
    Status status = CopyName(user, name);
    if (status == StatusSuccess)
        status = ObQueryHandle(SysiHandles(), handle, &body, &access);
    if (status != StatusSuccess)
        return status;
    status = ObNameObject(body, name, access);
    ObDereference(body);
    return status;
}

Status SysOpenObject(UserPointer user, uint32_t kind, uint32_t access, UserPointer result)
{
    char name[MaximumObjectName];
    Handle handle;
    if (kind > ObjectTrace)
        return StatusInvalidParameter;
    Status status = CopyName(user, name);
    if (status == StatusSuccess)
        status = ObOpenByName(SysiHandles(), name, kind, access, &handle);
    return status == StatusSuccess ? SysiDeliverHandle(handle, result) : status;
}
