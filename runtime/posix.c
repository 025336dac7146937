// posix.c - __metalos_syscall: what musl believes to be its kernel.
//
// musl's files end in numbered system calls (ports/musl/arch/metalos/bits/syscall.h.in); a table
// maps each number to a function that carries it out with native calls and answers as Linux would:
// a value, or a negative errno value. A number without a function answers -ENOSYS, which musl
// passes on.
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

int RtStatusToErrno(Status status)
{
    switch (status) {
    case StatusSuccess:
        return 0;
    case StatusTimeout:
        return ETIMEDOUT;
    case StatusEndOfFile:
        return 0;
    case StatusNoMoreEntries:
        return 0;
    case StatusInvalidParameter:
        return EINVAL;
    case StatusInvalidHandle:
        return EBADF;
    case StatusWrongType:
        return EINVAL;
    case StatusAccessDenied:
        return EACCES;
    case StatusInvalidAddress:
        return EFAULT;
    case StatusNotFound:
        return ENOENT;
    case StatusPathNotFound:
        return ENOENT;
    case StatusAlreadyExists:
        return EEXIST;
    case StatusNotADirectory:
        return ENOTDIR;
    case StatusIsADirectory:
        return EISDIR;
    case StatusDirectoryNotEmpty:
        return ENOTEMPTY;
    case StatusInvalidName:
        return EINVAL;
    case StatusBufferTooSmall:
        return ERANGE;
    case StatusNoMemory:
        return ENOMEM;
    case StatusNoAddressSpace:
        return ENOMEM;
    case StatusTooManyHandles:
        return EMFILE;
    case StatusLimitReached:
        return EAGAIN;
    case StatusDiskFull:
        return ENOSPC;
    case StatusReadOnly:
        return EROFS;
    case StatusSharingViolation:
        return EBUSY;
    case StatusIoError:
        return EIO;
    case StatusDeviceNotReady:
        return EIO;
    case StatusNoSuchDevice:
        return ENODEV;
    case StatusCorrupt:
        return EIO;
    case StatusBadImage:
        return ENOEXEC;
    case StatusImportNotFound:
        return ENOEXEC;
    case StatusPipeBroken:
        return EPIPE;
    case StatusWouldBlock:
        return EAGAIN;
    case StatusTerminating:
        return EINTR;
    case StatusNotSupported:
        return ENOSYS;
    case StatusUnknownSystemCall:
        return ENOSYS;
    case StatusConflict:
        return EEXIST;
    case StatusCancelled:
        return ECANCELED;
    case StatusNameTooLong:
        return ENAMETOOLONG;
    case StatusFileTooLarge:
        return EFBIG;
    case StatusAbandoned:
        return EOWNERDEAD;
    case StatusNotOwner:
        return EPERM;
    }
    return EIO;
}

#define CALL(name)                                                                                 \
    static long long name(long long a, long long b, long long c, long long d, long long e,         \
                          long long f)

// ---- time
constexpr uint64_t Second = 1000000000;
constexpr uint64_t Millisecond = 1000000;

static long long ReadClock(long long clock, uint64_t *now)
{
    uint64_t monotonic = 0, system = 0;
    ProcessInfo info = {};
    ThreadInfo thread = {};
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        (void)SysQueryTime(&monotonic, &system);
        *now = system;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        *now = GetMonotonicTime();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        (void)SysGetProcessInfo(CurrentProcess, &info);
        *now = info.KernelTime + info.UserTime;
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        (void)SysGetThreadInfo(CurrentThread, &thread);
        *now = thread.KernelTime + thread.UserTime;
        return 0;
    }
    return -EINVAL;
}

CALL(ClockGetTime)
{
    struct timespec *time = (struct timespec *)b;
    uint64_t now;
    long long result = ReadClock(a, &now);
    if (result == 0) {
        time->tv_sec = (time_t)(now / Second);
        time->tv_nsec = (long)(now % Second);
    }
    return result;
}

