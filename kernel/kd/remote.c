// remote.c - serving a remote debugger while the machine stands still.
//
// The target says why it stopped (a state change) and then answers requests, each with a packet of
// the same shape, until one of them lets it go on. A request is a row of the table below: what
// serves it and how many bytes must follow it. Unknown requests are refused, never left without an
// answer: the host would wait for it. The host does not initialise what a request does not use, so
// nothing else is looked at.
//
// Registers are given for any processor; the exception's is the one that go and step are about, and
// SwitchProcessor makes another one that.
// SPDX-License-Identifier: MIT
#include "remote.h"

typedef struct Session {
    KdiLink *Link;
    KdStateChange *Change;
    uint32_t Processor; // the one that the host looks at
    bool ContextSent;   // since the stop, so that the host knows what it changes
    bool SendChange;    // the host is to hear of the stop (again)
    KdiExit Exit;
    bool Done;
    KdManipulate Request;
    const uint8_t *In; // data behind the request, InSize bytes
    uint32_t InSize;
    uint32_t OutSize; // of the answer's data in out
    bool NoAnswer;
} Session;

// One machine, one debugger: too large for the small stacks that traps come on.
static alignas(16) uint8_t out[KD_MAXIMUM_TRANSFER];
static KdContext context;

static uint32_t Verdict(bool good)
{
    return good ? KD_STATUS_SUCCESS : KD_STATUS_UNSUCCESSFUL;
}

// ------------------------------------------------------------------------------------------ memory

typedef size_t MemoryReader(uint64_t address, void *buffer, size_t size);
typedef size_t MemoryWriter(uint64_t address, const void *buffer, size_t size);

static uint32_t ReadWith(Session *session, MemoryReader *read)
{
    uint32_t wanted = RTL_MIN(session->Request.Memory.TransferCount, KD_MAXIMUM_TRANSFER);
    session->OutSize = (uint32_t)read(session->Request.Memory.Address, out, wanted);
    session->Request.Memory.ActualBytes = session->OutSize;
    return Verdict(session->OutSize == wanted);
}

static uint32_t WriteWith(Session *session, MemoryWriter *write)
{
    uint32_t wanted = RTL_MIN(session->Request.Memory.TransferCount, session->InSize);
    session->Request.Memory.ActualBytes =
        (uint32_t)write(session->Request.Memory.Address, session->In, wanted);
    return Verdict(session->Request.Memory.ActualBytes == session->Request.Memory.TransferCount);
}

static uint32_t ReadVirtual(Session *session)
{
    return ReadWith(session, KdiTargetRead);
}
static uint32_t WriteVirtual(Session *session)
{
    return WriteWith(session, KdiTargetWrite);
}
static uint32_t ReadPhysical(Session *session)
{
    return ReadWith(session, KdiTargetReadPhysical);
}
static uint32_t WritePhysical(Session *session)
{
    return WriteWith(session, KdiTargetWritePhysical);
}

// Looks through memory page-sized piece by piece; an unreadable byte ends the search.
static uint32_t Search(Session *session)
{
    enum { Piece = 2048 };
    uint32_t pattern = session->Request.Search.PatternLength;
    uint64_t at = session->Request.Search.Address, left = session->Request.Search.Length;
    session->Request.Search.Address = 0;
    if (pattern == 0 || pattern > session->InSize || pattern > Piece)
        return KD_STATUS_INVALID_PARAMETER;
    while (left >= pattern) {
        size_t size = (size_t)RTL_MIN(left, (uint64_t)2 * Piece - 256);
        size = RTL_MIN(size, sizeof out);
        size_t got = KdiTargetRead(at, out, size);
        for (size_t i = 0; i + pattern <= got; i++) {
            if (memcmp(out + i, session->In, pattern) == 0) {
                session->Request.Search.Address = at + i;
                return KD_STATUS_SUCCESS;
            }
        }
        if (got < size || size == left)
            break;
        at += size - (pattern - 1);
        left -= size - (pattern - 1);
    }
    return KD_STATUS_NO_MORE_ENTRIES;
}

