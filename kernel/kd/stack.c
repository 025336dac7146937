// stack.c - walking stacks: from a trap frame or from here, through traps and the system call
// entry, to the start of the thread, and on into user mode as far as modules and their unwind data
// reach.
// SPDX-License-Identifier: MIT
#include "kdi.h"

UnwindFrame KdiFrameFromTrap(const KTrapFrame *trap)
{
    return (UnwindFrame){
        .Rip = trap->Rip,
        .Registers = {trap->Rax, trap->Rcx, trap->Rdx, trap->Rbx, trap->Rsp, trap->Rbp, trap->Rsi,
                      trap->Rdi, trap->R8, trap->R9, trap->R10, trap->R11, trap->R12, trap->R13,
                      trap->R14, trap->R15},
        .CodeSegment = trap->Cs,
        .Interrupted = true,
    };
}

// A jump to nowhere - a null function pointer - leaves the return address on top of the stack.
static bool ReturnFromNowhere(UnwindFrame *frame)
{
    uint64_t *sp = &frame->Registers[UnwindRegisterSp], rip;
    if (!frame->Interrupted || !KdiReadMemory(nullptr, *sp, &rip, sizeof rip))
        return false;
    *sp += sizeof rip;
    frame->Rip = rip;
    frame->Interrupted = false;
    return true;
}

// Adds address; false: no room.
static bool AddFrame(KdiStackFrame *frames, size_t capacity, size_t *count, uint64_t address,
                     bool isReturn)
{
    KdiStackFrame *last = *count > 0 ? &frames[*count - 1] : nullptr;
    if (last != nullptr && last->Address == address && last->Return == isReturn) {
        last->Count++;
        return true;
    }
    if (*count == capacity)
        return false;
    frames[(*count)++] = (KdiStackFrame){.Address = address, .Count = 1, .Return = isReturn};
    return true;
}

size_t KdiWalk(UnwindFrame frame, KdiStackFrame *frames, size_t capacity)
{
    enum { MaximumSteps = 65536 }; // more than any stack has
    size_t count = 0;
    for (int step = 0; step < MaximumSteps; step++) {
        KdiModule module;
        // Only a call through a null pointer has address 0; as a return address it ends the stack.
        if ((frame.Rip == 0 && !frame.Interrupted) ||
            !AddFrame(frames, capacity, &count, frame.Rip, !frame.Interrupted))
            break;
        if (!KdiFindModule(frame.Rip - (frame.Interrupted ? 0 : 1), &module)) {
            if (!ReturnFromNowhere(&frame))
                break;
        } else if (module.Unwind.TableSize == 0 ||
                   UnwindStep(&module.Unwind, KdiReadModule, &module, &frame) != StatusSuccess) {
            break;
        }
    }
    return count;
}

static bool (*keepModules)(void);
static void (*releaseModules)(void);

void KdRegisterModuleKeeper(bool (*keep)(void), void (*release)(void))
{
    keepModules = keep;
    releaseModules = release;
}

// As KdiReadModule, in a system that is well: an image's bytes are there. Stacks are not looked at
// so trustingly.
static bool ReadWellModule(void *context, uint64_t address, void *buffer, size_t size)
{
    const KdiModule *module = context;
    uint64_t rva = address - module->Unwind.Base;
    const void *bytes = module->Image != nullptr && rva < module->Unwind.Size && size <= UINT32_MAX
                            ? PeAt(module->Image, (uint32_t)rva, (uint32_t)size)
                            : nullptr;
    if (bytes == nullptr)
        return KdiReadMemory(nullptr, address, buffer, size);
    memcpy(buffer, bytes, size);
    return true;
}

// The same module as a rule holds the next frame too.
static bool StepOut(UnwindFrame *state, KdiModule *module)
{
    uint64_t address = state->Rip - (state->Interrupted ? 0 : 1);
    if (address - module->Unwind.Base >= module->Unwind.Size && !KdiFindModule(address, module))
        return ReturnFromNowhere(state);
    return module->Unwind.TableSize != 0 &&
           UnwindStep(&module->Unwind, ReadWellModule, module, state) == StatusSuccess;
}

size_t KdiSampleStack(const KTrapFrame *frame, uint64_t *addresses, size_t capacity)
{
    UnwindFrame state = KdiFrameFromTrap(frame);
    KdiModule module = {};
    size_t count = 0;
    bool kept = false;
    while (count < capacity && state.Rip != 0) {
        addresses[count++] = state.Rip;
        if (state.Rip < DIRECT_MAP_BASE && !kept) {
            kept = keepModules != nullptr && keepModules();
            if (!kept)
                break;
        }
        if (!StepOut(&state, &module))
            break;
    }
    if (kept)
        releaseModules();
    return count;
}

bool KdiIsSystemCallEntry(uint64_t address)
{
    constexpr uint32_t systemCallTarget = 0xC0000082; // IA32_LSTAR
    uint64_t entry = HalReadMsr(systemCallTarget);
    KdiModule module;
    UnwindFunction function;
    return KdiFindModule(entry, &module) && module.Kernel &&
           UnwindFindFunction(&module.Unwind, (uint32_t)(entry - module.Unwind.Base), KdiReadMemory,
                              nullptr, &function) == StatusSuccess &&
           address >= module.Unwind.Base + function.Begin &&
           address < module.Unwind.Base + function.End;
}