CALL(ClockGetResolution)
{
    struct timespec *time = (struct timespec *)b;
    uint64_t now;
    long long result = ReadClock(a, &now);
    if (result == 0 && time)
        *time = (struct timespec){.tv_nsec = 1};
    return result;
}

static bool IsTimeValid(const struct timespec *time)
{
    return time->tv_sec >= 0 && time->tv_nsec >= 0 && (uint64_t)time->tv_nsec < Second;
}

// Nanoseconds, capped at about 584 years.
static uint64_t ToNanoseconds(const struct timespec *time)
{
    if ((uint64_t)time->tv_sec >= UINT64_MAX / Second)
        return UINT64_MAX;
    return (uint64_t)time->tv_sec * Second + (uint64_t)time->tv_nsec;
}

// Milliseconds rounded up, below InfiniteTimeout.
static uint32_t ToTimeout(uint64_t nanoseconds)
{
    uint64_t milliseconds = nanoseconds / Millisecond + (nanoseconds % Millisecond != 0);
    return milliseconds < InfiniteTimeout ? (uint32_t)milliseconds : InfiniteTimeout - 1;
}

CALL(ClockNanosleep)
{
    const struct timespec *request = (const struct timespec *)c;
    if (!IsTimeValid(request))
        return -EINVAL;
    uint64_t now, amount = ToNanoseconds(request);
    long long result = ReadClock(a, &now);
    if (result)
        return result;
    uint64_t end = b & TIMER_ABSTIME ? amount : now + amount < now ? UINT64_MAX : now + amount;
    for (; now < end; (void)ReadClock(a, &now))
        (void)SysSleep(ToTimeout(end - now));
    return 0;
}

CALL(Nanosleep)
{
    return ClockNanosleep(CLOCK_MONOTONIC, 0, a, b, 0, 0);
}

// ---- futex: what musl's locks sleep on.
enum { FutexWait = 0, FutexWake = 1, FutexRequeue = 3, FutexPrivate = 128 };

CALL(Futex)
{
    const volatile uint32_t *address = (const volatile uint32_t *)a;
    const struct timespec *time = (const struct timespec *)d;
    switch (b & ~FutexPrivate) {
    case FutexWait: {
        if (time && !IsTimeValid(time))
            return -EINVAL;
        uint32_t timeout = time ? ToTimeout(ToNanoseconds(time)) : InfiniteTimeout;
        return PxResult(SysWaitOnAddress(address, (uint32_t)c, timeout));
    }
    case FutexRequeue: // the waiters find their own way to the other lock
        c = c > INT32_MAX - d ? INT32_MAX : c + d;
        return PxResult(SysWakeByAddress(address, (uint32_t)c));
    case FutexWake:
        return PxResult(SysWakeByAddress(address, (uint32_t)c));
    }
    return -ENOSYS;
}

// ---- the process and the machine
CALL(Yield)
{
    (void)SysSleep(0);
    return 0;
}

CALL(GetPid)
{
    return RtGetThreadBlock()->ProcessId;
}
CALL(GetTid)
{
    return (long long)RtGetThreadBlock()->ThreadId;
}
CALL(Zero)
{
    return 0;
}
CALL(GetMask)
{
    return 022;
}

CALL(GetParentPid)
{
    ProcessInfo info = {};
    (void)SysGetProcessInfo(CurrentProcess, &info);
    return info.ParentProcessId;
}

CALL(ExitGroup)
{
    PxCloseAll();
    ExitProcess((uint32_t)a);
}

CALL(GetRandom)
{
    constexpr size_t Most = 1 << 20; // of one native call
    size_t size = (size_t)b < Most ? (size_t)b : Most;
    Status status = SysGetRandomBytes((void *)a, size);
    return status == StatusSuccess ? (long long)size : PxResult(status);
}

