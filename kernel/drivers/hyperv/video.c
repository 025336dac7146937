// video.c - the synthetic video device as the desktop's display.
//
// The desktop paints into video memory that the host maps where the driver says; after each
// composition the driver names the rectangles. A host that asks for the pointer shows it, and is
// told of its place and picture; until it asks, the desktop paints it, and the host's is hidden.
// Until the device runs, and when it does not, the firmware's frame buffer is the display.
//
// What breaks the protocol is dropped. A host that asks for more than it reads gets no answers.
//
// Locking: the lock guards the protocol's state, which the bus's DPC and the window system use.
// SPDX-License-Identifier: MIT
#include "../drivers.h"

#include "hyperv.h"
#include "synth/synth.h"
#include "win.h"

#define RING_SIZE      65536u
#define MAXIMUM_SIZE   4096u               // of a packet
#define PATIENCE       (5ull * 1000000000) // for an answer of the device
#define MINIMUM_MEMORY (8u << 20)          // what hosts have that say nothing
#define MAXIMUM_MEMORY (256u << 20)

static struct {
    HvChannel *Channel; // nullptr: there is none
    KSpinLock Lock;
    SynVideo Protocol;     // [l]
    volatile bool Refused; // there is no version that both know: nothing is sent any more
    HvLogLimit MayLog;
    bool RepaintAll; // [l] a message found no room: all of it, when there is
    KEvent Answered; // the mode is set, or Refused
    PhysicalAddress Memory;
    uint32_t MemorySize;
    WinDisplay Display;
    KWorkItem ModeWork;      // the host would like another mode
    KWorkItem PointerWork;   // the host has said whether it wants the pointer
    const GfxImage *Picture; // [l] the host's pointer's; nullptr: transparent, or to be sent again
} Video = {.Lock = KE_SPIN_LOCK_INIT(LockRankDevice, "hyperv video")};
// Legend: l Lock.

// Lock held.
static Status Send(const SynMessage *message)
{
    return message->Size ? HvSendPipe(Video.Channel, message->Bytes, message->Size) : StatusSuccess;
}

// Lock held.
static void SendDirt(const SynRect *rects, uint32_t count)
{
    SynMessage message;
    SynBuildVideoDirt(&Video.Protocol, rects, count, &message);
    if (Send(&message) == StatusWouldBlock)
        Video.RepaintAll = true;
}

// Lock held.
static void SendAll(void)
{
    SynRect all = {0, 0, Video.Protocol.Mode.Width, Video.Protocol.Mode.Height};
    Video.RepaintAll = false;
    SendDirt(&all, 1);
}

static uint32_t WithoutPremultiplication(uint32_t pixel)
{
    uint32_t alpha = pixel >> 24;
    if (alpha == 0 || alpha == 255)
        return pixel;
    uint32_t result = alpha << 24;
    for (uint32_t shift = 0; shift < 24; shift += 8)
        result |= RTL_MIN((pixel >> shift & 255) * 255 / alpha, 255u) << shift;
    return result;
}

// Lock held. nullptr: a transparent one. One that finds no room is sent with the next movement.
static void SendPicture(const GfxImage *picture, const WinPointer *pointer)
{
    static uint8_t message[SYN_VIDEO_POINTER_MESSAGE];
    static uint32_t pixels[SYN_VIDEO_POINTER_SIDE * SYN_VIDEO_POINTER_SIDE];
    uint32_t width = picture ? (uint32_t)picture->Width : 1,
             height = picture ? (uint32_t)picture->Height : 1;
    for (uint32_t i = 0; i < width * height; i++)
        pixels[i] = picture ? WithoutPremultiplication(picture->Pixels[i]) : 0;
    uint32_t size = SynBuildVideoPointer(width, height, (uint32_t)pointer->HotX,
                                         (uint32_t)pointer->HotY, pixels, message);
    if (HvSendPipe(Video.Channel, message, size) == StatusSuccess)
        Video.Picture = picture;
}

// Lock held.
static void SendPosition(const WinPointer *pointer)
{
    SynMessage message;
    SynBuildVideoPosition(pointer->Shown, pointer->X, pointer->Y, &message);
    (void)!Send(&message);
}

// Lock held.
static void HidePointer(void)
{
    static const WinPointer hidden = {};
    SendPosition(&hidden);
    SendPicture(nullptr, &hidden);
}

static bool IsSmall(const GfxImage *picture)
{
    return picture->Width > 0 && (uint32_t)picture->Width <= SYN_VIDEO_POINTER_SIDE &&
           picture->Height > 0 && (uint32_t)picture->Height <= SYN_VIDEO_POINTER_SIDE;
}

