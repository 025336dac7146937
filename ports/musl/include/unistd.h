// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <unistd.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_UNISTD_H)
#define _METALOS_UNISTD_H
#ifdef __cplusplus
extern "C" {
#endif
extern __attribute__((__dllimport__)) char *optarg;
extern __attribute__((__dllimport__)) int optind, opterr, optopt;
#if defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
extern __attribute__((__dllimport__)) int optreset;
#endif
// A macro, so that a program's own `extern char **environ;` after this header works unchanged: it
// becomes a second declaration of the function.
char ***__metalos_environ();
#undef environ
#define environ (*__metalos_environ())
#ifdef __cplusplus
}
#endif
#endif
