// posix_file.c - file descriptors over native handles: the table, opening and closing. posix_io.c
// has what is done with an open one.
//
// The table has a fixed number of entries; an entry is a handle and what the native side does not
// remember for us: whether it may be read or written, the path of a directory or file. Descriptors
// 0 to 2 start out as the process's standard handles; a process without them gets descriptors that
// read end of file and swallow what is written. Duplicates share the file position through
// DuplicateHandle. A file that is unlinked while it is open here keeps its name until its last
// descriptor is closed, as the file system has no nameless files. The table's lock guards taking
// and giving back entries only: closing a descriptor that another thread is using is the program's
// mistake, as everywhere.
// SPDX-License-Identifier: MIT
#include "posix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

constexpr size_t DescriptorCount = 1024;
static Descriptor descriptors[DescriptorCount];
static RtLock tableLock;

Descriptor *PxFind(long long number)
{
    if (number < 0 || (size_t)number >= DescriptorCount ||
        descriptors[number].Type == DescriptorFree)
        return nullptr;
    return &descriptors[number];
}

// Puts an entry at the lowest free number from `lowest` on; its number or -EMFILE.
static long long Install(const Descriptor *entry, long long lowest)
{
    long long number = -EMFILE;
    RtAcquire(&tableLock);
    for (size_t i = (size_t)lowest; i < DescriptorCount; i++) {
        if (descriptors[i].Type == DescriptorFree) {
            descriptors[i] = *entry;
            number = (long long)i;
            break;
        }
    }
    RtRelease(&tableLock);
    return number;
}

static bool IsOpen(uint64_t inode)
{
    for (size_t i = 0; i < DescriptorCount; i++)
        if (descriptors[i].Type == DescriptorFile && descriptors[i].Inode == inode)
            return true;
    return false;
}

static void Discard(Descriptor *entry)
{
    if (entry->Handle != InvalidHandle)
        (void)SysCloseHandle(entry->Handle);
    if (entry->Delete && !IsOpen(entry->Inode))
        (void)SysDeleteFile(entry->Path);
    free(entry->Path);
}

void RtInitializeFiles(void)
{
    const ProcessBlock *process = RtGetProcess();
    for (size_t i = 0; i < RT_COUNT_OF(process->StandardHandles); i++) {
        Descriptor *entry = &descriptors[i];
        FileInfo info;
        *entry = (Descriptor){.Type = DescriptorNull, .Flags = i ? O_WRONLY : O_RDONLY};
        Handle handle = process->StandardHandles[i];
        if (handle != InvalidHandle && SysGetFileInfo(handle, &info) == StatusSuccess) {
            entry->Type = DescriptorFile;
            entry->Handle = handle;
            entry->Kind = info.Kind;
        }
    }
}

long long PxGetHandle(long long number, Handle *handle)
{
    const Descriptor *entry = PxFind(number);
    if (!entry)
        return -EBADF;
    if (entry->Type == DescriptorNull)
        return -EINVAL;
    *handle = entry->Handle;
    return 0;
}

long long PxGetFile(long long number, Handle *handle, uint64_t *inode)
{
    const Descriptor *entry = PxFind(number);
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || entry->Kind != 0)
        return entry->Type == DescriptorDirectory ? -EACCES : -ENODEV;
    *handle = entry->Handle;
    *inode = entry->Inode;
    return 0;
}

// ---- paths
static bool IsAbsolute(const char *path)
{
    return *path == '/' || *path == '\\';
}

static char *MakeAbsolute(const char *path)
{
    char full[2 * MaximumPath] = "";
    if (!IsAbsolute(path) && SysGetCurrentDirectory(full, MaximumPath) != StatusSuccess)
        return nullptr;
    size_t length = strlen(full);
    snprintf(full + length, sizeof full - length, "%s%s",
             length && full[length - 1] != '/' ? "/" : "", path);
    return strdup(full);
}

long long PxResolveAt(long long directory, const char *path, char out[MaximumPath])
{
    if (!path)
        return -EFAULT;
    int length;
    if (directory == AT_FDCWD || IsAbsolute(path)) {
        length = snprintf(out, MaximumPath, "%s", path);
    } else {
        const Descriptor *entry = PxFind(directory);
        if (!entry)
            return -EBADF;
        if (entry->Type != DescriptorDirectory)
            return -ENOTDIR;
        length = snprintf(out, MaximumPath, "%s/%s", entry->Path, path);
    }
    return length < MaximumPath ? 0 : -ENAMETOOLONG;
}

// ---- open and close
static long long OpenDirectoryAt(const char *path, int flags)
{
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    Descriptor entry = {.Type = DescriptorDirectory, .Flags = flags, .Inode = PxGetInode(path)};
    Status status = SysOpenDirectory(path, &entry.Handle);
    if (status != StatusSuccess)
        return PxResult(status);
    entry.Path = MakeAbsolute(path);
    long long number = entry.Path ? Install(&entry, 0) : -ENOMEM;
    if (number < 0)
        Discard(&entry);
    return number;
}