// This function's own state, for a walk that starts in it. Its caller's state follows by unwinding.
#define CAPTURE(frame)                                                                             \
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"                                                   \
                     "movq %%rax, 0x00(%0)\n\t"                                                    \
                     "movq %%rbx, 0x20(%0)\n\t"                                                    \
                     "movq %%rsp, 0x28(%0)\n\t"                                                    \
                     "movq %%rbp, 0x30(%0)\n\t"                                                    \
                     "movq %%rsi, 0x38(%0)\n\t"                                                    \
                     "movq %%rdi, 0x40(%0)\n\t"                                                    \
                     "movq %%r12, 0x68(%0)\n\t"                                                    \
                     "movq %%r13, 0x70(%0)\n\t"                                                    \
                     "movq %%r14, 0x78(%0)\n\t"                                                    \
                     "movq %%r15, 0x80(%0)\n"                                                      \
                     "1:"                                                                          \
                     :                                                                             \
                     : "c"(frame)                                                                  \
                     : "rax", "memory")
static_assert(offsetof(UnwindFrame, Registers) == 8);

__attribute__((noinline)) void KdiCapture(UnwindFrame *caller)
{
    KdiModule module;
    *caller = (UnwindFrame){.Interrupted = true};
    CAPTURE(caller);
    if (!KdiFindModule(caller->Rip, &module) ||
        UnwindStep(&module.Unwind, KdiReadModule, &module, caller) != StatusSuccess)
        *caller = (UnwindFrame){};
}

__attribute__((noinline)) size_t KdWalkStack(const KTrapFrame *frame, uint64_t *addresses,
                                             size_t capacity)
{
    KdiStackFrame frames[KDI_MAXIMUM_FRAMES];
    UnwindFrame start;
    size_t skip = 0;
    if (frame != nullptr) {
        start = KdiFrameFromTrap(frame);
    } else {
        KdiCapture(&start);
        skip = 1; // this function
    }
    size_t count = KdiWalk(start, frames, RTL_COUNT_OF(frames)), written = 0;
    for (size_t i = skip; i < count; i++) {
        for (uint32_t n = 0; n < frames[i].Count && written < capacity; n++)
            addresses[written++] = frames[i].Address;
    }
    return written;
}

static void PrintInlined(const KdiStackFrame *frame, const char *module, KdiPrinter *print,
                         void *context)
{
    PdbLocation inlined[6]; // deeper ones are rare, and the outer ones say enough
    char line[KDI_LINE_SIZE];
    size_t count = KdiLookupInlined(frame->Address, frame->Return, inlined, RTL_COUNT_OF(inlined));
    for (size_t i = count; i-- > 0;) {
        RtlFormat(line, sizeof line, "%s!%s  %s:%u  (inlined)", module, inlined[i].Function,
                  inlined[i].File, inlined[i].Line);
        print(context, line);
    }
}

void KdiPrintFrame(const KdiStackFrame *frame, KdiPrinter *print, void *context)
{
    KdSymbol symbol;
    char line[KDI_LINE_SIZE];
    if (!KdiLookup(frame->Address, frame->Return, &symbol)) {
        RtlFormat(line, sizeof line, "%016llx", frame->Address);
        print(context, line);
        return;
    }
    PrintInlined(frame, symbol.Module, print, context);
    size_t length = RtlFormat(line, sizeof line, "%s%s%s+0x%x", symbol.Module,
                              symbol.Function[0] != 0 ? "!" : "", symbol.Function, symbol.Offset);
    if (symbol.Line != 0 && length < sizeof line)
        length +=
            RtlFormat(line + length, sizeof line - length, "  %s:%u", symbol.File, symbol.Line);
    if (frame->Count > 1 && length < sizeof line)
        RtlFormat(line + length, sizeof line - length, "  (%u times)", frame->Count);
    print(context, line);
}

typedef struct StackPrinter {
    RtlSink *Sink;
    void *Context;
    size_t Number;
} StackPrinter;

static void PrintNumbered(void *context, const char *text)
{
    const StackPrinter *printer = context;
    char line[KDI_LINE_SIZE + 8];
    size_t length = RtlFormat(line, sizeof line, "#%-2zu %s\n", printer->Number, text);
    printer->Sink(printer->Context, line, RTL_MIN(length, sizeof line - 1));
}

__attribute__((noinline)) void KdPrintStack(const KTrapFrame *frame, RtlSink *sink, void *context)
{
    KdiStackFrame frames[KDI_MAXIMUM_FRAMES];
    UnwindFrame start;
    size_t skip = 0;
    if (frame != nullptr) {
        start = KdiFrameFromTrap(frame);
    } else {
        KdiCapture(&start);
        skip = 1;
    }
    size_t count = KdiWalk(start, frames, RTL_COUNT_OF(frames));
    for (size_t i = skip; i < count; i++) {
        StackPrinter printer = {sink, context, i - skip};
        KdiPrintFrame(&frames[i], PrintNumbered, &printer);
    }
}
