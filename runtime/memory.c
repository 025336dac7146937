// memory.c - memcpy, memmove, memset, memcmp and strlen.
//
// Small sizes are moved with a few overlapping loads and stores, all loads before all stores, so
// that memmove is the same. Larger ones use, by CPUID: `rep movsb`/`rep stosb` from StringThreshold
// on where the processor has enhanced rep movsb (ERMS), else 32-byte AVX moves where processor and
// kernel have them, else 16-byte SSE2 moves. The choice is made once, before main.
// SPDX-License-Identifier: MIT
#include "memory.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

// From here on the start-up of a string instruction pays (Intel optimisation manual, 3.7.6).
constexpr size_t StringThreshold = 1024;

static bool hasFastStrings, hasAvx;

#define NO_IDIOM                                                                                   \
    __attribute__((no_builtin("memcpy", "memmove", "memset", "memcmp", "strlen"),                  \
                   no_stack_protector))
#define USES_AVX __attribute__((target("avx,avx2")))

typedef uint64_t Word64 __attribute__((aligned(1), may_alias));
typedef uint32_t Word32 __attribute__((aligned(1), may_alias));
typedef uint16_t Word16 __attribute__((aligned(1), may_alias));

static inline __m128i Load16(const char *from)
{
    return _mm_loadu_si128((const __m128i_u *)from);
}
static inline void Store16(char *to, __m128i value)
{
    _mm_storeu_si128((__m128i_u *)to, value);
}

void RtSelectMemoryFunctions(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    bool osxsave = c & bit_OSXSAVE, avx = c & bit_AVX;
    uint32_t low = 0, high;
    if (osxsave)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        hasFastStrings = b & (1u << 9);
        hasAvx = avx && (b & bit_AVX2) && (low & 6) == 6;
    }
}

// 0 to 32 bytes, source and target may overlap.
NO_IDIOM static inline void MoveSmall(char *to, const char *from, size_t size)
{
    if (size >= 16) {
        __m128i a = Load16(from), b = Load16(from + size - 16);
        Store16(to, a);
        Store16(to + size - 16, b);
    } else if (size >= 8) {
        uint64_t a = *(const Word64 *)from, b = *(const Word64 *)(from + size - 8);
        *(Word64 *)to = a;
        *(Word64 *)(to + size - 8) = b;
    } else if (size >= 4) {
        uint32_t a = *(const Word32 *)from, b = *(const Word32 *)(from + size - 4);
        *(Word32 *)to = a;
        *(Word32 *)(to + size - 4) = b;
    } else if (size >= 2) {
        uint16_t a = *(const Word16 *)from, b = *(const Word16 *)(from + size - 2);
        *(Word16 *)to = a;
        *(Word16 *)(to + size - 2) = b;
    } else if (size) {
        *to = *from;
    }
}

// More than 32 bytes upwards; the target may start below the source. The last bytes are loaded
// first, since the loop may overwrite them.
NO_IDIOM static void CopyUpSse(char *to, const char *from, size_t size)
{
    __m128i tail0 = Load16(from + size - 32), tail1 = Load16(from + size - 16);
    char *end = to + size;
    for (; size > 64; to += 64, from += 64, size -= 64) {
        __m128i a = Load16(from), b = Load16(from + 16), c = Load16(from + 32),
                d = Load16(from + 48);
        Store16(to, a);
        Store16(to + 16, b);
        Store16(to + 32, c);
        Store16(to + 48, d);
    }
    if (size > 32) {
        __m128i a = Load16(from), b = Load16(from + 16);
        Store16(to, a);
        Store16(to + 16, b);
    }
    Store16(end - 32, tail0);
    Store16(end - 16, tail1);
}

#define LOAD32(from, at)      _mm256_loadu_si256((const __m256i_u *)((from) + 32 * (at)))
#define STORE32(to, at, data) _mm256_storeu_si256((__m256i_u *)((to) + 32 * (at)), data)

// 128 bytes, all loaded before any is stored.
#define MOVE128(to, from)                                                                          \
    do {                                                                                           \
        __m256i a = LOAD32(from, 0), b = LOAD32(from, 1), c = LOAD32(from, 2),                     \
                d = LOAD32(from, 3);                                                               \
        STORE32(to, 0, a);                                                                         \
        STORE32(to, 1, b);                                                                         \
        STORE32(to, 2, c);                                                                         \
        STORE32(to, 3, d);                                                                         \
    } while (0)

// The same with more than 128 bytes.
USES_AVX NO_IDIOM static void CopyUpAvx(char *to, const char *from, size_t size)
{
    const char *last = from + size - 128;
    char *end = to + size - 128;
    __m256i tail0 = LOAD32(last, 0), tail1 = LOAD32(last, 1), tail2 = LOAD32(last, 2),
            tail3 = LOAD32(last, 3);
    for (; size > 256; size -= 256, to += 256, from += 256) {
        MOVE128(to, from);
        MOVE128(to + 128, from + 128);
    }
    if (size > 128)
        MOVE128(to, from);
    STORE32(end, 0, tail0);
    STORE32(end, 1, tail1);
    STORE32(end, 2, tail2);
    STORE32(end, 3, tail3);
    _mm256_zeroupper();
}

