// sdl.c - the clock, locks and paths behind the SDL names of include/SDL.h.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "SDL.h"
#include "port.h"

bool PortFixedClock;
static Uint32 fixedTime;

int SDL_Init(Uint32 flags)
{
    return 0;
}

void SDL_Quit(void) {}

int SDL_SetHint(const char *name, const char *value)
{
    return 0;
}

// The engine calls this before it exits with an error it has already printed; the kernel log keeps
// it for whoever started the game from the desktop.
int SDL_ShowSimpleMessageBox(Uint32 flags, const char *title, const char *message, void *window)
{
    char line[512];
    snprintf(line, sizeof line, "%s: %s", title, message);
    return DebugPrint(line) == StatusSuccess ? 0 : -1;
}

Uint32 SDL_GetTicks(void)
{
    static uint64_t start;
    if (PortFixedClock)
        return fixedTime;
    if (!start)
        start = GetTickCount();
    return (Uint32)(GetTickCount() - start);
}

void SDL_Delay(Uint32 milliseconds)
{
    if (PortFixedClock)
        fixedTime += milliseconds ? milliseconds : 1;
    else
        Sleep(milliseconds);
}

// ---- A mutex is a word: 0 free, 1 held, 2 held and perhaps waited for.
struct SDL_mutex {
    uint32_t State;
};

// A condition is a count of signals; a waiter sleeps until it differs from what it saw.
struct SDL_cond {
    uint32_t Signals;
};

SDL_mutex *SDL_CreateMutex(void)
{
    return calloc(1, sizeof(SDL_mutex));
}

void SDL_DestroyMutex(SDL_mutex *mutex)
{
    free(mutex);
}

int SDL_LockMutex(SDL_mutex *mutex)
{
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&mutex->State, &expected, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return 0;
    while (__atomic_exchange_n(&mutex->State, 2, __ATOMIC_ACQUIRE))
        (void)WaitOnAddress(&mutex->State, 2, InfiniteTimeout);
    return 0;
}

int SDL_UnlockMutex(SDL_mutex *mutex)
{
    if (__atomic_exchange_n(&mutex->State, 0, __ATOMIC_RELEASE) == 2)
        (void)WakeByAddress(&mutex->State, 1);
    return 0;
}

SDL_cond *SDL_CreateCond(void)
{
    return calloc(1, sizeof(SDL_cond));
}

void SDL_DestroyCond(SDL_cond *condition)
{
    free(condition);
}

int SDL_CondSignal(SDL_cond *condition)
{
    __atomic_add_fetch(&condition->Signals, 1, __ATOMIC_RELEASE);
    return WakeByAddress(&condition->Signals, 1) == StatusSuccess ? 0 : -1;
}

int SDL_CondWait(SDL_cond *condition, SDL_mutex *mutex)
{
    uint32_t seen = __atomic_load_n(&condition->Signals, __ATOMIC_ACQUIRE);
    SDL_UnlockMutex(mutex);
    (void)WaitOnAddress(&condition->Signals, seen, InfiniteTimeout);
    return SDL_LockMutex(mutex);
}

char *SDL_GetPrefPath(const char *organisation, const char *application)
{
    return strdup("/doom/");
}

void SDL_free(void *block)
{
    free(block);
}
