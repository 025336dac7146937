// process.c - processes: how they come to be and end.
//
// A process is an address space, a handle table, a list of modules and its threads. PsCreateProcess
// builds all of it in the caller's context - images mapped and bound, the process block written,
// standard handles opened, the first thread prepared - and lets the thread go as the very last
// step, so that every failure is an error of the call and leaves nothing behind.
//
// The end has one path, whoever asked for it. Ending is set, with the exit code, under the
// process's lock, and every thread is told to end; no thread can be added any more. A thread that
// is told so leaves its waits and, on its way back to user mode, goes through PsExitThread. The
// thread that leaves last tells the exit callbacks (windows) and closes the handles, in its own
// context, where it may block. When the reaper has had the last thread, so that nobody runs on its
// page tables, the address space goes; only then is the process signalled: who waits for a process
// finds its memory given back. The object itself stays, with its exit code, as long as somebody has
// a handle.
//
// References: each thread holds its process. The process list holds none; a process is on it from
// its start to its signal, in which time its threads or the reaper hold it.
//
// Locking: ProcessListLock for the list; a process's Lock for its threads, state and strings; its
// Structure mutex keeps address space and handle table alive for those who look from outside.
// SPDX-License-Identifier: MIT
#include "pe/pe.h"
#include "psi.h"

static void DeleteProcess(void *body);

ObType PsProcessType = {
    .Name = "process",
    .Kind = ObjectProcess,
    .Tag = MM_TAG('P', 's', 'P', 'r'),
    .DispatcherOffset = offsetof(PsProcess, Process.Header),
    .Delete = DeleteProcess,
};

#define EXIT_CALLBACKS 4u

static KSpinLock ProcessListLock = KE_SPIN_LOCK_INIT(LockRankProcess, "process list");
static ListEntry Processes = {&Processes, &Processes}; // guarded by ProcessListLock, ids ascending
static uint32_t ProcessCount;                          // guarded by ProcessListLock
static volatile uint32_t LastId;                       // atomic
static void (*ExitCallbacks[EXIT_CALLBACKS])(PsProcess *process); // set during start-up

uint32_t PsiNextId(void)
{
    uint32_t id;
    do {
        id = __atomic_add_fetch(&LastId, 1, __ATOMIC_RELAXED);
    } while (id == 0);
    return id;
}

// The address space that user addresses mean now: the attached process's, else the thread's own.
static MmAddressSpace *FindCurrentSpace(void)
{
    KProcess *process = KeGetCurrentThread()->Process;
    return process == &KeSystemProcess ? nullptr
                                       : RTL_CONTAINER_OF(process, PsProcess, Process)->Space;
}

static void TellCounters(KCounterSink *sink)
{
    KeTellCounter(sink, "processes", PsGetProcessCount());
    KeTellCounter(sink, "process objects", PsProcessType.Count);
    KeTellCounter(sink, "threads", PsGetThreadCount());
    KeTellCounter(sink, "thread objects", PsThreadType.Count);
    KeTellCounter(sink, "handles", ObGetTotalHandleCount());
}

void PsInitialize(void)
{
    static KCounterSource counters = {.Subsystem = "ps", .Tell = TellCounters};
    KeRegisterCounters(&counters);
    LdrInitialize();
    MmSetCurrentAddressSpaceHook(FindCurrentSpace);
    PsiInitializeThreads();
    PsiInitializeFaults();
}

// ---- creation

static const char *FileNameOf(const char *path)
{
    const char *name = path;
    for (const char *at = path; *at != '\0'; at++)
        if (*at == '/')
            name = at + 1;
    return name;
}

// The object with its empty address space and handle table.
static Status NewProcess(const PsCreateParameters *parameters, PsProcess **process)
{
    void *body;
    Status status = ObCreateObject(&PsProcessType, sizeof(PsProcess), &body);
    if (status != StatusSuccess)
        return status;
    PsProcess *new = body;
    new->Id = PsiNextId();
    new->ParentId = parameters->Parent == nullptr ? 0 : parameters->Parent->Id;
    new->CreateTime = KeQuerySystemTime();
    RtlCopyString(new->Name, sizeof(new->Name), FileNameOf(parameters->Program->Path));
    RtlCopyString(new->CurrentDirectory, sizeof(new->CurrentDirectory),
                  parameters->CurrentDirectory);
    KeInitializeSpinLock(&new->Lock, LockRankProcess, "process");
    KeInitializeMutex(&new->Structure, LockRankProcess);
    RtlInitializeList(&new->Link);
    RtlInitializeList(&new->Threads);
    RtlInitializeList(&new->Modules);
    status = ObCreateHandleTable(&new->Handles);
    if (status == StatusSuccess)
        status = MmCreateAddressSpace(&new->Space);
    KeInitializeProcess(&new->Process, new->Space == nullptr ? 0 : MmGetPageTableRoot(new->Space));
    new->Process.Id = new->Id;
    *process = new; // on failure too: the caller gives it back
    return status;
}

