// posix.c - the C library: POSIX files; files as memory, between processes too; poll and select.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

static void TestDescriptors(void)
{
    char buffer[32] = {};
    struct stat status;
    int file = open(FOLDER "/posix", O_RDWR | O_CREAT | O_EXCL, 0666);
    if (!CHECK(file >= 3))
        return;
    EQUAL(open(FOLDER "/posix", O_RDWR | O_CREAT | O_EXCL, 0666), -1);
    EQUAL(errno, EEXIST);
    EQUAL(write(file, "0123456789", 10), 10);
    EQUAL(lseek(file, 2, SEEK_SET), 2);
    EQUAL(read(file, buffer, 3), 3);
    TEXT(buffer, "234");
    EQUAL(pread(file, buffer, 2, 8), 2);
    CHECK(!memcmp(buffer, "89", 2) && lseek(file, 0, SEEK_CUR) == 5);
    EQUAL(pwrite(file, "AB", 2, 0), 2);
    EQUAL(ftruncate(file, 4), 0);
    EQUAL(fstat(file, &status), 0);
    CHECK(status.st_size == 4 && S_ISREG(status.st_mode));
    int copy = dup(file);
    CHECK(copy > file);
    EQUAL(lseek(copy, 1, SEEK_SET), 1);
    EQUAL(lseek(file, 0, SEEK_CUR), 1); // one position
    EQUAL(dup2(copy, 100), 100);
    EQUAL(close(100), 0);
    EQUAL(close(copy), 0);
    EQUAL(fsync(file), 0);
    EQUAL(close(file), 0);
    EQUAL(close(file), -1);
    EQUAL(errno, EBADF);
    EQUAL(read(file, buffer, 1), -1);
    EQUAL(read(-1, buffer, 1), -1);
    EQUAL(write(1000000, buffer, 1), -1);
    EQUAL(stat(FOLDER "/posix", &status), 0);
    EQUAL(access(FOLDER "/posix", R_OK | W_OK), 0);
    EQUAL(access(FOLDER "/none", F_OK), -1);
    EQUAL(unlink(FOLDER "/posix"), 0);
    EQUAL(stat(FOLDER "/posix", &status), -1);
    EQUAL(errno, ENOENT);
    int ends[2];
    EQUAL(pipe(ends), 0);
    EQUAL(write(ends[1], "pipe", 4), 4);
    EQUAL(read(ends[0], buffer, sizeof buffer), 4);
    EQUAL(lseek(ends[0], 0, SEEK_CUR), -1);
    EQUAL(close(ends[1]), 0);
    EQUAL(read(ends[0], buffer, 1), 0);
    EQUAL(close(ends[0]), 0);
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0 && write(null, "x", 1) == 1 && read(null, buffer, 1) == 0);
    EQUAL(close(null), 0);
    EQUAL(isatty(null), 0);
}

static void TestFolders(void)
{
    char path[1024];
    struct stat status;
    EQUAL(mkdir(FOLDER "/folder", 0777), 0);
    EQUAL(mkdir(FOLDER "/folder", 0777), -1);
    EQUAL(errno, EEXIST);
    EQUAL(stat(FOLDER "/folder", &status), 0);
    CHECK(S_ISDIR(status.st_mode));
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, FOLDER "/folder/file%02d", i);
        FILE *file = fopen(path, "w");
        if (file)
            fclose(file);
    }
    DIR *directory = opendir(FOLDER "/folder");
    if (CHECK(directory)) {
        struct dirent *entry;
        unsigned seen = 0;
        while ((entry = readdir(directory)))
            if (!strncmp(entry->d_name, "file", 4) && entry->d_type == DT_REG)
                seen |= 1u << atoi(entry->d_name + 4);
        EQUAL(seen, (1u << 30) - 1);
        rewinddir(directory);
        CHECK(readdir(directory) != nullptr);
        EQUAL(closedir(directory), 0);
    }
    CHECK(!opendir(FOLDER "/none") && errno == ENOENT);
    CHECK(!opendir(FOLDER "/folder/file00") && errno == ENOTDIR);
    EQUAL(rmdir(FOLDER "/folder"), -1);
    EQUAL(errno, ENOTEMPTY);
    EQUAL(chdir(FOLDER "/folder"), 0);
    TEXT(getcwd(path, sizeof path), FOLDER "/folder");
    CHECK(!getcwd(path, 4) && errno == ERANGE);
    EQUAL(access("file00", F_OK), 0);
    TEXT(realpath("../folder/file01", path), FOLDER "/folder/file01");
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "file%02d", i);
        EQUAL(remove(path), 0);
    }
    EQUAL(chdir("/"), 0);
    EQUAL(rmdir(FOLDER "/folder"), 0);
}

static volatile sig_atomic_t signalled;
static void OnSignal(int number)
{
    signalled = number;
}

