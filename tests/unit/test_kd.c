// Tests of kernel/kd's protocol: packets on a bad line, every request, breakpoints.
// SPDX-License-Identifier: MIT
#include "kd_model.h"
#include "unit.h"

static ModelLine line;
static KdiLink wire;
static KdStateChange change;

static void Start(void)
{
    ModelReset(&line);
    KdiInitializeLink(&wire, &ModelLinePort, &line);
    change = (KdStateChange){.NewState = KD_STATE_EXCEPTION};
}

static void Ask(uint32_t api, const void *fields, size_t size, const void *data, size_t dataSize)
{
    KdManipulate request;
    memset(&request, 0xCD, sizeof request);
    request.ApiNumber = api;
    request.Processor = 0;
    if (size != 0)
        memcpy(request.Bytes, fields, size);
    ModelQueuePacket(&line, KdPacketManipulate, &request, sizeof request, data, dataSize);
}

// Serves what is queued; the n-th answer.
static KdManipulate answer;
static uint8_t answerData[KD_MAXIMUM_DATA];
static size_t answerSize;
static KdiExit Serve(size_t n)
{
    KdiExit exit = KdiServe(&wire, &change, nullptr, 0, 3);
    size_t size = 0;
    const uint8_t *bytes = ModelSent(&line, KdPacketManipulate, n, &size);
    memset(&answer, 0, sizeof answer);
    answerSize = 0;
    if (bytes != nullptr && size >= sizeof answer) {
        memcpy(&answer, bytes, sizeof answer);
        answerSize = size - sizeof answer;
        memcpy(answerData, bytes + sizeof answer, answerSize);
    }
    return exit;
}

// ------------------------------------------------------------------------------------------ the
// line

static void NobodyThere(void)
{
    Start();
    line.Deaf = true;
    line.SilenceLeft = 100;
    CHECK_EQUAL(KdiServe(&wire, &change, nullptr, 0, 3).Verdict, KdiNobody);
    size_t size;
    CHECK(ModelSent(&line, KdPacketStateChange, 2, &size) != nullptr);
    CHECK(ModelSent(&line, KdPacketStateChange, 3, &size) == nullptr);
    CHECK(!wire.HostPresent);
    CHECK_EQUAL(wire.SendId, KD_INITIAL_ID | KD_SYNC);
}

static size_t endless; // bytes taken of a noise that never ends and looks like packets

static bool SendNowhere(void *context, const void *bytes, size_t size)
{
    return true;
}

static KdiByteResult ReceiveEndless(void *context, uint8_t *byte, KdiWait wait)
{
    *byte = (uint8_t)"iiii00000000xxxx"[endless++ % 16];
    return KdiByteReceived;
}

static void EndlessNoise(void)
{
    static const KdiPort port = {SendNowhere, ReceiveEndless};
    KdiLink noisy;
    endless = 0;
    KdiInitializeLink(&noisy, &port, nullptr);
    CHECK(!KdiSendPacket(&noisy, KdPacketDebugIo, "1234", 4, nullptr, 0, 2));
    CHECK(endless < 10000); // a second of a line
}

static void IdsCount(void)
{
    Start();
    CHECK(KdiSendPacket(&wire, KdPacketDebugIo, "1234", 4, nullptr, 0, 1));
    CHECK_EQUAL(wire.SendId, KD_INITIAL_ID + 1);
    CHECK(KdiSendPacket(&wire, KdPacketDebugIo, "1234", 4, "5678", 4, 1));
    CHECK_EQUAL(wire.SendId, KD_INITIAL_ID);
    ModelQueuePacket(&line, KdPacketDebugIo, "abc", 3, nullptr, 0);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkPacket);
    CHECK_EQUAL(wire.Size, 3);
    CHECK(memcmp(wire.Data, "abc", 3) == 0);
    CHECK_EQUAL(wire.ReceiveId, KD_INITIAL_ID + 1);
}

static void RepetitionIsDropped(void)
{
    Start();
    ModelQueuePacket(&line, KdPacketDebugIo, "one", 3, nullptr, 0);
    line.NextId ^= 1; // its acknowledgement was lost
    ModelQueuePacket(&line, KdPacketDebugIo, "one", 3, nullptr, 0);
    ModelQueuePacket(&line, KdPacketDebugIo, "two", 3, nullptr, 0);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkPacket);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkPacket);
    CHECK(memcmp(wire.Data, "two", 3) == 0);
    CHECK_EQUAL(ModelCountControl(&line, KdPacketAcknowledge), 3);
}