static uint32_t Fill(Session *session)
{
    uint32_t pattern = session->Request.Fill.PatternLength, done = 0;
    uint32_t length = session->Request.Fill.Length;
    uint64_t at = session->Request.Fill.Address;
    MemoryWriter *write = session->Request.Fill.Flags & KD_FILL_PHYSICAL  ? KdiTargetWritePhysical
                          : session->Request.Fill.Flags & KD_FILL_VIRTUAL ? KdiTargetWrite
                                                                          : nullptr;
    session->Request.Fill.Length = 0;
    if (write == nullptr || pattern == 0 || pattern > session->InSize)
        return KD_STATUS_INVALID_PARAMETER;
    // Whole patterns a time, as many as fit.
    uint32_t piece = (uint32_t)sizeof out / pattern * pattern;
    for (uint32_t i = 0; i < piece && i < length; i++)
        out[i] = session->In[i % pattern];
    while (done < length) {
        uint32_t size = RTL_MIN(piece, length - done);
        uint32_t wrote = (uint32_t)write(at + done, out, size);
        done += wrote;
        if (wrote < size)
            break;
    }
    session->Request.Fill.Length = done;
    return Verdict(done == length);
}

static uint32_t QueryMemory(Session *session)
{
    KdiTargetQueryMemory(session->Request.QueryMemory.Address,
                         &session->Request.QueryMemory.AddressSpace,
                         &session->Request.QueryMemory.Flags);
    session->Request.QueryMemory.Reserved = 0;
    return KD_STATUS_SUCCESS;
}

// --------------------------------------------------------------------------------------- registers

static uint32_t GetContext(Session *session)
{
    if (!KdiTargetGetContext(session->Request.Processor, &context))
        return KD_STATUS_UNSUCCESSFUL;
    memcpy(out, &context, sizeof context);
    session->OutSize = sizeof context;
    session->ContextSent = true;
    return KD_STATUS_SUCCESS;
}

static uint32_t SetContext(Session *session)
{
    if (!session->ContextSent || session->InSize < sizeof context)
        return KD_STATUS_UNSUCCESSFUL;
    memcpy(&context, session->In, sizeof context);
    return Verdict(KdiTargetSetContext(session->Request.Processor, &context));
}

static bool IsInContext(const Session *session)
{
    return session->Request.ContextEx.Offset <= sizeof context &&
           session->Request.ContextEx.Count <= sizeof context - session->Request.ContextEx.Offset;
}

static uint32_t GetContextEx(Session *session)
{
    session->Request.ContextEx.Copied = 0;
    if (!IsInContext(session) || !KdiTargetGetContext(session->Request.Processor, &context))
        return KD_STATUS_UNSUCCESSFUL;
    session->OutSize = session->Request.ContextEx.Copied = session->Request.ContextEx.Count;
    memcpy(out, (const uint8_t *)&context + session->Request.ContextEx.Offset, session->OutSize);
    session->ContextSent = true;
    return KD_STATUS_SUCCESS;
}

static uint32_t SetContextEx(Session *session)
{
    session->Request.ContextEx.Copied = 0;
    if (!session->ContextSent || !IsInContext(session) ||
        session->InSize < session->Request.ContextEx.Count ||
        !KdiTargetGetContext(session->Request.Processor, &context))
        return KD_STATUS_UNSUCCESSFUL;
    memcpy((uint8_t *)&context + session->Request.ContextEx.Offset, session->In,
           session->Request.ContextEx.Count);
    if (!KdiTargetSetContext(session->Request.Processor, &context))
        return KD_STATUS_UNSUCCESSFUL;
    session->Request.ContextEx.Copied = session->Request.ContextEx.Count;
    return KD_STATUS_SUCCESS;
}

enum { SpaceSpecialRegisters = 2 };

static uint32_t ReadControlSpace(Session *session)
{
    KdSpecialRegisters special;
    uint64_t address;
    uint32_t size, wanted = session->Request.Memory.TransferCount;
    uint64_t index = session->Request.Memory.Address;
    session->Request.Memory.ActualBytes = 0;
    if (index == SpaceSpecialRegisters) {
        if (!KdiTargetGetSpecial(session->Request.Processor, &special))
            return KD_STATUS_UNSUCCESSFUL;
        size = RTL_MIN(wanted, (uint32_t)sizeof special);
        memcpy(out, &special, size);
    } else {
        if (!KdiTargetGetAddress(session->Request.Processor, index, &address))
            return KD_STATUS_UNSUCCESSFUL;
        size = RTL_MIN(wanted, (uint32_t)sizeof address);
        memcpy(out, &address, size);
    }
    session->OutSize = session->Request.Memory.ActualBytes = size;
    return KD_STATUS_SUCCESS;
}

static uint32_t WriteControlSpace(Session *session)
{
    KdSpecialRegisters special;
    uint32_t size = RTL_MIN(session->Request.Memory.TransferCount, session->InSize);
    size = RTL_MIN(size, (uint32_t)sizeof special);
    session->Request.Memory.ActualBytes = 0;
    if (session->Request.Memory.Address != SpaceSpecialRegisters ||
        !KdiTargetGetSpecial(session->Request.Processor, &special))
        return KD_STATUS_UNSUCCESSFUL;
    memcpy(&special, session->In, size);
    if (!KdiTargetSetSpecial(session->Request.Processor, &special))
        return KD_STATUS_UNSUCCESSFUL;
    session->Request.Memory.ActualBytes = size;
    return KD_STATUS_SUCCESS;
}

