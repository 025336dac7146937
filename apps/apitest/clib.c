// clib.c - the C library: streams, strings, numbers, the heap.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

static const char *Print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *Print(const char *format, ...)
{
    static char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static void TestPrintf(void)
{
    TEXT(Print("%d %i %u %x %X %o %c %s %%", -5, 6, 7u, 0xabc, 0xDEF, 8, 'z', "str"),
         "-5 6 7 abc DEF 10 z str %");
    TEXT(Print("%ld %lld %zu %jd %td %hd %hhd", -1L, 1234567890123LL, SIZE_MAX, (intmax_t)-9,
               (ptrdiff_t)-7, 65537, 257),
         "-1 1234567890123 18446744073709551615 -9 -7 1 1");
    TEXT(Print("[%5d][%-5d][%05d][%+d][% d][%#x][%.3d]", 42, 42, 42, 42, 42, 255, 7),
         "[   42][42   ][00042][+42][ 42][0xff][007]");
    TEXT(Print("%" PRIu64 " %" PRIx64 " %" PRId64 " %" PRIuPTR, UINT64_MAX, UINT64_C(1) << 40,
               INT64_MIN, (uintptr_t)UINT64_MAX),
         "18446744073709551615 10000000000 -9223372036854775808 18446744073709551615");
    TEXT(Print("%f %.2f %e %g %g %.17g", 3.25, 2.675, 12345.678, 0.0001, 1e20, 0.1),
         "3.250000 2.67 1.234568e+04 0.0001 1e+20 0.10000000000000001");
    TEXT(Print("%g %g %g %.0f %a", (double)INFINITY, -(double)INFINITY, 5e-324, 0.5, 1.0),
         "inf -inf 4.94066e-324 0 0x1p+0");
    TEXT(Print("%.3s|%*d|%-*d|%.*f", "abcdef", 6, 12, 4, 3, 2, 1.005), "abc|    12|3   |1.00");
    TEXT(Print("%Lf %p", 1.5L, (void *)0x1234), "1.500000 0x1234");
    TEXT(Print("%ls", L"wide"), "wide");
    EQUAL(snprintf(nullptr, 0, "%s", "12345"), 5);
    char small[4];
    EQUAL(snprintf(small, sizeof small, "%d", 123456), 6);
    TEXT(small, "123");
}

static void TestScanf(void)
{
    int i = 0, n = 0;
    long long ll = 0;
    size_t z = 1, guard = 77;
    double d = 0;
    char word[16] = "", set[16] = "";
    EQUAL(sscanf("42 -1234567890123 18446744073709551615 2.5 hello [abc]",
                 "%d %lld %zu %lf %15s [%15[a-c]]%n", &i, &ll, &z, &d, word, set, &n),
          6);
    EQUAL(i, 42);
    EQUAL(ll, -1234567890123LL);
    CHECK(z == SIZE_MAX && guard == 77);
    CHECK(d == 2.5);
    TEXT(word, "hello");
    TEXT(set, "abc");
    EQUAL(n, 54);
    EQUAL(sscanf("", "%d", &i), EOF);
    EQUAL(sscanf("x", "%d", &i), 0);
    unsigned hex = 0;
    EQUAL(sscanf("0xFf", "%x", &hex), 1);
    EQUAL(hex, 255);
}

static void TestStreams(void)
{
    FILE *file = fopen(FOLDER "/stream.txt", "w+");
    char line[64];
    if (!CHECK(file))
        return;
    CHECK(fputs("first\nsecond\nthird", file) >= 0);
    EQUAL(ftell(file), 18);
    rewind(file);
    TEXT(fgets(line, sizeof line, file), "first\n");
    EQUAL(fgetc(file), 's');
    EQUAL(ungetc('S', file), 'S');
    TEXT(fgets(line, 4, file), "Sec");
    EQUAL(fseek(file, -5, SEEK_END), 0);
    TEXT(fgets(line, sizeof line, file), "third");
    EQUAL(fgetc(file), EOF);
    CHECK(feof(file) && !ferror(file));
    clearerr(file);
    EQUAL(fseek(file, 0, SEEK_SET), 0);
    EQUAL(fread(line, 1, 64, file), 18);
    EQUAL(fclose(file), 0);
    file = fopen(FOLDER "/stream.txt", "a");
    if (CHECK(file)) {
        fprintf(file, "-%d", 4);
        fclose(file);
    }
    file = fopen(FOLDER "/stream.txt", "r");
    if (CHECK(file)) {
        EQUAL(fseek(file, -7, SEEK_END), 0);
        TEXT(fgets(line, sizeof line, file), "third-4");
        EQUAL(fputc('x', file), EOF); // not for writing
        CHECK(ferror(file));
        fclose(file);
    }
    errno = 0;
    CHECK(!fopen(FOLDER "/none.txt", "r") && errno == ENOENT);
    CHECK(!fopen(FOLDER "/no/file.txt", "w") && errno == ENOENT);
    CHECK(!fopen(FOLDER, "w"));
    CHECK(!fopen("", "r"));
    CHECK(!fopen(FOLDER "/stream.txt", "wx") && errno == EEXIST);
    EQUAL(rename(FOLDER "/stream.txt", FOLDER "/renamed.txt"), 0);
    EQUAL(remove(FOLDER "/renamed.txt"), 0);
    EQUAL(remove(FOLDER "/renamed.txt"), -1);
    EQUAL(errno, ENOENT);
}

static void TestBigStream(void)
{
    FILE *file = fopen(FOLDER "/big.bin", "wb");
    constexpr unsigned Count = 100000;
    unsigned value, wrong = 0;
    if (!CHECK(file))
        return;
    for (unsigned i = 0; i < Count; i++)
        fwrite(&i, sizeof i, 1, file);
    EQUAL(fclose(file), 0);
    file = fopen(FOLDER "/big.bin", "rb");
    if (!CHECK(file))
        return;
    for (unsigned i = 0; i < Count; i++)
        wrong += fread(&value, sizeof value, 1, file) != 1 || value != i;
    EQUAL(wrong, 0);
    EQUAL(fread(&value, 1, 1, file), 0);
    for (unsigned i = 0; i < 50; i++) {
        unsigned at = i * 7919 % Count;
        EQUAL(fseeko(file, (off_t)at * 4, SEEK_SET), 0);
        wrong += fread(&value, sizeof value, 1, file) != 1 || value != at;
    }
    EQUAL(wrong, 0);
    fclose(file);
    FILE *temporary = tmpfile();
    if (CHECK(temporary)) {
        fputs("temporary", temporary);
        rewind(temporary);
        char line[16];
        TEXT(fgets(line, sizeof line, temporary), "temporary");
        fclose(temporary);
    }
    char *text = nullptr;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (CHECK(memory)) {
        fprintf(memory, "%d and %s", 5, "six");
        fclose(memory);
        TEXT(text, "5 and six");
        free(text);
    }
}

void TestStdio(void)
{
    TestPrintf();
    TestScanf();
    TestStreams();
    TestBigStream();
}

// Every length and alignment around the switch-over points, and the bytes next to the target.
static void TestMemoryFunctions(void)
{
    static unsigned char from[5000], to[5000], expected[5000];
    static const size_t sizes[] = {0,   1,    2,    3,    4,    5,    7,   8,   9,   15,
                                   16,  17,   31,   32,   33,   47,   48,  63,  64,  65,
                                   95,  96,   97,   127,  128,  129,  160, 255, 256, 257,
                                   511, 1000, 1023, 1024, 1025, 2049, 4097};
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (size_t a = 0; a < 20; a += 3) {
            size_t size = sizes[s];
            memset(to, 0xEE, sizeof to);
            wrong += memcpy(to + a, from + a / 2, size) != to + a;
            for (size_t i = 0; i < sizeof to; i++)
                wrong += to[i] != (i >= a && i < a + size ? from[i - a + a / 2] : 0xEE);
            memset(to, 0xEE, sizeof to);
            memset(to + a, 0x5A, size);
            for (size_t i = 0; i < sizeof to; i++)
                wrong += to[i] != (i >= a && i < a + size ? 0x5A : 0xEE);
            for (size_t shift = 0; shift < 80; shift += 13) { // overlapping, both ways
                for (size_t i = 0; i < sizeof to; i++)
                    to[i] = expected[i] = from[i];
                for (size_t i = 0; i < size; i++)
                    expected[a + shift + i] = from[a + i];
                memmove(to + a + shift, to + a, size);
                wrong += memcmp(to, expected, sizeof to) != 0;
                for (size_t i = 0; i < sizeof to; i++)
                    to[i] = expected[i] = from[i];
                for (size_t i = 0; i < size; i++)
                    expected[a + i] = from[a + shift + i];
                memmove(to + a, to + a + shift, size);
                wrong += memcmp(to, expected, sizeof to) != 0;
            }
        }
    }
    EQUAL(wrong, 0);
    CHECK(memcmp("abcdefghijklmnopqr", "abcdefghijklmnopqs", 18) < 0);
    CHECK(memcmp("\xFF", "\x01", 1) > 0);
    EQUAL(memcmp("x", "y", 0), 0);
}