static sem_t rung;
static void OnAlarm(int number)
{
    EQUAL(number, SIGALRM);
    sem_post(&rung);
}

// Alarms come once, again and again, not when they are taken back; the time left is told.
static void TestAlarms(void)
{
    const struct itimerval soon = {.it_value.tv_usec = 2000},
                           often = {.it_value.tv_usec = 1000, .it_interval.tv_usec = 1000},
                           never = {}, wrong = {.it_value.tv_usec = 1000000};
    struct itimerval left;
    EQUAL(sem_init(&rung, 0, 0), 0);
    signal(SIGALRM, OnAlarm);
    EQUAL(alarm(1000), 0);
    EQUAL(getitimer(ITIMER_REAL, &left), 0);
    CHECK(left.it_value.tv_sec > 900 && left.it_value.tv_sec <= 1000);
    CHECK(alarm(0) > 900);
    EQUAL(alarm(0), 0);
    if (CHECK(setitimer(ITIMER_REAL, &soon, nullptr) == 0))
        EQUAL(sem_wait(&rung), 0);
    EQUAL(getitimer(ITIMER_REAL, &left), 0);
    CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    bool set = CHECK(setitimer(ITIMER_REAL, &often, nullptr) == 0);
    for (int i = 0; i < 5 && set; i++)
        EQUAL(sem_wait(&rung), 0);
    EQUAL(setitimer(ITIMER_REAL, &never, &left), 0);
    EQUAL(setitimer(ITIMER_REAL, &wrong, nullptr), -1);
    EQUAL(errno, EINVAL);
    EQUAL(setitimer(ITIMER_PROF, &soon, nullptr), -1);
    signal(SIGALRM, SIG_IGN); // one may be under way
}

void TestPosix(void)
{
    struct utsname name;
    TestDescriptors();
    TestFolders();
    EQUAL(uname(&name), 0);
    TEXT(name.sysname, "MetalOS");
    EQUAL(getpid(), GetCurrentProcessId());
    EQUAL(sysconf(_SC_PAGESIZE), 4096);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    signal(SIGUSR1, OnSignal);
    EQUAL(raise(SIGUSR1), 0);
    EQUAL(signalled, SIGUSR1);
    TestAlarms();
    unsigned char random[32] = {}, zero[32] = {};
    EQUAL(getentropy(random, sizeof random), 0);
    CHECK(memcmp(random, zero, sizeof zero) != 0);
    CHECK(environ != nullptr);
    char template[] = FOLDER "/tmpXXXXXX";
    int file = mkstemp(template);
    CHECK(file >= 0);
    EQUAL(close(file), 0);
}

// ---- files as memory, poll

#define FILE_NAME FOLDER "/mapped"
constexpr size_t Page = 4096;

static char *MapPart(int file, int protection, size_t size, off_t offset)
{
    char *base = mmap(nullptr, size, protection, MAP_SHARED, file, offset);
    return CHECK(base != MAP_FAILED) ? base : nullptr;
}

static void TestCoherence(int file)
{
    char text[8] = "";
    char *first = MapPart(file, PROT_READ | PROT_WRITE, 3 * Page, 0),
         *second = MapPart(file, PROT_READ, Page, 2 * (off_t)Page);
    if (!first || !second)
        return;
    CHECK(first[2 * Page] == 0 && second[0] == 0);
    strcpy(first + 2 * Page, "view");
    TEXT(second, "view");
    EQUAL(pread(file, text, 5, 2 * (off_t)Page), 5); // without msync
    TEXT(text, "view");
    EQUAL(pwrite(file, "file", 5, 2 * (off_t)Page), 5);
    TEXT(second, "file");
    EQUAL(msync(first, 3 * Page, MS_SYNC), 0);
    // Made shorter and longer again while it is mapped.
    EQUAL(ftruncate(file, 2 * (off_t)Page), 0);
    strcpy(first + Page, "kept");
    EQUAL(ftruncate(file, 3 * (off_t)Page), 0);
    TEXT(first + Page, "kept");
    EQUAL(pread(file, text, 1, 2 * (off_t)Page), 1);
    EQUAL(text[0], 0);
    EQUAL(mprotect(first, Page, PROT_READ), 0);
    EQUAL(munmap(second, Page), 0);
    EQUAL(munmap(first, 3 * Page), 0);
}

