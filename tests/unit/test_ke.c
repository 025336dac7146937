// Tests of the scheduler's queue and the timers' heap (kernel/ke) against naive models.
// SPDX-License-Identifier: MIT
#include "../../kernel/ke/ki.h"
#include "unit.h"

#define NODES 300
#define LINKS 200

static KTimerNode nodes[NODES];
static bool inHeap[NODES];

static uint64_t EarliestOfModel(void)
{
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < NODES; i++)
        if (inHeap[i] && nodes[i].Deadline < earliest)
            earliest = nodes[i].Deadline;
    return earliest;
}

static size_t CheckHeap(const KTimerNode *node)
{
    size_t count = 1;
    const KTimerNode *previous = node;
    for (const KTimerNode *child = node->Child; child; previous = child, child = child->Next) {
        CHECK(child->Previous == previous);
        CHECK(child->Deadline >= node->Deadline);
        count += CheckHeap(child);
    }
    return count;
}

static void TestHeapAgainstModel(void)
{
    uint64_t seed = 0x1234567;
    KTimerNode *root = nullptr;
    size_t count = 0;
    memset(inHeap, 0, sizeof(inHeap));
    for (int step = 0; step < 40000; step++) {
        size_t i = UnitRandom(&seed) % NODES;
        bool popEarliest = UnitRandom(&seed) % 4 == 0;
        if (popEarliest && root) {
            i = (size_t)(root - nodes);
            CHECK_EQUAL(root->Deadline, EarliestOfModel());
        }
        if (inHeap[i]) {
            root = KiTimerHeapRemove(root, &nodes[i]);
            count--;
        } else {
            nodes[i].Deadline = UnitRandom(&seed) % 1000;
            root = KiTimerHeapInsert(root, &nodes[i]);
            count++;
        }
        inHeap[i] = !inHeap[i];
        CHECK_EQUAL(root ? root->Deadline : UINT64_MAX, EarliestOfModel());
        if (step % 64 == 0)
            CHECK_EQUAL(root ? CheckHeap(root) : 0, count);
    }
}

static void TestHeapInOrder(void)
{
    KTimerNode *root = nullptr;
    for (size_t i = 0; i < NODES; i++) {
        nodes[i].Deadline = (i * 7919) % NODES;
        root = KiTimerHeapInsert(root, &nodes[i]);
    }
    for (uint64_t expected = 0; root; expected++) {
        CHECK_EQUAL(root->Deadline, expected);
        root = KiTimerHeapRemove(root, root);
    }
    KTimerNode single = {.Deadline = 5};
    root = KiTimerHeapInsert(nullptr, &single);
    CHECK(root == &single);
    CHECK(KiTimerHeapRemove(root, &single) == nullptr);
}

static ListEntry links[LINKS];

static void TestReadyQueue(void)
{
    static KReadyQueue queue;
    KiInitializeReadyQueue(&queue);
    CHECK_EQUAL(KiHighestReady(&queue), -1);
    KiInsertReady(&queue, &links[0], 0, false);
    CHECK_EQUAL(KiHighestReady(&queue), 0);
    KiInsertReady(&queue, &links[1], 31, false);
    KiInsertReady(&queue, &links[2], 31, false);
    KiInsertReady(&queue, &links[3], 31, true);
    KiInsertReady(&queue, &links[4], 8, false);
    CHECK_EQUAL(KiHighestReady(&queue), 31);
    CHECK(KiTakeReady(&queue, 31) == &links[3]); // put in front
    CHECK(KiTakeReady(&queue, 31) == &links[1]); // first come, first served
    KiRemoveReady(&queue, &links[2], 31);
    CHECK_EQUAL(KiHighestReady(&queue), 8);
    CHECK(KiTakeReady(&queue, 8) == &links[4]);
    CHECK(KiTakeReady(&queue, 0) == &links[0]);
    CHECK_EQUAL(KiHighestReady(&queue), -1);
    CHECK_EQUAL(queue.Count, 0);
}

static void TestReadyQueueAgainstModel(void)
{
    static KReadyQueue queue;
    uint64_t seed = 99;
    int priority[LINKS];
    KiInitializeReadyQueue(&queue);
    for (size_t i = 0; i < LINKS; i++)
        priority[i] = -1;
    for (int step = 0; step < 20000; step++) {
        size_t i = UnitRandom(&seed) % LINKS;
        if (priority[i] >= 0) {
            KiRemoveReady(&queue, &links[i], (uint8_t)priority[i]);
            priority[i] = -1;
        } else {
            priority[i] = (int)(UnitRandom(&seed) % KE_PRIORITY_LEVELS);
            KiInsertReady(&queue, &links[i], (uint8_t)priority[i], UnitRandom(&seed) % 2);
        }
        int highest = -1;
        uint32_t count = 0;
        for (size_t j = 0; j < LINKS; j++) {
            highest = priority[j] > highest ? priority[j] : highest;
            count += priority[j] >= 0;
        }
        CHECK_EQUAL(KiHighestReady(&queue), highest);
        CHECK_EQUAL(queue.Count, count);
    }
}

int main(void)
{
    static const UnitTest tests[] = {
        {"timer heap against a model", TestHeapAgainstModel},
        {"timer heap in order", TestHeapInOrder},
        {"ready queue", TestReadyQueue},
        {"ready queue against a model", TestReadyQueueAgainstModel},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
