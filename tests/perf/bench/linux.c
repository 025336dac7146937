// linux.c - the benchmark's operations as Linux has them, at their cheapest: system calls
// themselves where the C library adds to them, a futex for an event, no slack for timers, no huge
// pages. The files lie in the initial file system, in memory.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM    "/init"
#define OUTPUT_ON  "\x0e" // what tools/metalos/console.py takes for programs' output
#define OUTPUT_OFF "\x0f"

enum { FrameBytes = 1280 * 800 * 4 };

static uint32_t *picture, *frameBuffer;

void PlatformStart(void)
{
    (void)mkdir("/dev", 0755);
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    printf(OUTPUT_ON);
}

void PlatformEnd(void)
{
    printf(OUTPUT_OFF "\n");
    fflush(stdout);
    (void)reboot(RB_POWER_OFF);
}

void PlatformFail(const char *what)
{
    printf("bench: failed: %s: %s\n", what, strerror(errno));
    PlatformEnd();
    exit(1);
}

static long Check(long result, const char *what)
{
    if (result < 0)
        PlatformFail(what);
    return result;
}

static long CallNumber(long number)
{
    __asm__ volatile("syscall" : "+a"(number)::"rcx", "r11", "memory");
    return number;
}

// ---- system calls
void PlatformNullCall(void)
{
    CallNumber(SYS_getppid);
}

void PlatformUnknownCall(void)
{
    CallNumber(100000);
}

void PlatformYield(void)
{
    sched_yield();
}

void PlatformSleepMillisecond(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, nullptr);
}

// ---- threads and processes
static void *EnterThread(void *argument)
{
    ((void (*)(void))argument)();
    return nullptr;
}

Object PlatformStartThread(void (*entry)(void))
{
    pthread_t thread;
    errno = pthread_create(&thread, nullptr, EnterThread, (void *)entry);
    Check(-errno, "pthread_create");
    return thread;
}

void PlatformJoinThread(Object thread)
{
    errno = pthread_join(thread, nullptr);
    Check(-errno, "pthread_join");
}

Object PlatformMakeEvent(void)
{
    atomic_uint *event = malloc(sizeof *event);
    atomic_init(event, 0);
    return (Object)event;
}

void PlatformSetEvent(Object object)
{
    atomic_uint *event = (atomic_uint *)object;
    atomic_store(event, 1);
    syscall(SYS_futex, event, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void PlatformWaitEvent(Object object)
{
    atomic_uint *event = (atomic_uint *)object;
    while (atomic_exchange(event, 0) == 0)
        syscall(SYS_futex, event, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

void PlatformMakePipe(Object *readEnd, Object *writeEnd)
{
    int ends[2];
    Check(pipe2(ends, O_CLOEXEC), "pipe2");
    *readEnd = (Object)ends[0];
    *writeEnd = (Object)ends[1];
}

Object PlatformStartProcess(const char *argument, Object input, Object output)
{
    pid_t process;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (input != 0)
        posix_spawn_file_actions_adddup2(&actions, (int)input, 0);
    if (output != 0)
        posix_spawn_file_actions_adddup2(&actions, (int)output, 1);
    char *const arguments[] = {(char *)PROGRAM, (char *)argument, nullptr};
    errno = posix_spawn(&process, PROGRAM, &actions, nullptr, arguments, environ);
    Check(-errno, "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    return (Object)process;
}

void PlatformJoinProcess(Object process)
{
    Check(waitpid((pid_t)process, nullptr, 0), "waitpid");
}

Object PlatformStandardInput(void)
{
    return 0;
}

Object PlatformStandardOutput(void)
{
    return 1;
}

// ---- memory
void *PlatformAllocate(size_t size)
{
    void *base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Check(base == MAP_FAILED ? -1 : 0, "mmap");
    return base;
}

void PlatformFree(void *base, size_t size)
{
    Check(munmap(base, size), "munmap");
}

void PlatformProtect(void *base, size_t size, Protection protection)
{
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    Check(mprotect(base, size, protections[protection]), "mprotect");
}

// ---- files
Object PlatformOpen(const char *name, bool create)
{
    return (Object)Check(open(name, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0644), "open");
}

void PlatformClose(Object file)
{
    Check(close((int)file), "close");
}

void PlatformDelete(const char *name)
{
    Check(unlink(name), "unlink");
}

void PlatformRewind(Object file)
{
    Check(lseek((int)file, 0, SEEK_SET), "lseek");
}

bool PlatformRead(Object file, void *buffer, size_t size)
{
    return Check(read((int)file, buffer, size), "read") > 0;
}

void PlatformWrite(Object file, const void *buffer, size_t size)
{
    Check(write((int)file, buffer, size), "write");
}

// ---- display
uint32_t *PlatformOpenScreen(void)
{
    int device = open("/dev/fb0", O_RDWR);
    struct fb_var_screeninfo info;
    if (device < 0 || ioctl(device, FBIOGET_VSCREENINFO, &info) < 0 || info.xres != 1280 ||
        info.yres != 800 || info.bits_per_pixel != 32)
        return nullptr;
    frameBuffer = mmap(nullptr, FrameBytes, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
    if (frameBuffer == MAP_FAILED)
        return nullptr;
    picture = PlatformAllocate(FrameBytes);
    return picture;
}

void PlatformShowScreen(void)
{
    memcpy(frameBuffer, picture, FrameBytes);
}

void PlatformCloseScreen(void)
{
    munmap(frameBuffer, FrameBytes);
    PlatformFree(picture, FrameBytes);
}

bool PlatformHasPointer(void)
{
    return false;
}

void PlatformOpenFrame(void) {}
