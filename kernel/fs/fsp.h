// fsp.h - private to fs. fs.c has the theory.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs.h"

// FatFs takes this compiler for Microsoft's otherwise and asks for windows.h.
#pragma push_macro("_WIN32")
#undef _WIN32
#include "ff.h"
#pragma pop_macro("_WIN32")

#define FSP_TAG MM_TAG('F', 's', 'F', 'i')

// Clusters of a file that lie in a row on the disk.
typedef struct FspExtent {
    uint32_t FileCluster; // index within the file
    uint32_t DiskCluster;
    uint32_t Count;
} FspExtent;

// A file of the volume that is open, or was a moment ago: one, however many FsFiles there are.
// N the node's Lock; V the volume lock. Size and the extents change under both N and V, or under V
// alone while OpenCount is 0.
typedef struct FspNode {
    ListEntry PathLink;     // V; hash chain by path; self-linked when the path is no longer known
    ListEntry IdentityLink; // V; hash chain by identity
    ListEntry LruLink;      // V; nodes with OpenCount 0
    ListEntry ModifiedLink; // V; self-linked when the directory entry is up to date
    uint64_t PathHash;      // V
    char *Path;             // V
    uint64_t Identity;      // the directory entry's place: sector * entries per sector + entry
    uint32_t OpenCount;     // V
    FIL File;               // V; its position is always at the end of the mapped clusters
    volatile uint32_t Lock; // 0 free, 1 held, 2 held and somebody waits
    uint64_t Size;          // N, V
    FspExtent *Extents;     // N, V; sorted by FileCluster
    uint32_t ExtentCount, ExtentCapacity, MappedClusters;
    uint32_t LastExtent;          // N; where the last look-up ended
    volatile bool Touched;        // data written since the last sync; set under N, cleared under V
    bool ReadOnly;                // attribute
    bool Written;                 // V; ever, while the node lived
    uint64_t ModifyTime;          // Unix nanoseconds
    uint64_t Seed;                // of the stamp
    volatile uint64_t WriteCount; // atomic
    volatile uint32_t Mappings;   // atomic, raised under N: while there are any the size stays
    ListEntry Locks;              // N; lock.c
    uint32_t LockCount;           // N
    uint64_t LockChanges;         // N; counts locks that went or became weaker
} FspNode;

typedef enum FspKind : uint8_t { FspDisk, FspDirectory, FspPipe, FspConsole, FspTerminal } FspKind;
typedef struct FspPipeState FspPipeState;
typedef struct FspConsoleState FspConsoleState;

struct FsFile {
    FspKind Kind;
    uint32_t Access; // FileRead, FileWrite, FileAppend
    union {
        struct {
            FspNode *Node;
            uint64_t Position;   // N
            uint64_t NextOffset; // N; where a sequential reader would go on
            uint64_t AheadEnd;   // N; read-ahead was started up to here
            bool HasLocks;       // N; ever
        } Disk;
        struct {
            ListEntry Link; // V; of the open directories
            DIR Dir;        // V
        } Directory;
        struct {
            FspPipeState *State;
            bool WriteEnd;
            volatile bool Closed;
        } Pipe;
        FspConsoleState *Console; // FspConsole, FspTerminal: an end of it
    };
};

// ---- fs.c
bool FspIsConsole(const char *path);

// ---- volume.c
typedef struct FspVolume {
    KMutex Lock; // V: FatFs and everything marked V
    IoVolume Volume;
    FATFS Fat; // V
    bool Mounted;
    bool ReadOnly;             // V
    bool FoundDirty;           // was not shut down cleanly before this mount
    bool MarkedDirty;          // V; the mark on the disk
    bool FlushArmed;           // V
    volatile uint64_t Changes; // counts what may have changed the volume
    volatile uint32_t Writers; // threads that are changing file contents now
    uint64_t Generation;       // V; part of new nodes' stamps
    uint32_t ClusterBytes, ClusterShift;
    uint64_t DataOffset;       // bytes from the start of the volume to cluster 2
    ListEntry OpenDirectories; // V
    FILINFO Info;              // V; scratch, too large for stacks
    char Path[MaximumPath];    // V; scratch
    KTimer FlushTimer;
    KDpc FlushDpc;
    KEvent FlushDue; // auto-reset
} FspVolume;
extern FspVolume FspTheVolume;

