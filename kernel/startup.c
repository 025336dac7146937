// startup.c - from the loader's jump to the first program: the one place that knows every
// subsystem.
//
// Two tables of steps. The early ones run on the loader's stack with interrupts off or unused and
// give the kernel memory, interrupts and time. The loader's context then becomes the idle thread,
// and a system thread runs the others at PassiveLevel, where they may wait. A step that is required
// and fails stops the machine with a sentence that names it; any other failure is a warning and the
// system runs without that part.
// SPDX-License-Identifier: MIT
#include "LoaderParams.h"
#include "fs.h"
#include "hal_hyperv.h"
#include "io.h"
#include "kd.h"
#include "ke_thread.h"
#include "ldr.h"
#include "mm.h"
#include "ps.h"
#include "sys.h"
#include "win.h"

typedef struct StartupStep {
    const char *Name; // completes "cannot start ..."
    Status (*Run)(const LoaderParams *loader);
    bool Required;
    const char *Needs; // for the person who reads that it failed; may be nullptr
} StartupStep;

void KiSystemStartup(const LoaderParams *loader)
    __attribute__((noreturn)); // entry point of moskrnl.exe

static const LoaderParams *Loader;

// ---------------------------------------------------------------------------------- early steps

static void *MapDevice(PhysicalAddress address, size_t size)
{
    void *mapping = nullptr;
    return MmMapDevice(address, size, CachingUncached, &mapping) == StatusSuccess ? mapping
                                                                                  : nullptr;
}

static Status StartMemory(const LoaderParams *loader)
{
    MmInitialize(loader);
    HalRegisterDeviceMapper(MapDevice);
    return StatusSuccess;
}

// From here on a stop can be read on the screen.
static Status StartDisplay(const LoaderParams *loader)
{
    Status status = WinOpenDisplay(loader);
    KdRegisterScreen(WinPanicText); // prints nothing where there is no display
    return status;
}

static Status StartHypervisor(const LoaderParams *loader)
{
    char text[128];
    HalStartHypervisor(loader);
    if (HalHasHypervisor())
        KeLog(LogInfo, "%s", HalDescribeHypervisor(text, sizeof(text)));
    return StatusSuccess;
}

static Status StartInterrupts(const LoaderParams *loader)
{
    return HalInitializeInterrupts(loader->AcpiRsdp);
}

static Status StartClock(const LoaderParams *loader)
{
    Status status = HalInitializeClock(loader->AcpiRsdp);
    if (status == StatusSuccess) {
        uint64_t frequency;
        const char *source = HalGetClockSource(&frequency);
        KeLog(LogInfo, "clock: %llu.%03llu MHz by %s", frequency / 1000000, frequency / 1000 % 1000,
              source);
    }
    return status;
}

static const StartupStep EarlySteps[] = {
    {"memory management", StartMemory, true},
    {"the display", StartDisplay, false},
    {"the hypervisor", StartHypervisor, false},
    {"interrupts", StartInterrupts, true, "a local APIC and an ACPI MADT are needed"},
    {"the clock", StartClock, true, "no time source answers"},
    {"the debugger", KdStartDebugger, false, "boot option `debug` needs a COM2"},
};

// ---------------------------------------------------------------------------------- later steps

static Status StartFirmware(const LoaderParams *loader)
{
    uint64_t now;
    Status status = HalInitializeFirmware(loader->RuntimeServices);
    if (status == StatusSuccess)
        status = HalReadFirmwareClock(&now);
    if (status == StatusSuccess)
        KeSetSystemTimeAtBoot(now - KeQueryTime());
    return status;
}

static Status TestCore(const LoaderParams *loader)
{
    KeRunSelfTests();
    return StatusSuccess;
}

static Status FinishMemory(const LoaderParams *loader)
{
    MmReleaseLoaderMemory(loader);
#ifdef METALOS_CHECKED
    Status status = MmAuditKernelPages(loader);
    if (status != StatusSuccess)
        return status;
#endif
    return MmStartZeroing();
}

// Room for the trampoline and its tables; given back once every processor has started.
static Status AllocateStartMemory(HalStartMemory *memory)
{
    Status status = MmAllocateContiguous(PageTable, 1, PAGE_SIZE, 1u << 20, &memory->Code);
    if (status != StatusSuccess)
        return status;
    status =
        MmAllocateContiguous(PageTable, HAL_START_TABLES, PAGE_SIZE, 1ull << 32, &memory->Tables);
    if (status != StatusSuccess)
        MmFreeContiguous(memory->Code, 1);
    return status;
}

