// SDL_stdinc.h - the C library under SDL's names.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SDL_qsort qsort
