// network.c - the synthetic network adapter, as a source and sink of Ethernet frames.
//
// Two buffers are shared with the host. A frame to be sent is copied, behind its RNDIS header, into
// a section of the send buffer, which the host gives back by a completion; without a free section
// the frame is refused. Frames received lie in the receive buffer, several to a packet; each is
// copied out - the host could change it any time - checked, and handed to who listens, and the
// packet is answered, which gives its sections back. Control messages go the same ways, one at a
// time.
//
// Two start-up conversations follow each other: NVSP's, then RNDIS's (lib/synth). Both, and what
// comes later, run in the bus's DPC. What breaks a protocol is dropped; an answer of the host's
// that does not come during the start ends it.
//
// Revoking: the buffers are revoked before the channel is closed, and freed after.
// SPDX-License-Identifier: MIT
#include "../drivers.h"

#include "hyperv.h"
#include "synth/synth.h"

#define TAG_NETWORK      MM_TAG('H', 'v', 'N', 't')
#define PATIENCE         (10ull * 1000000000) // for the start
#define RING_SIZE        (256u * 1024u)
#define MAXIMUM_PACKET   (16u * 1024u) // 375 ranges and more
#define RECEIVE_BYTES    (1u << 20)
#define SEND_BYTES       (512u << 10)
#define MAXIMUM_SECTIONS 256u
#define COPY_BYTES       16384u // of a message: what a section holds, and more
#define SEND_ID          1000u  // + section: the transaction of a message sent

typedef struct Adapter {
    HvChannel *Channel;
    SynNetwork Network; // [d] until Up
    SynRndis Rndis;     // [d]
    HvBuffer ReceiveBuffer, SendBuffer;
    KEvent Answered;          // Up or Broken
    volatile bool Up, Broken; // Broken: nothing is said or heard any more
    HvLogLimit MayLog;
    KSpinLock Lock;
    uint32_t FreeSections[MAXIMUM_SECTIONS], FreeCount; // [l]
    uint64_t Busy[MAXIMUM_SECTIONS / 64];               // [l] sections that are the host's
    IoNetworkDevice Device;
    uint8_t *Copy; // [d] COPY_BYTES
} Adapter;
// Legend: l Lock; d the channel's DPC.

static void Break(Adapter *adapter, const char *why)
{
    if (adapter->Broken)
        return;
    adapter->Broken = true;
    KeSetEvent(&adapter->Answered);
    KeLog(LogError, "hyperv: a network adapter %s", why);
}

// ---- sending

static bool TakeSection(Adapter *adapter, uint32_t *section)
{
    KIrql old = KeAcquireSpinLock(&adapter->Lock);
    bool some = adapter->FreeCount > 0;
    if (some) {
        *section = adapter->FreeSections[--adapter->FreeCount];
        adapter->Busy[*section / 64] |= 1ull << *section % 64;
    }
    KeReleaseSpinLock(&adapter->Lock, old);
    return some;
}

// false: the section was not the host's to give.
static bool FreeSection(Adapter *adapter, uint64_t section)
{
    KIrql old = KeAcquireSpinLock(&adapter->Lock);
    bool busy = section < MAXIMUM_SECTIONS && adapter->Busy[section / 64] >> section % 64 & 1;
    if (busy) {
        adapter->Busy[section / 64] &= ~(1ull << section % 64);
        adapter->FreeSections[adapter->FreeCount++] = (uint32_t)section;
    }
    KeReleaseSpinLock(&adapter->Lock, old);
    return busy;
}

// Sends the bytes in two pieces as one RNDIS message.
static Status SendMessage(Adapter *adapter, bool control, const void *head, uint32_t headSize,
                          const void *body, uint32_t bodySize)
{
    uint32_t section;
    if (headSize + bodySize > adapter->Network.SendSectionSize)
        return StatusInvalidParameter;
    if (!TakeSection(adapter, &section))
        return StatusWouldBlock;
    uint8_t *at =
        (uint8_t *)adapter->SendBuffer.Base + (size_t)section * adapter->Network.SendSectionSize;
    memcpy(at, head, headSize);
    if (bodySize)
        memcpy(at + headSize, body, bodySize);
    SynMessage message;
    SynBuildNetworkPacket(&adapter->Network, control, section, headSize + bodySize, &message);
    Status status = HvSend(adapter->Channel, message.Bytes, message.Size, SEND_ID + section, true);
    if (status != StatusSuccess)
        FreeSection(adapter, section);
    return status;
}

static Status SendFrame(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checksums,
                        uint32_t transportOffset)
{
    static_assert((int)IoChecksumIpHeader == (int)SynChecksumIpHeader &&
                  (int)IoChecksumUdp6 == (int)SynChecksumUdp6);
    Adapter *adapter = device->Context;
    uint8_t header[SYN_FRAME_HEADER_SIZE];
    if (!adapter->Up || adapter->Broken)
        return StatusDeviceNotReady;
    uint32_t length = SynBuildFrameHeader((uint32_t)size, checksums, transportOffset, header);
    return SendMessage(adapter, false, header, length, frame, (uint32_t)size);
}

