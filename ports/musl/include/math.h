// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <math.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_MATH_H)
#define _METALOS_MATH_H
#ifdef __cplusplus
extern "C" {
#endif
#if defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
extern __attribute__((__dllimport__)) int signgam;
#endif
#ifdef __cplusplus
}
#endif
#endif
