// SDL_filesystem.h - where the engine keeps settings and saved games.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

// "/doom/", allocated; the caller frees it with SDL_free.
char *SDL_GetPrefPath(const char *organisation, const char *application);
void SDL_free(void *block);
