// Tests of kernel/ldr: the image cache, mapping, binding, and what malformed images do. Images are
// made here byte by byte; memory and address spaces are small models that notice every overlap and
// every leak.
// SPDX-License-Identifier: MIT
#define METALOS_BUILD_KERNEL
#include "../../kernel/ldr/image.c"
#include "../../kernel/ldr/map.c"
#include "../../kernel/ldr/symbols.c"
#include "unit.h"

// ---- the kernel below
static int Blocks, Sections, AllocationsLeft = -1;

struct MmSection {
    uint32_t References;
    size_t Size;
    uint8_t *Bytes;
};
typedef struct Region {
    uint64_t Base, Size;
    MmSection *Section;
    size_t Offset;
    MemoryProtection Protection;
} Region;
struct MmAddressSpace {
    Region Regions[64];
    size_t Count;
    int UserWrites;
    uint64_t LastWritten;
};
static MmAddressSpace *CurrentSpace;

static bool FailNow(void)
{
    if (AllocationsLeft == 0)
        return true;
    if (AllocationsLeft > 0)
        AllocationsLeft--;
    return false;
}
void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name)
{
    *lock = (KSpinLock)KE_SPIN_LOCK_INIT(rank, name);
}
KIrql KeAcquireSpinLock(KSpinLock *lock)
{
    if (lock->Value++ != 0)
        abort();
    return PassiveLevel;
}
void KeReleaseSpinLock(KSpinLock *lock, KIrql old)
{
    lock->Value--;
}
void KeInitializeMutex(KMutex *mutex, KLockRank rank)
{
    *mutex = (KMutex){.Rank = rank};
}
void KeAcquireMutex(KMutex *mutex)
{
    if (mutex->Recursion++ != 0)
        abort();
}
void KeReleaseMutex(KMutex *mutex)
{
    mutex->Recursion--;
}
void KeInitializeEvent(KEvent *event, bool manualReset, bool set)
{
    event->Header.Signal = set;
}
void KeSetEvent(KEvent *event)
{
    event->Header.Signal = 1;
}
bool KeReadEvent(const KEvent *event)
{
    return event->Header.Signal != 0;
}
Status KeWaitForObject(void *object, KWaitMode mode, uint64_t timeout)
{
    abort();
}
uint64_t KeQueryTime(void)
{
    static uint64_t now;
    return ++now;
}
static uint64_t RandomState = 42;
uint64_t KeGetRandom(void)
{
    return UnitRandom(&RandomState);
}
void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
{
    printf("# assertion %s, %s:%u\n", expression, file, line);
    abort();
}
void *MmAllocateHeap(size_t size, uint32_t tag)
{
    if (FailNow())
        return nullptr;
    Blocks++;
    return calloc(1, size);
}
void MmFreeHeap(void *block)
{
    Blocks -= block != nullptr;
    free(block);
}
static uint64_t PagesTotal = 1 << 20, PagesFree = 1 << 20;
void MmQueryCounters(MmCounters *counters)
{
    *counters = (MmCounters){.PagesTotal = PagesTotal, .PagesFree = PagesFree};
}
void KeRegisterCounters(KCounterSource *source) {}
void MmRegisterShrinker(size_t (*shrink)(size_t pages)) {}
Status MmCreateSection(size_t size, MmPageUse use, MmSection **result)
{
    if (FailNow())
        return StatusNoMemory;
    Sections++;
    *result = calloc(1, sizeof(MmSection));
    **result = (MmSection){1, size, calloc(1, size)};
    return StatusSuccess;
}
void MmReferenceSection(MmSection *section)
{
    section->References++;
}
void MmDereferenceSection(MmSection *section)
{
    if (--section->References != 0)
        return;
    Sections--;
    free(section->Bytes);
    free(section);
}
Status MmMapSectionInKernel(MmSection *section, void **mapping)
{
    if (FailNow())
        return StatusNoMemory;
    section->References++;
    *mapping = section->Bytes;
    return StatusSuccess;
}
void MmUnmapSectionInKernel(MmSection *section, void *mapping)
{
    MmDereferenceSection(section);
}
Status MmMapSection(MmAddressSpace *space, MmSection *section, size_t offset, size_t size,
                    uint64_t *base, MemoryProtection protection, MmRegionKind kind,
                    bool copyPrivate)
{
    if (!copyPrivate || kind != RegionImage || offset % PAGE_SIZE != 0 || *base % PAGE_SIZE != 0 ||
        size == 0 || offset + size > RTL_ALIGN_UP(section->Size, PAGE_SIZE))
        abort();
    for (size_t i = 0; i < space->Count; i++)
        if (*base < space->Regions[i].Base + space->Regions[i].Size &&
            space->Regions[i].Base < *base + size)
            return StatusConflict;
    if (space->Count == RTL_COUNT_OF(space->Regions) || FailNow())
        return StatusNoMemory;
    section->References++;
    space->Regions[space->Count++] = (Region){*base, size, section, offset, protection};
    return StatusSuccess;
}
static Region *RegionAt(MmAddressSpace *space, uint64_t address)
{
    for (size_t i = 0; i < space->Count; i++)
        if (address - space->Regions[i].Base < space->Regions[i].Size)
            return &space->Regions[i];
    return nullptr;
}
Status MmUnmapSection(MmAddressSpace *space, uint64_t base)
{
    Region *region = RegionAt(space, base);
    if (region == nullptr || region->Base != base)
        return StatusNotFound;
    MmDereferenceSection(region->Section);
    *region = space->Regions[--space->Count];
    return StatusSuccess;
}
Status MmReserveRange(MmAddressSpace *space, size_t size, uint64_t *base)
{
    *base = 0x100000000 - PAGE_SIZE; // whole pages are all it promises
    while (RegionAt(space, *base) != nullptr)
        *base += 0x1000000;
    return StatusSuccess;
}
Status MmProtectVirtual(MmAddressSpace *space, uint64_t base, size_t size,
                        MemoryProtection protection)
{
    Region *region = RegionAt(space, base);
    if (region == nullptr || region->Base != base || size > region->Size)
        return StatusInvalidAddress;
    region->Protection = protection;
    return StatusSuccess;
}
Status MmCopyToUser(UserPointer to, const void *from, size_t size)
{
    Region *region = RegionAt(CurrentSpace, to);
    if (region == nullptr || region->Protection != MemoryReadWrite ||
        to + size > region->Base + region->Size)
        return StatusInvalidAddress;
    CurrentSpace->UserWrites++;
    memcpy(&CurrentSpace->LastWritten, from, 8);
    return StatusSuccess;
}
MmAddressSpace *MmGetCurrentAddressSpace(void)
{
    return CurrentSpace;
}

