// test.c - the command `test`, also called `[`: compares strings, numbers and files.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

// -1: not a known operator.
static int TestOne(char letter, const char *text)
{
    FileInfo info;
    bool exists, folder;
    switch (letter) {
    case 'z':
        return *text == '\0';
    case 'n':
        return *text != '\0';
    case 'e':
    case 'f':
    case 'd':
    case 's':
        exists = GetPathInfo(text, &info) == StatusSuccess;
        folder = exists && (info.Attributes & FileAttributeDirectory);
        return letter == 'e'   ? exists
               : letter == 'd' ? folder
               : letter == 'f' ? exists && !folder
                               : exists && info.Size > 0;
    default:
        return -1;
    }
}

static int TestTwo(const char *a, const char *sign, const char *b)
{
    static const char *const signs[] = {"-eq", "-ne", "-lt", "-le", "-gt", "-ge"};
    if (strcmp(sign, "=") == 0 || strcmp(sign, "==") == 0)
        return strcmp(a, b) == 0;
    if (strcmp(sign, "!=") == 0)
        return strcmp(a, b) != 0;
    long long x = strtoll(a, nullptr, 10), y = strtoll(b, nullptr, 10);
    const bool results[] = {x == y, x != y, x<y, x <= y, x> y, x >= y};
    for (size_t i = 0; i < 6; i++)
        if (strcmp(sign, signs[i]) == 0)
            return results[i];
    return -1;
}

static int TestWords(int count, char **words)
{
    if (count > 0 && strcmp(words[0], "!") == 0) {
        int result = TestWords(count - 1, words + 1);
        return result < 0 ? result : !result;
    }
    if (count == 0)
        return 0;
    if (count == 1)
        return *words[0] != '\0';
    if (count == 2 && words[0][0] == '-' && words[0][1] != '\0' && words[0][2] == '\0')
        return TestOne(words[0][1], words[1]);
    return count == 3 ? TestTwo(words[0], words[1], words[2]) : -1;
}

int Test(int argc, char **argv, const Streams *streams)
{
    bool bracket = strcmp(argv[0], "[") == 0;
    int count = argc - 1 - bracket, result = -1;
    if (!bracket || (argc > 1 && strcmp(argv[argc - 1], "]") == 0))
        result = TestWords(count, argv + 1);
    if (result < 0)
        Complain(streams, "%s: this expression is not understood", argv[0]);
    return result < 0 ? ExitSyntax : !result;
}
