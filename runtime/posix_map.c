// posix_map.c - mmap, munmap and their kin over VirtualAlloc.
//
// A mapping is an allocation of its own. One of a file is filled from it when it is made: a private
// one stays as it is; a shared one that may be written is written back by msync, munmap and the end
// of the process, and by nothing else, so that read and write see it only then. Only one process at
// a time can have such mappings of a file: each holds the lock of a range beyond any file's end,
// and mmap fails with EAGAIN in another. Within the process, mapping the same part again gives the
// same memory. Pages that are unmapped from the middle of a mapping are made inaccessible; their
// memory comes back with the rest. The lock guards the list.
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CALL(name)                                                                                 \
    long long name(long long a, long long b, long long c, long long d, long long e, long long f)

constexpr size_t PageSize = 4096;
constexpr uint64_t ClaimOffset = 1ull << 62; // of the byte that shared mappings lock

typedef struct Mapping {
    struct Mapping *Next;
    char *Base;
    size_t Size;   // whole pages
    size_t Length; // as asked for
    size_t Hidden; // bytes of whole pages that were unmapped from its middle
    unsigned Users;
    Handle File;    // a duplicate, for shared writable mappings; otherwise InvalidHandle
    uint64_t Inode; // of the file
    uint64_t Offset;
} Mapping;

static RtLock mappingLock;
static Mapping *mappings;

static Mapping **Find(const char *address)
{
    for (Mapping **link = &mappings; *link; link = &(*link)->Next)
        if (address >= (*link)->Base && address < (*link)->Base + (*link)->Size)
            return link;
    return nullptr;
}

static MemoryProtection GetProtection(int protection)
{
    if (protection & PROT_EXEC)
        return MemoryReadExecute;
    return protection & PROT_WRITE  ? MemoryReadWrite
           : protection & PROT_READ ? MemoryRead
                                    : MemoryNoAccess;
}

// Part of a shared mapping goes to its file, never past its end, which another may have moved.
static Status WriteBack(const Mapping *mapping, size_t from, size_t to)
{
    FileInfo info;
    Status status = SysGetFileInfo(mapping->File, &info);
    if (status != StatusSuccess)
        return status;
    uint64_t end = info.Size > mapping->Offset ? info.Size - mapping->Offset : 0;
    to = to < end ? to : (size_t)end;
    if (from >= to)
        return StatusSuccess;
    uint64_t written;
    return SysWriteFileAt(mapping->File, mapping->Offset + from, mapping->Base + from, to - from,
                          &written);
}

static void Destroy(Mapping **link)
{
    Mapping *mapping = *link;
    *link = mapping->Next;
    if (mapping->File != InvalidHandle) {
        (void)WriteBack(mapping, 0, mapping->Size);
        (void)SysCloseHandle(mapping->File);
    }
    (void)VirtualFree(mapping->Base);
    free(mapping);
}

void PxWriteBackMappings(void)
{
    RtAcquire(&mappingLock);
    for (Mapping *mapping = mappings; mapping; mapping = mapping->Next)
        if (mapping->File != InvalidHandle)
            (void)WriteBack(mapping, 0, mapping->Size);
    RtRelease(&mappingLock);
}

static Status Fill(const Mapping *mapping, Handle file)
{
    uint64_t read;
    Status status = SysReadFileAt(file, mapping->Offset, mapping->Base, mapping->Length, &read);
    return status == StatusEndOfFile ? StatusSuccess : status;
}

static Status Claim(Mapping *mapping, Handle file)
{
    Status status = SysLockFile(file, ClaimOffset, 1, FileLockExclusive, 0);
    if (status == StatusSuccess)
        status = SysDuplicateHandle(CurrentProcess, file, CurrentProcess, &mapping->File, 0,
                                    DuplicateSameAccess);
    return status;
}

// MAP_FIXED over a mapping of ours without a file: the pages are as new. Anything else is refused.
static long long Renew(char *at, size_t size, MemoryProtection protection)
{
    Mapping **link = Find(at);
    if (!link || at + size > (*link)->Base + (*link)->Size || (*link)->File != InvalidHandle)
        return -EINVAL;
    Status status = VirtualProtect(at, size, MemoryReadWrite);
    if (status != StatusSuccess)
        return PxResult(status);
    memset(at, 0, size);
    status = VirtualProtect(at, size, protection);
    return status == StatusSuccess ? (long long)at : PxResult(status);
}

static Mapping *FindSame(uint64_t inode, uint64_t offset, size_t length)
{
    for (Mapping *mapping = mappings; mapping; mapping = mapping->Next)
        if (mapping->File != InvalidHandle && mapping->Inode == inode &&
            mapping->Offset == offset && mapping->Length == length)
            return mapping;
    return nullptr;
}

