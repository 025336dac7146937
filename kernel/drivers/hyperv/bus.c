// bus.c - the connection to the host and what is on the bus.
//
// Start. The newest version of the protocol that both sides know is found by asking for each in
// turn; then the host offers its channels. From the bus's thread each primary channel becomes a
// device and is offered to the drivers, each sub-channel is given to the driver of its primary one.
// Start-up waits until the channels that were there at first have been through that, because the
// boot volume is on one of them.
//
// Rescinds. The message's DPC marks the channel Gone at once, which fails its sends and ends the
// waits for its answers; the bus's thread then has its driver let go of it, and tells the host that
// the channel's id is free, which may offer the device again under it. A host that takes back an id
// that is free already - then it, or a message, was wrong before - is told so once more.
//
// The end. At shutdown and after a crash the host is told to unload, and answers when it uses no
// memory of ours any more. In a crash that is polled for.
//
// Locking: HvpMessageLock guards channels' states, the thread's queue and who waits for answers.
// Limits: a host's channel ids are below VMBUS_CHANNELS, which bounds what it can make us allocate.
// SPDX-License-Identifier: MIT
#include "../drivers.h"
#include "hvp.h"
#include "ps.h"

#define CONNECTION_NEW     4u // where a version from 5.0 on is asked for
#define CONNECTION_OLD     1u
#define DISCOVERY_PATIENCE (30 * HVP_SECOND)
#define UNLOAD_PATIENCE    (10 * HVP_SECOND)
#define CRASH_POLL         (HVP_MILLISECOND / 10)
#define CRASH_POLLS        100000u

KSpinLock HvpMessageLock = KE_SPIN_LOCK_INIT(LockRankBus, "vmbus messages");
uint32_t HvpVersion;

static HvChannel *volatile Channels[VMBUS_CHANNELS]; // each set once
static ListEntry Queue = {&Queue, &Queue};           // [m] of channels, for the thread
static KEvent QueueFilled;                           // auto reset
static bool AllOffers;                               // [m]
static KEvent Settled; // manual reset: what was offered at first has been looked at
static volatile bool Connected;

HvChannel *HvpFindChannel(uint32_t id)
{
    return id < VMBUS_CHANNELS ? Channels[id] : nullptr;
}

uint32_t HvGetBusVersion(void)
{
    return HvpVersion;
}

HvChannel *HvGetChannel(const IoDevice *device)
{
    return device->BusData;
}

// ------------------------------------------------------------------------------ the host's
// messages

// HvpMessageLock is held.
static void QueueChannel(HvChannel *channel)
{
    if (!channel->Queued)
        RtlInsertTail(&Queue, &channel->Link);
    channel->Queued = true;
    KeSetEvent(&QueueFilled);
}

static HvChannel *MakeChannel(uint32_t id)
{
    HvChannel *channel = Channels[id];
    if (channel != nullptr)
        return channel;
    channel = MmAllocateHeap(sizeof(*channel), TAG_HYPERV);
    if (channel == nullptr)
        return nullptr;
    HvpInitializeChannel(channel);
    __atomic_store_n(&Channels[id], channel, __ATOMIC_RELEASE);
    HvpNoteChannel(id);
    return channel;
}