static uint32_t GetAccess(int flags)
{
    static const uint32_t access[] = {
        [O_RDONLY] = FileRead, [O_WRONLY] = FileWrite, [O_RDWR] = FileRead | FileWrite, [3] = 0};
    uint32_t result = access[flags & O_ACCMODE & 3];
    if ((flags & O_APPEND) && (result & FileWrite))
        result |= FileAppend;
    return result;
}

static FileDisposition GetDisposition(int flags)
{
    if (!(flags & O_CREAT))
        return FileOpenExisting;
    if (flags & O_EXCL)
        return FileCreateNew;
    return flags & O_TRUNC ? FileCreateAlways : FileOpenAlways;
}

static Status OpenFile(const char *path, int flags, Descriptor *entry)
{
    Status status = SysCreateFile(path, GetAccess(flags), GetDisposition(flags), &entry->Handle);
    if (status != StatusSuccess)
        return status;
    FileInfo info = {};
    (void)SysGetFileInfo(entry->Handle, &info);
    entry->Kind = info.Kind;
    bool cut = (flags & (O_TRUNC | O_CREAT)) == O_TRUNC && (flags & O_ACCMODE) != O_RDONLY &&
               info.Kind == 0;
    if (cut && (status = SysSetFileSize(entry->Handle, 0)) != StatusSuccess)
        (void)SysCloseHandle(entry->Handle);
    return status;
}

// open: path, flags, mode (which FAT cannot keep).
long long PxOpenAt(long long directory, long long b, long long c, long long d, long long e,
                   long long f)
{
    char path[MaximumPath];
    int flags = (int)c;
    long long result = PxResolveAt(directory, (const char *)b, path);
    if (result)
        return result;
    if (flags & O_DIRECTORY)
        return OpenDirectoryAt(path, flags);
    Descriptor entry = {.Type = DescriptorFile, .Flags = flags};
    if (!strcmp(path, "/dev/null")) {
        entry.Type = DescriptorNull;
        return Install(&entry, 0);
    }
    Status status = OpenFile(path, flags, &entry);
    if (status == StatusIsADirectory)
        return OpenDirectoryAt(path, flags);
    if (status != StatusSuccess)
        return PxResult(status);
    entry.Inode = PxGetInode(path);
    result = Install(&entry, 0);
    if (result < 0)
        Discard(&entry);
    return result;
}

bool PxDeleteWhenClosed(const char *path)
{
    uint64_t inode = PxGetInode(path);
    bool found = false;
    char *full = MakeAbsolute(path);
    if (!full)
        return false;
    RtAcquire(&tableLock);
    for (size_t i = 0; i < DescriptorCount; i++) {
        Descriptor *entry = &descriptors[i];
        if (entry->Type != DescriptorFile || entry->Inode != inode)
            continue;
        found = true;
        if (!entry->Path && (entry->Path = strdup(full)))
            entry->Delete = true;
    }
    RtRelease(&tableLock);
    free(full);
    return found;
}

void PxCloseAll(void)
{
    for (size_t i = 0; i < DescriptorCount; i++)
        if (descriptors[i].Delete)
            (void)PxClose((long long)i, 0, 0, 0, 0, 0);
}

long long PxClose(long long a, long long b, long long c, long long d, long long e, long long f)
{
    RtAcquire(&tableLock);
    Descriptor *entry = PxFind(a), closed = {};
    if (entry) {
        closed = *entry;
        *entry = (Descriptor){};
    }
    RtRelease(&tableLock);
    if (!entry)
        return -EBADF;
    Discard(&closed);
    return 0;
}

static long long Duplicate(long long from, Descriptor *copy)
{
    const Descriptor *entry = PxFind(from);
    if (!entry)
        return -EBADF;
    *copy = *entry;
    if (entry->Handle != InvalidHandle) {
        Status status = SysDuplicateHandle(CurrentProcess, entry->Handle, CurrentProcess,
                                           &copy->Handle, 0, DuplicateSameAccess);
        if (status != StatusSuccess)
            return PxResult(status);
    }
    if (entry->Path && !(copy->Path = strdup(entry->Path))) {
        Discard(copy);
        return -ENOMEM;
    }
    return 0;
}

static long long DuplicateFrom(long long from, long long lowest)
{
    Descriptor copy;
    if (lowest < 0 || (size_t)lowest >= DescriptorCount)
        return -EINVAL;
    long long number = Duplicate(from, &copy);
    if (number == 0 && (number = Install(&copy, lowest)) < 0)
        Discard(&copy);
    return number;
}

long long PxDup(long long a, long long b, long long c, long long d, long long e, long long f)
{
    return DuplicateFrom(a, 0);
}

