// posix_file.c - file descriptors over native handles.
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
#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#include "kstat.h"

constexpr size_t DescriptorCount = 1024;
constexpr uint32_t KindPipe = 1, KindDevice = 2; // FileInfo.Kind

typedef enum DescriptorType {
    DescriptorFree,
    DescriptorNull, // reads end of file, swallows writes
    DescriptorFile,
    DescriptorDirectory,
} DescriptorType;

typedef struct Descriptor {
    DescriptorType Type;
    uint32_t Kind; // FileInfo.Kind
    int Flags;     // O_... of open, and FD_CLOEXEC is ignored
    Handle Handle;
    uint64_t Inode;
    int64_t Entries; // directories: how many have been read
    char *Path;      // of directories, and of files to be deleted when closed
    bool Delete;     // unlinked while open
} Descriptor;

static Descriptor descriptors[DescriptorCount];
static RtLock tableLock;

static Descriptor *Find(long long number)
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
    const Descriptor *entry = Find(number);
    if (!entry)
        return -EBADF;
    if (entry->Type == DescriptorNull)
        return -EINVAL;
    *handle = entry->Handle;
    return 0;
}

long long PxGetFile(long long number, Handle *handle, uint64_t *inode)
{
    const Descriptor *entry = Find(number);
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
        const Descriptor *entry = Find(directory);
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
    PxWriteBackMappings();
    for (size_t i = 0; i < DescriptorCount; i++)
        if (descriptors[i].Delete)
            (void)PxClose((long long)i, 0, 0, 0, 0, 0);
}

long long PxClose(long long a, long long b, long long c, long long d, long long e, long long f)
{
    RtAcquire(&tableLock);
    Descriptor *entry = Find(a), closed = {};
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
    const Descriptor *entry = Find(from);
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
        return Find(from) ? to : -EBADF;
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

long long PxPipe(long long a, long long b, long long c, long long d, long long e, long long f)
{
    int *ends = (int *)a;
    Descriptor read = {.Type = DescriptorFile, .Kind = KindPipe, .Flags = O_RDONLY};
    Descriptor write = {.Type = DescriptorFile, .Kind = KindPipe, .Flags = O_WRONLY};
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
    Descriptor *entry = Find(a);
    if (!entry)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return DuplicateFrom(a, argument);
    case F_GETFL:
        return entry->Flags & (O_ACCMODE | O_APPEND);
    case F_GETFD: // no descriptor is inherited: handles are passed one by one
        return FD_CLOEXEC;
    case F_SETFD:
    case F_SETFL:
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return LockPart(entry, command, (struct flock *)argument);
    }
    return -EINVAL;
}

// ---- reading and writing
static long long ReadOnce(const Descriptor *entry, void *buffer, size_t size)
{
    uint64_t transferred = 0;
    if (entry->Type == DescriptorNull)
        return 0;
    if (entry->Type == DescriptorDirectory)
        return -EISDIR;
    if (size > INT_MAX)
        size = INT_MAX;
    Status status = SysReadFile(entry->Handle, buffer, size, &transferred);
    if (status == StatusAccessDenied)
        return -EBADF;
    return status == StatusSuccess ? (long long)transferred : PxResult(status);
}

static long long WriteAll(const Descriptor *entry, const void *buffer, size_t size)
{
    uint64_t transferred = 0;
    if (entry->Type == DescriptorNull)
        return (long long)size;
    if (entry->Type == DescriptorDirectory)
        return -EBADF;
    if (size > INT_MAX)
        size = INT_MAX;
    Status status = SysWriteFile(entry->Handle, buffer, size, &transferred);
    if (transferred)
        return (long long)transferred; // the error comes back with the next call
    if (status == StatusAccessDenied)
        return -EBADF;
    return PxResult(status);
}

long long PxRead(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = Find(a);
    return entry ? ReadOnce(entry, (void *)b, (size_t)c) : -EBADF;
}

long long PxWrite(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = Find(a);
    return entry ? WriteAll(entry, (const void *)b, (size_t)c) : -EBADF;
}

