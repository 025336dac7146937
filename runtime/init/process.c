// The entry point of every program, called by the kernel, and the first code of its further
// threads.
// SPDX-License-Identifier: MIT
#include "init.h"

extern int atexit(void (*function)(void));
extern int main(int argc, char **argv, char **environment);
extern uint64_t __security_cookie;

uint32_t InitThread(ThreadEntry entry, void *argument)
{
    return entry(argument);
}

static void CallDestructors(void)
{
    InitCall(InitDestructors, InitDestructorsEnd);
}

static int RunProgram(int argc, char **argv, char **environment)
{
    if (InitDestructorsEnd - InitDestructors > 1)
        (void)atexit(CallDestructors);
    InitCall(InitConstructors, InitConstructorsEnd);
    return main(argc, argv, environment);
}

__attribute__((no_stack_protector)) void InitProcess(ProcessBlock *process)
{
    // The lowest byte stays 0: a string copy that overruns a buffer cannot write the cookie back.
    __security_cookie = process->RandomSeed[0] << 8;
    static const RtProgram program = {
        .Size = sizeof(RtProgram),
        .Main = RunProgram,
        .InitThread = InitThread,
    };
    RtStartProcess(process, &program);
}