static void DamageIsAskedForAgain(void)
{
    Start();
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    line.In[18] ^= 1; // checksum
    line.NextId ^= 1;
    size_t second = line.InSize;
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    line.In[line.InSize - 1] = 0; // trailer
    line.NextId ^= 1;
    size_t third = line.InSize;
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    line.In[third + 7] = 0xFF; // count: longer than any packet
    line.NextId ^= 1;
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkPacket);
    CHECK(memcmp(wire.Data, "good", 4) == 0);
    CHECK(ModelCountControl(&line, KdPacketResend) >= 3);
    CHECK(second != 0);
}

static void CutShort(void)
{
    Start();
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    line.InSize -= 3; // the cable is pulled
    line.SilenceLeft = 2;
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkTimeOut);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkGone);
}

static void Noise(void)
{
    Start();
    static const char noise[] = "login: 000 iii ii0\0\xFF\x80 bye\r\n";
    ModelQueue(&line, noise, sizeof noise);
    ModelQueuePacket(&line, KdPacketDebugIo, "good", 4, nullptr, 0);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketDebugIo), KdiLinkPacket);
    CHECK(memcmp(wire.Data, "good", 4) == 0);
}

static void ResetStartsAnew(void)
{
    Start();
    wire.SendId = KD_INITIAL_ID + 1;
    wire.ReceiveId = KD_INITIAL_ID + 1;
    ModelQueueControl(&line, KdPacketReset, 0);
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketManipulate), KdiLinkResend);
    CHECK_EQUAL(wire.SendId, KD_INITIAL_ID);
    CHECK_EQUAL(wire.ReceiveId, KD_INITIAL_ID);
    CHECK_EQUAL(ModelCountControl(&line, KdPacketReset), 1);
    // In a stop, the state change comes again.
    Start();
    ModelQueueControl(&line, KdPacketReset, 0);
    uint32_t status = 0x00010001;
    Ask(KdApiContinue, &status, sizeof status, nullptr, 0);
    CHECK_EQUAL(Serve(0).Verdict, KdiGoOn);
    size_t size;
    CHECK(ModelSent(&line, KdPacketStateChange, 1, &size) != nullptr);
}

static void BreakInByte(void)
{
    Start();
    ModelQueue(&line, "b", 1);
    line.SilenceLeft = 1;
    CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketManipulate), KdiLinkBreakIn);
    CHECK(wire.BreakIn);
}

// A host comes in with 'b' and a reset, of which any part may be late.
static void Greeting(void)
{
    ModelLine all;
    ModelReset(&all);
    ModelQueue(&all, "b", 1);
    ModelQueueControl(&all, KdPacketReset, 0);
    for (size_t cut = 1; cut <= all.InSize; cut++) {
        Start();
        ModelQueue(&line, all.In, cut);
        line.SilenceLeft = 1;
        CHECK(cut > 4 || KdiListen(&wire)); // later than that it is given up
        if (cut == all.InSize)
            CHECK(KdiListen(&wire) && wire.HostPresent);
        if (cut > 4)
            continue;
        ModelQueue(&line, all.In + cut, all.InSize - cut);
        CHECK_EQUAL(KdiReceivePacket(&wire, KdPacketManipulate), KdiLinkResend);
        CHECK_EQUAL(ModelCountControl(&line, KdPacketReset), 1);
    }
    Start(); // a reset alone, in two pieces
    ModelQueue(&line, all.In + 1, 2);
    line.SilenceLeft = 1;
    CHECK(!KdiListen(&wire));
    ModelQueue(&line, all.In + 3, all.InSize - 3);
    CHECK(KdiListen(&wire) && wire.BreakIn);
}

static void NoiseIsNoGreeting(void)
{
    static const char *const noises[] = {"x",  "bbx", "bb\x80 iiii", "0000bbbb", "iiiibbbbbbbbbbbb",
                                         "iii"};
    for (size_t i = 0; i < RTL_COUNT_OF(noises); i++) {
        Start();
        ModelQueue(&line, noises[i], strlen(noises[i]));
        line.SilenceLeft = 1;
        CHECK(!KdiListen(&wire));
        CHECK_EQUAL(line.InTaken, line.InSize);
        CHECK(!wire.HostPresent);
    }
}

