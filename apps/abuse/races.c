// races.c - arguments that change while the kernel looks at them.
//
// For each pointer of each call, a child process makes the call again and again with the pointer
// to a page that another thread meanwhile writes nonsense into, takes away and gives back. Any
// answer will do; the kernel must stay up, the child must be able to end, and nothing may be left.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE       4096u
#define REPEATS    40u
#define COPIED     256u    // bytes of the good argument that begin the page
#define CHILD_TIME 100000u // milliseconds: a sanitized kernel paints a hundred large windows

static struct {
    uint8_t *Page;
    uint8_t Good[COPIED];
    volatile bool Stop;
    Handle Thread;
} race;

static uint64_t Next(uint64_t *state) // xorshift64*
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

// Nobody but this thread touches the page in user mode.
static uint32_t ChangePage(void *argument)
{
    uint64_t state = 88172645463325252ull;
    while (!race.Stop) {
        (void)VirtualProtect(race.Page, PAGE, MemoryReadWrite);
        memcpy(race.Page, race.Good, COPIED);
        Sleep(0);
        for (size_t i = 0; i < 4; i++) {
            uint64_t value = Next(&state);
            memcpy(race.Page + value % (COPIED / 8) * 8, &value, 1 + value / 64 % 8);
            memset(race.Page + 64, (int)(value >> 8), value / 4 % 128);
        }
        Sleep(0);
        (void)VirtualProtect(race.Page, PAGE, Next(&state) % 2 ? MemoryRead : MemoryNoAccess);
        Sleep(0);
    }
    return 0;
}

static void RacePointer(const Call *call, size_t argument)
{
    uint64_t good = call->Arguments[argument];
    memset(race.Good, 0, COPIED);
    if (GetPointerKind(call->Number, argument) != PointerString)
        memcpy(race.Good, (const void *)good, COPIED);
    else
        strncpy((char *)race.Good, (const char *)good, COPIED - 1);
    race.Stop = false;
    OK(CreateThread(ChangePage, nullptr, 0, &race.Thread));
    for (size_t i = 0; i < REPEATS; i++) {
        uint64_t arguments[ARGUMENTS];
        memcpy(arguments, call->Arguments, sizeof arguments);
        if (call->Prepare)
            call->Prepare(arguments);
        arguments[argument] = (uintptr_t)race.Page;
        (void)MakeCall(call, arguments); // what it made goes with the process
    }
    race.Stop = true;
    OK(WaitForSingleObject(race.Thread, InfiniteTimeout));
    OK(CloseHandle(race.Thread));
}

int RaceChild(uint32_t index)
{
    size_t count;
    void *at = nullptr;
    OpenObjects();
    OK(VirtualAlloc(&at, PAGE, MemoryReadWrite));
    race.Page = at;
    const Call *calls = GetCalls(&count);
    for (size_t argument = 0; index < count && argument < ARGUMENTS; argument++)
        if (GetPointerKind(calls[index].Number, argument) != PointerNone)
            RacePointer(&calls[index], argument);
    return 0;
}

static bool HasPointers(uint32_t number)
{
    for (size_t argument = 0; argument < ARGUMENTS; argument++)
        if (GetPointerKind(number, argument) != PointerNone)
            return true;
    return false;
}

void TestRaces(void)
{
    size_t count;
    Counters before;
    OpenObjects();
    const Call *calls = GetCalls(&count);
    (void)RunSelf("--race 0", CHILD_TIME);
    CountAll(&before);
    for (size_t i = 0; i < count; i++) {
        char words[32];
        if (!HasPointers(calls[i].Number))
            continue;
        snprintf(words, sizeof words, "--race %zu", i);
        uint32_t code = RunSelf(words, CHILD_TIME);
        Check(code == 0, "%s with changing arguments ends with 0x%x",
              signatures[calls[i].Number].Name, code);
    }
    CompareCounters(&before, "changing arguments");
    CloseObjects();
}
