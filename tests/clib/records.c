// records.c - asks the C library tens of thousands of questions and prints a line for each answer.
//
// The same source runs on MetalOS and on Linux; tests/system/test_clib.py compares the lines. A
// line is `area: question = answer`. Questions come from tables and from a fixed pseudo-random
// sequence, so both ask the same; no call has two of its numbers among its arguments, whose order
// is not the same everywhere. Floating-point answers are bit patterns; nothing depends on the width
// of `long`.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <regex.h>
#include <search.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <wchar.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t state = 88172645463325252ull;

static uint64_t Next(void) // xorshift64
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned Below(unsigned limit)
{
    return (unsigned)(Next() >> 33) % limit;
}

static uint64_t BitsOf(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7FF8000000000000ull : bits; // any NaN is as good
}

static double FromBits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Doubles of every size; one in eight special.
static double AnyDouble(void)
{
    static const double special[] = {0.0,
                                     -0.0,
                                     1.0,
                                     -1.0,
                                     0.5,
                                     1.5,
                                     2.5,
                                     0.1,
                                     1e23,
                                     5e-324,
                                     2.2250738585072014e-308,
                                     1.7976931348623157e308,
                                     INFINITY,
                                     -INFINITY,
                                     9.999999999999999e22,
                                     123456789012345678.0,
                                     0.3,
                                     99.995,
                                     999999.5,
                                     1e-5};
    switch (Below(8)) {
    case 0:
        return special[Below(COUNT_OF(special))];
    case 1:
        return (double)(int64_t)(Next() >> 20) / 1000.0;
    case 2:
        return (double)(int)Below(2000) - 1000;
    case 3:
    case 4:
        return (double)(int64_t)Next() * 0x1p-53 * (Below(2) ? 1 : 1000);
    }
    uint64_t bits = Next();
    if ((bits >> 52 & 0x7FF) == 0x7FF)
        bits ^= 1ull << 60;
    return FromBits(bits);
}

// ---- printf
static void Formatted(const char *format, const char *question, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, question);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("printf: %s %s = %d [%s]\n", format, question, length, text);
}

static void MakeFormat(char *format, const char *modifier, const char *conversions)
{
    static const char flags[] = "-+ #0";
    char *at = format;
    *at++ = '%';
    for (const char *flag = flags; *flag; flag++)
        if (Below(4) == 0)
            *at++ = *flag;
    if (Below(2))
        at += sprintf(at, "%u", Below(30) + 1);
    if (Below(2))
        at += sprintf(at, ".%u", Below(25));
    at = stpcpy(at, modifier);
    *at++ = conversions[Below((unsigned)strlen(conversions))];
    *at = 0;
}

static void TestPrintf(void)
{
    char format[64], question[64];
    for (int i = 0; i < 5000; i++) {
        double value = AnyDouble();
        MakeFormat(format, "", "eEfFgG");
        sprintf(question, "%016" PRIx64, BitsOf(value));
        if (fabs(value) < 1e100 || !strpbrk(format, "fF"))
            Formatted(format, question, value);
    }
    for (int i = 0; i < 300; i++) {
        double value = AnyDouble();
        sprintf(question, "%016" PRIx64, BitsOf(value));
        Formatted(Below(2) ? "%a" : "%.3a", question, value);
    }
    for (int i = 0; i < 4000; i++) {
        uint64_t value = Next() >> Below(64);
        static const char *const modifiers[] = {"", "ll", "h", "hh", "j", "z", "t"};
        unsigned which = Below(COUNT_OF(modifiers));
        MakeFormat(format, modifiers[which], "diuoxX");
        sprintf(question, "%" PRIu64, value);
        if (which == 0 || which == 2 || which == 3)
            Formatted(format, question, (int)value);
        else
            Formatted(format, question, (long long)value);
    }
    for (int i = 0; i < 500; i++) {
        char text[40];
        unsigned length = Below(30);
        for (unsigned j = 0; j < length; j++)
            text[j] = (char)('a' + Below(26));
        text[length] = 0;
        const char *flag = Below(2) ? "-" : "";
        unsigned width = Below(40) + 1, precision = Below(40);
        sprintf(format, "%%%s%u.%us|%%c|%%%%", flag, width, precision);
        Formatted(format, text, text, 'A' + (int)Below(26));
    }
    Formatted("%2$s %1$d %2$s", "positions", 7, "x");
    Formatted("%*.*f|%-*d|", "stars", 12, 3, 3.14159, 6, 42);
    Formatted("%s %.3s", "null", (char *)"abcdef", (char *)"abcdef");
    Formatted("%ls %lc", "wide", L"gr\u00fc\u00df", (wint_t)L'\u20ac');
}

