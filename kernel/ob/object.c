// object.c - objects: a body with a reference count and a type.
//
// Every object is one heap block: an ObHeader and, behind it, the body its owner knows. The
// reference count says how many pointers to the body exist, handles included; the handle count, how
// many of them are handles. When the last reference goes, the type's Delete runs and the block is
// freed: at once when the caller may block, else from the system worker thread, to which the body
// waits on a list that needs neither a lock nor memory. Delete may drop references itself; a chain
// of objects that keep each other alive is as deep on the stack as it is long, so types keep chains
// short (thread -> process is the longest).
//
// The magic number tells a living object from a dead one and from anything else; a wrong one, or a
// count that would leave its range, is a bugcheck and never a quiet corruption.
//
// Locking: the counts are atomic; nothing else changes in an object's life.
// SPDX-License-Identifier: MIT
#include "obi.h"

static void RunDeferredDeletions(void *context);

static ObHeader *volatile DeferredList; // bodies to delete, linked by NextDeferred; atomic
static KWorkItem DeferredWork = {.Routine = RunDeferredDeletions};

ObHeader *ObiGetHeader(const void *body)
{
    ObHeader *header = (ObHeader *)body - 1;
    KE_ASSERT(header->Magic == OB_MAGIC_LIVE);
    return header;
}

Status ObCreateObject(ObType *type, size_t size, void **body)
{
    if (size > OB_MAXIMUM_BODY)
        return StatusInvalidParameter;
    ObHeader *header = MmAllocateHeap(sizeof(ObHeader) + size, type->Tag);
    if (header == nullptr)
        return StatusNoMemory;
    header->Magic = OB_MAGIC_LIVE;
    header->References = 1;
    header->Type = type;
    __atomic_add_fetch(&type->Count, 1, __ATOMIC_RELAXED);
    *body = header + 1;
    return StatusSuccess;
}

void ObReference(void *body)
{
    ObHeader *header = ObiGetHeader(body);
    uint32_t before = __atomic_fetch_add(&header->References, 1, __ATOMIC_RELAXED);
    KE_ASSERT(before != 0 && before < OB_MAXIMUM_REFERENCES);
}

// The last reference is gone. PassiveLevel.
static void Delete(ObHeader *header)
{
    ObType *type = header->Type;
    if (type->Delete != nullptr)
        type->Delete(header + 1);
    header->Magic = OB_MAGIC_DEAD;
    __atomic_sub_fetch(&type->Count, 1, __ATOMIC_RELAXED);
    MmFreeHeap(header);
}

static void RunDeferredDeletions(void *context)
{
    ObHeader *list = __atomic_exchange_n(&DeferredList, nullptr, __ATOMIC_ACQUIRE);
    while (list != nullptr) {
        ObHeader *next = list->NextDeferred;
        Delete(list);
        list = next;
    }
}

static void DeferDeletion(ObHeader *header)
{
    ObHeader *first = __atomic_load_n(&DeferredList, __ATOMIC_RELAXED);
    do {
        header->NextDeferred = first;
    } while (!__atomic_compare_exchange_n(&DeferredList, &first, header, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    KeQueueWorkItem(&DeferredWork); // already queued is as good
}

void ObDereference(void *body)
{
    ObHeader *header = ObiGetHeader(body);
    uint32_t before = __atomic_fetch_sub(&header->References, 1, __ATOMIC_ACQ_REL);
    KE_ASSERT(before != 0);
    if (before != 1)
        return;
    if (KeGetCurrentIrql() == PassiveLevel)
        Delete(header);
    else
        DeferDeletion(header);
}

ObType *ObGetType(const void *body)
{
    return ObiGetHeader(body)->Type;
}

void *ObGetDispatcher(void *body)
{
    const ObType *type = ObiGetHeader(body)->Type;
    if (type->DispatcherOffset != OB_NOT_WAITABLE)
        return (char *)body + type->DispatcherOffset;
    return type->FindDispatcher != nullptr ? type->FindDispatcher(body) : nullptr;
}
