// pe.c - opening an image: the headers and sections, checked once; access by RVA; laying a file
// out.
// SPDX-License-Identifier: MIT
#include "pep.h"

// Offsets in the headers ("PE Format", sections 2 to 4).
enum {
    DosMagic = 0x5A4D, // "MZ"
    DosHeaderSize = 64,
    DosNtOffset = 0x3C,
    NtSignature = 0x4550, // "PE\0\0"
    FileHeader = 4,       // in the NT headers
    FileHeaderSize = 20,
    OptionalHeader = FileHeader + FileHeaderSize,
    OptionalFixedSize = 112, // of a PE32+ optional header, before its directories
    OptionalMagic = 0x20B,
    DirectorySize = 8,
    SectionHeaderSize = 40,
    MachineAmd64 = 0x8664,
    FileRelocationsStripped = 0x0001,
    FileExecutable = 0x0002,
    FileLibrary = 0x2000,
};
enum : uint32_t {
    SectionDiscardable = 0x02000000,
    SectionExecute = 0x20000000,
    SectionRead = 0x40000000,
    SectionWrite = 0x80000000,
};

static bool IsPowerOfTwo(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static uint64_t RoundToPages(uint64_t size)
{
    return (size + PE_PAGE_SIZE - 1) & ~(uint64_t)(PE_PAGE_SIZE - 1);
}

// The NT headers' fixed part and the directories. available: bytes of headers at hand.
static Status ParseHeaders(PeImage *image, size_t available)
{
    const uint8_t *bytes = image->Bytes;
    if (available < DosHeaderSize || Read16(bytes) != DosMagic)
        return StatusBadImage;
    uint32_t nt = Read32(bytes + DosNtOffset);
    if (nt % 8 != 0 || nt > available || available - nt < OptionalHeader + OptionalFixedSize)
        return StatusBadImage;
    image->NtHeaders = nt;
    const uint8_t *file = bytes + nt + FileHeader;
    const uint8_t *optional = bytes + nt + OptionalHeader;
    if (Read32(bytes + nt) != NtSignature || Read16(file) != MachineAmd64)
        return StatusBadImage;
    uint16_t optionalSize = Read16(file + 16), flags = Read16(file + 18);
    if (optionalSize < OptionalFixedSize || Read16(optional) != OptionalMagic ||
        !(flags & FileExecutable))
        return StatusBadImage;
    image->SectionCount = Read16(file + 2);
    image->TimeDateStamp = Read32(file + 4);
    image->IsLibrary = (flags & FileLibrary) != 0;
    image->RelocationsStripped = (flags & FileRelocationsStripped) != 0;
    image->EntryPoint = Read32(optional + 16);
    image->Base = Read64(optional + 24);
    image->SizeOfImage = Read32(optional + 56);
    image->SizeOfHeaders = Read32(optional + 60);
    image->Subsystem = Read16(optional + 68);
    image->StackReserve = Read64(optional + 72);
    image->SectionTable = nt + OptionalHeader + optionalSize;

    uint32_t sectionAlignment = Read32(optional + 32), fileAlignment = Read32(optional + 36);
    uint32_t directories = Read32(optional + 108);
    if (!IsPowerOfTwo(sectionAlignment) || sectionAlignment < PE_PAGE_SIZE ||
        !IsPowerOfTwo(fileAlignment) || fileAlignment > sectionAlignment)
        return StatusBadImage;
    if (image->SizeOfImage == 0 || image->SizeOfImage % PE_PAGE_SIZE != 0 ||
        image->SizeOfImage > PE_MAXIMUM_IMAGE_SIZE || image->Base % PE_BASE_ALIGNMENT != 0 ||
        image->Base > UINT64_MAX - image->SizeOfImage)
        return StatusBadImage;
    if (image->SectionCount == 0 || image->SectionCount > PE_MAXIMUM_SECTIONS)
        return StatusBadImage;
    uint64_t headersEnd = (uint64_t)image->SectionTable + image->SectionCount * SectionHeaderSize;
    if (image->SizeOfHeaders < headersEnd || image->SizeOfHeaders > image->SizeOfImage)
        return StatusBadImage;
    if (directories > PE_DIRECTORY_COUNT ||
        OptionalFixedSize + directories * DirectorySize > optionalSize)
        return StatusBadImage;
    if (image->SizeOfHeaders > available)
        return StatusBufferTooSmall;
    for (uint32_t i = 0; i < directories; i++) {
        const uint8_t *entry = optional + OptionalFixedSize + i * DirectorySize;
        image->Directories[i] = (PeDirectory){Read32(entry), Read32(entry + 4)};
    }
    return StatusSuccess;
}

PeSection PeGetSection(const PeImage *image, size_t index)
{
    const uint8_t *header = image->Bytes + image->SectionTable + index * SectionHeaderSize;
    PeSection section = {
        .VirtualSize = Read32(header + 8),
        .Rva = Read32(header + 12),
        .FileSize = Read32(header + 16),
        .FileOffset = Read32(header + 20),
    };
    memcpy(section.Name, header, 8);
    uint32_t flags = Read32(header + 36);
    section.Readable = (flags & SectionRead) != 0;
    section.Writable = (flags & SectionWrite) != 0;
    section.Executable = (flags & SectionExecute) != 0;
    section.Discardable = (flags & SectionDiscardable) != 0;
    if (section.VirtualSize == 0)
        section.VirtualSize = section.FileSize;
    if (section.FileSize > section.VirtualSize)
        section.FileSize = section.VirtualSize;
    section.MappedSize = (uint32_t)RoundToPages(section.VirtualSize);
    return section;
}

// Sections lie in ascending order without overlap, in the image and (fileSize bytes) in the file.
static Status CheckSections(const PeImage *image, uint64_t fileSize)
{
    uint64_t end = RoundToPages(image->SizeOfHeaders);
    bool entryFound = image->EntryPoint == 0;
    for (size_t i = 0; i < image->SectionCount; i++) {
        PeSection section = PeGetSection(image, i);
        if (section.VirtualSize == 0 || section.VirtualSize > image->SizeOfImage ||
            section.Rva % PE_PAGE_SIZE != 0 || section.Rva < end ||
            section.Rva > image->SizeOfImage - section.MappedSize)
            return StatusBadImage;
        if (section.Writable && section.Executable)
            return StatusBadImage;
        if (section.FileSize != 0 &&
            (section.FileOffset < image->SizeOfHeaders || section.FileOffset > fileSize ||
             section.FileSize > fileSize - section.FileOffset))
            return StatusBadImage;
        if (section.Executable && image->EntryPoint >= section.Rva &&
            image->EntryPoint - section.Rva < section.VirtualSize)
            entryFound = true;
        end = (uint64_t)section.Rva + section.MappedSize;
    }
    return entryFound ? StatusSuccess : StatusBadImage;
}

Status PeOpenHeaders(PeImage *image, const void *headers, size_t headerSize, uint64_t fileSize)
{
    *image = (PeImage){.Bytes = headers, .Size = headerSize, .Layout = PeLayoutFile};
    Status status = ParseHeaders(image, headerSize);
    return status == StatusSuccess ? CheckSections(image, fileSize) : status;
}

Status PeOpen(PeImage *image, const void *bytes, size_t size, PeLayout layout)
{
    *image = (PeImage){.Bytes = bytes, .Size = size, .Layout = layout};
    if (ParseHeaders(image, size) != StatusSuccess)
        return StatusBadImage;
    if (layout == PeLayoutMapped && size < image->SizeOfImage)
        return StatusBadImage;
    return CheckSections(image, layout == PeLayoutFile ? size : UINT64_MAX);
}

bool PeFindSection(const PeImage *image, uint32_t rva, PeSection *section)
{
    for (size_t i = 0; i < image->SectionCount; i++) {
        *section = PeGetSection(image, i);
        if (rva >= section->Rva && rva - section->Rva < section->MappedSize)
            return true;
    }
    return false;
}

// The offset in Bytes of rva, and how many bytes follow it without a gap; false: none.
static bool FindBytes(const PeImage *image, uint32_t rva, size_t *offset, size_t *available)
{
    size_t start, size;
    PeSection section;
    if (rva < image->SizeOfHeaders) {
        start = rva;
        size = image->SizeOfHeaders - rva;
    } else if (PeFindSection(image, rva, &section)) {
        uint32_t within = rva - section.Rva;
        uint32_t present = image->Layout == PeLayoutMapped ? section.MappedSize : section.FileSize;
        if (within >= present)
            return false;
        start = image->Layout == PeLayoutMapped ? rva : (size_t)section.FileOffset + within;
        size = present - within;
    } else {
        return false;
    }
    if (start > image->Size || size > image->Size - start)
        return false;
    *offset = start;
    *available = size;
    return true;
}

const void *PeAt(const PeImage *image, uint32_t rva, uint32_t size)
{
    size_t offset, available;
    if (!FindBytes(image, rva, &offset, &available) || size > available)
        return nullptr;
    return image->Bytes + offset;
}

const char *PeStringAt(const PeImage *image, uint32_t rva)
{
    size_t offset, available;
    if (!FindBytes(image, rva, &offset, &available))
        return nullptr;
    for (size_t i = 0; i < available; i++) {
        if (image->Bytes[offset + i] == 0)
            return (const char *)image->Bytes + offset;
    }
    return nullptr;
}

Status PeLayOut(const PeImage *file, void *to, size_t size)
{
    if (size < file->SizeOfImage)
        return StatusBufferTooSmall;
    memset(to, 0, file->SizeOfImage);
    memcpy(to, file->Bytes, file->SizeOfHeaders);
    for (size_t i = 0; i < file->SectionCount; i++) {
        PeSection section = PeGetSection(file, i);
        if (section.FileSize == 0)
            continue;
        const void *from = PeAt(file, section.Rva, section.FileSize);
        if (from == nullptr)
            return StatusBadImage;
        memcpy((uint8_t *)to + section.Rva, from, section.FileSize);
    }
    return StatusSuccess;
}

Status PeForEachRelocation(const PeImage *image, PeRelocationVisitor *visit, void *context)
{
    enum { BlockHeader = 8, RelocationAbsolute = 0, RelocationDir64 = 10 };
    PeDirectory directory = image->Directories[PeDirectoryRelocation];
    if (directory.Size == 0)
        return StatusSuccess;
    const uint8_t *block = PeAt(image, directory.Rva, directory.Size);
    if (block == nullptr)
        return StatusBadImage;
    const uint8_t *end = block + directory.Size;
    while (block < end) {
        if (end - block < BlockHeader)
            return StatusBadImage;
        uint32_t page = Read32(block), size = Read32(block + 4);
        if (size < BlockHeader || size % 4 != 0 || size > (size_t)(end - block) ||
            page % PE_PAGE_SIZE != 0 || page >= image->SizeOfImage)
            return StatusBadImage;
        for (const uint8_t *entry = block + BlockHeader; entry < block + size; entry += 2) {
            uint16_t word = Read16(entry);
            if (word >> 12 == RelocationAbsolute)
                continue;
            uint32_t rva = page + (word & 0xFFF);
            if (word >> 12 != RelocationDir64 || rva < image->SizeOfHeaders ||
                PeAt(image, rva, sizeof(uint64_t)) == nullptr)
                return StatusBadImage;
            if (!visit(context, rva))
                return StatusCancelled;
        }
        block += size;
    }
    return StatusSuccess;
}

typedef struct Relocation {
    uint8_t *Bytes;
    uint64_t Delta;
    PeDirectory Table;
} Relocation;

static bool RelocateAddress(void *context, uint32_t rva)
{
    Relocation *relocation = context;
    // A table that rewrites itself while it is read is hostile, and would defeat its own checks.
    if (rva + sizeof(uint64_t) > relocation->Table.Rva &&
        rva < (uint64_t)relocation->Table.Rva + relocation->Table.Size)
        return false;
    uint64_t value = Read64(relocation->Bytes + rva) + relocation->Delta;
    memcpy(relocation->Bytes + rva, &value, sizeof value);
    return true;
}

Status PeRelocate(PeImage *image, uint64_t base)
{
    Relocation relocation = {
        .Bytes = (uint8_t *)image->Bytes,
        .Delta = base - image->Base,
        .Table = image->Directories[PeDirectoryRelocation],
    };
    if (image->Layout != PeLayoutMapped || base % PE_BASE_ALIGNMENT != 0)
        return StatusInvalidParameter;
    if (relocation.Delta == 0)
        return StatusSuccess;
    if (image->RelocationsStripped ||
        PeForEachRelocation(image, RelocateAddress, &relocation) != StatusSuccess)
        return StatusBadImage;
    memcpy(relocation.Bytes + image->NtHeaders + OptionalHeader + 24, &base, sizeof base);
    image->Base = base;
    return StatusSuccess;
}