static long long Create(const Mapping *wanted, Handle file, bool shared, int protection, bool fixed)
{
    Mapping *mapping = malloc(sizeof *mapping);
    if (!mapping)
        return -ENOMEM;
    *mapping = *wanted;
    void *base = fixed ? wanted->Base : nullptr;
    Status status = VirtualAlloc(&base, mapping->Size, MemoryReadWrite);
    if (status == StatusConflict && fixed) {
        free(mapping);
        return file == InvalidHandle ? Renew(wanted->Base, wanted->Size, GetProtection(protection))
                                     : -EINVAL;
    }
    mapping->Base = base;
    bool allocated = status == StatusSuccess;
    if (allocated && shared)
        status = Claim(mapping, file);
    if (status == StatusSuccess && file != InvalidHandle)
        status = Fill(mapping, file);
    if (status == StatusSuccess && GetProtection(protection) != MemoryReadWrite)
        status = VirtualProtect(base, mapping->Size, GetProtection(protection));
    if (status == StatusSuccess) {
        mapping->Next = mappings;
        mappings = mapping;
        return (long long)base;
    }
    if (mapping->File != InvalidHandle)
        (void)SysCloseHandle(mapping->File);
    if (allocated)
        (void)VirtualFree(base);
    free(mapping);
    return PxResult(status);
}

// address, length, protection, flags, descriptor, offset
CALL(PxMap)
{
    int protection = (int)c, flags = (int)d;
    size_t length = (size_t)b, size = (length + PageSize - 1) & ~(PageSize - 1);
    int kind = flags & MAP_TYPE;
    bool fixed = flags & MAP_FIXED, anonymous = flags & MAP_ANON;
    if (length == 0 || size < length || (f & (long long)(PageSize - 1)) || f < 0 ||
        (fixed && (a & (long long)(PageSize - 1))) || (kind != MAP_PRIVATE && kind != MAP_SHARED))
        return -EINVAL;
    if ((protection & PROT_EXEC) && (protection & PROT_WRITE))
        return -EACCES; // nothing is both
    Mapping wanted = {.Base = (char *)a, .Size = size, .Length = length, .Users = 1};
    Handle file = InvalidHandle;
    bool shared = false;
    if (!anonymous) {
        long long result = PxGetFile(e, &file, &wanted.Inode);
        if (result)
            return result;
        wanted.Offset = (uint64_t)f;
        shared = kind == MAP_SHARED && (protection & PROT_WRITE);
    }
    RtAcquire(&mappingLock);
    Mapping *same = shared && !fixed ? FindSame(wanted.Inode, wanted.Offset, length) : nullptr;
    long long result;
    if (same) {
        same->Users++;
        result = (long long)same->Base;
    } else {
        result = Create(&wanted, file, shared, protection, fixed);
    }
    RtRelease(&mappingLock);
    return result;
}

static long long UnmapLocked(char *at, size_t size)
{
    Mapping **link = Find(at);
    if (!link)
        return 0; // unmapping nothing is no error
    Mapping *mapping = *link;
    char *end = mapping->Base + mapping->Size;
    if (at == mapping->Base && at + size >= end) {
        if (--mapping->Users == 0)
            Destroy(link);
        return 0;
    }
    size = at + size > end ? (size_t)(end - at) : size;
    if (mapping->File != InvalidHandle)
        (void)WriteBack(mapping, (size_t)(at - mapping->Base), (size_t)(at - mapping->Base) + size);
    Status status = VirtualProtect(at, size, MemoryNoAccess);
    if (status != StatusSuccess)
        return PxResult(status);
    mapping->Hidden += size;
    if (mapping->Hidden >= mapping->Size)
        Destroy(link);
    return 0;
}

// address, length
CALL(PxUnmap)
{
    size_t size = ((size_t)b + PageSize - 1) & ~(PageSize - 1);
    if (b <= 0 || (a & (long long)(PageSize - 1)))
        return -EINVAL;
    RtAcquire(&mappingLock);
    long long result = UnmapLocked((char *)a, size);
    RtRelease(&mappingLock);
    return result;
}

// address, length, protection
CALL(PxProtect)
{
    if ((c & PROT_EXEC) && (c & PROT_WRITE))
        return -EACCES;
    Status status = VirtualProtect((void *)a, (size_t)b, GetProtection((int)c));
    return status == StatusInvalidAddress ? -ENOMEM : PxResult(status);
}

// address, length, flags
CALL(PxSynchronize)
{
    long long result = 0;
    RtAcquire(&mappingLock);
    Mapping **link = Find((char *)a);
    if (!link) {
        result = -ENOMEM;
    } else if ((*link)->File != InvalidHandle) {
        size_t from = (size_t)((char *)a - (*link)->Base);
        result = PxResult(WriteBack(*link, from, from + (size_t)b));
        if (result == 0 && (c & MS_SYNC))
            result = PxResult(SysFlushFile((*link)->File));
    }
    RtRelease(&mappingLock);
    return result;
}

// address, old length, new length, flags: of anonymous mappings; moved when it grows.
CALL(PxRemap)
{
    size_t oldSize = ((size_t)b + PageSize - 1) & ~(PageSize - 1);
    size_t newSize = ((size_t)c + PageSize - 1) & ~(PageSize - 1);
    if ((a & (long long)(PageSize - 1)) || newSize == 0 || (d & ~MREMAP_MAYMOVE))
        return -EINVAL;
    if (newSize < oldSize)
        return PxUnmap(a + (long long)newSize, (long long)(oldSize - newSize), 0, 0, 0, 0) ?: a;
    if (newSize == oldSize)
        return a;
    if (!(d & MREMAP_MAYMOVE))
        return -ENOMEM;
    long long moved =
        PxMap(0, (long long)newSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (moved > 0) {
        memcpy((void *)moved, (const void *)a, oldSize);
        (void)PxUnmap(a, (long long)oldSize, 0, 0, 0, 0);
    }
    return moved;
}
