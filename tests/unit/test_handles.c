// Tests of kernel/ob: reference counts, deferred deletion, handle tables. The kernel below is a
// handful of functions here, so that the lock's state and failing allocations can be checked too.
// SPDX-License-Identifier: MIT
#define METALOS_BUILD_KERNEL
#include "../../kernel/ob/handle.c"
#include "../../kernel/ob/name.c"
#include "../../kernel/ob/object.c"
#include "unit.h"

static KIrql Level;
static int Blocks, AllocationsLeft = -1;
static KWorkItem *Queued;

KIrql KeGetCurrentIrql(void)
{
    return Level;
}
void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name)
{
    *lock = (KSpinLock)KE_SPIN_LOCK_INIT(rank, name);
}
KIrql KeAcquireSpinLock(KSpinLock *lock)
{
    KIrql old = Level;
    if (lock->Value != 0)
        abort();
    lock->Value = 1;
    Level = DispatchLevel;
    return old;
}
void KeReleaseSpinLock(KSpinLock *lock, KIrql old)
{
    if (lock->Value != 1)
        abort();
    lock->Value = 0;
    Level = old;
}
bool KeQueueWorkItem(KWorkItem *item)
{
    bool new = Queued == nullptr;
    Queued = item;
    return new;
}
void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
{
    printf("# assertion %s, %s:%u\n", expression, file, line);
    abort();
}
void *MmAllocateHeap(size_t size, uint32_t tag)
{
    if (AllocationsLeft == 0)
        return nullptr;
    if (AllocationsLeft > 0)
        AllocationsLeft--;
    Blocks++;
    return calloc(1, size);
}
void MmFreeHeap(void *block)
{
    Blocks -= block != nullptr;
    free(block);
}

static int Deleted, Closed;
static uint32_t LastLeft;

static void OnDelete(void *body)
{
    if (Level != PassiveLevel)
        abort();
    Deleted++;
}
static void OnClose(void *body, uint32_t left)
{
    if (Level != PassiveLevel)
        abort();
    Closed++;
    LastLeft = left;
}
static ObType Apple = {.Name = "apple",
                       .Kind = ObjectEvent,
                       .DispatcherOffset = 8,
                       .Delete = OnDelete,
                       .CloseHandle = OnClose};
static ObType Pear = {.Name = "pear", .DispatcherOffset = OB_NOT_WAITABLE};

static void *New(ObType *type)
{
    void *body = nullptr;
    CHECK_EQUAL(ObCreateObject(type, 24, &body), StatusSuccess);
    return body;
}
static ObHandleTable *NewTable(void)
{
    ObHandleTable *table = nullptr;
    CHECK_EQUAL(ObCreateHandleTable(&table), StatusSuccess);
    return table;
}

static void TestObjects(void)
{
    Deleted = 0;
    void *apple = New(&Apple), *pear = New(&Pear);
    CHECK((uintptr_t)apple % 16 == 0);
    CHECK(ObGetType(apple) == &Apple);
    CHECK(ObGetDispatcher(apple) == (char *)apple + 8);
    CHECK(ObGetDispatcher(pear) == nullptr);
    CHECK_EQUAL(Apple.Count, 1);
    ObReference(apple);
    ObDereference(apple);
    CHECK_EQUAL(Deleted, 0);
    ObDereference(apple);
    ObDereference(pear);
    CHECK_EQUAL(Deleted, 1);
    CHECK_EQUAL(Apple.Count + Pear.Count, 0);
    CHECK_EQUAL(Blocks, 0);
}

static void TestDeferredDeletion(void)
{
    Deleted = 0;
    void *first = New(&Apple), *second = New(&Apple);
    Level = DispatchLevel;
    ObDereference(first);
    ObDereference(second);
    Level = PassiveLevel;
    CHECK_EQUAL(Deleted, 0);
    CHECK(Queued != nullptr);
    Queued->Routine(Queued->Context);
    Queued = nullptr;
    CHECK_EQUAL(Deleted, 2);
    CHECK_EQUAL(Blocks, 0);
}

