// directories.c - what an image exports and imports, and its debug, TLS and load configuration
// data.
// SPDX-License-Identifier: MIT
#include "pep.h"

// ------------------------------------------------------------------------------------------
// exports
typedef struct ExportTable { // offsets are those of IMAGE_EXPORT_DIRECTORY
    uint32_t Name, OrdinalBase, FunctionCount, NameCount;
    uint32_t Functions, Names, NameOrdinals; // RVAs
} ExportTable;

static Status ReadExportTable(const PeImage *image, ExportTable *table)
{
    enum { ExportDirectorySize = 40 };
    PeDirectory directory = image->Directories[PeDirectoryExport];
    if (directory.Size == 0)
        return StatusNotFound;
    const uint8_t *at = PeAt(image, directory.Rva, ExportDirectorySize);
    if (at == nullptr)
        return StatusBadImage;
    *table = (ExportTable){
        .Name = Read32(at + 12),
        .OrdinalBase = Read32(at + 16),
        .FunctionCount = Read32(at + 20),
        .NameCount = Read32(at + 24),
        .Functions = Read32(at + 28),
        .Names = Read32(at + 32),
        .NameOrdinals = Read32(at + 36),
    };
    if (table->FunctionCount > 0x10000 || table->NameCount > 0x10000)
        return StatusBadImage;
    return StatusSuccess;
}

static Status GetExportByIndex(const PeImage *image, const ExportTable *table, uint32_t index,
                               PeExport *export)
{
    PeDirectory directory = image->Directories[PeDirectoryExport];
    if (index >= table->FunctionCount)
        return StatusNotFound;
    const uint8_t *functions = PeAt(image, table->Functions, table->FunctionCount * 4);
    if (functions == nullptr)
        return StatusBadImage;
    uint32_t rva = Read32(functions + index * 4);
    if (rva == 0)
        return StatusNotFound; // a hole in the ordinals
    if (rva >= image->SizeOfImage)
        return StatusBadImage;
    if (rva >= directory.Rva && rva - directory.Rva < directory.Size) {
        const char *forwarder = PeStringAt(image, rva);
        *export = (PeExport){.Forwarder = forwarder};
        return forwarder != nullptr ? StatusSuccess : StatusBadImage;
    }
    *export = (PeExport){.Rva = rva};
    return StatusSuccess;
}

Status PeFindExport(const PeImage *image, const char *name, PeExport *export)
{
    ExportTable table;
    Status status = ReadExportTable(image, &table);
    if (status != StatusSuccess)
        return status;
    if (table.NameCount == 0)
        return StatusNotFound;
    const uint8_t *names = PeAt(image, table.Names, table.NameCount * 4);
    const uint8_t *ordinals = PeAt(image, table.NameOrdinals, table.NameCount * 2);
    if (names == nullptr || ordinals == nullptr)
        return StatusBadImage;
    uint32_t low = 0, high = table.NameCount; // names ascend
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *candidate = PeStringAt(image, Read32(names + middle * 4));
        if (candidate == nullptr)
            return StatusBadImage;
        int order = strcmp(name, candidate);
        if (order == 0)
            return GetExportByIndex(image, &table, Read16(ordinals + middle * 2), export);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return StatusNotFound;
}

Status PeFindExportByOrdinal(const PeImage *image, uint32_t ordinal, PeExport *export)
{
    ExportTable table;
    Status status = ReadExportTable(image, &table);
    if (status != StatusSuccess)
        return status;
    if (ordinal < table.OrdinalBase)
        return StatusNotFound;
    return GetExportByIndex(image, &table, ordinal - table.OrdinalBase, export);
}

