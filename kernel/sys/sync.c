// sync.c - system calls about events and waiting.
// SPDX-License-Identifier: MIT
#include "sysi.h"

static ObType EventType = {
    .Name = "event",
    .Tag = MM_TAG('S', 'y', 'E', 'v'),
    .DispatcherOffset = offsetof(KEvent, Header),
};

Status SysCreateEvent(uint32_t manualReset, uint32_t initiallySet, UserPointer result)
{
    void *event;
    Status status = ObCreateObject(&EventType, sizeof(KEvent), &event);
    if (status != StatusSuccess)
        return status;
    KeInitializeEvent(event, manualReset != 0, initiallySet != 0);
    return SysiReturnHandle(event, OB_ACCESS_ALL, result);
}

static Status ChangeEvent(Handle handle, void (*change)(KEvent *event))
{
    void *event;
    Status status = ObReferenceByHandle(SysiHandles(), handle, &EventType, ObAccessModify, &event);
    if (status != StatusSuccess)
        return status;
    change(event);
    ObDereference(event);
    return StatusSuccess;
}

Status SysSetEvent(Handle handle)
{
    return ChangeEvent(handle, KeSetEvent);
}

Status SysResetEvent(Handle handle)
{
    return ChangeEvent(handle, KeResetEvent);
}

// The object a handle or pseudo handle names, referenced, and what to wait for in it.
static Status ReferenceWaitable(Handle handle, void **body, void **dispatcher)
{
    uint32_t access = OB_ACCESS_ALL;
    Status status;
    if (handle == CurrentProcess)
        status = SysiReferenceProcess(handle, ObAccessWait, (PsProcess **)body);
    else if (handle == CurrentThread)
        status = SysiReferenceThread(handle, ObAccessWait, (PsThread **)body);
    else
        status = ObQueryHandle(SysiHandles(), handle, body, &access);
    if (status != StatusSuccess)
        return status;
    *dispatcher = ObGetDispatcher(*body);
    if (*dispatcher != nullptr && (access & ObAccessWait) != 0)
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
    if (status != StatusSuccess || result == 0)
        return status;
    uint64_t position = waitAll != 0 ? 0 : index;
    return MmCopyToUser(result, &position, sizeof(position));
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
    return (uint64_t)PsGetAddressSpace(PsGetCurrentProcess());
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
