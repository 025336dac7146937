// console.c - system calls about consoles.
// SPDX-License-Identifier: MIT
#include "sysi.h"

// The file a handle names, referenced, if it was opened for reading or writing.
static Status ReferenceConsole(Handle handle, FsFile **file)
{
    return ObReferenceByHandle(SysiHandles(), handle, &FsFileType, 0, (void **)file);
}

Status SysCreateConsole(uint32_t columns, uint32_t rows, UserPointer terminal, UserPointer console)
{
    Status status = MmCheckUserRange(terminal, sizeof(Handle));
    if (status == StatusSuccess)
        status = MmCheckUserRange(console, sizeof(Handle));
    if (status != StatusSuccess)
        return status;
    FsFile *ends[2];
    status = FsCreateConsole(columns, rows, &ends[0], &ends[1]);
    if (status != StatusSuccess)
        return status;
    constexpr uint32_t rights = FileRead | FileWrite | AccessWait | AccessQuery;
    return SysiReturnPair((void **)ends, (uint32_t[]){rights, rights}, terminal, console);
}

Status SysGetConsoleInfo(Handle handle, UserPointer result)
{
    FsFile *file;
    Status status = ReferenceConsole(handle, &file);
    if (status != StatusSuccess)
        return status;
    ConsoleInfo info;
    status = FsQueryConsole(file, &info);
    ObDereference(file);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

Status SysSetConsoleMode(Handle handle, uint32_t mode)
{
    FsFile *file;
    Status status = ReferenceConsole(handle, &file);
    if (status != StatusSuccess)
        return status;
    status = FsSetConsoleMode(file, mode);
    ObDereference(file);
    return status;
}

Status SysSetConsoleSize(Handle handle, uint32_t columns, uint32_t rows)
{
    FsFile *file;
    Status status = ReferenceConsole(handle, &file);
    if (status != StatusSuccess)
        return status;
    status = FsSetConsoleSize(file, columns, rows);
    ObDereference(file);
    return status;
}

// A process that may be ended or an event that may be set, referenced.
static Status ReferenceInterruptible(Handle handle, void **object)
{
    uint32_t access;
    Status status = ObQueryHandle(SysiHandles(), handle, object, &access);
    if (status != StatusSuccess)
        return status;
    ObjectKind kind = ObGetType(*object)->Kind;
    if (kind != ObjectProcess && kind != ObjectEvent)
        status = StatusWrongType;
    else if (!(access & (kind == ObjectProcess ? AccessTerminate : AccessModify)))
        status = StatusAccessDenied;
    if (status != StatusSuccess)
        ObDereference(*object);
    return status;
}

Status SysSetConsoleForeground(Handle handle, uint64_t count, UserPointer list)
{
    Handle handles[FS_FOREGROUND];
    void *objects[FS_FOREGROUND];
    if (count > FS_FOREGROUND)
        return StatusInvalidParameter;
    Status status =
        count == 0 ? StatusSuccess : MmCopyFromUser(handles, list, count * sizeof(Handle));
    FsFile *file;
    if (status == StatusSuccess)
        status = ReferenceConsole(handle, &file);
    if (status != StatusSuccess)
        return status;
    uint32_t referenced = 0;
    for (; status == StatusSuccess && referenced < count; referenced += status == StatusSuccess)
        status = ReferenceInterruptible(handles[referenced], &objects[referenced]);
    if (status == StatusSuccess)
        status = FsSetConsoleForeground(file, objects, referenced);
    for (uint32_t i = 0; i < referenced; i++)
        ObDereference(objects[i]);
    ObDereference(file);
    return status;
}
