// check.c - what all parts of abuse.exe do: judge, count what the system has, run programs.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <stdarg.h>
#include <stdio.h>

// Bytes: kernel heap pages that stay half full, and what each processor keeps at hand.
#define SLACK           65536u
#define PROCESSOR_SLACK 16384u

static unsigned passed, failed;

int Conclude(void)
{
    printf("abuse: %u passed, %u failed\n", passed, failed);
    return failed < 100 ? (int)failed : 100;
}

bool Check(bool holds, const char *format, ...)
{
    if (holds) {
        passed++;
        return true;
    }
    failed++;
    va_list arguments;
    va_start(arguments, format);
    printf("abuse: FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    fflush(stdout);
    va_end(arguments);
    return false;
}

// ---- counters
void CountAll(Counters *counters)
{
    OK(GetProcessInfo(CurrentProcess, &counters->Process));
    OK(GetSystemInfo(&counters->System));
}

uint64_t GetFreeMemory(const Counters *counters)
{
    return counters->System.FreeMemory + counters->System.CacheMemory;
}

static bool IsBack(const Counters *before, const Counters *now)
{
    uint64_t slack = SLACK + now->System.ProcessorCount * PROCESSOR_SLACK;
    return GetFreeMemory(now) + slack >= GetFreeMemory(before) &&
           now->System.HandleCount <= before->System.HandleCount &&
           now->System.ProcessCount <= before->System.ProcessCount &&
           now->System.ThreadCount <= before->System.ThreadCount &&
           now->System.WindowCount <= before->System.WindowCount &&
           now->Process.CommittedMemory <= before->Process.CommittedMemory;
}

void CompareCounters(const Counters *before, const char *what)
{
    Counters now = {};
    for (int i = 0; i < 100; i++) {
        CountAll(&now);
        if (IsBack(before, &now))
            return;
        Sleep(20);
    }
    Check(false,
          "%s: memory %lld, handles %d, processes %d, threads %d, windows %d, committed %lld more",
          what, (long long)(GetFreeMemory(before) - GetFreeMemory(&now)),
          (int)(now.System.HandleCount - before->System.HandleCount),
          (int)(now.System.ProcessCount - before->System.ProcessCount),
          (int)(now.System.ThreadCount - before->System.ThreadCount),
          (int)(now.System.WindowCount - before->System.WindowCount),
          (long long)(now.Process.CommittedMemory - before->Process.CommittedMemory));
}

// ---- programs
Status StartProgram(const char *commandLine, Handle *process)
{
    const CreateProcessParameters parameters = {.CommandLine = commandLine};
    return CreateProcess(&parameters, process);
}

uint32_t WaitForProgram(Handle process, uint32_t milliseconds, bool *killed)
{
    ProcessInfo info = {};
    Status status = WaitForSingleObject(process, milliseconds);
    if (killed)
        *killed = status == StatusTimeout;
    if (status == StatusTimeout) {
        OK(TerminateProcess(process, 1));
        OK(WaitForSingleObject(process, KILL_TIME));
    }
    OK(GetProcessInfo(process, &info));
    OK(CloseHandle(process));
    return info.ExitCode;
}

uint32_t RunSelf(const char *words, uint32_t milliseconds)
{
    char line[128];
    Handle process;
    snprintf(line, sizeof line, ABUSE_PROGRAM " %s", words);
    Status status = StartProgram(line, &process);
    if (!Check(status == StatusSuccess, "%s: %s", line, GetStatusText(status)))
        return UINT32_MAX;
    bool killed;
    uint32_t code = WaitForProgram(process, milliseconds, &killed);
    Check(!killed, "%s does not end", line);
    return code;
}
