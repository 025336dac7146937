// unwind.c - see unwind.h. A step undoes the part of the prologue that has run, in reverse: the
// unwind codes are stored that way round. Inside an epilogue, which has no codes, the remaining
// instructions are carried out instead; the calling convention allows only a few forms there.
// SPDX-License-Identifier: MIT
#include "unwind/unwind.h"

#include "rtl/rtl.h"

enum {
    OpPushNonvolatile = 0, // names as in the documentation, without UWOP_
    OpAllocLarge = 1,
    OpAllocSmall = 2,
    OpSetFrameRegister = 3,
    OpSaveNonvolatile = 4,
    OpSaveNonvolatileFar = 5,
    OpSaveXmm128 = 8,
    OpSaveXmm128Far = 9,
    OpPushMachineFrame = 10,
    InfoChained = 4,
    MaximumChain = 32,
    MaximumCodes = 255,
    EntrySize = 12,     // of RUNTIME_FUNCTION
    EpilogueBytes = 64, // the longest: lea rsp, eight pops with prefixes, jmp
};

typedef struct Stepper {
    const UnwindModule *Module;
    UnwindReader *Read;
    void *Context;
    UnwindFrame Frame; // being changed
} Stepper;

typedef struct UnwindInfo {
    uint8_t Flags, PrologueSize, CodeCount, FrameRegister;
    uint32_t FrameOffset; // bytes
    uint16_t Codes[MaximumCodes + 1];
    uint32_t Tail;         // RVA behind the codes: a handler and its data, or the parent
    UnwindFunction Parent; // when chained
} UnwindInfo;

static bool ReadModule(const Stepper *stepper, uint64_t rva, void *buffer, size_t size)
{
    const UnwindModule *module = stepper->Module;
    return rva <= module->Size && size <= module->Size - rva &&
           stepper->Read(stepper->Context, module->Base + rva, buffer, size);
}

static bool ReadStack(const Stepper *stepper, uint64_t address, uint64_t *value)
{
    return stepper->Read(stepper->Context, address, value, sizeof *value);
}

static bool ReadVector(const Stepper *stepper, uint64_t address, uint32_t number)
{
    UnwindVector *vectors = stepper->Frame.Vectors;
    return vectors == nullptr ||
           stepper->Read(stepper->Context, address, &vectors[number], sizeof *vectors);
}

static bool Pop(Stepper *stepper, uint64_t *value)
{
    uint64_t *sp = &stepper->Frame.Registers[UnwindRegisterSp];
    if (!ReadStack(stepper, *sp, value))
        return false;
    *sp += sizeof *value;
    return true;
}

static Status FindFunction(const Stepper *stepper, uint32_t rva, UnwindFunction *function)
{
    uint32_t low = 0, high = stepper->Module->TableSize / EntrySize;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        static_assert(sizeof *function == EntrySize);
        if (!ReadModule(stepper, (uint64_t)stepper->Module->TableRva + (uint64_t)middle * EntrySize,
                        function, EntrySize))
            return StatusInvalidAddress;
        if (rva < function->Begin)
            high = middle;
        else if (rva >= function->End)
            low = middle + 1;
        else
            return StatusSuccess;
    }
    return StatusNotFound;
}

Status UnwindFindFunction(const UnwindModule *module, uint32_t rva, UnwindReader *read,
                          void *context, UnwindFunction *function)
{
    Stepper stepper = {.Module = module, .Read = read, .Context = context};
    return FindFunction(&stepper, rva, function);
}

static Status ReadInfo(const Stepper *stepper, uint32_t rva, UnwindInfo *info)
{
    uint8_t header[4];
    if (!ReadModule(stepper, rva, header, sizeof header))
        return StatusInvalidAddress;
    if ((header[0] & 7) != 1)
        return StatusNotSupported;
    info->Flags = header[0] >> 3;
    info->PrologueSize = header[1];
    info->CodeCount = header[2];
    info->FrameRegister = header[3] & 15;
    info->FrameOffset = (header[3] >> 4) * 16u;
    size_t even = (info->CodeCount + 1u) & ~1u;
    uint64_t codes = (uint64_t)rva + sizeof header;
    if (!ReadModule(stepper, codes, info->Codes, even * 2))
        return StatusInvalidAddress;
    info->Tail = (uint32_t)(codes + even * 2);
    if ((info->Flags & InfoChained) && !ReadModule(stepper, info->Tail, &info->Parent, EntrySize))
        return StatusInvalidAddress;
    return StatusSuccess;
}

