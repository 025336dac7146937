// Tests of runtime/command.c: a command line as argv.
// SPDX-License-Identifier: MIT
#include "../../runtime/command.h"
#include "rtl/rtl.h"
#include "unit.h"

#include <stdlib.h>

static void TestSplitting(void)
{
    static const struct {
        const char *Line, *Arguments; // joined with '|'
    } cases[] = {
        {"echo a \"b c\" d", "echo|a|b c|d"},
        {"echo \"say \\\"hi\\\"\"", "echo|say \"hi\""},
        {"dir \"C:\\two words\\\\\"", "dir|C:\\two words\\"},
        {"\"/apps/my tool.exe\" x", "/apps/my tool.exe|x"},
        {"", ""},
        {"   ", ""},
        {" \t a \n b ", "a|b"},
        {"a\\b c\\\\d", "a\\b|c\\\\d"},
        {"\\\\\"x y\\\\\" z", "\\x y\\|z"},
        {"\"\"", ""},
        {"a \"\" b", "a||b"},
        {"a\"b c\"d", "ab cd"},
        {"\"a\"\"b\"", "a\"b"},
        {"\"open end", "open end"},
        {"\\", "\\"},
        {"\\\"", "\""},
        {"\"\\", "\\"},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(cases); i++) {
        size_t length = strlen(cases[i].Line), capacity = length / 2 + 2, count = 99;
        // Exactly what the contract promises to be enough.
        char *text = malloc(length + 1), **arguments = malloc(capacity * sizeof(*arguments));
        CHECK(RtSplitCommandLine(cases[i].Line, text, length + 1, arguments, capacity, &count));
        CHECK(arguments[count] == nullptr);
        char joined[256] = "";
        for (size_t a = 0; a < count; a++)
            snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", a ? "|" : "",
                     arguments[a]);
        CHECK_TEXT(joined, cases[i].Arguments);
        free(text);
        free(arguments);
    }
}

static void TestLimits(void)
{
    char text[8], *arguments[3];
    size_t count;
    CHECK(RtSplitCommandLine("abc def", text, 8, arguments, 3, &count));
    CHECK(!RtSplitCommandLine("abc def", text, 7, arguments, 3, &count));
    CHECK(!RtSplitCommandLine("a b c", text, 8, arguments, 3, &count));
    CHECK(!RtSplitCommandLine("a", text, 8, arguments, 0, &count));
}

// Any line fits what its length promises.
static void TestRandomLines(void)
{
    static const char letters[] = "ab\"\\ \t";
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char line[24];
        size_t length = (random >> 8) % sizeof(line), count;
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            line[i] = letters[(random >> 16) % (sizeof(letters) - 1)];
        }
        random = random * 1664525 + 1013904223;
        line[length == sizeof(line) ? --length : length] = '\0';
        size_t capacity = length / 2 + 2;
        char *text = malloc(length + 1), **arguments = malloc(capacity * sizeof(*arguments));
        CHECK(RtSplitCommandLine(line, text, length + 1, arguments, capacity, &count));
        free(text);
        free(arguments);
    }
}

int main(void)
{
    static const UnitTest tests[] = {
        {"rules", TestSplitting},
        {"too little room", TestLimits},
        {"any line fits what its length promises", TestRandomLines},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
