// apitest.exe - tests MetalOS from inside: every call of MetalOS.h with its errors, the C library,
// and what broke an earlier system.
//
//   apitest.exe              all groups
//   apitest.exe NAME ...     some of them
//   apitest.exe --list       their names
//
// Prints a line for each check that fails and ends with `apitest: N passed, N failed`; the exit
// code is the number of failures, at most 100.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *Name;
    TestGroup *Run;
} groups[] = {
    {"system", TestSystem},
    {"memory", TestMemory},
    {"sections", TestSections},
    {"files", TestFiles},
    {"directories", TestDirectories},
    {"pipes", TestPipes},
    {"handles", TestHandles},
    {"waits", TestWaits},
    {"objects", TestObjects},
    {"sharing", TestSharing},
    {"locks", TestLocks},
    {"lists", TestLists},
    {"threads", TestThreads},
    {"windows", TestWindows},
    {"libraries", TestLibraries},
    {"tls", TestTls},
    {"fpu", TestFpu},
    {"stdio", TestStdio},
    {"strings", TestStrings},
    {"stdlib", TestStdlib},
    {"math", TestMath},
    {"time", TestTime},
    {"posix", TestPosix},
    {"setjmp", TestSetjmp},
    {"mappings", TestMappings},
    {"poll", TestPoll},
    {"exceptions", TestExceptions},
    {"heap", TestHeap},
    {"pthreads", TestPthreads},
    {"processes", TestProcesses},
    {"exitcodes", TestExitCodes},
    {"console", TestConsole},
    {"lessons", TestLessons},
    {"leaks", TestLeaks},
};

static const char *currentGroup = "";
static volatile int passed, failed;

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
        exit(failed < 100 ? failed : 100);
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

// Removes a folder of the tests with all files and folders in it.
static void RemoveTree(const char *path)
{
    char child[MaximumPath];
    DirectoryEntry entry;
    for (bool again = true; again;) {
        Handle directory;
        again = false;
        if (OpenDirectory(path, &directory) != StatusSuccess)
            return;
        if (ReadDirectory(directory, &entry) == StatusSuccess) {
            snprintf(child, sizeof child, "%s/%s", path, entry.Name);
            bool folder = entry.Info.Attributes & FileAttributeDirectory;
            if (folder)
                RemoveTree(child);
            else
                again = DeleteFile(child) == StatusSuccess;
            again |= folder;
        }
        (void)CloseHandle(directory);
    }
    (void)RemoveDirectory(path);
}

static void RunGroup(size_t index)
{
    currentGroup = groups[index].Name;
    printf("apitest: %s\n", currentGroup);
    fflush(stdout);
    RemoveTree(FOLDER);
    OK(CreateDirectory(FOLDER));
    groups[index].Run();
    (void)SetCurrentDirectory("/");
    RemoveTree(FOLDER);
}

static bool RunByName(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        if (!strcmp(name, groups[i].Name)) {
            RunGroup(i);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--child"))
        return ChildMain(argc - 2, argv + 2);
    if (argc > 1 && !strcmp(argv[1], "--list")) {
        for (size_t i = 0; i < COUNT_OF(groups); i++)
            puts(groups[i].Name);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        if (!RunByName(argv[i])) {
            fprintf(stderr, "apitest: there is no group %s\n", argv[i]);
            return 101;
        }
    }
    for (size_t i = 0; argc == 1 && i < COUNT_OF(groups); i++)
        RunGroup(i);
    printf("apitest: %d passed, %d failed\n", passed, failed);
    return failed < 100 ? failed : 100;
}
