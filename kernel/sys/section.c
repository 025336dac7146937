// section.c - system calls about sections and views.
// SPDX-License-Identifier: MIT
#include "sysi.h"

typedef struct Section {
    MmSection *Memory; // referenced
} Section;

static void DeleteSection(void *body)
{
    Section *section = body;
    if (section->Memory != nullptr)
        MmDereferenceSection(section->Memory);
}

static ObType SectionType = {
    .Name = "section",
    .Kind = ObjectSection,
    .Tag = SYS_TAG,
    .DispatcherOffset = OB_NOT_WAITABLE,
    .Delete = DeleteSection,
};

static Status MakeMemory(Handle handle, uint64_t size, bool writable, MmSection **memory)
{
    if (handle == InvalidHandle)
        return MmCreateSection(size, PageSection, memory);
    FsFile *file;
    Status status = ObReferenceByHandle(SysiHandles(), handle, &FsFileType,
                                        writable ? FileRead | FileWrite : FileRead, (void **)&file);
    if (status != StatusSuccess)
        return status;
    status = FsCreateSection(file, size, writable, memory);
    ObDereference(file);
    return status;
}

Status SysCreateSection(Handle file, uint64_t size, uint32_t access, UserPointer result)
{
    if (access != MemoryRead && access != MemoryReadWrite)
        return StatusInvalidParameter;
    void *body;
    Status status = ObCreateObject(&SectionType, sizeof(Section), &body);
    if (status != StatusSuccess)
        return status;
    Section *section = body;
    bool writable = access == MemoryReadWrite;
    status = MakeMemory(file, size, writable, &section->Memory);
    if (status != StatusSuccess) {
        ObDereference(section);
        return status;
    }
    uint32_t rights = writable ? AccessAll : AccessAll & ~(uint32_t)SectionWrite;
    return SysiReturnHandle(section, rights, result);
}

static Status MapSection(const Section *section, uint64_t offset, uint64_t size,
                         uint32_t protection, bool copy, bool writable, UserPointer result)
{
    MmAddressSpace *space = PsGetAddressSpace(PsGetCurrentProcess());
    uint64_t base, whole = MmGetSectionSize(section->Memory);
    if (size == 0 && offset < whole)
        size = whole - offset;
    Status status = MmCopyFromUser(&base, result, sizeof(base));
    if (status == StatusSuccess)
        status = MmMapView(space, section->Memory, offset, size, &base, protection, copy, writable);
    if (status != StatusSuccess)
        return status;
    status = MmCopyToUser(result, &base, sizeof(base));
    if (status != StatusSuccess)
        (void)!MmUnmapView(space, base); // another thread may have unmapped it already
    return status;
}

Status SysMapView(Handle handle, uint64_t offset, uint64_t size, uint32_t protection,
                  uint32_t flags, UserPointer result)
{
    if (flags & ~(uint32_t)ViewCopy)
        return StatusInvalidParameter;
    void *section;
    uint32_t access;
    Status status = ObQueryHandle(SysiHandles(), handle, &section, &access);
    if (status != StatusSuccess)
        return status;
    if (ObGetType(section) != &SectionType)
        status = StatusWrongType;
    else if (!(access & SectionRead))
        status = StatusAccessDenied;
    else
        status = MapSection(section, offset, size, protection, flags & ViewCopy,
                            access & SectionWrite, result);
    ObDereference(section);
    return status;
}

Status SysUnmapView(uint64_t base)
{
    return MmUnmapView(PsGetAddressSpace(PsGetCurrentProcess()), base);
}
