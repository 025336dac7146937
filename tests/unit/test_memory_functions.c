// Tests of runtime/memory.c in each of its forms, against plain loops.
// SPDX-License-Identifier: MIT
#include "unit.h"

#define memcpy  RuntimeCopy
#define memmove RuntimeMove
#define memset  RuntimeSet
#define memcmp  RuntimeCompare
#define strlen  RuntimeLength
void *RuntimeCopy(void *restrict to, const void *restrict from, size_t size);
void *RuntimeMove(void *to, const void *from, size_t size);
void *RuntimeSet(void *to, int value, size_t size);
int RuntimeCompare(const void *a, const void *b, size_t size);
__attribute__((no_sanitize("address"))) size_t RuntimeLength(const char *text);
#include "../../runtime/memory.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen

#define AREA 5200u
static unsigned char source[AREA], target[AREA], expected[AREA];

static void Fill(void)
{
    for (size_t i = 0; i < AREA; i++) {
        source[i] = (unsigned char)(i * 7 + i / 251);
        target[i] = expected[i] = (unsigned char)~source[i];
    }
}

static void CheckOne(size_t size, size_t offset, size_t shift)
{
    Fill();
    for (size_t i = 0; i < size; i++)
        expected[offset + i] = source[shift + i];
    CHECK(RuntimeCopy(target + offset, source + shift, size) == target + offset);
    CHECK(!memcmp(target, expected, AREA));

    Fill();
    for (size_t i = 0; i < size; i++)
        expected[offset + i] = 0xA5;
    CHECK(RuntimeSet(target + offset, 0xFFA5, size) == target + offset);
    CHECK(!memcmp(target, expected, AREA));

    for (int up = 0; up < 2; up++) { // overlapping
        size_t to = up ? offset + shift : offset, from = up ? offset : offset + shift;
        Fill();
        for (size_t i = 0; i < size; i++)
            expected[to + i] = target[from + i];
        CHECK(RuntimeMove(target + to, target + from, size) == target + to);
        CHECK(!memcmp(target, expected, AREA));
    }
}

static void CheckSizes(void)
{
    for (size_t size = 0; size < 300; size++)
        for (size_t shift = 0; shift < 70; shift += 7)
            CheckOne(size, size % 37, shift);
    static const size_t sizes[] = {511,  512,  513,  1000, 1023, 1024, 1025,
                                   2047, 2048, 4095, 4096, 4097, 5000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t shift = 0; shift < 150; shift += 13)
            CheckOne(sizes[i], i % 5, shift);
}

static void TestSse2(void)
{
    hasAvx = hasFastStrings = false;
    CheckSizes();
}

static void TestAvx(void)
{
    RtSelectMemoryFunctions();
    hasFastStrings = false;
    CheckSizes();
}

static void TestStringInstructions(void)
{
    hasFastStrings = true; // every processor has the instructions
    CheckSizes();
}

static void TestCompare(void)
{
    for (size_t size = 0; size < 80; size++) {
        for (size_t at = 0; at <= size; at++) {
            Fill();
            memcpy(target + 3, source, size);
            target[3 + at] = source[at]; // one behind the range may be anything
            CHECK_EQUAL(RuntimeCompare(source, target + 3, size), 0);
            if (at == size)
                continue;
            target[3 + at] = (unsigned char)(source[at] + 1);
            int got = RuntimeCompare(source, target + 3, size);
            CHECK(source[at] < target[3 + at] ? got < 0 : got > 0);
        }
    }
}

static void TestLength(void)
{
    static _Alignas(16) char text[256];
    for (size_t start = 0; start < 40; start++) {
        for (size_t length = 0; length < 100; length++) {
            memset(text, 'x', sizeof(text));
            text[start + length] = 0;
            if (start)
                text[start - 1] = 0; // a NUL before the string does not count
            CHECK_EQUAL(RuntimeLength(text + start), length);
        }
    }
}

int main(void)
{
    static const UnitTest tests[] = {
        {"SSE2", TestSse2},
        {"AVX, where there is", TestAvx},
        {"string instructions", TestStringInstructions},
        {"memcmp", TestCompare},
        {"strlen", TestLength},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
