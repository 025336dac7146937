// channel.c - a channel's life and its traffic.
//
// Opening. Both rings are one section of memory, whose data pages are mapped twice in a row. The
// host is told of the pages (a GPADL) and then of the rings in them; from that message on it may
// send and interrupt, so everything is ready before it goes out.
//
// Receiving. The host sets the channel's event flag on the channel's processor, whose interrupt
// queues the channel's DPC. The DPC masks further interrupts, takes packets out until there are
// none, gives their room back, unmasks, and looks once more. Running says that somebody is at it;
// a DPC that comes meanwhile on another processor sets Again and leaves. Close makes the channel
// not Open and waits until nobody is at it. After BURST packets the rest has to wait a little, so
// that a host that never stops cannot keep the processor.
//
// What does not make sense is dropped and counted, be it a packet's frame (lib/vmbus) or what it
// says (its driver). An impossible index in a ring is where it ends: the channel is deaf from then
// on, its driver's time-outs and the host's rescind do the rest.
//
// Sending. SendLock is held while a packet is put in place; it is shown to the host at once, or at
// the end of a Hold.
// SPDX-License-Identifier: MIT
#include "hvp.h"

#define BURST          512u
#define BURST_PAUSE    (HVP_MILLISECOND / 5)
#define MAXIMUM_RING   (4u << 20)
#define LINES_A_SECOND 4u
#define CLOSE_POLL     (HVP_MILLISECOND / 10)
#define CLOSE_POLLS    100000u // a handler that is not back then never comes back

void HvpInitializeChannel(HvChannel *channel)
{
    KeInitializeEvent(&channel->GoneEvent, true, false);
    KeInitializeSpinLock(&channel->SendLock, LockRankBus, "vmbus channel");
    KeInitializeDpc(&channel->Dpc, HvpDrain, channel);
    KeInitializeTimer(&channel->Timer, true);
}

static const char *NameOf(const HvChannel *channel)
{
    const char *name = VmbusNameOfClass(&channel->Offer.Class);
    return name ? name : "unknown";
}

const VmbusOffer *HvGetOffer(const HvChannel *channel)
{
    return &channel->Offer;
}

bool HvIsClass(const HvChannel *channel, const VmbusGuid *class)
{
    return VmbusEqualGuids(&channel->Offer.Class, class);
}

bool HvIsGone(const HvChannel *channel)
{
    return channel->Gone;
}

void HvQueryCounters(const HvChannel *channel, HvCounters *counters)
{
    *counters = channel->Counters;
}

void HvRejectPacket(HvChannel *channel)
{
    if (__atomic_fetch_add(&channel->Counters.BadPackets, 1, __ATOMIC_RELAXED) == 0)
        KeLog(LogWarning,
              "vmbus: channel %u, %s: a packet makes no sense; it is dropped, and so are "
              "further ones",
              channel->Offer.Channel, NameOf(channel));
}

bool HvMayLog(HvLogLimit *limit)
{
    uint64_t now = KeQueryTime();
    if (now >= __atomic_load_n(&limit->Until, __ATOMIC_RELAXED)) {
        __atomic_store_n(&limit->Until, now + HVP_SECOND, __ATOMIC_RELAXED);
        __atomic_store_n(&limit->Count, 0, __ATOMIC_RELAXED);
    }
    return __atomic_fetch_add(&limit->Count, 1, __ATOMIC_RELAXED) < LINES_A_SECOND;
}

Status HvWait(HvChannel *channel, KEvent *event, uint64_t timeout)
{
    void *objects[] = {event, &channel->GoneEvent};
    size_t index = 0;
    Status status = KeWaitForMultipleObjects(RTL_COUNT_OF(objects), objects, false, KernelWait,
                                             timeout, &index);
    return status == StatusSuccess && index == 1 ? StatusNoSuchDevice : status;
}

// --------------------------------------------------------------------------------------- opening

// The section's pages: control and data of the ring we write, control and data of the one we read.
static uint32_t PageOfRings(const HvChannel *channel)
{
    return channel->SendPages + channel->ReceivePages + 2;
}

