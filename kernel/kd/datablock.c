// datablock.c - what a debugger that comes from outside, live or in a dump, is told of the kernel.
//
// WinDbg finds the kernel and its PDB by the version block, and everything else by a data block of
// addresses, tagged "KDBG", whose layout is that of Windows; both say that this is build
// LAYOUT_BUILD, so the few structures that readers know by that build rather than by a symbol file
// are given in its layout: the list of loaded modules, and a list of processes with one entry, the
// kernel's own. Everything is plain data of the kernel image, filled in at start-up.
// SPDX-License-Identifier: MIT
#include "kdi.h"
#include "remote.h"
#include "target.h"

enum { LAYOUT_BUILD = 18362, MAJOR_FREE = 0xF, MAJOR_CHECKED = 0xC };

// ---- KDDEBUGGER_DATA64: offsets of fields. (v) a value, (o) an offset in a structure, others
// addresses of variables.
enum DataField {
    DataList = 0x00,
    DataTag = 0x10,
    DataSize = 0x14,
    DataKernBase = 0x18, // (v)
    DataBreakpointWithStatus = 0x20,
    DataPaeEnabled = 0x36, // bit 0
    DataPsLoadedModuleList = 0x48,
    DataPsActiveProcessHead = 0x50,
    DataKeTimeIncrement = 0x78,
    DataKiBugcheckData = 0x88,
    DataMmPageSize = 0x138, // (v)
    DataMmHighestUserAddress = 0x1C8,
    DataMmSystemRangeStart = 0x1D0,
    DataMmUserProbeAddress = 0x1D8,
    DataNtBuildLab = 0x208,
    DataKiProcessorBlock = 0x218,
    DataCmNtCSDVersion = 0x268,
    DataOffsetKThreadKernelStack = 0x29C, // (o) from here to 2C0, 16 bits each
    DataOffsetKThreadInitialStack = 0x29E,
    DataOffsetKThreadApcProcess = 0x2A0,
    DataOffsetKThreadState = 0x2A2,
    DataSizeEProcess = 0x2A8,
    DataOffsetEprocessPeb = 0x2AA,
    DataOffsetEprocessDirectoryTableBase = 0x2AE,
    DataSizePrcb = 0x2B0,
    DataOffsetPrcbCurrentThread = 0x2B4,
    DataOffsetPrcbNumber = 0x2BE,
    DataSizeEThread = 0x2C0,
    DataSizePcr = 0x2E0,
    DataOffsetPcrSelf = 0x2E2,
    DataGdtR0Code = 0x2F4, // (v) 16 bits each
    DataGdtR0Data = 0x2F6,
    DataGdtR3Code = 0x2FA,
    DataGdtR3Data = 0x2FC,
    DataGdtTss = 0x302,
    DataOffsetPrcbContext = 0x338,
    DataOffsetKThreadStackLimit = 0x340, // (o) 32 bits
    DataOffsetKThreadStackBase = 0x344,
    DataEnd = 0x380,
};
#define DATA_TAG 0x4742444Bu // "KDBG"

// ---- LDR_DATA_TABLE_ENTRY
typedef struct UnicodeString {
    uint16_t Length, MaximumLength; // bytes
    uint32_t Padding;
    uint64_t Buffer;
} UnicodeString;

typedef struct LoaderEntry {
    ListEntry InLoadOrderLinks, InMemoryOrderLinks, InInitializationOrderLinks;
    uint64_t DllBase, EntryPoint;
    uint32_t SizeOfImage, Padding;
    UnicodeString FullDllName, BaseDllName;
    uint32_t Flags;
    uint16_t LoadCount, TlsIndex;
    uint64_t SectionPointer;
    uint32_t CheckSum, Padding2;
    uint32_t TimeDateStamp, Padding3;
} LoaderEntry;
static_assert(offsetof(LoaderEntry, DllBase) == 0x30 &&
              offsetof(LoaderEntry, FullDllName) == 0x48 &&
              offsetof(LoaderEntry, SectionPointer) == 0x70 &&
              offsetof(LoaderEntry, TimeDateStamp) == 0x80 && sizeof(LoaderEntry) == 0x88);

// ---- the kernel's own process, in the layout of LAYOUT_BUILD
enum ProcessField {
    ProcessDirectoryTableBase = 0x28,
    ProcessId = 0x2E8,
    ProcessLinks = 0x2F0,
    ProcessPeb = 0x3F8,
    ProcessImageFileName = 0x450,
    ProcessThreads = 0x488,
    ProcessSize = 0x880,
};
enum { SYSTEM_PROCESS_ID = 4, ENVIRONMENT_LDR = 0x18, LDR_MEMORY_ORDER = 0x20, LDR_SIZE = 0x58 };

