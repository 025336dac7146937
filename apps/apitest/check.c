// check.c - counts checks and prints those that fail.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *currentGroup = "";
static volatile int passed, failed;

void TestBegin(const char *group)
{
    currentGroup = group;
    printf("apitest: %s\n", group);
    fflush(stdout);
}

static int ExitCode(void)
{
    return failed < 100 ? failed : 100;
}

int TestConclude(void)
{
    printf("apitest: %d passed, %d failed\n", passed, failed);
    return ExitCode();
}

bool TestCheck(bool holds, const char *file, int line, const char *text)
{
    if (holds) {
        __atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED);
        return true;
    }
    __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
    const char *name = strrchr(file, '/');
    printf("apitest: FAILED %s (%s:%d): %s\n", currentGroup, name ? name + 1 : file, line, text);
    fflush(stdout);
    return false;
}

bool TestStatus(Status got, Status expected, const char *file, int line, const char *text)
{
    char detail[512];
    snprintf(detail, sizeof detail, "%s is %s, not %s", text, GetStatusText(got),
             GetStatusText(expected));
    return TestCheck(got == expected, file, line, detail);
}

bool TestNeeded(Status got, const char *file, int line, const char *text)
{
    if (!TestStatus(got, StatusSuccess, file, line, text)) {
        printf("apitest: cannot go on\n");
        exit(ExitCode());
    }
    return true;
}

bool TestNumber(long long got, long long expected, const char *file, int line, const char *text)
{
    char detail[512];
    snprintf(detail, sizeof detail, "%s is %lld (0x%llx), not %lld", text, got, got, expected);
    return TestCheck(got == expected, file, line, detail);
}

bool TestText(const char *got, const char *expected, const char *file, int line, const char *text)
{
    char detail[512];
    snprintf(detail, sizeof detail, "%s is \"%.160s\", not \"%.160s\"", text, got, expected);
    return TestCheck(got && !strcmp(got, expected), file, line, detail);
}
