// fault.c - a fault in ring 3 becomes an exception of the program, or ends it.
//
// The record of what happened goes on the thread's own stack, and the thread goes on in the
// runtime, which looks for a handler. Where that cannot be - no runtime yet, no stack to write to,
// damage after which nothing of the program is to run any more - the process ends with the
// exception's code, and the log says why. The report names the instruction and its
// callers as module+offset, found from the images' unwind data; everything of the program's is read
// as user memory, so a program that has wrecked its stack or its unwind data gets a short walk and
// nothing worse.
// SPDX-License-Identifier: MIT
#include "kd.h"
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
    {0, ExceptionIntegerDivideByZero, "integer division error"},
    {1, ExceptionSingleStep, "single step"},
    {3, ExceptionBreakpoint, "breakpoint"},
    {4, ExceptionIntegerOverflow, "integer overflow"},
    {6, ExceptionIllegalInstruction, "illegal instruction"},
    {7, ExceptionIllegalInstruction, "illegal instruction"},
    {13, ExceptionAccessViolation, "privileged instruction or non-canonical address"},
    {14, ExceptionAccessViolation, "access violation"},
    {16, ExceptionFloatingPoint, "floating-point error"},
    {17, ExceptionDatatypeMisalignment, "misaligned access"},
    {19, ExceptionFloatingPoint, "floating-point error"},
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
    KdUserModule module;
    if (PsFindUserModule(KeGetCurrentProcess(), address, &module))
        KeLog(LogError, "  %s %s+0x%llx", what, module.Name, address - module.Base);
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

static ExceptionRecord MakeRecord(const KTrapFrame *frame, const FaultKind *kind, uint64_t address)
{
    ExceptionRecord record = {.Code = kind->Code, .Address = (void *)frame->Rip};
    if (kind->Code != ExceptionAccessViolation)
        return record;
    enum { AccessRead = 0, AccessWrite = 1, AccessExecute = 8 };
    record.ParameterCount = 2;
    record.Parameters[0] = frame->Vector != VECTOR_PAGE_FAULT  ? AccessRead
                           : frame->ErrorCode & PageFaultFetch ? AccessExecute
                           : frame->ErrorCode & PageFaultWrite ? AccessWrite
                                                               : AccessRead;
    record.Parameters[1] = frame->Vector == VECTOR_PAGE_FAULT ? address : UINT64_MAX;
    return record;
}

static ThreadContext MakeContext(const KTrapFrame *frame)
{
    constexpr uint32_t integerControlAndFloat = 0x10000B;
    return (ThreadContext){
        .Flags = integerControlAndFloat,
        .SegCs = (uint16_t)frame->Cs,
        .SegSs = (uint16_t)frame->Ss,
        .EFlags = (uint32_t)frame->Rflags,
        .Rax = frame->Rax,
        .Rcx = frame->Rcx,
        .Rdx = frame->Rdx,
        .Rbx = frame->Rbx,
        .Rsp = frame->Rsp,
        .Rbp = frame->Rbp,
        .Rsi = frame->Rsi,
        .Rdi = frame->Rdi,
        .R8 = frame->R8,
        .R9 = frame->R9,
        .R10 = frame->R10,
        .R11 = frame->R11,
        .R12 = frame->R12,
        .R13 = frame->R13,
        .R14 = frame->R14,
        .R15 = frame->R15,
        .Rip = frame->Rip,
    };
}

// Has the thread go on in the runtime. False: it cannot.
static bool DeliverException(const PsThread *thread, KTrapFrame *frame, const FaultKind *kind,
                             uint64_t address)
{
    constexpr uint64_t tf = 0x100, df = 0x400, nt = 0x4000, ac = 0x40000;
    uint64_t entry = thread->Process->ExceptionEntry;
    if (entry == 0 || kind->Code == ExceptionStackOverflow || kind->Code == ExceptionFastFail)
        return false;
    AbiException exception = {
        .Record = MakeRecord(frame, kind, address),
        .Context = MakeContext(frame),
        .Rip = frame->Rip,
        .Cs = frame->Cs,
        .Rflags = frame->Rflags,
        .Rsp = frame->Rsp,
        .Ss = frame->Ss,
    };
    uint64_t at = (frame->Rsp - sizeof(exception)) & ~15ull;
    if (frame->Rsp < sizeof(exception) ||
        MmCopyToUser(at, &exception, sizeof(exception)) != StatusSuccess)
        return false;
    frame->Rip = entry;
    frame->Rsp = at;
    frame->Rflags &= ~(tf | df | nt | ac);
    return true;
}

Status PsSetExceptionEntry(uint64_t entry)
{
    Status status = entry == 0 ? StatusSuccess : MmCheckUserRange(entry, 1);
    if (status == StatusSuccess)
        PsGetCurrentProcess()->ExceptionEntry = entry;
    return status;
}

static void HandleUserFault(KTrapFrame *frame, uint64_t address)
{
    PsThread *thread = PsGetCurrentThread();
    KE_ASSERT(thread != nullptr && thread->Process != nullptr);
    FaultKind kind = Classify(thread, frame, address);
    if (DeliverException(thread, frame, &kind, address))
        return;
    LogFault(thread, frame, &kind, address);
    PsTerminateProcess(thread->Process, kind.Code);
}

void PsiInitializeFaults(void)
{
    KeRegisterUserFaultHandler(HandleUserFault);
}
