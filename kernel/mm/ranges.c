// ranges.c - the AVL tree behind ranges.h.
// SPDX-License-Identifier: MIT
#include "ranges.h"

static int32_t HeightOf(const MiRange *node)
{
    return node ? node->Height : 0;
}

// Recomputes what a node knows of its subtree from its children.
static void Refresh(MiRange *node)
{
    const MiRange *left = node->Left, *right = node->Right;
    int32_t leftHeight = HeightOf(left), rightHeight = HeightOf(right);
    node->Height = 1 + RTL_MAX(leftHeight, rightHeight);
    node->FirstBase = left ? left->FirstBase : node->Base;
    node->LastEnd = right ? right->LastEnd : node->End;
    uint64_t hole = 0;
    if (left) {
        hole = RTL_MAX(left->LargestHole, node->Base - left->LastEnd);
    }
    if (right) {
        uint64_t inner = RTL_MAX(right->LargestHole, right->FirstBase - node->End);
        hole = RTL_MAX(hole, inner);
    }
    node->LargestHole = hole;
}

static MiRange *RotateRight(MiRange *node)
{
    MiRange *top = node->Left;
    node->Left = top->Right;
    top->Right = node;
    Refresh(node);
    Refresh(top);
    return top;
}

static MiRange *RotateLeft(MiRange *node)
{
    MiRange *top = node->Right;
    node->Right = top->Left;
    top->Left = node;
    Refresh(node);
    Refresh(top);
    return top;
}

// Restores the AVL property of a node whose children's heights differ by at most 2.
static MiRange *Balance(MiRange *node)
{
    int32_t lean = HeightOf(node->Left) - HeightOf(node->Right);
    if (lean > 1) {
        if (HeightOf(node->Left->Left) < HeightOf(node->Left->Right))
            node->Left = RotateLeft(node->Left);
        return RotateRight(node);
    }
    if (lean < -1) {
        if (HeightOf(node->Right->Right) < HeightOf(node->Right->Left))
            node->Right = RotateRight(node->Right);
        return RotateLeft(node);
    }
    Refresh(node);
    return node;
}

static MiRange *Insert(MiRange *node, MiRange *range)
{
    if (!node)
        return range;
    if (range->Base < node->Base)
        node->Left = Insert(node->Left, range);
    else
        node->Right = Insert(node->Right, range);
    return Balance(node);
}

// Takes the leftmost node out of a subtree.
static MiRange *TakeFirst(MiRange *node, MiRange **first)
{
    if (!node->Left) {
        *first = node;
        return node->Right;
    }
    node->Left = TakeFirst(node->Left, first);
    return Balance(node);
}

static MiRange *Remove(MiRange *node, MiRange *range)
{
    if (!node)
        return nullptr;
    if (node != range) {
        if (range->Base < node->Base)
            node->Left = Remove(node->Left, range);
        else
            node->Right = Remove(node->Right, range);
        return Balance(node);
    }
    if (!node->Right)
        return node->Left;
    MiRange *next;
    MiRange *right = TakeFirst(node->Right, &next);
    next->Left = node->Left;
    next->Right = right;
    return Balance(next);
}

MiRange *MiFindRange(const MiRangeTree *tree, uint64_t address)
{
    MiRange *node = tree->Root;
    while (node && (address < node->Base || address >= node->End))
        node = address < node->Base ? node->Left : node->Right;
    return node;
}

MiRange *MiFindRangeFrom(const MiRangeTree *tree, uint64_t address)
{
    MiRange *best = nullptr;
    for (MiRange *node = tree->Root; node;) {
        if (node->End > address) {
            best = node;
            node = node->Left;
        } else {
            node = node->Right;
        }
    }
    return best;
}

MiRange *MiFindRangeBelow(const MiRangeTree *tree, uint64_t address)
{
    MiRange *best = nullptr;
    for (MiRange *node = tree->Root; node;) {
        if (node->End <= address) {
            best = node;
            node = node->Right;
        } else {
            node = node->Left;
        }
    }
    return best;
}

bool MiInsertRange(MiRangeTree *tree, MiRange *range)
{
    if (range->Base >= range->End)
        return false;
    const MiRange *above = MiFindRangeFrom(tree, range->Base);
    if (above && above->Base < range->End)
        return false;
    range->Left = range->Right = nullptr;
    Refresh(range);
    tree->Root = Insert(tree->Root, range);
    tree->Count++;
    return true;
}

// Refreshes the path from node down to range, whose place in the order has not changed.
static void RefreshPath(MiRange *node, const MiRange *range)
{
    if (node != range)
        RefreshPath(range->Base < node->Base ? node->Left : node->Right, range);
    Refresh(node);
}

void MiResizeRange(MiRangeTree *tree, MiRange *range, uint64_t base, uint64_t end)
{
    range->Base = base;
    range->End = end;
    RefreshPath(tree->Root, range);
}

void MiRemoveRange(MiRangeTree *tree, MiRange *range)
{
    tree->Root = Remove(tree->Root, range);
    tree->Count--;
}

// Looks for the highest hole inside [low, high), where everything below low and above high that
// belongs to the enclosing subtrees is taken or out of bounds.
static bool FindHole(const MiRange *node, uint64_t low, uint64_t high, uint64_t size,
                     uint64_t alignment, uint64_t *base)
{
    if (high <= low || high - low < size)
        return false;
    if (!node) {
        uint64_t candidate = RTL_ALIGN_DOWN(high - size, alignment);
        if (candidate < low)
            return false;
        *base = candidate;
        return true;
    }
    uint64_t before = node->FirstBase > low ? node->FirstBase - low : 0;
    uint64_t after = high > node->LastEnd ? high - node->LastEnd : 0;
    if (node->LargestHole < size && before < size && after < size)
        return false;
    uint64_t above = RTL_MAX(node->End, low), below = RTL_MIN(node->Base, high);
    return FindHole(node->Right, above, high, size, alignment, base) ||
           FindHole(node->Left, low, below, size, alignment, base);
}

bool MiFindHole(const MiRangeTree *tree, uint64_t low, uint64_t high, uint64_t size,
                uint64_t alignment, uint64_t *base)
{
    return size != 0 && FindHole(tree->Root, low, high, size, alignment, base);
}