// The processor field is set in these requests only by some hosts: the one looked at is meant.
static uint32_t ReadMsr(Session *session)
{
    uint64_t value = 0;
    bool good = KdiTargetReadMsr(session->Processor, session->Request.Msr.Msr, &value);
    session->Request.Msr.Low = (uint32_t)value;
    session->Request.Msr.High = (uint32_t)(value >> 32);
    return good ? KD_STATUS_SUCCESS : KD_STATUS_NO_DEVICE;
}

static uint32_t WriteMsr(Session *session)
{
    uint64_t value = (uint64_t)session->Request.Msr.High << 32 | session->Request.Msr.Low;
    return KdiTargetWriteMsr(session->Processor, session->Request.Msr.Msr, value)
               ? KD_STATUS_SUCCESS
               : KD_STATUS_NO_DEVICE;
}

// ------------------------------------------------------------------------------------------- ports

static uint32_t CheckPort(uint64_t port, uint32_t size)
{
    if ((size != 1 && size != 2 && size != 4) || port > 0x10000 - size)
        return KD_STATUS_INVALID_PARAMETER;
    return port % size != 0 ? KD_STATUS_MISALIGNED : KD_STATUS_SUCCESS;
}

static uint32_t ReadPort(uint64_t port, uint32_t size, uint32_t *value)
{
    *value = 0;
    uint32_t status = CheckPort(port, size);
    return status != KD_STATUS_SUCCESS ? status
                                       : Verdict(KdiTargetReadPort((uint16_t)port, size, value));
}

static uint32_t WritePort(uint64_t port, uint32_t size, uint32_t value)
{
    uint32_t status = CheckPort(port, size);
    return status != KD_STATUS_SUCCESS ? status
                                       : Verdict(KdiTargetWritePort((uint16_t)port, size, value));
}

static uint32_t ReadIo(Session *session)
{
    return ReadPort(session->Request.Io.Port, session->Request.Io.Size, &session->Request.Io.Value);
}
static uint32_t WriteIo(Session *session)
{
    return WritePort(session->Request.Io.Port, session->Request.Io.Size, session->Request.Io.Value);
}

static bool IsPortSpace(const Session *session)
{
    return session->Request.IoExtended.InterfaceType == KD_INTERFACE_ISA &&
           session->Request.IoExtended.BusNumber == 0 &&
           session->Request.IoExtended.AddressSpace == 1;
}
static uint32_t ReadIoExtended(Session *session)
{
    return IsPortSpace(session)
               ? ReadPort(session->Request.IoExtended.Port, session->Request.IoExtended.Size,
                          &session->Request.IoExtended.Value)
               : KD_STATUS_INVALID_PARAMETER;
}
static uint32_t WriteIoExtended(Session *session)
{
    return IsPortSpace(session)
               ? WritePort(session->Request.IoExtended.Port, session->Request.IoExtended.Size,
                           session->Request.IoExtended.Value)
               : KD_STATUS_INVALID_PARAMETER;
}

static uint32_t GetBusData(Session *session)
{
    uint32_t size = RTL_MIN(session->Request.BusData.Length, (uint32_t)sizeof out);
    session->Request.BusData.Length = 0;
    if (session->Request.BusData.Type != KD_BUS_PCI)
        return KD_STATUS_UNSUCCESSFUL;
    session->OutSize = session->Request.BusData.Length =
        KdiTargetReadPci(session->Request.BusData.Bus, session->Request.BusData.Slot,
                         session->Request.BusData.Offset, out, size);
    return Verdict(session->OutSize == size);
}

static uint32_t SetBusData(Session *session)
{
    uint32_t size = RTL_MIN(session->Request.BusData.Length, session->InSize);
    session->Request.BusData.Length = 0;
    if (session->Request.BusData.Type != KD_BUS_PCI)
        return KD_STATUS_UNSUCCESSFUL;
    session->Request.BusData.Length =
        KdiTargetWritePci(session->Request.BusData.Bus, session->Request.BusData.Slot,
                          session->Request.BusData.Offset, session->In, size);
    return Verdict(session->Request.BusData.Length == size);
}

// ------------------------------------------------------------------------------------- breakpoints

static uint32_t WriteBreakpoint(Session *session)
{
    uint32_t handle = KdiSetBreakpoint(session->Request.WriteBreakpoint.Address);
    session->Request.WriteBreakpoint.Handle = handle;
    return Verdict(handle != 0);
}