static void SendControl(Adapter *adapter, const SynMessage *message)
{
    // Without a free section the host has given none back: then it gets no answer.
    if (message->Size)
        (void)!SendMessage(adapter, true, message->Bytes, message->Size, nullptr, 0);
}

// ---- receiving

static void TakeControl(Adapter *adapter, const uint8_t *message, size_t size)
{
    SynMessage request;
    SynVerdict verdict = SynReceiveRndis(&adapter->Rndis, message, size, &request);
    SendControl(adapter, &request);
    switch (verdict) {
    case SynReady:
        adapter->Up = true;
        KeSetEvent(&adapter->Answered);
        break;
    case SynEvent:
        adapter->Device.LinkUp = adapter->Rndis.LinkUp;
        if (HvMayLog(&adapter->MayLog))
            KeLog(LogInfo, "hyperv: %s: link %s", adapter->Device.Name,
                  adapter->Rndis.LinkUp ? "up" : "down");
        break;
    case SynRefused:
        Break(adapter, "does not take what was asked of it");
        break;
    case SynBroken:
        HvRejectPacket(adapter->Channel);
        break;
    default:
        break;
    }
}

static void TakeFrame(Adapter *adapter, const uint8_t *message, size_t size)
{
    SynFrame frame;
    if (!adapter->Up || !SynReadFrame(message, size, &frame)) {
        adapter->Device.Counters.ReceiveErrors++;
        return;
    }
    uint32_t checked = (frame.IpGood ? IoFrameIpGood : 0) | (frame.IpBad ? IoFrameIpBad : 0) |
                       (frame.TransportGood ? IoFrameTransportGood : 0) |
                       (frame.TransportBad ? IoFrameTransportBad : 0);
    IoDeliverFrame(&adapter->Device, message + frame.Offset, frame.Size, checked);
}

// One range of the receive buffer, copied out first.
static void TakeRange(Adapter *adapter, const VmbusTransferRange *range, bool control)
{
    const HvBuffer *buffer = &adapter->ReceiveBuffer;
    if (range->Offset > buffer->Size || range->Bytes > buffer->Size - range->Offset) {
        HvRejectPacket(adapter->Channel);
        return;
    }
    size_t size = RTL_MIN(range->Bytes, COPY_BYTES);
    memcpy(adapter->Copy, (const uint8_t *)buffer->Base + range->Offset, size);
    if (control)
        TakeControl(adapter, adapter->Copy, size);
    else
        TakeFrame(adapter, adapter->Copy, size);
}

static void TakeRanges(Adapter *adapter, const HvPacket *packet)
{
    bool control;
    if (!SynReadNetworkReceived(packet->Data, packet->Size, &control))
        HvRejectPacket(adapter->Channel);
    else
        for (uint32_t i = 0; i < packet->RangeCount && !adapter->Broken; i++)
            TakeRange(adapter, &packet->Ranges[i], control);
    SynMessage returned;
    SynBuildNetworkReturned(&returned);
    // The ring holds an answer for each section: without room the host reads none of them.
    if (!adapter->Broken)
        (void)!HvSendCompletion(adapter->Channel, returned.Bytes, returned.Size,
                                packet->TransactionId);
}

static void StartRndis(Adapter *adapter)
{
    adapter->FreeCount = RTL_MIN(adapter->Network.SendSectionCount, MAXIMUM_SECTIONS);
    for (uint32_t i = 0; i < adapter->FreeCount; i++)
        adapter->FreeSections[i] = i;
    SynMessage request;
    SynStartRndis(&adapter->Rndis, adapter->Network.Version >= 0x50000, &request);
    SendControl(adapter, &request);
}

static void TakeAnswer(Adapter *adapter, const HvPacket *packet)
{
    SynMessage next;
    SynVerdict verdict =
        SynReceiveNetworkAnswer(&adapter->Network, packet->Data, packet->Size, &next);
    if (next.Size)
        (void)!HvSend(adapter->Channel, next.Bytes, next.Size, 0, true);
    if (verdict == SynReady)
        StartRndis(adapter);
    else if (verdict == SynRefused)
        Break(adapter, "speaks no version of ours");
    else if (verdict == SynBroken)
        HvRejectPacket(adapter->Channel);
}

static void TakeCompletion(Adapter *adapter, const HvPacket *packet)
{
    if (adapter->Network.State != SynNetworkReady) {
        TakeAnswer(adapter, packet);
        return;
    }
    bool success;
    if (!SynReadNetworkSent(packet->Data, packet->Size, &success) ||
        !FreeSection(adapter, packet->TransactionId - SEND_ID)) {
        HvRejectPacket(adapter->Channel); // a second time, or nothing of ours
        return;
    }
    adapter->Device.Counters.SendErrors += !success;
}