static uint32_t CodeSlots(uint16_t code)
{
    uint32_t operation = code >> 8 & 15, operand = code >> 12;
    switch (operation) {
    case OpAllocLarge:
        return operand == 0 ? 2 : 3;
    case OpSaveNonvolatile:
    case OpSaveXmm128:
        return 2;
    case OpSaveNonvolatileFar:
    case OpSaveXmm128Far:
        return 3;
    default:
        return 1;
    }
}

// Undoes one code; next are its extra slots as one number. base: what saved registers are relative
// to.
static Status UndoCode(Stepper *stepper, const UnwindInfo *info, uint16_t code, uint32_t next,
                       uint64_t base)
{
    UnwindFrame *frame = &stepper->Frame;
    uint64_t *sp = &frame->Registers[UnwindRegisterSp];
    uint32_t operand = code >> 12;
    bool read = true;
    switch (code >> 8 & 15) {
    case OpPushNonvolatile:
        read = Pop(stepper, &frame->Registers[operand]);
        break;
    case OpAllocLarge:
        *sp += operand == 0 ? next * 8ull : next;
        break;
    case OpAllocSmall:
        *sp += operand * 8 + 8;
        break;
    case OpSetFrameRegister:
        *sp = frame->Registers[info->FrameRegister] - info->FrameOffset;
        break;
    case OpSaveNonvolatile:
        read = ReadStack(stepper, base + next * 8ull, &frame->Registers[operand]);
        break;
    case OpSaveNonvolatileFar:
        read = ReadStack(stepper, base + next, &frame->Registers[operand]);
        break;
    case OpSaveXmm128:
        read = ReadVector(stepper, base + next * 16ull, operand);
        break;
    case OpSaveXmm128Far:
        read = ReadVector(stepper, base + next, operand);
        break;
    case OpPushMachineFrame: { // rip, cs, rflags, rsp, ss; below them an error code when operand is
                               // 1
        uint64_t at = *sp + operand * 8;
        read = operand <= 1 && ReadStack(stepper, at, &frame->Rip) &&
               ReadStack(stepper, at + 8, &frame->CodeSegment) && ReadStack(stepper, at + 24, sp);
        frame->Interrupted = true;
        break;
    }
    default:
        return StatusCorrupt;
    }
    return read ? StatusSuccess : StatusInvalidAddress;
}

// Undoes the codes of info that had run when execution was offset bytes into its function.
static Status UndoCodes(Stepper *stepper, const UnwindInfo *info, uint32_t offset,
                        bool *machineFrame)
{
    const UnwindFrame *frame = &stepper->Frame;
    uint64_t base = frame->Registers[UnwindRegisterSp];
    for (uint32_t i = 0; i < info->CodeCount; i += CodeSlots(info->Codes[i])) {
        uint16_t code = info->Codes[i];
        if ((code >> 8 & 15) == OpSetFrameRegister && (code & 0xFF) <= offset)
            base = frame->Registers[info->FrameRegister] - info->FrameOffset;
    }
    for (uint32_t i = 0; i < info->CodeCount;) {
        uint16_t code = info->Codes[i];
        uint32_t slots = CodeSlots(code), next = 0;
        if (slots > info->CodeCount - i)
            return StatusCorrupt;
        if (slots > 1)
            next = info->Codes[i + 1];
        if (slots > 2)
            next |= (uint32_t)info->Codes[i + 2] << 16;
        i += slots;
        if ((code & 0xFF) > offset)
            continue;
        Status status = UndoCode(stepper, info, code, next, base);
        if (status != StatusSuccess)
            return status;
        if ((code >> 8 & 15) == OpPushMachineFrame)
            *machineFrame = true;
    }
    return StatusSuccess;
}

// An epilogue's instructions, decoded one at a time from Bytes.
typedef struct Epilogue {
    uint8_t Bytes[EpilogueBytes];
    size_t Size, At;
} Epilogue;

static int32_t SignedAt(const uint8_t *bytes, size_t size)
{
    int32_t value = 0;
    if (size == 1)
        return (int8_t)bytes[0];
    memcpy(&value, bytes, 4);
    return value;
}

