// arena.c - memory that a tree grows in and is given back with: blocks, filled from their start.
// SPDX-License-Identifier: MIT
#include "syntax.h"

#include <stdlib.h>
#include <string.h>

enum { ArenaBlockSize = 4096 };

typedef struct ArenaBlock {
    struct ArenaBlock *Next;
    size_t Used, Size;
    uint64_t Bytes[];
} ArenaBlock;

void *ArenaAllocate(Arena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    ArenaBlock *block = arena->Blocks;
    if (block == nullptr || block->Size - block->Used < size) {
        size_t capacity = size > ArenaBlockSize ? size : ArenaBlockSize;
        block = calloc(1, sizeof(ArenaBlock) + capacity);
        if (block == nullptr) {
            arena->Failed = true;
            return nullptr;
        }
        block->Size = capacity;
        block->Next = arena->Blocks;
        arena->Blocks = block;
    }
    void *memory = (char *)block->Bytes + block->Used;
    block->Used += size;
    return memory;
}

char *ArenaCopy(Arena *arena, const char *text, size_t length)
{
    char *copy = ArenaAllocate(arena, length + 1);
    if (copy != nullptr)
        memcpy(copy, text, length);
    return copy;
}

void ArenaFree(Arena *arena)
{
    while (arena->Blocks != nullptr) {
        ArenaBlock *next = arena->Blocks->Next;
        free(arena->Blocks);
        arena->Blocks = next;
    }
    arena->Failed = false;
}