// What the hypervisor wants of each processor.
static Status GiveHypervisorPages(uint32_t processor)
{
    size_t count = HalCountHypervisorPages();
    PhysicalAddress pages;
    if (count == 0)
        return StatusSuccess;
    Status status = MmAllocateContiguous(PageDevice, count, PAGE_SIZE, UINT64_MAX, &pages);
    if (status != StatusSuccess)
        return status;
    memset(MmPhysicalToVirtual(pages), 0, count * PAGE_SIZE);
    HalGiveHypervisorPages(processor, pages);
    return StatusSuccess;
}

static Status AllocateProcessor(KProcessorMemory *memory)
{
    static const uint32_t tag = MM_TAG('K', 'e', 'P', 'r');
    *memory = (KProcessorMemory){.StackSize = MM_KERNEL_STACK_SIZE};
    memory->Prcb = MmAllocateHeap(KeProcessorDataSize(), tag);
    memory->IdleThread = MmAllocateHeap(sizeof(KThread), tag);
    if (memory->Prcb != nullptr && memory->IdleThread != nullptr &&
        MmAllocateKernelStack(memory->StackSize, &memory->StackLimit) == StatusSuccess &&
        GiveHypervisorPages(KeGetProcessorCount()) == StatusSuccess)
        return StatusSuccess;
    MmFreeHeap(memory->Prcb);
    MmFreeHeap(memory->IdleThread);
    return StatusNoMemory;
}

static size_t NumberOf(const char *value)
{
    size_t number = 0;
    for (const char *digit = value; *digit >= '0' && *digit <= '9'; digit++)
        number = number * 10 + (size_t)(*digit - '0');
    return number;
}

// Boot option `processors = N` leaves the others asleep.
static size_t CountWantedProcessors(const LoaderParams *loader)
{
    char value[8];
    size_t count = HalGetProcessorLimit();
    if (!RtlFindOption(loader->Options, "processors", 0, value, sizeof(value)))
        return count;
    size_t wanted = NumberOf(value);
    return wanted == 0 ? count : RTL_MIN(wanted, count);
}

static Status StartProcessors(const LoaderParams *loader)
{
    size_t count = CountWantedProcessors(loader);
    if (count < 2)
        return StatusSuccess;
    HalStartMemory start;
    Status status = AllocateStartMemory(&start);
    if (status != StatusSuccess)
        return status;
    HalBeginStart(&start);
    while (status == StatusSuccess && KeGetProcessorCount() < count) {
        KProcessorMemory memory;
        status = AllocateProcessor(&memory);
        if (status == StatusSuccess && !KeStartProcessor(&memory))
            status = StatusTimeout;
    }
    if (status != StatusTimeout) { // else one may still come to run there
        MmFreeContiguous(start.Code, 1);
        MmFreeContiguous(start.Tables, HAL_START_TABLES);
    }
    KeRunProcessorTests();
    KeLog(LogInfo, "ke: %u of %llu processors run", KeGetProcessorCount(),
          (unsigned long long)HalGetProcessorLimit());
    return status;
}

static Status StartProcesses(const LoaderParams *loader)
{
    PsInitialize();
    return StatusSuccess;
}

static Status StartDevices(const LoaderParams *loader)
{
    IoInitialize(loader);
    return StatusSuccess;
}

static Status StartWindows(const LoaderParams *loader)
{
    return WinInitialize();
}

static void OverrunHeapBlock(void)
{
    enum { BlockSize = 100 };
    uint8_t *block = MmAllocateHeap(BlockSize, MM_TAG('C', 'r', 's', 'h'));
    memset(block, 0x41, BlockSize + 32);
    MmFreeHeap(block);
    __asm__ volatile("" : : : "memory"); // a frame of its own on the stack, here and below
}

static void FreeHeapBlockTwice(void)
{
    void *block = MmAllocateHeap(100, MM_TAG('C', 'r', 's', 'h'));
    MmFreeHeap(block);
    MmFreeHeap(block);
    __asm__ volatile("" : : : "memory");
}

#ifdef METALOS_FAILURES // what only the sanitizers of test kernels notice

static void UseFreedBlock(void)
{
    volatile uint8_t *block = MmAllocateHeap(100, MM_TAG('C', 'r', 's', 'h'));
    MmFreeHeap((void *)block);
    (void)*block;
    __asm__ volatile("" : : : "memory");
}

