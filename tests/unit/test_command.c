// Tests of kernel/sys/command.c: which program a command line names.
// SPDX-License-Identifier: MIT
#include "../../kernel/sys/command.h"
#include "unit.h"

static void TestProgram(void)
{
    static const struct {
        const char *Line;
        Status Expected;
        const char *Program;
    } cases[] = {
        {"doom.exe", StatusSuccess, "doom.exe"},
        {"  doom -iwad x", StatusSuccess, "doom"},
        {"\tdoom\targ", StatusSuccess, "doom"},
        {"\"/a/two words\" a \"b\"", StatusSuccess, "/a/two words"},
        {"\"a\"", StatusSuccess, "a"},
        {"\"a\"b", StatusSuccess, "a"},
        {"", StatusInvalidName, ""},
        {"   ", StatusInvalidName, ""},
        {"\"\"", StatusInvalidName, ""},
        {"\"", StatusInvalidName, ""},
        {"\"no end", StatusInvalidName, ""},
        {"123456789012345", StatusSuccess, "123456789012345"},
        {"1234567890123456", StatusNameTooLong, ""},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(cases); i++) {
        char program[16] = "";
        CHECK_EQUAL(CommandGetProgram(cases[i].Line, program, sizeof(program)), cases[i].Expected);
        CHECK_TEXT(program, cases[i].Program);
    }
}

static void TestSuffix(void)
{
    char name[12] = "doom";
    CHECK_EQUAL(CommandAddSuffix(name, sizeof(name), ".exe"), StatusSuccess);
    CHECK_TEXT(name, "doom.exe");
    CHECK_EQUAL(CommandAddSuffix(name, sizeof(name), ".EXE"), StatusSuccess);
    CHECK_TEXT(name, "doom.exe");
    CHECK_EQUAL(CommandAddSuffix(name, sizeof(name), ".dll"), StatusNameTooLong);
    char only[12] = ".exe"; // nothing but a suffix is a name
    CHECK_EQUAL(CommandAddSuffix(only, sizeof(only), ".exe"), StatusSuccess);
    CHECK_TEXT(only, ".exe.exe");
    char exact[9] = "doom";
    CHECK_EQUAL(CommandAddSuffix(exact, sizeof(exact), ".exe"), StatusSuccess);
    char tight[8] = "doom";
    CHECK_EQUAL(CommandAddSuffix(tight, sizeof(tight), ".exe"), StatusNameTooLong);
}

static void TestPaths(void)
{
    CHECK(CommandIsPath("a/b"));
    CHECK(CommandIsPath("\\a"));
    CHECK(!CommandIsPath("a.b"));
    CHECK(!CommandIsPath(""));
    char directory[32];
    CommandGetDirectory("/apps/doom.exe", directory, sizeof(directory));
    CHECK_TEXT(directory, "/apps");
    CommandGetDirectory("/doom.exe", directory, sizeof(directory));
    CHECK_TEXT(directory, "/");
    CommandGetDirectory("/a/b/c", directory, sizeof(directory));
    CHECK_TEXT(directory, "/a/b");
    CommandGetDirectory("", directory, sizeof(directory));
    CHECK_TEXT(directory, "");
}

int main(void)
{
    static const UnitTest tests[] = {
        {"program of a command line", TestProgram},
        {"suffix", TestSuffix},
        {"paths and directories", TestPaths},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