static void Receive(void *context, const HvPacket *packet)
{
    Adapter *adapter = context;
    if (adapter->Broken)
        return;
    if (packet->Type == VmbusCompletion)
        TakeCompletion(adapter, packet);
    else if (packet->Type == VmbusTransferPages && adapter->Network.State == SynNetworkReady)
        TakeRanges(adapter, packet);
    // In band: associations and tables, which matter to virtual functions and further channels.
}

// ---- start and end

static Status AwaitUp(Adapter *adapter)
{
    static const HvHandlers handlers = {.Receive = Receive};
    HvOpenParameters parameters = {.SendBytes = RING_SIZE,
                                   .ReceiveBytes = RING_SIZE,
                                   .MaximumPacket = MAXIMUM_PACKET,
                                   .Handlers = &handlers,
                                   .Context = adapter};
    SynMessage request;
    SynStartNetwork(&adapter->Network, 0, 0, 0, 0, &request);
    Status status = HvOpenChannel(adapter->Channel, &parameters);
    if (status == StatusSuccess)
        status = HvAllocateBuffer(adapter->Channel, RECEIVE_BYTES, &adapter->ReceiveBuffer);
    if (status == StatusSuccess)
        status = HvAllocateBuffer(adapter->Channel, SEND_BYTES, &adapter->SendBuffer);
    if (status != StatusSuccess)
        return status;
    SynStartNetwork(&adapter->Network, adapter->ReceiveBuffer.Gpadl, RECEIVE_BYTES,
                    adapter->SendBuffer.Gpadl, SEND_BYTES, &request);
    status = HvSend(adapter->Channel, request.Bytes, request.Size, 0, true);
    if (status == StatusSuccess)
        status = HvWait(adapter->Channel, &adapter->Answered, PATIENCE);
    return status == StatusSuccess && adapter->Broken ? StatusIoError : status;
}

static Status Register(Adapter *adapter)
{
    IoNetworkDevice *device = &adapter->Device;
    const SynRndis *rndis = &adapter->Rndis;
    *device = (IoNetworkDevice){.MaximumFrame = rndis->MaximumFrame + IO_FRAME_HEADER,
                                .LinkSpeed = rndis->LinkSpeed,
                                .LinkUp = rndis->LinkUp,
                                .Checksums = rndis->Checksums,
                                .Context = adapter,
                                .Send = SendFrame};
    memcpy(device->Address, rndis->Address, sizeof(device->Address));
    return IoRegisterNetworkDevice(device);
}

// The host has let go of the buffers once the channel is closed as well.
static void Revoke(Adapter *adapter)
{
    SynMessage message;
    if (adapter->Up) {
        adapter->Up = false;
        SynBuildRndisHalt(&adapter->Rndis, &message);
        (void)!SendMessage(adapter, true, message.Bytes, message.Size, nullptr, 0);
    }
    if (adapter->Network.State > SynNetworkReceiveTold) {
        SynBuildNetworkRevoke(&adapter->Network, false, &message);
        (void)!HvSend(adapter->Channel, message.Bytes, message.Size, 0, false);
    }
    if (adapter->Network.State == SynNetworkReady) {
        SynBuildNetworkRevoke(&adapter->Network, true, &message);
        (void)!HvSend(adapter->Channel, message.Bytes, message.Size, 0, false);
    }
    adapter->Network.State = SynNetworkAskingVersion;
    adapter->Broken = true; // nothing that comes means anything any more
}

static void Close(Adapter *adapter)
{
    Revoke(adapter);
    HvCloseChannel(adapter->Channel);
    HvFreeBuffer(adapter->Channel, &adapter->ReceiveBuffer);
    HvFreeBuffer(adapter->Channel, &adapter->SendBuffer);
    MmFreeHeap(adapter->Copy);
    MmFreeHeap(adapter);
}

static Status Probe(IoDevice *device)
{
    HvChannel *channel = HvGetChannel(device);
    if (!HvIsClass(channel, &VmbusClassNetwork))
        return StatusNotSupported;
    Adapter *adapter = MmAllocateHeap(sizeof(*adapter), TAG_NETWORK);
    if (!adapter)
        return StatusNoMemory;
    adapter->Channel = channel;
    adapter->Copy = MmAllocateHeap(COPY_BYTES, TAG_NETWORK);
    KeInitializeSpinLock(&adapter->Lock, LockRankDevice, "hyperv network");
    KeInitializeEvent(&adapter->Answered, true, false);
    Status status = adapter->Copy ? AwaitUp(adapter) : StatusNoMemory;
    if (status == StatusSuccess)
        status = Register(adapter);
    if (status != StatusSuccess) {
        Close(adapter);
        return status;
    }
    device->DriverData = adapter;
    return StatusSuccess;
}

static void Remove(IoDevice *device)
{
    Adapter *adapter = device->DriverData;
    IoUnregisterNetworkDevice(&adapter->Device);
    Close(adapter);
}

static void Shutdown(IoDevice *device)
{
    Revoke(device->DriverData);
}

const IoDriver HvNetworkDriver = {.Name = "hyperv network",
                                  .Bus = IoBusVmbus,
                                  .Probe = Probe,
                                  .Remove = Remove,
                                  .Shutdown = Shutdown};