static void ReadBehindBlock(void)
{
    volatile uint8_t *block = MmAllocateHeap(100, MM_TAG('C', 'r', 's', 'h'));
    (void)block[100];
    MmFreeHeap((void *)block);
}

static void ReadBehindVariable(void)
{
    static volatile uint8_t variable[13];
    volatile uint8_t *pointer = variable;
    __asm__ volatile("" : "+r"(pointer)); // it could be any
    (void)pointer[sizeof(variable)];
}

static void OverflowInteger(void)
{
    volatile int32_t value = INT32_MAX;
    value = value + 1;
    __asm__ volatile("" : : : "memory");
}

static void RegisterSanitizerCrashes(void)
{
    KdRegisterCrash("freed-block", UseFreedBlock);
    KdRegisterCrash("behind-block", ReadBehindBlock);
    KdRegisterCrash("behind-variable", ReadBehindVariable);
    KdRegisterCrash("overflow", OverflowInteger);
}

#else

static void RegisterSanitizerCrashes(void) {}

#endif

static Status CrashIfAsked(const LoaderParams *loader)
{
    KdRegisterCrash("heap-overrun", OverrunHeapBlock);
    KdRegisterCrash("heap-double-free", FreeHeapBlockTwice);
    KdRegisterCrash("read-user", MmReadUserPage);
    KdRegisterCrash("run-user", MmRunUserPage);
    RegisterSanitizerCrashes();
    KdCrash(loader->Options);
    return StatusSuccess;
}

static void PowerRequested(bool restart)
{
    SysRequestPower(restart ? ShutdownRestart : ShutdownPowerOff);
}

static Status StartSystemCalls(const LoaderParams *loader)
{
    SysInitialize(loader);
    IoRegisterPowerRequest(PowerRequested);
    return StatusSuccess;
}

static Status StartInit(const LoaderParams *loader)
{
    return SysStartInit();
}

static Status StartDesktop(const LoaderParams *loader)
{
    return WinStart();
}

static void PowerButtonPressed(void)
{
    SysRequestShutdown(ShutdownPowerOff, 0);
}

// Boot option `read = MEGABYTES`: a load on the first disk.
static Status TestDisk(const LoaderParams *loader)
{
    char value[8];
    if (!RtlFindOption(loader->Options, "read", 0, value, sizeof(value)))
        return StatusSuccess;
    return IoTestDisk((uint32_t)NumberOf(value));
}

// Boot option `try = disk1`: each operation of a disk that is blank, or read-only.
static Status TryDisks(const LoaderParams *loader)
{
    Status status = StatusSuccess;
    char name[32];
    for (size_t i = 0;
         status == StatusSuccess && RtlFindOption(loader->Options, "try", i, name, sizeof(name));
         i++)
        status = IoTryDisk(name);
    return status;
}

// Boot option `echo = 10.0.2.2`: the network adapter is tried out.
static Status TestNetwork(const LoaderParams *loader)
{
    char value[16];
    uint8_t address[4] = {};
    if (!RtlFindOption(loader->Options, "echo", 0, value, sizeof(value)))
        return StatusSuccess;
    size_t part = 0;
    for (const char *at = value; *at != '\0' && part < sizeof(address); at++) {
        if (*at == '.')
            part++;
        else
            address[part] = (uint8_t)(address[part] * 10 + (uint8_t)(*at - '0'));
    }
    return IoTestNetwork(address);
}

static Status StartAcpi(const LoaderParams *loader)
{
    AcpiRegisterPowerButton(PowerButtonPressed);
    return AcpiStart(loader);
}

// clang-format off: one step a line
static const StartupStep Steps[] = {
    {"the memory the loader used", FinishMemory, true},
    {"the firmware's clock", StartFirmware, false},
    {"the kernel's self tests", TestCore, true},
    {"the other processors", StartProcessors, false},
    {"the process manager", StartProcesses, true},
    {"ACPI", StartAcpi, false},
    {"devices", StartDevices, true},
    {"the boot volume", FsInitialize, true, "a disk on an AHCI or Hyper-V SCSI controller is needed"},
    {"crash dumps", SysStartDumps, false},
    {"the window system", StartWindows, false},
    {"system calls", StartSystemCalls, true},
    {"a deliberate crash", CrashIfAsked, false},
    {"the disk's load", TestDisk, false},
    {"trying disks", TryDisks, false},
    {"the network", TestNetwork, false},
    {"/system/init.exe", StartInit, true},
    {"the desktop", StartDesktop, false},
};
// clang-format on