static alignas(16) uint8_t dataBlock[DataEnd];
static ListEntry dataBlockList;
static ListEntry loadedModules, activeProcesses;
static LoaderEntry kernelEntry;
static uint16_t kernelPath[] = u"\\system\\moskrnl.exe", kernelName[] = u"moskrnl.exe";
static alignas(16) uint8_t systemProcess[ProcessSize];
static uint64_t environmentBlock[ENVIRONMENT_LDR / 8 + 1];
static alignas(8) uint8_t loaderData[LDR_SIZE];
static uint64_t bugCheckData[5];
static uint64_t processorBlock[KE_MAXIMUM_PROCESSORS];
static uint32_t timeIncrement = 156250; // 100 ns; what hosts expect of a system with such a build
static uint32_t servicePack;
static const char buildLab[] = "MetalOS (layouts of build 18362)";
static uint64_t highestUserAddress = 0x00007FFFFFFEFFFF, systemRangeStart = DIRECT_MAP_BASE,
                userProbeAddress = 0x00007FFFFFFF0000;
static uint64_t kernelBase;

static void Put(uint8_t *structure, uint32_t offset, uint64_t value, size_t size)
{
    memcpy(structure + offset, &value, size);
}
static void PutAddress(uint32_t field, const volatile void *address)
{
    Put(dataBlock, field, (uint64_t)address, 8);
}
static void PutOffset(uint32_t field, uint64_t offset)
{
    Put(dataBlock, field, offset, 2);
}

static UnicodeString StringOf(const uint16_t *text, size_t size)
{
    return (UnicodeString){.Length = (uint16_t)(size - sizeof(uint16_t)),
                           .MaximumLength = (uint16_t)size,
                           .Buffer = (uint64_t)text};
}

static void InitializeModules(const LoaderParams *loader)
{
    PeImage image;
    kernelEntry = (LoaderEntry){
        .DllBase = loader->KernelBase,
        .SizeOfImage = (uint32_t)loader->KernelSize,
        .FullDllName = StringOf(kernelPath, sizeof kernelPath),
        .BaseDllName = StringOf(kernelName, sizeof kernelName),
        .LoadCount = 1,
    };
    if (PeOpen(&image, (const void *)loader->KernelBase, loader->KernelSize, PeLayoutMapped) ==
        StatusSuccess) {
        kernelEntry.EntryPoint = loader->KernelBase + image.EntryPoint;
        kernelEntry.SizeOfImage = image.SizeOfImage;
        kernelEntry.TimeDateStamp = image.TimeDateStamp;
    }
    RtlInitializeList(&loadedModules);
    RtlInsertTail(&loadedModules, &kernelEntry.InLoadOrderLinks);
    ListEntry *byMemory = (ListEntry *)(loaderData + LDR_MEMORY_ORDER);
    RtlInitializeList(byMemory);
    RtlInsertTail(byMemory, &kernelEntry.InMemoryOrderLinks);
    RtlInitializeList(&kernelEntry.InInitializationOrderLinks);
}

static void InitializeSystemProcess(void)
{
    static const char name[] = "System";
    environmentBlock[ENVIRONMENT_LDR / 8] = (uint64_t)loaderData;
    Put(systemProcess, ProcessDirectoryTableBase, KeSystemProcess.PageTableRoot, 8);
    Put(systemProcess, ProcessId, SYSTEM_PROCESS_ID, 8);
    Put(systemProcess, ProcessPeb, (uint64_t)environmentBlock, 8);
    memcpy(systemProcess + ProcessImageFileName, name, sizeof name);
    RtlInitializeList((ListEntry *)(systemProcess + ProcessThreads));
    RtlInitializeList(&activeProcesses);
    RtlInsertTail(&activeProcesses, (ListEntry *)(systemProcess + ProcessLinks));
}

static_assert(sizeof(KPrcb) < 0x10000, "offsets in it have 16 bits");

