// alarm.c - setitimer's timer of real time, which alarm and ualarm set.
//
// A thread waits until the time has come and raises SIGALRM: a handler runs there, beside what the
// program does, and no call is interrupted. Without a handler the program ends. The thread is there
// while the timer is set, and no longer: a program ends with its last thread.
// SPDX-License-Identifier: MIT
#include "glue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define SECOND      1000000000ll
#define MICROSECOND 1000ll

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool prepared, running;   // lock
static int64_t deadline, period; // lock; nanoseconds, of CLOCK_MONOTONIC and long. 0: not set, once

static int64_t Now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static void *WaitForAlarms(void *unused)
{
    pthread_mutex_lock(&lock);
    while (deadline != 0) {
        struct timespec until = {.tv_sec = deadline / SECOND, .tv_nsec = (long)(deadline % SECOND)};
        if (Now() < deadline) {
            pthread_cond_timedwait(&changed, &lock, &until);
            continue;
        }
        int64_t next = deadline + period, now = Now();
        deadline = period == 0 ? 0 : next > now ? next : now + period; // late: not several at once
        pthread_mutex_unlock(&lock);
        raise(SIGALRM);
        pthread_mutex_lock(&lock);
    }
    running = false;
    pthread_mutex_unlock(&lock);
    return 0;
}

// The lock is held. The timer's thread, if there is none; 0 or an error.
static int StartThread(void)
{
    pthread_condattr_t clock;
    pthread_t thread;
    if (!prepared) {
        pthread_condattr_init(&clock);
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
        pthread_cond_init(&changed, &clock);
        prepared = true;
    }
    if (running) {
        pthread_cond_signal(&changed);
        return 0;
    }
    int error = pthread_create(&thread, 0, WaitForAlarms, 0);
    running = error == 0;
    if (running)
        pthread_detach(thread);
    return error;
}

static bool IsTime(const struct timeval *time)
{
    return time->tv_sec >= 0 && time->tv_sec <= INT64_MAX / SECOND / 4 && time->tv_usec >= 0 &&
           time->tv_usec < 1000000;
}

static int64_t ToNanoseconds(const struct timeval *time)
{
    return time->tv_sec * SECOND + time->tv_usec * MICROSECOND;
}

static struct timeval ToTime(int64_t nanoseconds)
{
    return (struct timeval){.tv_sec = nanoseconds / SECOND,
                            .tv_usec = (suseconds_t)(nanoseconds % SECOND / MICROSECOND)};
}

// The lock is held.
static struct itimerval Remaining(void)
{
    int64_t left = deadline == 0 ? 0 : deadline - Now();
    if (deadline != 0 && left < MICROSECOND) // 0 would say that it is not set
        left = MICROSECOND;
    return (struct itimerval){ToTime(period), ToTime(left)};
}

int getitimer(int which, struct itimerval *value)
{
    if (which != ITIMER_REAL) {
        errno = EINVAL;
        return -1;
    }
    pthread_mutex_lock(&lock);
    *value = Remaining();
    pthread_mutex_unlock(&lock);
    return 0;
}

int setitimer(int which, const struct itimerval *restrict value, struct itimerval *restrict old)
{
    if (which != ITIMER_REAL || !IsTime(&value->it_value) || !IsTime(&value->it_interval)) {
        errno = EINVAL;
        return -1;
    }
    int64_t first = ToNanoseconds(&value->it_value);
    pthread_mutex_lock(&lock);
    struct itimerval before = Remaining();
    int64_t oldDeadline = deadline, oldPeriod = period;
    deadline = first == 0 ? 0 : Now() + first;
    period = first == 0 ? 0 : ToNanoseconds(&value->it_interval);
    int error = first != 0 || running ? StartThread() : 0;
    if (error != 0) {
        deadline = oldDeadline;
        period = oldPeriod;
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) {
        errno = error;
        return -1;
    }
    if (old)
        *old = before;
    return 0;
}