static void TestHandles(void)
{
    ObHandleTable *table = NewTable();
    void *apple = New(&Apple), *pear = New(&Pear), *found;
    Handle first, second, copy;
    CHECK_EQUAL(ObOpenHandle(table, apple, 3, &first), StatusSuccess);
    CHECK_EQUAL(ObOpenHandle(table, pear, 1, &second), StatusSuccess);
    CHECK(first != 0 && second != 0 && first != second);
    CHECK_EQUAL(ObGetTotalHandleCount(), 2);

    CHECK_EQUAL(ObReferenceByHandle(table, first, &Apple, 2, &found), StatusSuccess);
    CHECK(found == apple);
    ObDereference(found);
    CHECK_EQUAL(ObReferenceByHandle(table, first, nullptr, 0, &found), StatusSuccess);
    ObDereference(found);
    CHECK_EQUAL(ObReferenceByHandle(table, first, &Pear, 0, &found), StatusWrongType);
    CHECK_EQUAL(ObReferenceByHandle(table, second, &Pear, 2, &found), StatusAccessDenied);
    static const Handle bad[] = {0,       1,      0xFFFF, 0x10000000, CurrentProcess, CurrentThread,
                                 0x1FFFF, 0x20000};
    for (size_t i = 0; i < RTL_COUNT_OF(bad); i++)
        CHECK_EQUAL(ObReferenceByHandle(table, bad[i], nullptr, 0, &found), StatusInvalidHandle);

    CHECK_EQUAL(ObOpenHandleWithFlags(table, apple, 3, HandleInherit, &copy), StatusSuccess);
    uint32_t access;
    CHECK_EQUAL(ObQueryHandle(table, copy, &found, &access), StatusSuccess);
    CHECK_EQUAL(access, 3);
    ObDereference(found);
    Closed = 0;
    CHECK_EQUAL(ObCloseHandle(table, first), StatusSuccess);
    CHECK_EQUAL(Closed, 1);
    CHECK_EQUAL(LastLeft, 1);
    CHECK_EQUAL(ObCloseHandle(table, first), StatusInvalidHandle);
    Deleted = 0;
    ObDereference(apple);
    ObDereference(pear);
    CHECK_EQUAL(Deleted, 0);
    ObDestroyHandleTable(table);
    CHECK_EQUAL(Deleted, 1);
    CHECK_EQUAL(ObGetTotalHandleCount(), 0);
    CHECK_EQUAL(Blocks, 0);
}

// A handle closed and its entry used again: the old value stays dead through a whole round of
// generations.
static void TestStaleHandles(void)
{
    ObHandleTable *table = NewTable();
    void *apple = New(&Apple), *found;
    Handle stale = 0, next;
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &stale), StatusSuccess);
    CHECK_EQUAL(ObCloseHandle(table, stale), StatusSuccess);
    for (int i = 0; i < 0x7FFE; i++) {
        CHECK_EQUAL(ObOpenHandle(table, apple, 0, &next), StatusSuccess);
        if (next == stale || (next & 0x80000000u) != 0 || next >> 16 == 0)
            CHECK(false);
        if (ObReferenceByHandle(table, stale, nullptr, 0, &found) != StatusInvalidHandle)
            CHECK(false);
        CHECK_EQUAL(ObCloseHandle(table, next), StatusSuccess);
    }
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &next), StatusSuccess);
    CHECK_EQUAL(next, stale); // 0x7FFF generations later
    ObDestroyHandleTable(table);
    ObDereference(apple);
    CHECK_EQUAL(Blocks, 0);
}

static void TestLimit(void)
{
    ObHandleTable *table = NewTable();
    void *apple = New(&Apple);
    Handle handle, last = 0;
    for (int i = 0; i < 65536; i++) {
        if (ObOpenHandle(table, apple, 0, &handle) != StatusSuccess)
            CHECK(false);
        last = handle;
    }
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &handle), StatusTooManyHandles);
    CHECK_EQUAL(ObGetHandleCount(table), 65536);
    CHECK_EQUAL(ObCloseHandle(table, last), StatusSuccess);
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &handle), StatusSuccess);
    ObDereference(apple);
    ObDestroyHandleTable(table);
    CHECK_EQUAL(Blocks, 0);
}

