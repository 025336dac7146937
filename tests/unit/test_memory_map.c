// Tests of kernel/mm/memory_map.c against a naive model: one kind per page.
// SPDX-License-Identifier: MIT
#include "../../kernel/mm/memory_map.h"
#include "unit.h"

#define PAGES  300
#define STRIDE 48

typedef struct Descriptor {
    uint32_t Type, Pad;
    uint64_t Start, Virtual, Pages, Attribute;
} Descriptor;

static MiMemoryEdge edges[256];
static MiMemoryRun runs[256];
static uint8_t map[64 * STRIDE];

static void Put(size_t index, uint32_t type, uint64_t start, uint64_t pages, uint64_t attribute)
{
    Descriptor descriptor = {type, 0, start, 0, pages, attribute};
    memcpy(map + index * STRIDE, &descriptor, sizeof descriptor);
}

static size_t Normalize(size_t count, const MiMemoryRun *extra, size_t extraCount)
{
    return MiNormalizeMemoryMap(map, count * STRIDE, STRIDE, PAGES, extra, extraCount, edges,
                                RTL_COUNT_OF(edges), runs, RTL_COUNT_OF(runs));
}

static MiMemoryKind KindOf(uint32_t type)
{
    return type == 7                             ? MemoryKindFree
           : type == 1 || type == 3 || type == 4 ? MemoryKindBoot
           : type == 2                           ? MemoryKindLoader
                                                 : MemoryKindReserved;
}

static void TestModel(void)
{
    uint64_t seed = 42;
    for (int round = 0; round < 3000; round++) {
        MiMemoryKind expected[PAGES] = {MemoryKindReserved};
        size_t count = UnitRandom(&seed) % 40;
        for (size_t i = 0; i < count; i++) {
            uint64_t random = UnitRandom(&seed);
            uint32_t type = random % 17;
            uint64_t start = random / 32 % (PAGES + 20), pages = random / 65536 % 40;
            if (random >> 60 == 0)
                pages = UINT64_MAX - random % 1000;
            Put(i, type, start << 12, pages, random >> 59 & 1 ? 8 : 0xF);
            for (uint64_t page = start; page < PAGES && page - start < pages; page++)
                if (expected[page] < KindOf(type))
                    expected[page] = KindOf(type);
        }
        uint64_t random = UnitRandom(&seed);
        MiMemoryRun extra = {
            .Start = random % PAGES, .End = random % PAGES + 5, .Kind = MemoryKindKernel};
        for (uint64_t page = extra.Start; page < extra.End && page < PAGES; page++)
            expected[page] = MemoryKindKernel;

        size_t written = Normalize(count, &extra, 1);
        uint64_t previous = 0;
        size_t page = 0;
        for (size_t i = 0; i < written; i++) {
            CHECK(runs[i].Start >= previous && runs[i].Start < runs[i].End && runs[i].End <= PAGES);
            CHECK(i == 0 || runs[i].Start > previous || runs[i].Kind != runs[i - 1].Kind);
            for (; page < runs[i].Start; page++)
                CHECK_EQUAL(expected[page], MemoryKindHole);
            for (; page < runs[i].End; page++)
                CHECK_EQUAL(expected[page], runs[i].Kind);
            previous = runs[i].End;
        }
        for (; page < PAGES; page++)
            CHECK_EQUAL(expected[page], MemoryKindHole);
    }
}

static void TestAbsurd(void)
{
    CHECK_EQUAL(Normalize(0, nullptr, 0), 1); // page 0 is always taken
    CHECK_EQUAL(MiNormalizeMemoryMap(map, sizeof map, 0, PAGES, nullptr, 0, edges, 256, runs, 256),
                1);
    CHECK_EQUAL(MiNormalizeMemoryMap(map, 39, STRIDE, PAGES, nullptr, 0, edges, 256, runs, 256), 1);
    Put(0, 7, UINT64_MAX, UINT64_MAX, 0xF);
    Put(1, 7, UINT64_MAX & ~0xFFFull, 1, 0xF);
    Put(2, 7, 0x1000, 0, 0xF);
    Put(3, 7, 0x2800, 2, 0xF);      // starts inside a page: only the whole page counts
    Put(4, 7, 0x10000, 4, 0);       // not write-back
    Put(5, 7, 0x20000, 4, 0x40008); // special purpose
    CHECK_EQUAL(Normalize(6, nullptr, 0), 4);
    CHECK_EQUAL(runs[1].Start, 3);
    CHECK_EQUAL(runs[1].End, 4);
    CHECK_EQUAL(runs[2].Kind, MemoryKindReserved);
    CHECK_EQUAL(runs[3].Kind, MemoryKindReserved);
    // Too many descriptors for the scratch memory: some are ignored, nothing is written out of
    // bounds.
    for (size_t i = 0; i < 60; i++)
        Put(i, 7, (uint64_t)(2 + i * 4) << 12, 2, 0xF);
    size_t written =
        MiNormalizeMemoryMap(map, 60 * STRIDE, STRIDE, PAGES, nullptr, 0, edges, 21, runs, 4);
    CHECK_EQUAL(written, 4);
}

int main(void)
{
    static const UnitTest tests[] = {{"memory map agrees with a naive model", TestModel},
                                     {"absurd maps", TestAbsurd}};
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
