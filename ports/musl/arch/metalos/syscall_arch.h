// musl's system calls end in one function of the runtime, which carries them out with native calls
// (runtime/posix.c). Every argument is 64 bits wide: `long` has 32 here.
// SPDX-License-Identifier: MIT
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#define __scc(X) ((long long)(X))
typedef long long syscall_arg_t;

hidden long long __metalos_syscall(long long number, long long a, long long b, long long c,
                                   long long d, long long e, long long f);

static inline long long __syscall0(long long n)
{
    return __metalos_syscall(n, 0, 0, 0, 0, 0, 0);
}

static inline long long __syscall1(long long n, long long a)
{
    return __metalos_syscall(n, a, 0, 0, 0, 0, 0);
}

static inline long long __syscall2(long long n, long long a, long long b)
{
    return __metalos_syscall(n, a, b, 0, 0, 0, 0);
}

static inline long long __syscall3(long long n, long long a, long long b, long long c)
{
    return __metalos_syscall(n, a, b, c, 0, 0, 0);
}

static inline long long __syscall4(long long n, long long a, long long b, long long c, long long d)
{
    return __metalos_syscall(n, a, b, c, d, 0, 0);
}

static inline long long __syscall5(long long n, long long a, long long b, long long c, long long d,
                                   long long e)
{
    return __metalos_syscall(n, a, b, c, d, e, 0);
}

static inline long long __syscall6(long long n, long long a, long long b, long long c, long long d,
                                   long long e, long long f)
{
    return __metalos_syscall(n, a, b, c, d, e, f);
}