static void TestNoMemory(void)
{
    void *body;
    Handle handle;
    AllocationsLeft = 0;
    CHECK_EQUAL(ObCreateObject(&Apple, 8, &body), StatusNoMemory);
    AllocationsLeft = -1;
    ObHandleTable *table = NewTable();
    void *apple = New(&Apple);
    AllocationsLeft = 0;
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &handle), StatusNoMemory);
    AllocationsLeft = -1;
    CHECK_EQUAL(ObGetHandleCount(table), 0);
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &handle), StatusSuccess);
    ObCloseAllHandles(table);
    CHECK_EQUAL(ObOpenHandle(table, apple, 0, &handle), StatusTerminating);
    ObDereference(apple);
    ObDestroyHandleTable(table);
    CHECK_EQUAL(Blocks, 0);
}

// A child gets what is marked, under the same handles, and can fill the rest of its table.
static void TestInheritance(void)
{
    enum { Count = 1000 };
    static Handle handles[Count];
    ObHandleTable *parent = NewTable(), *child = NewTable(), *orphan = NewTable();
    void *apple = New(&Apple), *found;
    HandleInfo info;
    for (uint32_t i = 0; i < Count; i++)
        CHECK_EQUAL(ObOpenHandleWithFlags(parent, apple, i + 1, i % 7 == 0 ? HandleInherit : 0,
                                          &handles[i]),
                    StatusSuccess);
    CHECK_EQUAL(ObCloseHandle(parent, handles[5]), StatusSuccess); // moves its generation on
    CHECK_EQUAL(ObSetHandleFlags(parent, handles[8], HandleInherit), StatusSuccess);
    CHECK_EQUAL(ObSetHandleFlags(parent, handles[7], 0), StatusSuccess);
    CHECK_EQUAL(ObSetHandleFlags(parent, handles[5], 0), StatusInvalidHandle);
    CHECK_EQUAL(ObInheritHandles(parent, child), StatusSuccess);
    for (uint32_t i = 0; i < Count; i++) {
        bool expected = (i % 7 == 0 && i != 7) || i == 8;
        Status status = ObReferenceByHandle(child, handles[i], &Apple, i + 1, &found);
        CHECK_EQUAL(status, expected ? StatusSuccess : StatusInvalidHandle);
        if (status == StatusSuccess)
            ObDereference(found);
    }
    CHECK_EQUAL(ObGetHandleInfo(child, handles[0], &info), StatusSuccess);
    CHECK_EQUAL(info.Flags, HandleInherit);
    CHECK_EQUAL(info.Kind, ObjectEvent);
    CHECK_EQUAL(info.HandleCount, Count - 1 + ObGetHandleCount(child));
    uint32_t inherited = ObGetHandleCount(child);
    Handle handle;
    for (uint32_t i = inherited; i < 65536; i++)
        if (ObOpenHandle(child, apple, 0, &handle) != StatusSuccess)
            CHECK(false);
    CHECK_EQUAL(ObOpenHandle(child, apple, 0, &handle), StatusTooManyHandles);
    AllocationsLeft = 2;
    CHECK_EQUAL(ObInheritHandles(parent, orphan), StatusNoMemory);
    AllocationsLeft = -1;
    ObDereference(apple);
    ObDestroyHandleTable(orphan);
    ObDestroyHandleTable(child);
    ObDestroyHandleTable(parent);
    CHECK_EQUAL(ObGetTotalHandleCount(), 0);
    CHECK_EQUAL(Blocks, 0);
}

