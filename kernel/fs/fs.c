// fs.c - files by path: the theory, opening, and the dispatch by kind.
//
// Layers. A FsFile is what a handle names: a kind, access rights, a position. Files of the volume
// share a FspNode per file (node.c), which holds the size and the map from file clusters to disk
// clusters. File contents move between the caller's buffer and the block cache through that map
// (data.c); directory entries and the FAT are FatFs's (R0.14a, unmodified, compiled "tiny" so that
// it never touches file data), which reads and writes sectors through the same cache (fatdisk.c).
// volume.c mounts, marks the volume dirty and clean, and flushes; directory.c does what is done to
// paths; mapping.c makes sections of files; pipe.c and console.c are the files that are not on a
// disk.
//
// Locks, in this order: the node's lock (N: content and size of one file), the volume's mutex (V:
// FatFs, the file table, names), the cache's own. Reading and overwriting take only N; V is held
// for directory work, allocation, and to learn where a file's clusters are.
//
// Sharing. A file may be open any number of times, for reading and writing; each handle has its
// position, all see one content. It cannot be deleted, renamed, replaced or cut by FileCreateAlways
// while it is open: StatusSharingViolation.
//
// Damaged volumes. FatFs checks each cluster number it follows; node.c bounds each chain by the
// volume's size, never lets reading allocate, and refuses files larger than the volume. Errors are
// StatusCorrupt or StatusIoError; nothing loops.
// SPDX-License-Identifier: MIT
#include "fsp.h"

static void FreeFile(void *body);
static KDispatcherHeader *FindDispatcher(void *body);
static void HandleClosed(void *body, uint32_t openHandles);

ObType FsFileType = {
    .Name = "file",
    .Kind = ObjectFile,
    .Tag = FSP_TAG,
    .DispatcherOffset = OB_NOT_WAITABLE,
    .FindDispatcher = FindDispatcher,
    .Delete = FreeFile,
    .CloseHandle = HandleClosed,
};

bool FspIsConsole(const char *path)
{
    return FspPathsEqual(path, "/device/console");
}

static void FreeFile(void *body)
{
    FsFile *file = body;
    switch (file->Kind) {
    case FspDisk:
        if (file->Disk.Node) {
            FspReleaseLocks(file);
            FspLock();
            FspDereferenceNode(file->Disk.Node);
            FspUnlock();
        }
        break;
    case FspDirectory:
        FspLock();
        RtlRemoveEntry(&file->Directory.Link);
        FspUnlock();
        break;
    case FspPipe:
        FspDeletePipeEnd(file);
        break;
    case FspConsole:
    case FspTerminal:
        FspDeleteConsoleEnd(file);
        break;
    }
}

static KDispatcherHeader *FindDispatcher(void *body)
{
    FsFile *file = body;
    switch (file->Kind) {
    case FspPipe:
        return FspGetPipeDispatcher(file);
    case FspConsole:
    case FspTerminal:
        return FspGetConsoleDispatcher(file);
    default:
        return nullptr;
    }
}

// The last handle to an end is gone: the other end learns it even if a thread still waits in this
// one.
static void HandleClosed(void *body, uint32_t openHandles)
{
    FsFile *file = body;
    if (file->Kind == FspPipe && openHandles == 0)
        FspClosePipeEnd(file);
    if ((file->Kind == FspConsole || file->Kind == FspTerminal) && openHandles == 0)
        FspCloseConsoleEnd(file);
}

// ---- opening

static Status FindOrCreate(const char *path, uint32_t access, FileDisposition disposition,
                           FspNode **node)
{
    // A new file is made without looking for it first; what stands in the way is found out
    // afterwards.
    Status status = StatusNotFound;
    if (disposition == FileCreateNew && path[1] && !FspTheVolume.ReadOnly)
        status = FspCreateNode(path, node);
    if (status == StatusSuccess || status == StatusNoMemory)
        return status;
    status = FspFindNode(path, node);
    if (status == StatusNotFound && disposition != FileOpenExisting) {
        if (FspTheVolume.ReadOnly)
            return StatusReadOnly;
        return FspCreateNode(path, node);
    }
    if (status != StatusSuccess)
        return status;
    if (disposition == FileCreateNew)
        return StatusAlreadyExists;
    bool cut = disposition == FileCreateAlways;
    if (!(access & (FileWrite | FileAppend)) && !cut)
        return StatusSuccess;
    if ((*node)->ReadOnly)
        return StatusAccessDenied;
    if (FspTheVolume.ReadOnly)
        return StatusReadOnly;
    if (!cut)
        return StatusSuccess;
    if ((*node)->OpenCount)
        return StatusSharingViolation;
    status = FspBeginChange();
    if (status != StatusSuccess)
        return status;
    __atomic_add_fetch(&(*node)->WriteCount, 1, __ATOMIC_RELAXED);
    (*node)->Touched = (*node)->Written = true;
    (*node)->ModifyTime = KeQuerySystemTime();
    FspMarkModified(*node);
    return FspCut(*node, 0);
}