static uint64_t FrameOfRing(void *context, uint32_t page)
{
    const HvChannel *channel = context;
    // As mapped: each ring's data pages a second time behind them.
    uint32_t at = page <= channel->SendPages ? page : page + channel->SendPages;
    return MmVirtualToPhysical((uint8_t *)channel->Rings.Mapping + (uint64_t)at * PAGE_SIZE) /
           PAGE_SIZE;
}

static uint32_t AppendRing(uint32_t *order, uint32_t first, uint32_t dataPages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i <= dataPages; i++)
        order[count++] = first + i;
    for (uint32_t i = 1; i <= dataPages; i++)
        order[count++] = first + i;
    return count;
}

static Status MapRings(HvChannel *channel)
{
    uint32_t send = channel->SendPages, receive = channel->ReceivePages;
    uint32_t count = 2 + 2 * (send + receive);
    uint32_t *order = MmAllocateHeap(count * sizeof(*order), TAG_HYPERV);
    if (order == nullptr)
        return StatusNoMemory;
    uint32_t used = AppendRing(order, 0, send);
    AppendRing(order + used, send + 1, receive);
    Status status =
        MmMapSectionPages(channel->Rings.Section, order, count, &channel->Rings.Mapping);
    MmFreeHeap(order);
    if (status != StatusSuccess)
        return status;
    uint8_t *at = channel->Rings.Mapping;
    VmbusInitializeRing(&channel->Send, at, at + PAGE_SIZE, send * PAGE_SIZE, true);
    at += (size_t)used * PAGE_SIZE;
    VmbusInitializeRing(&channel->Receive, at, at + PAGE_SIZE, receive * PAGE_SIZE, false);
    return StatusSuccess;
}

static Status AllocateRings(HvChannel *channel, const HvOpenParameters *parameters)
{
    channel->SendPages = parameters->SendBytes / PAGE_SIZE;
    channel->ReceivePages = parameters->ReceiveBytes / PAGE_SIZE;
    channel->PacketCapacity =
        parameters->MaximumPacket != 0
            ? RTL_ALIGN_UP(RTL_MIN(parameters->MaximumPacket, parameters->ReceiveBytes), 8)
            : parameters->ReceiveBytes;
    channel->PacketBuffer = MmAllocateHeap(channel->PacketCapacity, TAG_HYPERV);
    if (channel->PacketBuffer == nullptr)
        return StatusNoMemory;
    channel->Rings = (HvpLoan){.Pages = true, .Size = (size_t)PageOfRings(channel) * PAGE_SIZE};
    Status status = MmCreateSection(channel->Rings.Size, PageDevice, &channel->Rings.Section);
    if (status == StatusSuccess)
        status = MapRings(channel);
    return status;
}

static Status OpenAtHost(HvChannel *channel, const HvOpenParameters *parameters)
{
    static volatile uint32_t lastOpen;
    HvpRequest request;
    VmbusBytes bytes;
    uint32_t id = channel->Offer.Channel;
    channel->OpenId = __atomic_add_fetch(&lastOpen, 1, __ATOMIC_RELAXED);
    HvpPrepare(&request, VmbusOpenResult, id, channel->OpenId);
    size_t size = VmbusBuildOpen(&bytes, id, channel->OpenId, channel->Rings.Gpadl,
                                 HalGetVirtualProcessor(parameters->Processor),
                                 channel->SendPages + 1, parameters->UserData);
    __atomic_store_n(&channel->Open, true, __ATOMIC_SEQ_CST);
    Status status = channel->Gone ? StatusNoSuchDevice : HvpPost(&bytes, size);
    if (status != StatusSuccess) {
        HvpCancel(&request);
        return status;
    }
    status = HvpAwait(&request, HVP_PATIENCE);
    return status == StatusSuccess && request.Message.Status < 0 ? StatusIoError : status;
}

static bool IsRingSize(uint32_t bytes)
{
    return bytes >= PAGE_SIZE && bytes <= MAXIMUM_RING && bytes % PAGE_SIZE == 0;
}