// One call per piece, until one comes back short.
static long long Scatter(long long a, long long b, long long c, bool write)
{
    const Descriptor *entry = Find(a);
    const struct iovec *pieces = (const struct iovec *)b;
    long long total = 0;
    if (!entry)
        return -EBADF;
    if (c < 0 || c > IOV_MAX)
        return -EINVAL;
    for (long long i = 0; i < c; i++) {
        size_t length = pieces[i].iov_len;
        if (!length)
            continue;
        long long result = write ? WriteAll(entry, pieces[i].iov_base, length)
                                 : ReadOnce(entry, pieces[i].iov_base, length);
        if (result < 0)
            return total ? total : result;
        total += result;
        if ((size_t)result < length)
            break;
    }
    return total;
}

long long PxReadVector(long long a, long long b, long long c, long long d, long long e, long long f)
{
    return Scatter(a, b, c, false);
}
long long PxWriteVector(long long a, long long b, long long c, long long d, long long e,
                        long long f)
{
    return Scatter(a, b, c, true);
}

// One piece at a place in the file; the file position is not looked at.
static long long TransferAt(const Descriptor *entry, uint64_t position, void *buffer, size_t size,
                            bool write)
{
    uint64_t transferred = 0;
    size = size > INT_MAX ? INT_MAX : size;
    Status status = write ? SysWriteFileAt(entry->Handle, position, buffer, size, &transferred)
                          : SysReadFileAt(entry->Handle, position, buffer, size, &transferred);
    if (transferred)
        return (long long)transferred;
    return status == StatusAccessDenied ? -EBADF : PxResult(status);
}

static long long ScatterAt(long long a, const struct iovec *pieces, long long count,
                           long long position, bool write)
{
    const Descriptor *entry = Find(a);
    long long total = 0;
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || entry->Kind != 0)
        return entry->Type == DescriptorDirectory ? -EISDIR : -ESPIPE;
    if (position < 0 || count < 0 || count > IOV_MAX)
        return -EINVAL;
    for (long long i = 0; i < count; i++) {
        size_t length = pieces[i].iov_len;
        long long result =
            TransferAt(entry, (uint64_t)(position + total), pieces[i].iov_base, length, write);
        if (result < 0)
            return total ? total : result;
        total += result;
        if ((size_t)result < length)
            break;
    }
    return total;
}

long long PxReadAt(long long a, long long b, long long c, long long d, long long e, long long f)
{
    return ScatterAt(a, &(struct iovec){(void *)b, (size_t)c}, 1, d, false);
}
long long PxWriteAt(long long a, long long b, long long c, long long d, long long e, long long f)
{
    return ScatterAt(a, &(struct iovec){(void *)b, (size_t)c}, 1, d, true);
}

// preadv and pwritev pass the position in two halves.
long long PxReadVectorAt(long long a, long long b, long long c, long long d, long long e,
                         long long f)
{
    return ScatterAt(a, (const struct iovec *)b, c, (d & 0xFFFFFFFF) | e << 32, false);
}

long long PxWriteVectorAt(long long a, long long b, long long c, long long d, long long e,
                          long long f)
{
    return ScatterAt(a, (const struct iovec *)b, c, (d & 0xFFFFFFFF) | e << 32, true);
}

// rewinddir and seekdir: a directory is read from its start again, up to the entry asked for.
static long long SeekDirectory(Descriptor *entry, int64_t offset, long long origin)
{
    DirectoryEntry skipped;
    Handle fresh;
    if (origin == SEEK_CUR && offset == 0)
        return entry->Entries;
    if (origin != SEEK_SET || offset < 0)
        return -EINVAL;
    Status status = SysOpenDirectory(entry->Path, &fresh);
    if (status != StatusSuccess)
        return PxResult(status);
    (void)SysCloseHandle(entry->Handle);
    entry->Handle = fresh;
    for (entry->Entries = 0; entry->Entries < offset; entry->Entries++)
        if (SysReadDirectory(fresh, &skipped) != StatusSuccess)
            break;
    return entry->Entries;
}

