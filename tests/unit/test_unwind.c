// test_unwind.c - lib/unwind on code, unwind data and stacks made here: every unwind code,
// prologues half run, epilogues half run, chains, machine frames, and data that makes no sense.
// SPDX-License-Identifier: MIT
#include "unit.h"
#include "unwind/unwind.h"

enum {
    TableRva = 0x100,
    InfoRva = 0x200,
    ParentInfoRva = 0x280,
    Code = 0x400,
    StackRva = 0x800,
    MemorySize = 0x1000
};
#define BASE 0x140000000ull
enum { Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15 };

static uint8_t memory[MemorySize];
static const UnwindModule module = {BASE, MemorySize, TableRva, 24};

static bool Read(void *context, uint64_t address, void *buffer, size_t size)
{
    if (address < BASE || address - BASE > MemorySize || size > MemorySize - (address - BASE))
        return false;
    memcpy(buffer, memory + (address - BASE), size);
    return true;
}

static void Put64(uint32_t at, uint64_t value)
{
    memcpy(memory + at, &value, 8);
}
static void Put32(uint32_t at, uint32_t value)
{
    memcpy(memory + at, &value, 4);
}

// A function at Code, 0x80 bytes, and a chained part of it at Code + 0x100. Codes as bytes.
static void Start(const uint8_t *info, size_t size)
{
    memset(memory, 0x90, sizeof memory);
    Put32(TableRva, Code);
    Put32(TableRva + 4, Code + 0x80);
    Put32(TableRva + 8, InfoRva);
    Put32(TableRva + 12, Code + 0x100);
    Put32(TableRva + 16, Code + 0x180);
    Put32(TableRva + 20, ParentInfoRva);
    memcpy(memory + InfoRva, info, size);
    for (uint32_t i = 0; i < 64; i++)
        Put64(StackRva + i * 8, 0x5000 + i);
}

static UnwindFrame FrameAt(uint32_t offset, bool interrupted)
{
    UnwindFrame frame = {.Rip = BASE + Code + offset, .Interrupted = interrupted};
    for (int i = 0; i < UNWIND_REGISTERS; i++)
        frame.Registers[i] = 0x100u + (unsigned)i;
    frame.Registers[Rsp] = BASE + StackRva;
    return frame;
}

static Status Step(UnwindFrame *frame)
{
    return UnwindStep(&module, Read, nullptr, frame);
}

// push rbx (1 byte), push r12 (2), sub rsp, 40 (4): 7 bytes.
static const uint8_t pushes[] = {1, 7, 3, 0, 7, 0x42, 3, 0xC0, 1, 0x30, 0, 0};

static void TestBody(void)
{
    Start(pushes, sizeof pushes);
    UnwindFrame frame = FrameAt(0x20, false);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Registers[R12], 0x5005);
    CHECK_EQUAL(frame.Registers[Rbx], 0x5006);
    CHECK_EQUAL(frame.Rip, 0x5007);
    CHECK_EQUAL(frame.Registers[Rsp], BASE + StackRva + 64);
    CHECK(!frame.Interrupted);
}

static void TestPrologue(void)
{
    static const struct {
        uint32_t Offset, Rip;
    } cases[] = {{0, 0x5000}, {1, 0x5001}, {3, 0x5002}, {7, 0x5007}};
    for (size_t i = 0; i < 4; i++) {
        Start(pushes, sizeof pushes);
        UnwindFrame frame = FrameAt(cases[i].Offset, true);
        CHECK_EQUAL(Step(&frame), StatusSuccess);
        CHECK_EQUAL(frame.Rip, cases[i].Rip);
    }
}

static void TestEpilogue(void)
{
    static const uint8_t epilogue[] = {0x48, 0x83, 0xC4, 0x28, 0x41, 0x5C, 0x5B, 0xC3};
    static const struct {
        uint32_t Offset, Rip;
        bool Rbx;
    } cases[] = {
        {0x40, 0x5007, true}, {0x44, 0x5002, true}, {0x46, 0x5001, true}, {0x47, 0x5000, false}};
    for (size_t i = 0; i < 4; i++) {
        Start(pushes, sizeof pushes);
        memcpy(memory + Code + 0x40, epilogue, sizeof epilogue);
        UnwindFrame frame = FrameAt(cases[i].Offset, true);
        CHECK_EQUAL(Step(&frame), StatusSuccess);
        CHECK_EQUAL(frame.Rip, cases[i].Rip);
        CHECK_EQUAL(frame.Registers[Rbx] == cases[i].Rip - 1, cases[i].Rbx);
    }
}

