// start.c - a process from its first instruction in mosrt.dll to its end.
//
// The kernel has mapped the program and this library, bound the program's imports from here and
// runs the init library's InitProcess, which knows main and hands it over to RtStartProcess:
//
//   1. stack cookie of this library; which memory functions suit the processor; where faults go
//   2. the first thread's runtime data: errno, locale, TLS slots (thread.c)
//   3. the C library: environment, descriptors 0-2 over the standard handles (posix_file.c)
//   4. the program's remaining imports: other libraries, depth first, each attached before its
//   importer;
//      then the program's own TLS callbacks (loader.c)
//   5. argc and argv from the command line, main, exit
//
// exit runs the atexit functions, tells the libraries, flushes stdio and ends the process with all
// its threads. ExitProcess ends it at once.
//
// gs:[0x68] (ThreadBlock.RuntimeData) is the thread's runtime data from step 2 on; before that
// nothing may use errno or stdio. Locks: the loader lock (recursive, loader.c) before musl's and
// the heap's, which are leaves. Nothing here calls the program's code with another lock than the
// loader lock held.
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern uint64_t __security_cookie;

static ProcessBlock *process;
static const RtProgram *program;

ProcessBlock *RtGetProcess(void)
{
    return process;
}
const RtProgram *RtGetProgram(void)
{
    return program;
}

void RtExitProcess(int code)
{
    PxCloseAll();
    ExitProcess((uint32_t)code);
}

static void WriteError(const char *text)
{
    size_t length = strlen(text), transferred = 0;
    Handle error = GetStandardHandle(StandardError);
    if (error == InvalidHandle || WriteFile(error, text, length, &transferred) != StatusSuccess)
        (void)SysDebugPrint(text, length < 4096 ? length : 4096);
}

void RtFatal(int exitCode, const char *text)
{
    char line[512];
    const char *path = process->ProgramPath, *name = strrchr(path, '/');
    snprintf(line, sizeof line, "%s: %s\n", name ? name + 1 : path, text);
    WriteError(line);
    ExitProcess((uint32_t)exitCode);
}

void RtReportStackSmash(void)
{
    RtFatal(134, "a buffer on the stack was overrun");
}

static int RunMain(void)
{
    const char *line = process->CommandLine;
    size_t length = strlen(line), capacity = length / 2 + 2, count;
    char **arguments = malloc(capacity * sizeof *arguments + length + 1);
    if (!arguments)
        RtFatal(127, "out of memory for the arguments");
    RtSplitCommandLine(line, (char *)(arguments + capacity), length + 1, arguments, capacity,
                       &count);
    return program->Main((int)count, arguments, *__metalos_environ());
}

// The environment array is copied: setenv and putenv change it. Its strings stay where they are.
static char **CopyEnvironment(void)
{
    size_t count = 0;
    while (process->Environment && process->Environment[count])
        count++;
    char **copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        RtFatal(127, "out of memory for the environment");
    for (size_t i = 0; i < count; i++)
        copy[i] = (char *)process->Environment[i];
    copy[count] = nullptr;
    return copy;
}

static void CheckAbi(void)
{
    if (process->Magic != PROCESS_BLOCK_MAGIC || process->Version != PROCESS_ABI_VERSION ||
        process->Size < sizeof *process)
        ExitProcess(127);
}

// Runs with the new cookie: its frame is checked like any other.
__attribute__((noinline, noreturn)) static void StartWithCookie(void)
{
    CheckAbi();
    RtSelectMemoryFunctions();
    RtStartExceptions();
    if (RtStartFirstThread() != StatusSuccess)
        RtFatal(127, "out of memory at start");
    RtInitializeFiles();
    CrtInitialize(process->ProgramPath, CopyEnvironment());
    char missing[256], text[320];
    Status status = RtLoadProgram(missing, sizeof missing);
    if (status != StatusSuccess) {
        snprintf(text, sizeof text, "cannot load %s (%s)", missing, GetStatusText(status));
        RtFatal(127, text);
    }
    exit(RunMain());
}

__attribute__((no_stack_protector)) void RtStartProcess(ProcessBlock *block,
                                                        const RtProgram *description)
{
    __security_cookie = block->RandomSeed[1] << 8;
    process = block;
    program = description;
    StartWithCookie();
}
