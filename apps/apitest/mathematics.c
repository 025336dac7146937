// mathematics.c - the C library: mathematics, time, setjmp.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <complex.h>
#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
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