static Status MapPrograms(PsProcess *process, LdrImage *program, LdrImage *runtime,
                          const PsCreateParameters *parameters)
{
    if (!LdrIsProgram(program) || LdrGetPe(program)->StackReserve > PS_STACK_MAXIMUM)
        return StatusBadImage;
    Status status = PsiMapModule(process, program, parameters->Program->Path, &process->Program);
    if (status == StatusSuccess)
        status = PsiMapModule(process, runtime, parameters->Runtime->Path, &process->Runtime);
    if (status != StatusSuccess)
        return status;
    char missing[64];
    KProcess *old = KeAttachProcess(&process->Process);
    status = LdrBindImports(process->Program, process->Runtime,
                            FileNameOf(parameters->Runtime->Path), missing, sizeof(missing));
    KeAttachProcess(old);
    if (status == StatusImportNotFound) {
        KeLog(LogWarning, "ps: %s needs %s, which %s does not have", parameters->Program->Path,
              missing, parameters->Runtime->Path);
        if (parameters->Missing != nullptr)
            RtlCopyString(parameters->Missing, parameters->MissingSize, missing);
    }
    return status;
}

static Status OpenStandardHandles(PsProcess *process, const PsCreateParameters *parameters,
                                  Handle handles[3])
{
    for (size_t i = 0; i < 3; i++) {
        handles[i] = InvalidHandle;
        if (parameters->StandardObjects[i] == nullptr)
            continue;
        Status status = ObOpenHandle(process->Handles, parameters->StandardObjects[i],
                                     parameters->StandardAccess[i], &handles[i]);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

static Status PrepareFirstThread(PsProcess *process, const PsCreateParameters *parameters,
                                 PsThread **thread)
{
    Handle standard[3];
    Status status = StatusSuccess;
    if (parameters->InheritHandles) // by a thread of Parent
        status = ObInheritHandles(parameters->Parent->Handles, process->Handles);
    if (status == StatusSuccess)
        status = OpenStandardHandles(process, parameters, standard);
    if (status == StatusSuccess)
        status = PsiBuildProcessBlock(process, parameters, standard);
    if (status != StatusSuccess)
        return status;
    AbiCreateThread start = {
        .Start = process->Program->EntryPoint,
        .Argument1 = process->BlockBase,
        .StackSize = process->Program->StackReserve,
    };
    return PsiCreateUserThread(process, &start, thread);
}

static void InsertProcess(PsProcess *process)
{
    KIrql old = KeAcquireSpinLock(&ProcessListLock);
    ListEntry *after = Processes.Previous;
    while (after != &Processes && RTL_CONTAINER_OF(after, PsProcess, Link)->Id > process->Id)
        after = after->Previous;
    RtlInsertHead(after, &process->Link);
    ProcessCount++;
    KeReleaseSpinLock(&ProcessListLock, old);
}

static void RemoveProcess(PsProcess *process)
{
    KIrql old = KeAcquireSpinLock(&ProcessListLock);
    RtlRemoveEntry(&process->Link);
    ProcessCount--;
    KeReleaseSpinLock(&ProcessListLock, old);
}

// Gives back everything but the object itself.
static void ReleaseResources(PsProcess *process)
{
    KeAcquireMutex(&process->Structure);
    MmAddressSpace *space = process->Space;
    ObHandleTable *handles = process->Handles;
    process->Space = nullptr;
    process->Handles = nullptr;
    KeReleaseMutex(&process->Structure);
    if (handles != nullptr)
        ObDestroyHandleTable(handles);
    if (space != nullptr)
        MmDestroyAddressSpace(space);
    PsiForgetModules(process);
}

static Status BuildProcess(const PsCreateParameters *parameters, LdrImage *program,
                           LdrImage *runtime, PsProcess **process)
{
    PsThread *thread = nullptr;
    *process = nullptr;
    Status status = NewProcess(parameters, process);
    if (status == StatusSuccess)
        status = MapPrograms(*process, program, runtime, parameters);
    if (status == StatusSuccess)
        status = PrepareFirstThread(*process, parameters, &thread);
    if (status == StatusSuccess) {
        InsertProcess(*process);
        PsiTraceProcess(*process);
        status = PsiStartThread(thread); // fails when somebody has told the process to end already
        if (status != StatusSuccess)
            RemoveProcess(*process);
    }
    if (thread != nullptr)
        ObDereference(thread);
    if (status != StatusSuccess && *process != nullptr) {
        ReleaseResources(*process);
        (*process)->Exited = true; // somebody may have opened it
        KeSignalForever(&(*process)->Process.Header);
        ObDereference(*process);
    }
    return status;
}

Status PsCreateProcess(const PsCreateParameters *parameters, PsProcess **process)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    LdrImage *program, *runtime;
    Status status = LdrOpenImage(parameters->Program, &program);
    if (status != StatusSuccess)
        return status;
    status = LdrOpenImage(parameters->Runtime, &runtime);
    if (status == StatusSuccess) {
        status = BuildProcess(parameters, program, runtime, process);
        LdrDereferenceImage(runtime);
    }
    LdrDereferenceImage(program);
    return status;
}

// ---- end

void PsTerminateProcess(PsProcess *process, uint32_t exitCode)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    KIrql old = KeAcquireSpinLock(&process->Lock);
    if (!process->Ending) {
        process->Ending = true;
        process->ExitCode = exitCode;
        RTL_FOR_EACH (entry, &process->Threads)
            KeRequestTermination(&RTL_CONTAINER_OF(entry, PsThread, Link)->Thread);
    }
    exitCode = process->ExitCode;
    KeReleaseSpinLock(&process->Lock, old);
    if (process == PsGetCurrentProcess())
        PsExitThread(exitCode);
}

