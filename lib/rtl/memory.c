// memory.c - the memory and string functions the compiler itself emits calls to.
//
// The kernel is compiled without vector registers, so a copy moves 8 bytes at a time, or uses `rep
// movsb` where the processor announces fast string operations (RtlFastStrings, set by whoever knows
// CPUID). Native builds use the C library's own functions: this file is empty there.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

bool RtlFastStrings;

#ifndef METALOS_NATIVE

// Below this many bytes the start-up cost of a string instruction outweighs it (Intel optimisation
// reference manual, section 3.7.6).
constexpr size_t StringThreshold = 256;

// Keeps the compiler from turning these loops back into calls of the functions they implement.
#define NO_IDIOM __attribute__((no_builtin("memcpy", "memmove", "memset", "strlen")))

typedef uint64_t __attribute__((aligned(1), may_alias)) UnalignedWord;

NO_IDIOM static void CopyForward(char *to, const char *from, size_t size)
{
    for (; size >= 32; to += 32, from += 32, size -= 32) {
        uint64_t a = *(const UnalignedWord *)from, b = *(const UnalignedWord *)(from + 8);
        uint64_t c = *(const UnalignedWord *)(from + 16), d = *(const UnalignedWord *)(from + 24);
        *(UnalignedWord *)to = a;
        *(UnalignedWord *)(to + 8) = b;
        *(UnalignedWord *)(to + 16) = c;
        *(UnalignedWord *)(to + 24) = d;
    }
    for (; size >= 8; to += 8, from += 8, size -= 8)
        *(UnalignedWord *)to = *(const UnalignedWord *)from;
    for (; size; size--)
        *(char *)to++ = *from++;
}

NO_IDIOM static void CopyBackward(char *to, const char *from, size_t size)
{
    for (; size >= 8; size -= 8)
        *(UnalignedWord *)(to + size - 8) = *(const UnalignedWord *)(from + size - 8);
    for (; size; size--)
        *(char *)(to + size - 1) = from[size - 1];
}

NO_IDIOM void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *d = to;
    const void *s = from;
    if (size >= StringThreshold) {
        if (RtlFastStrings) {
            __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(size) : : "memory");
            return to;
        }
        size_t words = size / 8;
        size %= 8;
        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
    }
    CopyForward(d, s, size);
    return to;
}

NO_IDIOM void *memmove(void *to, const void *from, size_t size)
{
    // Copying upwards is safe unless the target starts inside the source.
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    CopyBackward(to, from, size);
    return to;
}

NO_IDIOM void *memset(void *to, int value, size_t size)
{
    void *d = to;
    uint64_t pattern = 0x0101010101010101ull * (uint8_t)value;
    if (size >= StringThreshold) {
        if (RtlFastStrings) {
            __asm__ volatile("rep stosb" : "+D"(d), "+c"(size) : "a"(pattern) : "memory");
            return to;
        }
        size_t words = size / 8;
        size %= 8;
        __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    }
    char *p = d;
    for (; size >= 8; p += 8, size -= 8)
        *(UnalignedWord *)p = pattern;
    for (; size; size--)
        *(char *)p++ = (char)value;
    return to;
}

NO_IDIOM int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;
    for (; size >= 8 && *(const UnalignedWord *)x == *(const UnalignedWord *)y; x += 8, y += 8)
        size -= 8;
    for (; size; x++, y++, size--)
        if (*x != *y)
            return *x - *y;
    return 0;
}

NO_IDIOM size_t strlen(const char *text)
{
    const char *end = text;
    while (*(const char *)end)
        end++;
    return (size_t)(end - text);
}

NO_IDIOM int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++) {}
    return (unsigned char)*a - (unsigned char)*b;
}

NO_IDIOM int strncmp(const char *a, const char *b, size_t size)
{
    for (; size && *a && *a == *b; a++, b++, size--) {}
    return size ? (unsigned char)*a - (unsigned char)*b : 0;
}

#endif
