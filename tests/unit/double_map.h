// double_map.h - memory that appears twice in a row, as VMBus's rings are mapped.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// size: whole pages; nullptr when the system refuses.
static inline uint8_t *MapTwice(size_t size)
{
    int file = memfd_create("ring", 0);
    uint8_t *at = mmap(nullptr, size * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file < 0 || at == MAP_FAILED || ftruncate(file, (off_t)size) != 0)
        return nullptr;
    for (size_t i = 0; i < 2; i++)
        if (mmap(at + i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) ==
            MAP_FAILED)
            return nullptr;
    close(file);
    return at;
}