static void HandleOffer(const VmbusOffer *offer)
{
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    HvChannel *channel = MakeChannel(offer->Channel);
    if (channel != nullptr && channel->State == HvpFree) {
        channel->Offer = *offer;
        channel->State = HvpOffered;
        channel->Gone = false;
        KeResetEvent(&channel->GoneEvent);
        QueueChannel(channel);
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
}

static void HandleRescind(uint32_t id)
{
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    HvChannel *channel = Channels[id];
    if (channel != nullptr && channel->State != HvpFree && !channel->Gone) {
        channel->Gone = true;
        HvpFailRequests(id);
        KeSetEvent(&channel->GoneEvent);
        QueueChannel(channel);
    } else if (channel != nullptr && channel->State == HvpFree) {
        channel->Release = true;
        QueueChannel(channel);
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
}

static void HandleAllOffers(void)
{
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    AllOffers = true;
    KeSetEvent(&QueueFilled);
    KeReleaseSpinLock(&HvpMessageLock, old);
}

void HvpHandleMessage(const VmbusMessage *message)
{
    switch (message->Type) {
    case VmbusOfferChannel:
        HandleOffer(&message->Offer);
        break;
    case VmbusRescind:
        HandleRescind(message->Channel);
        break;
    case VmbusAllOffersDelivered:
        HandleAllOffers();
        break;
    default:
        if (!HvpAnswer(message) && message->Type == VmbusGpadlTorndown &&
            HvpGiveBack(message->Gpadl))
            KeSetEvent(&QueueFilled);
        break;
    }
}

// ------------------------------------------------------------------------------- the bus's thread

static HvChannel *FindPrimary(const HvChannel *sub)
{
    for (uint32_t id = 1; id < VMBUS_CHANNELS; id++) {
        HvChannel *channel = Channels[id];
        if (channel != nullptr && channel->State == HvpAnnounced && !channel->Gone &&
            channel->Offer.SubIndex == 0 &&
            VmbusEqualGuids(&channel->Offer.Class, &sub->Offer.Class) &&
            VmbusEqualGuids(&channel->Offer.Instance, &sub->Offer.Instance))
            return channel;
    }
    return nullptr;
}

static void AnnounceDevice(HvChannel *channel)
{
    char guid[VMBUS_GUID_TEXT], name[32];
    const char *class = VmbusNameOfClass(&channel->Offer.Class);
    if (class == nullptr) {
        VmbusFormatGuid(&channel->Offer.Class, guid);
        KeLog(LogDebug, "vmbus: channel %u is of unknown class %s", channel->Offer.Channel, guid);
        return;
    }
    RtlFormat(name, sizeof(name), "vmbus %s %u", class, channel->Offer.Channel);
    channel->Device = IoAddDevice(IoBusVmbus, name, channel);
}

static void AnnounceSubChannel(HvChannel *channel)
{
    HvChannel *primary = FindPrimary(channel);
    if (primary == nullptr || !primary->Open || primary->Handlers->SubChannel == nullptr)
        return;
    channel->Primary = primary;
    primary->Handlers->SubChannel(primary->Context, channel);
}

static void TellReleased(HvChannel *channel)
{
    VmbusBytes bytes;
    size_t size = VmbusBuildChannel(&bytes, VmbusReleased, channel->Offer.Channel, 0);
    (void)HvpPost(&bytes, size);
}

// The driver lets go of it, and the id is the host's again.
static void Retire(HvChannel *channel)
{
    if (channel->Device != nullptr)
        IoRemoveDevice(channel->Device);
    else if (channel->Primary != nullptr && channel->Open &&
             channel->Handlers->SubChannelGone != nullptr)
        channel->Handlers->SubChannelGone(channel->Context, channel);
    channel->Device = nullptr;
    channel->Primary = nullptr;
    HvCloseChannel(channel);
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    channel->State = HvpFree;
    KeReleaseSpinLock(&HvpMessageLock, old);
    TellReleased(channel);
}

static void Attend(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    bool release = channel->Release && channel->State == HvpFree;
    channel->Release = false;
    bool announce = channel->State == HvpOffered && !channel->Gone;
    if (announce)
        channel->State = HvpAnnounced;
    KeReleaseSpinLock(&HvpMessageLock, old);
    if (release)
        TellReleased(channel);
    if (announce && channel->Offer.SubIndex == 0)
        AnnounceDevice(channel);
    else if (announce)
        AnnounceSubChannel(channel);
    // A rescind that came meanwhile has queued it again; it is retired once.
    old = KeAcquireSpinLock(&HvpMessageLock);
    bool retire = channel->Gone && channel->State != HvpFree;
    KeReleaseSpinLock(&HvpMessageLock, old);
    if (retire)
        Retire(channel);
}

static HvChannel *TakeFromQueue(void)
{
    HvChannel *channel = nullptr;
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    if (!RtlIsListEmpty(&Queue)) {
        channel = RTL_CONTAINER_OF(Queue.Next, HvChannel, Link);
        RtlRemoveEntry(&channel->Link);
        channel->Queued = false;
    } else if (AllOffers) {
        KeSetEvent(&Settled);
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
    return channel;
}

static void RunBus(void *context)
{
    for (;;) {
        HvpFreeReturned();
        HvChannel *channel = TakeFromQueue();
        if (channel != nullptr)
            Attend(channel);
        else
            (void)KeWaitForObject(&QueueFilled, KernelWait, KE_INFINITE);
    }
}

// ------------------------------------------------------------------------------------ the
// connection

// StatusSuccess: *supported says whether the host speaks this version.
static Status AskFor(uint32_t version, bool *supported)
{
    HvpRequest request;
    VmbusBytes bytes;
    HvpVersion = version;
    HvpSetConnection(version >= VMBUS_VERSION(5, 0) ? CONNECTION_NEW : CONNECTION_OLD);
    HvpPrepare(&request, VmbusVersionResponse, 0, 0);
    size_t size =
        VmbusBuildContact(&bytes, version, HalGetVirtualProcessor(0), HAL_VMBUS_INTERRUPT);
    Status status = HvpPostContact(&bytes, size);
    *supported = false;
    if (status != StatusSuccess) {
        HvpCancel(&request);
        return status == StatusNotFound ? StatusSuccess : status; // an old host has no such port
    }
    status = HvpAwait(&request, HVP_PATIENCE);
    if (status != StatusSuccess)
        return status;
    *supported = request.Message.Supported;
    if (*supported && request.Message.Connection != 0)
        HvpSetConnection(request.Message.Connection);
    return StatusSuccess;
}

static Status Negotiate(void)
{
    bool supported = false;
    for (const uint32_t *version = VmbusVersions; *version != 0; version++) {
        Status status = AskFor(*version, &supported);
        if (status != StatusSuccess)
            return status;
        if (supported)
            return StatusSuccess;
    }
    return StatusNoSuchDevice;
}

static Status RequestOffers(void)
{
    VmbusBytes bytes;
    Status status = PsCreateSystemThread("vmbus", KePrioritySystem, RunBus, nullptr);
    if (status == StatusSuccess)
        status = HvpPost(&bytes, VmbusBuildPlain(&bytes, VmbusRequestOffers));
    if (status == StatusSuccess &&
        KeWaitForObject(&Settled, KernelWait, DISCOVERY_PATIENCE) != StatusSuccess)
        KeLog(LogWarning, "vmbus: the host's devices are not all there yet");
    return status;
}

// The host reads what was sent last - the end of the report, for the display - or time is up.
static void AwaitReaders(void)
{
    enum { Polls = 1000 };
    uint32_t left = Polls;
    for (uint32_t id = 1; id < VMBUS_CHANNELS; id++) {
        const HvChannel *channel = HvpFindChannel(id);
        while (channel && channel->Open && !channel->Gone && left != 0 &&
               channel->Send.Control->Out != channel->Send.Published) {
            HalStallNanoseconds(CRASH_POLL);
            left--;
        }
    }
}

// In a crash: the machine stands still, interrupts are off. Bounded; whether it worked does not
// matter to what follows.
static void UnloadPolled(void)
{
    VmbusBytes bytes;
    if (!Connected)
        return;
    Connected = false;
    AwaitReaders();
    size_t size = VmbusBuildPlain(&bytes, VmbusUnload);
    for (uint32_t i = 0; i < CRASH_POLLS && HvpPostOnce(&bytes, size) != HvSuccess; i++)
        HalStallNanoseconds(CRASH_POLL);
    for (uint32_t i = 0; i < CRASH_POLLS && !HvpPollMessages(VmbusUnloadComplete); i++)
        HalStallNanoseconds(CRASH_POLL);
}

static void TellCounters(KCounterSink *sink)
{
    HvCounters sum = {}, counters;
    for (uint32_t id = 0; id < VMBUS_CHANNELS; id++) {
        const HvChannel *channel = __atomic_load_n(&Channels[id], __ATOMIC_ACQUIRE);
        if (channel == nullptr)
            continue;
        HvQueryCounters(channel, &counters);
        sum.Sent += counters.Sent;
        sum.Received += counters.Received;
        sum.Signals += counters.Signals;
        sum.Interrupts += counters.Interrupts;
        sum.BadPackets += counters.BadPackets;
        sum.Full += counters.Full;
    }
    KeTellCounter(sink, "packets sent", sum.Sent);
    KeTellCounter(sink, "packets received", sum.Received);
    KeTellCounter(sink, "signals to the host", sum.Signals);
    KeTellCounter(sink, "interrupts by the host", sum.Interrupts);
    KeTellCounter(sink, "bad packets", sum.BadPackets);
    KeTellCounter(sink, "rings found full", sum.Full);
    KeTellCounter(sink, "bytes the host keeps", HvpQueryKept());
}

static Status StartBus(IoDevice *device)
{
    static KCounterSource counters = {.Subsystem = "vmbus", .Tell = TellCounters};
    if (!HalHasSynic())
        return StatusNotSupported;
    KeRegisterCounters(&counters);
    KeInitializeEvent(&QueueFilled, false, false);
    KeInitializeEvent(&Settled, true, false);
    Status status = HvpStartMessages();
    if (status == StatusSuccess)
        status = Negotiate();
    if (status != StatusSuccess)
        return status;
    Connected = true;
    KeRegisterFarewell(UnloadPolled);
    KeLog(LogInfo, "vmbus: version %u.%u", HvpVersion >> 16, HvpVersion & 0xFFFF);
    HvpFindWindows();
    return RequestOffers();
}

static void StopBus(IoDevice *device)
{
    HvpRequest request;
    VmbusBytes bytes;
    Connected = false;
    HvpPrepare(&request, VmbusUnloadComplete, 0, 0);
    Status status = HvpPost(&bytes, VmbusBuildPlain(&bytes, VmbusUnload));
    if (status == StatusSuccess)
        status = HvpAwait(&request, UNLOAD_PATIENCE);
    else
        HvpCancel(&request);
    if (status != StatusSuccess)
        KeLog(LogWarning, "vmbus: the host does not let go: %s", RtlStatusText(status));
}

const IoDriver HypervDriver = {
    .Name = "hyperv", .Bus = IoBusRoot, .Probe = StartBus, .Shutdown = StopBus};