// A host that starts anew while it is told something is there: it gets that, and its stop.
static void ResetWhileInforming(void)
{
    Start();
    line.Deaf = true;
    line.SilenceLeft = 1;
    for (int i = 0; i < 3; i++)
        ModelQueueControl(&line, KdPacketReset, 0);
    ModelQueueControl(&line, KdPacketAcknowledge, KD_INITIAL_ID);
    CHECK(KdiSendPacket(&wire, KdPacketDebugIo, "1234", 4, nullptr, 0, 1));
    CHECK(wire.HostPresent && wire.BreakIn);
}

static void LostAcknowledgement(void)
{
    Start();
    line.Deaf = true; // never acknowledges, but goes on
    line.SilenceLeft = 5;
    uint32_t status = 0;
    Ask(KdApiContinue, &status, sizeof status, nullptr, 0);
    line.NextId ^= 1;
    Ask(KdApiContinue, &status, sizeof status, nullptr, 0); // asked for again
    CHECK_EQUAL(Serve(0).Verdict, KdiGoOn);
    CHECK_EQUAL(ModelCountControl(&line, KdPacketResend), 1);
}

// -------------------------------------------------------------------------------------- requests

static void StateChange(void)
{
    Start();
    uint32_t handle = KdiSetBreakpoint(MODEL_BASE + 0x1004);
    CHECK_EQUAL(handle, 1);
    CHECK_EQUAL(ModelMemory[0x1004], 0xCC);
    Serve(0);
    size_t size;
    const uint8_t *bytes = ModelSent(&line, KdPacketStateChange, 0, &size);
    KdStateChange sent;
    CHECK(bytes != nullptr && size == sizeof sent);
    memcpy(&sent, bytes, sizeof sent);
    CHECK_EQUAL(sent.NumberProcessors, MODEL_PROCESSORS);
    CHECK_EQUAL(sent.ProgramCounter, MODEL_BASE + 0x1000);
    CHECK_EQUAL(sent.ControlReport.InstructionCount, 16);
    CHECK(sent.ControlReport.InstructionStream[4] != 0xCC); // ours are taken out around the stop
    CHECK(!KdiIsBreakpoint(MODEL_BASE + 0x1004));
}

static void Memory(void)
{
    Start();
    struct {
        uint64_t Address;
        uint32_t Count, Actual;
    } fields = {MODEL_BASE + 0x10, 32, 0};
    Ask(KdApiReadVirtual, &fields, sizeof fields, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, 0);
    CHECK_EQUAL(answer.Memory.ActualBytes, 32);
    CHECK(answerSize == 32 && memcmp(answerData, ModelMemory + 0x10, 32) == 0);

    Start(); // the part that is there
    fields.Address = MODEL_BASE + MODEL_SIZE - 10;
    Ask(KdApiReadVirtual, &fields, sizeof fields, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL);
    CHECK_EQUAL(answer.Memory.ActualBytes, 10);
    CHECK_EQUAL(answerSize, 10);

    Start(); // more than a packet takes
    fields.Address = MODEL_BASE;
    fields.Count = UINT32_MAX;
    Ask(KdApiReadPhysical, &(typeof(fields)){0, UINT32_MAX, 0}, sizeof fields, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answerSize, KD_MAXIMUM_TRANSFER);

    Start(); // a count that the data does not cover
    fields.Count = 100;
    Ask(KdApiWriteVirtual, &fields, sizeof fields, "hello", 5);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL);
    CHECK_EQUAL(answer.Memory.ActualBytes, 5);
    CHECK(memcmp(ModelMemory, "hello", 5) == 0);
}

