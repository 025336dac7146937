// metalos.c - the benchmark's operations as MetalOS has them.
// SPDX-License-Identifier: MIT
#include "platform.h"

#include "MetalOS.h"
#include "SystemCalls.h"

#include <stdio.h>
#include <stdlib.h>

#define PROGRAM "/tests/bench.exe"
#define FOLDER  "/EFI" // for files: small, and the first of the disk, whatever else is on it

static Handle screen;

void PlatformStart(void) {}

void PlatformEnd(void) {}

void PlatformFail(const char *what)
{
    printf("bench: failed: %s\n", what);
    exit(1);
}

static void Check(Status status, const char *what)
{
    if (status != StatusSuccess) {
        printf("bench: %s: %s\n", what, GetStatusText(status));
        exit(1);
    }
}

static void CallNumber(uint32_t number, uint64_t first, uint64_t second)
{
    register uint64_t argument __asm__("r10") = first;
    __asm__ volatile("syscall"
                     : "+a"(number), "+r"(argument), "+d"(second)
                     :
                     : "rcx", "r8", "r9", "r11", "memory");
}

// ---- system calls
void PlatformNullCall(void)
{
    static volatile uint32_t word;
    CallNumber(SystemCallWakeByAddress, (uint64_t)&word, 1);
}

void PlatformUnknownCall(void)
{
    CallNumber(SystemCallCount, 0, 0);
}

void PlatformYield(void)
{
    Sleep(0);
}

void PlatformSleepMillisecond(void)
{
    Sleep(1);
}

// ---- threads and processes
static uint32_t EnterThread(void *argument)
{
    ((void (*)(void))argument)();
    return 0;
}

Object PlatformStartThread(void (*entry)(void))
{
    Handle thread;
    Check(CreateThread(EnterThread, (void *)entry, 0, &thread), "CreateThread");
    return thread;
}

static void Join(Object object)
{
    Check(WaitForSingleObject((Handle)object, InfiniteTimeout), "WaitForSingleObject");
    Check(CloseHandle((Handle)object), "CloseHandle");
}

void PlatformJoinThread(Object thread)
{
    Join(thread);
}

Object PlatformMakeEvent(void)
{
    Handle event;
    Check(CreateEvent(false, false, &event), "CreateEvent");
    return event;
}

void PlatformSetEvent(Object event)
{
    Check(SetEvent((Handle)event), "SetEvent");
}

void PlatformWaitEvent(Object event)
{
    Check(WaitForSingleObject((Handle)event, InfiniteTimeout), "WaitForSingleObject");
}

void PlatformMakePipe(Object *readEnd, Object *writeEnd)
{
    Handle in, out;
    Check(CreatePipe(&in, &out), "CreatePipe");
    *readEnd = in;
    *writeEnd = out;
}

Object PlatformStartProcess(const char *argument, Object input, Object output)
{
    char command[64];
    snprintf(command, sizeof command, PROGRAM " %s", argument);
    CreateProcessParameters parameters = {
        .CommandLine = command, .StandardInput = (Handle)input, .StandardOutput = (Handle)output};
    Handle process;
    Check(CreateProcess(&parameters, &process), "CreateProcess");
    return process;
}

void PlatformJoinProcess(Object process)
{
    Join(process);
}

Object PlatformStandardInput(void)
{
    return GetStandardHandle(StandardInput);
}

Object PlatformStandardOutput(void)
{
    return GetStandardHandle(StandardOutput);
}

// ---- memory
void *PlatformAllocate(size_t size)
{
    void *base = nullptr;
    Check(VirtualAlloc(&base, size, MemoryReadWrite), "VirtualAlloc");
    return base;
}

void PlatformFree(void *base, size_t size)
{
    (void)size;
    Check(VirtualFree(base), "VirtualFree");
}

void PlatformProtect(void *base, size_t size, Protection protection)
{
    static const MemoryProtection protections[] = {MemoryNoAccess, MemoryRead, MemoryReadWrite};
    Check(VirtualProtect(base, size, protections[protection]), "VirtualProtect");
}

// ---- files
Object PlatformOpen(const char *name, bool create)
{
    Handle file;
    Check(CreateFile(name, FileRead | FileWrite, create ? FileCreateNew : FileOpenExisting, &file),
          "CreateFile");
    return file;
}

void PlatformClose(Object file)
{
    Check(CloseHandle((Handle)file), "CloseHandle");
}

void PlatformDelete(const char *name)
{
    Check(DeleteFile(name), "DeleteFile");
}

void PlatformRewind(Object file)
{
    Check(SetFilePointer((Handle)file, 0, FileBegin, nullptr), "SetFilePointer");
}

bool PlatformRead(Object file, void *buffer, size_t size)
{
    size_t done;
    Status status = ReadFile((Handle)file, buffer, size, &done);
    if (status == StatusEndOfFile)
        return false;
    Check(status, "ReadFile");
    return true;
}

void PlatformWrite(Object file, const void *buffer, size_t size)
{
    size_t done;
    Check(WriteFile((Handle)file, buffer, size, &done), "WriteFile");
}

// ---- display
uint32_t *PlatformOpenScreen(void)
{
    const WindowParameters parameters = {
        .Title = "bench", .Width = 1280, .Height = 800}; // without a frame: all of the screen
    WindowBuffer picture;
    Check(AllocWindow(&parameters, &screen, &picture), "AllocWindow");
    return picture.Pixels;
}

void PlatformShowScreen(void)
{
    Check(PaintWindow(screen, nullptr), "PaintWindow");
}

void PlatformCloseScreen(void)
{
    Check(CloseHandle(screen), "CloseHandle");
}

bool PlatformHasPointer(void)
{
    return true;
}

void PlatformOpenFrame(void)
{
    enum { TitleHeight = 30 };
    const WindowParameters parameters = {.Title = "bench",
                                         .X = 1280 / 2 + PointerSteps * PointerStepX,
                                         .Y = 800 / 2 + PointerSteps * PointerStepY + TitleHeight,
                                         .Width = 400,
                                         .Height = 300,
                                         .Flags = WindowFrame};
    Handle window;
    WindowBuffer picture;
    Check(AllocWindow(&parameters, &window, &picture), "AllocWindow");
}
