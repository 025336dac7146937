// sync.c - system calls about events, semaphores, mutexes, timers, and waiting.
// SPDX-License-Identifier: MIT
#include "sysi.h"

static void DeleteMutex(void *body);
static void DeleteTimer(void *body);

static ObType EventType = {
    .Name = "event",
    .Kind = ObjectEvent,
    .Tag = MM_TAG('S', 'y', 'E', 'v'),
    .DispatcherOffset = offsetof(KEvent, Header),
};
static ObType SemaphoreType = {
    .Name = "semaphore",
    .Kind = ObjectSemaphore,
    .Tag = MM_TAG('S', 'y', 'S', 'e'),
    .DispatcherOffset = offsetof(KSemaphore, Header),
};
static ObType MutexType = {
    .Name = "mutex",
    .Kind = ObjectMutex,
    .Tag = MM_TAG('S', 'y', 'M', 'u'),
    .DispatcherOffset = offsetof(KMutant, Header),
    .Delete = DeleteMutex,
};
static ObType TimerType = {
    .Name = "timer",
    .Kind = ObjectTimer,
    .Tag = MM_TAG('S', 'y', 'T', 'i'),
    .DispatcherOffset = offsetof(KTimer, Header),
    .Delete = DeleteTimer,
};

static Status ReferenceForChange(Handle handle, ObType *type, void **body)
{
    return ObReferenceByHandle(SysiHandles(), handle, type, AccessModify, body);
}

// ---- events

Status SysCreateEvent(uint32_t manualReset, uint32_t initiallySet, UserPointer result)
{
    void *event;
    Status status = ObCreateObject(&EventType, sizeof(KEvent), &event);
    if (status != StatusSuccess)
        return status;
    KeInitializeEvent(event, manualReset != 0, initiallySet != 0);
    return SysiReturnHandle(event, AccessAll, result);
}

Status SysSetEvent(Handle handle)
{
    void *event;
    KIrql old;
    ObHandleTable *table = SysiHandles();
    Status status = ObEnterHandle(table, handle, &EventType, AccessModify, &event, &old);
    if (status != StatusSuccess)
        return status;
    KeSetEvent(event);
    ObLeaveHandle(table, old);
    return StatusSuccess;
}

Status SysResetEvent(Handle handle)
{
    void *event;
    KIrql old;
    ObHandleTable *table = SysiHandles();
    Status status = ObEnterHandle(table, handle, &EventType, AccessModify, &event, &old);
    if (status != StatusSuccess)
        return status;
    KeResetEvent(event);
    ObLeaveHandle(table, old);
    return StatusSuccess;
}

// ---- semaphores

Status SysCreateSemaphore(uint32_t count, uint32_t maximum, UserPointer result)
{
    if (maximum == 0 || maximum > INT32_MAX || count > maximum)
        return StatusInvalidParameter;
    void *semaphore;
    Status status = ObCreateObject(&SemaphoreType, sizeof(KSemaphore), &semaphore);
    if (status != StatusSuccess)
        return status;
    KeInitializeSemaphore(semaphore, (int32_t)count, (int32_t)maximum);
    return SysiReturnHandle(semaphore, AccessAll, result);
}

Status SysReleaseSemaphore(Handle handle, uint32_t count, UserPointer result)
{
    if (count == 0 || count > INT32_MAX)
        return StatusInvalidParameter;
    if (result != 0 && MmCheckUserRange(result, sizeof(int32_t)) != StatusSuccess)
        return StatusInvalidAddress;
    void *semaphore;
    Status status = ReferenceForChange(handle, &SemaphoreType, &semaphore);
    if (status != StatusSuccess)
        return status;
    int32_t previous;
    status = KeReleaseSemaphore(semaphore, (int32_t)count, &previous);
    ObDereference(semaphore);
    if (status != StatusSuccess || result == 0)
        return status;
    return MmCopyToUser(result, &previous, sizeof(previous));
}

// ---- mutexes

Status SysCreateMutex(uint32_t owned, UserPointer result)
{
    void *mutex;
    Status status = ObCreateObject(&MutexType, sizeof(KMutant), &mutex);
    if (status != StatusSuccess)
        return status;
    KeInitializeMutant(mutex, owned != 0);
    return SysiReturnHandle(mutex, AccessAll, result);
}

Status SysReleaseMutex(Handle handle)
{
    void *mutex;
    KIrql old;
    ObHandleTable *table = SysiHandles();
    Status status = ObEnterHandle(table, handle, &MutexType, AccessModify, &mutex, &old);
    if (status != StatusSuccess)
        return status;
    status = KeReleaseMutant(mutex);
    ObLeaveHandle(table, old);
    return status;
}

static void DeleteMutex(void *body)
{
    KeRetireMutant(body);
}

// ---- timers

Status SysCreateTimer(uint32_t manualReset, UserPointer result)
{
    void *timer;
    Status status = ObCreateObject(&TimerType, sizeof(KTimer), &timer);
    if (status != StatusSuccess)
        return status;
    KeInitializeTimer(timer, manualReset != 0);
    return SysiReturnHandle(timer, AccessAll, result);
}