static void SearchAndFill(void)
{
    Start();
    memcpy(ModelMemory + 5000, "needle", 6); // across two pieces of the search
    struct {
        uint64_t Address, Length;
        uint32_t Pattern;
    } search = {MODEL_BASE, MODEL_SIZE, 6};
    Ask(KdApiSearch, &search, sizeof search, "needle", 6);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, 0);
    CHECK_EQUAL(answer.Search.Address, MODEL_BASE + 5000);
    for (uint32_t at = 3800; at < 4200; at++) {
        Start();
        memcpy(ModelMemory + at, "needle", 6);
        Ask(KdApiSearch, &search, sizeof search, "needle", 6);
        Serve(0);
        CHECK_EQUAL(answer.Search.Address, MODEL_BASE + at);
    }
    Start();
    Ask(KdApiSearch, &search, sizeof search, "absent", 6);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_NO_MORE_ENTRIES);
    Start();
    search.Pattern = 4000; // not sent
    Ask(KdApiSearch, &search, sizeof search, "absent", 6);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_INVALID_PARAMETER);

    Start();
    struct {
        uint64_t Address;
        uint32_t Length;
        uint16_t Flags, Pattern;
    } fill = {MODEL_BASE + 3, 10000, KD_FILL_VIRTUAL, 3};
    Ask(KdApiFill, &fill, sizeof fill, "abc", 3);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, 0);
    CHECK_EQUAL(answer.Fill.Length, 10000);
    for (uint32_t i = 0; i < 10000; i++)
        CHECK(ModelMemory[3 + i] == "abc"[i % 3]);
    Start();
    fill.Pattern = 0;
    Ask(KdApiFill, &fill, sizeof fill, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_INVALID_PARAMETER);
}

static void Registers(void)
{
    Start();
    Ask(KdApiSetContext, nullptr, 0, ModelContexts, sizeof *ModelContexts);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL); // none was given yet

    Start();
    KdContext changed = {.Rax = 0x1234};
    Ask(KdApiGetContext, nullptr, 0, nullptr, 0);
    Ask(KdApiSetContext, nullptr, 0, &changed, sizeof changed);
    Serve(1);
    CHECK_EQUAL(answer.ReturnStatus, 0);
    CHECK_EQUAL(ModelContexts[0].Rax, 0x1234);

    Start();
    struct {
        uint32_t Offset, Count, Copied;
    } slice = {0x78, 8, 0};
    ModelContexts[0].Rax = 77;
    Ask(KdApiGetContextEx, &slice, sizeof slice, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answerSize, 8);
    CHECK_EQUAL(answerData[0], 77);
    Start();
    slice.Offset = sizeof(KdContext) - 4;
    Ask(KdApiGetContextEx, &slice, sizeof slice, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL);
    CHECK_EQUAL(answerSize, 0);

    Start();
    struct {
        uint64_t Index;
        uint32_t Count, Actual;
    } space = {2, sizeof(KdSpecialRegisters), 0};
    ModelSpecials[0].KernelDr0 = 5;
    Ask(KdApiReadControlSpace, &space, sizeof space, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answerSize, sizeof(KdSpecialRegisters));
    Start();
    space.Index = 9;
    Ask(KdApiReadControlSpace, &space, sizeof space, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL);
}

static void PortsAndMsrs(void)
{
    Start();
    struct {
        uint64_t Port;
        uint32_t Size, Value;
    } io = {0x80, 1, 0x42};
    Ask(KdApiWriteIo, &io, sizeof io, nullptr, 0);
    Ask(KdApiReadIo, &io, sizeof io, nullptr, 0);
    Serve(1);
    CHECK_EQUAL(answer.Io.Value, 0x42);
    Start();
    io.Port = 0x10000;
    Ask(KdApiReadIo, &io, sizeof io, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_INVALID_PARAMETER);
    Start();
    io = (typeof(io)){0x81, 4, 0};
    Ask(KdApiReadIo, &io, sizeof io, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_MISALIGNED);
    Start();
    uint32_t msr[3] = {0xBAD, 0, 0};
    Ask(KdApiReadMsr, msr, sizeof msr, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_NO_DEVICE);
}

