// directory.c - what is done to paths: queries, listing, creating, deleting, renaming.
//
// Everything here runs under the volume lock. Open files cannot be deleted, renamed or replaced,
// open directories cannot be removed or renamed (StatusSharingViolation); nodes of closed files are
// dropped before FatFs moves their directory entries.
// SPDX-License-Identifier: MIT
#include "fsp.h"

static bool IsRoot(const char *path)
{
    return path[1] == 0;
}

static void InfoFromFat(const FILINFO *fat, FileInfo *info)
{
    *info = (FileInfo){.Size = fat->fsize,
                       .ModifyTime = FspFromFatTime((uint32_t)fat->fdate << 16 | fat->ftime),
                       .Attributes = (fat->fattrib & AM_RDO ? FileAttributeReadOnly : 0) |
                                     (fat->fattrib & AM_DIR ? FileAttributeDirectory : 0)};
}

// Brings the directory entries of open files up to date, as far as possible: that one of them
// cannot be written is for its own users to learn.
static void RefreshEntries(void)
{
    if (FspTheVolume.ReadOnly)
        return;
    Status status = FspSyncAll();
    if (status != StatusSuccess)
        KeLog(LogDebug, "fs: a directory entry is out of date, status %u", (unsigned)status);
}

Status FsQueryPath(const char *path, FileInfo *info)
{
    if (IsRoot(path)) {
        *info = (FileInfo){.Attributes = FileAttributeDirectory};
        return StatusSuccess;
    }
    if (FspIsConsole(path)) {
        *info = (FileInfo){.Kind = 2};
        return StatusSuccess;
    }
    FspLock();
    RefreshEntries();
    Status status = FspFromResult(f_stat(path, &FspTheVolume.Info));
    if (status == StatusSuccess)
        InfoFromFat(&FspTheVolume.Info, info);
    FspUnlock();
    return status;
}

// The first cluster of a directory, which identifies it; 0 for the root.
static Status IdentifyDirectory(const char *path, DIR *directory)
{
    FRESULT result = f_opendir(directory, path);
    return result == FR_NO_PATH && f_stat(path, &FspTheVolume.Info) == FR_OK
               ? StatusNotADirectory
               : FspFromResult(result);
}

static bool IsDirectoryOpen(uint32_t cluster)
{
    RTL_FOR_EACH (entry, &FspTheVolume.OpenDirectories) {
        if (RTL_CONTAINER_OF(entry, FsFile, Directory.Link)->Directory.Dir.obj.sclust == cluster)
            return true;
    }
    return false;
}

// Makes sure that the file is closed and that no node remembers it.
static Status ReleaseClosedFile(const char *path)
{
    FspNode *node;
    Status status = FspFindNode(path, &node);
    if (status != StatusSuccess)
        return status;
    if (node->OpenCount)
        return StatusSharingViolation;
    status = FspSyncNode(node);
    if (status == StatusSuccess)
        FspDropNode(node);
    return status;
}

static Status DeleteLocked(const char *path)
{
    Status status = ReleaseClosedFile(path);
    if (status == StatusSuccess)
        status = FspBeginChange();
    return status == StatusSuccess ? FspFromResult(f_unlink(path)) : status;
}

Status FsDelete(const char *path)
{
    if (IsRoot(path))
        return StatusIsADirectory;
    if (FspIsConsole(path))
        return StatusAccessDenied;
    FspLock();
    Status status = DeleteLocked(path);
    FspUnlock();
    return status;
}

static Status CreateDirectoryLocked(const char *path)
{
    Status status = FspBeginChange();
    if (status != StatusSuccess)
        return status;
    FRESULT result = f_mkdir(path);
    return result == FR_DENIED ? StatusDiskFull : FspFromResult(result);
}

Status FsCreateDirectory(const char *path)
{
    if (IsRoot(path))
        return StatusAlreadyExists;
    FspLock();
    Status status = CreateDirectoryLocked(path);
    FspUnlock();
    return status;
}

static Status RemoveDirectoryLocked(const char *path)
{
    DIR directory;
    Status status = FspFromResult(f_stat(path, &FspTheVolume.Info));
    if (status != StatusSuccess)
        return status;
    if (!(FspTheVolume.Info.fattrib & AM_DIR))
        return StatusNotADirectory;
    if (FspTheVolume.Info.fattrib & AM_RDO)
        return StatusAccessDenied;
    status = IdentifyDirectory(path, &directory);
    if (status != StatusSuccess)
        return status;
    if (IsDirectoryOpen(directory.obj.sclust))
        return StatusSharingViolation;
    status = FspBeginChange();
    if (status != StatusSuccess)
        return status;
    FRESULT result = f_unlink(path);
    return result == FR_DENIED ? StatusDirectoryNotEmpty : FspFromResult(result);
}

Status FsRemoveDirectory(const char *path)
{
    if (IsRoot(path))
        return StatusAccessDenied;
    FspLock();
    Status status = RemoveDirectoryLocked(path);
    FspUnlock();
    return status;
}

// ---- renaming

// Whether `path` leads through the directory that begins at `cluster`: a directory must not be
// moved into itself, by whatever spelling.
static Status LeadsThrough(const char *path, uint32_t cluster, bool *through)
{
    char *prefix = FspTheVolume.Path;
    *through = false;
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        memcpy(prefix, path, i);
        prefix[i] = 0;
        DIR directory;
        Status status = IdentifyDirectory(prefix, &directory);
        if (status != StatusSuccess)
            return status == StatusNotADirectory || status == StatusNotFound ? StatusPathNotFound
                                                                             : status;
        if (directory.obj.sclust == cluster)
            *through = true;
    }
    return StatusSuccess;
}

