// system.c - system calls about the system: information, time, log, random numbers, the end.
// SPDX-License-Identifier: MIT
#include "sysi.h"
#include "win.h"

#define VERSION_TEXT       "MetalOS 0.1"
#define DEBUG_TEXT_MAXIMUM 4096u
#define DEBUG_LINE         200u // bytes of program text in one line of the log
#define LOG_MAXIMUM        (64u * 1024u)
#define RANDOM_MAXIMUM     (1u << 20)

// Nanoseconds from loader entry to the first user instruction. The counter's rate comes from two
// moments of the kernel's clock; 20 fractional bits keep products below 2^64 for boots of up to an
// hour at 4 GHz.
static uint64_t GetBootTime(void)
{
    uint64_t first = PsGetFirstUserStamp();
    uint64_t stamps = __builtin_ia32_rdtsc() - SysiFacts.StartStamp;
    uint64_t time = KeQueryTime() - SysiFacts.StartTime;
    while (time >> 40 != 0) {
        time >>= 1;
        stamps >>= 1;
    }
    if (first == 0 || stamps == 0)
        return 0;
    uint64_t rate = (time << 20) / stamps;
    return ((first - SysiFacts.LoaderEntryStamp) >> 10) * rate >> 10;
}

static uint64_t GetIdleTime(void)
{
    uint64_t time = 0;
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        KProcessorLoad load;
        KeQueryProcessor(i, &load);
        time += load.IdleTime;
    }
    return time;
}

Status SysGetSystemInfo(UserPointer result)
{
    MmCounters memory;
    MmQueryCounters(&memory);
    SystemInfo info = {
        .ProcessorCount = KeGetProcessorCount(),
        .PageSize = PAGE_SIZE,
        .TotalMemory = memory.PagesTotal * PAGE_SIZE,
        .FreeMemory = memory.PagesFree * PAGE_SIZE,
        .CacheMemory = IoCacheBytes() + LdrGetIdleBytes() + LdrGetSymbolBytes(),
        .UpTime = KeQueryTime(),
        .ProcessCount = PsGetProcessCount(),
        .ThreadCount = PsGetThreadCount(),
        .HandleCount = (uint32_t)ObGetTotalHandleCount(),
        .WindowCount = WinGetWindowCount(nullptr),
        .BootTime = GetBootTime(),
        .IdleTime = GetIdleTime(),
        .Version = VERSION_TEXT,
    };
    return MmCopyToUser(result, &info, sizeof(info));
}

Status SysGetProcessorInfo(uint32_t processor, UserPointer result)
{
    if (processor == CurrentProcessor)
        processor = KeGetCurrentProcessorNumber();
    if (processor >= KeGetProcessorCount())
        return StatusInvalidParameter;
    KProcessorLoad load;
    KeQueryProcessor(processor, &load);
    ProcessorInfo info = {
        .Number = processor,
        .IdleTime = load.IdleTime,
        .UpTime = KeQueryTime(),
        .ContextSwitches = load.ContextSwitches,
        .Interrupts = load.Interrupts,
        .DeferredCalls = load.Dpcs,
        .Steals = load.Steals,
        .Flushes = load.Flushes,
    };
    return MmCopyToUser(result, &info, sizeof(info));
}

typedef struct CounterList {
    KCounterSink Sink;
    SysList List;
} CounterList;

static void ListCounter(KCounterSink *sink, const char *name, uint64_t value)
{
    CounterInfo info = {.Value = value};
    RtlFormat(info.Name, sizeof(info.Name), "%s: %s", sink->Subsystem, name);
    (void)SysiListItem(&RTL_CONTAINER_OF(sink, CounterList, Sink)->List, &info, sizeof(info));
}

Status SysListCounters(UserPointer items, uint64_t capacity, UserPointer count)
{
    CounterList list = {.Sink.Take = ListCounter, .List = {.Items = items, .Capacity = capacity}};
    KeReadCounters(&list.Sink);
    return SysiEndList(&list.List, count);
}

Status SysQueryTime(UserPointer monotonic, UserPointer system)
{
    uint64_t now = KeQueryTime(), date = KeQuerySystemTime();
    Status status = StatusSuccess;
    if (monotonic != 0)
        status = MmCopyToUser(monotonic, &now, sizeof(now));
    if (status == StatusSuccess && system != 0)
        status = MmCopyToUser(system, &date, sizeof(date));
    return status;
}

// Writes one line of a program's text to the log, with control characters shown as '?'.
static void LogLine(const char *name, char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7F)
            text[i] = text[i] == '\t' ? ' ' : '?';
    KeLog(LogInfo, "%s: %.*s", name, (int)length, text);
}

Status SysDebugPrint(UserPointer text, uint64_t length)
{
    if (length > DEBUG_TEXT_MAXIMUM)
        return StatusInvalidParameter;
    char *copy = PsGetTransferBuffer();
    if (copy == nullptr)
        return StatusNoMemory;
    Status status = MmCopyFromUser(copy, text, length);
    if (status != StatusSuccess)
        return status;
    ProcessInfo info;
    PsQueryProcess(PsGetCurrentProcess(), &info);
    for (size_t start = 0; start < length;) {
        size_t end = start;
        while (end < length && end - start < DEBUG_LINE && copy[end] != '\n' && copy[end] != '\0')
            end++;
        if (end > start)
            LogLine(info.Name, copy + start, end - start);
        start = end < length && (copy[end] == '\n' || copy[end] == '\0') ? end + 1 : end;
    }
    return StatusSuccess;
}

Status SysReadSystemLog(UserPointer buffer, uint64_t size, UserPointer length)
{
    Status status = MmCheckUserRange(length, sizeof(uint64_t));
    size_t capacity = RTL_MIN(size, (uint64_t)LOG_MAXIMUM);
    if (status == StatusSuccess && capacity != 0)
        status = MmCheckUserRange(buffer, capacity);
    if (status != StatusSuccess)
        return status;
    char *copy = MmAllocateHeap(RTL_MAX(capacity, 1), SYS_TAG);
    if (copy == nullptr)
        return StatusNoMemory;
    uint64_t count = KeReadLog(copy, capacity);
    status = count == 0 ? StatusSuccess : MmCopyToUser(buffer, copy, count);
    MmFreeHeap(copy);
    return status == StatusSuccess ? MmCopyToUser(length, &count, sizeof(count)) : status;
}

Status SysGetRandomBytes(UserPointer buffer, uint64_t size)
{
    if (size > RANDOM_MAXIMUM)
        return StatusInvalidParameter;
    uint8_t piece[256];
    for (uint64_t done = 0; done < size; done += sizeof(piece)) {
        size_t count = RTL_MIN(size - done, (uint64_t)sizeof(piece));
        KeGetRandomBytes(piece, count);
        Status status = MmCopyToUser(buffer + done, piece, count);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

Status SysFailAllocation(uint64_t n, uint32_t perStack, uint32_t inherit, UserPointer result)
{
    uint64_t failures[2];
    Status status = KeSetFailingAllocation(n, perStack, inherit != 0, failures);
    if (status == StatusSuccess && result != 0)
        status = MmCopyToUser(result, failures, sizeof(failures));
    return status;
}

Status SysShutdownSystem(uint32_t action, int32_t exitCode)
{
    if (action != ShutdownPowerOff && action != ShutdownRestart)
        return StatusInvalidParameter;
    SysRequestShutdown(action, exitCode);
    return SysiWaitForShutdown();
}
