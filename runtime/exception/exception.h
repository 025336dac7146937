// exception.h - structured exceptions in mosrt.dll; what the files of this folder share. The theory
// is at the head of dispatch.c.
// SPDX-License-Identifier: MIT
#pragma once

#include "../rt.h"
#include "unwind/unwind.h"

// ---- entry.c
extern uint32_t RtXStateSize; // bytes of an XSAVE area; 0: the processor has only FXSAVE
void RtExceptionEntry(void);  // where the kernel has a failing thread go on
void RtRestoreContext(const ThreadContext *context) __attribute__((noreturn));

typedef enum ExceptionDisposition { // what a language-specific handler answers
    DispositionContinueExecution = 0,
    DispositionContinueSearch = 1,
    DispositionNestedException = 2,
    DispositionCollidedUnwind = 3,
} ExceptionDisposition;

struct DispatcherContext;
typedef ExceptionDisposition LanguageHandler(ExceptionRecord *record, uint64_t establisher,
                                             ThreadContext *context,
                                             struct DispatcherContext *dispatcher);

// What a handler is told about the frame it is asked for. The compiler's code never sees it.
typedef struct DispatcherContext {
    uint64_t ControlPc, ImageBase; // the instruction that failed, or the last byte of a call
    UnwindHandler Found;
    uint64_t TargetIp;  // unwinding only
    UnwindFrame *Frame; // the state in the function
    LanguageHandler *Handler;
    const void *Data;
    uint32_t ScopeIndex; // the first scope that has not been left yet
} DispatcherContext;

static_assert(offsetof(DispatcherContext, Handler) == 0x40, "entry.c");

// Call dispatcher->Handler, from a frame that tells a second exception (or unwind) that crosses it.
LanguageHandler RtCallExceptionHandler, RtCallTerminationHandler;

// ---- unwind.c
#define CONTEXT_UNWOUND_TO_CALL 0x20000000u // in ThreadContext.Flags: Rip is a return address
// Finds out about the frame: its handler of kind, if any, and in *caller its caller's state.
// Both share frame's Vectors. False: the end of the stack, or of what can be understood of it.
bool RtLookAtFrame(UnwindFrame *frame, UnwindHandlerKind kind, DispatcherContext *dispatcher,
                   UnwindFrame *caller);
UnwindFrame RtFrameFromContext(const ThreadContext *context, UnwindVector vectors[16]);
bool RtIsOnStack(uint64_t establisher);
// Unwinds to the function whose establisher is target and goes on there at targetIp with
// returnValue in rax, after the termination handlers of the functions in between.
void RtUnwind(uint64_t target, uint64_t targetIp, ExceptionRecord *record, uint64_t returnValue)
    __attribute__((noreturn));

// ---- dispatch.c
void RtDispatchException(AbiException *exception, const void *floatLegacy)
    __attribute__((noreturn));
// Raises a secondary exception about record; never returns.
void RtRaiseStatus(uint32_t code, ExceptionRecord *record) __attribute__((noreturn));

// ---- report.c
// Tells the user and the log about an exception that nobody handled, and ends the process.
void RtReportException(const ExceptionRecord *record, const ThreadContext *context)
    __attribute__((noreturn));
