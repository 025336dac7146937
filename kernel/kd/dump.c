// dump.c - a bugcheck leaves the kernel's memory on the disk, in the form of a 64-bit Windows crash
// dump that WinDbg and others read.
//
// Everything that could fail is prepared while the system is well: the sectors (a partition of
// their own, so that no file system has to be believed), the disk's polled way of writing, the
// memory for the header and the bitmap of pages. A checksum over these facts is compared before
// anything is written: a dump that might land elsewhere is not written at all.
//
// The file: a header of two pages (DUMP_HEADER64) with DumpType 5, a bitmap of the page frames that
// follow ("SDMP"), then those frames in order. Which ones is a question of room: what explains a
// crash comes first (the kernel's image, page tables, stacks), then its heap, then programs; free
// memory and the disk cache never. Frames are written from where they are, without a copy; what
// changes meanwhile - this code's own data - is as it happens to be.
//
// The order makes a torn dump no dump: the header first without its mark, which also ends what was
// there before, then the rest, then the header again with the mark. The next start finds the mark
// and makes a file of it (startup.c).
//
// Locking: none; the machine stands still. Limits: frames the bitmap has no room for are left out.
// SPDX-License-Identifier: MIT
#include "kdi.h"
#include "remote.h"
#include "target.h"

#define DUMP_SIGNATURE        0x45474150u // "PAGE"
#define DUMP_VALID            0x34365544u // "DU64"
#define BITMAP_SIGNATURE      0x504D4453u // "SDMP"
#define BITMAP_VALID          0x504D5544u // "DUMP"
#define DUMP_TYPE_BITMAP      5u
#define MACHINE_AMD64         0x8664u
#define ATTRIBUTE_LACKS_PAGES 4u
#define FILETIME_1970         116444736000000000ull // 100 ns from 1601
#define BITMAP_HEADER         0x38u

typedef struct DumpHeader { // DUMP_HEADER64
    uint32_t Signature, ValidDump, MajorVersion, MinorVersion;
    uint64_t DirectoryTableBase, PfnDataBase, PsLoadedModuleList, PsActiveProcessHead;
    uint32_t MachineImageType, NumberProcessors, BugCheckCode, Padding;
    uint64_t BugCheckParameter[4];
    char VersionUser[32];
    uint64_t KdDebuggerDataBlock;
    uint32_t NumberOfRuns, Padding2;
    uint64_t NumberOfPages;
    uint8_t Runs[0x348 - 0x98];
    uint8_t ContextRecord[3000];
    KdExceptionRecord Exception;
    uint32_t DumpType, Padding3;
    uint64_t RequiredDumpSpace, SystemTime;
    char Comment[128];
    uint64_t SystemUpTime;
    uint32_t MiniDumpFields, SecondaryDataState, ProductType, SuiteMask, WriterStatus;
    uint8_t Unused, KdSecondaryVersion;
    uint16_t Unused2;
    uint32_t Attributes, BootId;
    uint8_t Reserved[4008];
} DumpHeader;
static_assert(sizeof(DumpHeader) == KD_DUMP_HEADER_SIZE &&
              offsetof(DumpHeader, ContextRecord) == 0x348 &&
              offsetof(DumpHeader, Exception) == 0xF00 && offsetof(DumpHeader, DumpType) == 0xF98 &&
              offsetof(DumpHeader, Comment) == 0xFB0 &&
              offsetof(DumpHeader, SystemUpTime) == 0x1030 &&
              offsetof(DumpHeader, KdSecondaryVersion) == 0x104D &&
              offsetof(DumpHeader, Attributes) == 0x1050);

typedef struct BitmapHeader {
    uint32_t Signature, ValidDump;
    uint8_t Unused[0x18];
    uint64_t FirstPage, TotalPresentPages, Pages;
} BitmapHeader;
static_assert(sizeof(BitmapHeader) == BITMAP_HEADER);

// All of it constant once prepared.
typedef struct Plan {
    KdDumpDevice Device;
    uint64_t FirstSector, SectorCount;
    uint64_t Frames;     // bits of the bitmap
    uint64_t BitmapSize; // bytes with its header, whole pages
    uint8_t *Bitmap;
    uint64_t HeaderPhysical;
    uint32_t (*ClassOf)(uint64_t frame);
} Plan;
static Plan plan;
static uint32_t planChecksum;
static bool planned;

