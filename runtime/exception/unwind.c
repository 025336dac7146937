// unwind.c - frames of the running thread as exception handling sees them, and the second phase:
// leaving functions, whose termination handlers run, for the one that handles the exception.
// SPDX-License-Identifier: MIT
#include "exception.h"

#include <string.h>

static bool Read(void *context, uint64_t address, void *buffer, size_t size)
{
    memcpy(buffer, (const void *)address, size);
    return true;
}

bool RtIsOnStack(uint64_t establisher)
{
    const ThreadBlock *block = RtGetThreadBlock();
    return establisher % 8 == 0 && establisher >= block->StackLimit &&
           establisher < block->StackBase;
}

// The image around address. The kernel is asked: no list of the process's own has to be intact, and
// no lock is needed.
static bool FindModule(uint64_t address, UnwindModule *module)
{
    ModuleInfo info;
    PeImage image;
    if (SysGetModuleInfo(address, &info) != StatusSuccess ||
        PeOpen(&image, (const void *)info.Base, info.Size, PeLayoutMapped) != StatusSuccess)
        return false;
    PeDirectory table = image.Directories[PeDirectoryException];
    *module = (UnwindModule){info.Base, image.SizeOfImage, table.Rva, table.Size};
    return true;
}

UnwindFrame RtFrameFromContext(const ThreadContext *context, UnwindVector vectors[16])
{
    UnwindFrame frame = {
        .Rip = context->Rip,
        .Interrupted = !(context->Flags & CONTEXT_UNWOUND_TO_CALL),
        .Vectors = vectors,
    };
    memcpy(frame.Registers, &context->Rax, sizeof frame.Registers);
    memcpy(vectors, context->Xmm, sizeof context->Xmm);
    return frame;
}

// A call through a bad pointer: the return address is on top of the stack.
static bool ReturnFromNowhere(UnwindFrame *frame)
{
    uint64_t *sp = &frame->Registers[UnwindRegisterSp];
    if (!frame->Interrupted || !RtIsOnStack(*sp))
        return false;
    frame->Rip = *(const uint64_t *)*sp;
    *sp += sizeof frame->Rip;
    frame->Interrupted = false;
    return true;
}

bool RtLookAtFrame(UnwindFrame *frame, UnwindHandlerKind kind, DispatcherContext *dispatcher,
                   UnwindFrame *caller)
{
    UnwindModule module;
    // A return address may be the first of another function or scope: its call is in this one.
    *dispatcher =
        (DispatcherContext){.ControlPc = frame->Rip - !frame->Interrupted, .Frame = frame};
    if (frame->Rip == 0 && !frame->Interrupted)
        return false;
    if (!FindModule(dispatcher->ControlPc, &module)) {
        *caller = *frame;
        return ReturnFromNowhere(caller);
    }
    dispatcher->ImageBase = module.Base;
    if (UnwindFindHandler(&module, Read, nullptr, frame, kind, &dispatcher->Found) != StatusSuccess)
        return false;
    if (dispatcher->Found.Routine != 0) {
        dispatcher->Handler = (LanguageHandler *)(module.Base + dispatcher->Found.Routine);
        dispatcher->Data = (const void *)(module.Base + dispatcher->Found.Data);
    }
    *caller = *frame;
    return RtIsOnStack(dispatcher->Found.Establisher) &&
           UnwindStep(&module, Read, nullptr, caller) == StatusSuccess;
}

static void ResumeAt(const UnwindFrame *frame, uint64_t rip, uint64_t returnValue)
{
    ThreadContext context;
    CaptureContext(&context);
    memcpy(&context.Rax, frame->Registers, sizeof frame->Registers);
    memcpy(context.Xmm, frame->Vectors, sizeof context.Xmm);
    context.Rax = returnValue;
    context.Rip = rip;
    RtRestoreContext(&context);
}

// Runs the frame's termination handler. Returns whether the frame is now another one: the handler
// had been left by this unwind before, and its own unwind is taken up.
static bool Terminate(ExceptionRecord *record, ThreadContext *context,
                      DispatcherContext *dispatcher, uint64_t target)
{
    if (dispatcher->Found.Establisher == target)
        record->Flags |= ExceptionFlagTargetUnwind;
    ExceptionDisposition answer =
        RtCallTerminationHandler(record, dispatcher->Found.Establisher, context, dispatcher);
    record->Flags &= ~(uint32_t)(ExceptionFlagTargetUnwind | ExceptionFlagCollidedUnwind);
    if (answer == DispositionCollidedUnwind) {
        record->Flags |= ExceptionFlagCollidedUnwind;
        return true;
    }
    if (answer != DispositionContinueSearch)
        RtRaiseStatus(ExceptionInvalidDisposition, record);
    return false;
}

void RtUnwind(uint64_t target, uint64_t targetIp, ExceptionRecord *record, uint64_t returnValue)
{
    ThreadContext context;
    UnwindVector vectors[16], before[16];
    CaptureContext(&context);
    UnwindFrame frame = RtFrameFromContext(&context, vectors), caller;
    DispatcherContext dispatcher;
    record->Flags |= ExceptionFlagUnwinding;
    frame.Interrupted = false;
    for (;;) {
        memcpy(before, vectors, sizeof before);
        if (!RtLookAtFrame(&frame, UnwindTerminationHandler, &dispatcher, &caller))
            RtRaiseStatus(ExceptionInvalidDisposition, record); // the target is not on the stack
        UnwindVector after[16];
        memcpy(after, vectors, sizeof after);
        memcpy(vectors, before, sizeof before); // the step changed them; handlers see the frame's
        dispatcher.TargetIp = targetIp;
        bool collided = false;
        while (dispatcher.Handler != nullptr && Terminate(record, &context, &dispatcher, target))
            collided = true;
        if (dispatcher.Found.Establisher == target)
            ResumeAt(&frame, targetIp, returnValue);
        if (collided) { // frame is the one the earlier unwind was at: step from there
            DispatcherContext again;
            if (!RtLookAtFrame(&frame, UnwindTerminationHandler, &again, &caller))
                RtRaiseStatus(ExceptionInvalidDisposition, record);
        } else {
            memcpy(vectors, after, sizeof after);
        }
        frame = caller;
    }
}
