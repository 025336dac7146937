// posix_map.c - mmap, munmap and their kin over VirtualAlloc and MapView.
//
// A mapping is an allocation or a view of its own. A private one of a file is filled from it when
// it is made and stays as it is. A shared one is a view of the file: every process, read and write
// see what changes at once. A file that somebody has mapped cannot get shorter, which POSIX allows:
// the views of this process are taken away meanwhile and put back as far as the file still reaches;
// those of another make it fail. Pages that are unmapped from the middle of a mapping are made
// inaccessible; their memory comes back with the rest. The lock guards the list.
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CALL(name)                                                                                 \
    long long name(long long a, long long b, long long c, long long d, long long e, long long f)

constexpr size_t PageSize = 4096;

typedef struct Mapping {
    struct Mapping *Next;
    char *Base;
    size_t Size;    // whole pages
    size_t Length;  // as asked for
    size_t Hidden;  // bytes of whole pages that were unmapped from its middle
    Handle File;    // a duplicate, for views; otherwise InvalidHandle
    uint64_t Inode; // of the file
    uint64_t Offset;
    MemoryProtection Protection; // as asked for when it was made
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

static void Destroy(Mapping **link)
{
    Mapping *mapping = *link;
    *link = mapping->Next;
    if (mapping->File != InvalidHandle) {
        (void)UnmapView(mapping->Base);
        (void)SysCloseHandle(mapping->File);
    } else {
        (void)VirtualFree(mapping->Base);
    }
    free(mapping);
}

static Status Fill(const Mapping *mapping, Handle file)
{
    uint64_t read;
    Status status = SysReadFileAt(file, mapping->Offset, mapping->Base, mapping->Length, &read);
    return status == StatusEndOfFile ? StatusSuccess : status;
}

// A view of as much as the mapping says, at its base, or anywhere for nullptr. Where the file may
// be written the view may become writable later.
static Status MapFile(Mapping *mapping, Handle file)
{
    Handle section;
    void *base = mapping->Base;
    Status status = CreateSection(file, 0, MemoryReadWrite, &section);
    if (status == StatusAccessDenied && mapping->Protection != MemoryReadWrite)
        status = CreateSection(file, 0, MemoryRead, &section);
    if (status != StatusSuccess)
        return status;
    MemoryProtection first = mapping->Protection == MemoryReadWrite ? MemoryReadWrite : MemoryRead;
    status = MapView(section, mapping->Offset, mapping->Size, first, 0, &base);
    (void)SysCloseHandle(section);
    if (status != StatusSuccess)
        return status;
    mapping->Base = base;
    if (mapping->Protection != first)
        (void)VirtualProtect(base, mapping->Size, mapping->Protection);
    return StatusSuccess;
}

Status PxResizeMapped(Handle file, uint64_t inode, uint64_t size)
{
    RtAcquire(&mappingLock);
    for (Mapping *mapping = mappings; mapping; mapping = mapping->Next)
        if (mapping->File != InvalidHandle && mapping->Inode == inode)
            (void)UnmapView(mapping->Base);
    Status status = SysSetFileSize(file, size), kept;
    FileInfo info = {};
    (void)SysGetFileInfo(file, &info);
    uint64_t end = (info.Size + PageSize - 1) & ~(PageSize - 1);
    for (Mapping **link = &mappings; *link;) {
        Mapping *mapping = *link;
        kept = StatusSuccess;
        if (mapping->File != InvalidHandle && mapping->Inode == inode) {
            uint64_t left = end > mapping->Offset ? end - mapping->Offset : 0;
            mapping->Size = left < mapping->Size ? (size_t)left : mapping->Size;
            kept = mapping->Size ? MapFile(mapping, mapping->File) : StatusEndOfFile;
        }
        if (kept != StatusSuccess) {
            *link = mapping->Next;
            (void)SysCloseHandle(mapping->File);
            free(mapping);
        } else {
            link = &mapping->Next;
        }
    }
    RtRelease(&mappingLock);
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

static long long Add(const Mapping *made)
{
    Mapping *mapping = malloc(sizeof *mapping);
    if (!mapping)
        return -ENOMEM;
    *mapping = *made;
    mapping->Next = mappings;
    mappings = mapping;
    return (long long)mapping->Base;
}

// Memory of our own, zero or filled from a file.
static long long MapMemory(Mapping *wanted, Handle file, bool fixed)
{
    void *base = wanted->Base;
    Status status = VirtualAlloc(&base, wanted->Size, MemoryReadWrite);
    if (status == StatusConflict && fixed)
        return file == InvalidHandle ? Renew(wanted->Base, wanted->Size, wanted->Protection)
                                     : -EINVAL;
    if (status != StatusSuccess)
        return PxResult(status);
    wanted->Base = base;
    if (file != InvalidHandle)
        status = Fill(wanted, file);
    if (status == StatusSuccess && wanted->Protection != MemoryReadWrite)
        status = VirtualProtect(base, wanted->Size, wanted->Protection);
    long long result = status == StatusSuccess ? Add(wanted) : PxResult(status);
    if (result < 0)
        (void)VirtualFree(base);
    return result;
}

static long long MapShared(Mapping *wanted, Handle file)
{
    FileInfo info;
    Status status = SysGetFileInfo(file, &info);
    if (status != StatusSuccess)
        return PxResult(status);
    uint64_t end = (info.Size + PageSize - 1) & ~(PageSize - 1);
    if (wanted->Offset >= end || wanted->Size > end - wanted->Offset)
        return -ENXIO;
    status = SysDuplicateHandle(CurrentProcess, file, CurrentProcess, &wanted->File, 0,
                                DuplicateSameAccess);
    if (status != StatusSuccess)
        return PxResult(status);
    status = MapFile(wanted, file);
    long long result = status == StatusSuccess ? Add(wanted) : PxResult(status);
    if (result < 0) {
        if (status == StatusSuccess)
            (void)UnmapView(wanted->Base);
        (void)SysCloseHandle(wanted->File);
    }
    return status == StatusAccessDenied ? -EACCES : result;
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
    Mapping wanted = {.Base = fixed ? (char *)a : nullptr,
                      .Size = size,
                      .Length = length,
                      .Protection = GetProtection(protection)};
    Handle file = InvalidHandle;
    if (!anonymous) {
        long long result = PxGetFile(e, &file, &wanted.Inode);
        if (result)
            return result;
        wanted.Offset = (uint64_t)f;
    }
    // Code is never a view: nothing could be written to it.
    bool shared = !anonymous && kind == MAP_SHARED && !(protection & PROT_EXEC);
    RtAcquire(&mappingLock);
    long long result = shared ? MapShared(&wanted, file) : MapMemory(&wanted, file, fixed);
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
        Destroy(link);
        return 0;
    }
    size = at + size > end ? (size_t)(end - at) : size;
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
    } else if ((*link)->File != InvalidHandle && (c & MS_SYNC)) {
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
    RtAcquire(&mappingLock);
    Mapping **link = Find((char *)a);
    bool ours = link && (*link)->File == InvalidHandle;
    RtRelease(&mappingLock);
    if (!(d & MREMAP_MAYMOVE) || !ours)
        return -ENOMEM;
    long long moved =
        PxMap(0, (long long)newSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (moved > 0) {
        memcpy((void *)moved, (const void *)a, oldSize);
        (void)PxUnmap(a, (long long)oldSize, 0, 0, 0, 0);
    }
    return moved;
}