static void TestRefusals(int file)
{
    int reader = open(FILE_NAME, O_RDONLY);
    CHECK(reader >= 0);
    errno = 0;
    CHECK(mmap(nullptr, Page, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
    EQUAL(errno, EACCES);
    char *copy = mmap(nullptr, Page, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
    if (CHECK(copy != MAP_FAILED)) {
        strcpy(copy, "mine");
        char text[5] = "";
        EQUAL(pread(file, text, 5, 0), 5);
        CHECK(strcmp(text, "mine") != 0);
        EQUAL(munmap(copy, Page), 0);
    }
    CHECK(mmap(nullptr, Page, PROT_READ, MAP_SHARED, file, 64 * (off_t)Page) == MAP_FAILED);
    EQUAL(errno, ENXIO); // beyond the file's end
    CHECK(mmap(nullptr, Page, PROT_READ, MAP_SHARED, file, 1) == MAP_FAILED);
    EQUAL(errno, EINVAL);
    EQUAL(close(reader), 0);
}

// The child answers in the memory both have, under a lock of the file both know.
int MappingChild(void)
{
    int file = open(FILE_NAME, O_RDWR);
    char *view = mmap(nullptr, Page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
    if (file < 0 || view == MAP_FAILED || strcmp(view, "question") != 0)
        return 1;
    if (fcntl(file, F_SETLK, &lock) == 0 || errno != EAGAIN) // the parent has it
        return 2;
    errno = 0;
    if (ftruncate(file, 10) == 0 || errno != EBUSY) // it is mapped there
        return 3;
    (void)close(file); // the view stays
    errno = 0;
    if (unlink(FILE_NAME) == 0 || errno != EBUSY) // somebody else has it open
        return 4;
    strcpy(view, "answer");
    return 0;
}

static void TestTwoProcesses(int file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 105, .l_len = 1};
    char *view = MapPart(file, PROT_READ | PROT_WRITE, Page, 0);
    if (!view)
        return;
    strcpy(view, "question");
    EQUAL(fcntl(file, F_SETLK, &lock), 0);
    EQUAL(RunChild("mapping"), 0);
    TEXT(view, "answer");
    EQUAL(munmap(view, Page), 0);
}

void TestMappings(void)
{
    int file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (!CHECK(file >= 0))
        return;
    CHECK(mmap(nullptr, Page, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED);
    EQUAL(errno, ENXIO); // it is empty
    EQUAL(ftruncate(file, 3 * (off_t)Page), 0);
    TestCoherence(file);
    TestRefusals(file);
    TestTwoProcesses(file);
    EQUAL(close(file), 0);
    EQUAL(unlink(FILE_NAME), 0);
}

static volatile int constructed;
__attribute__((constructor)) static void Construct(void)
{
    constructed++;
}

static void *WriteLater(void *end)
{
    Sleep(30);
    return (void *)write(*(int *)end, "x", 1);
}

void TestPoll(void)
{
    int ends[2];
    EQUAL(constructed, 1); // before main
    if (!EQUAL(pipe(ends), 0))
        return;
    struct pollfd both[] = {{.fd = ends[0], .events = POLLIN | POLLOUT},
                            {.fd = ends[1], .events = POLLIN | POLLOUT}};
    EQUAL(poll(both, 1, 0), 0); // nothing to read
    uint64_t start = GetMonotonicTime();
    EQUAL(poll(both, 1, 30), 0);
    CHECK(GetMonotonicTime() - start >= 30000000);
    EQUAL(poll(both, 2, -1), 1); // room to write
    CHECK(both[0].revents == 0 && both[1].revents == POLLOUT);
    pthread_t thread;
    void *written;
    if (EQUAL(pthread_create(&thread, nullptr, WriteLater, &ends[1]), 0)) {
        EQUAL(poll(both, 1, 10000), 1); // until it is written
        EQUAL(both[0].revents, POLLIN);
        EQUAL(pthread_join(thread, &written), 0);
        EQUAL((intptr_t)written, 1);
    }
    fd_set readers, writers;
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(ends[0], &readers);
    FD_SET(ends[1], &writers);
    EQUAL(pselect(ends[1] + 1, &readers, &writers, nullptr, nullptr, nullptr), 2);
    EQUAL(select(ends[1] + 1, &readers, &writers, nullptr, &(struct timeval){1, 0}), 2);
    CHECK(FD_ISSET(ends[0], &readers) && FD_ISSET(ends[1], &writers));
    static char block[65536]; // as much as a pipe holds; a byte is in it
    EQUAL(write(ends[1], block, sizeof block - 1), sizeof block - 1);
    EQUAL(poll(&both[1], 1, 0), 0); // full
    EQUAL(close(ends[1]), 0);
    ssize_t got = 1;
    while (got > 0 && EQUAL(poll(both, 1, -1), 1)) // to the end, which can be read as well
        got = read(ends[0], block, sizeof block);
    EQUAL(got, 0);
    EQUAL(close(ends[0]), 0);
    EQUAL(poll(both, 1, 0), 1);
    EQUAL(both[0].revents, POLLNVAL);
    int file = open(FILE_NAME, O_RDWR | O_CREAT, 0600);
    struct pollfd disk = {.fd = file, .events = POLLIN | POLLOUT};
    if (!CHECK(file >= 0)) // which nothing would ever happen to
        return;
    EQUAL(poll(&disk, 1, -1), 1); // at any time
    EQUAL(disk.revents, POLLIN | POLLOUT);
    EQUAL(close(file), 0);
}