// More than 32 bytes downwards; the target may end above the source's end.
NO_IDIOM static void CopyDown(char *to, const char *from, size_t size)
{
    __m128i head0 = Load16(from), head1 = Load16(from + 16);
    for (; size > 32; size -= 32) {
        __m128i a = Load16(from + size - 16), b = Load16(from + size - 32);
        Store16(to + size - 16, a);
        Store16(to + size - 32, b);
    }
    Store16(to, head0);
    Store16(to + 16, head1);
}

NO_IDIOM static inline void CopyUp(char *to, const char *from, size_t size)
{
    if (hasAvx && size > 128)
        CopyUpAvx(to, from, size);
    else
        CopyUpSse(to, from, size);
}

NO_IDIOM void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    if (size <= 32) {
        MoveSmall(to, from, size);
    } else if (hasFastStrings && size >= StringThreshold) {
        void *target = to;
        __asm__ volatile("rep movsb" : "+D"(target), "+S"(from), "+c"(size) : : "memory");
    } else {
        CopyUp(to, from, size);
    }
    return to;
}

NO_IDIOM void *memmove(void *to, const void *from, size_t size)
{
    uintptr_t distance = (uintptr_t)to - (uintptr_t)from;
    if (size <= 32)
        MoveSmall(to, from, size);
    else if (distance >= size) // the target does not start inside the source
        CopyUp(to, from, size);
    else
        CopyDown(to, from, size);
    return to;
}

#define SET128(to, data)                                                                           \
    do {                                                                                           \
        STORE32(to, 0, data);                                                                      \
        STORE32(to, 1, data);                                                                      \
        STORE32(to, 2, data);                                                                      \
        STORE32(to, 3, data);                                                                      \
    } while (0)

USES_AVX NO_IDIOM static void SetAvx(char *to, uint8_t value, size_t size) // more than 128 bytes
{
    __m256i pattern = _mm256_set1_epi8((char)value);
    char *last = to + size - 128;
    for (; size > 256; size -= 256, to += 256) {
        SET128(to, pattern);
        SET128(to + 128, pattern);
    }
    if (size > 128)
        SET128(to, pattern);
    SET128(last, pattern);
    _mm256_zeroupper();
}

NO_IDIOM static void SetSse(char *to, uint8_t value, size_t size) // 16 bytes or more
{
    __m128i pattern = _mm_set1_epi8((char)value);
    char *last = to + size - 16;
    for (; to < last; to += 16)
        Store16(to, pattern);
    Store16(last, pattern);
}

NO_IDIOM static void SetSmall(char *to, uint8_t value, size_t size) // fewer than 16 bytes
{
    uint64_t pattern = 0x0101010101010101ull * value;
    if (size >= 8) {
        *(Word64 *)to = pattern;
        *(Word64 *)(to + size - 8) = pattern;
    } else if (size >= 4) {
        *(Word32 *)to = (uint32_t)pattern;
        *(Word32 *)(to + size - 4) = (uint32_t)pattern;
    } else if (size >= 2) {
        *(Word16 *)to = (uint16_t)pattern;
        *(Word16 *)(to + size - 2) = (uint16_t)pattern;
    } else if (size) {
        *to = (char)value;
    }
}

NO_IDIOM void *memset(void *to, int value, size_t size)
{
    if (size < 16) {
        SetSmall(to, (uint8_t)value, size);
    } else if (hasFastStrings && size >= StringThreshold) {
        void *target = to;
        __asm__ volatile("rep stosb" : "+D"(target), "+c"(size) : "a"(value) : "memory");
    } else if (hasAvx && size > 128) {
        SetAvx(to, (uint8_t)value, size);
    } else {
        SetSse(to, (uint8_t)value, size);
    }
    return to;
}

NO_IDIOM int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;
    for (; size >= 16; x += 16, y += 16, size -= 16) {
        __m128i equal = _mm_cmpeq_epi8(Load16((const char *)x), Load16((const char *)y));
        unsigned different = (unsigned)_mm_movemask_epi8(equal) ^ 0xFFFF;
        if (different) {
            unsigned at = (unsigned)__builtin_ctz(different);
            return x[at] - y[at];
        }
    }
    for (; size; x++, y++, size--)
        if (*x != *y)
            return *x - *y;
    return 0;
}

// Reads whole aligned 16-byte blocks, which never cross into another page.
NO_IDIOM size_t strlen(const char *text)
{
    const __m128i zero = _mm_setzero_si128();
    const char *block = (const char *)((uintptr_t)text & ~(uintptr_t)15);
    unsigned before = (unsigned)(text - block);
    unsigned zeros =
        (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128((const __m128i *)block), zero)) >>
        before;
    if (zeros)
        return (size_t)__builtin_ctz(zeros);
    for (;;) {
        block += 16;
        zeros = (unsigned)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_load_si128((const __m128i *)block), zero));
        if (zeros)
            return (size_t)(block - text) + (size_t)__builtin_ctz(zeros);
    }
}
