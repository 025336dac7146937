// map.c - an image in a process: its sections mapped with their protection, and its imports bound.
//
// Every section is a region of its own, shared and copied on write, so that VirtualProtect and a
// write never reach another process. Discardable sections (relocations) are not mapped. When the
// image's base is taken in a process, that process gets a private copy relocated to where there is
// room.
//
// Import slots are bound in the shared pages when program and library both sit at their cached
// bases, which is nearly always; then the first start of a program binds it for the whole boot.
// SPDX-License-Identifier: MIT
#include "ldri.h"

static MemoryProtection ProtectionOf(const PeSection *section)
{
    if (section->Executable)
        return MemoryReadExecute;
    if (section->Writable)
        return MemoryReadWrite;
    return section->Readable ? MemoryRead : MemoryNoAccess;
}

// The parts of an image that are mapped: 0 is its headers, the rest its sections.
static bool GetPart(const PeImage *pe, size_t index, uint32_t *rva, uint32_t *size,
                    MemoryProtection *protection)
{
    if (index == 0) {
        *rva = 0;
        *size = (uint32_t)RTL_ALIGN_UP(pe->SizeOfHeaders, PAGE_SIZE);
        *protection = MemoryRead;
        return true;
    }
    PeSection section = PeGetSection(pe, index - 1);
    *rva = section.Rva;
    *size = section.MappedSize;
    *protection = ProtectionOf(&section);
    return !section.Discardable;
}

static void UnmapParts(MmAddressSpace *space, const PeImage *pe, uint64_t base, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t rva, size;
        MemoryProtection protection;
        // A program may have unmapped a part of itself: then there is nothing left to do.
        if (GetPart(pe, i, &rva, &size, &protection) &&
            MmUnmapSection(space, base + rva) != StatusSuccess)
            continue;
    }
}

// Maps every part of the section's image at base, or none.
static Status MapParts(MmAddressSpace *space, MmSection *section, const PeImage *pe, uint64_t base)
{
    for (size_t i = 0; i <= pe->SectionCount; i++) {
        uint32_t rva, size;
        MemoryProtection protection;
        if (!GetPart(pe, i, &rva, &size, &protection))
            continue;
        uint64_t address = base + rva;
        Status status =
            MmMapSection(space, section, rva, size, &address, protection, RegionImage, true);
        if (status != StatusSuccess) {
            UnmapParts(space, pe, base, i);
            return status;
        }
    }
    return StatusSuccess;
}

// A copy of the image, relocated to base, in a section of its own.
static Status CopyImage(const LdrImage *image, uint64_t base, MmSection **copy)
{
    Status status = MmCreateSection(image->Size, PageSection, copy);
    if (status != StatusSuccess)
        return status;
    void *bytes;
    status = MmMapSectionInKernel(*copy, &bytes);
    if (status == StatusSuccess) {
        memcpy(bytes, image->Bytes, image->Size);
        PeImage pe;
        status = PeOpen(&pe, bytes, image->Size, PeLayoutMapped);
        if (status == StatusSuccess)
            status = PeRelocate(&pe, base);
        MmUnmapSectionInKernel(*copy, bytes);
    }
    if (status != StatusSuccess)
        MmDereferenceSection(*copy);
    return status;
}

// Maps a private copy wherever there is room.
static Status MapElsewhere(MmAddressSpace *space, const LdrImage *image, uint64_t *base)
{
    Status status = MmReserveRange(space, image->Size + PE_BASE_ALIGNMENT - PE_PAGE_SIZE, base);
    if (status != StatusSuccess)
        return status;
    *base = RTL_ALIGN_UP(*base, PE_BASE_ALIGNMENT);
    MmSection *copy;
    status = CopyImage(image, *base, &copy);
    if (status != StatusSuccess)
        return status;
    status = MapParts(space, copy, &image->Pe, *base);
    MmDereferenceSection(copy); // the mappings hold theirs
    return status;
}

Status LdrMapImage(MmAddressSpace *space, LdrImage *image, LdrModule *module)
{
    uint64_t base = image->Base;
    Status status = MapParts(space, image->Section, &image->Pe, base);
    if (status == StatusConflict || status == StatusNoAddressSpace)
        status = MapElsewhere(space, image, &base);
    if (status != StatusSuccess)
        return status;
    LdrReferenceImage(image);
    module->Image = image;
    module->Base = base;
    module->Size = image->Size;
    module->EntryPoint = image->Pe.EntryPoint == 0 ? 0 : base + image->Pe.EntryPoint;
    module->StackReserve = image->Pe.StackReserve;
    module->MapCount = 1;
    return StatusSuccess;
}

void LdrUnmapImage(MmAddressSpace *space, LdrModule *module)
{
    const PeImage *pe = &module->Image->Pe;
    UnmapParts(space, pe, module->Base, (size_t)pe->SectionCount + 1);
    LdrForgetModule(module);
}