void PsiLeaveProcess(PsProcess *process)
{
    for (size_t i = 0; i < EXIT_CALLBACKS && ExitCallbacks[i] != nullptr; i++)
        ExitCallbacks[i](process);
    ObCloseAllHandles(process->Handles);
}

void PsiFinishProcess(PsProcess *process)
{
    ReleaseResources(process);
    RemoveProcess(process);
    PsiTraceProcessEnd(process);
    process->Exited = true;
    KeSignalForever(&process->Process.Header);
}

static void DeleteProcess(void *body)
{
    PsProcess *process = body;
    KE_ASSERT(process->Space == nullptr && process->Handles == nullptr &&
              process->LivingThreads == 0);
}

// ---- look-up

PsProcess *PsGetCurrentProcess(void)
{
    PsThread *thread = PsGetCurrentThread();
    return thread == nullptr ? nullptr : thread->Process;
}

ObHandleTable *PsGetHandleTable(PsProcess *process)
{
    return process->Handles;
}

MmAddressSpace *PsGetAddressSpace(PsProcess *process)
{
    return process->Space;
}

ObHandleTable *PsReferenceHandleTable(PsProcess *process)
{
    KeAcquireMutex(&process->Structure);
    ObHandleTable *table = process->Handles;
    if (table != nullptr)
        ObReferenceHandleTable(table);
    KeReleaseMutex(&process->Structure);
    return table;
}

MmAddressSpace *PsLockAddressSpace(PsProcess *process)
{
    KeAcquireMutex(&process->Structure);
    return process->Space;
}

void PsUnlockAddressSpace(PsProcess *process)
{
    KeReleaseMutex(&process->Structure);
}

uint32_t PsGetProcessId(const PsProcess *process)
{
    return process->Id;
}

const char *PsGetProgramPath(const PsProcess *process)
{
    return process->Program->Path;
}

void PsQueryProcess(PsProcess *process, ProcessInfo *info)
{
    *info = (ProcessInfo){
        .ProcessId = process->Id,
        .ParentProcessId = process->ParentId,
        .Exited = process->Exited,
        .CreateTime = process->CreateTime,
    };
    memcpy(info->Name, process->Name, sizeof(info->Name));
    KIrql old = KeAcquireSpinLock(&process->Lock);
    info->ThreadCount = process->ActiveThreads;
    info->ExitCode = info->Exited ? process->ExitCode : 0;
    PsCounters counters = process->Ended;
    RTL_FOR_EACH (entry, &process->Threads)
        PsiCountThread(RTL_CONTAINER_OF(entry, PsThread, Link), &counters);
    KeReleaseSpinLock(&process->Lock, old);
    info->KernelTime = counters.KernelTime;
    info->UserTime = counters.UserTime;
    info->SystemCalls = counters.SystemCalls;
    info->PageFaults = counters.PageFaults;
    info->ContextSwitches = counters.ContextSwitches;
    info->ReadCount = process->ReadCount;
    info->WriteCount = process->WriteCount;
    info->ReadBytes = process->ReadBytes;
    info->WriteBytes = process->WriteBytes;
    KeAcquireMutex(&process->Structure);
    if (process->Handles != nullptr)
        info->HandleCount = ObGetHandleCount(process->Handles);
    if (process->Space != nullptr) {
        MmSpaceCounters space;
        MmQuerySpace(process->Space, &space);
        info->CommittedMemory = space.CommittedBytes;
        info->ResidentMemory = space.ResidentBytes;
    }
    KeReleaseMutex(&process->Structure);
}

