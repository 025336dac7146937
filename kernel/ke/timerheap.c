// timerheap.c - deadlines in order: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986).
//
// The root is the earliest deadline. Insertion takes constant time, removal of any node O(log n)
// amortised; nodes are embedded in their timers, so nothing is allocated. Pure: the caller holds
// the lock.
//
// Child is a node's first child, Next its right sibling, Previous its left sibling or, for a first
// child, its parent. The root has neither Next nor Previous.
// SPDX-License-Identifier: MIT
#include "ki.h"

// Two roots become one tree.
static KTimerNode *Meld(KTimerNode *a, KTimerNode *b)
{
    if (a == nullptr)
        return b;
    if (b == nullptr)
        return a;
    if (b->Deadline < a->Deadline) {
        KTimerNode *swap = a;
        a = b;
        b = swap;
    }
    b->Previous = a;
    b->Next = a->Child;
    if (b->Next != nullptr)
        b->Next->Previous = b;
    a->Child = b;
    return a;
}

// Melds siblings in pairs from the left, then the pairs from the right: this order gives the bound.
static KTimerNode *MeldSiblings(KTimerNode *first)
{
    KTimerNode *pairs = nullptr; // linked through Next, last pair first
    while (first != nullptr) {
        KTimerNode *a = first, *b = a->Next;
        first = b != nullptr ? b->Next : nullptr;
        a->Next = a->Previous = nullptr;
        if (b != nullptr)
            b->Next = b->Previous = nullptr;
        KTimerNode *pair = Meld(a, b);
        pair->Next = pairs;
        pairs = pair;
    }
    KTimerNode *root = nullptr;
    while (pairs != nullptr) {
        KTimerNode *pair = pairs;
        pairs = pair->Next;
        pair->Next = nullptr;
        root = Meld(root, pair);
    }
    return root;
}

KTimerNode *KiTimerHeapInsert(KTimerNode *root, KTimerNode *node)
{
    node->Child = node->Next = node->Previous = nullptr;
    return Meld(root, node);
}

KTimerNode *KiTimerHeapRemove(KTimerNode *root, KTimerNode *node)
{
    KTimerNode *rest = MeldSiblings(node->Child);
    if (node != root) {
        if (node->Previous->Child == node)
            node->Previous->Child = node->Next;
        else
            node->Previous->Next = node->Next;
        if (node->Next != nullptr)
            node->Next->Previous = node->Previous;
        rest = Meld(root, rest);
    }
    node->Child = node->Next = node->Previous = nullptr;
    return rest;
}