Status PeGetNamedExport(const PeImage *image, size_t index, const char **name, PeExport *export)
{
    ExportTable table;
    Status status = ReadExportTable(image, &table);
    if (status != StatusSuccess)
        return status == StatusNotFound ? StatusNoMoreEntries : status;
    if (index >= table.NameCount)
        return StatusNoMoreEntries;
    const uint8_t *names = PeAt(image, table.Names, table.NameCount * 4);
    const uint8_t *ordinals = PeAt(image, table.NameOrdinals, table.NameCount * 2);
    if (names == nullptr || ordinals == nullptr)
        return StatusBadImage;
    *name = PeStringAt(image, Read32(names + index * 4));
    return *name != nullptr ? GetExportByIndex(image, &table, Read16(ordinals + index * 2), export)
                            : StatusBadImage;
}

const char *PeGetExportLibraryName(const PeImage *image)
{
    ExportTable table;
    return ReadExportTable(image, &table) == StatusSuccess ? PeStringAt(image, table.Name)
                                                           : nullptr;
}

// ------------------------------------------------------------------------------------------
// imports
Status PeGetImportLibrary(const PeImage *image, size_t index, PeImportLibrary *library)
{
    enum { ImportDescriptorSize = 20, MaximumLibraries = 1024 };
    PeDirectory directory = image->Directories[PeDirectoryImport];
    if (directory.Size == 0)
        return StatusNoMoreEntries;
    if (index >= MaximumLibraries)
        return StatusBadImage;
    uint64_t rva = (uint64_t)directory.Rva + index * ImportDescriptorSize;
    const uint8_t *at =
        rva > UINT32_MAX ? nullptr : PeAt(image, (uint32_t)rva, ImportDescriptorSize);
    if (at == nullptr)
        return StatusBadImage;
    uint32_t lookup = Read32(at), name = Read32(at + 12), address = Read32(at + 16);
    if (name == 0 && address == 0)
        return StatusNoMoreEntries;
    *library = (PeImportLibrary){
        .Name = PeStringAt(image, name),
        .Lookup = lookup != 0 ? lookup : address,
        .Address = address,
    };
    return library->Name != nullptr && address != 0 ? StatusSuccess : StatusBadImage;
}

Status PeGetImport(const PeImage *image, const PeImportLibrary *library, size_t index,
                   PeImport *import)
{
    constexpr uint64_t byOrdinal = 1ull << 63;
    enum { MaximumImports = 0x10000 };
    if (index >= MaximumImports)
        return StatusBadImage;
    uint64_t lookup = library->Lookup + (uint64_t)index * 8,
             slot = library->Address + (uint64_t)index * 8;
    if (lookup > UINT32_MAX || slot > UINT32_MAX)
        return StatusBadImage;
    const uint8_t *at = PeAt(image, (uint32_t)lookup, 8);
    if (at == nullptr)
        return StatusBadImage;
    uint64_t entry = Read64(at);
    if (entry == 0)
        return StatusNoMoreEntries;
    if (slot < image->SizeOfHeaders || PeAt(image, (uint32_t)slot, 8) == nullptr)
        return StatusBadImage;
    *import = (PeImport){.Slot = (uint32_t)slot};
    if (entry & byOrdinal) {
        import->Ordinal = (uint16_t)entry;
        return (entry & ~byOrdinal) <= UINT16_MAX ? StatusSuccess : StatusBadImage;
    }
    if (entry > INT32_MAX)
        return StatusBadImage;
    import->Name = PeStringAt(image, (uint32_t)entry + 2); // after the hint
    return import->Name != nullptr ? StatusSuccess : StatusBadImage;
}

// ------------------------------------------------------------------------ debug, TLS, load
// configuration
Status PeGetDebugId(const PeImage *image, PeDebugId *id)
{
    enum { DebugEntrySize = 28, DebugCodeView = 2, CodeViewHeader = 24 };
    constexpr uint32_t rsds = 0x53445352;
    PeDirectory directory = image->Directories[PeDirectoryDebug];
    if (directory.Size == 0)
        return StatusNotFound;
    const uint8_t *entries = PeAt(image, directory.Rva, directory.Size);
    if (entries == nullptr || directory.Size % DebugEntrySize != 0)
        return StatusBadImage;
    for (uint32_t offset = 0; offset < directory.Size; offset += DebugEntrySize) {
        const uint8_t *entry = entries + offset;
        if (Read32(entry + 12) != DebugCodeView)
            continue;
        uint32_t rva = Read32(entry + 20);
        const uint8_t *record = PeAt(image, rva, CodeViewHeader);
        const char *path =
            rva > UINT32_MAX - CodeViewHeader ? nullptr : PeStringAt(image, rva + CodeViewHeader);
        if (record == nullptr || path == nullptr || Read32(record) != rsds)
            return StatusBadImage;
        memcpy(id->Guid, record + 4, sizeof id->Guid);
        id->Age = Read32(record + 20);
        id->PdbPath = path;
        return StatusSuccess;
    }
    return StatusNotFound;
}

