// The ways a C program ends. Replaces musl's exit/exit.c and exit/abort.c.
// SPDX-License-Identifier: MIT
#include "atomic.h"
#include "glue.h"
#include "libc.h"
#include "pthread_impl.h"
#include "stdio_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int exiting; // id of the thread that runs exit

_Noreturn void exit(int code)
{
    int tid = __pthread_self()->tid, owner = a_cas(&exiting, 0, tid);
    while (owner && owner != tid)
        __futexwait(&exiting, owner, 1); // another thread is ending the process
    if (owner == tid)
        RtExitProcess(code); // exit called from an atexit function
    __funcs_on_exit();
    RtDetachLibraries();
    __stdio_exit();
    RtExitProcess(code);
}

_Noreturn void abort(void)
{
    raise(SIGABRT);
    RtFatal(128 + SIGABRT, "abort was called");
}
