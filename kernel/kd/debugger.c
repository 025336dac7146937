// debugger.c - a kernel debugger at the other end of COM2: when the machine stops for it, what is
// said to it meanwhile, and how everything goes on as if nothing had happened.
//
// Boot option `debug = on` opens the port; `debug = boot` stops there until a debugger has come.
// Without the option COM2 is not touched. The machine stops for
//   * the debugger's break-in: a byte 'b' on the line wakes the port's interrupt routine,
//   * breakpoints and single steps in the kernel, and, while a debugger is attached, in programs,
//   * the code here that has something to report: a module came or went, a bugcheck.
// A stop goes through KdiBreak, or straight from the trap: the processor takes the machine
// (KeFreezeMachine), captures all registers (target.c), serves the debugger (remote.c), loads what
// it changed and lets go. Time stands still meanwhile: the clock is set back by what the stop took.
//
// Nobody has to be there. What merely informs (text, modules) is sent only while a debugger is
// attached, and one that does not answer for about a second counts as gone. A break-in that nobody
// stands behind - noise on the line - stops the machine for a fraction of a second, and then none
// is looked at for a while. Only a stop with a debugger attached waits for it to come back.
//
// Locking: portLock, taken with interrupts off, by whoever uses the line. Who wants the machine
// takes it first, so that the line is never left in the middle of a packet by a processor that was
// stopped; only a bugcheck breaks in. Inside a stop nothing else is locked.
// SPDX-License-Identifier: MIT
#include "kdi.h"
#include "remote.h"
#include "target.h"

enum : uint64_t {
    DeafTime = 2000000000,     // ns for which a break-in in vain is not looked at again
    PollsWithoutClock = 250000 // status reads, about 1 us each, before the clock runs
};
enum { SendPolls = 200000, InformTries = 3, AttachTries = 2, TrapDebug = 1, TrapBreakpoint = 3 };

#define RFLAGS_TRAP 0x100u

typedef enum BreakReason : uint64_t { // as WinDbg reads them from ecx at BreakpointWithStatus
    BreakControlC = 1,
    BreakBugCheck = 3,
    BreakFatal = 4, // the same, after what follows a bugcheck
    BreakModule = 0x100,
} BreakReason;

typedef struct ModuleEvent {
    const char *Path;
    uint64_t Base, Size, ProcessId;
    bool Unload;
} ModuleEvent;

static HalSerialPort port;
static KdiLink link;
static bool enabled;
static volatile uint32_t portLock; // owner processor + 1
static bool inStop;                // the owner of the machine talks to the debugger
static uint64_t deafUntil;
static KdStateChange change;                          // of the one stop there is
static volatile bool stopAtBoot;                      // nobody has stopped there yet
static volatile bool handling[KE_MAXIMUM_PROCESSORS]; // a trap, by the processor itself
static volatile uint64_t takenOut; // address of a breakpoint that the debugger ran into

// -------------------------------------------------------------------------------------- the line

static bool SendBytes(void *context, const void *bytes, size_t size)
{
    return HalSendSerial(&port, bytes, size, SendPolls);
}

static KdiByteResult ReceiveByte(void *context, uint8_t *byte, KdiWait wait)
{
    static const uint64_t times[] = {
        [KdiWaitNext] = 500000000,
        [KdiWaitWithin] = 2000000000,
        [KdiWaitListening] = 500000,
        [KdiWaitGreeting] = 100000000,
    }; // ns
    uint64_t start = KeQueryTime();
    for (uint64_t polls = 0; !HalReceiveSerial(&port, byte); polls++) {
        uint64_t now = KeQueryTime();
        if (now - start > times[wait] || (now == 0 && polls > PollsWithoutClock))
            return KdiByteNone;
        HalPause();
    }
    return KdiByteReceived;
}

static const KdiPort serialPort = {SendBytes, ReceiveByte};

static bool TryLockPort(void)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&portLock, &expected, KeGetCurrentProcessorNumber() + 1,
                                       false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