// ------------------------------------------------------------------------------------- the order

static void Report(const StartupStep *step, Status status)
{
    char message[160];
    RtlFormat(message, sizeof(message), "MetalOS cannot start %s: %s%s%s%s", step->Name,
              RtlStatusText(status), step->Needs != nullptr ? " (" : "",
              step->Needs != nullptr ? step->Needs : "", step->Needs != nullptr ? ")" : "");
    if (step->Required)
        KeBugCheckFrame(BugCheckInitialization, (uint64_t)step->Run, status, 0, 0, message,
                        nullptr);
    KeLog(LogWarning, "%s", message);
}

static void RunSteps(const StartupStep *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t start = KeQueryTime();
        Status status = steps[i].Run(Loader);
        if (status != StatusSuccess)
            Report(&steps[i], status);
        else
            KeLog(LogDebug, "started %s in %llu us", steps[i].Name, (KeQueryTime() - start) / 1000);
    }
}

static void RunLaterSteps(void *context)
{
    RunSteps(Steps, RTL_COUNT_OF(Steps));
}

static void FreeStartupStack(KThread *thread)
{
    MmFreeKernelStack(thread->KernelStackLimit, thread->KernelStackSize);
}

static void StartStartupThread(void)
{
    static KThread thread;
    KThreadParameters parameters = {
        .Entry = RunLaterSteps,
        .KernelStackSize = MM_KERNEL_STACK_SIZE,
        .Priority = KePriorityNormal,
        .Name = "startup",
        .Cleanup = FreeStartupStack,
    };
    Status status = MmAllocateKernelStack(MM_KERNEL_STACK_SIZE, &parameters.KernelStackLimit);
    if (status == StatusSuccess)
        status = KeInitializeThread(&thread, &parameters, nullptr);
    if (status != StatusSuccess)
        KeBugCheck(BugCheckInitialization, status, 0, 0, 0);
    KeStartThread(&thread);
}

static void ApplyOptions(const LoaderParams *loader)
{
    static const struct {
        const char *Name;
        KLogLevel Level;
    } levels[] = {
        {"error", LogError}, {"warning", LogWarning}, {"info", LogInfo}, {"debug", LogDebug}};
    char value[16];
    if (RtlFindOption(loader->Options, "log", 0, value, sizeof(value)))
        for (size_t i = 0; i < RTL_COUNT_OF(levels); i++)
            if (RtlCompareNoCase(value, levels[i].Name) == 0)
                KeSetLogLevel(levels[i].Level);
    if (RtlFindOption(loader->Options, "slide", 0, value, sizeof(value)) &&
        RtlCompareNoCase(value, "off") == 0)
        LdrKeepPreferredBases();
    if (RtlFindOption(loader->Options, "watchdog", 0, value, sizeof(value)))
        KeSetWatchdog((uint32_t)NumberOf(value));
    if (RtlFindOption(loader->Options, "bugcheck", 0, value, sizeof(value)))
        KeSetBugCheckAction(RtlCompareNoCase(value, "exit") == 0);
}

// A loader of another version could have laid out everything else differently; only COM1 is
// certain.
static void CheckLoader(const LoaderParams *loader)
{
    static const char sentence[] =
        "moskrnl.exe: the loader is of another version; nothing can be started.\n";
    if (loader->Magic == LOADER_PARAMS_MAGIC && loader->Version == LOADER_PARAMS_VERSION &&
        loader->Size == sizeof(LoaderParams) && loader->OptionsSize < LOADER_OPTIONS_SIZE &&
        loader->Options[loader->OptionsSize] == '\0')
        return;
    HalWriteSerial(sentence, sizeof(sentence) - 1);
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

void KiSystemStartup(const LoaderParams *loader)
{
    HalInitializeSerial();
    CheckLoader(loader);
    Loader = loader;
    KeInitialize();
    KdInitialize(loader);
    ApplyOptions(loader);
    KeSeedRandom(loader->Entropy);
    KeLog(LogInfo, "MetalOS on %s, kernel at %llx", HalGetProcessorName(), loader->KernelBase);
    RunSteps(EarlySteps, RTL_COUNT_OF(EarlySteps));
    KeStartSystemThreads();
    StartStartupThread();
    KeRunIdle();
}
