// sys.c - the system call table.
//
// abi/SystemCalls.h is the one list of system calls; here it becomes the table the entry code
// indexes. A call's function lives in the file of its area (system, process, sync, memory, file,
// window) and has two halves. Decode copies every argument from user memory, once, checks it, turns
// handles into referenced objects and user paths into absolute ones; it may fail at any point and
// has then changed nothing. Act works on kernel copies. Results are written last; when the place
// for a handle turns out bad, the handle is closed again.
//
// User memory is reached only through MmCopyFromUser and MmCopyToUser. Bulk data goes through a
// transfer buffer that belongs to the thread, piece by piece, so that no size a program names makes
// the kernel allocate. Every wait on a program's behalf is a UserWait, which the end of the process
// interrupts.
//
// Access: a handle that comes with a new object carries all rights, one to a file those it was
// opened for; duplicates and names can have fewer. Each call names the right it needs.
//
// The table's entries all have one function type. A call with fewer or narrower parameters takes
// what it declares from the registers, which the Microsoft x64 convention makes safe; that is also
// why truth values are uint32_t here.
// SPDX-License-Identifier: MIT
#include "kd.h"
#include "sysi.h"
#include "win.h"

#define SYS_ENTRY(name, count, prototype) [SystemCall##name] = (KSystemCall *)(void *)Sys##name,
#define SYS_COUNT(name, count, prototype) [SystemCall##name] = (count),
#define SYS_USER(type)
static KSystemCall *const SystemCallTable[] = {METALOS_SYSTEM_CALLS(SYS_ENTRY, SYS_USER)};
static const uint8_t ArgumentCounts[] = {METALOS_SYSTEM_CALLS(SYS_COUNT, SYS_USER)};
#undef SYS_USER
#undef SYS_COUNT
#undef SYS_ENTRY
static_assert(RTL_COUNT_OF(SystemCallTable) == SystemCallCount, "one function per number");

SysFacts SysiFacts;

// Boot option `stay = on`: not even the desktop or the host can switch the machine off.
static bool Stays;

void SysRequestPower(ShutdownAction action)
{
    static volatile uint32_t said;
    if (!Stays)
        SysRequestShutdown(action, 0);
    else if (__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED) == 0)
        KeLog(LogWarning, "shutdown: asked for, and not done: stay = on");
}

void SysInitialize(const LoaderParams *loader)
{
    char value[4];
    Stays =
        RtlFindOption(loader->Options, "stay", 0, value, sizeof(value)) && strcmp(value, "on") == 0;
    SysiFacts = (SysFacts){
        .LoaderEntryStamp = loader->LoaderEntryTsc,
        .StartStamp = __builtin_ia32_rdtsc(),
        .StartTime = KeQueryTime(),
    };
    KdRegisterModuleFinder(PsFindUserModule);
    KdRegisterModuleKeeper(PsTryKeepModules, PsReleaseModules);
    KdRegisterProcessNamer(PsNameCurrentProcess);
    WinRegisterStarter(SysStartProgram);
    WinRegisterPower(SysRequestPower);
    SysiInitializeShutdown();
    KeRegisterSystemCalls(SystemCallTable, ArgumentCounts, SystemCallCount);
}

// ---- decode helpers

Status SysiReferenceProcess(Handle handle, uint32_t access, PsProcess **process)
{
    if (handle != CurrentProcess)
        return ObReferenceByHandle(SysiHandles(), handle, &PsProcessType, access, (void **)process);
    *process = PsGetCurrentProcess();
    ObReference(*process);
    return StatusSuccess;
}

Status SysiReferenceThread(Handle handle, uint32_t access, PsThread **thread)
{
    if (handle != CurrentThread)
        return ObReferenceByHandle(SysiHandles(), handle, &PsThreadType, access, (void **)thread);
    *thread = PsGetCurrentThread();
    ObReference(*thread);
    return StatusSuccess;
}

Status SysiCopyPath(UserPointer path, char result[MaximumPath])
{
    char raw[MaximumPath], directory[MaximumPath];
    Status status = MmCopyStringFromUser(raw, sizeof(raw), path);
    if (status != StatusSuccess)
        return status;
    PsGetCurrentDirectory(PsGetCurrentProcess(), directory);
    return FsNormalizePath(directory, raw, result);
}

Status SysiProbeHandle(UserPointer result)
{
    Handle present;
    Status status = MmCopyFromUser(&present, result, sizeof(present));
    return status == StatusSuccess ? MmCopyToUser(result, &present, sizeof(present)) : status;
}

Status SysiDeliverHandle(Handle handle, UserPointer result)
{
    Status status = MmCopyToUser(result, &handle, sizeof(handle));
    if (status != StatusSuccess)
        (void)!ObCloseHandle(SysiHandles(), handle); // another thread may have closed it already
    return status;
}

Status SysiReturnHandle(void *body, uint32_t access, UserPointer result)
{
    Handle handle;
    Status status = ObOpenHandle(SysiHandles(), body, access, &handle);
    ObDereference(body);
    return status == StatusSuccess ? SysiDeliverHandle(handle, result) : status;
}

bool SysiListItem(SysList *list, const void *item, size_t size)
{
    if (list->Count < list->Capacity)
        list->Status = MmCopyToUser(list->Items + list->Count * size, item, size);
    list->Count++;
    return list->Status == StatusSuccess;
}

Status SysiEndList(const SysList *list, UserPointer count)
{
    return list->Status == StatusSuccess ? MmCopyToUser(count, &list->Count, sizeof(list->Count))
                                         : list->Status;
}

Status SysiReturnPair(void *bodies[2], const uint32_t access[2], UserPointer first,
                      UserPointer second)
{
    Handle handles[2] = {InvalidHandle, InvalidHandle};
    Status status = StatusSuccess;
    for (size_t i = 0; i < 2; i++) {
        if (status == StatusSuccess)
            status = ObOpenHandle(SysiHandles(), bodies[i], access[i], &handles[i]);
        ObDereference(bodies[i]);
    }
    if (status == StatusSuccess)
        status = MmCopyToUser(first, &handles[0], sizeof(Handle));
    if (status == StatusSuccess)
        status = MmCopyToUser(second, &handles[1], sizeof(Handle));
    for (size_t i = 0; i < 2 && status != StatusSuccess; i++)
        (void)!ObCloseHandle(SysiHandles(), handles[i]); // either may not be open
    return status;
}