// add rsp, n or lea rsp, [frame register + n], if one is next. New stack pointer in *sp.
static void DecodeStackRelease(Epilogue *epilogue, const UnwindFrame *frame, uint64_t *sp)
{
    const uint8_t *at = epilogue->Bytes + epilogue->At;
    if (epilogue->Size - epilogue->At < 8)
        return;
    if (at[0] == 0x48 && (at[1] == 0x83 || at[1] == 0x81) && at[2] == 0xC4) {
        size_t size = at[1] == 0x83 ? 1 : 4;
        *sp += (uint64_t)(int64_t)SignedAt(at + 3, size);
        epilogue->At += 3 + size;
    } else if ((at[0] & 0xFE) == 0x48 && at[1] == 0x8D && (at[2] & 0x38) == 0x20 &&
               (at[2] & 7) != 4) {
        uint8_t mode = at[2] >> 6, reg = (uint8_t)((at[2] & 7) | (at[0] & 1) << 3);
        if (mode != 1 && mode != 2)
            return;
        size_t size = mode == 1 ? 1 : 4;
        *sp = frame->Registers[reg] + (uint64_t)(int64_t)SignedAt(at + 3, size);
        epilogue->At += 3 + size;
    }
}

// ret, or a jump that leaves the function.
static bool IsReturn(const Epilogue *epilogue, uint32_t rva, const UnwindFunction *function)
{
    const uint8_t *at = epilogue->Bytes + epilogue->At;
    size_t left = epilogue->Size - epilogue->At;
    if (left < 6)
        return left > 0 && at[0] == 0xC3;
    if (at[0] == 0xC3 || at[0] == 0xC2 || (at[0] == 0xF3 && at[1] == 0xC3))
        return true;
    if (at[0] == 0xEB || at[0] == 0xE9) {
        size_t size = at[0] == 0xEB ? 1 : 4;
        uint32_t target =
            rva + (uint32_t)epilogue->At + 1 + (uint32_t)size + (uint32_t)SignedAt(at + 1, size);
        return target < function->Begin || target >= function->End;
    }
    if (at[0] == 0x48) // rex.w jmp: how compilers mark an indirect tail call
        at++;
    return at[0] == 0xFF && (at[1] & 0x38) == 0x20;
}

// When rva is inside an epilogue: carries out the rest of it and sets *done.
static Status RunEpilogue(Stepper *stepper, uint32_t rva, const UnwindFunction *function,
                          bool *done)
{
    Epilogue epilogue = {.Size = RTL_MIN((uint32_t)EpilogueBytes, function->End - rva)};
    if (!ReadModule(stepper, rva, epilogue.Bytes, epilogue.Size))
        return StatusInvalidAddress;
    UnwindFrame saved = stepper->Frame;
    uint64_t *sp = &stepper->Frame.Registers[UnwindRegisterSp];
    DecodeStackRelease(&epilogue, &stepper->Frame, sp);
    while (epilogue.At < epilogue.Size) {
        const uint8_t *at = epilogue.Bytes + epilogue.At;
        bool extended = at[0] == 0x41 && epilogue.Size - epilogue.At > 1;
        uint8_t opcode = at[extended ? 1 : 0];
        if ((opcode & 0xF8) != 0x58)
            break;
        if (!Pop(stepper, &stepper->Frame.Registers[(opcode & 7) | (extended ? 8 : 0)])) {
            stepper->Frame = saved; // no epilogue after all, or the codes will fail as well
            return StatusSuccess;
        }
        epilogue.At += extended ? 2 : 1;
    }
    *done = epilogue.At < epilogue.Size && IsReturn(&epilogue, rva, function);
    if (!*done)
        stepper->Frame = saved;
    return StatusSuccess;
}

// The part of a step that the function's own code and data describe.
static Status UndoFunction(Stepper *stepper, uint32_t rva, UnwindFunction function,
                           bool *machineFrame)
{
    UnwindInfo info;
    uint32_t offset = rva - function.Begin;
    Status status = ReadInfo(stepper, function.Info, &info);
    if (status != StatusSuccess)
        return status;
    if (stepper->Frame.Interrupted && (offset >= info.PrologueSize || (info.Flags & InfoChained))) {
        bool done = false;
        status = RunEpilogue(stepper, rva, &function, &done);
        if (status != StatusSuccess || done)
            return status;
    }
    for (int chain = 0; chain < MaximumChain; chain++) {
        status = UndoCodes(stepper, &info, chain == 0 ? offset : UINT32_MAX, machineFrame);
        if (status != StatusSuccess || !(info.Flags & InfoChained))
            return status;
        uint32_t parent = info.Parent.Info;
        status = ReadInfo(stepper, parent, &info);
        if (status != StatusSuccess)
            return status;
    }
    return StatusCorrupt;
}