static alignas(4096) DumpHeader header;
static KdContext contexts[KE_MAXIMUM_PROCESSORS];

size_t KdDumpBitmapSize(const LoaderParams *loader)
{
    return (size_t)RTL_ALIGN_UP(BITMAP_HEADER + RTL_ALIGN_UP(loader->PageFrameCount, 32) / 8,
                                PAGE_SIZE);
}

void KdEnableDump(const LoaderParams *loader, const KdDumpDevice *device, uint64_t firstSector,
                  uint64_t sectorCount, void *bitmap, uint32_t (*classOf)(uint64_t frame))
{
    plan = (Plan){
        .Device = *device,
        .FirstSector = firstSector,
        .SectorCount = sectorCount,
        .Frames = RTL_ALIGN_UP(loader->PageFrameCount, 32), // readers take whole words
        .BitmapSize = KdDumpBitmapSize(loader),
        .Bitmap = bitmap,
        .HeaderPhysical = loader->KernelPhysical + ((uint64_t)&header - loader->KernelBase),
        .ClassOf = classOf,
    };
    planChecksum = RtlCrc32(0, &plan, sizeof plan);
    planned = true;
}

bool KdCheckDump(const void *bytes, uint64_t space, uint64_t *size)
{
    static DumpHeader copy; // start-up only
    memcpy(&copy, bytes, sizeof copy);
    *size = copy.RequiredDumpSpace;
    return copy.Signature == DUMP_SIGNATURE && copy.ValidDump == DUMP_VALID &&
           copy.DumpType == DUMP_TYPE_BITMAP && *size > sizeof copy && *size <= space &&
           *size % PAGE_SIZE == 0;
}

// -------------------------------------------------------------------------------------- registers

static void SaveContext(uint32_t processor, const UnwindFrame *frame, uint64_t flags)
{
    enum { FxsaveControlWord = 0, FxsaveMxcsr = 24 };
    const uint32_t mxcsr = 0x1F80;
    const uint16_t controlWord = 0x37F;
    const uint64_t *r = frame->Registers;
    KdContext *to = &contexts[processor];
    *to = (KdContext){
        .ContextFlags = KD_CONTEXT_ALL,
        .MxCsr = mxcsr,
        .SegCs = (uint16_t)frame->CodeSegment,
        .SegSs = (uint16_t)(frame->CodeSegment + 8),
        .EFlags = (uint32_t)flags,
        .Rax = r[0],
        .Rcx = r[1],
        .Rdx = r[2],
        .Rbx = r[3],
        .Rsp = r[4],
        .Rbp = r[5],
        .Rsi = r[6],
        .Rdi = r[7],
        .R8 = r[8],
        .R9 = r[9],
        .R10 = r[10],
        .R11 = r[11],
        .R12 = r[12],
        .R13 = r[13],
        .R14 = r[14],
        .R15 = r[15],
        .Rip = frame->Rip,
    };
    memcpy(to->FloatSave + FxsaveControlWord, &controlWord, sizeof controlWord);
    memcpy(to->FloatSave + FxsaveMxcsr, &mxcsr, sizeof mxcsr);
    KeGetPrcb(processor)->SavedContext = to;
}

static void SaveContexts(const KBugCheck *bugCheck, const UnwindFrame *failing)
{
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        KTrapFrame *frame;
        if (!KeGetFrozenFrame(i, &frame) || frame == nullptr)
            continue;
        UnwindFrame state = KdiFrameFromTrap(frame);
        SaveContext(i, &state, frame->Rflags);
    }
    UnwindFrame own = *failing;
    if (own.CodeSegment == 0)
        own.CodeSegment = 0x10;
    SaveContext(KeGetCurrentProcessorNumber(), &own,
                bugCheck->Frame != nullptr ? bugCheck->Frame->Rflags : HalReadFlags());
}

// ------------------------------------------------------------------------------------------ pages