void LdrForgetModule(LdrModule *module)
{
    LdrDereferenceImage(module->Image);
    module->Image = nullptr;
}

// ---- imports

Status LdrFindExport(const LdrModule *module, const char *name, uint64_t *address)
{
    PeExport export;
    Status status = PeFindExport(&module->Image->Pe, name, &export);
    if (status == StatusSuccess && export.Forwarder != nullptr)
        status = StatusNotFound;
    if (status == StatusSuccess)
        *address = module->Base + export.Rva;
    return status;
}

// Where the bound values go: the shared bytes, or (bytes == nullptr) the current process's own
// pages.
typedef struct Binder {
    const LdrModule *Program, *Library;
    uint8_t *Bytes;
    char *Missing;
    size_t MissingSize;
} Binder;

// Whether an import slot lies in a section's data. Headers were checked and must stay as they are.
static bool IsSlot(const PeImage *program, uint32_t slot)
{
    PeSection section;
    return PeFindSection(program, slot, &section) && !section.Executable &&
           section.MappedSize - (slot - section.Rva) >= sizeof(uint64_t);
}

static Status BindOne(const Binder *binder, const PeImport *import)
{
    const PeImage *library = &binder->Library->Image->Pe;
    PeExport export;
    Status status = import->Name != nullptr
                        ? PeFindExport(library, import->Name, &export)
                        : PeFindExportByOrdinal(library, import->Ordinal, &export);
    if (status == StatusSuccess && export.Forwarder != nullptr)
        status = StatusNotFound;
    if (status != StatusSuccess) {
        if (import->Name != nullptr)
            RtlCopyString(binder->Missing, binder->MissingSize, import->Name);
        else
            RtlFormat(binder->Missing, binder->MissingSize, "#%u", import->Ordinal);
        return status == StatusNotFound ? StatusImportNotFound : status;
    }
    if (!IsSlot(&binder->Program->Image->Pe, import->Slot))
        return StatusBadImage;
    uint64_t address = binder->Library->Base + export.Rva;
    if (binder->Bytes == nullptr)
        return MmCopyToUser(binder->Program->Base + import->Slot, &address, sizeof(address));
    memcpy(binder->Bytes + import->Slot, &address, sizeof(address));
    return StatusSuccess;
}

// Makes the pages of a section that holds import slots writable in the process, or what they were
// again.
static Status ProtectSlots(MmAddressSpace *space, const LdrModule *program, uint32_t slot,
                           bool writable)
{
    PeSection section;
    if (!PeFindSection(&program->Image->Pe, slot, &section) || section.Executable)
        return StatusBadImage;
    return MmProtectVirtual(space, program->Base + section.Rva, section.MappedSize,
                            writable ? MemoryReadWrite : ProtectionOf(&section));
}

static Status BindLibrary(const Binder *binder, const PeImportLibrary *imported)
{
    MmAddressSpace *space = MmGetCurrentAddressSpace();
    Status status = StatusSuccess;
    if (binder->Bytes == nullptr)
        status = ProtectSlots(space, binder->Program, imported->Address, true);
    for (size_t i = 0; status == StatusSuccess; i++) {
        PeImport import;
        status = PeGetImport(&binder->Program->Image->Pe, imported, i, &import);
        if (status == StatusSuccess)
            status = BindOne(binder, &import);
    }
    if (status == StatusNoMoreEntries)
        status = StatusSuccess;
    if (status == StatusSuccess && binder->Bytes == nullptr)
        status = ProtectSlots(space, binder->Program, imported->Address, false);
    return status;
}

static Status BindAll(const Binder *binder, const char *libraryName)
{
    for (size_t i = 0;; i++) {
        PeImportLibrary imported;
        Status status = PeGetImportLibrary(&binder->Program->Image->Pe, i, &imported);
        if (status == StatusNoMoreEntries)
            return StatusSuccess;
        if (status == StatusSuccess && RtlCompareNoCase(imported.Name, libraryName) == 0)
            status = BindLibrary(binder, &imported);
        if (status != StatusSuccess)
            return status;
    }
}

Status LdrBindImports(const LdrModule *program, const LdrModule *library, const char *libraryName,
                      char *missing, size_t size)
{
    LdrImage *image = program->Image, *from = library->Image;
    Binder binder = {program, library, nullptr, missing, size};
    missing[0] = '\0';
    if (program->Base != image->Base || library->Base != from->Base)
        return BindAll(&binder, libraryName);

    Status status = StatusSuccess;
    KeAcquireMutex(&image->BindLock);
    uint64_t boundTo = image->BoundTo;
    if (boundTo == 0) {
        binder.Bytes = image->Bytes;
        status = BindAll(&binder, libraryName);
        if (status == StatusSuccess)
            image->BoundTo = from->Serial;
    }
    KeReleaseMutex(&image->BindLock);
    if (boundTo == 0 || boundTo == from->Serial)
        return status;
    return BindAll(&binder, libraryName); // bound to another build of the library: not these pages
}
