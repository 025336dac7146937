// posix_path.c - the calls that work on names, over native ones.
// SPDX-License-Identifier: MIT
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "kstat.h"

// Appends the parts of a path to an absolute one, without "." and empty ones; ".." goes back.
static void Append(char *full, size_t size, const char *path)
{
    size_t length = strlen(full);
    while (*path) {
        size_t part = strcspn(path, "/\\");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (length && full[--length] != '/')
                continue;
        } else if (part && !(part == 1 && path[0] == '.') && length + part + 2 <= size) {
            full[length++] = '/';
            memcpy(full + length, path, part);
            length += part;
        }
        full[length] = 0;
        path += part;
        path += *path != 0;
    }
}

// FAT has no inode numbers: a hash of the whole name as the file system compares it. FNV-1a, never
// 0.
uint64_t PxGetInode(const char *path)
{
    char full[2 * MaximumPath] = "", current[MaximumPath];
    if (*path != '/' && *path != '\\' &&
        SysGetCurrentDirectory(current, sizeof current) == StatusSuccess)
        Append(full, sizeof full, current);
    Append(full, sizeof full, path);
    uint64_t hash = 0xCBF29CE484222325ull;
    for (const char *at = full; *at; at++) {
        unsigned char c = (unsigned char)*at;
        c = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : c;
        hash = (hash ^ c) * 0x100000001B3ull;
    }
    return hash ? hash : 1;
}

void PxFillStat(const FileInfo *info, uint64_t inode, struct kstat *stat)
{
    static const mode_t kinds[] = {S_IFREG, S_IFIFO, S_IFCHR};
    mode_t mode = info->Kind < RT_COUNT_OF(kinds) ? kinds[info->Kind] : S_IFREG;
    if (info->Attributes & FileAttributeDirectory)
        mode = S_IFDIR;
    mode |= info->Attributes & FileAttributeReadOnly ? 0555 : 0777;
    constexpr uint64_t Second = 1000000000;
    *stat = (struct kstat){
        .st_dev = 1,
        .st_ino = inode,
        .st_nlink = 1,
        .st_mode = mode,
        .st_size = (off_t)info->Size,
        .st_blksize = 4096,
        .st_blocks = (blkcnt_t)((info->Size + 511) / 512),
        .st_atime_sec = (long long)(info->ModifyTime / Second),
        .st_mtime_sec = (long long)(info->ModifyTime / Second),
        .st_ctime_sec = (long long)(info->ModifyTime / Second),
        .st_mtime_nsec = (long long)(info->ModifyTime % Second),
    };
}

#define CALL(name)                                                                                 \
    long long name(long long a, long long b, long long c, long long d, long long e, long long f)

// path, stat
CALL(PxStat)
{
    FileInfo info;
    const char *path = (const char *)a;
    if (path && !strcmp(path, "/dev/null"))
        info = (FileInfo){.Kind = 2};
    else {
        Status status = SysGetPathInfo(path, &info);
        if (status != StatusSuccess)
            return PxResult(status);
    }
    PxFillStat(&info, PxGetInode(path), (struct kstat *)b);
    return 0;
}

CALL(PxStatAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    return result ? result : PxStat((long long)path, c, 0, 0, 0, 0);
}

// path, mode: everything may be read and executed, what is not marked read-only written.
CALL(PxAccess)
{
    constexpr int WriteBit = 2;
    FileInfo info;
    Status status = SysGetPathInfo((const char *)a, &info);
    if (status != StatusSuccess)
        return PxResult(status);
    bool refused = (b & WriteBit) && (info.Attributes & FileAttributeReadOnly);
    return refused ? -EACCES : 0;
}

CALL(PxAccessAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    return result ? result : PxAccess((long long)path, c, 0, 0, 0, 0);
}

CALL(PxResizePath)
{
    Handle file;
    if (b < 0)
        return -EINVAL;
    Status status = SysCreateFile((const char *)a, FileWrite, FileOpenExisting, &file);
    if (status != StatusSuccess)
        return PxResult(status);
    status = SysSetFileSize(file, (uint64_t)b);
    (void)SysCloseHandle(file);
    return PxResult(status);
}

CALL(PxGetDirectory)
{
    Status status = SysGetCurrentDirectory((char *)a, (uint64_t)b);
    return status == StatusSuccess ? (long long)strlen((const char *)a) + 1 : PxResult(status);
}

CALL(PxSetDirectory)
{
    return PxResult(SysSetCurrentDirectory((const char *)a));
}

CALL(PxSetDirectoryFile)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, ".", path);
    return result ? result : PxResult(SysSetCurrentDirectory(path));
}

CALL(PxRename)
{
    return PxResult(SysMoveFile((const char *)a, (const char *)b));
}

CALL(PxRenameAt)
{
    char from[MaximumPath], to[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, from);
    if (result == 0)
        result = PxResolveAt(c, (const char *)d, to);
    return result ? result : PxResult(SysMoveFile(from, to));
}

CALL(PxMakeDirectory)
{
    return PxResult(SysCreateDirectory((const char *)a));
}

CALL(PxMakeDirectoryAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    return result ? result : PxResult(SysCreateDirectory(path));
}

CALL(PxRemoveDirectory)
{
    return PxResult(SysRemoveDirectory((const char *)a));
}

static long long Unlink(const char *path)
{
    Status status = SysDeleteFile(path);
    if (status == StatusSharingViolation && PxDeleteWhenClosed(path))
        return 0;
    return PxResult(status);
}

CALL(PxUnlink)
{
    return Unlink((const char *)a);
}

CALL(PxUnlinkAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    if (result)
        return result;
    return c & AT_REMOVEDIR ? PxResult(SysRemoveDirectory(path)) : Unlink(path);
}

// There are no symbolic links: a name that exists is none.
CALL(PxReadLink)
{
    FileInfo info;
    Status status = SysGetPathInfo((const char *)a, &info);
    return status == StatusSuccess ? -EINVAL : PxResult(status);
}

CALL(PxReadLinkAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    return result ? result : PxReadLink((long long)path, 0, 0, 0, 0, 0);
}

// Permissions are not kept: changing them succeeds on what exists and does nothing.
CALL(PxChangeMode)
{
    FileInfo info;
    return PxResult(SysGetPathInfo((const char *)a, &info));
}

CALL(PxChangeModeFile)
{
    Handle handle;
    long long result = PxGetHandle(a, &handle);
    return result == -EBADF ? result : 0;
}

CALL(PxChangeModeAt)
{
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    return result ? result : PxChangeMode((long long)path, 0, 0, 0, 0, 0);
}

static long long FillVolume(struct statfs *out)
{
    VolumeInfo info;
    Status status = SysGetVolumeInfo(&info);
    if (status != StatusSuccess)
        return PxResult(status);
    memset(out, 0, sizeof *out);
    out->f_bsize = out->f_frsize = 4096;
    out->f_blocks = info.TotalBytes / 4096;
    out->f_bfree = out->f_bavail = info.FreeBytes / 4096;
    out->f_namelen = 255;
    return 0;
}

CALL(PxVolume)
{
    FileInfo info;
    Status status = SysGetPathInfo((const char *)a, &info);
    return status == StatusSuccess ? FillVolume((struct statfs *)b) : PxResult(status);
}

CALL(PxVolumeFile)
{
    Handle handle;
    long long result = PxGetHandle(a, &handle);
    return result ? result : FillVolume((struct statfs *)b);
}
