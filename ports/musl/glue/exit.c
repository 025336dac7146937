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

// As musl's close_file, but a stream with nothing to write out or give back is left alone: a thread
// that waits for input holds its lock and may never let go.
static void FlushStream(FILE *file)
{
    if (!file || (file->wpos == file->wbase && file->rpos == file->rend))
        return;
    FFINALLOCK(file);
    if (file->wpos != file->wbase)
        file->write(file, 0, 0);
    if (file->rpos != file->rend)
        file->seek(file, file->rpos - file->rend, SEEK_CUR);
}

static void FlushStreams(void)
{
    for (FILE *file = *__ofl_lock(); file; file = file->next)
        FlushStream(file);
    FlushStream(__stdin_used);
    FlushStream(__stdout_used);
    FlushStream(__stderr_used);
}

_Noreturn void exit(int code)
{
    int tid = __pthread_self()->tid, owner = a_cas(&exiting, 0, tid);
    while (owner && owner != tid)
        __futexwait(&exiting, owner, 1); // another thread is ending the process
    __funcs_on_exit();                   // called from one of them, exit goes on with the next
    RtDetachLibraries();
    FlushStreams();
    RtExitProcess(code);
}

_Noreturn void abort(void)
{
    raise(SIGABRT);
    RtFatal(128 + SIGABRT, "abort was called");
}
