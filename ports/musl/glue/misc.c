// Small functions whose musl versions need what MetalOS does not have: memory-mapped files, user
// accounts, fork.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "libc.h"
#include "syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

// musl maps time zone and message files; there are none, so the time zone is UTC or what TZ spells
// out.
const unsigned char *__map_file(const char *path, size_t *size)
{
    return 0;
}

int __munmap(void *start, size_t size)
{
    return 0;
}

int munmap(void *start, size_t size)
{
    return __munmap(start, size);
}

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

int system(const char *command)
{
    if (!command)
        return 1;
    int code = RtRunCommand(command);
    return code < 0 ? -1 : (code & 0xff) << 8; // as WEXITSTATUS takes it apart
}
