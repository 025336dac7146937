// name.c - the name space: objects that processes find by a name they agree on.
//
// One flat table of names. A name belongs to an object, at most one to each, and stands for it as
// long as a handle to the object is open anywhere; the last one that is closed takes the name away.
// Names are therefore never left behind, whatever becomes of the processes that used them, and
// there are no more of them than open handles. A name grants at most the rights that the handle had
// through which it was given.
//
// Opening by name races with the last close. Both count in ObHeader.Handles: a look-up raises the
// count, under the lock, unless it is 0 already, and so holds the object open while it makes the
// handle; a closer that lowers it to 0 then takes the lock to remove the name. The look-up's own
// reference comes first: once it has raised the count a closer no longer is the last one, takes no
// lock, and drops the reference that kept the object alive until then.
//
// Locking: NameLock guards the table and ObHeader.Name.
// SPDX-License-Identifier: MIT
#include "obi.h"

#define BUCKETS  64u // a power of two
#define NAME_TAG MM_TAG('O', 'b', 'N', 'm')

typedef struct ObName {
    ListEntry Link;
    ObHeader *Object;
    uint32_t Access; // at most
    uint32_t Hash;
    char Text[];
} ObName;

static KSpinLock NameLock = KE_SPIN_LOCK_INIT(LockRankHandle, "object names");
static ListEntry Buckets[BUCKETS]; // guarded by NameLock; zeroed until first used

static uint32_t Hash(const char *text) // FNV-1a
{
    uint32_t hash = 2166136261u;
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

static ListEntry *BucketOf(uint32_t hash)
{
    ListEntry *bucket = &Buckets[hash % BUCKETS];
    if (bucket->Next == nullptr)
        RtlInitializeList(bucket);
    return bucket;
}

// NameLock is held.
static ObName *Find(const char *text, uint32_t hash)
{
    RTL_FOR_EACH (entry, BucketOf(hash)) {
        ObName *name = RTL_CONTAINER_OF(entry, ObName, Link);
        if (name->Hash == hash && strcmp(name->Text, text) == 0)
            return name;
    }
    return nullptr;
}

static void Remove(ObName *name)
{
    name->Object->Named = 0;
    name->Object->Name = nullptr;
    RtlRemoveEntry(&name->Link);
}

// Enters the name unless it is taken, the object has one, or its last handle is gone.
static Status Enter(ObName *name, ObHeader *header)
{
    if (header->Named)
        return StatusConflict;
    if (Find(name->Text, name->Hash) != nullptr)
        return StatusAlreadyExists;
    header->Name = name;
    RtlInsertTail(BucketOf(name->Hash), &name->Link);
    __atomic_store_n(&header->Named, 1, __ATOMIC_SEQ_CST); // before the count is looked at
    if (__atomic_load_n(&header->Handles, __ATOMIC_SEQ_CST) != 0)
        return StatusSuccess;
    Remove(name);
    return StatusInvalidHandle;
}

Status ObNameObject(void *body, const char *text, uint32_t access)
{
    size_t size = strlen(text) + 1;
    ObName *name = MmAllocateHeap(sizeof(*name) + size, NAME_TAG);
    if (name == nullptr)
        return StatusNoMemory;
    name->Object = ObiGetHeader(body);
    name->Access = access;
    name->Hash = Hash(text);
    memcpy(name->Text, text, size);
    KIrql old = KeAcquireSpinLock(&NameLock);
    Status status = Enter(name, name->Object);
    KeReleaseSpinLock(&NameLock, old);
    if (status != StatusSuccess)
        MmFreeHeap(name);
    return status;
}

void ObiForgetName(ObHeader *header)
{
    ObName *name = nullptr;
    KIrql old = KeAcquireSpinLock(&NameLock);
    if (header->Named && __atomic_load_n(&header->Handles, __ATOMIC_SEQ_CST) == 0) {
        name = header->Name;
        Remove(name);
    }
    KeReleaseSpinLock(&NameLock, old);
    MmFreeHeap(name);
}

void ObiGetName(ObHeader *header, char *text, size_t size)
{
    text[0] = '\0';
    KIrql old = KeAcquireSpinLock(&NameLock);
    if (header->Named)
        RtlCopyString(text, size, header->Name->Text);
    KeReleaseSpinLock(&NameLock, old);
}

// Counts one more open handle, unless the last one has been closed.
static bool HoldOpen(ObHeader *header)
{
    uint32_t handles = __atomic_load_n(&header->Handles, __ATOMIC_SEQ_CST);
    do {
        if (handles == 0)
            return false;
    } while (!__atomic_compare_exchange_n(&header->Handles, &handles, handles + 1, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    __atomic_add_fetch(&ObiTotalHandles, 1, __ATOMIC_RELAXED);
    return true;
}

// The object, referenced and held open. *access becomes what the handle shall have.
static Status LookUp(const char *text, ObjectKind kind, uint32_t *access, void **body)
{
    const ObName *name = Find(text, Hash(text));
    if (name == nullptr)
        return StatusNotFound;
    if (kind != 0 && name->Object->Type->Kind != kind)
        return StatusWrongType;
    if ((*access & ~name->Access) != 0)
        return StatusAccessDenied;
    *body = name->Object + 1;
    ObReference(*body);
    if (!HoldOpen(name->Object)) {
        ObDereference(*body); // not the last: the closer has its own until the name is gone
        return StatusNotFound;
    }
    if (*access == 0)
        *access = name->Access;
    return StatusSuccess;
}

Status ObOpenByName(ObHandleTable *table, const char *name, ObjectKind kind, uint32_t access,
                    Handle *handle)
{
    void *body;
    KIrql old = KeAcquireSpinLock(&NameLock);
    Status status = LookUp(name, kind, &access, &body);
    KeReleaseSpinLock(&NameLock, old);
    if (status != StatusSuccess)
        return status;
    status = ObOpenHandle(table, body, access, handle);
    ObiReleaseHandle(body);
    return status;
}