// Interrupts off. false: this processor has it already (a fault in what runs under it).
static bool LockPort(void)
{
    while (!TryLockPort()) {
        if (portLock == KeGetCurrentProcessorNumber() + 1)
            return false;
        HalPause();
    }
    return true;
}

// Bytes that came while the line was in use have interrupted somebody who could not have it.
static void UnlockPort(void)
{
    __atomic_store_n(&portLock, 0, __ATOMIC_RELEASE);
    HalRepeatSerialInterrupt(&port);
}

// ------------------------------------------------------------------------------------- KdiBreak

// void KdiBreak(BreakReason reason, const void *argument): stops the machine here.
void KdiBreak(BreakReason reason, const void *argument);
__attribute__((naked)) void KdiBreak(BreakReason reason, const void *argument)
{
    __asm__("nop"); // no two names for one address
    __asm__(".globl KdiBreakTrap\nKdiBreakTrap: int3");
    __asm__(".globl KdiBreakReturn\nKdiBreakReturn: retq");
}

// ---------------------------------------------------------------------------------------- a stop

static void FillException(const KTrapFrame *frame)
{
    bool step = frame->Vector == TrapDebug;
    change = (KdStateChange){.NewState = KD_STATE_EXCEPTION,
                             .Processor = (uint16_t)KeGetCurrentProcessorNumber()};
    change.Exception.Record.ExceptionCode =
        step ? KD_EXCEPTION_SINGLE_STEP : KD_EXCEPTION_BREAKPOINT;
    change.Exception.Record.ExceptionAddress = frame->Rip;
    change.Exception.Record.NumberParameters = step ? 0 : 1;
    change.Exception.FirstChance = 1;
}

static void FillModule(const ModuleEvent *event)
{
    change = (KdStateChange){.NewState = KD_STATE_LOAD_SYMBOLS,
                             .Processor = (uint16_t)KeGetCurrentProcessorNumber()};
    change.LoadSymbols.PathNameLength =
        event->Path != nullptr ? (uint32_t)strlen(event->Path) + 1 : 0;
    change.LoadSymbols.BaseOfDll = event->Base;
    change.LoadSymbols.ProcessId = event->ProcessId;
    change.LoadSymbols.SizeOfImage = (uint32_t)event->Size;
    change.LoadSymbols.UnloadSymbols = event->Unload;
}

static bool IsPatient(const KTrapFrame *frame, bool module)
{
    bool boot = stopAtBoot;
    stopAtBoot = false;
    return !module && (boot || link.HostPresent);
}

// The machine is this processor's. false: no debugger took the stop.
static bool Talk(KTrapFrame *frame, const ModuleEvent *event)
{
    if (event != nullptr)
        FillModule(event);
    else
        FillException(frame);
    bool inform = event != nullptr;
    uint32_t tries = IsPatient(frame, inform) ? 0 : inform ? InformTries : AttachTries;
    KdiRefreshDataBlock();
    KdiTargetStop(frame);
    inStop = true;
    KdiExit exit = KdiServe(
        &link, &change, inform ? event->Path : nullptr,
        change.NewState == KD_STATE_LOAD_SYMBOLS ? change.LoadSymbols.PathNameLength : 0, tries);
    inStop = false;
    KdiTargetGo(&exit);
    switch (exit.Verdict) {
    case KdiReboot:
        HalReset();
    case KdiCrash:
        UnlockPort();
        KeBugCheck(BugCheckManual, 0, 0, 0, 0);
    case KdiNobody:
        deafUntil = KeQueryTime() + DeafTime;
        return false;
    case KdiGoOn:
    case KdiGoOnUnhandled:
        break;
    }
    return exit.Verdict == KdiGoOn || event != nullptr;
}

