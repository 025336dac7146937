// mem.c - memory and disk: how much there is and how much is free.
// SPDX-License-Identifier: MIT
#include "tool.h"

static void Line(const char *name, uint64_t bytes, uint64_t all)
{
    printf("%-18s %9llu KiB", name, (unsigned long long)bytes / 1024);
    if (all > 0)
        printf("  %3llu %%", (unsigned long long)(bytes * 100 / all));
    putchar('\n');
}

int main(int argc, char **argv)
{
    SystemInfo system;
    VolumeInfo volume;
    ToolStart(argc, argv,
              "mem\n    says how much memory and disk there is, and how much is free\n");
    Status status = GetSystemInfo(&system);
    if (status != StatusSuccess) {
        ToolFail("memory", status);
        return ToolEnd();
    }
    Line("memory", system.TotalMemory, 0);
    Line("  free", system.FreeMemory, system.TotalMemory);
    Line("  cache", system.CacheMemory, system.TotalMemory);
    status = GetVolumeInfo(&volume);
    if (status == StatusSuccess) {
        Line("disk", volume.TotalBytes, 0);
        Line("  free", volume.FreeBytes, volume.TotalBytes);
    } else {
        ToolFail("disk", status);
    }
    printf("%u processes, %u threads, %u handles, %u windows\n", system.ProcessCount,
           system.ThreadCount, system.HandleCount, system.WindowCount);
    return ToolEnd();
}