void KdiInitializeDataBlock(const LoaderParams *loader)
{
    kernelBase = loader->KernelBase;
    InitializeModules(loader);
    InitializeSystemProcess();
    RtlInitializeList(&dataBlockList);
    RtlInsertTail(&dataBlockList, (ListEntry *)(dataBlock + DataList));
    Put(dataBlock, DataTag, DATA_TAG, 4);
    Put(dataBlock, DataSize, DataEnd, 4);
    Put(dataBlock, DataKernBase, kernelBase, 8);
    PutAddress(DataBreakpointWithStatus, KdiBreakReturn);
    PutOffset(DataPaeEnabled, 1);
    PutAddress(DataPsLoadedModuleList, &loadedModules);
    PutAddress(DataPsActiveProcessHead, &activeProcesses);
    PutAddress(DataKeTimeIncrement, &timeIncrement);
    PutAddress(DataKiBugcheckData, bugCheckData);
    Put(dataBlock, DataMmPageSize, PAGE_SIZE, 8);
    PutAddress(DataMmHighestUserAddress, &highestUserAddress);
    PutAddress(DataMmSystemRangeStart, &systemRangeStart);
    PutAddress(DataMmUserProbeAddress, &userProbeAddress);
    PutAddress(DataNtBuildLab, buildLab);
    PutAddress(DataKiProcessorBlock, processorBlock);
    PutAddress(DataCmNtCSDVersion, &servicePack);
    PutOffset(DataOffsetKThreadKernelStack, offsetof(KThread, SavedStack));
    PutOffset(DataOffsetKThreadInitialStack, offsetof(KThread, KernelStackTop));
    PutOffset(DataOffsetKThreadApcProcess, offsetof(KThread, Process));
    PutOffset(DataOffsetKThreadState, offsetof(KThread, State));
    PutOffset(DataSizeEProcess, ProcessSize);
    PutOffset(DataOffsetEprocessPeb, ProcessPeb);
    PutOffset(DataOffsetEprocessDirectoryTableBase, ProcessDirectoryTableBase);
    PutOffset(DataSizePrcb, sizeof(KPrcb));
    PutOffset(DataOffsetPrcbCurrentThread, offsetof(KPrcb, Hal.Thread));
    PutOffset(DataOffsetPrcbNumber, offsetof(KPrcb, Hal.Number));
    PutOffset(DataSizeEThread, sizeof(KThread));
    PutOffset(DataSizePcr, sizeof(KPrcb));
    PutOffset(DataOffsetPcrSelf, offsetof(KPrcb, Hal.Self));
    PutOffset(DataGdtR0Code, 0x10);
    PutOffset(DataGdtR0Data, 0x18);
    PutOffset(DataGdtR3Code, 0x33);
    PutOffset(DataGdtR3Data, 0x2B);
    PutOffset(DataGdtTss, 0x40);
    PutOffset(DataOffsetPrcbContext, offsetof(KPrcb, SavedContext));
    Put(dataBlock, DataOffsetKThreadStackLimit, offsetof(KThread, KernelStackLimit), 4);
    Put(dataBlock, DataOffsetKThreadStackBase, offsetof(KThread, KernelStackTop), 4);
}

void KdiRefreshDataBlock(void)
{
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++)
        processorBlock[i] = (uint64_t)KeGetPrcb(i);
    Put(systemProcess, ProcessDirectoryTableBase, KeSystemProcess.PageTableRoot, 8);
}

uint64_t KdiDataBlockAddress(void)
{
    return (uint64_t)dataBlock;
}
uint64_t KdiActiveProcessHead(void)
{
    return (uint64_t)&activeProcesses;
}

void KdiSetBugCheckData(const KBugCheck *bugCheck)
{
    bugCheckData[0] = bugCheck->Code;
    memcpy(bugCheckData + 1, bugCheck->Parameters, sizeof bugCheck->Parameters);
}

void KdiTargetGetVersion(KdVersion *version)
{
    *version = (KdVersion){
#ifdef METALOS_CHECKED
        .MajorVersion = MAJOR_CHECKED,
#else
        .MajorVersion = MAJOR_FREE,
#endif
        .MinorVersion = LAYOUT_BUILD,
        .ProtocolVersion = 6,
        .KdSecondaryVersion = 2, // KdContext is the AMD64 CONTEXT of today
        .Flags = KD_VERSION_MULTIPROCESSOR | KD_VERSION_DATA | KD_VERSION_POINTERS_64,
        .MachineType = 0x8664,
        .MaxPacketType = KdPacketTypeLimit,
        .MaxStateChange = 3,
        .MaxManipulate = KdApiLast - KdApiFirst + 1,
        .KernBase = kernelBase,
        .PsLoadedModuleList = (uint64_t)&loadedModules,
        .DebuggerDataList = (uint64_t)&dataBlockList,
    };
}
