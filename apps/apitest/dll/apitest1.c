// apitest1.dll - loaded by apitest.exe; depends on apitest2.dll, which must be ready when it is
// attached.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __declspec(dllexport)
#define IMPORT __declspec(dllimport)

IMPORT extern int Apitest2Value;
IMPORT int Apitest2Next(void);
IMPORT int Apitest2Events(unsigned reason);

static _Thread_local int local = 7;
static int dependencyReady;
int *volatile pointerToOwnData = &dependencyReady; // needs a relocation

EXPORT int Apitest1Add(int a, int b);
EXPORT int Apitest1DependencyReady(void);
EXPORT int Apitest1Next(void);
EXPORT int Apitest1DependencyNext(void);
EXPORT char *Apitest1Format(int value);
int DllMain(void *base, uint32_t reason, void *reserved);

int Apitest1Add(int a, int b)
{
    return a + b;
}
int Apitest1DependencyReady(void)
{
    return *pointerToOwnData;
}
int Apitest1Next(void)
{
    return ++local;
}
int Apitest1DependencyNext(void)
{
    return Apitest2Next();
}

char *Apitest1Format(int value)
{
    char *text = malloc(32);
    if (text)
        snprintf(text, 32, "value %d", value);
    return text;
}

int DllMain(void *base, uint32_t reason, void *reserved)
{
    if (reason == DllProcessAttach)
        dependencyReady = Apitest2Value == 42 && Apitest2Events(DllProcessAttach) == 1;
    return 1;
}
