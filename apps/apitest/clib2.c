// clib2.c - the C library: mathematics, time, POSIX files, setjmp.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <complex.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static bool Near(double got, double expected)
{
    return fabs(got - expected) <= 4e-16 * fabs(expected) || got == expected;
}

void TestMath(void)
{
    volatile double one = 1, two = 2, negative = -1, half = 0.5;
    CHECK(Near(sqrt(two), 1.4142135623730951) && Near(sin(one), 0.8414709848078965) &&
          Near(cos(one), 0.5403023058681398));
    CHECK(Near(exp(one), 2.718281828459045) && Near(log(two), 0.6931471805599453) &&
          Near(pow(two, half), 1.4142135623730951));
    CHECK(Near(atan2(one, two), 0.4636476090008061) && Near(tan(half), 0.5463024898437905) &&
          Near(cbrt(two), 1.2599210498948732));
    CHECK(isnan(sqrt(negative)) && isinf(one / (one - 1)) && signbit(-0.0));
    CHECK(floor(-1.5) == -2 && ceil(-1.5) == -1 && trunc(-1.5) == -1 && round(-1.5) == -2 &&
          nearbyint(2.5) == 2);
    CHECK(fmod(5.5, 2) == 1.5 && hypot(3, 4) == 5 && ldexp(1, 10) == 1024 && fma(2, 3, 4) == 10);
    CHECK(lrint(2.5) == 2 && llround(1e15 + 0.5) == 1000000000000001 && lround(-2.5) == -3);
    int exponent;
    CHECK(frexp(48, &exponent) == 0.75 && exponent == 6);
    CHECK(sinf(1.0f) == 0.84147098f && Near(tgamma(5), 24) && Near(erf(half), 0.5204998778130465));
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0, result = one / zero;
    CHECK(fetestexcept(FE_DIVBYZERO) && isinf(result));
    feclearexcept(FE_ALL_EXCEPT);
    EQUAL(fetestexcept(FE_ALL_EXCEPT), 0);
    EQUAL(fesetround(FE_UPWARD), 0);
    volatile double up = one / 3;
    fesetround(FE_DOWNWARD);
    volatile double down = one / 3;
    fesetround(FE_TONEAREST);
    CHECK(up > down);
    double _Complex z = CMPLX(1, 2), product = z * CMPLX(3, -1);
    CHECK(creal(product) == 5 && cimag(product) == 5 && Near(cabs(CMPLX(3, 4)), 5));
}

void TestTime(void)
{
    time_t now = time(nullptr), fixed = 1700000000;
    struct tm parts;
    char text[64];
    uint64_t native;
    OK(GetSystemTime(&native));
    CHECK(llabs((long long)(native / 1000000000) - now) <= 1);
    CHECK(gmtime_r(&fixed, &parts) != nullptr);
    EQUAL(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %a %j", &parts), 27);
    TEXT(text, "2023-11-14 22:13:20 Tue 318");
    EQUAL(timegm(&parts), fixed);
    parts = (struct tm){.tm_year = 200, .tm_mon = 0, .tm_mday = 1};
    EQUAL(timegm(&parts), 4102444800);
    CHECK(localtime(&fixed) != nullptr && mktime(localtime(&fixed)) == fixed);
    struct timespec a, b, pause = {0, 30000000};
    EQUAL(clock_gettime(CLOCK_MONOTONIC, &a), 0);
    EQUAL(nanosleep(&pause, nullptr), 0);
    EQUAL(clock_gettime(CLOCK_MONOTONIC, &b), 0);
    long long taken = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
    CHECK(taken >= 30000000 && taken < 1030000000);
    EQUAL(usleep(1000), 0);
    pause.tv_nsec = -1;
    EQUAL(nanosleep(&pause, nullptr), -1);
    EQUAL(errno, EINVAL);
    EQUAL(clock_gettime(12345, &a), -1);
    clock_t start = clock();
    for (volatile int i = 0; i < 20000000; i++) {}
    CHECK(clock() > start);
    TEXT(asctime_r(gmtime_r(&fixed, &parts), text), "Tue Nov 14 22:13:20 2023\n");
    EQUAL(sizeof(time_t), 8);
}

static void TestDescriptors(void)
{
    char buffer[32] = {};
    struct stat status;
    int file = open(FOLDER "/posix", O_RDWR | O_CREAT | O_EXCL, 0666);
    if (!CHECK(file >= 3))
        return;
    EQUAL(open(FOLDER "/posix", O_RDWR | O_CREAT | O_EXCL, 0666), -1);
    EQUAL(errno, EEXIST);
    EQUAL(write(file, "0123456789", 10), 10);
    EQUAL(lseek(file, 2, SEEK_SET), 2);
    EQUAL(read(file, buffer, 3), 3);
    TEXT(buffer, "234");
    EQUAL(pread(file, buffer, 2, 8), 2);
    CHECK(!memcmp(buffer, "89", 2) && lseek(file, 0, SEEK_CUR) == 5);
    EQUAL(pwrite(file, "AB", 2, 0), 2);
    EQUAL(ftruncate(file, 4), 0);
    EQUAL(fstat(file, &status), 0);
    CHECK(status.st_size == 4 && S_ISREG(status.st_mode));
    int copy = dup(file);
    CHECK(copy > file);
    EQUAL(lseek(copy, 1, SEEK_SET), 1);
    EQUAL(lseek(file, 0, SEEK_CUR), 1); // one position
    EQUAL(dup2(copy, 100), 100);
    EQUAL(close(100), 0);
    EQUAL(close(copy), 0);
    EQUAL(fsync(file), 0);
    EQUAL(close(file), 0);
    EQUAL(close(file), -1);
    EQUAL(errno, EBADF);
    EQUAL(read(file, buffer, 1), -1);
    EQUAL(read(-1, buffer, 1), -1);
    EQUAL(write(1000000, buffer, 1), -1);
    EQUAL(stat(FOLDER "/posix", &status), 0);
    EQUAL(access(FOLDER "/posix", R_OK | W_OK), 0);
    EQUAL(access(FOLDER "/none", F_OK), -1);
    EQUAL(unlink(FOLDER "/posix"), 0);
    EQUAL(stat(FOLDER "/posix", &status), -1);
    EQUAL(errno, ENOENT);
    int ends[2];
    EQUAL(pipe(ends), 0);
    EQUAL(write(ends[1], "pipe", 4), 4);
    EQUAL(read(ends[0], buffer, sizeof buffer), 4);
    EQUAL(lseek(ends[0], 0, SEEK_CUR), -1);
    EQUAL(close(ends[1]), 0);
    EQUAL(read(ends[0], buffer, 1), 0);
    EQUAL(close(ends[0]), 0);
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0 && write(null, "x", 1) == 1 && read(null, buffer, 1) == 0);
    EQUAL(close(null), 0);
    EQUAL(isatty(null), 0);
}

