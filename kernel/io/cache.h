// cache.h - private to the block cache's files. cache.c has the theory and the legend of the locks.
// SPDX-License-Identifier: MIT
#pragma once

#include "iop.h"

#define CACHE_TAG         MM_TAG('I', 'o', 'C', 'a')
#define CACHE_BATCH_PAGES 256u // of one write-back round

typedef enum IopBufferState : uint8_t { BufferLoading, BufferValid, BufferFailed } IopBufferState;

typedef struct IopBuffer {
    struct IopBuffer *HashNext; // C
    ListEntry Lru;              // C; on the free list: its link
    ListEntry DirtyLink;        // C
    IoBlockDevice *Device;
    uint64_t Page;
    uint8_t *Data;
    volatile uint32_t Pins;        // raised under C; lowered anywhere
    volatile IopBufferState State; // C for changes
    volatile bool Orphan;          // C; out of the table, freed by the last pin
    bool Dirty;                    // C
    bool Referenced;               // second chance; races only cost precision
} IopBuffer;

typedef struct IopCacheState {
    KSpinLock Lock;
    IopBuffer **Table; // C
    uint32_t TableMask;
    ListEntry Lru;       // C; most recent first
    ListEntry Free;      // C; buffers with a frame but without content
    ListEntry Dirty;     // C; oldest first
    ListEntry Pools;     // C; pages of buffers (buffers.c) that have room for one
    uint32_t Pages;      // C; frames held
    uint32_t PoolPages;  // C; frames the buffers themselves lie in
    uint32_t DirtyPages; // C
    uint32_t Limit, DirtyLimit;
} IopCacheState;
extern IopCacheState IopCache;

// ---- buffers.c; the first four with the cache lock held
IopBuffer *IopFindBuffer(const IoBlockDevice *device, uint64_t page);
// Enters a buffer of the caller's as Loading, with one pin.
void IopInsertBuffer(IopBuffer *buffer, IoBlockDevice *device, uint64_t page);
void IopMarkDirtyLocked(IopBuffer *buffer);
void IopMarkCleanLocked(IopBuffer *buffer);
IopBuffer *IopFindPinned(const IoBlockDevice *device, uint64_t page);
void IopUnpin(IopBuffer *buffer);
// Ends the Loading state and wakes who waits for that; the caller keeps its pin.
void IopFinishLoading(IopBuffer *buffer, bool good);
Status IopWaitUntilLoaded(IopBuffer *buffer); // StatusIoError: the read failed
// A buffer without content, belonging to the caller alone; nullptr: all are dirty or pinned.
IopBuffer *IopTakeBuffer(void);
void IopReturnBuffer(IopBuffer *buffer);
// Bytes of the page that the disk really has (its size need not be a multiple of the page size).
size_t IopPageBytes(const IoBlockDevice *device, uint64_t page);

// ---- cache.c: what memory management calls for a buffer that is mapped in user space, and pinned
void IopMarkOwnerDirty(void *buffer);
void IopUnpinOwner(void *buffer);

// ---- writeback.c
void IopInitializeWriteBack(void);
// Writes at most `pages` dirty pages of the device, and not more than there were at the start.
Status IopWriteBack(IoBlockDevice *device, uint32_t pages);