// _llseek: descriptor, offset in two halves, result, origin.
long long PxSeek(long long a, long long high, long long low, long long result, long long origin,
                 long long f)
{
    Descriptor *entry = Find(a);
    int64_t offset = (int64_t)((uint64_t)high << 32 | (uint32_t)low);
    uint64_t position = 0;
    if (!entry)
        return -EBADF;
    if (origin < SEEK_SET || origin > SEEK_END)
        return -EINVAL;
    if (entry->Type == DescriptorDirectory) {
        long long at = SeekDirectory(entry, offset, origin);
        if (at < 0)
            return at;
        position = (uint64_t)at;
    } else {
        if (entry->Type == DescriptorNull || entry->Kind != 0)
            return -ESPIPE;
        Status status = SysSetFilePointer(entry->Handle, offset, (uint32_t)origin, &position);
        if (status != StatusSuccess)
            return PxResult(status);
    }
    *(off_t *)result = (off_t)position;
    return 0;
}

// ---- the rest
long long PxFlush(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = Find(a);
    if (!entry)
        return -EBADF;
    return entry->Type == DescriptorFile && entry->Kind == 0 ? PxResult(SysFlushFile(entry->Handle))
                                                             : 0;
}

long long PxResizeFile(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = Find(a);
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || b < 0)
        return -EINVAL;
    return PxResult(SysSetFileSize(entry->Handle, (uint64_t)b));
}

// ---- terminals: termios over the console's mode
constexpr uint32_t RawMode = 0;

static void FillTermios(uint32_t mode, struct termios *out)
{
    *out = (struct termios){
        .c_iflag = mode & ConsoleLineInput ? ICRNL : 0,
        .c_oflag = mode & ConsoleNewLine ? OPOST | ONLCR : 0,
        .c_cflag = CS8 | CREAD,
        .c_lflag = (tcflag_t)((mode & ConsoleLineInput ? ICANON : 0) |
                              (mode & ConsoleEcho ? ECHO | ECHOE : 0) |
                              (mode & ConsoleInterrupt ? ISIG : 0)),
    };
    out->c_cc[VMIN] = 1;
    out->c_cc[VINTR] = 3;
    out->c_cc[VEOF] = 4;
    out->c_cc[VERASE] = 127;
}

static uint32_t ReadTermios(const struct termios *in)
{
    return (in->c_lflag & ICANON ? ConsoleLineInput : RawMode) |
           (in->c_lflag & ECHO ? ConsoleEcho : RawMode) |
           (in->c_lflag & ISIG ? ConsoleInterrupt : RawMode) |
           ((in->c_oflag & OPOST) && (in->c_oflag & ONLCR) ? ConsoleNewLine : RawMode);
}

long long PxIoctl(long long a, long long request, long long argument, long long d, long long e,
                  long long f)
{
    const Descriptor *entry = Find(a);
    ConsoleInfo info;
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || entry->Kind != KindDevice ||
        SysGetConsoleInfo(entry->Handle, &info) != StatusSuccess)
        return -ENOTTY;
    switch (request) {
    case TIOCGWINSZ:
        *(struct winsize *)argument = (struct winsize){.ws_row = (unsigned short)info.Rows,
                                                       .ws_col = (unsigned short)info.Columns};
        return 0;
    case TCGETS:
        FillTermios(info.Mode, (struct termios *)argument);
        return 0;
    case TCSETS:
    case TCSETS + 1: // TCSADRAIN
    case TCSETS + 2: // TCSAFLUSH
        return PxResult(
            SysSetConsoleMode(entry->Handle, ReadTermios((const struct termios *)argument)));
    }
    return -ENOTTY;
}

long long PxStatFile(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = Find(a);
    FileInfo info = {.Kind = KindDevice};
    if (!entry)
        return -EBADF;
    if (entry->Type == DescriptorDirectory) {
        Status status = SysGetPathInfo(entry->Path, &info);
        if (status != StatusSuccess)
            return PxResult(status);
    } else if (entry->Type == DescriptorFile) {
        Status status = SysGetFileInfo(entry->Handle, &info);
        if (status != StatusSuccess)
            return PxResult(status);
    }
    PxFillStat(&info, entry->Inode, (struct kstat *)b);
    return 0;
}