Status HvOpenChannel(HvChannel *channel, const HvOpenParameters *parameters)
{
    if (!IsRingSize(parameters->SendBytes) || !IsRingSize(parameters->ReceiveBytes) ||
        parameters->Processor >= KeGetProcessorCount() || channel->PacketBuffer != nullptr)
        return StatusInvalidParameter;
    if (channel->Gone)
        return StatusNoSuchDevice;
    channel->Handlers = parameters->Handlers;
    channel->Context = parameters->Context;
    channel->Holds = 0;
    channel->Counters = (HvCounters){0};
    channel->Deaf = false;
    Status status = AllocateRings(channel, parameters);
    if (status == StatusSuccess)
        status = HvpCreateGpadl(channel, PageOfRings(channel), FrameOfRing, channel,
                                &channel->Rings.Gpadl);
    if (status == StatusSuccess)
        status = OpenAtHost(channel, parameters);
    if (status != StatusSuccess)
        HvCloseChannel(channel);
    return status;
}

// No handler runs when it returns, nor ever again.
static void StopHandlers(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&channel->SendLock); // no send is under way
    __atomic_store_n(&channel->Open, false, __ATOMIC_SEQ_CST);
    KeReleaseSpinLock(&channel->SendLock, old);
    (void)KeCancelTimer(&channel->Timer);
    for (uint32_t i = 0; __atomic_load_n(&channel->Running, __ATOMIC_SEQ_CST); i++) {
        KE_ASSERT(i < CLOSE_POLLS);
        (void)KeDelay(KernelWait, CLOSE_POLL);
    }
}

void HvCloseChannel(HvChannel *channel)
{
    if (channel->PacketBuffer == nullptr)
        return;
    bool wasOpen = channel->Open;
    StopHandlers(channel);
    if (channel->Counters.BadPackets > 1)
        KeLog(LogWarning, "vmbus: channel %u, %s: %llu packets were dropped",
              channel->Offer.Channel, NameOf(channel),
              (unsigned long long)channel->Counters.BadPackets);
    VmbusBytes bytes;
    // Of a channel that is gone as well: a host that took it away does not mind, and one that says
    // so by mistake would go on using the rings, and never give them back.
    if (wasOpen) {
        size_t size = VmbusBuildChannel(&bytes, VmbusClose, channel->Offer.Channel, 0);
        (void)HvpPost(&bytes, size); // there is no answer
    }
    HvpReclaim(channel, &channel->Rings);
    MmFreeHeap(channel->PacketBuffer);
    channel->PacketBuffer = nullptr;
}

// ------------------------------------------------------------------------------------- receiving

static void Deliver(HvChannel *channel, const VmbusPacket *packet)
{
    HvPacket given = {
        .Type = packet->Header.Type,
        .WantsCompletion = (packet->Header.Flags & VMBUS_WANTS_COMPLETION) != 0,
        .TransactionId = packet->Header.TransactionId,
        .Data = packet->Data,
        .Size = packet->Size,
        .BufferId = packet->BufferId,
        .RangeCount = packet->RangeCount,
        .Ranges = packet->Ranges,
    };
    channel->Counters.Received++;
    if (given.Type == VmbusInBand || given.Type == VmbusTransferPages ||
        given.Type == VmbusCompletion)
        channel->Handlers->Receive(channel->Context, &given);
    else
        HvRejectPacket(channel);
}

static void Signal(HvChannel *channel)
{
    channel->Counters.Signals++;
    (void)HalSignalEvent(channel->Offer.Connection);
}

// Takes what is there, at most `most` packets; false: there may be more.
static bool TakePackets(HvChannel *channel, uint32_t most)
{
    VmbusRing *ring = &channel->Receive;
    VmbusPacket packet;
    VmbusReadResult result = VmbusReadPacket;
    uint32_t count = 0;
    while (count < most && channel->Open) {
        result = VmbusTakePacket(ring, channel->PacketBuffer, channel->PacketCapacity, &packet);
        if (result == VmbusReadEmpty || result == VmbusReadBroken)
            break;
        count++;
        if (result == VmbusReadPacket)
            Deliver(channel, &packet);
        else
            HvRejectPacket(channel);
    }
    if (count != 0 && channel->Open && channel->Handlers->Drained != nullptr)
        channel->Handlers->Drained(channel->Context);
    if (VmbusReleasePackets(ring))
        Signal(channel);
    if (result == VmbusReadBroken && !channel->Deaf) {
        channel->Deaf = true;
        KeLog(LogWarning, "vmbus: channel %u, %s: the host's ring is damaged",
              channel->Offer.Channel, NameOf(channel));
    }
    return result == VmbusReadEmpty || result == VmbusReadBroken || !channel->Open;
}

