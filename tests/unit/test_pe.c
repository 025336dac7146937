// test_pe.c - lib/pe on a small image made here, whole and damaged in every way PeOpen promises to
// notice.
// SPDX-License-Identifier: MIT
#include "pe/pe.h"
#include "unit.h"

// The image: headers, .text (code), .data (writable; holds the tables), .reloc.
enum {
    FileSize = 0xC00,
    ImageSize = 0x5000,
    Nt = 0x80,
    FileHeader = Nt + 4,
    Optional = Nt + 24,
    Directories = Optional + 112,
    Sections = Optional + 240,
    TextRva = 0x1000,
    TextFile = 0x400,
    DataRva = 0x2000,
    DataFile = 0x600,
    RelocRva = 0x4000,
    RelocFile = 0xA00,
    Exports = 0x2000,
    Imports = 0x2100,
    Tls = 0x2200,
    Debug = 0x2280,
    Pointers = 0x2300,
    LoadConfig = 0x2380,
};
#define IMAGE_BASE 0x180000000ull

static uint8_t file[FileSize];

static void Put16(size_t at, unsigned value)
{
    memcpy(file + at, &(uint16_t){(uint16_t)value}, 2);
}
static void Put32(size_t at, uint32_t value)
{
    memcpy(file + at, &value, 4);
}
static void Put64(size_t at, uint64_t value)
{
    memcpy(file + at, &value, 8);
}
static size_t DataAt(uint32_t rva)
{
    return rva - DataRva + DataFile;
}
static void PutText(uint32_t rva, const char *text)
{
    strcpy((char *)file + DataAt(rva), text);
}
static void PutDirectory(int index, uint32_t rva, uint32_t size)
{
    Put32(Directories + index * 8, rva);
    Put32(Directories + index * 8 + 4, size);
}

static void PutSection(int index, const char *name, uint32_t rva, uint32_t size, uint32_t offset,
                       uint32_t raw, uint32_t flags)
{
    size_t at = Sections + index * 40;
    strncpy((char *)file + at, name, 8);
    Put32(at + 8, size);
    Put32(at + 12, rva);
    Put32(at + 16, raw);
    Put32(at + 20, offset);
    Put32(at + 36, flags);
}

static void MakeHeaders(void)
{
    memset(file, 0, sizeof file);
    Put16(0, 0x5A4D);
    Put32(0x3C, Nt);
    Put32(Nt, 0x4550);
    Put16(FileHeader, 0x8664);
    Put16(FileHeader + 2, 3);
    Put16(FileHeader + 16, 240);
    Put16(FileHeader + 18, 0x2022);
    Put16(Optional, 0x20B);
    Put32(Optional + 16, TextRva);
    Put64(Optional + 24, IMAGE_BASE);
    Put32(Optional + 32, 0x1000);
    Put32(Optional + 36, 0x200);
    Put32(Optional + 56, ImageSize);
    Put32(Optional + 60, 0x400);
    Put16(Optional + 68, 3);
    Put32(Optional + 108, 16);
    PutSection(0, ".text", TextRva, 0x100, TextFile, 0x200, 0x60000020);
    PutSection(1, ".data", DataRva, 0x1800, DataFile, 0x400, 0xC0000040);
    PutSection(2, ".reloc", RelocRva, 0x10, RelocFile, 0x200, 0x42000040);
}

static void MakeExports(void)
{
    PutDirectory(PeDirectoryExport, Exports, 0x100);
    size_t at = DataAt(Exports);
    Put32(at + 12, Exports + 0xC0); // name
    Put32(at + 16, 5);              // ordinal base
    Put32(at + 20, 4);
    Put32(at + 24, 3);
    Put32(at + 28, Exports + 0x40); // functions: Beta, hole, Alpha, forwarder Gamma
    Put32(at + 32, Exports + 0x60);
    Put32(at + 36, Exports + 0x80);
    Put32(DataAt(Exports + 0x40), TextRva + 0x10);
    Put32(DataAt(Exports + 0x48), TextRva + 0x20);
    Put32(DataAt(Exports + 0x4C), Exports + 0xE0);
    const char *names[] = {"Alpha", "Beta", "Gamma"};
    const uint16_t indices[] = {2, 0, 3};
    for (uint32_t i = 0; i < 3; i++) {
        Put32(DataAt(Exports + 0x60) + i * 4, Exports + 0x90 + i * 8);
        Put16(DataAt(Exports + 0x80) + i * 2, indices[i]);
        PutText(Exports + 0x90 + i * 8, names[i]);
    }
    PutText(Exports + 0xC0, "test.dll");
    PutText(Exports + 0xE0, "other.Delta");
}