Status PeGetTls(const PeImage *image, PeTls *tls)
{
    enum { TlsDirectorySize = 40 };
    PeDirectory directory = image->Directories[PeDirectoryTls];
    if (directory.Size == 0)
        return StatusNotFound;
    const uint8_t *at = PeAt(image, directory.Rva, TlsDirectorySize);
    if (at == nullptr)
        return StatusBadImage;
    uint64_t start = Read64(at), end = Read64(at + 8), index = Read64(at + 16),
             callbacks = Read64(at + 24);
    *tls = (PeTls){.ZeroFill = Read32(at + 32)};
    if (end < start || end - start > image->SizeOfImage || tls->ZeroFill > PE_MAXIMUM_IMAGE_SIZE)
        return StatusBadImage;
    tls->TemplateSize = (uint32_t)(end - start);
    if (tls->TemplateSize != 0 && (!AddressToRva(image, start, &tls->Template) ||
                                   PeAt(image, tls->Template, tls->TemplateSize) == nullptr))
        return StatusBadImage;
    PeSection section;
    if (!AddressToRva(image, index, &tls->Index) || !PeFindSection(image, tls->Index, &section) ||
        !section.Writable || section.Rva + section.MappedSize - tls->Index < sizeof(uint32_t))
        return StatusBadImage;
    if (callbacks != 0 && !AddressToRva(image, callbacks, &tls->Callbacks))
        return StatusBadImage;
    return StatusSuccess;
}

Status PeGetTlsCallback(const PeImage *image, const PeTls *tls, size_t index, uint32_t *rva)
{
    if (tls->Callbacks == 0)
        return StatusNoMoreEntries;
    uint64_t entry = tls->Callbacks + (uint64_t)index * 8;
    const uint8_t *at = entry > UINT32_MAX ? nullptr : PeAt(image, (uint32_t)entry, 8);
    if (at == nullptr)
        return StatusBadImage;
    uint64_t address = Read64(at);
    if (address == 0)
        return StatusNoMoreEntries;
    PeSection section;
    if (!AddressToRva(image, address, rva) || !PeFindSection(image, *rva, &section) ||
        !section.Executable)
        return StatusBadImage;
    return StatusSuccess;
}

Status PeGetSecurityCookie(const PeImage *image, uint32_t *rva)
{
    enum { CookieOffset = 88, CookieSize = 8 }; // IMAGE_LOAD_CONFIG_DIRECTORY64.SecurityCookie
    PeDirectory directory = image->Directories[PeDirectoryLoadConfig];
    if (directory.Size == 0)
        return StatusNotFound;
    const uint8_t *at = PeAt(image, directory.Rva, 4);
    if (at == nullptr)
        return StatusBadImage;
    if (Read32(at) < CookieOffset + CookieSize)
        return StatusNotFound;
    at = PeAt(image, directory.Rva, CookieOffset + CookieSize);
    if (at == nullptr)
        return StatusBadImage;
    uint64_t address = Read64(at + CookieOffset);
    if (address == 0)
        return StatusNotFound;
    PeSection section;
    if (!AddressToRva(image, address, rva) || !PeFindSection(image, *rva, &section) ||
        !section.Writable || section.Rva + section.MappedSize - *rva < CookieSize ||
        *rva % CookieSize != 0)
        return StatusBadImage;
    return StatusSuccess;
}