// getdents: as many entries as fit for certain.
long long PxReadDirectory(long long a, long long b, long long size, long long d, long long e,
                          long long f)
{
    Descriptor *entry = Find(a);
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorDirectory)
        return -ENOTDIR;
    long long used = 0;
    DirectoryEntry native;
    char path[2 * MaximumPath];
    while (size - used >= (long long)sizeof(struct dirent)) {
        Status status = SysReadDirectory(entry->Handle, &native);
        if (status == StatusNoMoreEntries)
            break;
        if (status != StatusSuccess)
            return used ? used : PxResult(status);
        struct dirent *out = (struct dirent *)(b + used);
        size_t length = strlen(native.Name);
        snprintf(path, sizeof path, "%s/%s", entry->Path, native.Name);
        out->d_ino = PxGetInode(path);
        out->d_off = ++entry->Entries;
        out->d_type = native.Info.Attributes & FileAttributeDirectory ? DT_DIR : DT_REG;
        memcpy(out->d_name, native.Name, length + 1);
        out->d_reclen =
            (unsigned short)((offsetof(struct dirent, d_name) + length + 1 + 7) & ~(size_t)7);
        used += out->d_reclen;
    }
    return used;
}

// utimensat: directory, path or nullptr, access and change time, flags. FAT keeps the latter.
long long PxSetTimes(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const struct timespec *times = (const struct timespec *)c,
                          *change = times ? &times[1] : nullptr;
    uint64_t monotonic, now = 0;
    (void)SysQueryTime(&monotonic, &now);
    if (change && change->tv_nsec == UTIME_OMIT)
        return 0;
    if (change && change->tv_nsec != UTIME_NOW) {
        if (change->tv_sec < 0 || change->tv_nsec < 0 || change->tv_nsec > 999999999)
            return -EINVAL;
        now = (uint64_t)change->tv_sec * 1000000000 + (uint64_t)change->tv_nsec;
    }
    if (!b) {
        Handle handle;
        uint64_t inode;
        long long result = PxGetFile(a, &handle, &inode);
        return result ? result : PxResult(SysSetFileTime(handle, now));
    }
    char path[MaximumPath];
    long long result = PxResolveAt(a, (const char *)b, path);
    if (result)
        return result;
    Handle file;
    Status status = SysCreateFile(path, FileWrite, FileOpenExisting, &file);
    if (status == StatusIsADirectory)
        return 0;
    if (status != StatusSuccess)
        return PxResult(status);
    status = SysSetFileTime(file, now);
    (void)SysCloseHandle(file);
    return PxResult(status);
}

// fallocate: descriptor, mode, offset, length.
long long PxAllocate(long long a, long long mode, long long offset, long long length, long long e,
                     long long f)
{
    Handle handle;
    uint64_t inode;
    FileInfo info;
    long long result = PxGetFile(a, &handle, &inode);
    if (result)
        return result;
    if (mode)
        return -EOPNOTSUPP;
    if (offset < 0 || length <= 0)
        return -EINVAL;
    Status status = SysGetFileInfo(handle, &info);
    uint64_t end = (uint64_t)offset + (uint64_t)length;
    if (status == StatusSuccess && end > info.Size)
        status = SysSetFileSize(handle, end);
    return PxResult(status);
}

// chown: files have no owners. Succeeds on what exists.
long long PxChangeOwner(long long a, long long b, long long c, long long d, long long e,
                        long long f)
{
    return Find(a) ? 0 : -EBADF;
}

// poll: descriptors, their number, milliseconds. Nothing here can be asked whether it would make a
// reader wait, so everything open is ready; without descriptors it sleeps.
long long PxPoll(long long a, long long count, long long timeout, long long d, long long e,
                 long long f)
{
    struct pollfd *asked = (struct pollfd *)a;
    long long ready = 0;
    for (long long i = 0; i < count; i++) {
        asked[i].revents = 0;
        if (asked[i].fd < 0)
            continue;
        constexpr short Data = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
        asked[i].revents = Find(asked[i].fd) ? (short)(asked[i].events & Data) : POLLNVAL;
        ready += asked[i].revents != 0;
    }
    if (!ready && timeout)
        (void)SysSleep(timeout < 0 ? InfiniteTimeout : (uint32_t)timeout);
    return ready;
}