// ---- images
#define FILE_SIZE 0xE00u
#define OLD_BASE  0x140000000ull
enum { Text = 0x400, Rdata = 0x600, Data = 0xA00, Reloc = 0xC00 }; // file offsets

static void Put16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, 2);
}
static void Put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}
static void Put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, 8);
}

static void PutSection(uint8_t *file, size_t index, const char *name, uint32_t rva, uint32_t size,
                       uint32_t offset, uint32_t fileSize, uint32_t flags)
{
    uint8_t *at = file + 0x80 + 24 + 240 + index * 40;
    strncpy((char *)at, name, 8);
    Put32(at + 8, size);
    Put32(at + 12, rva);
    Put32(at + 16, fileSize);
    Put32(at + 20, offset);
    Put32(at + 36, flags);
}

static void PutHeaders(uint8_t *file, bool library)
{
    memset(file, 0, FILE_SIZE);
    Put16(file, 0x5A4D);
    Put32(file + 0x3C, 0x80);
    uint8_t *nt = file + 0x80, *optional = nt + 24;
    Put32(nt, 0x4550);
    Put16(nt + 4, 0x8664);
    Put16(nt + 6, 4);
    Put16(nt + 20, 240);
    Put16(nt + 22, library ? 0x2022 : 0x22);
    Put16(optional, 0x20B);
    Put32(optional + 16, 0x1000);
    Put64(optional + 24, OLD_BASE);
    Put32(optional + 32, 0x1000);
    Put32(optional + 36, 0x200);
    Put32(optional + 56, 0x6000);
    Put32(optional + 60, 0x400);
    Put16(optional + 68, 3);
    Put64(optional + 72, 0x100000);
    Put32(optional + 108, 16);
    Put32(optional + 112 + 5 * 8, 0x5000);
    Put32(optional + 112 + 5 * 8 + 4, 12);
    PutSection(file, 0, ".text", 0x1000, 0x200, Text, 0x200, 0x60000020);
    PutSection(file, 1, ".rdata", 0x2000, 0x400, Rdata, 0x400, 0x40000040);
    PutSection(file, 2, ".data", 0x3000, 0x1800, Data, 0x200, 0xC0000040);
    PutSection(file, 3, ".reloc", 0x5000, 12, Reloc, 0x200, 0x42000040);
    Put64(file + Data, OLD_BASE + 0x1000);
    Put32(file + Reloc, 0x3000);
    Put32(file + Reloc + 4, 12);
    Put16(file + Reloc + 8, 0xA000);
}