CALL(Uname)
{
    struct utsname *name = (struct utsname *)a;
    SystemInfo info = {};
    (void)SysGetSystemInfo(&info);
    memset(name, 0, sizeof *name);
    strcpy(name->sysname, "MetalOS");
    strcpy(name->nodename, "metalos");
    const char *version = info.Version;
    if (!strncmp(version, "MetalOS ", 8))
        version += 8;
    strncpy(name->release, version, sizeof name->release - 1);
    strncpy(name->version, info.Version, sizeof name->version - 1);
    strcpy(name->machine, "x86_64");
    return 0;
}

CALL(GetAffinity)
{
    SystemInfo info = {};
    (void)SysGetSystemInfo(&info);
    unsigned char *set = (unsigned char *)c;
    if (b < 8)
        return -EINVAL;
    memset(set, 0, (size_t)b);
    for (uint32_t i = 0; i < info.ProcessorCount && i / 8 < (size_t)b; i++)
        set[i / 8] |= (unsigned char)(1u << (i % 8));
    return b;
}

CALL(SystemInformation)
{
    struct sysinfo *out = (struct sysinfo *)a;
    SystemInfo info = {};
    (void)SysGetSystemInfo(&info);
    *out = (struct sysinfo){
        .uptime = (unsigned long)(info.UpTime / Second),
        .totalram = (unsigned long)(info.TotalMemory / 4096),
        .freeram = (unsigned long)((info.FreeMemory + info.CacheMemory) / 4096),
        .procs = (unsigned short)info.ProcessCount,
        .mem_unit = 4096,
    };
    return 0;
}

CALL(GetUsage)
{
    struct rusage *usage = (struct rusage *)b;
    ProcessInfo info = {};
    Status status = SysGetProcessInfo(CurrentProcess, &info);
    if (status != StatusSuccess)
        return PxResult(status);
    usage->ru_utime = (struct timeval){(time_t)(info.UserTime / Second),
                                       (suseconds_t)(info.UserTime % Second / 1000)};
    usage->ru_stime = (struct timeval){(time_t)(info.KernelTime / Second),
                                       (suseconds_t)(info.KernelTime % Second / 1000)};
    return 0;
}

CALL(Times)
{
    struct tms *times = (struct tms *)a;
    ProcessInfo info = {};
    (void)SysGetProcessInfo(CurrentProcess, &info);
    constexpr uint64_t Tick = Second / 100; // sysconf(_SC_CLK_TCK)
    if (times)
        *times = (struct tms){.tms_utime = (clock_t)(info.UserTime / Tick),
                              .tms_stime = (clock_t)(info.KernelTime / Tick)};
    return (long long)(GetMonotonicTime() / Tick);
}

CALL(GetLimits)
{
    struct rlimit *out = (struct rlimit *)d;
    if (out)
        *out = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    return 0;
}

CALL(OpenHere)
{
    return PxOpenAt(AT_FDCWD, a, b, c, 0, 0);
}
// FAT has no links.
CALL(RefuseLink)
{
    return -EPERM;
}
CALL(SyncAll)
{
    return 0;
}

