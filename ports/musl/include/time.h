// The data that mosrt.dll exports to programs.
// SPDX-License-Identifier: MIT
#include_next <time.h>
#if !defined(METALOS_BUILD_RUNTIME) && !defined(_METALOS_TIME_H)
#define _METALOS_TIME_H
#ifdef __cplusplus
extern "C" {
#endif
#if defined(_POSIX_SOURCE) || defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE) ||                \
    defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
extern __attribute__((__dllimport__)) char *tzname[2];
#endif
#if defined(_XOPEN_SOURCE) || defined(_BSD_SOURCE) || defined(_GNU_SOURCE)
extern __attribute__((__dllimport__)) int daylight;
extern __attribute__((__dllimport__)) long timezone;
extern __attribute__((__dllimport__)) int getdate_err;
#endif
#ifdef __cplusplus
}
#endif
#endif
