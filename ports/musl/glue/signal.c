// ISO C signals: a program can send them to itself with raise, nobody else can.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "pthread_impl.h"

#include <signal.h>
#include <string.h>

static void (*volatile handlers[_NSIG])(int);

void (*signal(int number, void (*handler)(int)))(int)
{
    if (number <= 0 || number >= _NSIG || number == SIGKILL || number == SIGSTOP) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return __atomic_exchange_n(&handlers[number], handler, __ATOMIC_SEQ_CST);
}

static bool IsIgnoredByDefault(int number)
{
    return number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
}

int raise(int number)
{
    if (number <= 0 || number >= _NSIG) {
        errno = EINVAL;
        return -1;
    }
    void (*handler)(int) = handlers[number];
    if (handler == SIG_IGN || (handler == SIG_DFL && IsIgnoredByDefault(number)))
        return 0;
    if (handler == SIG_DFL)
        RtFatal(128 + number, strsignal(number));
    handler(number);
    return 0;
}

void __block_all_sigs(void *set) {}

void __block_app_sigs(void *set) {}

void __restore_sigs(void *set) {}