// Strings that end at the last byte of a page: nothing behind it is read.
static void TestPageEnds(void)
{
    void *base = nullptr;
    OK(VirtualAlloc(&base, 2 * 4096, MemoryReadWrite));
    OK(VirtualProtect((char *)base + 4096, 4096, MemoryNoAccess));
    char *end = (char *)base + 4096;
    for (size_t length = 0; length < 70; length++) {
        char *text = end - length - 1;
        memset(text, 'q', length);
        end[-1] = 0;
        if (strlen(text) != length || strnlen(text, 100) != length || strchr(text, 'x') ||
            memchr(text, 'x', length + 1) || strcmp(text, text) || memcmp(text, text, length + 1)) {
            TestNumber((long long)length, -1, __FILE__, __LINE__,
                       "a string function at a page's end");
            break;
        }
    }
    OK(VirtualFree(base));
}

void TestStrings(void)
{
    char text[64] = "one,two;three";
    TestMemoryFunctions();
    TestPageEnds();
    TEXT(strtok(text, ",;"), "one");
    TEXT(strtok(nullptr, ",;"), "two");
    TEXT(strtok(nullptr, ",;"), "three");
    CHECK(!strtok(nullptr, ",;"));
    TEXT(strstr("hay needle stack", "needle"), "needle stack");
    TEXT(strrchr("a/b/c", '/'), "/c");
    EQUAL(strcspn("hello, world", ", "), 5);
    EQUAL(strspn("aabbc", "ab"), 4);
    EQUAL(strncmp("abcdef", "abcxyz", 3), 0);
    CHECK(strcasecmp("HeLLo", "hEllO") == 0 && strncasecmp("ABCx", "abcy", 3) == 0);
    strcpy(text, "abc");
    strcat(text, "def");
    strncat(text, "ghijkl", 2);
    TEXT(text, "abcdefgh");
    char *copy = strdup("copy");
    TEXT(copy, "copy");
    free(copy);
    TEXT(strerror(ENOENT), "No such file or directory");
    CHECK(isalpha('x') && !isalpha('1') && isspace('\t') && toupper('q') == 'Q' && isxdigit('F'));
    EQUAL(wcslen(L"wide"), 4);
    wchar_t wide[8];
    EQUAL(mbstowcs(wide, "abc", 8), 3);
    CHECK(!wcscmp(wide, L"abc"));
    EQUAL(sizeof(wchar_t), 2);
    CHECK(setlocale(LC_ALL, "") != nullptr);
    setlocale(LC_ALL, "C");
}