static void TellWritable(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&channel->SendLock);
    bool writable = channel->Open && VmbusIsWritable(&channel->Send);
    KeReleaseSpinLock(&channel->SendLock, old);
    if (writable && channel->Handlers->Writable != nullptr)
        channel->Handlers->Writable(channel->Context);
}

static void DrainOnce(HvChannel *channel)
{
    channel->Counters.Interrupts++;
    do {
        VmbusMaskInterrupts(&channel->Receive);
        if (!TakePackets(channel, BURST)) {
            KeSetTimer(&channel->Timer, BURST_PAUSE, 0, &channel->Dpc);
            return;
        }
    } while (channel->Open && VmbusUnmaskInterrupts(&channel->Receive));
    if (channel->Open)
        TellWritable(channel);
}

void HvpDrain(void *context)
{
    HvChannel *channel = context;
    __atomic_store_n(&channel->Again, true, __ATOMIC_SEQ_CST);
    // Whoever has Running sees Again: it is looked at after Running has been given back.
    while (__atomic_load_n(&channel->Again, __ATOMIC_SEQ_CST)) {
        if (__atomic_exchange_n(&channel->Running, true, __ATOMIC_SEQ_CST))
            return;
        __atomic_store_n(&channel->Again, false, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&channel->Open, __ATOMIC_SEQ_CST))
            DrainOnce(channel);
        __atomic_store_n(&channel->Running, false, __ATOMIC_SEQ_CST);
    }
}

// --------------------------------------------------------------------------------------- sending

// SendLock is held. Shows the host what is in the ring.
static void Publish(HvChannel *channel)
{
    if (VmbusPublishPackets(&channel->Send))
        Signal(channel);
}

typedef struct Piece {
    const void *Data;
    size_t Size;
} Piece;

// A packet of pieces behind its header; the first `described` bytes of them describe the rest.
static Status SendPacket(HvChannel *channel, VmbusPacketHeader *header, const Piece *pieces,
                         size_t count, size_t described)
{
    uint64_t size = sizeof(*header);
    for (size_t i = 0; i < count; i++)
        size += pieces[i].Size;
    uint64_t whole = RTL_ALIGN_UP(size, 8);
    KIrql old = KeAcquireSpinLock(&channel->SendLock);
    Status status = StatusSuccess;
    uint8_t *to = nullptr;
    if (!channel->Open || channel->Gone || channel->Send.Broken)
        status = StatusNoSuchDevice;
    else if (!VmbusFitsRing(&channel->Send, whole) || whole / 8 > UINT16_MAX)
        status = StatusInvalidParameter;
    else if ((to = VmbusReservePacket(&channel->Send, (uint32_t)whole)) == nullptr) {
        status = StatusWouldBlock;
        channel->Counters.Full++;
        Publish(channel); // nothing of it can be held back: its room is needed
    }
    if (to != nullptr) {
        header->DataOffset = (uint16_t)((sizeof(*header) + described) / 8);
        header->Length = (uint16_t)(whole / 8);
        memcpy(to, header, sizeof(*header));
        to += sizeof(*header);
        for (size_t i = 0; i < count; i++) {
            memcpy(to, pieces[i].Data, pieces[i].Size);
            to += pieces[i].Size;
        }
        memset(to, 0, whole - size);
        VmbusCommitPacket(&channel->Send, (uint32_t)whole);
        channel->Counters.Sent++;
        if (channel->Holds == 0)
            Publish(channel);
    }
    KeReleaseSpinLock(&channel->SendLock, old);
    return status;
}

static uint16_t FlagsFor(bool completion)
{
    return completion ? VMBUS_WANTS_COMPLETION : 0;
}