Status FsOpen(const char *path, uint32_t access, FileDisposition disposition, FsFile **result)
{
    if (access & ~(uint32_t)(FileRead | FileWrite | FileAppend) || disposition > FileCreateAlways)
        return StatusInvalidParameter;
    bool console = FspIsConsole(path);
    if (console && disposition == FileCreateNew)
        return StatusAlreadyExists;
    void *body;
    Status status = ObCreateObject(&FsFileType, sizeof(FsFile), &body);
    if (status != StatusSuccess)
        return status;
    FsFile *file = body;
    file->Access = access;
    file->Kind = FspDisk;
    if (console) {
        FspOpenMachineConsole(file);
    } else {
        FspNode *node;
        FspLock();
        status = FindOrCreate(path, access, disposition, &node);
        if (status == StatusSuccess) {
            FspReferenceNode(node);
            file->Disk.Node = node;
        }
        FspUnlock();
    }
    if (status == StatusSuccess)
        *result = file;
    else
        ObDereference(file);
    return status;
}

// ---- dispatch by kind

Status FsRead(FsFile *file, const uint64_t *offset, void *buffer, size_t size, size_t *transferred)
{
    *transferred = 0;
    if (!(file->Access & FileRead))
        return StatusAccessDenied;
    switch (file->Kind) {
    case FspDisk:
        return FspReadDisk(file, offset, &(FspBuffer){buffer, size, IoKernelMemory}, transferred);
    case FspPipe:
        return FspReadPipe(file, buffer, size, transferred);
    case FspConsole:
    case FspTerminal:
        return FspReadConsole(file, buffer, size, transferred);
    default:
        return StatusIsADirectory;
    }
}

Status FsWrite(FsFile *file, const uint64_t *offset, const void *buffer, size_t size,
               size_t *transferred)
{
    *transferred = 0;
    if (!(file->Access & (FileWrite | FileAppend)))
        return StatusAccessDenied;
    switch (file->Kind) {
    case FspDisk:
        return FspWriteDisk(file, offset, &(FspBuffer){(uint8_t *)buffer, size, IoKernelMemory},
                            transferred);
    case FspPipe:
        return FspWritePipe(file, buffer, size, transferred);
    case FspConsole:
    case FspTerminal:
        return FspWriteConsole(file, buffer, size, transferred);
    default:
        return StatusIsADirectory;
    }
}

bool FsIsDiskFile(const FsFile *file)
{
    return file->Kind == FspDisk;
}

Status FsReadToUser(FsFile *file, const uint64_t *offset, UserPointer buffer, size_t size,
                    size_t *transferred)
{
    *transferred = 0;
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    if (!(file->Access & FileRead))
        return StatusAccessDenied;
    return FspReadDisk(file, offset, &(FspBuffer){(uint8_t *)buffer, size, IoUserMemory},
                       transferred);
}

Status FsWriteFromUser(FsFile *file, const uint64_t *offset, UserPointer buffer, size_t size,
                       size_t *transferred)
{
    *transferred = 0;
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    if (!(file->Access & (FileWrite | FileAppend)))
        return StatusAccessDenied;
    return FspWriteDisk(file, offset, &(FspBuffer){(uint8_t *)buffer, size, IoUserMemory},
                        transferred);
}

Status FsSeek(FsFile *file, int64_t offset, FileOrigin origin, uint64_t *position)
{
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    Status status = StatusSuccess;
    FspLockNode(file->Disk.Node);
    uint64_t base = origin == FileBegin     ? 0
                    : origin == FileCurrent ? file->Disk.Position
                                            : file->Disk.Node->Size;
    uint64_t target;
    if (origin > FileEnd || __builtin_add_overflow((int64_t)base, offset, (int64_t *)&target) ||
        (int64_t)target < 0)
        status = StatusInvalidParameter;
    else
        *position = file->Disk.Position = target;
    FspUnlockNode(file->Disk.Node);
    return status;
}

Status FsSetSize(FsFile *file, uint64_t size)
{
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    if (!(file->Access & FileWrite))
        return StatusAccessDenied;
    return FspResize(file->Disk.Node, size);
}

Status FsSetTime(FsFile *file, uint64_t modifyTime)
{
    if (file->Kind != FspDisk)
        return StatusNotSupported;
    return FspSetTime(file->Disk.Node, modifyTime);
}

Status FsQuery(FsFile *file, FileInfo *info)
{
    *info = (FileInfo){};
    switch (file->Kind) {
    case FspDisk:
        FspLockNode(file->Disk.Node);
        FspQueryNode(file->Disk.Node, info);
        FspUnlockNode(file->Disk.Node);
        break;
    case FspDirectory:
        info->Attributes = FileAttributeDirectory;
        break;
    case FspPipe:
        info->Kind = 1;
        break;
    case FspConsole:
    case FspTerminal:
        info->Kind = 2;
        break;
    }
    return StatusSuccess;
}