// ---- numbers, sorting, searching

static int CompareInts(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void TestNumbers(void)
{
    char *end;
    EQUAL(strtol("  -42xyz", &end, 10), -42);
    TEXT(end, "xyz");
    EQUAL(strtol("0x1F", nullptr, 0), 31);
    errno = 0;
    EQUAL(strtol("99999999999", nullptr, 10), LONG_MAX);
    EQUAL(errno, ERANGE);
    EQUAL(strtoll("-9223372036854775808", nullptr, 10), LLONG_MIN);
    CHECK(strtoull("18446744073709551615", nullptr, 10) == ULLONG_MAX);
    EQUAL(atoi("123abc"), 123);
    CHECK(strtod("2.5e3", nullptr) == 2500.0);
    CHECK(strtod("0x1.8p1", nullptr) == 3.0);
    CHECK(strtod("1e400", nullptr) == (double)INFINITY);
    CHECK(isnan(strtod("nan", nullptr)));
    CHECK(strtof("0.1", nullptr) == 0.1f);
    EQUAL(LONG_MAX, 2147483647);
    EQUAL(sizeof(long), 4);
    EQUAL(sizeof(void *), 8);
    EQUAL(sizeof(long double), 8);
    EQUAL(abs(-5) + labs(-6L) + (int)llabs(-7LL), 18);
    div_t parts = div(17, 5);
    EQUAL(parts.quot * 10 + parts.rem, 32);
    CHECK(UINT64_MAX / 10 == 1844674407370955161ull && (INT64_C(1) << 40) == 1099511627776);
    volatile unsigned __int128 wide = (unsigned __int128)1 << 100;
    volatile unsigned __int128 divisor = 1000000007;
    CHECK(wide / divisor * divisor + wide % divisor == wide);
}

void TestStdlib(void)
{
    TestNumbers();
    constexpr int Count = 20000;
    int *numbers = malloc(Count * sizeof(int));
    if (CHECK(numbers)) {
        unsigned random = 12345;
        for (int i = 0; i < Count; i++)
            numbers[i] = (int)((random = random * 1103515245 + 12345) >> 1);
        qsort(numbers, Count, sizeof(int), CompareInts);
        int wrong = 0;
        for (int i = 1; i < Count; i++)
            wrong += numbers[i - 1] > numbers[i];
        EQUAL(wrong, 0);
        CHECK(bsearch(&numbers[777], numbers, Count, sizeof(int), CompareInts) != nullptr);
        free(numbers);
    }
    srand(1);
    int first = rand();
    srand(1);
    EQUAL(rand(), first);
    setenv("NAME", "value", 1);
    TEXT(getenv("NAME"), "value");
    setenv("NAME", "other", 0);
    TEXT(getenv("NAME"), "value");
    putenv((char *)"NAME=put");
    TEXT(getenv("NAME"), "put");
    unsetenv("NAME");
    CHECK(!getenv("NAME"));
}

// ---- the heap

static void TestSizes(void)
{
    static const size_t sizes[] = {0,    1,     15,     16,     17,     100,     4095,
                                   4096, 65536, 262143, 262144, 262145, 1 << 20, 10 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *block = malloc(sizes[i]);
        if (!CHECK(block || !sizes[i]))
            continue;
        EQUAL((uintptr_t)block % 16, 0);
        if (sizes[i]) {
            block[0] = 1;
            block[sizes[i] - 1] = 2;
        }
        free(block);
        unsigned char *zero = calloc(1, sizes[i]);
        CHECK(!sizes[i] || (zero && !zero[0] && !zero[sizes[i] - 1]));
        free(zero);
    }
    static const size_t alignments[] = {16, 32, 64, 256, 4096, 65536};
    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        void *block = aligned_alloc(alignments[i], alignments[i] * 3);
        CHECK(block && (uintptr_t)block % alignments[i] == 0);
        free(block);
    }
    void *block = nullptr;
    EQUAL(posix_memalign(&block, 128, 1000), 0);
    EQUAL((uintptr_t)block % 128, 0);
    free(block);
    EQUAL(posix_memalign(&block, 3, 1000), EINVAL);
}