static Status CheckMovedDirectory(const char *from, const char *to)
{
    DIR directory;
    bool through;
    Status status = IdentifyDirectory(from, &directory);
    if (status != StatusSuccess)
        return status;
    if (IsDirectoryOpen(directory.obj.sclust))
        return StatusSharingViolation;
    status = LeadsThrough(to, directory.obj.sclust, &through);
    return status == StatusSuccess && through ? StatusInvalidParameter : status;
}

// A free name beside `path`, in the volume's scratch path.
static Status ChooseTemporary(const char *path)
{
    char *name = FspTheVolume.Path;
    size_t prefix = (size_t)(FspLastPart(path) - path);
    for (uint32_t i = 0; i < 1000; i++) {
        memcpy(name, path, prefix);
        if (RtlFormat(name + prefix, MaximumPath - prefix, "replaced.%03u", i) >=
            MaximumPath - prefix)
            return StatusNameTooLong;
        FRESULT result = f_stat(name, &FspTheVolume.Info);
        if (result == FR_NO_FILE)
            return StatusSuccess;
        if (result != FR_OK)
            return FspFromResult(result);
    }
    return StatusAlreadyExists;
}

// The file at `to` steps aside under another name until the rename has succeeded.
static Status RenameOver(const char *from, const char *to)
{
    Status status = ReleaseClosedFile(to);
    if (status != StatusSuccess)
        return status == StatusIsADirectory ? StatusAlreadyExists : status;
    status = ChooseTemporary(to);
    if (status == StatusSuccess)
        status = FspFromResult(f_rename(to, FspTheVolume.Path));
    if (status != StatusSuccess)
        return status;
    FRESULT result = f_rename(from, to);
    if (result == FR_OK)
        return FspFromResult(f_unlink(FspTheVolume.Path));
    FRESULT undone = f_rename(FspTheVolume.Path, to);
    if (undone != FR_OK)
        KeLog(LogError, "fs: %s is now %s", to, FspTheVolume.Path);
    return result == FR_DENIED ? StatusDiskFull : FspFromResult(result);
}

// Whether both paths name one file (the second may only differ in case).
static bool IsSameEntry(const char *from, const char *to)
{
    FspNode *a, *b;
    return FspPathsEqual(from, to) || (FspFindNode(from, &a) == StatusSuccess &&
                                       FspFindNode(to, &b) == StatusSuccess && a == b);
}

static Status RenameLocked(const char *from, const char *to)
{
    FspVolume *volume = &FspTheVolume;
    Status status = FspFromResult(f_stat(from, &volume->Info));
    if (status != StatusSuccess)
        return status;
    bool directory = volume->Info.fattrib & AM_DIR;
    bool same = IsSameEntry(from, to);
    status = directory ? CheckMovedDirectory(from, to) : ReleaseClosedFile(from);
    if (status == StatusSuccess)
        status = FspBeginChange();
    if (status != StatusSuccess)
        return status;
    FRESULT there = f_stat(to, &volume->Info);
    if (there == FR_OK && !same) {
        if (directory || (volume->Info.fattrib & AM_DIR))
            return StatusAlreadyExists;
        return volume->Info.fattrib & AM_RDO ? StatusAccessDenied : RenameOver(from, to);
    }
    if (directory)
        FspForgetPaths();
    FRESULT result = f_rename(from, to);
    return result == FR_DENIED ? StatusDiskFull : FspFromResult(result);
}

Status FsRename(const char *from, const char *to)
{
    if (IsRoot(from) || IsRoot(to) || FspIsConsole(from) || FspIsConsole(to))
        return StatusAccessDenied;
    FspLock();
    Status status = RenameLocked(from, to);
    FspUnlock();
    return status;
}

// ---- listing

Status FsOpenDirectory(const char *path, FsFile **result)
{
    void *body;
    Status status = ObCreateObject(&FsFileType, sizeof(FsFile), &body);
    if (status != StatusSuccess)
        return status;
    FsFile *file = body;
    file->Kind = FspDirectory;
    file->Access = FileRead;
    FspLock();
    status = IdentifyDirectory(path, &file->Directory.Dir);
    if (status == StatusSuccess)
        RtlInsertTail(&FspTheVolume.OpenDirectories, &file->Directory.Link);
    else
        RtlInitializeList(&file->Directory.Link);
    FspUnlock();
    if (status == StatusSuccess)
        *result = file;
    else
        ObDereference(file);
    return status;
}

Status FsReadDirectory(FsFile *file, DirectoryEntry *entry)
{
    if (file->Kind != FspDirectory)
        return file->Kind == FspDisk ? StatusNotADirectory : StatusWrongType;
    FspVolume *volume = &FspTheVolume;
    FspLock();
    RefreshEntries();
    Status status = FspFromResult(f_readdir(&file->Directory.Dir, &volume->Info));
    if (status == StatusSuccess && !volume->Info.fname[0])
        status = StatusNoMoreEntries;
    if (status == StatusSuccess) {
        memset(entry, 0, sizeof(*entry));
        InfoFromFat(&volume->Info, &entry->Info);
        RtlCopyString(entry->Name, sizeof(entry->Name), volume->Info.fname);
    }
    FspUnlock();
    return status;
}
