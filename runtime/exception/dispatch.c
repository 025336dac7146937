// dispatch.c - structured exceptions: from what happened to who handles it.
//
// The kernel puts a failing thread on at RtExceptionEntry (entry.c) with the record and the integer
// state on its stack; RaiseException makes both itself. Then, in the thread:
//
//   phase 1, here:     vectored handlers, then the functions on the stack from the inside out. A
//                      function with __try names __C_specific_handler in its unwind data
//                      (scopes.c), which evaluates its filters. Nothing on the stack has changed
//                      yet, so a handler may have the program continue where it was.
//   phase 2, unwind.c: when a filter says so: frame by frame again, __finally blocks run, up to the
//                      function whose filter it was, which goes on in its __except block.
//   nobody:            the unhandled filter, then report.c, which ends the process.
//
// Exceptions inside filters nest: the inner one is dispatched over the whole stack, through this
// code and the failing function, which is why every routine on the way has unwind data. An unwind
// that leaves a __finally block takes up the one that was running it (RtCollidedHandler).
//
// Locking: the list of vectored handlers has a lock, which is not held while one runs. Nothing here
// uses the heap: it may be what is broken. Frames are found by asking the kernel which image an
// address is in, so no list of modules has to be intact either.
// SPDX-License-Identifier: MIT
#include "exception.h"

#include <stdlib.h>
#include <string.h>

// ---- vectored handlers
typedef struct Vectored {
    struct Vectored *Next;
    VectoredHandler *Handler;
    uint32_t Users; // calls under way, and one for being on the list
    bool Listed;
} Vectored;

static RtLock vectoredLock;
static Vectored *vectored;
static UnhandledExceptionFilter *unhandledFilter;

static void Unuse(Vectored *entry)
{
    if (--entry->Users == 0)
        free(entry);
}

void *AddVectoredExceptionHandler(bool first, VectoredHandler *handler)
{
    Vectored *entry = handler ? malloc(sizeof *entry) : nullptr;
    if (!entry)
        return nullptr;
    *entry = (Vectored){.Handler = handler, .Users = 1, .Listed = true};
    RtAcquire(&vectoredLock);
    Vectored **at = &vectored;
    while (!first && *at)
        at = &(*at)->Next;
    entry->Next = *at;
    *at = entry;
    RtRelease(&vectoredLock);
    return entry;
}

Status RemoveVectoredExceptionHandler(void *handler)
{
    RtAcquire(&vectoredLock);
    Vectored **at = &vectored;
    while (*at && *at != handler)
        at = &(*at)->Next;
    Vectored *entry = *at;
    if (entry) {
        *at = entry->Next;
        entry->Listed = false;
        Unuse(entry);
    }
    RtRelease(&vectoredLock);
    return entry ? StatusSuccess : StatusNotFound;
}

// A handler may remove itself or others: the one that runs is kept, and the way on from one that
// has been removed is the end.
static bool AskVectored(ExceptionRecord *record, ThreadContext *context)
{
    ExceptionPointers pointers = {record, context};
    RtAcquire(&vectoredLock);
    bool handled = false;
    for (Vectored *entry = vectored; entry && !handled;) {
        entry->Users++;
        RtRelease(&vectoredLock);
        handled = entry->Handler(&pointers) == ExceptionContinueExecution;
        RtAcquire(&vectoredLock);
        Vectored *next = entry->Listed ? entry->Next : nullptr;
        Unuse(entry);
        entry = next;
    }
    RtRelease(&vectoredLock);
    return handled;
}

UnhandledExceptionFilter *SetUnhandledExceptionFilter(UnhandledExceptionFilter *filter)
{
    return __atomic_exchange_n(&unhandledFilter, filter, __ATOMIC_ACQ_REL);
}

// ---- functions on the stack

// What the function's handler answered. Returns whether the program is to continue.
static bool Answer(ExceptionDisposition answer, ExceptionRecord *record,
                   const DispatcherContext *dispatcher, uint64_t *nestedUpTo)
{
    switch (answer) {
    case DispositionContinueExecution:
        if (record->Flags & ExceptionFlagNoncontinuable)
            RtRaiseStatus(ExceptionNoncontinuable, record);
        return true;
    case DispositionContinueSearch:
        return false;
    case DispositionNestedException:
        record->Flags |= ExceptionFlagNestedCall;
        if (dispatcher->Found.Establisher > *nestedUpTo)
            *nestedUpTo = dispatcher->Found.Establisher;
        return false;
    default:
        RtRaiseStatus(ExceptionInvalidDisposition, record);
    }
}

