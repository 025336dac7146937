// posix.h - the system calls that musl's files make, and the descriptors behind them.
// SPDX-License-Identifier: MIT
#pragma once

#include "rt.h"

#include <stdint.h>

typedef long long PosixCall(long long a, long long b, long long c, long long d, long long e,
                            long long f);

// ---- posix_file.c, posix_io.c: a descriptor is an index into one table; a directory's or file's
// path is kept for the *at calls, fchdir and inode numbers.
PosixCall PxRead, PxWrite, PxOpen, PxOpenAt, PxClose, PxSeek, PxReadVector, PxWriteVector, PxReadAt,
    PxWriteAt, PxReadVectorAt, PxWriteVectorAt, PxPipe, PxPipe2, PxDup, PxDup2, PxFcntl, PxFlush,
    PxResizeFile, PxIoctl, PxReadDirectory, PxStatFile, PxSetTimes, PxAllocate, PxPoll,
    PxChangeOwner;

// Native handle of an open descriptor, or a negative errno value.
long long PxGetHandle(long long descriptor, Handle *handle);
// The same of a disk file, with its inode number.
long long PxGetFile(long long descriptor, Handle *handle, uint64_t *inode);
// unlink of a file that this process has open: the name goes when it is closed. False: it is not
// open here.
bool PxDeleteWhenClosed(const char *path);
// Before the process ends: deletes what PxDeleteWhenClosed left.
void PxCloseAll(void);
// The absolute or current-directory path that `path` relative to a directory descriptor means.
// Returns 0 or a negative errno value.
long long PxResolveAt(long long directory, const char *path, char out[MaximumPath]);

// ---- posix_path.c
PosixCall PxStat, PxStatAt, PxAccess, PxAccessAt, PxResizePath, PxGetDirectory, PxSetDirectory,
    PxSetDirectoryFile, PxRename, PxRenameAt, PxMakeDirectory, PxMakeDirectoryAt, PxRemoveDirectory,
    PxUnlink, PxUnlinkAt, PxReadLink, PxReadLinkAt, PxChangeMode, PxChangeModeFile, PxChangeModeAt,
    PxVolume, PxVolumeFile;
struct kstat;
void PxFillStat(const FileInfo *info, uint64_t inode, struct kstat *stat);
uint64_t PxGetInode(const char *path); // the inode number of what has that name

// ---- process.c
PosixCall PxWaitChild;

// ---- posix_map.c
PosixCall PxMap, PxUnmap, PxProtect, PxSynchronize, PxRemap;
// SetFileSize of a file that this process may have mapped.
Status PxResizeMapped(Handle file, uint64_t inode, uint64_t size);

// -errno of a status.
static inline long long PxResult(Status status)
{
    return -(long long)RtStatusToErrno(status);
}
