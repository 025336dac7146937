// module.c - the images mapped in a process.
//
// The list is read under the process's spin lock, so that a crash report can look at it, and
// changed only by who holds the Structure mutex as well, which makes mapping an image once for two
// threads one thing.
// SPDX-License-Identifier: MIT
#include "kd.h"
#include "psi.h"

#define MODULES_PER_PROCESS 512u

static void InsertModule(PsProcess *process, LdrModule *module)
{
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RtlInsertTail(&process->Modules, &module->Link);
    KeReleaseSpinLock(&process->Lock, old);
    if (KeIsTracing(KE_TRACE_ALWAYS))
        KeTraceOf(process->Id, TraceModule, module->Base, module->Size, module->Path);
    KeLog(LogDebug, "ps: process %u has %s at %llx", process->Id, module->Path,
          (unsigned long long)module->Base);
    KdNotifyModule(module->Path, module->Base, module->Size, process->Id, false);
}

static void RemoveModule(PsProcess *process, LdrModule *module)
{
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RtlRemoveEntry(&module->Link);
    KeReleaseSpinLock(&process->Lock, old);
    if (KeIsTracing(KE_TRACE_ALWAYS))
        KeTraceOf(process->Id, TraceModuleEnd, module->Base, module->Size, nullptr);
    KdNotifyModule(module->Path, module->Base, module->Size, process->Id, true);
}

Status PsiMapModule(PsProcess *process, LdrImage *image, const char *path, LdrModule **result)
{
    LdrModule *module = MmAllocateHeap(sizeof(*module), PS_TAG);
    if (module == nullptr)
        return StatusNoMemory;
    RtlCopyString(module->Path, sizeof(module->Path), path);
    Status status = LdrMapImage(process->Space, image, module);
    if (status != StatusSuccess) {
        MmFreeHeap(module);
        return status;
    }
    InsertModule(process, module);
    *result = module;
    return StatusSuccess;
}

void PsiForgetModules(PsProcess *process)
{
    while (!RtlIsListEmpty(&process->Modules)) {
        LdrModule *module = RTL_CONTAINER_OF(process->Modules.Next, LdrModule, Link);
        RemoveModule(process, module);
        LdrForgetModule(module);
        MmFreeHeap(module);
    }
}

// The module of the image, or (image == nullptr) the one at base. Structure is held.
static LdrModule *FindModule(PsProcess *process, const LdrImage *image, uint64_t base,
                             size_t *count)
{
    *count = 0;
    RTL_FOR_EACH (entry, &process->Modules) {
        LdrModule *module = RTL_CONTAINER_OF(entry, LdrModule, Link);
        if (image != nullptr ? module->Image == image : module->Base == base)
            return module;
        ++*count;
    }
    return nullptr;
}

static Status MapOnce(PsProcess *process, LdrImage *image, const char *path, AbiImageInfo *info)
{
    size_t count;
    LdrModule *module = FindModule(process, image, 0, &count);
    info->Shared = module != nullptr;
    Status status = StatusSuccess;
    if (module != nullptr)
        module->MapCount++;
    else if (count >= MODULES_PER_PROCESS)
        status = StatusLimitReached;
    else
        status = PsiMapModule(process, image, path, &module);
    if (status != StatusSuccess)
        return status;
    info->Base = module->Base;
    info->Size = module->Size;
    info->EntryPoint = module->EntryPoint;
    return StatusSuccess;
}

Status PsMapImage(const LdrSource *source, AbiImageInfo *info)
{
    PsProcess *process = PsGetCurrentProcess();
    LdrImage *image;
    Status status = LdrOpenImage(source, &image);
    if (status != StatusSuccess)
        return status;
    KeAcquireMutex(&process->Structure);
    status = MapOnce(process, image, source->Path, info);
    KeReleaseMutex(&process->Structure);
    LdrDereferenceImage(image);
    return status;
}

Status PsUnmapImage(uint64_t base)
{
    PsProcess *process = PsGetCurrentProcess();
    Status status = StatusSuccess;
    size_t count;
    KeAcquireMutex(&process->Structure);
    LdrModule *module = FindModule(process, nullptr, base, &count);
    if (module == nullptr) {
        status = StatusNotFound;
    } else if (module->MapCount > 1) {
        module->MapCount--;
    } else if (module == process->Program || module == process->Runtime) {
        status = StatusInvalidParameter;
    } else {
        RemoveModule(process, module);
        LdrUnmapImage(process->Space, module);
        MmFreeHeap(module);
    }
    KeReleaseMutex(&process->Structure);
    return status;
}

static const LdrModule *FindAddress(const PsProcess *process, uint64_t address)
{
    RTL_FOR_EACH (entry, &process->Modules) {
        const LdrModule *module = RTL_CONTAINER_OF(entry, LdrModule, Link);
        if (address - module->Base < module->Size)
            return module;
    }
    return nullptr;
}

// In a crash report everything stands still, and a lock might never come free.
static KIrql LockModules(PsProcess *process)
{
    return KeGetCurrentIrql() == HighLevel ? HighLevel : KeAcquireSpinLock(&process->Lock);
}

static void UnlockModules(PsProcess *process, KIrql old)
{
    if (old != HighLevel)
        KeReleaseSpinLock(&process->Lock, old);
}

bool PsFindUserModule(KProcess *kernelProcess, uint64_t address, KdUserModule *found)
{
    if (kernelProcess == &KeSystemProcess)
        return false;
    PsProcess *process = RTL_CONTAINER_OF(kernelProcess, PsProcess, Process);
    KIrql old = LockModules(process);
    const LdrModule *module = FindAddress(process, address);
    if (module != nullptr) {
        const char *file = module->Path;
        for (const char *at = module->Path; *at != '\0'; at++)
            if (*at == '/')
                file = at + 1;
        RtlCopyString(found->Name, sizeof(found->Name), file);
        found->Base = module->Base;
        found->Image = LdrGetPe(module->Image);
        found->Symbols = LdrGetSymbols(module->Image);
    }
    UnlockModules(process, old);
    return module != nullptr;
}

Status PsQueryModule(uint64_t address, ModuleInfo *info)
{
    PsProcess *process = PsGetCurrentProcess();
    KIrql old = LockModules(process);
    const LdrModule *module = FindAddress(process, address);
    if (module != nullptr) {
        *info = (ModuleInfo){.Base = module->Base, .Size = module->Size};
        RtlCopyString(info->Path, sizeof(info->Path), module->Path);
    }
    UnlockModules(process, old);
    return module != nullptr ? StatusSuccess : StatusNotFound;
}

bool PsTryKeepModules(void)
{
    PsProcess *process = PsGetCurrentProcess();
    return process != nullptr && KeTryLockInInterrupt(&process->Lock);
}

void PsReleaseModules(void)
{
    KeUnlockInInterrupt(&PsGetCurrentProcess()->Lock);
}

bool PsNameCurrentProcess(char *text, size_t size)
{
    const PsProcess *process = PsGetCurrentProcess();
    if (process == nullptr)
        return false;
    RtlFormat(text, size, "%s (%u)", process->Name, PsGetProcessId(process));
    return true;
}