static void SetBit(uint64_t frame)
{
    plan.Bitmap[BITMAP_HEADER + frame / 8] |= (uint8_t)(1u << frame % 8);
}
static bool TestBit(uint64_t frame)
{
    return plan.Bitmap[BITMAP_HEADER + frame / 8] >> frame % 8 & 1;
}

// Class after class until there is no room; the number of pages. *all: none was left out.
static uint64_t ChoosePages(bool *all)
{
    uint64_t space = plan.SectorCount * plan.Device.SectorSize;
    uint64_t room = space > sizeof header + plan.BitmapSize
                        ? (space - sizeof header - plan.BitmapSize) / PAGE_SIZE
                        : 0;
    uint64_t chosen = 0;
    *all = true;
    memset(plan.Bitmap, 0, plan.BitmapSize);
    for (uint32_t wanted = 1; wanted <= KD_DUMP_CLASSES; wanted++) {
        for (uint64_t frame = 0; frame < plan.Frames; frame++) {
            if (plan.ClassOf(frame) != wanted || !KdiIsPhysicalMemory(frame * PAGE_SIZE))
                continue;
            *all = *all && chosen < room;
            if (chosen == room)
                return chosen;
            SetBit(frame);
            chosen++;
        }
    }
    return chosen;
}

static bool WriteAt(uint64_t offset, const KdDumpSegment *segments, uint32_t count, uint64_t size)
{
    uint64_t sector = offset / plan.Device.SectorSize, sectors = size / plan.Device.SectorSize;
    return sector + sectors <= plan.SectorCount &&
           plan.Device.Write(plan.FirstSector + sector, segments, count, (uint32_t)sectors);
}

static bool WriteHeader(void)
{
    KdDumpSegment segment = {plan.HeaderPhysical, sizeof header};
    return WriteAt(0, &segment, 1, sizeof header) && plan.Device.Flush();
}

static bool WriteBitmap(void)
{
    enum : uint64_t { Piece = 1 << 20 };
    uint64_t physical = (uint64_t)plan.Bitmap - DIRECT_MAP_BASE;
    for (uint64_t done = 0; done < plan.BitmapSize; done += Piece) {
        KdDumpSegment segment = {physical + done, RTL_MIN(Piece, plan.BitmapSize - done)};
        if (!WriteAt(sizeof header + done, &segment, 1, segment.Size))
            return false;
    }
    return true;
}

// Frames in a row are one segment, as many as a command takes.
static bool WritePages(void)
{
    enum : uint64_t { LargestSegment = 1 << 20, LargestCommand = 8 << 20 };
    KdDumpSegment segments[KD_DUMP_SEGMENTS];
    uint32_t count = 0;
    uint64_t offset = sizeof header + plan.BitmapSize, pending = 0;
    for (uint64_t frame = 0; frame < plan.Frames; frame++) {
        if (!TestBit(frame))
            continue;
        uint64_t physical = frame * PAGE_SIZE;
        KdDumpSegment *last = count > 0 ? &segments[count - 1] : nullptr;
        bool joins = last != nullptr && last->Physical + last->Size == physical &&
                     last->Size < LargestSegment;
        if (!joins && (count == KD_DUMP_SEGMENTS || pending >= LargestCommand)) {
            if (!WriteAt(offset, segments, count, pending))
                return false;
            offset += pending;
            pending = count = 0;
        }
        if (joins)
            last->Size += PAGE_SIZE;
        else
            segments[count++] = (KdDumpSegment){physical, PAGE_SIZE};
        pending += PAGE_SIZE;
    }
    return count == 0 || WriteAt(offset, segments, count, pending);
}

// ----------------------------------------------------------------------------------------- the
// dump