static void SetPointer(WinDisplay *display, const WinPointer *pointer)
{
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    HvHoldSignal(Video.Channel);
    if (!Video.Refused && pointer->Picture != Video.Picture && IsSmall(pointer->Picture))
        SendPicture(pointer->Picture, pointer);
    if (!Video.Refused)
        SendPosition(pointer);
    HvReleaseSignal(Video.Channel);
    KeReleaseSpinLock(&Video.Lock, old);
}

static void TakePointerWish(void *context)
{
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    bool wanted = Video.Protocol.WantsPointer;
    Video.Picture = nullptr; // it is to be sent again
    KeReleaseSpinLock(&Video.Lock, old);
    WinSetPointerShown(&Video.Display, wanted);
}

static void TakePreferredMode(void *context)
{
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    SynVideoMode mode = Video.Protocol.Preferred;
    KeReleaseSpinLock(&Video.Lock, old);
    Status status = WinSetScreenMode(mode.Width, mode.Height);
    if (status != StatusSuccess && HvMayLog(&Video.MayLog))
        KeLog(LogWarning, "hyperv: the host's display mode %ux%u cannot be set, status %u",
              mode.Width, mode.Height, (unsigned)status);
}

// ---- what the host says; DispatchLevel

static void Act(SynVerdict verdict, const SynVideoNeeds *needs)
{
    switch (verdict) {
    case SynReady:
        HidePointer();
        KeSetEvent(&Video.Answered);
        break;
    case SynEvent:
        if (needs->Pointer)
            KeQueueWorkItem(&Video.PointerWork);
        if (needs->Repaint)
            SendAll();
        if (needs->Mode)
            KeQueueWorkItem(&Video.ModeWork);
        break;
    case SynRefused:
        Video.Refused = true;
        KeSetEvent(&Video.Answered);
        KeLog(LogError, "hyperv: the video device speaks no version of ours");
        break;
    case SynBroken:
        HvRejectPacket(Video.Channel);
        break;
    default:
        break;
    }
}

static void Receive(void *context, const HvPacket *packet)
{
    if (packet->Type != VmbusInBand || Video.Refused)
        return;
    uint32_t size;
    const void *bytes = HvGetPipeMessage(packet, &size);
    SynMessage answer = {};
    SynVideoNeeds needs = {};
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    SynVerdict verdict =
        bytes ? SynReceiveVideo(&Video.Protocol, bytes, size, &needs, &answer) : SynBroken;
    (void)!Send(&answer);
    Act(verdict, &needs);
    KeReleaseSpinLock(&Video.Lock, old);
}

static void Writable(void *context)
{
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    if (Video.RepaintAll && !Video.Refused)
        SendAll();
    KeReleaseSpinLock(&Video.Lock, old);
}

// ---- the display

static void Update(WinDisplay *display, const Rect *rects, size_t count)
{
    static_assert(sizeof(SynRect) == sizeof(Rect));
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    HvHoldSignal(Video.Channel);
    while (count && Video.Protocol.WantsDirt && !Video.Refused && !Video.RepaintAll) {
        SynRect part[SYN_VIDEO_MAXIMUM_DIRT];
        uint32_t some = (uint32_t)RTL_MIN(count, SYN_VIDEO_MAXIMUM_DIRT);
        memcpy(part, rects, some * sizeof(Rect));
        SendDirt(part, some);
        rects += some;
        count -= some;
    }
    HvReleaseSignal(Video.Channel);
    KeReleaseSpinLock(&Video.Lock, old);
}

static void TakeSize(void)
{
    Video.Display.Width = Video.Display.Stride = Video.Protocol.Mode.Width;
    Video.Display.Height = Video.Protocol.Mode.Height;
}

static bool GetMode(WinDisplay *display, uint32_t index, ScreenMode *mode)
{
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    bool there = index < Video.Protocol.ModeCount;
    if (there)
        *mode = (ScreenMode){Video.Protocol.Modes[index].Width, Video.Protocol.Modes[index].Height};
    KeReleaseSpinLock(&Video.Lock, old);
    return there;
}

static Status SetMode(WinDisplay *display, uint32_t width, uint32_t height)
{
    SynMessage message;
    SynVideoMode mode = {(uint16_t)width, (uint16_t)height};
    if (mode.Width != width || mode.Height != height)
        return StatusInvalidParameter;
    KIrql old = KeAcquireSpinLock(&Video.Lock);
    SynVideoMode before = Video.Protocol.Mode;
    KeResetEvent(&Video.Answered);
    Status status =
        Video.Refused ? StatusDeviceNotReady : SynSetVideoMode(&Video.Protocol, mode, &message);
    if (status == StatusSuccess) {
        status = Send(&message);
        if (status != StatusSuccess)
            Video.Protocol.Mode = before;
    }
    KeReleaseSpinLock(&Video.Lock, old);
    if (status != StatusSuccess)
        return status;
    status = HvWait(Video.Channel, &Video.Answered, PATIENCE);
    if (status == StatusSuccess && Video.Refused)
        status = StatusIoError;
    // Without an answer the host may or may not have done it; the last that was asked for counts.
    TakeSize();
    return status;
}

