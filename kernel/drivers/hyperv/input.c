// input.c - the synthetic keyboard and mouse as sources of input events.
//
// The protocols are lib/synth's; what the devices say arrives in the bus's DPC and goes straight
// into the input queue. There is one of each. When one is taken away, what was held down on it is
// let go. What breaks the protocol is dropped.
// SPDX-License-Identifier: MIT
#include "../drivers.h"

#include "MetalKeys.h"
#include "hyperv.h"
#include "synth/synth.h"

#define RING_SIZE    16384u
#define PATIENCE     (5ull * 1000000000) // for an answer of the device
#define MAXIMUM_SIZE 1024u               // of a packet

typedef struct Source {
    HvChannel *Channel; // nullptr: there is none
    KEvent Answered;    // Ready or Refused has changed
    volatile bool Ready, Refused;
} Source;

static struct {
    Source Source;
    SynKeyboard Protocol;
    uint64_t Held[4]; // by key code
} Keyboard;

static struct {
    Source Source;
    SynMouse Protocol;
    InputPointerEvent Last;
} Mouse;

static KSpinLock LightsLock = KE_SPIN_LOCK_INIT(LockRankDevice, "hyperv keyboard");
static HvChannel *LightsChannel; // guarded by LightsLock

static void Answer(Source *source, SynVerdict verdict, const char *name)
{
    if (verdict == SynBroken)
        HvRejectPacket(source->Channel);
    if (verdict == SynReady)
        source->Ready = true;
    if (verdict == SynRefused) {
        source->Refused = true;
        KeLog(LogError, "hyperv: the %s speaks no version of ours", name);
    }
    if (verdict == SynReady || verdict == SynRefused)
        KeSetEvent(&source->Answered);
}

static Status Open(Source *source, HvChannel *channel, const HvHandlers *handlers,
                   const SynMessage *request, bool pipe)
{
    KeInitializeEvent(&source->Answered, true, false);
    source->Ready = source->Refused = false;
    source->Channel = channel;
    HvOpenParameters parameters = {.SendBytes = RING_SIZE,
                                   .ReceiveBytes = RING_SIZE,
                                   .MaximumPacket = MAXIMUM_SIZE,
                                   .Handlers = handlers};
    Status status = HvOpenChannel(channel, &parameters);
    if (status == StatusSuccess)
        status = pipe ? HvSendPipe(channel, request->Bytes, request->Size)
                      : HvSend(channel, request->Bytes, request->Size, 0, true);
    if (status == StatusSuccess)
        status = HvWait(channel, &source->Answered, PATIENCE);
    if (status == StatusSuccess && !source->Ready)
        status = StatusIoError;
    if (status != StatusSuccess) {
        HvCloseChannel(channel);
        source->Channel = nullptr;
    }
    return status;
}

// ---- keyboard

static void ReportKey(uint16_t code, bool pressed)
{
    IoInputEvent event = {
        .Kind = InputKey, .Pressed = pressed, .Code = code, .Time = KeQueryTime()};
    IoReportInput(&event);
}

static void ReceiveKeyboard(void *context, const HvPacket *packet)
{
    if (packet->Type != VmbusInBand || Keyboard.Source.Refused)
        return;
    SynKey key;
    SynVerdict verdict = SynReceiveKeyboard(&Keyboard.Protocol, packet->Data, packet->Size, &key);
    if (verdict == SynEvent) {
        uint64_t bit = 1ull << key.Code % 64;
        uint64_t *word = &Keyboard.Held[key.Code / 64 % 4];
        *word = key.Pressed ? *word | bit : *word & ~bit;
        ReportKey(key.Code, key.Pressed);
    } else {
        Answer(&Keyboard.Source, verdict, "keyboard");
    }
}

static void SetLights(uint32_t modifiers)
{
    SynMessage message;
    SynBuildKeyboardLights(false, modifiers & ModifierNumLock, modifiers & ModifierCapsLock,
                           &message);
    KIrql old = KeAcquireSpinLock(&LightsLock);
    // One that is not sent is of no consequence.
    if (LightsChannel)
        (void)!HvSend(LightsChannel, message.Bytes, message.Size, 0, false);
    KeReleaseSpinLock(&LightsLock, old);
}