// What the processor's trap is as an exception; a stop without a trap is a breakpoint.
static KdExceptionRecord DescribeException(const KBugCheck *bugCheck, uint64_t address)
{
    enum { PageFault = 14, ErrorWrite = 2, ErrorFetch = 16 };
    static const struct {
        uint8_t Vector;
        uint32_t Code;
    } codes[] = {
        {0, 0xC0000094},         // integer division by zero
        {6, 0xC000001D},         // illegal instruction
        {13, 0xC0000005},        // access violation
        {PageFault, 0xC0000005}, // the same
        {16, 0xC0000090},        // invalid floating-point operation
        {17, 0x80000002},        // misaligned access
        {19, 0xC00002B5},        // a fault of several floating-point operations
    };
    const KTrapFrame *frame = bugCheck->Frame;
    KdExceptionRecord record = {.ExceptionCode = KD_EXCEPTION_BREAKPOINT,
                                .ExceptionAddress = address};
    for (size_t i = 0; frame != nullptr && i < RTL_COUNT_OF(codes); i++)
        if (codes[i].Vector == frame->Vector)
            record.ExceptionCode = codes[i].Code;
    if (frame != nullptr && frame->Vector == PageFault) {
        record.NumberParameters = 2;
        record.ExceptionInformation[0] = frame->ErrorCode & ErrorFetch   ? 8
                                         : frame->ErrorCode & ErrorWrite ? 1
                                                                         : 0;
        record.ExceptionInformation[1] = HalReadCr2();
    }
    return record;
}

static void FillHeader(const KBugCheck *bugCheck, uint64_t pages, bool all)
{
    KdVersion version;
    const KdContext *failing = &contexts[KeGetCurrentProcessorNumber()];
    KdiTargetGetVersion(&version);
    header = (DumpHeader){
        .Signature = DUMP_SIGNATURE,
        .MajorVersion = version.MajorVersion,
        .MinorVersion = version.MinorVersion,
        .DirectoryTableBase = KeSystemProcess.PageTableRoot,
        .PsLoadedModuleList = version.PsLoadedModuleList,
        .PsActiveProcessHead = KdiActiveProcessHead(),
        .MachineImageType = MACHINE_AMD64,
        .NumberProcessors = KeGetProcessorCount(),
        .BugCheckCode = bugCheck->Code,
        .KdDebuggerDataBlock = KdiDataBlockAddress(),
        .NumberOfPages = pages,
        .Exception = DescribeException(bugCheck, failing->Rip),
        .DumpType = DUMP_TYPE_BITMAP,
        .RequiredDumpSpace = sizeof header + plan.BitmapSize + pages * PAGE_SIZE,
        .SystemTime = FILETIME_1970 + KeQuerySystemTime() / 100,
        .SystemUpTime = KeQueryTime() / 100,
        .ProductType = 1,
        .SuiteMask = 0x110,
        .KdSecondaryVersion = 2,
        .Attributes = all ? 0 : ATTRIBUTE_LACKS_PAGES,
    };
    memcpy(header.BugCheckParameter, bugCheck->Parameters, sizeof header.BugCheckParameter);
    memcpy(header.ContextRecord, failing, sizeof *failing);
    RtlCopyString(header.VersionUser, sizeof header.VersionUser, "MetalOS");
    RtlFormat(header.Comment, sizeof header.Comment, "MetalOS: %s",
              bugCheck->Message != nullptr ? bugCheck->Message : "bugcheck");
    BitmapHeader *bitmap = (BitmapHeader *)plan.Bitmap;
    *bitmap = (BitmapHeader){
        .Signature = BITMAP_SIGNATURE,
        .ValidDump = BITMAP_VALID,
        .FirstPage = sizeof header + plan.BitmapSize,
        .TotalPresentPages = pages,
        .Pages = plan.Frames,
    };
}

const char *KdiWriteDump(const KBugCheck *bugCheck, const UnwindFrame *failing, uint64_t *pages)
{
    bool all;
    *pages = 0;
    if (!planned)
        return "there is no place for one";
    if (RtlCrc32(0, &plan, sizeof plan) != planChecksum)
        return "what is known of its place was overwritten";
    KdiRefreshDataBlock();
    KdiSetBugCheckData(bugCheck);
    SaveContexts(bugCheck, failing);
    *pages = ChoosePages(&all);
    FillHeader(bugCheck, *pages, all);
    if (*pages == 0)
        return "its place is too small";
    if (!plan.Device.Start())
        return "the disk does not start";
    if (!WriteHeader() || !WriteBitmap() || !WritePages() || !plan.Device.Flush())
        return "the disk does not take it";
    header.ValidDump = DUMP_VALID;
    return WriteHeader() ? nullptr : "the disk does not take it";
}
