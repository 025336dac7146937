// Small functions whose musl versions need what MetalOS does not have: memory-mapped files, user
// accounts, fork.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "libc.h"
#include "syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

int faccessat(int directory, const char *path, int mode, int flags)
{
    return syscall(SYS_faccessat, directory, path, mode);
}

// clock_t has 64 bits: no overflow after 35 minutes.
clock_t clock(void)
{
    struct timespec now;
    if (__clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now))
        return -1;
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// There are no user accounts.
int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
               struct passwd **result)
{
    *result = 0;
    return 0;
}

int getpwuid_r(uid_t id, struct passwd *entry, char *buffer, size_t size, struct passwd **result)
{
    *result = 0;
    return 0;
}

struct passwd *getpwnam(const char *name)
{
    return 0;
}

struct passwd *getpwuid(uid_t id)
{
    return 0;
}

struct group *getgrnam(const char *name)
{
    return 0;
}

struct group *getgrgid(gid_t id)
{
    return 0;
}

int getgroups(int count, gid_t list[])
{
    return 0;
}

char *getlogin(void)
{
    return 0;
}

int system(const char *command)
{
    if (!command)
        return 1;
    int code = RtRunCommand(command);
    return code < 0 ? -1 : (code & 0xff) << 8; // as WEXITSTATUS takes it apart
}

// Milliseconds for poll, rounded up; without a time, or with one beyond reach, for ever.
static int Milliseconds(const struct timespec *time)
{
    if (!time || time->tv_sec >= INT_MAX / 1000)
        return -1;
    return (int)time->tv_sec * 1000 + (int)((time->tv_nsec + 999999) / 1000000);
}

// No signal interrupts a wait: the mask makes no difference.
int ppoll(struct pollfd *asked, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (timeout && (timeout->tv_sec < 0 || (unsigned long)timeout->tv_nsec > 999999999)) {
        errno = EINVAL;
        return -1;
    }
    return poll(asked, count, Milliseconds(timeout));
}

// Over poll, whose answers it shares.
int pselect(int count, fd_set *restrict read, fd_set *restrict write, fd_set *restrict except,
            const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
    struct pollfd asked[FD_SETSIZE];
    nfds_t used = 0;
    if (count < 0 || count > FD_SETSIZE || (timeout && timeout->tv_sec < 0)) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < count; i++) {
        short events = (short)((read && FD_ISSET(i, read) ? POLLIN : 0) |
                               (write && FD_ISSET(i, write) ? POLLOUT : 0));
        if (events)
            asked[used++] = (struct pollfd){.fd = i, .events = events};
    }
    int result = ppoll(asked, used, timeout, mask);
    if (result < 0)
        return -1;
    if (read)
        FD_ZERO(read);
    if (write)
        FD_ZERO(write);
    if (except)
        FD_ZERO(except);
    int bits = 0;
    for (nfds_t i = 0; i < used; i++) {
        if (asked[i].revents & POLLNVAL) {
            errno = EBADF;
            return -1;
        }
        if (asked[i].revents & POLLIN)
            FD_SET(asked[i].fd, read), bits++;
        if (asked[i].revents & POLLOUT)
            FD_SET(asked[i].fd, write), bits++;
    }
    return bits;
}

int select(int count, fd_set *restrict read, fd_set *restrict write, fd_set *restrict except,
           struct timeval *restrict timeout)
{
    struct timespec time = {};
    if (timeout)
        time = (struct timespec){timeout->tv_sec + timeout->tv_usec / 1000000,
                                 timeout->tv_usec % 1000000 * 1000};
    return pselect(count, read, write, except, timeout ? &time : 0, 0);
}