static void TestTailCalls(void)
{
    static const uint8_t out[] = {0x5B, 0xE9, 0x00, 0x01, 0x00, 0x00}, in[] = {0x5B, 0xEB, 0x10};
    static const uint8_t indirect[] = {0x5B, 0x48, 0xFF, 0xE0};
    Start(pushes, sizeof pushes);
    memcpy(memory + Code + 0x40, out, sizeof out);
    UnwindFrame frame = FrameAt(0x40, true);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, 0x5001);
    memcpy(memory + Code + 0x40, indirect, sizeof indirect);
    frame = FrameAt(0x40, true);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, 0x5001);
    memcpy(memory + Code + 0x40, in, sizeof in); // a jump inside the function is no epilogue
    frame = FrameAt(0x40, true);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, 0x5007);
}

static void TestLeaf(void)
{
    Start(pushes, sizeof pushes);
    UnwindFrame frame = FrameAt(0x90, true);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, 0x5000);
    // A return address just behind a function belongs to the call at its end.
    frame = FrameAt(0x80, false);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, 0x5007);
}

static void TestFrameRegister(void)
{
    // push rbp; sub rsp, 0x10000 (large); lea rbp, [rsp + 0x20]; saves rsi at 0x40, rdi far at
    // 0x48.
    static const uint8_t info[] = {1, 30, 10, 0x25, 30, 0x75, 0x48, 0,    0, 0,    25, 0x64,
                                   8, 0,  20, 0x03, 15, 0x01, 0,    0x20, 1, 0x50, 0,  0};
    Start(info, sizeof info);
    memory[InfoRva + 2] = 9;
    UnwindFrame frame = FrameAt(0x40, false);
    frame.Registers[Rbp] = BASE + StackRva + 0x20;
    frame.Registers[Rsp] = 0x1234; // whatever alloca left
    memory[InfoRva + 18] = 4;      // large allocation of 4 * 8 bytes
    memory[InfoRva + 19] = 0;
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Registers[Rsi], 0x5008);
    CHECK_EQUAL(frame.Registers[Rdi], 0x5009);
    CHECK_EQUAL(frame.Registers[Rbp], 0x5004);
    CHECK_EQUAL(frame.Rip, 0x5005);
}

static void TestMachineFrame(void)
{
    // sub rsp, 16 under a machine frame with an error code.
    static const uint8_t info[] = {1, 4, 2, 0, 4, 0x12, 0, 0x1A};
    Start(info, sizeof info);
    uint64_t machine[] = {0xE, 0xFFFF800012345678, 0x33, 0x202, 0x7FFE0000, 0x2B};
    memcpy(memory + StackRva + 16, machine, sizeof machine);
    UnwindFrame frame = FrameAt(0x10, false);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Rip, machine[1]);
    CHECK_EQUAL(frame.CodeSegment, 0x33);
    CHECK_EQUAL(frame.Registers[Rsp], 0x7FFE0000);
    CHECK(frame.Interrupted);
}

static void TestChained(void)
{
    static const uint8_t chained[] = {0x21, 0,    1, 0,
                                      0,    0xE0, 0, 0}; // saved r14 by a push of its own
    Start(pushes, sizeof pushes);
    memcpy(memory + ParentInfoRva, chained, sizeof chained);
    Put32(ParentInfoRva + 8, Code);
    Put32(ParentInfoRva + 12, Code + 0x80);
    Put32(ParentInfoRva + 16, InfoRva);
    UnwindFrame frame = FrameAt(0x140, false);
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(frame.Registers[R14], 0x5000);
    CHECK_EQUAL(frame.Registers[Rbx], 0x5007);
    CHECK_EQUAL(frame.Rip, 0x5008);
    Put32(ParentInfoRva + 16, ParentInfoRva); // its own parent
    frame = FrameAt(0x140, false);
    CHECK_EQUAL(Step(&frame), StatusCorrupt);
    CHECK_EQUAL(frame.Rip, BASE + Code + 0x140);
}