void PsGetCurrentDirectory(PsProcess *process, char path[MaximumPath])
{
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RtlCopyString(path, MaximumPath, process->CurrentDirectory);
    KeReleaseSpinLock(&process->Lock, old);
}

void PsSetCurrentDirectory(PsProcess *process, const char *path)
{
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RtlCopyString(process->CurrentDirectory, sizeof(process->CurrentDirectory), path);
    KeReleaseSpinLock(&process->Lock, old);
}

uint32_t PsGetProcessCount(void)
{
    return __atomic_load_n(&ProcessCount, __ATOMIC_RELAXED);
}

// The process with the lowest id above `id`, referenced, or nullptr.
static PsProcess *NextProcess(uint32_t id)
{
    PsProcess *found = nullptr;
    KIrql old = KeAcquireSpinLock(&ProcessListLock);
    RTL_FOR_EACH (entry, &Processes) {
        PsProcess *process = RTL_CONTAINER_OF(entry, PsProcess, Link);
        if (process->Id > id) {
            ObReference(process);
            found = process;
            break;
        }
    }
    KeReleaseSpinLock(&ProcessListLock, old);
    return found;
}

void PsForEachProcess(bool (*visit)(PsProcess *process, void *context), void *context)
{
    uint32_t id = 0;
    for (PsProcess *process; (process = NextProcess(id)) != nullptr;) {
        id = process->Id;
        bool more = visit(process, context);
        ObDereference(process);
        if (!more)
            return;
    }
}

PsProcess *PsFindProcess(uint32_t id)
{
    PsProcess *found = id == 0 ? nullptr : NextProcess(id - 1);
    if (found == nullptr || found->Id == id)
        return found;
    ObDereference(found);
    return nullptr;
}

void PsCountTransfer(bool write, uint64_t bytes)
{
    PsProcess *process = PsGetCurrentProcess();
    __atomic_fetch_add(write ? &process->WriteCount : &process->ReadCount, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(write ? &process->WriteBytes : &process->ReadBytes, bytes, __ATOMIC_RELAXED);
}

// The processes whose children are to be ended too: those beyond the room keep theirs.
typedef struct Tree {
    uint32_t Ids[64];
    uint32_t Count, Parent;
    uint32_t ExitCode;
} Tree;

static bool EndChild(PsProcess *process, void *context)
{
    Tree *tree = context;
    if (process->ParentId != tree->Parent || process == PsGetCurrentProcess())
        return true;
    PsTerminateProcess(process, tree->ExitCode);
    if (tree->Count < RTL_COUNT_OF(tree->Ids))
        tree->Ids[tree->Count++] = process->Id;
    return true;
}

// Parents first: one that is ending starts no more children.
void PsTerminateTree(PsProcess *process, uint32_t exitCode)
{
    Tree tree = {.Ids = {process->Id}, .Count = 1, .ExitCode = exitCode};
    PsTerminateProcess(process, exitCode);
    for (uint32_t i = 0; i < tree.Count; i++) {
        tree.Parent = tree.Ids[i];
        PsForEachProcess(EndChild, &tree);
    }
}

void PsSetWindowData(PsProcess *process, void *data)
{
    __atomic_store_n(&process->WindowData, data, __ATOMIC_RELEASE);
}

void *PsGetWindowData(PsProcess *process)
{
    return __atomic_load_n(&process->WindowData, __ATOMIC_ACQUIRE);
}

void PsRegisterExitCallback(void (*callback)(PsProcess *process))
{
    size_t i = 0;
    while (i < EXIT_CALLBACKS && ExitCallbacks[i] != nullptr)
        i++;
    KE_ASSERT(i < EXIT_CALLBACKS);
    ExitCallbacks[i] = callback;
}
