// file.c - system calls about files, directories and pipes.
//
// Data of disk files goes straight to and from the program's memory; other data through the
// thread's transfer buffer, small pieces through the stack. A read of a pipe or device takes one
// piece: it waits for the first byte, and must not wait again once it has some.
// SPDX-License-Identifier: MIT
#include "sysi.h"

#define DIRECT_PIECE    (1u << 20) // bytes between looks at whether the thread shall end
#define SMALL_TRANSFER  512u       // bytes that go through the kernel stack
#define ALL_FILE_ACCESS (FileRead | FileWrite | FileAppend)

// The file a handle names, referenced.
static Status ReferenceFile(Handle handle, uint32_t access, FsFile **file)
{
    return ObReferenceByHandle(SysiHandles(), handle, &FsFileType, access, (void **)file);
}

// The same with the right to write, at the end only or anywhere.
static Status ReferenceForWriting(Handle handle, FsFile **file)
{
    Status status = ReferenceFile(handle, FileWrite, file);
    return status == StatusAccessDenied ? ReferenceFile(handle, FileAppend, file) : status;
}

Status SysCreateFile(UserPointer path, uint32_t access, uint32_t disposition, UserPointer result)
{
    char name[MaximumPath];
    if (access == 0 || (access & ~ALL_FILE_ACCESS) != 0 || disposition > FileCreateAlways)
        return StatusInvalidParameter;
    Status status = SysiCopyPath(path, name);
    if (status == StatusSuccess)
        status = MmCheckUserRange(result, sizeof(Handle));
    if (status != StatusSuccess)
        return status;
    FsFile *file;
    status = FsOpen(name, access, disposition, &file);
    return status == StatusSuccess ? SysiReturnHandle(file, access, result) : status;
}

// ---- read and write

typedef struct Transfer {
    FsFile *File;
    UserPointer Buffer;
    uint64_t Size, Done;
    const uint64_t *Offset; // nullptr: the file position
    uint8_t *Piece;         // kernel buffer
    size_t PieceSize;
} Transfer;

// A transfer of nothing needs no buffer.
static Status CheckTransfer(const Transfer *transfer, UserPointer transferred)
{
    Status status = MmCheckUserRange(transferred, sizeof(uint64_t));
    if (status == StatusSuccess && transfer->Size != 0)
        status = MmCheckUserRange(transfer->Buffer, transfer->Size);
    return status;
}

// One piece: what is not a disk file must not wait again once it has something.
static Status ReadPieces(Transfer *transfer)
{
    size_t wanted = RTL_MIN(transfer->Size, (uint64_t)transfer->PieceSize), got = 0;
    Status status = FsRead(transfer->File, nullptr, transfer->Piece, wanted, &got);
    if (got == 0)
        return status;
    Status copied = MmCopyToUser(transfer->Buffer, transfer->Piece, got);
    if (copied != StatusSuccess)
        return copied;
    transfer->Done = got;
    return StatusSuccess;
}

static Status WritePieces(Transfer *transfer)
{
    Status status = StatusSuccess;
    while (status == StatusSuccess && transfer->Done < transfer->Size) {
        size_t wanted = RTL_MIN(transfer->Size - transfer->Done, (uint64_t)transfer->PieceSize),
               put = 0;
        status = MmCopyFromUser(transfer->Piece, transfer->Buffer + transfer->Done, wanted);
        if (status != StatusSuccess)
            return status;
        status = FsWrite(transfer->File, nullptr, transfer->Piece, wanted, &put);
        transfer->Done += put;
        if (status == StatusSuccess && put < wanted)
            status = StatusIoError;
        if (status == StatusSuccess && KeIsTerminating(KeGetCurrentThread()))
            status = StatusTerminating;
    }
    return status;
}

typedef Status DirectTransfer(FsFile *file, const uint64_t *offset, UserPointer buffer, size_t size,
                              size_t *transferred);

// A disk file's, without a kernel buffer.
static Status RunDirect(Transfer *transfer, DirectTransfer *direct, UserPointer transferred)
{
    Status status = CheckTransfer(transfer, transferred);
    if (status != StatusSuccess)
        return status;
    size_t wanted, moved;
    do {
        wanted = RTL_MIN(transfer->Size - transfer->Done, DIRECT_PIECE);
        uint64_t at = transfer->Offset ? *transfer->Offset + transfer->Done : 0;
        status = direct(transfer->File, transfer->Offset ? &at : nullptr,
                        transfer->Buffer + transfer->Done, wanted, &moved);
        transfer->Done += moved;
        if (transfer->Done < transfer->Size && KeIsTerminating(KeGetCurrentThread()))
            status = StatusTerminating;
    } while (status == StatusSuccess && moved == wanted && transfer->Done < transfer->Size);
    if (status == StatusEndOfFile && transfer->Done != 0)
        status = StatusSuccess;
    Status written = MmCopyToUser(transferred, &transfer->Done, sizeof(transfer->Done));
    return status == StatusSuccess ? written : status;
}

