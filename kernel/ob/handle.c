// handle.c - handle tables: small numbers that name objects to user mode.
//
// A table has two levels: a directory of leaves, each leaf a page of entries, made when the first
// handle in it is needed. A handle is the entry's index in its low 16 bits and the entry's
// generation, 1 to 0x7FFF, above: it is never 0, never a pseudo handle, and the generation moves on
// with every close, so that a stale handle is caught and does not name whatever came to live in its
// entry. Free entries form a list through their Access field; entries beyond Used have never been
// used and are not on it. Opening, closing and looking up are thus O(1), but for one leaf in 256
// opens.
//
// A child process inherits entries under their own index and generation, so a handle's number can
// be told to it beforehand.
//
// Locking: the table's spin lock guards everything in it. A look-up takes its reference under the
// lock, so a handle closed meanwhile cannot take the object away. Objects are never deleted under
// the lock, and closing a whole table walks it entry by entry with the lock free in between.
// SPDX-License-Identifier: MIT
#include "obi.h"

#define TABLE_MAXIMUM   65536u
#define LEAF_ENTRIES    (PAGE_SIZE / sizeof(Entry))
#define LEAF_COUNT      (TABLE_MAXIMUM / LEAF_ENTRIES)
#define NO_ENTRY        UINT32_MAX
#define GENERATION_LAST 0x7FFFu // bit 31 of a handle stays clear: those are the pseudo handles
#define TABLE_TAG       MM_TAG('O', 'b', 'H', 't')

typedef struct Entry {
    void *Body;          // nullptr: free
    uint32_t Access;     // free: index of the next free entry
    uint16_t Generation; // of the handle that names the entry now or will next
    uint16_t Flags;
} Entry;
static_assert(PAGE_SIZE % sizeof(Entry) == 0, "a leaf is a page");

struct ObHandleTable {
    KSpinLock Lock;
    volatile uint32_t References; // atomic
    uint32_t Count;               // L (guarded by Lock): open handles
    uint32_t Used;                // L: entries ever used
    uint32_t FirstFree;           // L
    bool Closing;                 // L: no more handles
    Entry *Leaves[LEAF_COUNT];    // L
};

volatile uint64_t ObiTotalHandles;

Status ObCreateHandleTable(ObHandleTable **table)
{
    ObHandleTable *new = MmAllocateHeap(sizeof(*new), TABLE_TAG);
    if (new == nullptr)
        return StatusNoMemory;
    KeInitializeSpinLock(&new->Lock, LockRankHandle, "handle table");
    new->FirstFree = NO_ENTRY;
    new->References = 1;
    *table = new;
    return StatusSuccess;
}

void ObReferenceHandleTable(ObHandleTable *table)
{
    __atomic_add_fetch(&table->References, 1, __ATOMIC_RELAXED);
}

