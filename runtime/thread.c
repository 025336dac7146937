// thread.c - threads and their thread-local data.
//
// A thread's runtime data is made by its creator, so that a lack of memory is an error of
// CreateThread: musl's struct, RtThread and a block for every TLS slot in use. Slots belong to
// images that have a TLS directory (the program, libraries); compiled code finds a variable at
// gs:[0x58][slot] + offset. Loading such a library later adds a block to every thread that exists.
// The loader lock guards the thread list, the slots and their templates.
// SPDX-License-Identifier: MIT
#include "rt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct TlsModule {
    const void *Template;
    size_t TemplateSize, ZeroFill;
    bool InUse;
} TlsModule;

static TlsModule tlsModules[RT_TLS_MODULES];
static uint32_t tlsLimit; // L: slots from here on have never been used
static RtThread *threads; // circular list
static uint32_t live;     // L: threads that have not begun to end

constexpr size_t TlsAlignment =
    64; // of every block; IMAGE_SCN_ALIGN beyond a cache line is not supported

RtThread *RtGetThreadData(void *thread)
{
    return (RtThread *)((char *)thread + CrtThreadSize());
}

static void *CreateTlsBlock(const TlsModule *module)
{
    size_t size = module->TemplateSize + module->ZeroFill;
    void *block = aligned_alloc(TlsAlignment, size ? size : 1);
    if (!block)
        return nullptr;
    memcpy(block, module->Template, module->TemplateSize);
    memset((char *)block + module->TemplateSize, 0, module->ZeroFill);
    return block;
}

static void FreeTlsBlocks(RtThread *thread)
{
    for (size_t i = 0; i < tlsLimit; i++)
        free(thread->Tls[i]);
}

static void Insert(RtThread *thread)
{
    live++;
    if (!threads) {
        threads = thread->Next = thread->Previous = thread;
        return;
    }
    thread->Next = threads;
    thread->Previous = threads->Previous;
    threads->Previous->Next = thread;
    threads->Previous = thread;
}

static void Remove(RtThread *thread)
{
    if (threads == thread)
        threads = thread->Next == thread ? nullptr : thread->Next;
    thread->Next->Previous = thread->Previous;
    thread->Previous->Next = thread->Next;
}

static bool FillTlsSlots(RtThread *thread)
{
    for (size_t i = 0; i < tlsLimit; i++)
        if (tlsModules[i].InUse && !(thread->Tls[i] = CreateTlsBlock(&tlsModules[i])))
            return false;
    return true;
}

void *RtAllocateThread(void)
{
    size_t size = CrtThreadSize() + sizeof(RtThread);
    void *data = calloc(1, size);
    if (!data)
        return nullptr;
    RtThread *thread = RtGetThreadData(data);
    RtLockLoader();
    bool filled = FillTlsSlots(thread);
    if (filled)
        Insert(thread);
    RtUnlockLoader();
    if (!filled) {
        FreeTlsBlocks(thread);
        free(data);
        return nullptr;
    }
    CrtPrepareThread(data, false);
    return data;
}

void RtFreeThread(void *data)
{
    RtThread *thread = RtGetThreadData(data);
    RtLockLoader();
    if (!thread->Ending) // it never ran
        live--;
    Remove(thread);
    RtUnlockLoader();
    FreeTlsBlocks(thread);
    free(data);
}

static void Adopt(void *data)
{
    ThreadBlock *block = RtGetThreadBlock();
    block->TlsArray = RtGetThreadData(data)->Tls;
    block->RuntimeData = data;
    CrtEnterThread(data, (uint32_t)block->ThreadId);
}

Status RtStartFirstThread(void)
{
    // The heap needs no per-thread data; errno does, which calloc sets only when it fails.
    void *data = calloc(1, CrtThreadSize() + sizeof(RtThread));
    if (!data)
        return StatusNoMemory;
    CrtPrepareThread(data, true);
    Insert(RtGetThreadData(data));
    Adopt(data);
    return StatusSuccess;
}

// First code of a further thread, called by the kernel.
static void RunThread(void *data)
{
    RtThread *thread = RtGetThreadData(data);
    Adopt(data);
    RtLockLoader();
    RtNotifyThread(DllThreadAttach);
    RtUnlockLoader();
    RtExitThread(RtGetProgram()->InitThread(thread->Entry, thread->Argument));
}

void RtExitThread(uint32_t code)
{
    void *data = RtGetThreadBlock()->RuntimeData;
    RtThread *thread = RtGetThreadData(data);
    RtLockLoader();
    bool last = !thread->Ending && --live == 0;
    thread->Ending = true;
    if (!last)
        RtNotifyThread(DllThreadDetach);
    RtUnlockLoader();
    if (last)
        exit((int)code);
    CrtLeaveThread(data);
    if (CrtOwnsNoThread(data))
        RtFreeThread(data);
    for (;;)
        (void)SysExitThread(code);
}

void ExitThread(uint32_t code)
{
    RtExitThread(code);
}

static Status StartThread(void *data, ThreadEntry entry, void *argument, size_t stackSize,
                          Handle *handle)
{
    RtThread *thread = RtGetThreadData(data);
    thread->Entry = entry;
    thread->Argument = argument;
    CrtGoThreaded();
    AbiCreateThread parameters = {
        .Start = (uintptr_t)RunThread,
        .Argument1 = (uintptr_t)data,
        .StackSize = stackSize,
    };
    return SysCreateThread(&parameters, handle);
}

Status CreateThread(ThreadEntry entry, void *argument, size_t stackSize, Handle *handle)
{
    if (!entry)
        return StatusInvalidParameter;
    void *data = RtAllocateThread();
    if (!data)
        return StatusNoMemory;
    Status status = StartThread(data, entry, argument, stackSize, handle);
    if (status != StatusSuccess)
        RtFreeThread(data);
    return status;
}

int RtStartThread(void *data, uint32_t (*entry)(void *), void *argument, size_t stackSize,
                  uint32_t *handle)
{
    return RtStatusToErrno(StartThread(data, entry, argument, stackSize, handle));
}

void RtWaitThread(uint32_t handle)
{
    (void)SysWaitForSingleObject(handle, InfiniteTimeout);
    (void)SysCloseHandle(handle);
}

void RtCloseThread(uint32_t handle)
{
    (void)SysCloseHandle(handle);
}

Status RtAddTlsModule(uint32_t index, const void *template, size_t templateSize, size_t zeroFill)
{
    TlsModule module = {template, templateSize, zeroFill, true};
    RtThread *thread = threads;
    do {
        if (!(thread->Tls[index] = CreateTlsBlock(&module))) {
            RtRemoveTlsModule(index);
            return StatusNoMemory;
        }
    } while ((thread = thread->Next) != threads);
    tlsModules[index] = module;
    if (index >= tlsLimit)
        tlsLimit = index + 1;
    return StatusSuccess;
}

void RtRemoveTlsModule(uint32_t index)
{
    tlsModules[index].InUse = false;
    RtThread *thread = threads;
    do {
        free(thread->Tls[index]);
        thread->Tls[index] = nullptr;
    } while ((thread = thread->Next) != threads);
}