// Runs a transfer and tells how far it came, whether it failed or not.
static Status Run(Transfer *transfer, Status (*pieces)(Transfer *), UserPointer transferred)
{
    uint8_t small[SMALL_TRANSFER];
    Status status = CheckTransfer(transfer, transferred);
    if (status != StatusSuccess)
        return status;
    bool isSmall = transfer->Size <= sizeof(small);
    transfer->Piece = isSmall ? small : PsGetTransferBuffer();
    transfer->PieceSize = isSmall ? sizeof(small) : PS_TRANSFER_SIZE;
    status = transfer->Piece == nullptr ? StatusNoMemory : pieces(transfer);
    Status written = MmCopyToUser(transferred, &transfer->Done, sizeof(transfer->Done));
    return status == StatusSuccess ? written : status;
}

Status SysReadFile(Handle handle, UserPointer buffer, uint64_t size, UserPointer transferred)
{
    Transfer transfer = {.Buffer = buffer, .Size = size};
    Status status = ReferenceFile(handle, FileRead, &transfer.File);
    if (status != StatusSuccess)
        return status;
    status = FsIsDiskFile(transfer.File) ? RunDirect(&transfer, FsReadToUser, transferred)
                                         : Run(&transfer, ReadPieces, transferred);
    ObDereference(transfer.File);
    if (transfer.Done != 0)
        PsCountTransfer(false, transfer.Done);
    return status;
}

Status SysWriteFile(Handle handle, UserPointer buffer, uint64_t size, UserPointer transferred)
{
    Transfer transfer = {.Buffer = buffer, .Size = size};
    Status status = ReferenceForWriting(handle, &transfer.File);
    if (status != StatusSuccess)
        return status;
    status = FsIsDiskFile(transfer.File) ? RunDirect(&transfer, FsWriteFromUser, transferred)
                                         : Run(&transfer, WritePieces, transferred);
    ObDereference(transfer.File);
    if (transfer.Done != 0)
        PsCountTransfer(true, transfer.Done);
    return status;
}

Status SysSetFilePointer(Handle handle, int64_t offset, uint32_t origin, UserPointer result)
{
    if (origin > FileEnd)
        return StatusInvalidParameter;
    FsFile *file;
    Status status = ReferenceFile(handle, 0, &file);
    if (status == StatusSuccess && result != 0 &&
        MmCheckUserRange(result, sizeof(uint64_t)) != StatusSuccess) {
        ObDereference(file);
        return StatusInvalidAddress;
    }
    if (status != StatusSuccess)
        return status;
    uint64_t position;
    status = FsSeek(file, offset, origin, &position);
    ObDereference(file);
    if (status != StatusSuccess || result == 0)
        return status;
    return MmCopyToUser(result, &position, sizeof(position));
}

Status SysSetFileSize(Handle handle, uint64_t size)
{
    FsFile *file;
    Status status = ReferenceFile(handle, FileWrite, &file);
    if (status != StatusSuccess)
        return status;
    status = FsSetSize(file, size);
    ObDereference(file);
    return status;
}

Status SysFlushFile(Handle handle)
{
    FsFile *file;
    Status status = ReferenceFile(handle, 0, &file);
    if (status != StatusSuccess)
        return status;
    status = FsFlush(file);
    ObDereference(file);
    return status;
}

// At a place in a disk file; the offset must leave room for the size.
static Status RunAt(Handle handle, uint64_t offset, bool write, Transfer *transfer,
                    UserPointer transferred)
{
    if (offset > INT64_MAX || transfer->Size > INT64_MAX - offset)
        return StatusInvalidParameter;
    Status status = write ? ReferenceForWriting(handle, &transfer->File)
                          : ReferenceFile(handle, FileRead, &transfer->File);
    if (status != StatusSuccess)
        return status;
    transfer->Offset = &offset;
    status = FsIsDiskFile(transfer->File)
                 ? RunDirect(transfer, write ? FsWriteFromUser : FsReadToUser, transferred)
                 : StatusNotSupported;
    ObDereference(transfer->File);
    return status;
}

Status SysReadFileAt(Handle handle, uint64_t offset, UserPointer buffer, uint64_t size,
                     UserPointer transferred)
{
    Transfer transfer = {.Buffer = buffer, .Size = size};
    return RunAt(handle, offset, false, &transfer, transferred);
}

Status SysWriteFileAt(Handle handle, uint64_t offset, UserPointer buffer, uint64_t size,
                      UserPointer transferred)
{
    Transfer transfer = {.Buffer = buffer, .Size = size};
    return RunAt(handle, offset, true, &transfer, transferred);
}

Status SysSetFileTime(Handle handle, uint64_t modifyTime)
{
    FsFile *file;
    Status status = ReferenceForWriting(handle, &file);
    if (status != StatusSuccess)
        return status;
    status = FsSetTime(file, modifyTime);
    ObDereference(file);
    return status;
}

// ---- locks of byte ranges

