// sanitize.h - what memory management tells the address sanitizer of a test kernel: which memory
// may be used. Empty in all other kernels.
// SPDX-License-Identifier: MIT
#pragma once

#include "ke.h"

#ifdef METALOS_KASAN

// Once: `shadow` is a byte, 0, for each 8 bytes of the first `bytes` of the direct map.
void SanStart(uint8_t *shadow, uint64_t bytes);
// The first `size` bytes from block (8-byte aligned) may be used.
void SanAllow(const void *block, size_t size);
typedef enum SanReason : uint8_t { // what the report says
    SanFreeBlock = 0xFD,
    SanFreePage = 0xFF,
    SanBlockEnd = 0xFA, // behind the bytes of a block that were asked for
    SanGlobalEnd = 0xF9,
} SanReason;
// None of [block, block + size), multiples of 8, may be used.
void SanForbid(const void *block, size_t size, SanReason reason);
// Keeps a heap block that is being freed from being used again for a while, so that who still uses
// it is noticed: returns one that was freed earlier instead, or nullptr.
void *SanDelay(void *block);
// From here on everything may be read: the machine stops, and is looked at.
void SanStop(void);

// Between these, functions of the allocator itself, which know better.
// clang-format off: the operator takes one string
#define SAN_TRUSTED_BEGIN _Pragma( \
    "clang attribute push(__attribute__((no_sanitize(\"kernel-address\"))), apply_to = function)")
// clang-format on
#define SAN_TRUSTED_END _Pragma("clang attribute pop")

#else

enum { SanFreeBlock, SanFreePage, SanBlockEnd };
static inline void SanAllow(const void *block, size_t size) {}
static inline void SanForbid(const void *block, size_t size, int reason) {}
static inline void *SanDelay(void *block)
{
    return block;
}
static inline void SanStop(void) {}
#define SAN_TRUSTED_BEGIN
#define SAN_TRUSTED_END

#endif