static void MakeImports(void)
{
    PutDirectory(PeDirectoryImport, Imports, 40);
    size_t at = DataAt(Imports);
    Put32(at, Imports + 0x40);
    Put32(at + 12, Imports + 0x80);
    Put32(at + 16, Imports + 0x60);
    Put64(DataAt(Imports + 0x40), Imports + 0x90);
    Put64(DataAt(Imports + 0x48), 1ull << 63 | 77);
    PutText(Imports + 0x80, "mosrt.dll");
    PutText(Imports + 0x92, "Sleep");
}

static void MakeRest(void)
{
    PutDirectory(PeDirectoryTls, Tls, 40);
    Put64(DataAt(Tls), IMAGE_BASE + Pointers);
    Put64(DataAt(Tls) + 8, IMAGE_BASE + Pointers + 16);
    Put64(DataAt(Tls) + 16, IMAGE_BASE + 0x3700); // in the zero-filled part
    Put64(DataAt(Tls) + 24, IMAGE_BASE + Pointers + 0x20);
    Put32(DataAt(Tls) + 32, 100);
    Put64(DataAt(Pointers + 0x20), IMAGE_BASE + TextRva + 0x30);

    PutDirectory(PeDirectoryDebug, Debug, 28);
    Put32(DataAt(Debug) + 12, 2);
    Put32(DataAt(Debug) + 20, Debug + 0x20);
    Put32(DataAt(Debug + 0x20), 0x53445352);
    Put32(DataAt(Debug + 0x20) + 4, 0xAABBCCDD);
    Put32(DataAt(Debug + 0x20) + 20, 1);
    PutText(Debug + 0x20 + 24, "test.pdb");

    PutDirectory(PeDirectoryLoadConfig, LoadConfig, 112);
    Put32(DataAt(LoadConfig), 112);
    Put64(DataAt(LoadConfig) + 88, IMAGE_BASE + Pointers + 0x40);

    PutDirectory(PeDirectoryRelocation, RelocRva, 16);
    Put32(RelocFile, DataRva);
    Put32(RelocFile + 4, 16);
    const unsigned offsets[] = {Pointers + 0x20, Tls + 16, LoadConfig + 88};
    for (unsigned i = 0; i < 3; i++)
        Put16(RelocFile + 8 + i * 2, 10 << 12 | (offsets[i] - DataRva));
}

static void Make(void)
{
    MakeHeaders();
    MakeExports();
    MakeImports();
    MakeRest();
}

static Status Open(PeImage *image)
{
    return PeOpen(image, file, sizeof file, PeLayoutFile);
}

static uint64_t Get64(const PeImage *image, uint32_t rva)
{
    uint64_t value = 0;
    const void *at = PeAt(image, rva, 8);
    CHECK(at != nullptr);
    if (at != nullptr)
        memcpy(&value, at, 8);
    return value;
}

static void TestOpen(void)
{
    PeImage image;
    Make();
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_EQUAL(image.SectionCount, 3);
    CHECK(image.IsLibrary);
    PeSection section = PeGetSection(&image, 1);
    CHECK_TEXT(section.Name, ".data");
    CHECK(section.Writable && !section.Executable);
    CHECK_EQUAL(section.MappedSize, 0x2000);
    CHECK(PeAt(&image, DataRva, 0x400) == file + DataFile);
    CHECK(PeAt(&image, DataRva, 0x401) == nullptr);
    CHECK(PeAt(&image, TextRva + 0x100, 1) == nullptr); // raw bytes beyond the virtual size
    CHECK(PeAt(&image, 0xFFFFFFFF, 0xFFFFFFFF) == nullptr);
    CHECK_EQUAL(PeOpenHeaders(&image, file, 0x3FF, sizeof file), StatusBufferTooSmall);
    CHECK_EQUAL(image.SizeOfHeaders, 0x400);
    CHECK_EQUAL(PeOpenHeaders(&image, file, 0x400, sizeof file), StatusSuccess);
    CHECK_EQUAL(PeOpenHeaders(&image, file, 0x400, sizeof file - 0x201), StatusBadImage);
}

