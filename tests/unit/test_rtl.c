// Tests of lib/rtl against the C library of the machine that builds.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"
#include "unit.h"

static void TestFormat(void)
{
    static const char *const integers[] = {
        "%d", "%5d|", "%-5d|", "%05d", "%+d",    "% d",  "%.3d", "%8.3d", "%-8.3d|", "%u",
        "%x", "%X",   "%#x",   "%08x", "%#010x", "%hhd", "%hd",  "%hhu",  "%.0d"};
    static const int values[] = {0, 1, -1, 42, -12345, 0x7FFFFFFF, (int)0x80000000};
    char ours[64], theirs[64];
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat"
    for (size_t i = 0; i < RTL_COUNT_OF(integers); i++)
        for (size_t k = 0; k < RTL_COUNT_OF(values); k++) {
            size_t length = RtlFormat(ours, sizeof ours, integers[i], values[k]);
            CHECK_EQUAL(length, snprintf(theirs, sizeof theirs, integers[i], values[k]));
            CHECK_TEXT(ours, theirs);
        }
#pragma clang diagnostic pop
    RtlFormat(ours, sizeof ours, "%lld %zu %llx", -5000000000ll, (size_t)7, 0xFFFFFFFFFFFFFFFFull);
    CHECK_TEXT(ours, "-5000000000 7 ffffffffffffffff");
    RtlFormat(ours, sizeof ours, "%s|%5s|%-5s|%.2s|%c|%%|%*d", "abc", "ab", "ab", "abc", 'x', 4, 7);
    CHECK_TEXT(ours, "abc|   ab|ab   |ab|x|%|   7");
    RtlFormat(ours, sizeof ours, "%p %s", (void *)0x1234, (char *)nullptr);
    CHECK_TEXT(ours, "0x0000000000001234 (null)");
}

static void TestFormatCuts(void)
{
    char buffer[4] = "zzz";
    CHECK_EQUAL(RtlFormat(buffer, sizeof buffer, "%s", "abcdef"), 6);
    CHECK_TEXT(buffer, "abc");
    CHECK_EQUAL(RtlFormat(nullptr, 0, "%d", 100), 3);
}

static void TestOptions(void)
{
    const char *text =
        "# head\nresolution = 1280x800 # note\r\nrun=a.exe -x = y\n  run =  b.exe\t\n\nlog=debug";
    char value[32];
    CHECK(RtlFindOption(text, "resolution", 0, value, sizeof value));
    CHECK_TEXT(value, "1280x800");
    CHECK(RtlFindOption(text, "run", 0, value, sizeof value));
    CHECK_TEXT(value, "a.exe -x = y");
    CHECK(RtlFindOption(text, "run", 1, value, sizeof value));
    CHECK_TEXT(value, "b.exe");
    CHECK(!RtlFindOption(text, "run", 2, value, sizeof value));
    CHECK(RtlFindOption(text, "log", 0, value, 4));
    CHECK_TEXT(value, "deb");
    CHECK(!RtlFindOption(text, "lo", 0, value, sizeof value));
    CHECK(!RtlFindOption("", "x", 0, value, sizeof value));
}

static void TestSizes(void)
{
    uint32_t width = 7, height = 8;
    const char *wrong[] = {"", "x", "1280", "1280x", "x800", "1280x800 ", "-1x1", "123456x1"};
    for (size_t i = 0; i < RTL_COUNT_OF(wrong); i++)
        CHECK(!RtlParseSize(wrong[i], &width, &height) && width == 7 && height == 8);
    CHECK(RtlParseSize("1280x800", &width, &height) && width == 1280 && height == 800);
}

static void TestUtf(void)
{
    uint16_t wide[16];
    char text[32];
    size_t units, bytes;
    const char *sample = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    CHECK_EQUAL(RtlUtf8ToUtf16(sample, strlen(sample), wide, RTL_COUNT_OF(wide), &units),
                StatusSuccess);
    CHECK_EQUAL(units, 5);
    CHECK_EQUAL(wide[3], 0xD83D);
    CHECK_EQUAL(RtlUtf16ToUtf8(wide, units, text, sizeof text, &bytes), StatusSuccess);
    CHECK_TEXT(text, sample);
    CHECK_EQUAL(RtlUtf8ToUtf16("\xEF\xBF\xBD", 3, wide, 2, &units), StatusSuccess);
    static const char *const bad[] = {"\x80",     "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xE2\x82", "\xFF"};
    for (size_t i = 0; i < RTL_COUNT_OF(bad); i++)
        CHECK_EQUAL(RtlUtf8ToUtf16(bad[i], strlen(bad[i]), wide, RTL_COUNT_OF(wide), &units),
                    StatusInvalidName);
    CHECK_EQUAL(RtlUtf8ToUtf16("abc", 3, wide, 3, &units), StatusBufferTooSmall);
    CHECK_EQUAL(RtlUtf16ToUtf8((const uint16_t[]){0xDC00}, 1, text, sizeof text, &bytes),
                StatusInvalidName);
    CHECK_EQUAL(RtlUtf16ToUtf8((const uint16_t[]){0xD800}, 1, text, sizeof text, &bytes),
                StatusInvalidName);
}

static void TestUtfRoundTrip(void)
{
    for (uint32_t code = 1; code < 0x110000; code++) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        char encoded[4];
        size_t size = RtlEncodeUtf8(code, encoded), index = 0;
        if (RtlDecodeUtf8(encoded, size, &index) != code || index != size) {
            CHECK_EQUAL(code, -1);
            return;
        }
    }
}

static void TestBitmap(void)
{
    uint64_t words[4] = {}, seed = 7;
    bool model[200] = {};
    RtlBitmap map = {words, 200};
    for (int round = 0; round < 5000; round++) {
        size_t start = UnitRandom(&seed) % 210, count = UnitRandom(&seed) % 80;
        bool value = UnitRandom(&seed) & 1;
        RtlSetBits(&map, start, count, value);
        for (size_t i = start; i < start + count && i < 200; i++)
            model[i] = value;
        size_t want = 1 + UnitRandom(&seed) % 70, from = UnitRandom(&seed) % 200, found = SIZE_MAX,
               run = 0;
        for (size_t i = from; i < 200 && found == SIZE_MAX; i++) {
            run = model[i] ? 0 : run + 1;
            if (run == want)
                found = i + 1 - want;
        }
        CHECK_EQUAL(RtlFindClearBits(&map, from, want), found);
        CHECK_EQUAL(RtlTestBit(&map, from), model[from]);
    }
    CHECK(!RtlTestBit(&map, 200));
}

static void TestMisc(void)
{
    CHECK_EQUAL(RtlCrc32(0, "123456789", 9), 0xCBF43926);
    CHECK_EQUAL(RtlCrc32(RtlCrc32(0, "12345", 5), "6789", 4), 0xCBF43926);
    CHECK(RtlCompareNoCase("DOOM.exe", "doom.EXE") == 0);
    CHECK(RtlCompareNoCase("a", "b") < 0);
    char small[4];
    CHECK(RtlCopyString(small, sizeof small, "abc"));
    CHECK(!RtlCopyString(small, sizeof small, "abcd"));
    CHECK_TEXT(small, "abc");
}

int main(void)
{
    static const UnitTest tests[] = {
        {"format agrees with printf", TestFormat},
        {"format cuts", TestFormatCuts},
        {"options text", TestOptions},
        {"sizes of screens", TestSizes},
        {"UTF conversions", TestUtf},
        {"UTF round trip", TestUtfRoundTrip},
        {"bitmap", TestBitmap},
        {"checksums and strings", TestMisc},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
