// linktest.exe - a program that imports a library which imports another: both are there before
// main.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#define IMPORT __declspec(dllimport)
IMPORT int Apitest1Add(int a, int b);
IMPORT int Apitest1DependencyReady(void);
IMPORT int Apitest1Next(void);

static _Thread_local int local = 30;

static uint32_t UseLocals(void *argument)
{
    return (uint32_t)(Apitest1Next() + ++local);
}

int main(void)
{
    Handle thread;
    uint32_t code = 0;
    LibraryHandle library;
    if (!Apitest1DependencyReady() || Apitest1Next() != 8 || ++local != 31)
        return 1;
    if (CreateThread(UseLocals, nullptr, 0, &thread) != StatusSuccess ||
        WaitForSingleObject(thread, 10000) != StatusSuccess ||
        GetThreadExitCode(thread, &code) != StatusSuccess || code != 8 + 31)
        return 2;
    // What the program itself needs is never unloaded.
    for (int i = 0; i < 3; i++)
        if (LoadLibrary("apitest1", &library) != StatusSuccess ||
            FreeLibrary(library) != StatusSuccess)
            return 3;
    return Apitest1Add(40, 2);
}
