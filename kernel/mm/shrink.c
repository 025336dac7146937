// shrink.c - asking caches for their memory back.
//
// A cache registers a function. It is called at PassiveLevel from an allocation of user memory or a
// page fault that finds too little, never from a kernel allocation, whose caller may hold the
// cache's own lock.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define MAXIMUM_SHRINKERS 8

static size_t (*shrinkers[MAXIMUM_SHRINKERS])(size_t pages); // written at start-up
static volatile size_t shrinkerCount;

void MmRegisterShrinker(size_t (*shrink)(size_t pages))
{
    KE_ASSERT(shrinkerCount < MAXIMUM_SHRINKERS);
    shrinkers[shrinkerCount] = shrink;
    __atomic_fetch_add(&shrinkerCount, 1, __ATOMIC_RELEASE);
}

size_t MiShrinkCaches(size_t pages)
{
    size_t given = 0;
    for (unsigned pass = 0; pass < 2; pass++) // what one let go of another may give back
        for (size_t i = 0; i < shrinkerCount && given < pages; i++)
            given += shrinkers[i](pages - given);
    return given;
}
