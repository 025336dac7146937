// SDL_mixer.h - nothing of SDL_mixer is used; i_sound.c only includes it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once
