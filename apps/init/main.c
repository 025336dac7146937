// init.exe - the first process: starts what /metalos.cfg asks for.
//
// With `exec = PROGRAM ARGUMENTS` lines it runs those programs one after another, output to the
// machine's console, and powers off with the last one's exit code; 127 stands for a program that
// could not be started. Otherwise it starts every `run = PROGRAM ARGUMENTS` line's program at once
// and stays, asleep: it waits for its children only to give their handles back. `console = com1`
// adds a shell on the machine's console, started again whenever it ends.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include "rtl/rtl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGURATION "/metalos.cfg"
#define CONSOLE       "/device/console"
#define SHELL         "/system/shell.exe"
constexpr size_t MaximumConfiguration = 65536;
constexpr size_t MaximumCommand = 4096;
constexpr size_t MaximumChildren = 63; // one wait takes 64 objects
constexpr int CannotStart = 127;

static Handle console;

static void Say(const char *what, const char *text)
{
    char line[1200];
    size_t transferred;
    int length = snprintf(line, sizeof line, "init: %s%s\n", what, text);
    if (length < 0)
        return;
    size_t size = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    if (!console || WriteFile(console, line, size, &transferred) != StatusSuccess)
        (void)DebugPrint(line);
}

// The file's text, NUL-terminated; empty when it cannot be read.
static char *ReadConfiguration(void)
{
    static char text[MaximumConfiguration];
    Handle file;
    size_t length = 0, transferred;
    Status status = CreateFile(CONFIGURATION, FileRead, FileOpenExisting, &file);
    if (status != StatusSuccess) {
        Say(CONFIGURATION ": ", GetStatusText(status));
        return text;
    }
    while (length < sizeof text - 1 &&
           (status = ReadFile(file, text + length, sizeof text - 1 - length, &transferred)) ==
               StatusSuccess &&
           transferred)
        length += transferred;
    if (status != StatusSuccess && status != StatusEndOfFile)
        Say(CONFIGURATION ": ", GetStatusText(status));
    text[length] = 0;
    (void)CloseHandle(file);
    return text;
}

static bool Start(const char *commandLine, Handle *process)
{
    CreateProcessParameters parameters = {
        .CommandLine = commandLine,
        .StandardOutput = console,
        .StandardError = console,
    };
    Status status = CreateProcess(&parameters, process);
    if (status == StatusSuccess)
        return true;
    Say("cannot start ", commandLine);
    Say("", GetStatusText(status));
    return false;
}

// Runs one program to its end; its exit code.
static int Execute(const char *commandLine)
{
    Handle process;
    ProcessInfo info;
    if (!Start(commandLine, &process))
        return CannotStart;
    Status status = WaitForSingleObject(process, InfiniteTimeout);
    if (status == StatusSuccess)
        status = GetProcessInfo(process, &info);
    (void)CloseHandle(process);
    if (status != StatusSuccess) {
        Say("waiting: ", GetStatusText(status));
        return CannotStart;
    }
    return (int)info.ExitCode;
}

// A shell that reads and writes the machine's console.
static bool StartShell(Handle *process)
{
    CreateProcessParameters parameters = {.CommandLine = SHELL};
    Handle both;
    Status status = CreateFile(CONSOLE, FileRead | FileWrite, FileOpenExisting, &both);
    if (status == StatusSuccess) {
        parameters.StandardInput = parameters.StandardOutput = parameters.StandardError = both;
        status = CreateProcess(&parameters, process);
        (void)CloseHandle(both);
    }
    if (status != StatusSuccess)
        Say(SHELL ": ", GetStatusText(status));
    return status == StatusSuccess;
}

// Gives children's handles back as they end, then sleeps for ever. The first child may be the
// console's shell.
static void WaitForChildren(Handle *children, size_t count, bool withShell)
{
    while (count) {
        size_t index = 0;
        Status status = WaitForMultipleObjects(count, children, false, InfiniteTimeout, &index);
        if (status != StatusSuccess || index >= count) {
            Say("waiting: ", GetStatusText(status));
            break;
        }
        (void)CloseHandle(children[index]);
        if (withShell && index == 0) {
            Sleep(1000); // should it end at once, again and again
            withShell = StartShell(&children[0]);
            if (withShell)
                continue;
        }
        children[index] = children[--count];
    }
    for (;;)
        Sleep(InfiniteTimeout - 1);
}

int main(void)
{
    char command[MaximumCommand];
    Handle children[MaximumChildren];
    size_t count = 0;
    int exitCode = 0;
    bool executed = false;
    if (CreateFile(CONSOLE, FileWrite, FileOpenExisting, &console) != StatusSuccess)
        console = InvalidHandle;
    const char *options = ReadConfiguration();
    for (size_t i = 0; RtlFindOption(options, "exec", i, command, sizeof command); i++) {
        exitCode = Execute(command);
        executed = true;
    }
    if (executed) {
        Status status = ShutdownSystem(ShutdownPowerOff, exitCode);
        Say("cannot power off: ", GetStatusText(status));
    }
    bool withShell = RtlFindOption(options, "console", 0, command, sizeof command) &&
                     RtlCompareNoCase(command, "com1") == 0 && StartShell(&children[0]);
    count += withShell;
    for (size_t i = 0; !executed && RtlFindOption(options, "run", i, command, sizeof command); i++)
        if (command[0] != 0 && count < MaximumChildren && Start(command, &children[count]))
            count++;
    WaitForChildren(children, count, withShell);
    return 0;
}