// Where in module the frame executes. A call that does not return may be the last instruction of
// its function: look where it started.
static Status FindRva(const UnwindModule *module, const UnwindFrame *frame, uint32_t *rva)
{
    uint64_t pc = frame->Interrupted ? frame->Rip : frame->Rip - 1;
    if (pc < module->Base || pc - module->Base >= module->Size)
        return StatusCorrupt;
    *rva = (uint32_t)(pc - module->Base);
    return StatusSuccess;
}

// The body's stack pointer: what the frame register was made from, once the prologue has set it.
static uint64_t GetEstablisher(const UnwindInfo *info, const UnwindFrame *frame, uint32_t offset)
{
    bool set = offset >= info->PrologueSize || (info->Flags & InfoChained);
    for (uint32_t i = 0; i < info->CodeCount && !set; i += CodeSlots(info->Codes[i]))
        set = (info->Codes[i] >> 8 & 15) == OpSetFrameRegister && (info->Codes[i] & 0xFF) <= offset;
    return info->FrameRegister == 0 || !set
               ? frame->Registers[UnwindRegisterSp]
               : frame->Registers[info->FrameRegister] - info->FrameOffset;
}

// The handler of the function whose body the frame is in, at the end of the chain from info.
static Status ReadHandler(const Stepper *stepper, UnwindInfo *info, UnwindHandlerKind kind,
                          UnwindHandler *handler)
{
    for (int chain = 0; info->Flags & InfoChained; chain++) {
        if (chain == MaximumChain)
            return StatusCorrupt;
        Status status = ReadInfo(stepper, info->Parent.Info, info);
        if (status != StatusSuccess)
            return status;
    }
    if (!(info->Flags & kind))
        return StatusSuccess;
    if (!ReadModule(stepper, info->Tail, &handler->Routine, sizeof handler->Routine))
        return StatusInvalidAddress;
    handler->Data = info->Tail + (uint32_t)sizeof handler->Routine;
    return StatusSuccess;
}

Status UnwindFindHandler(const UnwindModule *module, UnwindReader *read, void *context,
                         const UnwindFrame *frame, UnwindHandlerKind kind, UnwindHandler *handler)
{
    Stepper stepper = {.Module = module, .Read = read, .Context = context, .Frame = *frame};
    uint32_t rva;
    *handler = (UnwindHandler){.Establisher = frame->Registers[UnwindRegisterSp]};
    Status status = FindRva(module, frame, &rva);
    if (status == StatusSuccess)
        status = FindFunction(&stepper, rva, &handler->Function);
    if (status == StatusNotFound) {
        handler->Function = (UnwindFunction){};
        return StatusSuccess;
    }
    if (status != StatusSuccess)
        return status;
    UnwindInfo info;
    uint32_t offset = rva - handler->Function.Begin;
    status = ReadInfo(&stepper, handler->Function.Info, &info);
    if (status != StatusSuccess)
        return status;
    handler->Establisher = GetEstablisher(&info, frame, offset);
    bool epilogue = false;
    if (offset < info.PrologueSize && !(info.Flags & InfoChained))
        return StatusSuccess;
    if (frame->Interrupted)
        status = RunEpilogue(&stepper, rva, &handler->Function, &epilogue);
    return status == StatusSuccess && !epilogue ? ReadHandler(&stepper, &info, kind, handler)
                                                : status;
}

Status UnwindStep(const UnwindModule *module, UnwindReader *read, void *context, UnwindFrame *frame)
{
    Stepper stepper = {.Module = module, .Read = read, .Context = context, .Frame = *frame};
    uint32_t rva;
    UnwindFunction function;
    bool machineFrame = false;
    Status status = FindRva(module, frame, &rva);
    if (status != StatusSuccess)
        return status;
    status = FindFunction(&stepper, rva, &function);
    if (status == StatusSuccess)
        status = UndoFunction(&stepper, rva, function, &machineFrame);
    else if (status == StatusNotFound)
        status = StatusSuccess; // a leaf function: only the return address is on the stack
    if (status != StatusSuccess)
        return status;
    if (!machineFrame) {
        stepper.Frame.Interrupted = false;
        if (!Pop(&stepper, &stepper.Frame.Rip))
            return StatusInvalidAddress;
        if (stepper.Frame.Registers[UnwindRegisterSp] <= frame->Registers[UnwindRegisterSp])
            return StatusCorrupt;
    }
    *frame = stepper.Frame;
    return StatusSuccess;
}
