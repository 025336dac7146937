// Tests of kernel/mm/ranges.c against a naive model: an array with one flag per unit of address
// space.
// SPDX-License-Identifier: MIT
#include "../../kernel/mm/ranges.h"
#include "unit.h"

#define UNITS 512
#define NODES 96

static MiRangeTree tree;
static MiRange nodes[NODES];
static bool used[NODES];
static int owner[UNITS]; // node + 1, 0: free

static int CheckNode(const MiRange *node)
{
    if (!node)
        return 0;
    int left = CheckNode(node->Left), right = CheckNode(node->Right);
    CHECK(left - right <= 1 && right - left <= 1);
    CHECK_EQUAL(node->Height, 1 + (left > right ? left : right));
    CHECK(!node->Left || node->Left->LastEnd <= node->Base);
    CHECK(!node->Right || node->Right->FirstBase >= node->End);
    return node->Height;
}

static int Overlap(uint64_t base, uint64_t end)
{
    for (uint64_t i = base; i < end; i++)
        if (owner[i])
            return owner[i];
    return 0;
}

static void CheckQueries(uint64_t address)
{
    const MiRange *found = MiFindRange(&tree, address);
    CHECK(found == (owner[address] ? &nodes[owner[address] - 1] : nullptr));
    uint64_t at = address;
    while (at < UNITS && !owner[at])
        at++;
    CHECK(MiFindRangeFrom(&tree, address) == (at < UNITS ? &nodes[owner[at] - 1] : nullptr));
    const MiRange *below = MiFindRangeBelow(&tree, address);
    const MiRange *expected = nullptr;
    for (int i = 0; i < NODES; i++)
        if (used[i] && nodes[i].End <= address && (!expected || nodes[i].End > expected->End))
            expected = &nodes[i];
    CHECK(below == expected);
}

static void CheckHole(uint64_t low, uint64_t high, uint64_t size, uint64_t alignment)
{
    uint64_t expected = UINT64_MAX, base;
    for (uint64_t at = low; at + size <= high; at++)
        if (at % alignment == 0 && !Overlap(at, at + size))
            expected = at;
    bool found = MiFindHole(&tree, low, high, size, alignment, &base);
    CHECK_EQUAL(found, expected != UINT64_MAX);
    if (found)
        CHECK_EQUAL(base, expected);
}

static void TestModel(void)
{
    uint64_t seed = 0x1234567;
    for (int step = 0; step < 60000; step++) {
        uint64_t random = UnitRandom(&seed);
        int node = (int)(random % NODES);
        if (used[node]) {
            MiRemoveRange(&tree, &nodes[node]);
            for (uint64_t i = nodes[node].Base; i < nodes[node].End; i++)
                owner[i] = 0;
            used[node] = false;
        } else {
            uint64_t base = random / NODES % UNITS, length = random / NODES / UNITS % 14;
            uint64_t end = base + length > UNITS ? UNITS : base + length;
            nodes[node].Base = base;
            nodes[node].End = end;
            bool expected = base < end && !Overlap(base, end);
            CHECK_EQUAL(MiInsertRange(&tree, &nodes[node]), expected);
            used[node] = expected;
            for (uint64_t i = base; expected && i < end; i++)
                owner[i] = node + 1;
        }
        random = UnitRandom(&seed);
        node = (int)(random >> 32) % NODES;
        if (node >= 0 && used[node] && random >> 62 == 0) { // into the holes beside it, or inwards
            uint64_t base = nodes[node].Base, end = nodes[node].End;
            for (uint64_t i = base; i < end; i++)
                owner[i] = 0;
            if (base > 0 && !owner[base - 1] && (random & 1))
                base--;
            if (end < UNITS && !owner[end] && (random & 2))
                end++;
            if (end - base > 1 && (random & 4))
                base++;
            if (end - base > 1 && (random & 8))
                end--;
            MiResizeRange(&tree, &nodes[node], base, end);
            for (uint64_t i = base; i < end; i++)
                owner[i] = node + 1;
        }
        CheckQueries(random % UNITS);
        uint64_t low = random / UNITS % UNITS, high = UnitRandom(&seed) % (UNITS + 1);
        CheckHole(low, high, 1 + random % 20, 1ull << random / 32 % 4);
        if (step % 64 == 0) {
            CheckNode(tree.Root);
            size_t count = 0;
            for (int i = 0; i < NODES; i++)
                count += used[i];
            CHECK_EQUAL(tree.Count, count);
        }
    }
}

static void TestEdges(void)
{
    MiRangeTree empty = {};
    uint64_t base;
    CHECK(!MiFindRange(&empty, 0));
    CHECK(!MiFindHole(&empty, 0, 100, 0, 1, &base));
    CHECK(!MiFindHole(&empty, 100, 0, 1, 1, &base));
    CHECK(MiFindHole(&empty, 0, 100, 100, 1, &base));
    CHECK_EQUAL(base, 0);
    CHECK(!MiFindHole(&empty, 0, UINT64_MAX, UINT64_MAX, 1ull << 62, &base) || base == 0);
    MiRange top = {.Base = UINT64_MAX - 4096, .End = UINT64_MAX};
    CHECK(MiInsertRange(&empty, &top));
    CHECK(MiFindRange(&empty, UINT64_MAX - 1) == &top);
    CHECK(!MiFindRangeFrom(&empty, UINT64_MAX));
}

int main(void)
{
    static const UnitTest tests[] = {{"ranges agree with a naive model", TestModel},
                                     {"edges", TestEdges}};
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
