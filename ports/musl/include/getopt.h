// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <getopt.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_GETOPT_H)
#define _METALOS_GETOPT_H
#ifdef __cplusplus
extern "C" {
#endif
extern __attribute__((__dllimport__)) char *optarg;
extern __attribute__((__dllimport__)) int optind, opterr, optopt, optreset;
#ifdef __cplusplus
}
#endif
#endif
