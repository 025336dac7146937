// memory.c - system calls about memory and mapped images.
// SPDX-License-Identifier: MIT
#include "sysi.h"

static MmAddressSpace *Space(void)
{
    return PsGetAddressSpace(PsGetCurrentProcess());
}

static bool IsProtection(uint32_t protection)
{
    return protection == MemoryNoAccess || protection == MemoryRead ||
           protection == MemoryReadWrite || protection == MemoryReadExecute;
}

Status SysVirtualAlloc(UserPointer result, uint64_t size, uint32_t protection)
{
    uint64_t base;
    if (size == 0 || !IsProtection(protection))
        return StatusInvalidParameter;
    if (size > MM_USER_HIGHEST)
        return StatusNoAddressSpace;
    Status status = MmCopyFromUser(&base, result, sizeof(base));
    if (status != StatusSuccess)
        return status;
    if (base % PAGE_SIZE != 0)
        return StatusInvalidParameter;
    status = MmAllocateVirtual(Space(), &base, size, protection, RegionPrivate);
    if (status != StatusSuccess)
        return status;
    status = MmCopyToUser(result, &base, sizeof(base));
    if (status != StatusSuccess)
        (void)!MmFreeVirtual(Space(), base); // another thread may have freed it already
    return status;
}

Status SysVirtualFree(uint64_t base)
{
    return MmFreeVirtual(Space(), base);
}

Status SysVirtualProtect(uint64_t base, uint64_t size, uint32_t protection)
{
    if (base % PAGE_SIZE != 0 || size == 0 || !IsProtection(protection))
        return StatusInvalidParameter;
    if (size > MM_USER_HIGHEST)
        return StatusInvalidAddress;
    return MmProtectVirtual(Space(), base, size, protection);
}

Status SysVirtualDecommit(uint64_t base, uint64_t size)
{
    if (base % PAGE_SIZE != 0 || size == 0)
        return StatusInvalidParameter;
    if (size > MM_USER_HIGHEST)
        return StatusInvalidAddress;
    return MmDecommitVirtual(Space(), base, size);
}

Status SysVirtualQuery(uint64_t address, UserPointer result)
{
    MemoryInfo info;
    Status status = MmQueryVirtual(Space(), address, &info);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

// ---- images

Status SysMapImage(UserPointer path, UserPointer result)
{
    char name[MaximumPath], directory[MaximumPath], programDirectory[MaximumPath];
    Status status = MmCopyStringFromUser(name, sizeof(name), path);
    if (status == StatusSuccess)
        status = MmCheckUserRange(result, sizeof(AbiImageInfo));
    if (status != StatusSuccess)
        return status;
    SysImageFile *file = MmAllocateHeap(sizeof(*file), SYS_TAG);
    if (file == nullptr)
        return StatusNoMemory;
    PsProcess *process = PsGetCurrentProcess();
    PsGetCurrentDirectory(process, directory);
    CommandGetDirectory(PsGetProgramPath(process), programDirectory, sizeof(programDirectory));
    AbiImageInfo image;
    status = SysiOpenImage(SysImageLibrary, name, directory, programDirectory, file);
    if (status == StatusSuccess) {
        status = PsMapImage(&file->Source, &image);
        SysiCloseImage(file);
    }
    MmFreeHeap(file);
    if (status != StatusSuccess)
        return status;
    status = MmCopyToUser(result, &image, sizeof(image));
    if (status != StatusSuccess)
        (void)!PsUnmapImage(image.Base); // another thread may have unmapped it already
    return status;
}

Status SysGetModuleInfo(uint64_t address, UserPointer result)
{
    ModuleInfo info;
    Status status = PsQueryModule(address, &info);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

Status SysUnmapImage(uint64_t base)
{
    return PsUnmapImage(base);
}