// Each puts one thing wrong.
typedef struct Damage {
    const char *Name;
    size_t At;
    int Size;
    uint64_t Value;
} Damage;

static void TestDamagedHeaders(void)
{
    static const Damage damages[] = {
        {"no MZ", 0, 2, 0},
        {"NT headers outside", 0x3C, 4, 0xFFFFFFF8},
        {"NT headers not aligned", 0x3C, 4, Nt + 4},
        {"no PE", Nt, 4, 0},
        {"32-bit machine", FileHeader, 2, 0x14C},
        {"ARM machine", FileHeader, 2, 0xAA64},
        {"PE32 magic", Optional, 2, 0x10B},
        {"not executable", FileHeader + 18, 2, 0x2000},
        {"no sections", FileHeader + 2, 2, 0},
        {"too many sections", FileHeader + 2, 2, 97},
        {"more sections than headers", FileHeader + 2, 2, 90},
        {"optional header too short", FileHeader + 16, 2, 100},
        {"directories beyond it", FileHeader + 16, 2, 232},
        {"directory count", Optional + 108, 4, 17},
        {"section alignment below a page", Optional + 32, 4, 0x200},
        {"section alignment no power of two", Optional + 32, 4, 0x1800},
        {"file alignment", Optional + 36, 4, 0},
        {"image size", Optional + 56, 4, 0x4000},
        {"image size not in pages", Optional + 56, 4, 0x5010},
        {"image size enormous", Optional + 56, 4, 0x20000000},
        {"headers longer than the file", Optional + 60, 4, FileSize + 1},
        {"headers shorter than the section table", Optional + 60, 4, 0x100},
        {"image base not aligned", Optional + 24, 8, 0x180001000},
        {"entry point in data", Optional + 16, 4, DataRva},
        {"entry point outside", Optional + 16, 4, 0x9000},
        {"section over the headers", Sections + 12, 4, 0},
        {"section not aligned", Sections + 12, 4, 0x1010},
        {"sections overlap", Sections + 40 + 12, 4, TextRva},
        {"section outside the image", Sections + 80 + 12, 4, 0x5000},
        {"section size wraps", Sections + 80 + 8, 4, 0xFFFFFFFF},
        {"section bytes outside the file", Sections + 40 + 20, 4, 0xB00},
        {"section offset wraps", Sections + 40 + 20, 4, 0xFFFFFFF0},
        {"section bytes in the headers", Sections + 40 + 20, 4, 0x200},
        {"writable and executable", Sections + 36, 4, 0xE0000020},
        {"empty section", Sections + 16, 4, 0},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        PeImage image;
        Make();
        if (strcmp(damages[i].Name, "empty section") == 0)
            Put32(Sections + 8, 0);
        memcpy(file + damages[i].At, &damages[i].Value, damages[i].Size);
        if (Open(&image) != StatusBadImage) {
            printf("# not noticed: %s\n", damages[i].Name);
            UnitFailed = true;
        }
    }
}

static void TestTruncated(void)
{
    PeImage image;
    Make();
    for (size_t size = 0; size < RelocFile + 0x10; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, file, size);
        CHECK_EQUAL(PeOpen(&image, copy, size, PeLayoutFile), StatusBadImage);
        free(copy);
    }
}