// Takes line and machine, in this order. false: while it waited, other processors stopped the
// machine, and the reason for this stop may be gone.
static bool Enter(KTrapFrame *frame)
{
    if (KeIsMachineFrozen()) { // a bugcheck: whoever has the line is stopped, or is this processor
        portLock = KeGetCurrentProcessorNumber() + 1;
        return KeFreezeMachine(frame);
    }
    if (!LockPort())
        return false;
    if (!KeFreezeMachine(frame)) {
        UnlockPort();
        return false;
    }
    return true;
}

static void Leave(uint64_t start)
{
    KeSkipTime(KeQueryTime() - start);
    KeThawMachine();
    UnlockPort();
}

static bool IsStillThere(uint64_t address)
{
    uint8_t byte;
    return KdiTargetRead(address, &byte, 1) == 1 && byte == 0xCC;
}

// A breakpoint in what the debugger itself runs is taken out, or it would never end.
static bool StepOffOwnBreakpoint(KTrapFrame *frame)
{
    if (frame->Vector != TrapBreakpoint || !KdiIsBreakpoint(frame->Rip - 1))
        return false;
    KdiClearBreakpointsIn(--frame->Rip, 1);
    takenOut = frame->Rip;
    return true;
}

static bool HandleStop(KTrapFrame *frame);

// Breakpoint and debug traps. true: the interrupted code goes on with what the frame now says.
static bool HandleTrap(KTrapFrame *frame)
{
    volatile bool *own = &handling[KeGetCurrentProcessorNumber()];
    if (!enabled)
        return false;
    if (*own)
        return StepOffOwnBreakpoint(frame) || HandleStop(frame);
    *own = true;
    bool handled = HandleStop(frame);
    *own = false;
    return handled;
}

static bool HandleStop(KTrapFrame *frame)
{
    if (inStop || (HalTrapFromUser(frame) && !link.HostPresent))
        return false;
    bool stub = frame->Vector == TrapBreakpoint && frame->Rip == (uint64_t)KdiBreakReturn;
    if (frame->Vector == TrapBreakpoint && !stub)
        frame->Rip--; // the breakpoint is where it is, and runs again if it is still there
    uint64_t start = KeQueryTime();
    while (!Enter(frame)) {
        if (portLock == KeGetCurrentProcessorNumber() + 1)
            return false;
        start = KeQueryTime();
    }
    bool handled = true;
    if (frame->Vector == TrapDebug || stub || IsStillThere(frame->Rip) || takenOut == frame->Rip) {
        const ModuleEvent *event =
            stub && frame->Rcx == BreakModule ? (const ModuleEvent *)frame->Rdx : nullptr;
        handled = Talk(frame, event) || stub;
    }
    takenOut = 0;
    Leave(start);
    if (!handled && frame->Vector == TrapBreakpoint)
        frame->Rip++;
    return handled;
}

// ----------------------------------------------------------------------------------- the break-in

// A host that has said something is heard at once; a break-in that may be noise, not too often.
static bool IsBreakInMeant(void)
{
    return link.HostPresent || KeQueryTime() >= deafUntil;
}

static void PortInterrupt(void *context)
{
    if (!TryLockPort())
        return; // it is in use: who has it interrupts again
    bool stop = KdiListen(&link) && IsBreakInMeant();
    UnlockPort();
    if (stop)
        KdiBreak(BreakControlC, nullptr);
}

// ----------------------------------------------------------------------------- text and modules

static void SendPrint(const char *text, size_t length, uint32_t tries)
{
    KdDebugIo header = {.ApiNumber = KD_IO_PRINT,
                        .ProcessorLevel = 6,
                        .Processor = (uint16_t)KeGetCurrentProcessorNumber(),
                        .Length = (uint32_t)RTL_MIN(length, (size_t)KD_MAXIMUM_PRINT)};
    (void)KdiSendPacket(&link, KdPacketDebugIo, &header, sizeof header, text, header.Length, tries);
}

