// sysinfo.exe - prints what GetSystemInfo says: memory, processes, windows. Started from the
// desktop, where nobody reads its output, it writes to the kernel log.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void Print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void Print(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (GetStandardHandle(StandardOutput) != InvalidHandle)
        fputs(line, stdout);
    else
        (void)DebugPrint(line);
}

static unsigned long long Kib(uint64_t bytes)
{
    return bytes / 1024;
}

// Resident bytes of all programs together.
static uint64_t MemoryOfPrograms(void)
{
    static ProcessInfo list[64];
    size_t count = 0;
    uint64_t sum = 0;
    if (ListProcesses(list, sizeof(list) / sizeof(list[0]), &count) != StatusSuccess)
        return 0;
    for (size_t i = 0; i < count && i < sizeof(list) / sizeof(list[0]); i++)
        sum += list[i].ResidentMemory;
    return sum;
}

static Status Tell(void)
{
    SystemInfo info;
    VolumeInfo volume;
    Rect screen;
    ProcessInfo own = {}; // touched before anything is counted
    (void)MemoryOfPrograms();
    Status status = GetSystemInfo(&info);
    if (status == StatusSuccess)
        status = GetProcessInfo(CurrentProcess, &own);
    if (status != StatusSuccess)
        return status;
    Print("sysinfo: %s, %u processors, up %llu ms\n", info.Version, info.ProcessorCount,
          (unsigned long long)(info.UpTime / 1000000));
    Print("sysinfo: memory %llu KiB, free %llu KiB, cache %llu KiB, this program %llu KiB, "
          "programs %llu KiB\n",
          Kib(info.TotalMemory), Kib(info.FreeMemory), Kib(info.CacheMemory),
          Kib(own.ResidentMemory), Kib(MemoryOfPrograms()));
    Print("sysinfo: %u processes, %u threads, %u handles, %u windows\n", info.ProcessCount,
          info.ThreadCount, info.HandleCount, info.WindowCount);
    if (GetVolumeInfo(&volume) == StatusSuccess)
        Print("sysinfo: disk %s, %llu KiB, free %llu KiB\n", volume.Label, Kib(volume.TotalBytes),
              Kib(volume.FreeBytes));
    if (GetScreenRect(&screen) == StatusSuccess)
        Print("sysinfo: screen %dx%d\n", (int)screen.Right, (int)screen.Bottom);
    return StatusSuccess;
}

int main(int argc, char **argv)
{
    bool again = argc == 3 && !strcmp(argv[1], "--every");
    if (argc > 1 && !again) {
        int help = !strcmp(argv[1], "--help");
        fprintf(help ? stdout : stderr, "usage: sysinfo.exe [--every SECONDS]\n"
                                        "Prints memory, processes, windows, disk and screen.\n");
        return help ? 0 : 2;
    }
    Status status = Tell();
    while (again && status == StatusSuccess) {
        fflush(stdout);
        Sleep((uint32_t)strtoul(argv[2], nullptr, 10) * 1000);
        status = Tell();
    }
    if (status == StatusSuccess)
        return 0;
    fprintf(stderr, "sysinfo: %s\n", GetStatusText(status));
    return 1;
}