static void TestNonsense(void)
{
    Start(pushes, sizeof pushes);
    UnwindFrame frame = FrameAt(0x20, false);
    frame.Registers[Rsp] = 0;
    CHECK_EQUAL(Step(&frame), StatusInvalidAddress);
    frame = FrameAt(0x20, false);
    frame.Registers[Rsp] = UINT64_MAX - 8;
    CHECK_EQUAL(Step(&frame), StatusInvalidAddress);
    frame = FrameAt(0, false);
    frame.Rip = 0x1234;
    CHECK_EQUAL(Step(&frame), StatusCorrupt);
    memory[InfoRva] = 2; // another version
    frame = FrameAt(0x20, false);
    CHECK_EQUAL(Step(&frame), StatusNotSupported);
    memory[InfoRva] = 1;
    memory[InfoRva + 5] = 0x0F; // an unknown code
    frame = FrameAt(0x20, false);
    CHECK_EQUAL(Step(&frame), StatusCorrupt);
    memory[InfoRva + 5] = 0x11; // a code whose slots are cut off
    memory[InfoRva + 2] = 1;
    frame = FrameAt(0x20, false);
    CHECK_EQUAL(Step(&frame), StatusCorrupt);
    Put32(TableRva + 8, 0xFFFFFFF0);
    frame = FrameAt(0x20, false);
    CHECK_EQUAL(Step(&frame), StatusInvalidAddress);
}

// push rbp; sub rsp, 32; lea rbp, [rsp+16]; movaps [rsp+16], xmm6; a handler at 0x321, data behind.
static const uint8_t handled[] = {0x19, 0x0E, 5, 0x15, 0x0E, 0x68, 1,    0,    0x0A, 0x03, 5, 0x32,
                                  1,    0x50, 0, 0,    0x21, 0x03, 0x00, 0x00, 0x77, 0,    0, 0};

static void TestHandler(void)
{
    Start(handled, sizeof handled);
    memset(memory + Code, 0x66, 0x80);
    UnwindHandler handler;
    UnwindFrame frame = FrameAt(0x20, false);
    frame.Registers[Rbp] = BASE + StackRva + 0x50;
    CHECK_EQUAL(UnwindFindHandler(&module, Read, nullptr, &frame, UnwindExceptionHandler, &handler),
                StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0x321);
    CHECK_EQUAL(handler.Data, InfoRva + 20);
    CHECK_EQUAL(handler.Establisher, BASE + StackRva + 0x40);
    CHECK_EQUAL(handler.Function.Begin, Code);
    CHECK_EQUAL(
        UnwindFindHandler(&module, Read, nullptr, &frame, UnwindTerminationHandler, &handler),
        StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0x321);
    memory[InfoRva] = 0x09; // an exception handler only
    CHECK_EQUAL(
        UnwindFindHandler(&module, Read, nullptr, &frame, UnwindTerminationHandler, &handler),
        StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0);
    frame = FrameAt(4, true); // the prologue: neither a handler nor a frame register yet
    CHECK_EQUAL(UnwindFindHandler(&module, Read, nullptr, &frame, UnwindExceptionHandler, &handler),
                StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0);
    CHECK_EQUAL(handler.Establisher, BASE + StackRva);
    memory[Code + 0x30] = 0xC3; // an epilogue
    frame = FrameAt(0x30, true);
    CHECK_EQUAL(UnwindFindHandler(&module, Read, nullptr, &frame, UnwindExceptionHandler, &handler),
                StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0);
    frame = FrameAt(0x90, false); // between functions: a leaf
    CHECK_EQUAL(UnwindFindHandler(&module, Read, nullptr, &frame, UnwindExceptionHandler, &handler),
                StatusSuccess);
    CHECK_EQUAL(handler.Routine, 0);
    CHECK_EQUAL(handler.Function.End, 0);
}

static void TestVectors(void)
{
    Start(handled, sizeof handled);
    memset(memory + Code, 0x66, 0x80);
    UnwindVector vectors[16] = {};
    UnwindFrame frame = FrameAt(0x20, false);
    frame.Registers[Rbp] = BASE + StackRva + 0x10;
    frame.Vectors = vectors;
    CHECK_EQUAL(Step(&frame), StatusSuccess);
    CHECK_EQUAL(vectors[6].Low, 0x5002);
    CHECK_EQUAL(vectors[6].High, 0x5003);
    CHECK_EQUAL(vectors[5].Low, 0);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"from a function's body", TestBody},
        {"from inside a prologue", TestPrologue},
        {"from inside an epilogue", TestEpilogue},
        {"tail calls", TestTailCalls},
        {"leaf functions and the end of a function", TestLeaf},
        {"frame register and saved registers", TestFrameRegister},
        {"machine frames", TestMachineFrame},
        {"chained unwind data", TestChained},
        {"nonsense is refused", TestNonsense},
        {"handlers and what they are told", TestHandler},
        {"vector registers", TestVectors},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