Status SysSetTimer(Handle handle, uint64_t delay, uint64_t period)
{
    void *timer;
    Status status = ReferenceForChange(handle, &TimerType, &timer);
    if (status != StatusSuccess)
        return status;
    KeSetTimer(timer, delay, period, nullptr);
    ObDereference(timer);
    return StatusSuccess;
}

Status SysCancelTimer(Handle handle)
{
    void *timer;
    Status status = ReferenceForChange(handle, &TimerType, &timer);
    if (status != StatusSuccess)
        return status;
    KeCancelTimer(timer);
    ObDereference(timer);
    return StatusSuccess;
}

static void DeleteTimer(void *body)
{
    KeCancelTimer(body);
}

// ---- waiting

// The object a handle or pseudo handle names, referenced, and what to wait for in it.
static Status ReferenceWaitable(Handle handle, void **body, void **dispatcher)
{
    uint32_t access = AccessAll;
    Status status;
    if (handle == CurrentProcess)
        status = SysiReferenceProcess(handle, AccessWait, (PsProcess **)body);
    else if (handle == CurrentThread)
        status = SysiReferenceThread(handle, AccessWait, (PsThread **)body);
    else
        status = ObQueryHandle(SysiHandles(), handle, body, &access);
    if (status != StatusSuccess)
        return status;
    *dispatcher = ObGetDispatcher(*body);
    if (*dispatcher != nullptr && (access & AccessWait) != 0)
        return StatusSuccess;
    status = *dispatcher == nullptr ? StatusWrongType : StatusAccessDenied;
    ObDereference(*body);
    return status;
}

Status SysWaitForSingleObject(Handle object, uint32_t timeout)
{
    void *body, *dispatcher;
    Status status = ReferenceWaitable(object, &body, &dispatcher);
    if (status != StatusSuccess)
        return status;
    status = KeWaitForObject(dispatcher, UserWait, SysiTimeout(timeout));
    ObDereference(body);
    return status;
}

Status SysWaitForMultipleObjects(uint64_t count, UserPointer objects, uint32_t waitAll,
                                 uint32_t timeout, UserPointer result)
{
    if (count == 0 || count > KE_MAXIMUM_WAIT_OBJECTS)
        return StatusInvalidParameter;
    Handle handles[KE_MAXIMUM_WAIT_OBJECTS];
    void *bodies[KE_MAXIMUM_WAIT_OBJECTS], *dispatchers[KE_MAXIMUM_WAIT_OBJECTS];
    size_t held = 0, index = 0;
    Status status = MmCopyFromUser(handles, objects, count * sizeof(Handle));
    if (status == StatusSuccess && result != 0)
        status = MmCheckUserRange(result, sizeof(uint64_t));
    while (status == StatusSuccess && held < count) {
        status = ReferenceWaitable(handles[held], &bodies[held], &dispatchers[held]);
        held += status == StatusSuccess;
    }
    if (status == StatusSuccess)
        status = KeWaitForMultipleObjects(count, dispatchers, waitAll != 0, UserWait,
                                          SysiTimeout(timeout), &index);
    while (held != 0)
        ObDereference(bodies[--held]);
    if ((status != StatusSuccess && status != StatusAbandoned) || result == 0)
        return status;
    uint64_t position = waitAll != 0 ? 0 : index;
    Status written = MmCopyToUser(result, &position, sizeof(position));
    return written == StatusSuccess ? status : written;
}

// ---- waiting on a word

typedef struct WordCheck {
    UserPointer Address;
    uint32_t Expected;
} WordCheck;

// Under the key's lock: whether the word still has the value to sleep on. A word that went away
// wakes.
static bool HasExpectedValue(void *context)
{
    const WordCheck *check = context;
    uint32_t value;
    return MmReadUserWord(check->Address, &value) == StatusSuccess && value == check->Expected;
}

static uint64_t CurrentSpaceKey(void)
{
    return (uint64_t)KeGetCurrentProcess();
}

Status SysWaitOnAddress(UserPointer address, uint32_t expected, uint32_t timeout)
{
    if (address % sizeof(uint32_t) != 0)
        return StatusInvalidParameter;
    uint32_t value;
    Status status =
        MmReadUserWord(address, &value); // makes it resident, so that the check cannot fault
    if (status != StatusSuccess)
        return status;
    if (value != expected)
        return StatusWouldBlock;
    WordCheck check = {address, expected};
    return KeWaitOnKey(CurrentSpaceKey(), address, HasExpectedValue, &check, UserWait,
                       SysiTimeout(timeout));
}

Status SysWakeByAddress(UserPointer address, uint32_t count)
{
    if (address % sizeof(uint32_t) != 0)
        return StatusInvalidParameter;
    Status status = MmCheckUserRange(address, sizeof(uint32_t));
    if (status == StatusSuccess)
        KeWakeKey(CurrentSpaceKey(), address, count);
    return status;
}