static void MakeProgram(uint8_t *file, const char *second)
{
    PutHeaders(file, false);
    uint8_t *rdata = file + Rdata, *directory = file + 0x80 + 24 + 112 + 8;
    Put32(directory, 0x2000);
    Put32(directory + 4, 40);
    Put32(rdata, 0x2100);
    Put32(rdata + 12, 0x2180);
    Put32(rdata + 16, 0x2140);
    for (size_t i = 0; i < 2; i++) {
        Put64(rdata + 0x100 + i * 8, 0x21A0 + i * 0x20);
        Put64(rdata + 0x140 + i * 8, 0x21A0 + i * 0x20);
    }
    strcpy((char *)rdata + 0x180, "MOSRT.dll");
    strcpy((char *)rdata + 0x1A2, "First");
    strcpy((char *)rdata + 0x1C2, second);
}

static void MakeLibrary(uint8_t *file)
{
    PutHeaders(file, true);
    uint8_t *rdata = file + Rdata, *directory = file + 0x80 + 24 + 112;
    Put32(directory, 0x2000);
    Put32(directory + 4, 0x100);
    Put32(rdata + 12, 0x2080);
    Put32(rdata + 16, 1);
    Put32(rdata + 20, 2);
    Put32(rdata + 24, 2);
    Put32(rdata + 28, 0x2040);
    Put32(rdata + 32, 0x2050);
    Put32(rdata + 36, 0x2060);
    Put32(rdata + 0x40, 0x1010);
    Put32(rdata + 0x44, 0x1020);
    Put32(rdata + 0x50, 0x20A0);
    Put32(rdata + 0x54, 0x20B0);
    Put16(rdata + 0x62, 1);
    strcpy((char *)rdata + 0x80, "mosrt.dll");
    strcpy((char *)rdata + 0xA0, "First");
    strcpy((char *)rdata + 0xB0, "Second");
}

static int Reads;
static Status ReadBytes(void *context, uint64_t offset, void *buffer, size_t size)
{
    Reads++;
    if (FailNow())
        return StatusIoError;
    memcpy(buffer, (uint8_t *)context + offset, size);
    return StatusSuccess;
}
static LdrSource SourceOf(uint8_t *file, uint64_t identity)
{
    return (LdrSource){
        .Context = file, .Read = ReadBytes, .Size = FILE_SIZE, .Identity = identity, .Path = "/x"};
}

static uint64_t Stored(const MmAddressSpace *space, uint64_t address)
{
    const Region *region = RegionAt((MmAddressSpace *)space, address);
    uint64_t value = 0;
    if (region != nullptr)
        memcpy(&value, region->Section->Bytes + region->Offset + (address - region->Base), 8);
    return value;
}

// ---- symbols: a PDB here is its GUID and age, and room
#define PDB_SIZE 0x3000u
Status PdbOpen(PdbFile *pdb, const void *bytes, size_t size)
{
    *pdb = (PdbFile){.Bytes = bytes, .Size = size};
    memcpy(pdb->Guid, bytes, sizeof pdb->Guid);
    memcpy(&pdb->Age, (const uint8_t *)bytes + 16, sizeof pdb->Age);
    return pdb->Guid[0] == 'g' ? StatusSuccess : StatusCorrupt;
}

static void PutDebugId(uint8_t *file, const char *guid, const char *path)
{
    uint8_t *entry = file + Rdata + 0x300, *record = file + Rdata + 0x320;
    Put32(file + 0x80 + 24 + 112 + 6 * 8, 0x2300);
    Put32(file + 0x80 + 24 + 112 + 6 * 8 + 4, 28);
    Put32(entry + 12, 2);
    Put32(entry + 16, 24 + (uint32_t)strlen(path) + 1);
    Put32(entry + 20, 0x2320);
    Put32(entry + 24, Rdata + 0x320);
    memcpy(record, "RSDS", 4);
    memcpy(record + 4, guid, 16);
    Put32(record + 20, 3);
    strcpy((char *)record + 24, path);
}

