// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <stdio.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_STDIO_H)
#define _METALOS_STDIO_H
#ifdef __cplusplus
extern "C" {
#endif
extern __attribute__((__dllimport__)) FILE *const stdin;
extern __attribute__((__dllimport__)) FILE *const stdout;
extern __attribute__((__dllimport__)) FILE *const stderr;
#ifdef __cplusplus
}
#endif
#endif
