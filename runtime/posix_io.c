// posix_io.c - what is done with an open descriptor: reading, writing, seeking, asking about it,
// and terminals. Native calls move what they can at once; -errno says what went wrong, and after a
// part has been moved the error comes back with the next call.
// SPDX-License-Identifier: MIT
#include "posix_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#include "kstat.h"

// ---- reading and writing

// Whether a read or write of O_NONBLOCK would have to wait. One that uses the same end of a pipe at
// the same time can still make it wait.
static bool MustNotWait(const Descriptor *entry)
{
    return (entry->Flags & O_NONBLOCK) && entry->Kind != 0 &&
           SysWaitForSingleObject(entry->Handle, 0) == StatusTimeout;
}

static long long ReadOnce(const Descriptor *entry, void *buffer, size_t size)
{
    uint64_t transferred = 0;
    if (entry->Type == DescriptorNull)
        return 0;
    if (entry->Type == DescriptorDirectory)
        return -EISDIR;
    if (MustNotWait(entry))
        return -EAGAIN;
    if (size > INT_MAX)
        size = INT_MAX;
    Status status = SysReadFile(entry->Handle, buffer, size, &transferred);
    if (status == StatusAccessDenied)
        return -EBADF;
    return status == StatusSuccess ? (long long)transferred : PxResult(status);
}

// As much as goes into a pipe without waiting: it is ready as long as it has room for PIPE_BUF.
static long long WriteWhatFits(const Descriptor *entry, const char *buffer, size_t size)
{
    size_t total = 0;
    while (total < size && !MustNotWait(entry)) {
        uint64_t transferred = 0;
        size_t part = size - total < PIPE_BUF ? size - total : PIPE_BUF;
        Status status = SysWriteFile(entry->Handle, buffer + total, part, &transferred);
        total += transferred;
        if (status != StatusSuccess)
            return total ? (long long)total : PxResult(status);
    }
    return total || !size ? (long long)total : -EAGAIN;
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
    if ((entry->Flags & O_NONBLOCK) && entry->Kind == KindPipe)
        return WriteWhatFits(entry, buffer, size);
    Status status = SysWriteFile(entry->Handle, buffer, size, &transferred);
    if (transferred)
        return (long long)transferred; // the error comes back with the next call
    if (status == StatusAccessDenied)
        return -EBADF;
    return PxResult(status);
}

long long PxRead(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = PxFind(a);
    return entry ? ReadOnce(entry, (void *)b, (size_t)c) : -EBADF;
}

long long PxWrite(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = PxFind(a);
    return entry ? WriteAll(entry, (const void *)b, (size_t)c) : -EBADF;
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

#define AT_POSITION (-1ll) // where the file position is

// One call per piece, until one comes back short. place: in the file, or AT_POSITION.
static long long Scatter(const Descriptor *entry, const struct iovec *pieces, long long count,
                         long long place, bool write)
{
    long long total = 0;
    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    for (long long i = 0; i < count; i++) {
        void *buffer = pieces[i].iov_base;
        size_t length = pieces[i].iov_len;
        if (length == 0)
            continue;
        long long result = place != AT_POSITION
                               ? TransferAt(entry, (uint64_t)(place + total), buffer, length, write)
                           : write ? WriteAll(entry, buffer, length)
                                   : ReadOnce(entry, buffer, length);
        if (result < 0)
            return total ? total : result;
        total += result;
        if ((size_t)result < length)
            break;
    }
    return total;
}

// Whether the pieces of a write fit into one of the size that a pipe keeps in one piece.
static bool FitOneWrite(const struct iovec *pieces, long long count)
{
    size_t total = 0;
    for (long long i = 0; i < count; i++) {
        if (pieces[i].iov_len > PIPE_BUF - total)
            return false;
        total += pieces[i].iov_len;
    }
    return total != 0;
}

static long long WriteGathered(const Descriptor *entry, const struct iovec *pieces, long long count)
{
    char buffer[PIPE_BUF];
    size_t total = 0;
    for (long long i = 0; i < count; i++) {
        memcpy(buffer + total, pieces[i].iov_base, pieces[i].iov_len);
        total += pieces[i].iov_len;
    }
    return WriteAll(entry, buffer, total);
}

long long PxReadVector(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = PxFind(a);
    return entry ? Scatter(entry, (const struct iovec *)b, c, AT_POSITION, false) : -EBADF;
}
long long PxWriteVector(long long a, long long b, long long c, long long d, long long e,
                        long long f)
{
    const Descriptor *entry = PxFind(a);
    const struct iovec *pieces = (const struct iovec *)b;
    bool stream = entry && entry->Type == DescriptorFile && entry->Kind != 0;
    if (stream && c > 1 && c <= IOV_MAX && FitOneWrite(pieces, c))
        return WriteGathered(entry, pieces, c); // stdio's buffer and what does not fit into it
    return entry ? Scatter(entry, pieces, c, AT_POSITION, true) : -EBADF;
}

static long long ScatterAt(long long a, const struct iovec *pieces, long long count,
                           long long position, bool write)
{
    const Descriptor *entry = PxFind(a);
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || entry->Kind != 0)
        return entry->Type == DescriptorDirectory ? -EISDIR : -ESPIPE;
    return position < 0 ? -EINVAL : Scatter(entry, pieces, count, position, write);
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
    Descriptor *entry = PxFind(a);
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
    const Descriptor *entry = PxFind(a);
    if (!entry)
        return -EBADF;
    return entry->Type == DescriptorFile && entry->Kind == 0 ? PxResult(SysFlushFile(entry->Handle))
                                                             : 0;
}

long long PxResizeFile(long long a, long long b, long long c, long long d, long long e, long long f)
{
    const Descriptor *entry = PxFind(a);
    if (!entry)
        return -EBADF;
    if (entry->Type != DescriptorFile || b < 0)
        return -EINVAL;
    Status status = SysSetFileSize(entry->Handle, (uint64_t)b);
    if (status == StatusSharingViolation) // mapped, perhaps by us
        status = PxResizeMapped(entry->Handle, entry->Inode, (uint64_t)b);
    return PxResult(status);
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
    const Descriptor *entry = PxFind(a);
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
    const Descriptor *entry = PxFind(a);
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
    Descriptor *entry = PxFind(a);
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
    return PxFind(a) ? 0 : -EBADF;
}
