// test_console.c - the line discipline: lines, editing, end of file, interrupt, echo, raw bytes.
// SPDX-License-Identifier: MIT
#include "../../kernel/fs/discipline.h"
#include "unit.h"

static FspDiscipline discipline;
static char echoed[4096];
static size_t echoedLength;

static void Echo(void *context, const char *text, size_t length)
{
    for (size_t i = 0; i < length && echoedLength < sizeof echoed - 1; i++)
        echoed[echoedLength++] = text[i];
    echoed[echoedLength] = '\0';
}

static void Start(uint32_t mode)
{
    memset(&discipline, 0, sizeof discipline);
    discipline.Mode = mode;
    echoedLength = 0;
    echoed[0] = '\0';
}

static bool Type(const char *text)
{
    bool interrupted = false;
    for (; *text; text++)
        interrupted |= FspType(&discipline, (uint8_t)*text, Echo, nullptr);
    return interrupted;
}

// What one read gets, as text; "EOF" for the end of the file.
static const char *Take(size_t size)
{
    static char text[4096];
    size_t taken;
    if (!FspTakeInput(&discipline, (uint8_t *)text, size, &taken))
        return "EOF";
    text[taken] = '\0';
    return text;
}

static void TestLines(void)
{
    Start(ConsoleModeDefault);
    Type("one\rtw");
    CHECK(FspHasInput(&discipline));
    CHECK_TEXT(Take(100), "one\n");
    CHECK(!FspHasInput(&discipline));
    Type("o\nthree\n");
    CHECK_TEXT(Take(100), "two\n"); // never two lines at once
    CHECK_TEXT(Take(3), "thr");
    CHECK_TEXT(Take(100), "ee\n");
    CHECK_TEXT(echoed, "one\r\ntwo\r\nthree\r\n");
}

static void TestEditing(void)
{
    Start(ConsoleModeDefault);
    Type("ab\x7F\x7F\x7F"
         "c\n");
    CHECK_TEXT(Take(100), "c\n");
    Type("one two  \x17"
         "x\n");
    CHECK_TEXT(Take(100), "one x\n");
    Type("all\x15none\n");
    CHECK_TEXT(Take(100), "none\n");
    Type("\xC3\xA4\xE2\x82\xAC\x7F\n"); // a character of several bytes goes as one
    CHECK_TEXT(Take(100), "\xC3\xA4\n");
    echoedLength = 0;
    Type("\x01\x7F\n");
    CHECK_TEXT(echoed, "^A\b \b\b \b\r\n");
}

static void TestEndOfFile(void)
{
    Start(ConsoleModeDefault);
    Type("half\x04");
    CHECK_TEXT(Take(100), "half");
    Type("\x04more\n");
    CHECK_TEXT(Take(100), "EOF");
    CHECK_TEXT(Take(100), "more\n");
}

static void TestInterrupt(void)
{
    Start(ConsoleModeDefault);
    Type("done\ntyping");
    CHECK(Type("\x03"));
    CHECK(!FspHasInput(&discipline)); // what was typed before is gone
    CHECK(strstr(echoed, "^C\r\n") != nullptr);
    Type("next\n");
    CHECK_TEXT(Take(100), "next\n");
    Start(0);
    CHECK(!Type("\x03"));
    CHECK_TEXT(Take(100), "\x03");
}

static void TestRaw(void)
{
    Start(0);
    Type("a\r\x04\x7F");
    CHECK_TEXT(Take(100), "a\r\x04\x7F");
    CHECK_TEXT(echoed, "");
    Start(ConsoleLineInput);
    Type("part");
    CHECK(!FspHasInput(&discipline));
    FspSetMode(&discipline, 0); // no lines any more: what is there can be read
    CHECK_TEXT(Take(100), "part");
}

static void TestLimits(void)
{
    Start(ConsoleModeDefault);
    for (int i = 0; i < 100000; i++)
        FspType(&discipline, 'x', Echo, nullptr);
    Type("\n");
    size_t length = strlen(Take(4000));
    CHECK_EQUAL(length, FSP_LINE_SIZE + 1);
    Start(0);
    for (uint32_t i = 0; i < FSP_READY_SIZE * 2; i++)
        FspType(&discipline, 'x', Echo, nullptr);
    CHECK(FspIsInputFull(&discipline));
    size_t all = 0;
    while (FspHasInput(&discipline))
        all += strlen(Take(1000));
    CHECK_EQUAL(all, FSP_READY_SIZE);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"lines", TestLines},         {"editing", TestEditing}, {"end of file", TestEndOfFile},
        {"interrupt", TestInterrupt}, {"raw", TestRaw},         {"limits", TestLimits},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
