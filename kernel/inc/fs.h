// fs.h - files by path: the boot volume (FAT32 through FatFs and the block cache), pipes, device
// files.
// SPDX-License-Identifier: MIT
#pragma once

#include "io.h"
#include "ob.h"

// An ob object of FsFileType: disk file, directory, pipe end or device.
typedef struct FsFile FsFile;
extern ObType FsFileType;

// Mounts the boot volume. StatusNoSuchDevice, StatusCorrupt.
Status FsInitialize(const LoaderParams *loader);
Status FsShutdown(void); // everything on disk, volume marked clean

// Joins path to directory, which is such a result itself, and resolves "." and ".."; result
// absolute with '/'. StatusInvalidName, StatusNameTooLong.
Status FsNormalizePath(const char *directory, const char *path, char result[MaximumPath]);

// Paths below are absolute and normalised; buffers are kernel memory.
Status FsOpen(const char *path, uint32_t access, FileDisposition disposition, FsFile **file);
// offset nullptr: at the file position, which moves. *transferred always valid.
Status FsRead(FsFile *file, const uint64_t *offset, void *buffer, size_t size, size_t *transferred);
Status FsWrite(FsFile *file, const uint64_t *offset, const void *buffer, size_t size,
               size_t *transferred);
// The same for memory of the current process, without a copy in between; for disk files only.
// StatusInvalidAddress when the memory turns out to be bad.
bool FsIsDiskFile(const FsFile *file);
Status FsReadToUser(FsFile *file, const uint64_t *offset, UserPointer buffer, size_t size,
                    size_t *transferred);
Status FsWriteFromUser(FsFile *file, const uint64_t *offset, UserPointer buffer, size_t size,
                       size_t *transferred);
Status FsSeek(FsFile *file, int64_t offset, FileOrigin origin, uint64_t *position);
Status FsSetSize(FsFile *file, uint64_t size);
Status FsFlush(FsFile *file);
Status FsSetTime(FsFile *file, uint64_t modifyTime); // Unix nanoseconds
// Advisory locks of byte ranges by processes; length 0: to the end. StatusWouldBlock (timeout 0),
// StatusTimeout, StatusTerminating, StatusLimitReached.
Status FsLockRange(FsFile *file, uint32_t owner, uint64_t offset, uint64_t length,
                   FileLockMode mode, uint64_t timeout);
Status FsQueryLock(FsFile *file, uint32_t owner, uint64_t offset, uint64_t length,
                   FileLockMode mode, FileLock *conflict);
// The first size bytes of a disk file as a section (0: all of it). StatusNotSupported,
// StatusAccessDenied, StatusInvalidParameter (empty, or shorter than that).
Status FsCreateSection(FsFile *file, uint64_t size, bool writable, MmSection **section);
Status FsQuery(FsFile *file, FileInfo *info);
// Identity and stamp for the image cache: change when the file's content may have changed.
void FsQueryIdentity(FsFile *file, uint64_t *identity, uint64_t *stamp);
Status FsQueryPath(const char *path, FileInfo *info);
Status FsDelete(const char *path);
Status FsRename(const char *from, const char *to);
Status FsCreateDirectory(const char *path);
Status FsRemoveDirectory(const char *path);
Status FsOpenDirectory(const char *path, FsFile **directory);
Status FsReadDirectory(FsFile *directory, DirectoryEntry *entry);
Status FsQueryVolume(VolumeInfo *info);
Status FsCreatePipe(FsFile **readEnd, FsFile **writeEnd);

// Consoles: StatusWrongType for other files.
#define FS_FOREGROUND 32 // objects
Status FsCreateConsole(uint32_t columns, uint32_t rows, FsFile **terminal, FsFile **console);
Status FsQueryConsole(FsFile *file, ConsoleInfo *info);
Status FsSetConsoleMode(FsFile *file, uint32_t mode);
Status FsSetConsoleSize(FsFile *file, uint32_t columns, uint32_t rows);
// Processes and events, count <= FS_FOREGROUND; replaces those before.
Status FsSetConsoleForeground(FsFile *file, void *const *objects, uint32_t count);