static void TestNames(void)
{
    ObHandleTable *table = NewTable();
    void *apple = New(&Apple), *pear = New(&Pear);
    Handle first, second, opened, again;
    uint32_t access;
    HandleInfo info;
    CHECK_EQUAL(ObNameObject(apple, "fruit", 3), StatusInvalidHandle); // no handle to it yet
    CHECK_EQUAL(ObOpenHandle(table, apple, 7, &first), StatusSuccess);
    CHECK_EQUAL(ObOpenHandle(table, pear, 7, &second), StatusSuccess);
    CHECK_EQUAL(ObNameObject(apple, "fruit", 3), StatusSuccess);
    CHECK_EQUAL(ObNameObject(apple, "other", 3), StatusConflict);
    CHECK_EQUAL(ObNameObject(pear, "fruit", 3), StatusAlreadyExists);
    CHECK_EQUAL(ObOpenByName(table, "Fruit", 0, 0, &opened), StatusNotFound);
    CHECK_EQUAL(ObOpenByName(table, "fruit", ObjectWindow, 0, &opened), StatusWrongType);
    CHECK_EQUAL(ObOpenByName(table, "fruit", ObjectEvent, 4, &opened), StatusAccessDenied);
    CHECK_EQUAL(ObOpenByName(table, "fruit", ObjectEvent, 1, &opened), StatusSuccess);
    CHECK_EQUAL(ObOpenByName(table, "fruit", 0, 0, &again), StatusSuccess);
    void *found;
    CHECK_EQUAL(ObQueryHandle(table, again, &found, &access), StatusSuccess);
    ObDereference(found);
    CHECK_EQUAL(access, 3);
    CHECK_EQUAL(ObGetHandleInfo(table, opened, &info), StatusSuccess);
    CHECK(strcmp(info.Name, "fruit") == 0);
    CHECK_EQUAL(info.HandleCount, 3);
    // The name lives as long as any handle, and is free after the last one.
    CHECK_EQUAL(ObCloseHandle(table, first), StatusSuccess);
    CHECK_EQUAL(ObCloseHandle(table, again), StatusSuccess);
    CHECK_EQUAL(ObNameObject(pear, "fruit", 1), StatusAlreadyExists);
    CHECK_EQUAL(ObCloseHandle(table, opened), StatusSuccess);
    CHECK_EQUAL(ObOpenByName(table, "fruit", 0, 0, &opened), StatusNotFound);
    CHECK_EQUAL(ObNameObject(pear, "fruit", 1), StatusSuccess);
    AllocationsLeft = 0;
    CHECK_EQUAL(ObNameObject(apple, "more", 1), StatusNoMemory);
    AllocationsLeft = -1;
    ObDereference(apple);
    ObDereference(pear);
    ObDestroyHandleTable(table);
    CHECK_EQUAL(ObGetTotalHandleCount(), 0);
    CHECK_EQUAL(Blocks, 0);
}

// Random opens, closes, duplicates and look-ups against a plain list.
static void TestRandom(void)
{
    enum { Slots = 1000 };
    static Handle handles[Slots];
    static void *bodies[Slots];
    uint64_t state = 20240101;
    ObHandleTable *table = NewTable();
    for (int i = 0; i < 200000; i++) {
        size_t slot = UnitRandom(&state) % Slots;
        void *found;
        if (handles[slot] == 0) {
            bodies[slot] = New(UnitRandom(&state) % 2 == 0 ? &Apple : &Pear);
            CHECK_EQUAL(ObOpenHandle(table, bodies[slot], 7, &handles[slot]), StatusSuccess);
            ObDereference(bodies[slot]);
        } else if (UnitRandom(&state) % 2 == 0) {
            CHECK_EQUAL(ObReferenceByHandle(table, handles[slot], nullptr, 7, &found),
                        StatusSuccess);
            if (found != bodies[slot])
                CHECK(false);
            ObDereference(found);
        } else {
            CHECK_EQUAL(ObCloseHandle(table, handles[slot]), StatusSuccess);
            handles[slot] = 0;
        }
    }
    ObDestroyHandleTable(table);
    CHECK_EQUAL(Apple.Count + Pear.Count, 0);
    CHECK_EQUAL(Blocks, 0);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"objects", TestObjects},          {"deferred deletion", TestDeferredDeletion},
        {"handles", TestHandles},          {"stale handles", TestStaleHandles},
        {"65536 handles", TestLimit},      {"no memory", TestNoMemory},
        {"inheritance", TestInheritance},  {"names", TestNames},
        {"random operations", TestRandom},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