static void TestRelocate(void)
{
    PeImage image, mapped;
    constexpr uint64_t base = 0x7FF612340000;
    Make();
    uint8_t *memory = malloc(ImageSize);
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_EQUAL(PeLayOut(&image, memory, ImageSize - 1), StatusBufferTooSmall);
    CHECK_EQUAL(PeLayOut(&image, memory, ImageSize), StatusSuccess);
    CHECK_EQUAL(PeOpen(&mapped, memory, ImageSize - 1, PeLayoutMapped), StatusBadImage);
    CHECK_EQUAL(PeOpen(&mapped, memory, ImageSize, PeLayoutMapped), StatusSuccess);
    CHECK_EQUAL(PeRelocate(&image, base), StatusInvalidParameter);
    CHECK_EQUAL(PeRelocate(&mapped, base + PE_PAGE_SIZE), StatusInvalidParameter);
    CHECK_EQUAL(PeRelocate(&mapped, base), StatusSuccess);
    CHECK_EQUAL(mapped.Base, base);
    CHECK_EQUAL(Get64(&mapped, Pointers + 0x20), base + TextRva + 0x30);
    CHECK_EQUAL(Get64(&mapped, Tls), IMAGE_BASE + Pointers); // not in the table
    PeImage again;
    CHECK_EQUAL(PeOpen(&again, memory, ImageSize, PeLayoutMapped), StatusSuccess);
    CHECK_EQUAL(again.Base, base);
    free(memory);
}

static void TestDamagedRelocations(void)
{
    static const Damage damages[] = {
        {"block longer than the table", RelocFile + 4, 4, 20},
        {"block shorter than its header", RelocFile + 4, 4, 4},
        {"block of odd size", RelocFile + 4, 4, 14},
        {"page not aligned", RelocFile, 4, DataRva + 8},
        {"page outside", RelocFile, 4, 0x10000000},
        {"unknown kind", RelocFile + 8, 2, 3 << 12},
        {"address over a section's end", RelocFile + 8, 2, 10 << 12 | 0xFFC},
        {"table longer than its section", Directories + 5 * 8 + 4, 4, 0x2000},
        {"table outside", Directories + 5 * 8, 4, 0x8000},
        {"stripped", FileHeader + 18, 2, 0x2023},
        {"in the headers", RelocFile, 4, 0},
    };
    uint8_t *memory = malloc(ImageSize);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        PeImage image, mapped;
        Make();
        memcpy(file + damages[i].At, &damages[i].Value, damages[i].Size);
        // In a file, what is beyond the initialised bytes does not exist; mapped, it is zero.
        if (strcmp(damages[i].Name, "address over a section's end") == 0)
            Put32(RelocFile, DataRva + 0x1000);
        if (Open(&image) != StatusSuccess || PeLayOut(&image, memory, ImageSize) != StatusSuccess ||
            PeOpen(&mapped, memory, ImageSize, PeLayoutMapped) != StatusSuccess ||
            PeRelocate(&mapped, 0x200000000) != StatusBadImage) {
            printf("# not noticed: %s\n", damages[i].Name);
            UnitFailed = true;
        }
    }
    free(memory);
}

static void TestExports(void)
{
    PeImage image;
    PeExport export;
    Make();
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_TEXT(PeGetExportLibraryName(&image), "test.dll");
    CHECK_EQUAL(PeFindExport(&image, "Alpha", &export), StatusSuccess);
    CHECK_EQUAL(export.Rva, TextRva + 0x20);
    CHECK_EQUAL(PeFindExport(&image, "Beta", &export), StatusSuccess);
    CHECK_EQUAL(export.Rva, TextRva + 0x10);
    CHECK_EQUAL(PeFindExport(&image, "Gamma", &export), StatusSuccess);
    CHECK_TEXT(export.Forwarder, "other.Delta");
    CHECK_EQUAL(PeFindExport(&image, "", &export), StatusNotFound);
    const char *name = nullptr;
    CHECK_EQUAL(PeGetNamedExport(&image, 1, &name, &export), StatusSuccess);
    CHECK_TEXT(name, "Beta");
    CHECK_EQUAL(export.Rva, TextRva + 0x10);
    CHECK_EQUAL(PeGetNamedExport(&image, 3, &name, &export), StatusNoMoreEntries);
    CHECK_EQUAL(PeFindExport(&image, "Zeta", &export), StatusNotFound);
    CHECK_EQUAL(PeFindExportByOrdinal(&image, 5, &export), StatusSuccess);
    CHECK_EQUAL(export.Rva, TextRva + 0x10);
    CHECK_EQUAL(PeFindExportByOrdinal(&image, 6, &export), StatusNotFound); // the hole
    CHECK_EQUAL(PeFindExportByOrdinal(&image, 4, &export), StatusNotFound);
    CHECK_EQUAL(PeFindExportByOrdinal(&image, 9, &export), StatusNotFound);
    Put32(DataAt(Exports) + 24, 0xFFFFFFFF);
    CHECK_EQUAL(PeFindExport(&image, "Alpha", &export), StatusBadImage);
    Put32(DataAt(Exports) + 24, 3);
    Put32(DataAt(Exports) + 20, 0x4000);
    CHECK_EQUAL(PeFindExport(&image, "Alpha", &export), StatusBadImage);
    PutDirectory(PeDirectoryExport, 0, 0);
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_EQUAL(PeFindExport(&image, "Alpha", &export), StatusNotFound);
}

