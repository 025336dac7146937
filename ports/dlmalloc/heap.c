// heap.c - malloc and its kin: dlmalloc 2.8.6, unmodified, over VirtualAlloc, with locks that
// sleep.
//
// dlmalloc asks for memory in pieces of Granularity and maps requests of 256 KiB and more on their
// own. It may join neighbouring pieces into one segment and later give a whole segment back, so
// releasing memory frees every allocation inside the range; a range that cuts an allocation is
// refused, which dlmalloc takes as "keep it". Demand-zero pages make untouched memory nearly free.
// SPDX-License-Identifier: MIT
#include "rt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

constexpr size_t HeapPage = 4096;

static size_t HeapRelease(void);

// Before there is no memory, segments that hold nothing any more are given back.
static void *HeapMap(size_t size)
{
    uint64_t base = 0;
    do {
        if (SysVirtualAlloc(&base, size, MemoryReadWrite) == StatusSuccess)
            return (void *)base;
    } while (HeapRelease() != 0);
    return (void *)-1;
}

static int HeapUnmap(void *start, size_t size)
{
    uint64_t end = (uintptr_t)start + size;
    MemoryInfo info;
    for (uint64_t at = (uintptr_t)start; at < end; at = info.Base + info.Size)
        if (SysVirtualQuery(at, &info) != StatusSuccess || info.Kind != 1 || info.Base != at ||
            info.Base + info.Size > end)
            return -1;
    for (uint64_t at = (uintptr_t)start; at < end;) {
        if (SysVirtualQuery(at, &info) != StatusSuccess || SysVirtualFree(at) != StatusSuccess)
            return -1;
        at += info.Size;
    }
    return 0;
}

static void HeapAbort(void)
{
    RtFatal(134, "the heap is damaged (a buffer overrun or a double free)");
}

#define ABORT HeapAbort()
#define LACKS_UNISTD_H
#define LACKS_SYS_MMAN_H
#define LACKS_SYS_PARAM_H
#define LACKS_FCNTL_H
#define LACKS_SCHED_H
#define LACKS_TIME_H
#define LACKS_STDLIB_H
#define LACKS_STRING_H
#define LACKS_STRINGS_H
#define LACKS_ERRNO_H
#define LACKS_SYS_TYPES_H
#define NO_MALLINFO         1
#define NO_MALLOC_STATS     1
#define HAVE_MORECORE       0
#define HAVE_MMAP           1
#define HAVE_MREMAP         0
#define MMAP_CLEARS         1
#define MMAP(size)          HeapMap(size)
#define DIRECT_MMAP(size)   HeapMap(size)
#define MUNMAP(start, size) HeapUnmap(start, size)
#define malloc_getpagesize  HeapPage
#define MALLOC_ALIGNMENT    ((size_t)16)
#define DEFAULT_GRANULARITY ((size_t)256 * 1024)
#define USE_LOCKS           2
#define MLOCK_T             RtLock
#define INITIAL_LOCK(lock)  ((lock)->State = 0)
#define DESTROY_LOCK(lock)  (0)
#define ACQUIRE_LOCK(lock)  (RtAcquire(lock), 0)
#define RELEASE_LOCK(lock)  RtRelease(lock)
#define TRY_LOCK(lock)      RtTryAcquire(lock)
static RtLock malloc_global_mutex;

// One of its macros takes `long` to be as wide as a pointer.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#define long long long
#include "malloc.c"
#undef long
#pragma clang diagnostic pop

// Called where the allocator asks for memory: its lock is held and it is between two steps.
static size_t HeapRelease(void)
{
    return release_unused_segments(gm);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    if (!alignment || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return nullptr;
    }
    return memalign(alignment, size);
}

// musl's own allocations.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

void *__libc_malloc(size_t size)
{
    return malloc(size);
}
void *__libc_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}
void *__libc_realloc(void *block, size_t size)
{
    return realloc(block, size);
}
void __libc_free(void *block)
{
    free(block);
}
