#!/usr/bin/env python3
"""Prints the musl source files that mosrt.dll uses, one a line, relative to musl's folder.

What is left out, and why, is in README.md beside this file.
"""
# SPDX-License-Identifier: MIT
import pathlib
import sys

WHOLE = """complex ctype dirent env errno fcntl locale math misc multibyte prng regex search stat stdio
stdlib string temp thread time unistd exit internal conf legacy termios""".split()

# Whole files left out of the folders above.
OMIT = set("""
env/__init_tls env/__libc_start_main env/__reset_tls env/__stack_chk_fail
exit/exit exit/abort exit/abort_lock
fcntl/fcntl
internal/version internal/vdso internal/emulate_wait4
legacy/cuserid legacy/daemon legacy/getloadavg legacy/getpass legacy/getusershell
legacy/isastream legacy/ulimit legacy/utmpx 

misc/forkpty misc/getauxval misc/getdomainname misc/gethostid misc/getpriority misc/getresgid
misc/getresuid misc/initgroups misc/login_tty misc/mntent misc/openpty misc/ptsname misc/pty
misc/setdomainname misc/setpriority misc/setrlimit misc/syscall misc/syslog misc/wordexp misc/issetugid
stat/__xstat stat/fchmodat stat/lchmod stat/mkfifo stat/mkfifoat stat/mknod stat/mknodat
stdio/pclose stdio/popen stdio/tmpfile
math/acosh stdlib/qsort
string/memcpy string/memmove string/memset string/memcmp string/strlen
termios/tcgetsid
thread/__set_thread_area thread/__tls_get_addr thread/__unmapself thread/clone thread/pthread_cancel thread/pthread_create thread/pthread_detach thread/pthread_join
thread/pthread_getattr_np thread/pthread_getcpuclockid thread/pthread_getname_np
thread/pthread_getschedparam thread/pthread_kill thread/pthread_setattr_default_np
thread/pthread_setname_np thread/pthread_setschedparam thread/pthread_setschedprio
thread/pthread_sigmask thread/sem_open thread/sem_unlink thread/synccall thread/syscall_cp
thread/thrd_create thread/thrd_exit thread/thrd_join thread/tls thread/lock_ptc
time/clock time/clock_getcpuclockid time/clock_settime time/timer_create
time/timer_delete time/timer_getoverrun time/timer_gettime time/timer_settime 
unistd/acct unistd/faccessat unistd/getgroups unistd/getlogin
unistd/getlogin_r unistd/getpgid unistd/getpgrp unistd/getsid 
unistd/nice unistd/pause unistd/setegid unistd/seteuid unistd/setgid unistd/setpgid unistd/setpgrp
unistd/setregid unistd/setresgid unistd/setresuid unistd/setreuid unistd/setsid unistd/setuid
unistd/setxid unistd/tcgetpgrp unistd/tcsetpgrp
""".split())

# Single files of other folders.
EXTRA = """malloc/reallocarray sched/sched_yield sched/affinity sched/sched_cpucount linux/getrandom
linux/sysinfo select/poll fenv/fegetexceptflag fenv/feholdexcept fenv/fesetexceptflag fenv/fesetround
fenv/feupdateenv fenv/__flt_rounds mman/madvise mman/posix_madvise mman/mprotect mman/msync mman/munmap mman/mlock
mman/munlock linux/utimes linux/fallocate
signal/psignal signal/sigaddset signal/sigandset signal/sigdelset signal/sigemptyset signal/sigfillset
signal/sigisemptyset signal/sigismember signal/siglongjmp signal/sigorset signal/sigrtmax signal/sigrtmin
process/posix_spawn_file_actions_addclose process/posix_spawn_file_actions_adddup2
process/posix_spawn_file_actions_addopen process/posix_spawn_file_actions_destroy
process/posix_spawn_file_actions_init process/posix_spawnattr_destroy process/posix_spawnattr_getflags
process/posix_spawnattr_init process/posix_spawnattr_setflags process/wait process/waitpid""".split()

# The few x86-64 files that are plain C around one instruction.
X86_64 = set("math/sqrt math/sqrtf math/fabs math/fabsf math/lrint math/lrintf math/llrint math/llrintf".split())

# Defined strongly here and weakly elsewhere: these come first on the linker's command line.
STRONG = ['stdio/stdin', 'stdio/stdout', 'stdio/stderr', 'env/setenv', 'stdio/ofl']


def main():
    musl = pathlib.Path(sys.argv[1])
    names = [f'{folder}/{path.stem}' for folder in WHOLE for path in sorted((musl / 'src' / folder).glob('*.c'))]
    names = [name for name in names if name not in OMIT] + EXTRA
    names = STRONG if sys.argv[2] == 'strong' else [name for name in names if name not in STRONG]
    for name in names:
        folder, base = name.split('/')
        path = f'src/{folder}/x86_64/{base}.c' if name in X86_64 else f'src/{name}.c'
        if not (musl / path).exists():
            sys.exit(f'{path} is missing in {musl}')
        print(path)


main()
