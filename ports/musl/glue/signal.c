// ISO C signals: a program can send them to itself with raise, nobody else can.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "pthread_impl.h"

#include "lock.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static struct sigaction actions[_NSIG];     // L
static unsigned long long blocked, pending; // L
static volatile int signalLock[1];          // L

static unsigned long long ToBits(const sigset_t *set)
{
    unsigned long long bits;
    memcpy(&bits, set, sizeof bits);
    return bits;
}

static void FromBits(unsigned long long bits, sigset_t *set)
{
    memset(set, 0, sizeof *set);
    memcpy(set, &bits, sizeof bits);
}

int sigaction(int number, const struct sigaction *restrict fresh, struct sigaction *restrict old)
{
    if (number <= 0 || number >= _NSIG || (fresh && (number == SIGKILL || number == SIGSTOP))) {
        errno = EINVAL;
        return -1;
    }
    LOCK(signalLock);
    struct sigaction before = actions[number];
    if (fresh)
        actions[number] = *fresh;
    UNLOCK(signalLock);
    if (old)
        *old = before;
    return 0;
}

void (*signal(int number, void (*handler)(int)))(int)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    return sigaction(number, &action, &action) ? SIG_ERR : action.sa_handler;
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
    LOCK(signalLock);
    bool wait = blocked >> (number - 1) & 1;
    if (wait)
        pending |= 1ull << (number - 1);
    struct sigaction action = actions[number];
    if (!wait && (action.sa_flags & SA_RESETHAND))
        actions[number].sa_handler = SIG_DFL;
    UNLOCK(signalLock);
    if (wait)
        return 0;
    void (*handler)(int) = action.sa_handler;
    if (handler == SIG_IGN || (handler == SIG_DFL && IsIgnoredByDefault(number)))
        return 0;
    if (handler == SIG_DFL)
        RtFatal(128 + number, strsignal(number));
    if (action.sa_flags & SA_SIGINFO)
        action.sa_sigaction(number, &(siginfo_t){.si_signo = number, .si_code = SI_TKILL}, 0);
    else
        handler(number);
    return 0;
}

// Threads have one mask together: what a program sends itself runs in the thread that sends it.
int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    LOCK(signalLock);
    unsigned long long before = blocked, bits = set ? ToBits(set) : 0;
    if (set && how == SIG_BLOCK)
        blocked |= bits;
    else if (set && how == SIG_UNBLOCK)
        blocked &= ~bits;
    else if (set && how == SIG_SETMASK)
        blocked = bits;
    unsigned long long due = pending & ~blocked;
    pending &= blocked;
    UNLOCK(signalLock);
    if (set && how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
        return EINVAL;
    if (old)
        FromBits(before, old);
    for (int number = 1; number < _NSIG; number++)
        if (due >> (number - 1) & 1)
            raise(number);
    return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    int error = pthread_sigmask(how, set, old);
    errno = error ? error : errno;
    return error ? -1 : 0;
}

int sigpending(sigset_t *set)
{
    LOCK(signalLock);
    FromBits(pending, set);
    UNLOCK(signalLock);
    return 0;
}

// Only to the program itself.
int kill(pid_t pid, int number)
{
    if (pid == getpid() || pid == 0)
        return number ? raise(number) : 0;
    errno = EPERM;
    return -1;
}

int pthread_kill(pthread_t thread, int number)
{
    if (number < 0 || number >= _NSIG)
        return EINVAL;
    if (number && thread != __pthread_self())
        return ENOSYS;
    return number && raise(number) ? errno : 0;
}

void __block_all_sigs(void *set) {}

void __block_app_sigs(void *set) {}

void __restore_sigs(void *set) {}
