// ranges.h - sets of disjoint address ranges, ordered by address, with room-finding: the
// book-keeping of user address spaces and of the kernel's dynamic area. Pure: no allocation, no
// locks, no hardware.
//
// The set is an AVL tree threaded through nodes the caller owns. Each node also knows the extent of
// its subtree and the largest hole inside that extent, so a hole of a given size is found in O(log
// n).
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

typedef struct MiRange {
    struct MiRange *Left, *Right;
    uint64_t Base, End;          // [Base, End), Base < End
    uint64_t FirstBase, LastEnd; // of the subtree
    uint64_t LargestHole;        // between neighbours inside the subtree
    int32_t Height;
    uint32_t Pad;
} MiRange;

typedef struct MiRangeTree {
    MiRange *Root;
    size_t Count;
} MiRangeTree;

// The range that holds address, or nullptr.
MiRange *MiFindRange(const MiRangeTree *tree, uint64_t address);
// The lowest range that ends above address (it holds address or lies above it), or nullptr.
MiRange *MiFindRangeFrom(const MiRangeTree *tree, uint64_t address);
// The highest range that lies wholly below address (End <= address), or nullptr.
MiRange *MiFindRangeBelow(const MiRangeTree *tree, uint64_t address);
// Adds range (Base and End set). False, and nothing changed, when it is empty or overlaps another.
bool MiInsertRange(MiRangeTree *tree, MiRange *range);
// Moves the borders of a range that is in the tree, within the holes beside it.
void MiResizeRange(MiRangeTree *tree, MiRange *range, uint64_t base, uint64_t end);
// Takes out a range that is in the tree.
void MiRemoveRange(MiRangeTree *tree, MiRange *range);
// The highest *base, a multiple of alignment (a power of two), with [*base, *base + size) inside
// [low, high) and free. False when there is no such hole.
bool MiFindHole(const MiRangeTree *tree, uint64_t low, uint64_t high, uint64_t size,
                uint64_t alignment, uint64_t *base);