static void UpdateStopped(WinDisplay *display)
{
    static const HvHandlers deaf = {};
    static bool taken;
    SynMessage message;
    if (!taken) {
        HvTakeOver(Video.Channel, &deaf, nullptr);
        SynBuildVideoPosition(false, 0, 0, &message); // else it is over the text
        if (!Video.Refused)
            (void)!HvSendPipe(Video.Channel, message.Bytes, message.Size);
    }
    taken = true;
    SynRect all = {0, 0, (int32_t)display->Width, (int32_t)display->Height};
    SynBuildVideoDirt(&Video.Protocol, &all, 1, &message);
    if (!Video.Refused && message.Size)
        (void)!HvSendPipe(Video.Channel, message.Bytes, message.Size);
}

// ---- start and end

static Status MapMemory(void)
{
    uint32_t megabytes = HvGetOffer(Video.Channel)->MmioMegabytes;
    uint64_t size = RTL_MAX((uint64_t)megabytes << 20, MINIMUM_MEMORY);
    size = RTL_MIN(size, MAXIMUM_MEMORY);
    uint64_t alignment = MINIMUM_MEMORY;
    while (alignment < size)
        alignment *= 2;
    Status status = HvAllocateWindow(alignment, alignment, false, &Video.Memory);
    if (status != StatusSuccess)
        return status;
    Video.MemorySize = (uint32_t)size;
    void *mapping;
    status = MmMapDevice(Video.Memory, size, CachingWriteCombining, &mapping);
    if (status != StatusSuccess) {
        HvFreeWindow(Video.Memory, alignment);
        return status;
    }
    Video.Display = (WinDisplay){.Pixels = mapping,
                                 .Format = LoaderPixelBgrx,
                                 .Update = Update,
                                 .UpdateStopped = UpdateStopped,
                                 .GetMode = GetMode,
                                 .SetMode = SetMode,
                                 .SetPointer = SetPointer};
    return StatusSuccess;
}

static void Close(void)
{
    HvCloseChannel(Video.Channel);
    Video.Channel = nullptr;
    if (!Video.Display.Pixels)
        return;
    uint64_t window = MINIMUM_MEMORY;
    while (window < Video.MemorySize)
        window *= 2;
    MmUnmapDevice(Video.Display.Pixels, Video.MemorySize);
    HvFreeWindow(Video.Memory, window);
    Video.Display = (WinDisplay){};
}

static Status Start(void)
{
    static const HvHandlers handlers = {.Receive = Receive, .Writable = Writable};
    Status status = MapMemory();
    if (status != StatusSuccess)
        return status;
    HvOpenParameters parameters = {.SendBytes = RING_SIZE,
                                   .ReceiveBytes = RING_SIZE,
                                   .MaximumPacket = MAXIMUM_SIZE,
                                   .Handlers = &handlers};
    SynMessage request;
    ScreenMode wanted = WinGetWantedMode();
    SynVideoMode mode = {(uint16_t)wanted.Width, (uint16_t)wanted.Height};
    if (mode.Width != wanted.Width || mode.Height != wanted.Height)
        mode = (SynVideoMode){};
    SynStartVideo(&Video.Protocol, Video.Memory, Video.MemorySize, mode, &request);
    status = HvOpenChannel(Video.Channel, &parameters);
    if (status == StatusSuccess)
        status = HvSendPipe(Video.Channel, request.Bytes, request.Size);
    if (status == StatusSuccess)
        status = HvWait(Video.Channel, &Video.Answered, PATIENCE);
    if (status == StatusSuccess && Video.Refused)
        status = StatusIoError;
    if (status != StatusSuccess)
        return status;
    TakeSize();
    status = WinAttachDisplay(&Video.Display);
    if (status == StatusSuccess)
        TakePointerWish(nullptr); // which may have been said by now
    return status;
}

static Status Probe(IoDevice *device)
{
    HvChannel *channel = HvGetChannel(device);
    if (!HvIsClass(channel, &VmbusClassVideo))
        return StatusNotSupported;
    if (Video.Channel)
        return StatusAlreadyExists;
    Video.Channel = channel;
    Video.Refused = Video.RepaintAll = false;
    Video.Picture = nullptr;
    KeInitializeEvent(&Video.Answered, true, false);
    Video.ModeWork.Routine = TakePreferredMode;
    Video.PointerWork.Routine = TakePointerWish;
    Status status = Start();
    if (status != StatusSuccess)
        Close();
    return status;
}

static void Remove(IoDevice *device)
{
    WinDetachDisplay(&Video.Display); // waits for who is painting
    Close();
}

const IoDriver HvVideoDriver = {
    .Name = "hyperv video", .Bus = IoBusVmbus, .Probe = Probe, .Remove = Remove};
