// ps.c - lists the processes.
// SPDX-License-Identifier: MIT
#include "tool.h"

int main(int argc, char **argv)
{
    ToolStart(
        argc, argv,
        "ps\n    lists the processes: number, parent, threads, handles, memory, time, name\n");
    size_t count = 0, capacity;
    ProcessInfo *list = nullptr;
    Status status = ListProcesses(nullptr, 0, &count);
    do {
        capacity = count + 8;
        free(list);
        list = calloc(capacity, sizeof(*list));
        status = list == nullptr ? StatusNoMemory : ListProcesses(list, capacity, &count);
    } while (status == StatusSuccess && count > capacity);
    if (status != StatusSuccess) {
        ToolFail("the list", status);
        return ToolEnd();
    }
    puts("  PID PARENT THREADS HANDLES   MEMORY      TIME  NAME");
    for (size_t i = 0; i < count; i++) {
        const ProcessInfo *info = &list[i];
        unsigned long long time = (info->KernelTime + info->UserTime) / 1000000;
        printf("%5u %6u %7u %7u %6llu K %5llu.%03llu  %s%s\n", info->ProcessId,
               info->ParentProcessId, info->ThreadCount, info->HandleCount,
               (unsigned long long)info->ResidentMemory / 1024, time / 1000, time % 1000,
               info->Name, info->Exited ? " (ended)" : "");
    }
    return ToolEnd();
}
