// tmpfile: the file system keeps an open file's name, so the name is removed when the program ends.
// SPDX-License-Identifier: MIT
#include "libc.h"
#include "lock.h"
#include "stdio_impl.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *__randname(char *);

#define TRIES    100
#define TEMPLATE "/tmp/tmpfile_XXXXXX"

typedef struct TemporaryFile {
    struct TemporaryFile *Next;
    char Path[sizeof TEMPLATE];
    FILE *File;
    int (*Close)(FILE *);
} TemporaryFile;

static TemporaryFile *files;
static volatile int filesLock[1];

// Called by fclose: closes, then removes the name.
static int CloseTemporary(FILE *file)
{
    LOCK(filesLock);
    TemporaryFile **link = &files;
    while (*link && (*link)->File != file)
        link = &(*link)->Next;
    TemporaryFile *entry = *link;
    if (entry)
        *link = entry->Next;
    UNLOCK(filesLock);
    if (!entry)
        return __stdio_close(file);
    int result = entry->Close(file);
    __syscall(SYS_unlink, entry->Path);
    free(entry);
    return result;
}

static void RemoveAll(void)
{
    LOCK(filesLock);
    for (TemporaryFile *entry = files; entry; entry = entry->Next) {
        __syscall(SYS_close, entry->File->fd);
        __syscall(SYS_unlink, entry->Path);
    }
    UNLOCK(filesLock);
}

static int OpenTemporary(char *path)
{
    __syscall(SYS_mkdir, "/tmp", 0777);
    for (int try = 0; try < TRIES; try++) {
        strcpy(path, TEMPLATE);
        __randname(path + sizeof TEMPLATE - 7);
        int fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

FILE *tmpfile(void)
{
    static volatile int registered[1];
    TemporaryFile *entry = malloc(sizeof *entry);
    if (!entry)
        return 0;
    int fd = OpenTemporary(entry->Path);
    FILE *file = fd < 0 ? 0 : __fdopen(fd, "w+");
    if (!file) {
        if (fd >= 0) {
            __syscall(SYS_close, fd);
            __syscall(SYS_unlink, entry->Path);
        }
        free(entry);
        return 0;
    }
    entry->File = file;
    entry->Close = file->close;
    file->close = CloseTemporary;
    LOCK(filesLock);
    entry->Next = files;
    files = entry;
    bool first = !registered[0];
    registered[0] = 1;
    UNLOCK(filesLock);
    if (first)
        atexit(RemoveAll);
    return file;
}
