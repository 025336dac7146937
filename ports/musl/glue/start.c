// The C library's state before main. Replaces musl's env/__libc_start_main.c and env/__init_tls.c.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "libc.h"
#include "pthread_impl.h"
#include "stdio_impl.h"

#include <string.h>

extern char **__environ;

// For the headers: a program cannot import data through a plain `extern char **environ`.
char ***__metalos_environ(void)
{
    return &__environ;
}

void CrtInitialize(const char *program, char **environment)
{
    libc.page_size = PAGESIZE;
    libc.can_do_threads = 1;
    __environ = environment;
    __progname = __progname_full = (char *)program;
    for (const char *p = program; *p; p++)
        if (*p == '/' && p[1])
            __progname = (char *)p + 1;
}

static void GiveLock(FILE *file)
{
    if (file && file->lock < 0)
        file->lock = 0;
}

void CrtGoThreaded(void)
{
    if (libc.threaded)
        return;
    for (FILE *file = *__ofl_lock(); file; file = file->next)
        GiveLock(file);
    __ofl_unlock();
    GiveLock(__stdin_used);
    GiveLock(__stdout_used);
    GiveLock(__stderr_used);
    libc.need_locks = 1;
    libc.threaded = 1;
}