static LdrSource MakePdb(uint8_t *bytes, const char *guid, uint32_t age)
{
    memcpy(bytes, guid, 16);
    Put32(bytes + 16, age);
    return (LdrSource){.Context = bytes, .Read = ReadBytes, .Size = PDB_SIZE};
}

// A process in small: program and library mapped and bound.
typedef struct Process {
    MmAddressSpace Space;
    LdrModule Program, Library;
    char Missing[32];
} Process;

static Status Map(MmAddressSpace *space, const LdrSource *source, LdrModule *module)
{
    LdrImage *image;
    Status status = LdrOpenImage(source, &image);
    if (status != StatusSuccess)
        return status;
    status = LdrMapImage(space, image, module);
    LdrDereferenceImage(image);
    return status;
}

static void End(Process *process)
{
    if (process->Program.Image != nullptr)
        LdrUnmapImage(&process->Space, &process->Program);
    if (process->Library.Image != nullptr)
        LdrUnmapImage(&process->Space, &process->Library);
    CHECK_EQUAL(process->Space.Count, 0);
}

static Status Start(Process *process, uint8_t *program, uint8_t *library)
{
    LdrSource first = SourceOf(program, 1), second = SourceOf(library, 2);
    *process = (Process){0};
    CurrentSpace = &process->Space;
    Status status = Map(&process->Space, &first, &process->Program);
    if (status == StatusSuccess)
        status = Map(&process->Space, &second, &process->Library);
    if (status == StatusSuccess)
        status = LdrBindImports(&process->Program, &process->Library, "mosrt.dll", process->Missing,
                                sizeof(process->Missing));
    return status;
}

static void CheckClean(void)
{
    LdrPurgeCache();
    CHECK_EQUAL(LdrGetIdleBytes(), 0);
    CHECK_EQUAL(Blocks, 0);
    CHECK_EQUAL(Sections, 0);
}

static uint8_t Program[FILE_SIZE], Library[FILE_SIZE];

static void TestSharing(void)
{
    MakeProgram(Program, "Second");
    MakeLibrary(Library);
    Process one, two;
    CHECK_EQUAL(Start(&one, Program, Library), StatusSuccess);
    CHECK(LdrIsProgram(one.Program.Image) && !LdrIsProgram(one.Library.Image));
    uint64_t base = one.Program.Base;
    CHECK(base >= 0x7FF000000000 && base % 0x10000 == 0);
    CHECK_EQUAL(one.Program.EntryPoint, base + 0x1000);
    CHECK_EQUAL(Stored(&one.Space, base + 0x3000), base + 0x1000);
    CHECK_EQUAL(Stored(&one.Space, base + 0x2140), one.Library.Base + 0x1010);
    CHECK_EQUAL(Stored(&one.Space, base + 0x2148), one.Library.Base + 0x1020);
    CHECK_EQUAL(RegionAt(&one.Space, base)->Protection, MemoryRead);
    CHECK_EQUAL(RegionAt(&one.Space, base + 0x1000)->Protection, MemoryReadExecute);
    CHECK_EQUAL(RegionAt(&one.Space, base + 0x3000)->Protection, MemoryReadWrite);
    CHECK_EQUAL(RegionAt(&one.Space, base + 0x4000)->Protection, MemoryReadWrite);
    CHECK(RegionAt(&one.Space, base + 0x5000) == nullptr); // discardable
    CHECK_EQUAL(one.Space.UserWrites, 0);
    int reads = Reads;
    CHECK_EQUAL(Start(&two, Program, Library), StatusSuccess);
    CHECK_EQUAL(Reads, reads);
    CHECK(two.Program.Base == base && two.Library.Base == one.Library.Base);
    uint64_t address;
    CHECK_EQUAL(LdrFindExport(&two.Library, "Second", &address), StatusSuccess);
    CHECK_EQUAL(address, two.Library.Base + 0x1020);
    CHECK_EQUAL(LdrFindExport(&two.Library, "Third", &address), StatusNotFound);
    End(&one);
    End(&two);
    CHECK(LdrGetIdleBytes() != 0);
    CheckClean();
}

