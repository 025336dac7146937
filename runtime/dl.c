// dlopen and its kin, over LoadLibrary.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"

#include <dlfcn.h>
#include <stdio.h>

static char message[256];
static bool failed;

static bool Note(Status status, const char *name)
{
    if (status == StatusSuccess)
        return true;
    snprintf(message, sizeof message, "%s: %s", name, GetStatusText(status));
    failed = true;
    return false;
}

// Binding and scope flags make no difference: a library is bound when it is loaded, by name.
void *dlopen(const char *name, int flags)
{
    LibraryHandle library;
    if (!name)
        return Note(StatusNotSupported, "the program itself"), nullptr;
    return Note(LoadLibrary(name, &library), name) ? library : nullptr;
}

void *dlsym(void *restrict library, const char *restrict name)
{
    void *address;
    return Note(GetProcAddress(library, name, &address), name) ? address : nullptr;
}

int dlclose(void *library)
{
    return Note(FreeLibrary(library), "library") ? 0 : -1;
}

char *dlerror(void)
{
    bool had = failed;
    failed = false;
    return had ? message : nullptr;
}