long long PxDup2(long long from, long long to, long long c, long long d, long long e, long long f)
{
    Descriptor copy, old;
    if (to < 0 || (size_t)to >= DescriptorCount)
        return -EBADF;
    if (from == to)
        return PxFind(from) ? to : -EBADF;
    long long result = Duplicate(from, &copy);
    if (result)
        return result;
    RtAcquire(&tableLock);
    old = descriptors[to];
    descriptors[to] = copy;
    RtRelease(&tableLock);
    if (old.Type != DescriptorFree)
        Discard(&old);
    return to;
}

// pipe2: two descriptors, O_NONBLOCK or not.
long long PxPipe2(long long a, long long flags, long long c, long long d, long long e, long long f)
{
    int *ends = (int *)a, mode = (int)flags & O_NONBLOCK;
    Descriptor read = {.Type = DescriptorFile, .Kind = KindPipe, .Flags = O_RDONLY | mode};
    Descriptor write = {.Type = DescriptorFile, .Kind = KindPipe, .Flags = O_WRONLY | mode};
    Status status = SysCreatePipe(&read.Handle, &write.Handle);
    if (status != StatusSuccess)
        return PxResult(status);
    long long first = Install(&read, 0), second = first < 0 ? first : Install(&write, 0);
    if (second < 0) {
        if (first >= 0)
            (void)PxClose(first, 0, 0, 0, 0, 0);
        else
            Discard(&read);
        Discard(&write);
        return second;
    }
    ends[0] = (int)first;
    ends[1] = (int)second;
    return 0;
}

long long PxPipe(long long a, long long b, long long c, long long d, long long e, long long f)
{
    return PxPipe2(a, 0, c, d, e, f);
}

// The bytes a struct flock means, from the start of the file; false when it means none.
static bool GetRange(const Descriptor *entry, const struct flock *lock, uint64_t *start,
                     uint64_t *length)
{
    uint64_t base = 0;
    FileInfo info = {};
    if (lock->l_whence == SEEK_CUR)
        (void)SysSetFilePointer(entry->Handle, 0, FileCurrent, &base);
    else if (lock->l_whence == SEEK_END && SysGetFileInfo(entry->Handle, &info) == StatusSuccess)
        base = info.Size;
    else if (lock->l_whence != SEEK_SET)
        return false;
    int64_t first = (int64_t)base + lock->l_start, size = lock->l_len;
    if (size < 0) { // the bytes before
        first += size;
        size = -size;
    }
    *start = (uint64_t)first;
    *length = (uint64_t)size;
    return first >= 0;
}

// Locks of byte ranges; they belong to the process.
static long long LockPart(const Descriptor *entry, long long command, struct flock *lock)
{
    static const FileLockMode modes[] = {
        [F_RDLCK] = FileLockShared, [F_WRLCK] = FileLockExclusive, [F_UNLCK] = FileLockNone};
    uint64_t start, length;
    if (entry->Type != DescriptorFile || entry->Kind != 0 || lock->l_type < 0 ||
        (size_t)lock->l_type >= RT_COUNT_OF(modes) || !GetRange(entry, lock, &start, &length))
        return -EINVAL;
    FileLockMode mode = modes[lock->l_type];
    if (command != F_GETLK) {
        uint32_t timeout = command == F_SETLKW ? InfiniteTimeout : 0;
        Status status = SysLockFile(entry->Handle, start, length, mode, timeout);
        return status == StatusAccessDenied ? -EBADF : PxResult(status);
    }
    FileLock other;
    Status status = SysQueryFileLock(entry->Handle, start, length, mode, &other);
    if (status != StatusSuccess)
        return PxResult(status);
    if (other.Mode == FileLockNone) {
        lock->l_type = F_UNLCK;
        return 0;
    }
    *lock = (struct flock){.l_type = other.Mode == FileLockShared ? F_RDLCK : F_WRLCK,
                           .l_whence = SEEK_SET,
                           .l_start = (off_t)other.Offset,
                           .l_len = (off_t)other.Length,
                           .l_pid = (pid_t)other.ProcessId};
    return 0;
}

long long PxFcntl(long long a, long long command, long long argument, long long d, long long e,
                  long long f)
{
    Descriptor *entry = PxFind(a);
    if (!entry)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return DuplicateFrom(a, argument);
    case F_GETFL:
        return entry->Flags & (O_ACCMODE | O_APPEND | O_NONBLOCK);
    case F_SETFL:
        if ((argument ^ entry->Flags) & O_APPEND) // a right of the handle
            return -EINVAL;
        entry->Flags = (entry->Flags & ~O_NONBLOCK) | ((int)argument & O_NONBLOCK);
        return 0;
    case F_GETFD: // no descriptor is inherited: handles are passed one by one
        return FD_CLOEXEC;
    case F_SETFD:
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return LockPart(entry, command, (struct flock *)argument);
    }
    return -EINVAL;
}