static uint32_t RestoreBreakpoint(Session *session)
{
    return Verdict(KdiClearBreakpoint(session->Request.RestoreBreakpoint.Handle));
}

static uint32_t WriteBreakpoints(Session *session)
{
    uint32_t count = session->Request.BreakpointEx.Count;
    bool good = true;
    if (count > KDI_BREAKPOINTS || session->InSize < count * sizeof(KdBreakpointEx))
        return KD_STATUS_UNSUCCESSFUL;
    for (uint32_t i = 0; i < count; i++) {
        KdBreakpointEx entry;
        memcpy(&entry, session->In + i * sizeof entry, sizeof entry);
        entry.Handle = KdiSetBreakpoint(entry.Address);
        good = good && entry.Handle != 0;
        memcpy(out + i * sizeof entry, &entry, sizeof entry);
    }
    session->OutSize = count * (uint32_t)sizeof(KdBreakpointEx);
    return Verdict(good);
}

static uint32_t RestoreBreakpoints(Session *session)
{
    uint32_t count = session->Request.BreakpointEx.Count;
    bool good = true;
    if (count > KDI_BREAKPOINTS || session->InSize < count * sizeof(uint32_t))
        return KD_STATUS_UNSUCCESSFUL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t handle;
        memcpy(&handle, session->In + i * sizeof handle, sizeof handle);
        good = KdiClearBreakpoint(handle) && good;
    }
    return Verdict(good);
}

static uint32_t ClearInternalBreakpoints(Session *session)
{
    session->NoAnswer = true; // there are none
    return KD_STATUS_SUCCESS;
}

// ---------------------------------------------------------------------------------------- going on

static uint32_t Leave(Session *session, KdiVerdict verdict)
{
    session->Exit.Verdict = verdict;
    session->Exit.Processor = session->Processor;
    session->Done = session->NoAnswer = true;
    return KD_STATUS_SUCCESS;
}

static KdiVerdict VerdictOf(uint32_t continueStatus)
{
    return (int32_t)continueStatus >= 0 ? KdiGoOn : KdiGoOnUnhandled;
}

static uint32_t Continue(Session *session)
{
    return Leave(session, VerdictOf(session->Request.Continue.Status));
}

static uint32_t Continue2(Session *session)
{
    session->Exit.SetTrace = true;
    session->Exit.TraceFlag = session->Request.Continue.TraceFlag != 0;
    session->Exit.Dr7 = session->Request.Continue.Dr7;
    return Leave(session, VerdictOf(session->Request.Continue.Status));
}

static uint32_t Reboot(Session *session)
{
    return Leave(session, KdiReboot);
}
static uint32_t Crash(Session *session)
{
    return Leave(session, KdiCrash);
}

// The other processor then tells of itself; an unknown one leaves the host where it is.
static uint32_t SwitchProcessor(Session *session)
{
    if (session->Request.Processor < KdiTargetProcessorCount() &&
        session->Request.Processor != session->Processor) {
        session->Processor = session->Request.Processor;
        session->Change->NewState = KD_STATE_EXCEPTION;
        session->Change->Exception.Record = (KdExceptionRecord){.ExceptionCode = KD_EXCEPTION_WAKE};
        session->Change->Exception.FirstChance = 1;
    }
    session->SendChange = session->NoAnswer = true;
    return KD_STATUS_SUCCESS;
}

static uint32_t GetVersion(Session *session)
{
    KdiTargetGetVersion(&session->Request.Version);
    return KD_STATUS_SUCCESS;
}

static uint32_t CheckLowMemory(Session *session)
{
    return KD_STATUS_SUCCESS;
}

// --------------------------------------------------------------------------------------- the table

typedef uint32_t Handler(Session *session); // gives the answer's status

