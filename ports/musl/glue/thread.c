// POSIX threads over the native ones. Replaces musl's pthread_create, _join and _detach.
//
// Every thread of the process, however it was made, has a struct pthread and is on one circular
// list (guarded by __tl_lock), so that pthread_self, errno, locale and thread-specific data work in
// all of them. A thread made by pthread_create keeps its struct until it is joined or, detached,
// until it ends; any other thread gives it back when it ends. There is no cancellation.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "libc.h"
#include "pthread_impl.h"
#include "stdio_impl.h"

#include <limits.h>
#include <string.h>
#include <threads.h>

typedef struct CrtThread {
    struct pthread Pthread;
    uint32_t Handle; // of a thread that can still be joined
    bool Native;     // not made by pthread_create
    void *(*Entry)(void *);
    void *Argument;
    char Name[16];
    bool C11;
    void *Specific[PTHREAD_KEYS_MAX];
} CrtThread;

volatile int __thread_list_lock;
static int listLockDepth;
static int listLockWaiters;
static CrtThread *listHead;

unsigned __default_stacksize = 1 << 20;
unsigned __default_guardsize = 0;

void __tl_lock(void)
{
    int tid = __pthread_self()->tid, owner = __thread_list_lock;
    if (owner == tid) {
        listLockDepth++;
        return;
    }
    while ((owner = a_cas(&__thread_list_lock, 0, tid)))
        __wait(&__thread_list_lock, &listLockWaiters, owner, 1);
}

void __tl_unlock(void)
{
    if (listLockDepth) {
        listLockDepth--;
        return;
    }
    a_store(&__thread_list_lock, 0);
    if (listLockWaiters)
        __wake(&__thread_list_lock, 1, 1);
}

// musl keeps threads from starting while it changes the default attributes; here those are
// constants.
void __acquire_ptc(void) {}

void __release_ptc(void) {}

size_t CrtThreadSize(void)
{
    return (sizeof(CrtThread) + 15) & ~(size_t)15;
}

void CrtPrepareThread(void *data, bool first)
{
    CrtThread *thread = data;
    struct pthread *self = &thread->Pthread;
    self->self = self;
    self->next = self->prev = self;
    self->locale = &libc.global_locale;
    self->robust_list.head = &self->robust_list.head;
    self->tsd = first ? __pthread_tsd_main : thread->Specific;
    self->detach_state = DT_JOINABLE;
    thread->Native = true;
}

void CrtEnterThread(void *data, uint32_t threadId)
{
    CrtThread *thread = data;
    struct pthread *self = &thread->Pthread;
    self->tid = threadId;
    __tl_lock();
    if (listHead) {
        struct pthread *head = &listHead->Pthread;
        self->next = head;
        self->prev = head->prev;
        head->prev->next = self;
        head->prev = self;
    } else {
        listHead = thread;
    }
    __tl_unlock();
}

static void ReleaseRobustMutexes(struct pthread *self)
{
    volatile void *volatile *link;
    while ((link = self->robust_list.head) && link != &self->robust_list.head) {
        pthread_mutex_t *mutex = (void *)((char *)link - offsetof(pthread_mutex_t, _m_next));
        int waiters = mutex->_m_waiters;
        self->robust_list.head = *link;
        int contended = a_swap(&mutex->_m_lock, 0x40000000);
        if (contended < 0 || waiters)
            __wake(&mutex->_m_lock, 1, 1);
    }
}

void CrtLeaveThread(void *data)
{
    CrtThread *thread = data;
    struct pthread *self = &thread->Pthread;
    __pthread_tsd_run_dtors();
    ReleaseRobustMutexes(self);
    __do_orphaned_stdio_locks();
    __tl_lock();
    if (listHead == thread)
        listHead = self->next == self ? 0 : (CrtThread *)self->next;
    self->next->prev = self->prev;
    self->prev->next = self->next;
    self->next = self->prev = self;
    __tl_unlock();
}

bool CrtOwnsNoThread(void *data)
{
    CrtThread *thread = data;
    if (thread->Native)
        return true;
    return a_cas(&thread->Pthread.detach_state, DT_JOINABLE, DT_EXITING) == DT_DETACHED;
}

