// lock.c - byte ranges of files that processes lock against each other.
//
// Locks are advisory: reading and writing do not look at them. A lock belongs to the process that
// took it and is remembered with the FsFile it was taken through: it goes when it is unlocked, or
// with that FsFile, which the end of the process brings about too. Locks of one process never
// stand in each other's way; a new one replaces what it covers of the process's older ones, so that
// at most one lock of a process lies on a byte. A process that waits sleeps until any lock of the
// file goes, and looks again: whoever comes first, gets it. Nobody looks for deadlocks across
// files; time-outs end them.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define LOCKS_PER_FILE 4096u // keeps a program from filling the kernel's heap

typedef struct FspRange {
    ListEntry Link;     // N
    const FsFile *File; // taken through this one
    uint32_t Owner;     // process identifier
    uint64_t First, Last;
    FileLockMode Mode; // shared or exclusive
} FspRange;

static bool Overlap(const FspRange *range, uint64_t first, uint64_t last)
{
    return range->First <= last && first <= range->Last;
}

// A lock of another process that forbids this one. N.
static const FspRange *FindConflict(const FspNode *node, const FspRange *wanted)
{
    RTL_FOR_EACH (entry, &node->Locks) {
        const FspRange *range = RTL_CONTAINER_OF(entry, FspRange, Link);
        bool forbids = wanted->Mode == FileLockExclusive || range->Mode == FileLockExclusive;
        if (forbids && range->Owner != wanted->Owner && Overlap(range, wanted->First, wanted->Last))
            return range;
    }
    return nullptr;
}

static void Insert(FspNode *node, FspRange *range)
{
    RtlInsertTail(&node->Locks, &range->Link);
    node->LockCount++;
}

static void Remove(FspNode *node, FspRange *range)
{
    RtlRemoveEntry(&range->Link);
    node->LockCount--;
    MmFreeHeap(range);
}

static void WakeWaiters(FspNode *node)
{
    __atomic_add_fetch(&node->LockChanges, 1, __ATOMIC_SEQ_CST);
    KeWakeKey((uintptr_t)&FsFileType, (uintptr_t)node, UINT32_MAX);
}

// Takes the process's own locks off the wanted bytes. One that reaches beyond at both ends is
// split: its end becomes *spare, which is null then. N.
static void Clear(FspNode *node, const FspRange *wanted, FspRange **spare)
{
    for (ListEntry *entry = node->Locks.Next, *next; entry != &node->Locks; entry = next) {
        FspRange *range = RTL_CONTAINER_OF(entry, FspRange, Link);
        next = entry->Next;
        if (range->Owner != wanted->Owner || !Overlap(range, wanted->First, wanted->Last))
            continue;
        bool before = range->First<wanted->First, after = range->Last> wanted->Last;
        if (before && after) {
            FspRange *rest = *spare;
            *spare = nullptr;
            *rest = *range;
            rest->First = wanted->Last + 1;
            range->Last = wanted->First - 1;
            Insert(node, rest);
        } else if (before) {
            range->Last = wanted->First - 1;
        } else if (after) {
            range->First = wanted->Last + 1;
        } else {
            Remove(node, range);
        }
    }
}

// Carries out what no other process forbids. N.
static Status Apply(FsFile *file, const FspRange *wanted)
{
    FspNode *node = file->Disk.Node;
    bool unlock = wanted->Mode == FileLockNone;
    if (!unlock && node->LockCount >= LOCKS_PER_FILE)
        return StatusLimitReached;
    FspRange *fresh = MmAllocateHeap(sizeof(FspRange), FSP_TAG);
    FspRange *spare = MmAllocateHeap(sizeof(FspRange), FSP_TAG);
    Status status = fresh && spare ? StatusSuccess : StatusNoMemory;
    if (status == StatusSuccess) {
        Clear(node, wanted, &spare);
        if (!unlock) {
            *fresh = *wanted;
            Insert(node, fresh);
            fresh = nullptr;
            file->Disk.HasLocks = true;
        }
        WakeWaiters(node);
    }
    MmFreeHeap(fresh);
    MmFreeHeap(spare);
    return status;
}

typedef struct Waiter {
    const FspNode *Node;
    uint64_t Seen; // LockChanges when it had to wait
} Waiter;

static bool IsUnchanged(void *context)
{
    const Waiter *waiter = context;
    return __atomic_load_n(&waiter->Node->LockChanges, __ATOMIC_SEQ_CST) == waiter->Seen;
}

static Status MakeRange(FsFile *file, uint32_t owner, uint64_t offset, uint64_t length,
                        FileLockMode mode, FspRange *range)
{
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    uint64_t last = length == 0 ? UINT64_MAX : offset + length - 1;
    if (last < offset || mode > FileLockExclusive)
        return StatusInvalidParameter;
    *range = (FspRange){.File = file, .Owner = owner, .First = offset, .Last = last, .Mode = mode};
    return StatusSuccess;
}

Status FsLockRange(FsFile *file, uint32_t owner, uint64_t offset, uint64_t length,
                   FileLockMode mode, uint64_t timeout)
{
    FspRange wanted;
    Status status = MakeRange(file, owner, offset, length, mode, &wanted);
    if (status != StatusSuccess)
        return status;
    FspNode *node = file->Disk.Node;
    uint64_t start = KeQueryTime();
    for (;;) {
        FspLockNode(node);
        bool free = mode == FileLockNone || !FindConflict(node, &wanted);
        Waiter waiter = {node, node->LockChanges};
        if (free)
            status = Apply(file, &wanted);
        FspUnlockNode(node);
        if (free)
            return status;
        uint64_t passed = KeQueryTime() - start;
        if (passed >= timeout)
            return timeout ? StatusTimeout : StatusWouldBlock;
        status = KeWaitOnKey((uintptr_t)&FsFileType, (uintptr_t)node, IsUnchanged, &waiter,
                             UserWait, timeout == KE_INFINITE ? KE_INFINITE : timeout - passed);
        if (status == StatusTerminating)
            return status;
    }
}

Status FsQueryLock(FsFile *file, uint32_t owner, uint64_t offset, uint64_t length,
                   FileLockMode mode, FileLock *conflict)
{
    FspRange wanted;
    Status status = MakeRange(file, owner, offset, length, mode, &wanted);
    if (status != StatusSuccess)
        return status;
    *conflict = (FileLock){.Mode = FileLockNone};
    FspLockNode(file->Disk.Node);
    const FspRange *range = FindConflict(file->Disk.Node, &wanted);
    if (range)
        *conflict = (FileLock){
            .Offset = range->First,
            .Length = range->Last == UINT64_MAX ? 0 : range->Last - range->First + 1,
            .ProcessId = range->Owner,
            .Mode = range->Mode,
        };
    FspUnlockNode(file->Disk.Node);
    return StatusSuccess;
}

void FspReleaseLocks(FsFile *file)
{
    if (!file->Disk.HasLocks)
        return;
    FspNode *node = file->Disk.Node;
    FspLockNode(node);
    for (ListEntry *entry = node->Locks.Next, *next; entry != &node->Locks; entry = next) {
        FspRange *range = RTL_CONTAINER_OF(entry, FspRange, Link);
        next = entry->Next;
        if (range->File == file)
            Remove(node, range);
    }
    WakeWaiters(node);
    FspUnlockNode(node);
}
