// check.c - what all parts of limits.exe do: judge, start programs and end them.
// SPDX-License-Identifier: MIT
#include "limits.h"

#include <stdarg.h>
#include <stdio.h>

static unsigned passed, wrong;

int Conclude(void)
{
    printf("limits: %u passed, %u wrong\n", passed, wrong);
    return wrong < 100 ? (int)wrong : 100;
}

bool Check(bool holds, const char *format, ...)
{
    if (holds) {
        passed++;
        return true;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("limits: WRONG: ");
    vprintf(format, arguments);
    printf("\n");
    fflush(stdout);
    va_end(arguments);
    wrong++;
    return false;
}

Status StartProgram(const char *commandLine, Handle input, Handle output, Handle *process)
{
    const CreateProcessParameters parameters = {
        .CommandLine = commandLine,
        .StandardInput = input,
        .StandardOutput = output,
        .StandardError = output,
    };
    return CreateProcess(&parameters, process);
}

uint32_t EndProgram(Handle process, uint32_t milliseconds, bool *killed)
{
    ProcessInfo info = {};
    bool late = WaitForSingleObject(process, milliseconds) == StatusTimeout;
    if (late)
        (void)TerminateProcess(process, 3);
    Check(WaitForSingleObject(process, END_TIME) == StatusSuccess, "a killed program does not end");
    (void)GetProcessInfo(process, &info);
    (void)CloseHandle(process);
    if (killed)
        *killed = late;
    return info.ExitCode;
}