static bool AskFunctions(ExceptionRecord *record, ThreadContext *context)
{
    UnwindVector vectors[16];
    UnwindFrame frame = RtFrameFromContext(context, vectors), caller;
    DispatcherContext dispatcher;
    uint64_t nestedUpTo = 0;
    while (RtLookAtFrame(&frame, UnwindExceptionHandler, &dispatcher, &caller)) {
        uint64_t establisher = dispatcher.Found.Establisher;
        if (dispatcher.Handler) {
            ExceptionDisposition answer =
                RtCallExceptionHandler(record, establisher, context, &dispatcher);
            if (Answer(answer, record, &dispatcher, &nestedUpTo))
                return true;
        }
        if (establisher == nestedUpTo) {
            record->Flags &= ~(uint32_t)ExceptionFlagNestedCall;
            nestedUpTo = 0;
        }
        frame = caller;
    }
    if (!RtIsOnStack(frame.Registers[UnwindRegisterSp]) &&
        frame.Registers[UnwindRegisterSp] != RtGetThreadBlock()->StackBase)
        record->Flags |= ExceptionFlagStackInvalid;
    return false;
}

// True: the program continues at context.
static bool AskEverybody(ExceptionRecord *record, ThreadContext *context)
{
    if (AskVectored(record, context)) {
        if (record->Flags & ExceptionFlagNoncontinuable)
            RtRaiseStatus(ExceptionNoncontinuable, record);
        return true;
    }
    return AskFunctions(record, context);
}

static void Unhandled(ExceptionRecord *record, ThreadContext *context)
{
    UnhandledExceptionFilter *filter = __atomic_load_n(&unhandledFilter, __ATOMIC_ACQUIRE);
    int32_t answer = ExceptionContinueSearch;
    if (filter) {
        ExceptionPointers pointers = {record, context};
        answer = filter(&pointers);
    }
    if (answer == ExceptionExecuteHandler)
        ExitProcess(record->Code);
    if (answer == ExceptionContinueSearch || (record->Flags & ExceptionFlagNoncontinuable))
        RtReportException(record, context);
}

// A handler may have changed the floating-point state; the XSAVE area has it once more.
__attribute__((noreturn)) static void Continue(ThreadContext *context)
{
    constexpr size_t legacySize = 512;
    if (context->ExtendedState) {
        constexpr uint64_t x87AndSse = 3;
        memcpy(context->ExtendedState, context->FloatLegacy, legacySize);
        *(uint64_t *)((char *)context->ExtendedState + legacySize) |= x87AndSse; // XSTATE_BV
    }
    RtRestoreContext(context);
}

void RtDispatchException(AbiException *exception, const void *floatLegacy)
{
    ThreadContext *context = &exception->Context;
    memcpy(context->FloatLegacy, floatLegacy, 512);
    memcpy(&context->MxCsr, context->FloatLegacy + 24, sizeof context->MxCsr);
    if (!AskEverybody(&exception->Record, context))
        Unhandled(&exception->Record, context);
    Continue(context);
}

// From the state in a function of this file to its caller's, where the exception seems to be.
static void LeaveFunction(ThreadContext *context)
{
    UnwindVector vectors[16];
    UnwindFrame frame = RtFrameFromContext(context, vectors), caller;
    DispatcherContext dispatcher;
    if (!RtLookAtFrame(&frame, UnwindExceptionHandler, &dispatcher, &caller))
        return; // only the report is then a frame longer
    memcpy(&context->Rax, caller.Registers, sizeof caller.Registers);
    memcpy(context->Xmm, vectors, sizeof context->Xmm);
    context->Rip = caller.Rip;
    context->Flags |= CONTEXT_UNWOUND_TO_CALL;
}

__attribute__((noinline)) void RaiseException(uint32_t code, uint32_t flags, uint32_t count,
                                              const uint64_t *parameters)
{
    constexpr uint32_t reservedBit = 1u << 28;
    ThreadContext context;
    CaptureContext(&context);
    LeaveFunction(&context);
    ExceptionRecord record = {
        .Code = code & ~reservedBit,
        .Flags = flags & ExceptionFlagNoncontinuable,
        .Address = (void *)context.Rip,
        .ParameterCount = count < ExceptionMaximumParameters ? count : ExceptionMaximumParameters,
    };
    if (!parameters)
        record.ParameterCount = 0;
    for (uint32_t i = 0; i < record.ParameterCount; i++)
        record.Parameters[i] = parameters[i];
    if (!AskEverybody(&record, &context))
        Unhandled(&record, &context);
    Continue(&context);
}

void RtRaiseStatus(uint32_t code, ExceptionRecord *record)
{
    ThreadContext context;
    CaptureContext(&context);
    LeaveFunction(&context);
    ExceptionRecord secondary = {
        .Code = code,
        .Flags = ExceptionFlagNoncontinuable,
        .Nested = record,
        .Address = (void *)context.Rip,
    };
    if (!AskEverybody(&secondary, &context))
        Unhandled(&secondary, &context);
    RtReportException(&secondary, &context);
}

void RtStartExceptions(void)
{
    constexpr uint32_t osxsave = 1u << 27, featureLeaf = 1, stateLeaf = 0xD;
    uint32_t a, b, c, d;
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(featureLeaf), "c"(0));
    if (c & osxsave) {
        __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(stateLeaf), "c"(0));
        RtXStateSize = b;
    }
    (void)SysSetExceptionEntry((uintptr_t)RtExceptionEntry);
}