static void TestFolders(void)
{
    char path[1024];
    struct stat status;
    EQUAL(mkdir(FOLDER "/folder", 0777), 0);
    EQUAL(mkdir(FOLDER "/folder", 0777), -1);
    EQUAL(errno, EEXIST);
    EQUAL(stat(FOLDER "/folder", &status), 0);
    CHECK(S_ISDIR(status.st_mode));
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, FOLDER "/folder/file%02d", i);
        FILE *file = fopen(path, "w");
        if (file)
            fclose(file);
    }
    DIR *directory = opendir(FOLDER "/folder");
    if (CHECK(directory)) {
        struct dirent *entry;
        unsigned seen = 0;
        while ((entry = readdir(directory)))
            if (!strncmp(entry->d_name, "file", 4) && entry->d_type == DT_REG)
                seen |= 1u << atoi(entry->d_name + 4);
        EQUAL(seen, (1u << 30) - 1);
        rewinddir(directory);
        CHECK(readdir(directory) != nullptr);
        EQUAL(closedir(directory), 0);
    }
    CHECK(!opendir(FOLDER "/none") && errno == ENOENT);
    CHECK(!opendir(FOLDER "/folder/file00") && errno == ENOTDIR);
    EQUAL(rmdir(FOLDER "/folder"), -1);
    EQUAL(errno, ENOTEMPTY);
    EQUAL(chdir(FOLDER "/folder"), 0);
    TEXT(getcwd(path, sizeof path), FOLDER "/folder");
    CHECK(!getcwd(path, 4) && errno == ERANGE);
    EQUAL(access("file00", F_OK), 0);
    TEXT(realpath("../folder/file01", path), FOLDER "/folder/file01");
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "file%02d", i);
        EQUAL(remove(path), 0);
    }
    EQUAL(chdir("/"), 0);
    EQUAL(rmdir(FOLDER "/folder"), 0);
}

static volatile sig_atomic_t signalled;
static void OnSignal(int number)
{
    signalled = number;
}

void TestPosix(void)
{
    struct utsname name;
    TestDescriptors();
    TestFolders();
    EQUAL(uname(&name), 0);
    TEXT(name.sysname, "MetalOS");
    EQUAL(getpid(), GetCurrentProcessId());
    EQUAL(sysconf(_SC_PAGESIZE), 4096);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    signal(SIGUSR1, OnSignal);
    EQUAL(raise(SIGUSR1), 0);
    EQUAL(signalled, SIGUSR1);
    unsigned char random[32] = {}, zero[32] = {};
    EQUAL(getentropy(random, sizeof random), 0);
    CHECK(memcmp(random, zero, sizeof zero) != 0);
    CHECK(environ != nullptr);
    char template[] = FOLDER "/tmpXXXXXX";
    int file = mkstemp(template);
    CHECK(file >= 0);
    EQUAL(close(file), 0);
}

// ---- setjmp

static jmp_buf buffer;

__attribute__((noinline)) static void Deep(int depth, int value)
{
    volatile char frame[100];
    frame[0] = (char)depth;
    if (depth == 0)
        longjmp(buffer, value);
    Deep(depth - 1, value);
    frame[99] = frame[0];
}

void TestSetjmp(void)
{
    volatile int count = 0;
    volatile double kept = 1.25;
    double before;
    uint64_t value = 0x1234567812345678ull, after = 0;
    __asm__ volatile("movq %0, %%xmm8" : : "r"(value) : "xmm8");
    int result = setjmp(buffer);
    __asm__ volatile("movq %%xmm8, %0" : "=r"(after));
    EQUAL(after, value);
    EQUAL(result, count);
    before = kept;
    CHECK(before == 1.25);
    if (count < 5) {
        count++;
        __asm__ volatile("pxor %%xmm8, %%xmm8" : : : "xmm8");
        Deep(count * 3, count);
    }
    EQUAL(count, 5);
    if ((result = setjmp(buffer)) == 0)
        longjmp(buffer, 0); // arrives as 1
    EQUAL(result, 1);
}