static uint32_t PthreadMain(void *argument)
{
    CrtThread *thread = argument;
    if (thread->C11) {
        int (*entry)(void *) = (int (*)(void *))(void *)thread->Entry;
        __pthread_exit((void *)(intptr_t)entry(thread->Argument));
    }
    __pthread_exit(thread->Entry(thread->Argument));
}

_Noreturn void __pthread_exit(void *result)
{
    struct pthread *self = __pthread_self();
    self->result = result;
    while (self->cancelbuf) {
        struct __ptcb *cleanup = self->cancelbuf;
        self->cancelbuf = cleanup->__next;
        cleanup->__f(cleanup->__x);
    }
    RtExitThread((uint32_t)(uintptr_t)result);
}

void __do_cleanup_push(struct __ptcb *cleanup)
{
    struct pthread *self = __pthread_self();
    cleanup->__next = self->cancelbuf;
    self->cancelbuf = cleanup;
}

void __do_cleanup_pop(struct __ptcb *cleanup)
{
    __pthread_self()->cancelbuf = cleanup->__next;
}

int __pthread_create(pthread_t *restrict result, const pthread_attr_t *restrict attributes,
                     void *(*entry)(void *), void *restrict argument)
{
    bool c11 = attributes == __ATTRP_C11_THREAD;
    bool detached = attributes && !c11 && attributes->_a_detach;
    size_t stackSize = attributes && !c11 ? attributes->_a_stacksize : 0;
    CrtThread *thread = RtAllocateThread();
    if (!thread)
        return EAGAIN;
    thread->Native = false;
    thread->Entry = entry;
    thread->Argument = argument;
    thread->C11 = c11;
    // Detached only once the handle is closed, so that the thread cannot free its data before.
    *result = &thread->Pthread;
    int error = RtStartThread(thread, PthreadMain, thread,
                              stackSize ? stackSize : __default_stacksize, &thread->Handle);
    if (error) {
        RtFreeThread(thread);
        return EAGAIN;
    }
    return detached ? pthread_detach(&thread->Pthread) : 0;
}

int pthread_join(pthread_t target, void **result)
{
    CrtThread *thread = (CrtThread *)target;
    if (target == __pthread_self())
        return EDEADLK;
    if (target->detach_state == DT_DETACHED)
        return EINVAL;
    RtWaitThread(thread->Handle);
    if (result)
        *result = target->result;
    RtFreeThread(thread);
    return 0;
}

int pthread_detach(pthread_t target)
{
    CrtThread *thread = (CrtThread *)target;
    uint32_t handle = thread->Handle;
    if (thread->Native)
        return EINVAL;
    if (a_cas(&target->detach_state, DT_JOINABLE, DT_DETACHED) != DT_JOINABLE)
        return pthread_join(target, 0); // it is ending: wait those few instructions
    RtCloseThread(handle);
    return 0;
}

// For debuggers.
int pthread_setname_np(pthread_t target, const char *name)
{
    CrtThread *thread = (CrtThread *)target;
    if (strlen(name) >= sizeof thread->Name)
        return ERANGE;
    strcpy(thread->Name, name);
    return 0;
}

int pthread_getname_np(pthread_t target, char *name, size_t size)
{
    CrtThread *thread = (CrtThread *)target;
    if (size < sizeof thread->Name)
        return ERANGE;
    strcpy(name, thread->Name);
    return 0;
}

// There is no fork to prepare for.
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return 0;
}

int thrd_create(thrd_t *result, thrd_start_t entry, void *argument)
{
    int error =
        __pthread_create(result, __ATTRP_C11_THREAD, (void *(*)(void *))(void *)entry, argument);
    return !error ? thrd_success : error == EAGAIN ? thrd_nomem : thrd_error;
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    if (pthread_join(thread, &value))
        return thrd_error;
    if (result)
        *result = (int)(intptr_t)value;
    return thrd_success;
}

_Noreturn void thrd_exit(int result)
{
    __pthread_exit((void *)(intptr_t)result);
}

weak_alias(__pthread_create, pthread_create);
weak_alias(__pthread_exit, pthread_exit);
weak_alias(pthread_detach, thrd_detach);