Status HvSend(HvChannel *channel, const void *data, size_t size, uint64_t id, bool completion)
{
    VmbusPacketHeader header = {
        .Type = VmbusInBand, .Flags = FlagsFor(completion), .TransactionId = id};
    Piece piece = {data, size};
    return SendPacket(channel, &header, &piece, 1, 0);
}

Status HvSendCompletion(HvChannel *channel, const void *data, size_t size, uint64_t id)
{
    VmbusPacketHeader header = {.Type = VmbusCompletion, .TransactionId = id};
    Piece piece = {data, size};
    return SendPacket(channel, &header, &piece, 1, 0);
}

// ---- pipes
typedef struct PipeHeader {
    uint32_t Type, Size;
} PipeHeader;
#define PIPE_DATA 1u

Status HvSendPipe(HvChannel *channel, const void *data, size_t size)
{
    VmbusPacketHeader header = {.Type = VmbusInBand};
    PipeHeader pipe = {PIPE_DATA, (uint32_t)size};
    Piece pieces[] = {{&pipe, sizeof(pipe)}, {data, size}};
    return SendPacket(channel, &header, pieces, RTL_COUNT_OF(pieces), 0);
}

const void *HvGetPipeMessage(const HvPacket *packet, uint32_t *size)
{
    PipeHeader pipe;
    if (packet->Type != VmbusInBand || packet->Size < sizeof(pipe))
        return nullptr;
    memcpy(&pipe, packet->Data, sizeof(pipe));
    if (pipe.Type != PIPE_DATA || pipe.Size > packet->Size - sizeof(pipe))
        return nullptr;
    *size = pipe.Size;
    return (const uint8_t *)packet->Data + sizeof(pipe);
}

// ---- memory of ours (GPA-direct): u32 reserved, u32 count, then each range with its frames
typedef struct RangesHeader {
    uint32_t Reserved, Count;
} RangesHeader;
typedef struct RangeHeader {
    uint32_t Bytes, Offset;
} RangeHeader;
#define MAXIMUM_RANGES 24u

Status HvSendRanges(HvChannel *channel, const HvRange *ranges, size_t count, const void *data,
                    size_t size, uint64_t id)
{
    if (count == 0 || count > MAXIMUM_RANGES)
        return StatusInvalidParameter;
    VmbusPacketHeader header = {
        .Type = VmbusGpaDirect, .Flags = VMBUS_WANTS_COMPLETION, .TransactionId = id};
    RangesHeader first = {.Count = (uint32_t)count};
    RangeHeader heads[MAXIMUM_RANGES];
    Piece pieces[2 + 2 * MAXIMUM_RANGES] = {{&first, sizeof(first)}};
    size_t used = 1, described = sizeof(first);
    for (size_t i = 0; i < count; i++) {
        size_t frames = VmbusFrameCount(ranges[i].Offset, ranges[i].Bytes) * sizeof(uint64_t);
        heads[i] = (RangeHeader){ranges[i].Bytes, ranges[i].Offset};
        pieces[used++] = (Piece){&heads[i], sizeof(heads[i])};
        pieces[used++] = (Piece){ranges[i].Frames, frames};
        described += sizeof(heads[i]) + frames;
    }
    pieces[used++] = (Piece){data, size};
    return SendPacket(channel, &header, pieces, used, described);
}

// ---- holding back
void HvHoldSignal(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&channel->SendLock);
    channel->Holds++;
    KeReleaseSpinLock(&channel->SendLock, old);
}

void HvReleaseSignal(HvChannel *channel)
{
    KIrql old = KeAcquireSpinLock(&channel->SendLock);
    KE_ASSERT(channel->Holds != 0);
    if (--channel->Holds == 0 && channel->Open)
        Publish(channel);
    KeReleaseSpinLock(&channel->SendLock, old);
}

// ----------------------------------------------------------------------------------------- a crash

void HvTakeOver(HvChannel *channel, const HvHandlers *handlers, void *context)
{
    channel->SendLock.Value = 0;
    channel->Holds = 0;
    channel->Handlers = handlers;
    channel->Context = context;
}

void HvPoll(HvChannel *channel)
{
    if (!channel->Open)
        return;
    VmbusMaskInterrupts(&channel->Receive);
    (void)TakePackets(channel, BURST);
}
