// start.c - apitest starts itself, as a child.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>

Status StartChild(const char *words, Handle input, Handle output, Handle error, Handle *process)
{
    char line[2048];
    snprintf(line, sizeof line, "/tests/apitest.exe --child %s", words);
    CreateProcessParameters parameters = {
        .CommandLine = line,
        .StandardInput = input,
        .StandardOutput = output,
        .StandardError = error,
    };
    return CreateProcess(&parameters, process);
}

int EndChild(Handle process)
{
    ProcessInfo info = {};
    bool ended = OK(WaitForSingleObject(process, 20000));
    if (ended)
        ended = OK(GetProcessInfo(process, &info)) && EQUAL(info.Exited, 1);
    else
        (void)TerminateProcess(process, 1);
    OK(CloseHandle(process));
    return ended ? (int)info.ExitCode : -1;
}

int RunChild(const char *words)
{
    Handle process;
    if (!NEEDED(StartChild(words, InvalidHandle, InvalidHandle, InvalidHandle, &process)))
        return -1;
    return EndChild(process);
}