// Opens a program that names a PDB; its image, as who looks for nameless ones gets it.
static LdrImage *OpenNamed(uint64_t identity, const char *guid, LdrImage **holder)
{
    char path[MaximumPath];
    MakeProgram(Program, "Second");
    PutDebugId(Program, guid, "X:\\build\\x.pdb");
    LdrSource source = SourceOf(Program, identity);
    source.Path = "/apps/x.exe";
    wanted.Header.Signal = 0;
    CHECK_EQUAL(LdrOpenImage(&source, holder), StatusSuccess);
    CHECK(KeReadEvent(&wanted));
    LdrImage *image = LdrTakeNamelessImage(path);
    CHECK(image == *holder && strcmp(path, "/apps/x.pdb") == 0);
    CHECK(LdrTakeNamelessImage(path) == nullptr);
    return image;
}

static void TestSymbols(void)
{
    static uint8_t pdb[PDB_SIZE];
    static const char guid[] = "g123456789abcdef", other[] = "g123456789abcdeF";
    LdrImage *holder, *image = OpenNamed(1, guid, &holder);
    int sections = Sections;
    const struct {
        const char *Guid;
        uint32_t Age;
    } wrong[] = {{other, 3}, {guid, 4}, {"no PDB..........", 3}};
    for (size_t i = 0; i < RTL_COUNT_OF(wrong); i++) {
        LdrSource source = MakePdb(pdb, wrong[i].Guid, wrong[i].Age);
        CHECK_EQUAL(LdrLoadSymbols(image, &source), StatusCorrupt);
    }
    LdrSource source = MakePdb(pdb, guid, 3);
    for (AllocationsLeft = 0; LdrLoadSymbols(image, &source) != StatusSuccess;) {
        static int left;
        CHECK(LdrGetSymbols(image) == nullptr && Sections == sections);
        AllocationsLeft = ++left;
    }
    AllocationsLeft = -1;
    const PdbFile *symbols = LdrGetSymbols(image);
    CHECK(symbols != nullptr && symbols->Size == PDB_SIZE && LdrGetSymbolBytes() == PDB_SIZE);
    CHECK_EQUAL(LdriShrinkSymbols(1), PDB_SIZE / PAGE_SIZE);
    CHECK(LdrGetSymbols(image) == nullptr && LdrGetSymbolBytes() == 0 && Sections == sections);
    LdrDereferenceImage(image);
    LdrDereferenceImage(holder);
    CheckClean();
}

static void TestSymbolMemory(void)
{
    static uint8_t pdb[PDB_SIZE];
    static const char guid[] = "g123456789abcdef";
    LdrImage *holders[2], *images[2];
    for (size_t i = 0; i < 2; i++)
        images[i] = OpenNamed(i + 1, guid, &holders[i]);
    LdrSource source = MakePdb(pdb, guid, 3);
    PagesFree = PDB_SIZE / PAGE_SIZE * MEMORY_RESERVE - 1;
    CHECK_EQUAL(LdrLoadSymbols(images[0], &source), StatusNoMemory);
    PagesFree = 1 << 20;
    PagesTotal = PDB_SIZE / PAGE_SIZE * MEMORY_PART; // room for one
    CHECK_EQUAL(LdrLoadSymbols(images[0], &source), StatusSuccess);
    CHECK_EQUAL(LdrLoadSymbols(images[1], &source), StatusNoMemory);
    LdrDereferenceImage(images[0]);
    LdrDereferenceImage(holders[0]); // nobody uses it now
    CHECK_EQUAL(LdrLoadSymbols(images[1], &source), StatusSuccess);
    CHECK(LdrGetSymbols(images[1]) != nullptr && LdrGetSymbolBytes() == PDB_SIZE);
    PagesTotal = 1 << 20;
    LdrDereferenceImage(images[1]);
    LdrDereferenceImage(holders[1]);
    CheckClean();
    CHECK_EQUAL(LdrGetSymbolBytes(), 0);
}

