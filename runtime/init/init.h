// init.h - between the init library, linked into every program, and mosrt.dll.
// SPDX-License-Identifier: MIT
#pragma once

#include "ProcessAbi.h"

#if defined(METALOS_BUILD_RUNTIME)
#define RT_API __declspec(dllexport)
#else
#define RT_API __declspec(dllimport)
#endif

typedef struct RtProgram {
    uint32_t Size; // of this structure
    uint32_t Reserved;
    int (*Main)(int argc, char **argv, char **environment);
    uint32_t (*InitThread)(ThreadEntry entry, void *argument); // first code of each further thread
} RtProgram;

// Takes the process over from InitProcess; never returns.
RT_API void RtStartProcess(ProcessBlock *process, const RtProgram *program)
    __attribute__((noreturn));
// A stack buffer was overrun: says so and ends the process.
RT_API void RtReportStackSmash(void) __attribute__((noreturn));

// constructors.c: what lies between the bounds, null pointers aside.
typedef void InitFunction(void);
extern InitFunction *const InitConstructors[], *const InitConstructorsEnd[];
extern InitFunction *const InitDestructors[], *const InitDestructorsEnd[];
static inline void InitCall(InitFunction *const *from, InitFunction *const *end)
{
    for (; from < end; from++)
        if (*from)
            (*from)();
}

void InitProcess(ProcessBlock *process) __attribute__((noreturn));
uint32_t InitThread(ThreadEntry entry, void *argument);
int InitLibrary(void *base, uint32_t reason, void *reserved);