void KdPrint(const char *text, size_t length)
{
    if (!enabled || inStop || !link.HostPresent)
        return;
    bool interrupts = HalSaveInterrupts();
    if (LockPort()) {
        SendPrint(text, length, InformTries);
        bool stop = link.BreakIn && IsBreakInMeant() && !KeIsMachineFrozen();
        link.BreakIn = false;
        UnlockPort();
        if (stop)
            KdiBreak(BreakControlC, nullptr);
    }
    HalRestoreInterrupts(interrupts);
}

size_t KdPrompt(const char *prompt, char *answer, size_t size)
{
    size_t length = 0;
    answer[0] = 0;
    if (!enabled || inStop || !link.HostPresent)
        return 0;
    bool interrupts = HalSaveInterrupts();
    if (!LockPort()) {
        HalRestoreInterrupts(interrupts);
        return 0;
    }
    KdDebugIo header = {.ApiNumber = KD_IO_GET_STRING,
                        .ProcessorLevel = 6,
                        .Processor = (uint16_t)KeGetCurrentProcessorNumber(),
                        .Length = (uint32_t)strlen(prompt),
                        .Room = (uint32_t)size - 1};
    bool again = true;
    while (again && KdiSendPacket(&link, KdPacketDebugIo, &header, sizeof header, prompt,
                                  header.Length, InformTries)) {
        KdiLinkResult result;
        do {
            result = KdiReceivePacket(&link, KdPacketDebugIo);
        } while (result == KdiLinkTimeOut); // somebody types
        again = result == KdiLinkResend || result == KdiLinkBreakIn;
        if (result == KdiLinkPacket && link.Size >= sizeof header) {
            length = RTL_MIN(link.Size - sizeof header, size - 1);
            memcpy(answer, link.Data + sizeof header, length);
            answer[length] = 0;
        }
    }
    UnlockPort();
    HalRestoreInterrupts(interrupts);
    return length;
}

void KdNotifyModule(const char *path, uint64_t base, uint64_t size, uint64_t processId, bool unload)
{
    const ModuleEvent event = {path, base, size, processId, unload};
    if (enabled && link.HostPresent)
        KdiBreak(BreakModule, &event);
}

void KdNotifyShutdown(void)
{
    KdNotifyModule(nullptr, UINT64_MAX, 0, 0, true);
}

void KdiBreakForBugCheck(const KBugCheck *bugCheck)
{
    KdiSetBugCheckData(bugCheck);
    if (enabled && !inStop)
        KdiBreak(BreakBugCheck, bugCheck);
}

// -------------------------------------------------------------------------------------- start-up

Status KdStartDebugger(const LoaderParams *loader)
{
    char value[16];
    KdiInitializeDataBlock(loader);
    if (!RtlFindOption(loader->Options, "debug", 0, value, sizeof value) ||
        RtlCompareNoCase(value, "off") == 0)
        return StatusSuccess;
    if (!HalOpenDebugPort(&port))
        return StatusNotFound;
    KdiInitializeLink(&link, &serialPort, nullptr);
    KdiInitializeTarget();
    KdiTargetForbidPorts(port.Base);
    KeRegisterDebugger(HandleTrap, KdPrint);
    stopAtBoot = RtlCompareNoCase(value, "boot") == 0;
    bool boot = stopAtBoot;
    enabled = true;
    Status status = HalConnectIsaInterrupt(HAL_DEBUG_PORT_IRQ, PortInterrupt, nullptr);
    if (status == StatusSuccess)
        HalEnableSerialInterrupt(&port);
    KeLog(LogInfo, "kd: a debugger may come in on COM2");
    if (boot) {
        bool interrupts = HalSaveInterrupts();
        if (stopAtBoot) // no host was there before, which stopped the machine itself
            KdiBreak(BreakControlC, nullptr);
        HalRestoreInterrupts(interrupts);
    } else {
        // A host that has been waiting for the boot answers; one try costs a fraction of a second.
        SendPrint("MetalOS\n", 8, 1);
    }
    return status;
}
