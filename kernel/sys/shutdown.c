// shutdown.c - the orderly end of the system.
//
// A thread of its own, there from the start so that the end needs no memory, waits for the request.
// It tells every process to end and gives them PROCESS_GRACE; whoever is still in the kernel then
// is left behind. Then files and devices are brought to rest and the machine is switched off or
// restarted. The log's last line is `shutdown: exit code N`, for whoever runs the machine.
//
// The same thread watches the first process: its end with an error before anybody asked for a
// shutdown stops the system with a report, since nothing else could say what went wrong.
// SPDX-License-Identifier: MIT
#include "kd.h"
#include "sysi.h"
#include "win.h"

#define PROCESS_GRACE (3000 * MILLISECOND)

static KEvent Requested;         // manual reset; set for good
static KEvent InitStarted;       // manual reset
static KEvent Never;             // what a program waits for that asked for the shutdown
static PsProcess *volatile Init; // referenced; valid once InitStarted is set
static volatile uint32_t Asked;  // atomic: 1 from the first request on
static volatile uint32_t Told;   // atomic: Action and ExitCode are written
static volatile uint32_t Ready;  // atomic: the events may be set
static ShutdownAction Action;    // written before Requested is set
static int32_t ExitCode;

bool SysiIsShuttingDown(void)
{
    return __atomic_load_n(&Asked, __ATOMIC_ACQUIRE) != 0;
}

void SysRequestShutdown(ShutdownAction action, int32_t exitCode)
{
    if (__atomic_exchange_n(&Asked, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    Action = action;
    ExitCode = exitCode;
    // Before start-up is that far, SysiInitializeShutdown finds it.
    __atomic_store_n(&Told, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&Ready, __ATOMIC_SEQ_CST) != 0)
        KeSetEvent(&Requested);
}

Status SysiWaitForShutdown(void)
{
    return KeWaitForObject(&Never, UserWait, KE_INFINITE);
}

void SysiWatchInit(PsProcess *init)
{
    Init = init;
    KeSetEvent(&InitStarted);
}

static bool EndProcess(PsProcess *process, void *context)
{
    PsTerminateProcess(process, 0);
    return true;
}

static bool WaitForProcess(PsProcess *process, void *context)
{
    const uint64_t *deadline = context;
    uint64_t now = KeQueryTime();
    void *ended = ObGetDispatcher(process);
    return now < *deadline && KeWaitForObject(ended, KernelWait, *deadline - now) == StatusSuccess;
}

static void EndProcesses(void)
{
    uint64_t deadline = KeQueryTime() + PROCESS_GRACE;
    // A process that was just being made when the request came may appear between the rounds.
    while (PsGetProcessCount() != 0 && KeQueryTime() < deadline) {
        PsForEachProcess(EndProcess, nullptr);
        PsForEachProcess(WaitForProcess, &deadline);
    }
    if (PsGetProcessCount() != 0)
        KeLog(LogWarning, "shutdown: %u processes do not end", PsGetProcessCount());
}

static void ShutDown(void)
{
    KeLog(LogInfo, "shutdown: begins");
    EndProcesses();
    WinShutdown();
    Status status = FsShutdown();
    if (status != StatusSuccess)
        KeLog(LogError, "shutdown: files could not all be written: %s", RtlStatusText(status));
    IoShutdown();
    KeLog(LogInfo, "shutdown: exit code %d", ExitCode);
    KdNotifyShutdown();
    if (Action == ShutdownRestart)
        HalReset();
    AcpiPowerOff();
    KeLog(LogError,
          "shutdown: the firmware does not switch the machine off; it is safe to do so by hand");
}

// Returns once a shutdown is requested, whatever the first process does.
static void WatchInit(void)
{
    void *const first[] = {&Requested, &InitStarted};
    size_t index;
    Status status = KeWaitForMultipleObjects(2, first, false, KernelWait, KE_INFINITE, &index);
    KE_ASSERT(status == StatusSuccess);
    if (index == 0)
        return;
    void *const second[] = {&Requested, ObGetDispatcher(Init)};
    status = KeWaitForMultipleObjects(2, second, false, KernelWait, KE_INFINITE, &index);
    KE_ASSERT(status == StatusSuccess);
    if (index == 0 || SysiIsShuttingDown())
        return;
    ProcessInfo info;
    PsQueryProcess(Init, &info);
    if (info.ExitCode != 0)
        KeBugCheck(BugCheckCriticalProcess, info.ProcessId, info.ExitCode, 0, 0);
    KeLog(LogInfo, "sys: %s has ended", info.Name);
}

static void ShutdownThread(void *context)
{
    WatchInit();
    Status status = KeWaitForObject(&Requested, KernelWait, KE_INFINITE);
    KE_ASSERT(status == StatusSuccess);
    ShutDown();
}

void SysiInitializeShutdown(void)
{
    KeInitializeEvent(&Requested, true, false);
    KeInitializeEvent(&InitStarted, true, false);
    KeInitializeEvent(&Never, true, false);
    __atomic_store_n(&Ready, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&Told, __ATOMIC_SEQ_CST) != 0)
        KeSetEvent(&Requested);
    Status status = PsCreateSystemThread("shutdown", KePrioritySystem, ShutdownThread, nullptr);
    if (status != StatusSuccess)
        KeBugCheck(BugCheckInitialization, (uint64_t)"shutdown thread", status, 0, 0);
}
