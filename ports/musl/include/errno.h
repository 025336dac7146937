// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <errno.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_ERRNO_H)
#define _METALOS_ERRNO_H
#ifdef __cplusplus
extern "C" {
#endif
#ifdef _GNU_SOURCE
extern __attribute__((__dllimport__)) char *program_invocation_short_name, *program_invocation_name;
#endif
#ifdef __cplusplus
}
#endif
#endif