static void TestConflict(void)
{
    MakeProgram(Program, "Second");
    MakeLibrary(Library);
    Process one, two = {0};
    CHECK_EQUAL(Start(&one, Program, Library), StatusSuccess);
    uint64_t taken = one.Program.Base + 0x3000;
    LdrSource first = SourceOf(Program, 1), second = SourceOf(Library, 2);
    two.Space.Regions[two.Space.Count++] = (Region){.Base = taken, .Size = PAGE_SIZE};
    CurrentSpace = &two.Space;
    CHECK_EQUAL(Map(&two.Space, &first, &two.Program), StatusSuccess);
    CHECK_EQUAL(Map(&two.Space, &second, &two.Library), StatusSuccess);
    CHECK(two.Program.Base != one.Program.Base);
    CHECK_EQUAL(two.Program.Base % PE_BASE_ALIGNMENT, 0); // a process opens its own image
    CHECK_EQUAL(Stored(&two.Space, two.Program.Base + 0x3000), two.Program.Base + 0x1000);
    CHECK_EQUAL(
        LdrBindImports(&two.Program, &two.Library, "mosrt.dll", two.Missing, sizeof(two.Missing)),
        StatusSuccess);
    CHECK_EQUAL(two.Space.UserWrites, 2);
    CHECK_EQUAL(two.Space.LastWritten, two.Library.Base + 0x1020);
    CHECK_EQUAL(RegionAt(&two.Space, two.Program.Base + 0x2000)->Protection, MemoryRead);
    two.Space.Regions[0] = two.Space.Regions[--two.Space.Count];
    End(&one);
    End(&two);
    CheckClean();
}

static void TestChangedFile(void)
{
    MakeLibrary(Library);
    MmAddressSpace space = {0};
    LdrModule old = {0}, new = {0};
    LdrSource source = SourceOf(Library, 9);
    CHECK_EQUAL(Map(&space, &source, &old), StatusSuccess);
    source.Stamp = 1;
    CHECK_EQUAL(Map(&space, &source, &new), StatusSuccess);
    CHECK(old.Image != new.Image);
    LdrUnmapImage(&space, &old);
    LdrUnmapImage(&space, &new);
    CheckClean();
}

static void TestMissingImport(void)
{
    MakeProgram(Program, "Nowhere");
    MakeLibrary(Library);
    Process process;
    CHECK_EQUAL(Start(&process, Program, Library), StatusImportNotFound);
    CHECK_TEXT(process.Missing, "Nowhere");
    End(&process);
    MakeProgram(Program, "Second"); // import slots in the headers
    Put32(Program + Rdata + 16, 0x188);
    LdrPurgeCache();
    CHECK_EQUAL(Start(&process, Program, Library), StatusBadImage);
    End(&process);
    CheckClean();
}

static void TestTruncated(void)
{
    MakeProgram(Program, "Second");
    for (size_t size = 0; size < Reloc + 12; size += size < 0x400 ? 1 : 37) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, Program, size);
        LdrSource source = SourceOf(cut, 3);
        source.Size = size;
        LdrImage *image;
        CHECK_EQUAL(LdrOpenImage(&source, &image), StatusBadImage);
        free(cut);
    }
    CheckClean();
}

static void TestDamaged(void)
{
    uint64_t state = 7;
    int started = 0;
    for (int round = 0; round < 20000; round++) {
        MakeProgram(Program, "Second");
        MakeLibrary(Library);
        uint8_t *victim = round % 2 == 0 ? Program : Library;
        for (uint64_t i = UnitRandom(&state) % 4 + 1; i != 0; i--) {
            size_t place = UnitRandom(&state) % 3 == 0 ? Rdata + UnitRandom(&state) % 0x200
                                                       : UnitRandom(&state) % FILE_SIZE;
            victim[place] = (uint8_t)UnitRandom(&state);
        }
        Process process;
        started += Start(&process, Program, Library) == StatusSuccess;
        End(&process);
        LdrPurgeCache();
    }
    CHECK(started > 1000);
    CheckClean();
}

static void TestFailures(void)
{
    MakeProgram(Program, "Second");
    MakeLibrary(Library);
    Status status = StatusNoMemory;
    for (int allowed = 0; status != StatusSuccess && allowed < 200; allowed++) {
        Process process;
        AllocationsLeft = allowed;
        status = Start(&process, Program, Library);
        AllocationsLeft = -1;
        End(&process);
        CheckClean();
    }
    CHECK_EQUAL(status, StatusSuccess);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"two processes share an image", TestSharing},
        {"base taken: a private copy", TestConflict},
        {"the PDB of an image in use", TestSymbols},
        {"as many PDBs as there is room for", TestSymbolMemory},
        {"a changed file is another image", TestChangedFile},
        {"missing imports", TestMissingImport},
        {"files cut at every place", TestTruncated},
        {"damaged files", TestDamaged},
        {"every allocation and read fails in turn", TestFailures},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
