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
    {"races", TestRaces},
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
    TestBegin(groups[index].Name);
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
    return TestConclude();
}
