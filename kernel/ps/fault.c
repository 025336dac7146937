// fault.c - a fault in ring 3 that nobody handles ends the process, and says why in the log.
//
// The exit code is the exception's code as NT counts them. The report names the instruction and its
// callers as module+offset, found from the images' unwind data; everything of the program's is read
// as user memory, so a program that has wrecked its stack or its unwind data gets a short walk and
// nothing worse.
// SPDX-License-Identifier: MIT
#include "pe/pe.h"
#include "psi.h"
#include "unwind/unwind.h"

#define WALK_FRAMES 16u

// Vectors of the Intel SDM, vol. 3, table 6-1, and the fast-fail interrupt that clang's __fastfail
// raises.
typedef struct FaultKind {
    uint8_t Vector;
    uint32_t Code;
    const char *Text;
} FaultKind;

static const FaultKind FaultKinds[] = {
    {0, ExceptionDivideByZero, "integer division error"},
    {1, ExceptionSingleStep, "single step"},
    {3, ExceptionBreakpoint, "breakpoint"},
    {4, ExceptionIntegerOverflow, "integer overflow"},
    {6, ExceptionIllegalInstruction, "illegal instruction"},
    {7, ExceptionIllegalInstruction, "illegal instruction"},
    {13, ExceptionAccessViolation, "privileged instruction or non-canonical address"},
    {14, ExceptionAccessViolation, "access violation"},
    {16, ExceptionFloat, "floating-point error"},
    {17, ExceptionMisalignment, "misaligned access"},
    {19, ExceptionFloat, "floating-point error"},
    {0x29, ExceptionFastFail, "fast fail"},
};
#define VECTOR_PAGE_FAULT 14u
// Bits of a page fault's error code (Intel SDM, vol. 3, 4.7).
enum { PageFaultPresent = 1, PageFaultWrite = 2, PageFaultFetch = 16 };

static FaultKind Classify(const PsThread *thread, const KTrapFrame *frame, uint64_t address)
{
    FaultKind kind = {0, ExceptionAccessViolation, "fault"};
    for (size_t i = 0; i < RTL_COUNT_OF(FaultKinds); i++)
        if (FaultKinds[i].Vector == frame->Vector)
            kind = FaultKinds[i];
    if (frame->Vector == VECTOR_PAGE_FAULT && thread->UserStack != 0 &&
        address - thread->UserStack < PAGE_SIZE) {
        kind.Code = ExceptionStackOverflow;
        kind.Text = "stack overflow";
    }
    return kind;
}

static void LogPlace(const char *what, uint64_t address)
{
    char name[64];
    uint64_t base;
    if (PsFindUserModule(address, name, sizeof(name), &base))
        KeLog(LogError, "  %s %s+0x%llx", what, name, address - base);
    else
        KeLog(LogError, "  %s 0x%llx", what, address);
}

static bool ReadUser(void *context, uint64_t address, void *buffer, size_t size)
{
    return MmCopyFromUser(buffer, address, size) == StatusSuccess;
}

// The unwind table of the module that holds address.
static bool FindUnwindModule(uint64_t address, UnwindModule *found)
{
    PsProcess *process = PsGetCurrentProcess();
    *found = (UnwindModule){0};
    KIrql old = KeAcquireSpinLock(&process->Lock);
    RTL_FOR_EACH (entry, &process->Modules) {
        const LdrModule *module = RTL_CONTAINER_OF(entry, LdrModule, Link);
        if (address - module->Base >= module->Size)
            continue;
        PeDirectory table = LdrGetPe(module->Image)->Directories[PeDirectoryException];
        *found = (UnwindModule){module->Base, (uint32_t)module->Size, table.Rva, table.Size};
    }
    KeReleaseSpinLock(&process->Lock, old);
    return found->Size != 0;
}

static void LogCallers(const KTrapFrame *frame)
{
    UnwindFrame at = {
        .Rip = frame->Rip,
        .Registers = {frame->Rax, frame->Rcx, frame->Rdx, frame->Rbx, frame->Rsp, frame->Rbp,
                      frame->Rsi, frame->Rdi, frame->R8, frame->R9, frame->R10, frame->R11,
                      frame->R12, frame->R13, frame->R14, frame->R15},
        .CodeSegment = frame->Cs,
        .Interrupted = true,
    };
    for (size_t i = 0; i < WALK_FRAMES; i++) {
        UnwindModule module;
        if (FindUnwindModule(at.Rip, &module)) {
            if (UnwindStep(&module, ReadUser, nullptr, &at) != StatusSuccess)
                return;
        } else if (i == 0) { // a call to nowhere: the return address is on top of the stack
            if (!ReadUser(nullptr, at.Registers[UnwindRegisterSp], &at.Rip, sizeof(at.Rip)))
                return;
            at.Registers[UnwindRegisterSp] += sizeof(at.Rip);
            at.Interrupted = false;
        } else {
            return;
        }
        if (at.Rip == 0)
            return;
        LogPlace("called from", at.Rip);
    }
}

static void LogFault(const PsThread *thread, const KTrapFrame *frame, const FaultKind *kind,
                     uint64_t address)
{
    KeLog(LogError, "ps: %s (process %u, thread %llu) stopped: %s, code 0x%08x",
          thread->Process->Name, thread->Process->Id, thread->Id, kind->Text, kind->Code);
    LogPlace("at", frame->Rip);
    LogCallers(frame);
    if (frame->Vector == VECTOR_PAGE_FAULT)
        KeLog(LogError, "  %s 0x%llx%s",
              frame->ErrorCode & PageFaultFetch   ? "executing"
              : frame->ErrorCode & PageFaultWrite ? "writing"
                                                  : "reading",
              address, frame->ErrorCode & PageFaultPresent ? " (protected)" : "");
    KeLog(LogError, "  rax %016llx rbx %016llx rcx %016llx rdx %016llx", frame->Rax, frame->Rbx,
          frame->Rcx, frame->Rdx);
    KeLog(LogError, "  rsi %016llx rdi %016llx rbp %016llx rsp %016llx", frame->Rsi, frame->Rdi,
          frame->Rbp, frame->Rsp);
    KeLog(LogError, "  r8  %016llx r9  %016llx r10 %016llx r11 %016llx", frame->R8, frame->R9,
          frame->R10, frame->R11);
}

static void HandleUserFault(KTrapFrame *frame, uint64_t address)
{
    PsThread *thread = PsGetCurrentThread();
    KE_ASSERT(thread != nullptr && thread->Process != nullptr);
    FaultKind kind = Classify(thread, frame, address);
    LogFault(thread, frame, &kind, address);
    PsTerminateProcess(thread->Process, kind.Code);
}

void PsiInitializeFaults(void)
{
    KeRegisterUserFaultHandler(HandleUserFault);
}