static void TestImports(void)
{
    PeImage image;
    PeImportLibrary library;
    PeImport import;
    Make();
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_EQUAL(PeGetImportLibrary(&image, 0, &library), StatusSuccess);
    CHECK_TEXT(library.Name, "mosrt.dll");
    CHECK_EQUAL(PeGetImport(&image, &library, 0, &import), StatusSuccess);
    CHECK_TEXT(import.Name, "Sleep");
    CHECK_EQUAL(import.Slot, Imports + 0x60);
    CHECK_EQUAL(PeGetImport(&image, &library, 1, &import), StatusSuccess);
    CHECK(import.Name == nullptr);
    CHECK_EQUAL(import.Ordinal, 77);
    CHECK_EQUAL(PeGetImport(&image, &library, 2, &import), StatusNoMoreEntries);
    CHECK_EQUAL(PeGetImportLibrary(&image, 1, &library), StatusNoMoreEntries);
    Put32(DataAt(Imports) + 12, 0x123456);
    CHECK_EQUAL(PeGetImportLibrary(&image, 0, &library), StatusBadImage);
}

static void TestRest(void)
{
    PeImage image;
    PeTls tls;
    PeDebugId id;
    uint32_t rva;
    Make();
    CHECK_EQUAL(Open(&image), StatusSuccess);
    CHECK_EQUAL(PeGetTls(&image, &tls), StatusSuccess);
    CHECK_EQUAL(tls.TemplateSize, 16);
    CHECK_EQUAL(tls.ZeroFill, 100);
    CHECK_EQUAL(tls.Index, 0x3700);
    CHECK_EQUAL(PeGetTlsCallback(&image, &tls, 0, &rva), StatusSuccess);
    CHECK_EQUAL(rva, TextRva + 0x30);
    CHECK_EQUAL(PeGetTlsCallback(&image, &tls, 1, &rva), StatusNoMoreEntries);
    CHECK_EQUAL(PeGetDebugId(&image, &id), StatusSuccess);
    CHECK_EQUAL(id.Guid[0], 0xDD);
    CHECK_TEXT(id.PdbPath, "test.pdb");
    CHECK_EQUAL(PeGetSecurityCookie(&image, &rva), StatusSuccess);
    CHECK_EQUAL(rva, Pointers + 0x40);
    Put64(DataAt(LoadConfig) + 88, IMAGE_BASE + TextRva); // not writable
    CHECK_EQUAL(PeGetSecurityCookie(&image, &rva), StatusBadImage);
    Put64(DataAt(Tls) + 8, IMAGE_BASE);
    CHECK_EQUAL(PeGetTls(&image, &tls), StatusBadImage);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"a good image opens", TestOpen},
        {"damaged headers are refused", TestDamagedHeaders},
        {"truncated files are refused", TestTruncated},
        {"relocation", TestRelocate},
        {"damaged relocations are refused", TestDamagedRelocations},
        {"exports", TestExports},
        {"imports", TestImports},
        {"TLS, debug and load configuration data", TestRest},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