// ---- strtod, strtol, scanf
static void Parsed(const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    printf("strtod: %s = %016" PRIx64 " %d %d\n", text, BitsOf(value), (int)(end - text), errno);
    float single = strtof(text, &end);
    printf("strtof: %s = %016" PRIx64 " %d\n", text, BitsOf(single), (int)(end - text));
}

static void TestStrtod(void)
{
    static const char *const odd[] = {
        "",
        " ",
        "+",
        "-",
        ".",
        "e5",
        "1e",
        "1e+",
        "1e+5x",
        "0x",
        "0x1p",
        "0x1p-3",
        "0x.8p1",
        "0x1.fffffffffffff8p0",
        "0x1.00000000000008p0",
        "0x0.0000000000001p-1022",
        "0x1p1024",
        "0x1p-1075",
        "inf",
        "-Infinity",
        "infinit",
        "nan",
        "NAN(12)",
        "nan(",
        "  12.5abc",
        "1e400",
        "-1e400",
        "1e-400",
        "1_000",
        "0.1e1e1",
        "00012",
        "1.",
        ".5",
        "-.5e-2",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "9007199254740993",
        "9007199254740992.999999",
        "0.500000000000000166533453693773481063544750213623046875",
        "3.518437208883201171875e13",
        "62.5364939768271845828",
        "8.10109172351e-10",
        "1.50000000000000011102230246251565",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880"};
    char text[128];
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        Parsed(odd[i]);
    for (int i = 0; i < 4000; i++) {
        double value = AnyDouble();
        sprintf(text, "%.*g", (int)Below(22) + 1, value);
        Parsed(text);
    }
    for (int i = 0; i < 2000; i++) {
        char *at = text;
        for (unsigned j = 0, digits = Below(30) + 1; j < digits; j++)
            *at++ = (char)('0' + Below(10));
        *at++ = '.';
        for (unsigned j = 0, digits = Below(30); j < digits; j++)
            *at++ = (char)('0' + Below(10));
        sprintf(at, "e%d", (int)Below(700) - 360);
        Parsed(text);
    }
}

static void TestIntegers(void)
{
    static const char *const texts[] = {"0",
                                        "12",
                                        "-12",
                                        "+7",
                                        " 42",
                                        "0x1F",
                                        "0X",
                                        "077",
                                        "08",
                                        "zz",
                                        "",
                                        "-",
                                        "99999999999999999999",
                                        "-99999999999999999999",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "7fffffffffffffff",
                                        "1z",
                                        "0b11",
                                        "\t 5"};
    static const int bases[] = {0, 2, 8, 10, 16, 36};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (size_t j = 0; j < COUNT_OF(bases); j++) {
            char *end;
            errno = 0;
            long long number = strtoll(texts[i], &end, bases[j]);
            printf("strtoll: %s %d = %lld %d %d\n", texts[i], bases[j], number,
                   (int)(end - texts[i]), errno);
            errno = 0;
            unsigned long long natural = strtoull(texts[i], &end, bases[j]);
            printf("strtoull: %s %d = %llu %d %d\n", texts[i], bases[j], natural,
                   (int)(end - texts[i]), errno);
        }
}

static void TestScanf(void)
{
    char text[128];
    for (int i = 0; i < 3000; i++) {
        int a = -1, b = -1, n = -1;
        double d = -1;
        char word[64] = "-", set[64] = "-", c = '-';
        static const char *const formats[] = {"%d %lf %63s%n",   "%3d%2d%n",       "%x,%d%n",
                                              "%63[a-f0-9]%c%n", "%*d %d%n",       "%i %i%n",
                                              "%lf%%%d%n",       " %c%63[^,],%d%n"};
        unsigned which = Below(COUNT_OF(formats));
        unsigned kind = Below(6), first = Below(100000), second = Below(1000), third = Below(18);
        double real = AnyDouble();
        switch (kind) {
        case 0:
            sprintf(text, "%d %.*g word%u", (int)Next(), (int)third, real, second);
            break;
        case 1:
            sprintf(text, "%u%u,%d", first, second, (int)third - 9);
            break;
        case 2:
            sprintf(text, "%x,%d", first * 40000, (int)second);
            break;
        case 3:
            sprintf(text, "%.*f%%%d", (int)third / 4, (double)second / 7, (int)first % 99);
            break;
        case 4:
            sprintf(text, "0x%x 0%o", first, second);
            break;
        default:
            sprintf(text, " q%u-x,%d", second, (int)third);
        }
        int count;
        switch (which) {
        case 0:
            count = sscanf(text, formats[which], &a, &d, word, &n);
            break;
        case 1:
        case 2:
        case 5:
            count = sscanf(text, formats[which], &a, &b, &n);
            break;
        case 3:
            count = sscanf(text, formats[which], set, &c, &n);
            break;
        case 4:
            count = sscanf(text, formats[which], &a, &n);
            break;
        case 6:
            count = sscanf(text, formats[which], &d, &a, &n);
            break;
        default:
            count = sscanf(text, formats[which], &c, set, &a, &n);
        }
        printf("scanf: %s <%s> = %d: %d %d %016" PRIx64 " %s %s %c %d\n", formats[which], text,
               count, a, b, BitsOf(d), word, set, c, n);
    }
}

// ---- sorting and searching
static int CompareInts(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int CompareDown(const void *a, const void *b, void *context)
{
    ++*(int *)context;
    return CompareInts(b, a);
}

static void TestSorting(void)
{
    static int numbers[5000];
    for (int round = 0; round < 400; round++) {
        unsigned count = Below(round < 350 ? 200 : 5000), range = 1u << Below(20);
        uint64_t hash = 1469598103934665603ull;
        int calls = 0;
        for (unsigned i = 0; i < count; i++)
            numbers[i] = (int)Below(range);
        if (round & 1)
            qsort_r(numbers, count, sizeof *numbers, CompareDown, &calls);
        else
            qsort(numbers, count, sizeof *numbers, CompareInts);
        for (unsigned i = 0; i < count; i++)
            hash = (hash ^ (unsigned)numbers[i]) * 1099511628211ull;
        int key = (int)Below(range),
            *found = round & 1 ? NULL : bsearch(&key, numbers, count, sizeof *numbers, CompareInts);
        printf("qsort: %d %u = %016" PRIx64 " %d\n", round, count, hash, found ? *found : -1);
    }
}

// ---- time
static void TestTime(void)
{
    static const char *const zones[] = {"UTC0",
                                        "CET-1CEST,M3.5.0,M10.5.0/3",
                                        "EST5EDT,M3.2.0,M11.1.0",
                                        "IST-5:30",
                                        "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
                                        "AEST-10AEDT,M10.1.0,M4.1.0/3"};
    static const char formats[] = "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%s";
    for (size_t zone = 0; zone < COUNT_OF(zones); zone++) {
        setenv("TZ", zones[zone], 1);
        tzset();
        for (int i = 0; i < 400; i++) {
            time_t moment = (time_t)(Next() >> 31) - (i & 1 ? 2000000000 : 0);
            struct tm broken, again;
            char text[128], format[3] = "%";
            if (!localtime_r(&moment, &broken))
                continue;
            again = broken;
            printf("localtime: %s %lld = %d-%d-%d %d:%d:%d %d %d %d, mktime %lld\n", zones[zone],
                   (long long)moment, broken.tm_year, broken.tm_mon, broken.tm_mday, broken.tm_hour,
                   broken.tm_min, broken.tm_sec, broken.tm_wday, broken.tm_yday, broken.tm_isdst,
                   (long long)mktime(&again));
            format[1] = formats[Below(sizeof formats - 1)];
            size_t length = strftime(text, sizeof text, format, &broken);
            printf("strftime: %s %s %lld = %zu %s\n", format, zones[zone], (long long)moment,
                   length, text);
            length =
                strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S %z week %V day %j", &broken);
            printf("strftime: all %s %lld = %zu %s\n", zones[zone], (long long)moment, length,
                   text);
            struct tm parsed = {};
            char *rest = strptime(text, "%a, %d %b %Y %H:%M:%S", &parsed);
            printf("strptime: %s = %d %d %d %d %d\n", text, rest ? (int)(rest - text) : -1,
                   parsed.tm_year, parsed.tm_mon, parsed.tm_mday, parsed.tm_hour);
        }
        for (int i = 0; i < 200; i++) {
            struct tm wild = {.tm_year = (int)Below(300) - 50,
                              .tm_mon = (int)Below(100) - 50,
                              .tm_mday = (int)Below(1000) - 500,
                              .tm_hour = (int)Below(200) - 100,
                              .tm_min = (int)Below(400) - 200,
                              .tm_sec = (int)Below(400) - 200,
                              .tm_isdst = -1};
            struct tm before = wild;
            time_t moment = mktime(&wild);
            printf("mktime: %s %d %d %d %d %d %d = %lld %d %d\n", zones[zone], before.tm_year,
                   before.tm_mon, before.tm_mday, before.tm_hour, before.tm_min, before.tm_sec,
                   (long long)moment, wild.tm_yday, wild.tm_isdst);
        }
    }
}

// ---- math: the answer is a bit pattern; the test allows each function its units in the last
// place.
static void TestMath(void)
{
#define ONE(name) {#name, name}
    static const struct {
        const char *Name;
        double (*Function)(double);
    } ones[] = {ONE(sin),   ONE(cos),    ONE(tan),       ONE(asin),  ONE(acos),  ONE(atan),
                ONE(sinh),  ONE(cosh),   ONE(tanh),      ONE(asinh), ONE(acosh), ONE(atanh),
                ONE(exp),   ONE(exp2),   ONE(expm1),     ONE(log),   ONE(log2),  ONE(log10),
                ONE(log1p), ONE(sqrt),   ONE(cbrt),      ONE(floor), ONE(ceil),  ONE(trunc),
                ONE(round), ONE(rint),   ONE(nearbyint), ONE(fabs),  ONE(logb),  ONE(erf),
                ONE(erfc),  ONE(lgamma), ONE(tgamma)};
#undef ONE
#define TWO(name) {#name, name}
    static const struct {
        const char *Name;
        double (*Function)(double, double);
    } twos[] = {TWO(pow),  TWO(atan2), TWO(fmod),     TWO(hypot),     TWO(fdim),
                TWO(fmax), TWO(fmin),  TWO(copysign), TWO(nextafter), TWO(remainder)};
#undef TWO
    for (size_t i = 0; i < COUNT_OF(ones); i++)
        for (int j = 0; j < 300; j++) {
            double x = j % 3 ? AnyDouble() : ((double)(int64_t)Next() * 0x1p-63) * (j % 2 ? 1 : 40);
            printf("math: %s %016" PRIx64 " = %016" PRIx64 "\n", ones[i].Name, BitsOf(x),
                   BitsOf(ones[i].Function(x)));
        }
    for (size_t i = 0; i < COUNT_OF(twos); i++)
        for (int j = 0; j < 500; j++) {
            double x = j % 3 ? AnyDouble() : (double)(int64_t)Next() * 0x1p-60,
                   y = j % 2 ? AnyDouble() : (double)(int64_t)Next() * 0x1p-59;
            printf("math: %s %016" PRIx64 " %016" PRIx64 " = %016" PRIx64 "\n", twos[i].Name,
                   BitsOf(x), BitsOf(y), BitsOf(twos[i].Function(x, y)));
        }
    for (int j = 0; j < 1000; j++) {
        double x = AnyDouble(), y = AnyDouble(), z = AnyDouble(), whole;
        int exponent;
        printf("math: fma %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " = %016" PRIx64 "\n",
               BitsOf(x), BitsOf(y), BitsOf(z), BitsOf(fma(x, y, z)));
        double part = modf(x, &whole),
               mantissa = isfinite(x) ? frexp(x, &exponent) : (exponent = 0, x);
        printf("parts: %016" PRIx64 " = %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %d %016" PRIx64
               "\n",
               BitsOf(x), BitsOf(part), BitsOf(whole), BitsOf(mantissa), exponent,
               BitsOf(ldexp(x, (int)Below(200) - 100)));
        if (fabs(x) < 1e18)
            printf("parts: round %016" PRIx64 " = %lld %lld %d\n", BitsOf(x), llround(x), llrint(x),
                   ilogb(x == 0 ? 1 : x));
    }
}

// ---- strings
static int Sign(int value)
{
    return (value > 0) - (value < 0);
}

static void TestStrings(void)
{
    char a[80], b[80], c[200];
    for (int i = 0; i < 4000; i++) {
        unsigned n = Below(60), m = Below(6), alphabet = 2 + Below(4);
        for (unsigned j = 0; j < n; j++)
            a[j] = (char)('a' + Below(alphabet));
        for (unsigned j = 0; j < m; j++)
            b[j] = (char)('a' + Below(alphabet));
        a[n] = b[m] = 0;
        const char *found = strstr(a, b), *last = strrchr(a, 'a' + (int)Below(alphabet)),
                   *any = strpbrk(a, b);
        const char *memory = memmem(a, n, b, m);
        printf("string: %s %s = %d %d %d %d %d %d %d %d %zu %zu %zu\n", a, b,
               found ? (int)(found - a) : -1, last ? (int)(last - a) : -1,
               any ? (int)(any - a) : -1, memory ? (int)(memory - a) : -1, Sign(strcmp(a, b)),
               Sign(strncmp(a, b, 3)), Sign(strcasecmp(a, b)), Sign(memcmp(a, b, m)), strspn(a, b),
               strcspn(a, b), strnlen(a, 20));
        strcpy(c, a);
        strncat(c, b, 3);
        char *rest = c, *token;
        printf("strsep: %s %s =", c, b);
        for (int j = 0; j < 8 && *b && (token = strsep(&rest, b)); j++)
            printf(" <%s>", token);
        printf("\n");
    }
    for (int i = 0; i < 256; i++)
        printf("ctype: %d = %d%d%d%d%d%d%d%d%d%d%d %d %d\n", i, !!isalpha(i), !!isdigit(i),
               !!isalnum(i), !!isspace(i), !!isupper(i), !!islower(i), !!ispunct(i), !!isprint(i),
               !!iscntrl(i), !!isxdigit(i), !!isgraph(i), toupper(i), tolower(i));
    static const char *const patterns[] = {"*",   "a*",   "?b", "[a-c]*", "[!a]*",
                                           "*.c", "a\\*", "",   "*b*c*",  "[[:digit:]]x"};
    static const char *const names[] = {"",       "a",       "ab", "abc",   "b",
                                        "file.c", ".hidden", "a*", "xbxcx", "7x"};
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        for (size_t j = 0; j < COUNT_OF(names); j++)
            printf("fnmatch: %s %s = %d %d\n", patterns[i], names[j],
                   fnmatch(patterns[i], names[j], 0), fnmatch(patterns[i], names[j], FNM_PERIOD));
    static const char *const expressions[] = {"a+b", "^(a|b)*c$", "[0-9]{2,3}", "(x?)(y)", "\\.",
                                              "a.c", "(ab)*",     "[^a-c]",     "(a)(b)?", "b$"};
    for (size_t i = 0; i < COUNT_OF(expressions); i++) {
        regex_t regex;
        int error = regcomp(&regex, expressions[i], REG_EXTENDED);
        for (int j = 0; j < 60 && !error; j++) {
            regmatch_t match[3];
            unsigned n = Below(12);
            for (unsigned k = 0; k < n; k++)
                a[k] = "abcxy019."[Below(9)];
            a[n] = 0;
            int result = regexec(&regex, a, 3, match, 0);
            printf("regex: %s %s = %d", expressions[i], a, result);
            for (int k = 0; k < 3 && !result; k++)
                printf(" %d-%d", (int)match[k].rm_so, (int)match[k].rm_eo);
            printf("\n");
        }
        if (!error)
            regfree(&regex);
    }
}

static void TestWide(void)
{
    for (int i = 0; i < 1500; i++) {
        unsigned code = i < 300 ? (unsigned)i * 3 : Below(0xD7FF);
        char text[MB_LEN_MAX * 2] = "";
        mbstate_t state = {}, back = {};
        wchar_t wide = 0;
        size_t length = wcrtomb(text, (wchar_t)code, &state);
        size_t used = length == (size_t)-1 ? 0 : mbrtowc(&wide, text, length, &back);
        printf("utf8: %x = %d", code, (int)length);
        for (size_t j = 0; length != (size_t)-1 && j < length; j++)
            printf(" %02x", (unsigned char)text[j]);
        printf(" %d %x\n", (int)used, (unsigned)wide);
    }
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80",
        "\xc3", "\xe2\x82", "\xff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        mbstate_t state = {};
        wchar_t wide;
        errno = 0;
        printf("utf8: bad %zu = %d\n", i, (int)mbrtowc(&wide, bad[i], strlen(bad[i]), &state));
    }
}

int main(int argc, char **argv)
{
    static char buffer[1 << 16];
    if (argc > 1 && !freopen(argv[1], "w", stdout)) {
        perror(argv[1]);
        return 1;
    }
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (!setlocale(LC_ALL, "C.UTF-8"))
        return 1;
    TestPrintf();
    TestStrtod();
    TestIntegers();
    TestScanf();
    TestSorting();
    TestTime();
    TestMath();
    TestStrings();
    TestWide();
    return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