static void SetLightsChannel(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&LightsLock);
    LightsChannel = channel;
    KeReleaseSpinLock(&LightsLock, old);
}

static Status ProbeKeyboard(IoDevice *device)
{
    static const HvHandlers handlers = {.Receive = ReceiveKeyboard};
    static bool registered;
    HvChannel *channel = HvGetChannel(device);
    if (!HvIsClass(channel, &VmbusClassKeyboard))
        return StatusNotSupported;
    if (Keyboard.Source.Channel)
        return StatusAlreadyExists;
    SynMessage request;
    SynStartKeyboard(&Keyboard.Protocol, &request);
    Status status = Open(&Keyboard.Source, channel, &handlers, &request, false);
    if (status != StatusSuccess)
        return status;
    SetLightsChannel(channel);
    if (!registered)
        IoRegisterKeyboardLeds(SetLights);
    registered = true;
    return StatusSuccess;
}

static void RemoveKeyboard(IoDevice *device)
{
    SetLightsChannel(nullptr);
    HvCloseChannel(Keyboard.Source.Channel);
    Keyboard.Source.Channel = nullptr;
    for (uint32_t code = 0; code < 256; code++)
        if (Keyboard.Held[code / 64] >> code % 64 & 1)
            ReportKey((uint16_t)code, false);
    memset(Keyboard.Held, 0, sizeof(Keyboard.Held));
}

// ---- mouse

static void ReportPointer(const InputPointerEvent *pointer)
{
    IoInputEvent event = {.Kind = pointer->Relative ? InputMouseRelative : InputMouseAbsolute,
                          .X = pointer->X,
                          .Y = pointer->Y,
                          .Wheel = pointer->Wheel,
                          .Buttons = pointer->Buttons,
                          .Time = KeQueryTime()};
    IoReportInput(&event);
}

static void ReceiveMouse(void *context, const HvPacket *packet)
{
    if (packet->Type != VmbusInBand || Mouse.Source.Refused)
        return;
    uint32_t size;
    const void *message = HvGetPipeMessage(packet, &size);
    SynMessage answer = {};
    InputPointerEvent event;
    SynVerdict verdict =
        message ? SynReceiveMouse(&Mouse.Protocol, message, size, &event, &answer) : SynBroken;
    if (verdict == SynEvent) {
        Mouse.Last = event;
        ReportPointer(&event);
        return;
    }
    // It is the first that is sent after the request: there is room, unless the host is gone.
    if (answer.Size)
        (void)!HvSendPipe(Mouse.Source.Channel, answer.Bytes, answer.Size);
    Answer(&Mouse.Source, verdict, "mouse");
}

static Status ProbeMouse(IoDevice *device)
{
    static const HvHandlers handlers = {.Receive = ReceiveMouse};
    HvChannel *channel = HvGetChannel(device);
    if (!HvIsClass(channel, &VmbusClassMouse))
        return StatusNotSupported;
    if (Mouse.Source.Channel)
        return StatusAlreadyExists;
    SynMessage request;
    SynStartMouse(&Mouse.Protocol, &request);
    return Open(&Mouse.Source, channel, &handlers, &request, true);
}

static void RemoveMouse(IoDevice *device)
{
    HvCloseChannel(Mouse.Source.Channel);
    Mouse.Source.Channel = nullptr;
    if (Mouse.Last.Buttons) {
        Mouse.Last.Buttons = 0;
        Mouse.Last.Wheel = 0;
        if (Mouse.Last.Relative)
            Mouse.Last.X = Mouse.Last.Y = 0;
        ReportPointer(&Mouse.Last);
    }
}

const IoDriver HvKeyboardDriver = {
    .Name = "hyperv keyboard", .Bus = IoBusVmbus, .Probe = ProbeKeyboard, .Remove = RemoveKeyboard};
const IoDriver HvMouseDriver = {
    .Name = "hyperv mouse", .Bus = IoBusVmbus, .Probe = ProbeMouse, .Remove = RemoveMouse};
