// unit.h - the few lines a native unit test needs. A test program is a table of named functions; a
// failed CHECK prints where and what and the program's exit code is the number of failed tests.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct UnitTest {
    const char *Name;
    void (*Run)(void);
} UnitTest;

static bool UnitFailed;

#define CHECK(expression)                                                                          \
    ((expression) ? (void)0                                                                        \
                  : (void)(UnitFailed = true,                                                      \
                           printf("# %s:%d: CHECK(%s)\n", __FILE__, __LINE__, #expression)))
#define CHECK_EQUAL(actual, expected)                                                              \
    do {                                                                                           \
        long long unitActual = (long long)(actual), unitExpected = (long long)(expected);          \
        if (unitActual != unitExpected) {                                                          \
            UnitFailed = true;                                                                     \
            printf("# %s:%d: %s is %lld (0x%llx), expected %lld (0x%llx)\n", __FILE__, __LINE__,   \
                   #actual, unitActual, (unsigned long long)unitActual, unitExpected,              \
                   (unsigned long long)unitExpected);                                              \
        }                                                                                          \
    } while (0)
#define CHECK_TEXT(actual, expected)                                                               \
    do {                                                                                           \
        const char *unitActual = (actual), *unitExpected = (expected);                             \
        if (strcmp(unitActual, unitExpected)) {                                                    \
            UnitFailed = true;                                                                     \
            printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #actual,        \
                   unitActual, unitExpected);                                                      \
        }                                                                                          \
    } while (0)

// Runs the tests and prints TAP; the value to return from main.
static inline int UnitRun(const UnitTest *tests, size_t count)
{
    int failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        UnitFailed = false;
        tests[i].Run();
        printf("%s %zu - %s\n", UnitFailed ? "not ok" : "ok", i + 1, tests[i].Name);
        failed += UnitFailed;
    }
    return failed;
}

// A small deterministic generator for randomised tests (xorshift64*).
static inline uint64_t UnitRandom(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}