static void TestImpossible(void)
{
    volatile size_t huge = SIZE_MAX / 2;
    errno = 0;
    CHECK(!malloc(huge));
    EQUAL(errno, ENOMEM);
    CHECK(!malloc(SIZE_MAX - 5));
    CHECK(!calloc(huge, 4)); // the product overflows
    CHECK(!realloc(nullptr, huge));
    void *block = malloc(10);
    CHECK(!realloc(block, huge)); // and block is still there
    strcpy(block, "still");
    free(block);
    free(nullptr);
}

static void TestRandomOperations(void)
{
    static struct {
        unsigned char *At;
        size_t Size;
        unsigned char Mark;
    } blocks[200];
    unsigned random = 99, wrong = 0;
    for (int i = 0; i < 30000; i++) {
        random = random * 1664525 + 1013904223;
        size_t slot = (random >> 16) % COUNT_OF(blocks),
               size = (random >> 4) % (random % 50 == 0 ? 400000 : 3000);
        if (blocks[slot].At && blocks[slot].Size)
            wrong += blocks[slot].At[0] != blocks[slot].Mark ||
                     blocks[slot].At[blocks[slot].Size - 1] != blocks[slot].Mark;
        unsigned char *at;
        if (blocks[slot].At && random % 3 == 0) {
            at = realloc(blocks[slot].At, size + 1);
            wrong += at && blocks[slot].Size && at[0] != blocks[slot].Mark;
            size++;
        } else {
            free(blocks[slot].At);
            at = malloc(size);
        }
        wrong += !at;
        blocks[slot].At = at;
        blocks[slot].Size = size;
        blocks[slot].Mark = (unsigned char)i;
        if (at && size)
            at[0] = at[size - 1] = (unsigned char)i;
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        free(blocks[i].At);
    EQUAL(wrong, 0);
}

void TestHeap(void)
{
    ProcessInfo before, after;
    TestSizes();
    TestImpossible();
    TestRandomOperations();
    OK(GetProcessInfo(CurrentProcess, &before));
    for (int i = 0; i < 20; i++) { // large blocks go back to the system
        void *block = malloc(16 << 20);
        if (!CHECK(block))
            break;
        memset(block, 1, 16 << 20);
        free(block);
    }
    OK(GetProcessInfo(CurrentProcess, &after));
    CHECK(after.CommittedMemory <= before.CommittedMemory + (1 << 20));
}