static Handler *const handlers[KdApiLast - KdApiFirst + 1] = {
#define API(name) [KdApi##name - KdApiFirst]
    API(ReadVirtual) = ReadVirtual,
    API(WriteVirtual) = WriteVirtual,
    API(GetContext) = GetContext,
    API(SetContext) = SetContext,
    API(WriteBreakpoint) = WriteBreakpoint,
    API(RestoreBreakpoint) = RestoreBreakpoint,
    API(Continue) = Continue,
    API(ReadControlSpace) = ReadControlSpace,
    API(WriteControlSpace) = WriteControlSpace,
    API(ReadIo) = ReadIo,
    API(WriteIo) = WriteIo,
    API(Reboot) = Reboot,
    API(Continue2) = Continue2,
    API(ReadPhysical) = ReadPhysical,
    API(WritePhysical) = WritePhysical,
    API(ReadIoExtended) = ReadIoExtended,
    API(WriteIoExtended) = WriteIoExtended,
    API(GetVersion) = GetVersion,
    API(WriteBreakpointEx) = WriteBreakpoints,
    API(RestoreBreakpointEx) = RestoreBreakpoints,
    API(Crash) = Crash,
    API(SwitchProcessor) = SwitchProcessor,
    API(ReadMsr) = ReadMsr,
    API(WriteMsr) = WriteMsr,
    API(Search) = Search,
    API(GetBusData) = GetBusData,
    API(SetBusData) = SetBusData,
    API(CheckLowMemory) = CheckLowMemory,
    API(ClearInternalBreakpoints) = ClearInternalBreakpoints,
    API(Fill) = Fill,
    API(QueryMemory) = QueryMemory,
    API(GetContextEx) = GetContextEx,
    API(SetContextEx) = SetContextEx,
#undef API
};

static void Answer(Session *session)
{
    KdiLink *link = session->Link;
    if (link->Size < sizeof session->Request)
        return; // not a request; the host will send it again
    memcpy(&session->Request, link->Data, sizeof session->Request);
    session->In = link->Data + sizeof session->Request;
    session->InSize = link->Size - (uint32_t)sizeof session->Request;
    session->OutSize = 0;
    session->NoAnswer = false;
    uint32_t index = session->Request.ApiNumber - KdApiFirst;
    Handler *handler = index < RTL_COUNT_OF(handlers) ? handlers[index] : nullptr;
    session->Request.ReturnStatus = handler != nullptr ? handler(session) : KD_STATUS_UNSUCCESSFUL;
    if (!session->NoAnswer && !KdiSendPacket(link, KdPacketManipulate, &session->Request,
                                             sizeof session->Request, out, session->OutSize, 0))
        Leave(session, KdiNobody);
}

// ------------------------------------------------------------------------------- the state change

// The code at the stop is shown without our breakpoints: the host sets them again when it goes on.
static void DescribeProcessor(Session *session)
{
    KdStateChange *change = session->Change;
    KdControlReport *report = &change->ControlReport;
    KdSpecialRegisters special;
    *report = (KdControlReport){};
    change->Processor = (uint16_t)session->Processor;
    change->ProcessorLevel = 6;
    change->NumberProcessors = KdiTargetProcessorCount();
    change->Thread = 0;
    (void)KdiTargetGetAddress(session->Processor, 3, &change->Thread);
    if (!KdiTargetGetContext(session->Processor, &context) ||
        !KdiTargetGetSpecial(session->Processor, &special))
        return;
    change->ProgramCounter = context.Rip;
    if (change->NewState == KD_STATE_EXCEPTION && change->Exception.Record.ExceptionAddress == 0)
        change->Exception.Record.ExceptionAddress = context.Rip;
    report->Dr6 = special.KernelDr6;
    report->Dr7 = special.KernelDr7;
    report->EFlags = context.EFlags;
    report->SegCs = context.SegCs;
    report->SegDs = context.SegDs;
    report->SegEs = context.SegEs;
    report->SegFs = context.SegFs;
    report->ReportFlags = KD_REPORT_SEGMENTS;
    if ((context.SegCs & 3) == 0)
        report->ReportFlags |= KD_REPORT_STANDARD;
    KdiClearBreakpointsIn(context.Rip, sizeof report->InstructionStream);
    report->InstructionCount = (uint16_t)KdiTargetRead(context.Rip, report->InstructionStream,
                                                       sizeof report->InstructionStream);
}

KdiExit KdiServe(KdiLink *link, KdStateChange *change, const void *data, size_t dataSize,
                 uint32_t tries)
{
    Session session = {
        .Link = link, .Change = change, .Processor = change->Processor, .SendChange = true};
    while (!session.Done) {
        if (session.SendChange) {
            session.SendChange = false;
            DescribeProcessor(&session);
            if (!KdiSendPacket(link, KdPacketStateChange, change, sizeof *change, data, dataSize,
                               tries)) {
                Leave(&session, KdiNobody);
                break;
            }
        }
        switch (KdiReceivePacket(link, KdPacketManipulate)) {
        case KdiLinkPacket:
            Answer(&session);
            break;
        case KdiLinkResend:
        case KdiLinkBreakIn:
            session.SendChange = true;
            break;
        case KdiLinkTimeOut:
            break; // the host takes its time
        case KdiLinkGone:
            Leave(&session, KdiNobody);
            break;
        }
    }
    link->BreakIn = false;
    return session.Exit;
}
