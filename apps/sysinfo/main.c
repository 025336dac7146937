// sysinfo.exe - prints what GetSystemInfo says: memory, processes, windows. Started from the
// desktop, where nobody reads its output, it writes to the kernel log.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include <stdarg.h>
#include <stdio.h>
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

int main(int argc, char **argv)
{
    SystemInfo info;
    VolumeInfo volume;
    Rect screen;
    if (argc > 1) {
        int help = !strcmp(argv[1], "--help");
        fprintf(help ? stdout : stderr,
                "usage: sysinfo.exe\nPrints memory, processes, windows, disk and screen.\n");
        return help ? 0 : 2;
    }
    ProcessInfo own = {}; // touched before anything is counted
    Status status = GetSystemInfo(&info);
    if (status == StatusSuccess)
        status = GetProcessInfo(CurrentProcess, &own);
    if (status != StatusSuccess) {
        fprintf(stderr, "sysinfo: %s\n", GetStatusText(status));
        return 1;
    }
    Print("sysinfo: %s, %u processors, up %llu ms\n", info.Version, info.ProcessorCount,
          (unsigned long long)(info.UpTime / 1000000));
    Print("sysinfo: memory %llu KiB, free %llu KiB, cache %llu KiB, this program %llu KiB\n",
          Kib(info.TotalMemory), Kib(info.FreeMemory), Kib(info.CacheMemory),
          Kib(own.ResidentMemory));
    Print("sysinfo: %u processes, %u threads, %u handles, %u windows\n", info.ProcessCount,
          info.ThreadCount, info.HandleCount, info.WindowCount);
    if (GetVolumeInfo(&volume) == StatusSuccess)
        Print("sysinfo: disk %s, %llu KiB, free %llu KiB\n", volume.Label, Kib(volume.TotalBytes),
              Kib(volume.FreeBytes));
    if (GetScreenRect(&screen) == StatusSuccess)
        Print("sysinfo: screen %dx%d\n", (int)screen.Right, (int)screen.Bottom);
    return 0;
}