Status SysLockFile(Handle handle, uint64_t offset, uint64_t length, uint32_t mode, uint32_t timeout)
{
    FsFile *file;
    Status status = mode == FileLockExclusive ? ReferenceForWriting(handle, &file)
                                              : ReferenceFile(handle, 0, &file);
    if (status != StatusSuccess)
        return status;
    status = FsLockRange(file, PsGetProcessId(PsGetCurrentProcess()), offset, length, mode,
                         SysiTimeout(timeout));
    ObDereference(file);
    return status;
}

Status SysQueryFileLock(Handle handle, uint64_t offset, uint64_t length, uint32_t mode,
                        UserPointer conflict)
{
    FileLock found;
    FsFile *file;
    Status status = ReferenceFile(handle, 0, &file);
    if (status != StatusSuccess)
        return status;
    status = FsQueryLock(file, PsGetProcessId(PsGetCurrentProcess()), offset, length, mode, &found);
    ObDereference(file);
    return status == StatusSuccess ? MmCopyToUser(conflict, &found, sizeof(found)) : status;
}

Status SysGetFileInfo(Handle handle, UserPointer result)
{
    FsFile *file;
    Status status = ReferenceFile(handle, 0, &file);
    if (status != StatusSuccess)
        return status;
    FileInfo info;
    status = FsQuery(file, &info);
    ObDereference(file);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

// ---- paths

Status SysGetPathInfo(UserPointer path, UserPointer result)
{
    char name[MaximumPath];
    Status status = SysiCopyPath(path, name);
    if (status != StatusSuccess)
        return status;
    FileInfo info;
    status = FsQueryPath(name, &info);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

static Status WithPath(UserPointer path, Status (*act)(const char *path))
{
    char name[MaximumPath];
    Status status = SysiCopyPath(path, name);
    return status == StatusSuccess ? act(name) : status;
}

Status SysDeleteFile(UserPointer path)
{
    return WithPath(path, FsDelete);
}

Status SysCreateDirectory(UserPointer path)
{
    return WithPath(path, FsCreateDirectory);
}

Status SysRemoveDirectory(UserPointer path)
{
    return WithPath(path, FsRemoveDirectory);
}

Status SysMoveFile(UserPointer from, UserPointer to)
{
    char source[MaximumPath], target[MaximumPath];
    Status status = SysiCopyPath(from, source);
    if (status == StatusSuccess)
        status = SysiCopyPath(to, target);
    return status == StatusSuccess ? FsRename(source, target) : status;
}

Status SysOpenDirectory(UserPointer path, UserPointer result)
{
    char name[MaximumPath];
    Status status = SysiCopyPath(path, name);
    if (status == StatusSuccess)
        status = MmCheckUserRange(result, sizeof(Handle));
    if (status != StatusSuccess)
        return status;
    FsFile *directory;
    status = FsOpenDirectory(name, &directory);
    return status == StatusSuccess ? SysiReturnHandle(directory, FileRead, result) : status;
}

Status SysReadDirectory(Handle handle, UserPointer result)
{
    FsFile *directory;
    Status status = MmCheckUserRange(result, sizeof(DirectoryEntry));
    if (status == StatusSuccess)
        status = ReferenceFile(handle, FileRead, &directory);
    if (status != StatusSuccess)
        return status;
    DirectoryEntry entry = {0};
    status = FsReadDirectory(directory, &entry);
    ObDereference(directory);
    return status == StatusSuccess ? MmCopyToUser(result, &entry, sizeof(entry)) : status;
}

Status SysSetCurrentDirectory(UserPointer path)
{
    char name[MaximumPath];
    Status status = SysiCopyPath(path, name);
    if (status != StatusSuccess)
        return status;
    FileInfo info;
    status = FsQueryPath(name, &info);
    if (status == StatusSuccess && (info.Attributes & FileAttributeDirectory) == 0)
        status = StatusNotADirectory;
    if (status == StatusSuccess)
        PsSetCurrentDirectory(PsGetCurrentProcess(), name);
    return status;
}

Status SysGetCurrentDirectory(UserPointer buffer, uint64_t size)
{
    char path[MaximumPath];
    PsGetCurrentDirectory(PsGetCurrentProcess(), path);
    size_t length = strlen(path) + 1;
    return size < length ? StatusBufferTooSmall : MmCopyToUser(buffer, path, length);
}

Status SysGetVolumeInfo(UserPointer result)
{
    VolumeInfo info;
    Status status = FsQueryVolume(&info);
    return status == StatusSuccess ? MmCopyToUser(result, &info, sizeof(info)) : status;
}

Status SysCreatePipe(UserPointer readEnd, UserPointer writeEnd)
{
    Status status = MmCheckUserRange(readEnd, sizeof(Handle));
    if (status == StatusSuccess)
        status = MmCheckUserRange(writeEnd, sizeof(Handle));
    if (status != StatusSuccess)
        return status;
    FsFile *ends[2];
    status = FsCreatePipe(&ends[0], &ends[1]);
    if (status != StatusSuccess)
        return status;
    const uint32_t access[] = {FileRead | AccessWait, FileWrite | AccessWait};
    return SysiReturnPair((void **)ends, access, readEnd, writeEnd);
}
