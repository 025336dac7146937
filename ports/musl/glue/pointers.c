// Functions whose musl versions pass a pointer through a `long`, which has 32 bits here.
// SPDX-License-Identifier: MIT
#include "libc.h"
#include "syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>

static long long Finish(long long result)
{
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

int fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    long long argument;
    switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_GETOWN_EX:
    case F_SETOWN_EX:
        argument = (long long)va_arg(arguments, void *);
        break;
    default:
        argument = va_arg(arguments, int);
        break;
    }
    va_end(arguments);
    return (int)Finish(__syscall(SYS_fcntl, descriptor, command, argument));
}

void *__mmap(void *start, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    return (void *)Finish(
        __syscall(SYS_mmap, start, length, protection, flags, descriptor, offset));
}

void *__mremap(void *start, size_t length, size_t newLength, int flags, ...)
{
    return (void *)Finish(__syscall(SYS_mremap, start, length, newLength, flags));
}

weak_alias(__mmap, mmap);
weak_alias(__mremap, mremap);