Status FspFromResult(FRESULT result);
static inline void FspLock(void)
{
    KeAcquireMutex(&FspTheVolume.Lock);
}
static inline void FspUnlock(void)
{
    KeReleaseMutex(&FspTheVolume.Lock);
}
// First thing before the volume is changed: marks it dirty on disk and sees to a flush soon. V.
Status FspBeginChange(void);
// What the flush thread does each time FlushDue is set.
void FspFlushInBackground(void);
// FAT's date and time (date << 16 | time, UTC) and Unix nanoseconds.
uint64_t FspFromFatTime(uint32_t fatTime);
uint32_t FspToFatTime(uint64_t unixNanoseconds);
// The time get_fattime reports while set (0: now). V.
extern uint64_t FspTimeForFat;

// ---- path.c
// The last part of an absolute path.
const char *FspLastPart(const char *path);
uint64_t FspHashPath(const char *path);           // case-insensitive
bool FspPathsEqual(const char *a, const char *b); // case-insensitive

// ---- node.c; all under V
void FspInitializeNodes(void);
// The node of a file, looked up or made; StatusNotFound, StatusPathNotFound, StatusIsADirectory.
Status FspFindNode(const char *path, FspNode **node);
// Makes an empty file and its node.
Status FspCreateNode(const char *path, FspNode **node);
void FspReferenceNode(FspNode *node);
void FspDereferenceNode(FspNode *node); // syncs at the last one
void FspDropNode(FspNode *node);        // OpenCount is 0; forgets it without syncing
void FspTrimClosed(uint32_t limit);     // keeps at most `limit` closed nodes
void FspForgetPaths(void);              // of all nodes: a directory is about to be renamed
Status FspSyncNode(FspNode *node);
Status FspSyncAll(void);
void FspMarkModified(FspNode *node);
void FspQueryNode(const FspNode *node, FileInfo *info);
// The node's lock, N: a mutex whose quick path is one instruction. PassiveLevel.
void FspWaitForNode(FspNode *node);
void FspWakeNode(FspNode *node);
static inline void FspLockNode(FspNode *node)
{
    uint32_t free = 0;
    if (!__atomic_compare_exchange_n(&node->Lock, &free, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        FspWaitForNode(node);
}
static inline void FspUnlockNode(FspNode *node)
{
    if (__atomic_exchange_n(&node->Lock, 0, __ATOMIC_RELEASE) == 2)
        FspWakeNode(node);
}
// Cluster map. Map makes sure `clusters` clusters are mapped; Grow allocates so that the file has
// `size` bytes, or as many as there is room for (*reached); Cut shortens.
Status FspMap(FspNode *node, uint64_t clusters);
Status FspGrow(FspNode *node, uint64_t size, uint64_t *reached);
Status FspCut(FspNode *node, uint64_t size);
// The extent that holds a cluster of the file that is mapped. N.
const FspExtent *FspFindExtent(FspNode *node, uint32_t cluster);

// ---- data.c
// A caller's buffer.
typedef struct FspBuffer {
    uint8_t *At;
    size_t Size;
    IoMemory Memory;
} FspBuffer;
Status FspReadDisk(FsFile *file, const uint64_t *offset, const FspBuffer *buffer,
                   size_t *transferred);
Status FspWriteDisk(FsFile *file, const uint64_t *offset, const FspBuffer *buffer,
                    size_t *transferred);
Status FspResize(FspNode *node, uint64_t size);
// Makes sure the clusters of the first `end` bytes are mapped. N.
Status FspMapRange(FspNode *node, uint64_t end);
// Before the content changes, paired with FspEndWrite on success; the flush does not take the
// volume for quiet between the two. N held, or a page of the file about to be written through a
// view.
Status FspBeginWrite(FspNode *node);
void FspEndWrite(FspNode *node);

Status FspSetTime(FspNode *node, uint64_t modifyTime);

// ---- lock.c
void FspReleaseLocks(FsFile *file); // those taken through it

// ---- pipe.c
Status FspReadPipe(FsFile *file, void *buffer, size_t size, size_t *transferred);
Status FspWritePipe(FsFile *file, const void *buffer, size_t size, size_t *transferred);
void FspClosePipeEnd(FsFile *file);
KDispatcherHeader *FspGetPipeDispatcher(FsFile *file); // signalled while the end is ready
void FspDeletePipeEnd(FsFile *file);

// ---- console.c
Status FspInitializeConsole(const LoaderParams *loader);
void FspOpenMachineConsole(FsFile *file);
Status FspReadConsole(FsFile *file, void *buffer, size_t size, size_t *transferred);
Status FspWriteConsole(FsFile *file, const void *buffer, size_t size, size_t *transferred);
KDispatcherHeader *
FspGetConsoleDispatcher(FsFile *file); // signalled while there is something to read
void FspCloseConsoleEnd(FsFile *file);
void FspDeleteConsoleEnd(FsFile *file);