static void Breakpoints(void)
{
    Start();
    uint64_t address = MODEL_BASE + 0x4000;
    Ask(KdApiWriteBreakpoint, &address, sizeof address, nullptr, 0);
    Ask(KdApiWriteBreakpoint, &address, sizeof address, nullptr, 0);
    Serve(0);
    CHECK_EQUAL(answer.WriteBreakpoint.Handle, 1);
    CHECK_EQUAL(ModelMemory[0x4000], 0xCC);
    Serve(1);
    CHECK_EQUAL(answer.ReturnStatus, KD_STATUS_UNSUCCESSFUL); // never twice
    uint8_t original = (uint8_t)(0x4000 * 7 + 0x40);
    CHECK(KdiClearBreakpoint(1));
    CHECK_EQUAL(ModelMemory[0x4000], original);
    CHECK(!KdiClearBreakpoint(1));
    CHECK(!KdiClearBreakpoint(0));
    CHECK(!KdiClearBreakpoint(33));
    for (uint32_t i = 0; i < KDI_BREAKPOINTS; i++)
        CHECK_EQUAL(KdiSetBreakpoint(MODEL_BASE + i), i + 1);
    CHECK_EQUAL(KdiSetBreakpoint(MODEL_BASE + 100), 0);
    KdiClearAllBreakpoints();
    CHECK_EQUAL(KdiSetBreakpoint(MODEL_BASE + MODEL_SIZE), 0); // nothing is there
    // Code that was written anew keeps what was written.
    CHECK_EQUAL(KdiSetBreakpoint(MODEL_BASE + 8), 1);
    ModelMemory[8] = 0x90;
    CHECK(KdiClearBreakpoint(1));
    CHECK_EQUAL(ModelMemory[8], 0x90);
}

static void UnknownRequestsAreRefused(void)
{
    for (uint32_t api = 0x3100; api < 0x3180; api++) {
        bool leaves = api == KdApiContinue || api == KdApiContinue2 || api == KdApiReboot ||
                      api == KdApiCrash;
        bool silent = leaves || api == KdApiSwitchProcessor || api == KdApiClearInternalBreakpoints;
        Start();
        Ask(api, nullptr, 0, nullptr, 0); // fields are rubbish
        KdiExit exit = Serve(0);
        CHECK_EQUAL(answer.ApiNumber, silent ? 0 : api);
        CHECK_EQUAL(exit.Verdict == KdiNobody, !leaves);
    }
}

static void SwitchesProcessor(void)
{
    Start();
    KdManipulate request = {.ApiNumber = KdApiSwitchProcessor, .Processor = 2};
    ModelQueuePacket(&line, KdPacketManipulate, &request, sizeof request, nullptr, 0);
    request = (KdManipulate){.ApiNumber = KdApiContinue2};
    request.Continue.TraceFlag = 1;
    ModelQueuePacket(&line, KdPacketManipulate, &request, sizeof request, nullptr, 0);
    KdiExit exit = Serve(0);
    CHECK_EQUAL(exit.Verdict, KdiGoOn);
    CHECK(exit.SetTrace && exit.TraceFlag);
    CHECK_EQUAL(exit.Processor, 2);
    size_t size;
    const uint8_t *bytes = ModelSent(&line, KdPacketStateChange, 1, &size);
    KdStateChange sent;
    CHECK(bytes != nullptr);
    memcpy(&sent, bytes, sizeof sent);
    CHECK_EQUAL(sent.Processor, 2);
    CHECK_EQUAL(sent.Exception.Record.ExceptionCode, KD_EXCEPTION_WAKE);
    CHECK_EQUAL(sent.ProgramCounter, MODEL_BASE + 0x3000);
}

static const UnitTest tests[] = {
    {"nobody there", NobodyThere},
    {"ids count", IdsCount},
    {"a repetition is dropped", RepetitionIsDropped},
    {"damage is asked for again", DamageIsAskedForAgain},
    {"a packet cut short", CutShort},
    {"noise", Noise},
    {"endless noise", EndlessNoise},
    {"a reset starts anew", ResetStartsAnew},
    {"the break-in byte", BreakInByte},
    {"a host comes in", Greeting},
    {"noise is none", NoiseIsNoGreeting},
    {"a reset while text is sent", ResetWhileInforming},
    {"a lost acknowledgement", LostAcknowledgement},
    {"state change", StateChange},
    {"memory", Memory},
    {"search and fill", SearchAndFill},
    {"registers", Registers},
    {"ports and model specific registers", PortsAndMsrs},
    {"breakpoints", Breakpoints},
    {"unknown requests are refused", UnknownRequestsAreRefused},
    {"switches processor", SwitchesProcessor},
};

int main(void)
{
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