static PosixCall *const calls[] = {
    [SYS_read] = PxRead,
    [SYS_write] = PxWrite,
    [SYS_open] = OpenHere,
    [SYS_openat] = PxOpenAt,
    [SYS_close] = PxClose,
    [SYS_stat] = PxStat,
    [SYS_lstat] = PxStat,
    [SYS_fstat] = PxStatFile,
    [SYS_fstatat] = PxStatAt,
    [SYS__llseek] = PxSeek,
    [SYS_ioctl] = PxIoctl,
    [SYS_pread] = PxReadAt,
    [SYS_pwrite] = PxWriteAt,
    [SYS_readv] = PxReadVector,
    [SYS_writev] = PxWriteVector,
    [SYS_preadv] = PxReadVectorAt,
    [SYS_pwritev] = PxWriteVectorAt,
    [SYS_access] = PxAccess,
    [SYS_faccessat] = PxAccessAt,
    [SYS_pipe] = PxPipe,
    [SYS_pipe2] = PxPipe2,
    [SYS_dup] = PxDup,
    [SYS_dup2] = PxDup2,
    [SYS_dup3] = PxDup2,
    [SYS_fcntl] = PxFcntl,
    [SYS_fsync] = PxFlush,
    [SYS_fdatasync] = PxFlush,
    [SYS_sync] = SyncAll,
    [SYS_truncate] = PxResizePath,
    [SYS_ftruncate] = PxResizeFile,
    [SYS_getdents] = PxReadDirectory,
    [SYS_getcwd] = PxGetDirectory,
    [SYS_chdir] = PxSetDirectory,
    [SYS_fchdir] = PxSetDirectoryFile,
    [SYS_rename] = PxRename,
    [SYS_renameat] = PxRenameAt,
    [SYS_mkdir] = PxMakeDirectory,
    [SYS_mkdirat] = PxMakeDirectoryAt,
    [SYS_rmdir] = PxRemoveDirectory,
    [SYS_unlink] = PxUnlink,
    [SYS_unlinkat] = PxUnlinkAt,
    [SYS_readlink] = PxReadLink,
    [SYS_readlinkat] = PxReadLinkAt,
    [SYS_chmod] = PxChangeMode,
    [SYS_fchmod] = PxChangeModeFile,
    [SYS_fchmodat] = PxChangeModeAt,
    [SYS_statfs] = PxVolume,
    [SYS_fstatfs] = PxVolumeFile,
    [SYS_umask] = GetMask,
    [SYS_sched_yield] = Yield,
    [SYS_nanosleep] = Nanosleep,
    [SYS_clock_nanosleep] = ClockNanosleep,
    [SYS_clock_gettime] = ClockGetTime,
    [SYS_clock_getres] = ClockGetResolution,
    [SYS_futex] = Futex,
    [SYS_getpid] = GetPid,
    [SYS_gettid] = GetTid,
    [SYS_getppid] = GetParentPid,
    [SYS_getuid] = Zero,
    [SYS_geteuid] = Zero,
    [SYS_getgid] = Zero,
    [SYS_getegid] = Zero,
    [SYS_exit_group] = ExitGroup,
    [SYS_exit] = ExitGroup,
    [SYS_uname] = Uname,
    [SYS_getrandom] = GetRandom,
    [SYS_rt_sigprocmask] = Zero,
    [SYS_sched_getaffinity] = GetAffinity,
    [SYS_sysinfo] = SystemInformation,
    [SYS_getrusage] = GetUsage,
    [SYS_times] = Times,
    [SYS_prlimit64] = GetLimits,
    [SYS_madvise] = Zero,
    [SYS_fadvise] = Zero,
    [SYS_fallocate] = PxAllocate,
    [SYS_utimensat] = PxSetTimes,
    [SYS_chown] = PxChangeMode,
    [SYS_lchown] = PxChangeMode,
    [SYS_fchown] = PxChangeOwner,
    [SYS_fchownat] = PxChangeModeAt,
    [SYS_link] = RefuseLink,
    [SYS_linkat] = RefuseLink,
    [SYS_symlink] = RefuseLink,
    [SYS_symlinkat] = RefuseLink,
    [SYS_wait4] = PxWaitChild,
    [SYS_poll] = PxPoll,
    [SYS_mmap] = PxMap,
    [SYS_munmap] = PxUnmap,
    [SYS_mprotect] = PxProtect,
    [SYS_msync] = PxSynchronize,
    [SYS_mremap] = PxRemap,
    [SYS_mlock] = Zero,
    [SYS_munlock] = Zero,
};

long long __metalos_syscall(long long number, long long a, long long b, long long c, long long d,
                            long long e, long long f);

long long __metalos_syscall(long long number, long long a, long long b, long long c, long long d,
                            long long e, long long f)
{
    if ((unsigned long long)number >= RT_COUNT_OF(calls) || !calls[number])
        return -ENOSYS;
    return calls[number](a, b, c, d, e, f);
}