void ObDereferenceHandleTable(ObHandleTable *table)
{
    if (__atomic_sub_fetch(&table->References, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    KE_ASSERT(table->Count == 0);
    for (size_t i = 0; i < LEAF_COUNT; i++)
        MmFreeHeap(table->Leaves[i]);
    MmFreeHeap(table);
}

static Entry *EntryAt(const ObHandleTable *table, uint32_t index)
{
    return &table->Leaves[index / LEAF_ENTRIES][index % LEAF_ENTRIES];
}

// The open entry a handle names, or nullptr. The table is locked.
static Entry *FindEntry(const ObHandleTable *table, Handle handle)
{
    uint32_t index = handle & 0xFFFF;
    if (index >= table->Used)
        return nullptr;
    Entry *entry = EntryAt(table, index);
    return entry->Body != nullptr && entry->Generation == handle >> 16 ? entry : nullptr;
}

// Takes a free entry. The table is locked. StatusTooManyHandles, StatusNoMemory.
static Status TakeEntry(ObHandleTable *table, uint32_t *index)
{
    if (table->FirstFree != NO_ENTRY) {
        *index = table->FirstFree;
        table->FirstFree = EntryAt(table, *index)->Access;
        return StatusSuccess;
    }
    if (table->Used == TABLE_MAXIMUM)
        return StatusTooManyHandles;
    Entry **leaf = &table->Leaves[table->Used / LEAF_ENTRIES];
    if (*leaf == nullptr) {
        *leaf = MmAllocateHeap(LEAF_ENTRIES * sizeof(Entry), TABLE_TAG);
        if (*leaf == nullptr)
            return StatusNoMemory;
    }
    *index = table->Used++;
    EntryAt(table, *index)->Generation = 1;
    return StatusSuccess;
}

// Gives an entry back and makes the handles that named it stale. The table is locked.
static void FreeEntry(ObHandleTable *table, uint32_t index)
{
    Entry *entry = EntryAt(table, index);
    entry->Body = nullptr;
    entry->Generation =
        entry->Generation == GENERATION_LAST ? 1 : (uint16_t)(entry->Generation + 1);
    entry->Access = table->FirstFree;
    table->FirstFree = index;
    table->Count--;
}

// Makes a free entry name the object. Its table is locked, or known to nobody else.
static void FillEntry(ObHandleTable *table, Entry *entry, void *body, uint32_t access,
                      uint32_t flags)
{
    ObReference(body);
    __atomic_add_fetch(&ObiGetHeader(body)->Handles, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ObiTotalHandles, 1, __ATOMIC_RELAXED);
    entry->Body = body;
    entry->Access = access;
    entry->Flags = (uint16_t)flags;
    table->Count++;
}

Status ObOpenHandle(ObHandleTable *table, void *body, uint32_t access, Handle *handle)
{
    return ObOpenHandleWithFlags(table, body, access, 0, handle);
}

Status ObOpenHandleWithFlags(ObHandleTable *table, void *body, uint32_t access, uint32_t flags,
                             Handle *handle)
{
    KIrql old = KeAcquireSpinLock(&table->Lock);
    uint32_t index;
    Status status = table->Closing ? StatusTerminating : TakeEntry(table, &index);
    if (status == StatusSuccess) {
        Entry *entry = EntryAt(table, index);
        FillEntry(table, entry, body, access, flags);
        *handle = (uint32_t)entry->Generation << 16 | index;
    }
    KeReleaseSpinLock(&table->Lock, old);
    return status;
}

void ObiReleaseHandle(void *body)
{
    ObHeader *header = ObiGetHeader(body);
    uint32_t left = __atomic_sub_fetch(&header->Handles, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&ObiTotalHandles, 1, __ATOMIC_RELAXED);
    if (left == 0 && __atomic_load_n(&header->Named, __ATOMIC_SEQ_CST))
        ObiForgetName(header);
    if (header->Type->CloseHandle != nullptr)
        header->Type->CloseHandle(body, left);
    ObDereference(body);
}

Status ObCloseHandle(ObHandleTable *table, Handle handle)
{
    KIrql old = KeAcquireSpinLock(&table->Lock);
    Entry *entry = FindEntry(table, handle);
    void *body = nullptr;
    if (entry != nullptr) {
        body = entry->Body;
        FreeEntry(table, handle & 0xFFFF);
    }
    KeReleaseSpinLock(&table->Lock, old);
    if (body == nullptr)
        return StatusInvalidHandle;
    ObiReleaseHandle(body);
    return StatusSuccess;
}

void ObCloseAllHandles(ObHandleTable *table)
{
    KIrql old = KeAcquireSpinLock(&table->Lock);
    table->Closing = true;
    for (uint32_t index = 0; index < table->Used; index++) {
        void *body = EntryAt(table, index)->Body;
        if (body == nullptr)
            continue;
        FreeEntry(table, index);
        KeReleaseSpinLock(&table->Lock, old);
        ObiReleaseHandle(body);
        old = KeAcquireSpinLock(&table->Lock);
    }
    KeReleaseSpinLock(&table->Lock, old);
}

void ObDestroyHandleTable(ObHandleTable *table)
{
    ObCloseAllHandles(table);
    ObDereferenceHandleTable(table);
}

// ---- inheritance

// Copies what is inherited of one leaf; returns whether there was any. *more: the table goes on
// behind it.
static bool InheritLeaf(ObHandleTable *from, ObHandleTable *to, size_t leaf, bool *more)
{
    Entry *target = to->Leaves[leaf];
    uint32_t before = to->Count;
    KIrql old = KeAcquireSpinLock(&from->Lock);
    uint32_t first = (uint32_t)(leaf * LEAF_ENTRIES);
    uint32_t used = from->Used > first ? from->Used - first : 0;
    for (uint32_t i = 0; i < used && i < LEAF_ENTRIES; i++) {
        const Entry *entry = &from->Leaves[leaf][i];
        if (entry->Body == nullptr || (entry->Flags & HandleInherit) == 0)
            continue;
        FillEntry(to, &target[i], entry->Body, entry->Access, entry->Flags);
        target[i].Generation = entry->Generation;
    }
    KeReleaseSpinLock(&from->Lock, old);
    *more = used > LEAF_ENTRIES;
    return to->Count != before;
}

Status ObInheritHandles(ObHandleTable *from, ObHandleTable *to)
{
    KE_ASSERT(to->Used == 0);
    bool more = true;
    for (size_t leaf = 0; more && leaf < LEAF_COUNT; leaf++) {
        to->Leaves[leaf] = MmAllocateHeap(LEAF_ENTRIES * sizeof(Entry), TABLE_TAG);
        if (to->Leaves[leaf] == nullptr)
            return StatusNoMemory;
        if (InheritLeaf(from, to, leaf, &more))
            to->Used = (uint32_t)((leaf + 1) * LEAF_ENTRIES);
    }
    for (uint32_t index = to->Used; index-- > 0;) {
        Entry *entry = EntryAt(to, index);
        if (entry->Body != nullptr)
            continue;
        entry->Generation = 1;
        entry->Access = to->FirstFree;
        to->FirstFree = index;
    }
    return StatusSuccess;
}

// ---- look-up

Status ObQueryHandle(ObHandleTable *table, Handle handle, void **body, uint32_t *access)
{
    Status status = StatusInvalidHandle;
    KIrql old = KeAcquireSpinLock(&table->Lock);
    const Entry *entry = FindEntry(table, handle);
    if (entry != nullptr) {
        ObReference(entry->Body);
        *body = entry->Body;
        *access = entry->Access;
        status = StatusSuccess;
    }
    KeReleaseSpinLock(&table->Lock, old);
    return status;
}

Status ObEnterHandle(ObHandleTable *table, Handle handle, const ObType *type, uint32_t access,
                     void **body, KIrql *old)
{
    Status status = StatusInvalidHandle;
    *old = KeAcquireSpinLock(&table->Lock);
    const Entry *entry = FindEntry(table, handle);
    if (entry != nullptr) {
        if (type != nullptr && ObGetType(entry->Body) != type) {
            status = StatusWrongType;
        } else if ((entry->Access & access) != access) {
            status = StatusAccessDenied;
        } else {
            *body = entry->Body;
            return StatusSuccess;
        }
    }
    KeReleaseSpinLock(&table->Lock, *old);
    return status;
}

void ObLeaveHandle(ObHandleTable *table, KIrql old)
{
    KeReleaseSpinLock(&table->Lock, old);
}

Status ObReferenceByHandle(ObHandleTable *table, Handle handle, ObType *type, uint32_t access,
                           void **body)
{
    KIrql old;
    Status status = ObEnterHandle(table, handle, type, access, body, &old);
    if (status != StatusSuccess)
        return status;
    ObReference(*body);
    ObLeaveHandle(table, old);
    return StatusSuccess;
}

Status ObGetHandleInfo(ObHandleTable *table, Handle handle, HandleInfo *info)
{
    void *body = nullptr;
    KIrql old = KeAcquireSpinLock(&table->Lock);
    const Entry *entry = FindEntry(table, handle);
    if (entry != nullptr) {
        body = entry->Body;
        ObReference(body);
        *info = (HandleInfo){.Access = entry->Access, .Flags = entry->Flags};
    }
    KeReleaseSpinLock(&table->Lock, old);
    if (body == nullptr)
        return StatusInvalidHandle;
    ObHeader *header = ObiGetHeader(body);
    info->Kind = header->Type->Kind;
    info->HandleCount = __atomic_load_n(&header->Handles, __ATOMIC_RELAXED);
    ObiGetName(header, info->Name, sizeof(info->Name));
    ObDereference(body);
    return StatusSuccess;
}

Status ObSetHandleFlags(ObHandleTable *table, Handle handle, uint32_t flags)
{
    KIrql old = KeAcquireSpinLock(&table->Lock);
    Entry *entry = FindEntry(table, handle);
    if (entry != nullptr)
        entry->Flags = (uint16_t)flags;
    KeReleaseSpinLock(&table->Lock, old);
    return entry != nullptr ? StatusSuccess : StatusInvalidHandle;
}

uint32_t ObGetHandleCount(const ObHandleTable *table)
{
    return __atomic_load_n(&table->Count, __ATOMIC_RELAXED);
}

uint64_t ObGetTotalHandleCount(void)
{
    return __atomic_load_n(&ObiTotalHandles, __ATOMIC_RELAXED);
}
