// SDL.h - the few SDL names the engine's portable files use, over MetalOS's native calls (sdl.c).
// The engine's SDL back ends are not built; video.c, input.c, sound.c and net.c stand in for them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "SDL_endian.h"
#include "SDL_filesystem.h"
#include "SDL_stdinc.h"

#include <stdint.h>

typedef uint32_t Uint32;
typedef union SDL_Event SDL_Event;
typedef struct SDL_mutex SDL_mutex;
typedef struct SDL_cond SDL_cond;

#define SDL_INIT_TIMER                         1u
#define SDL_HINT_NO_SIGNAL_HANDLERS            "SDL_NO_SIGNAL_HANDLERS"
#define SDL_HINT_WINDOWS_DISABLE_THREAD_NAMING "SDL_WINDOWS_DISABLE_THREAD_NAMING"
#define SDL_MESSAGEBOX_ERROR                   0x10

int SDL_Init(Uint32 flags);
void SDL_Quit(void);
int SDL_SetHint(const char *name, const char *value);
int SDL_ShowSimpleMessageBox(Uint32 flags, const char *title, const char *message, void *window);

// Milliseconds since the program started, and waiting; with -framehashes a clock of the program's
// own that only SDL_Delay moves, so that a run is the same every time.
Uint32 SDL_GetTicks(void);
void SDL_Delay(Uint32 milliseconds);

SDL_mutex *SDL_CreateMutex(void);
void SDL_DestroyMutex(SDL_mutex *mutex);
int SDL_LockMutex(SDL_mutex *mutex);
int SDL_UnlockMutex(SDL_mutex *mutex);
SDL_cond *SDL_CreateCond(void);
void SDL_DestroyCond(SDL_cond *condition);
int SDL_CondSignal(SDL_cond *condition);
int SDL_CondWait(SDL_cond *condition, SDL_mutex *mutex);
