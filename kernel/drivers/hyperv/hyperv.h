// hyperv.h - VMBus, as its device drivers see it: channels to the host's synthetic devices.
//
// The bus (bus.c and its neighbours) connects to the host, makes an IoDevice of each primary
// channel that the host offers and offers it to the drivers of IoBusVmbus. A driver:
//
//     Probe    HvGetChannel, compare the class, HvOpenChannel, talk to the device; it may wait, but
//              bounded (HvWait). StatusSuccess: the device is the driver's until Remove.
//     Remove   the host took the device away (a rescind), at any time after Probe. No packet
//              arrives any more and sends fail with StatusNoSuchDevice; requests under way are the
//              driver's to fail. HvCloseChannel on each channel it opened, then HvFreeBuffer, then
//              its memory.
//     Shutdown before power-off or reset, the newest device first. Afterwards the bus itself tells
//              the host to let go of everything; channels may stay open.
//
// Probe and Remove of one device never overlap; both run at PassiveLevel on a thread of the bus,
// and so does SubChannel below. A device that failed in Probe must have closed its channels.
//
// Trust: the host may change shared memory at any moment. What a driver gets is a copy, taken once,
// whose framing has been checked; the contents are for the driver to check. What breaks the
// device's protocol is dropped and counted (HvRejectPacket), and the conversation goes on; a device
// is given up only when it does not answer in time, wants nothing of what it was asked for, or has
// put an impossible index into a ring.
// SPDX-License-Identifier: MIT
#pragma once

#include "io.h"
#include "vmbus/vmbus.h"

typedef struct HvChannel HvChannel;

// ---- devices
// The channel of an IoDevice whose Bus is IoBusVmbus.
HvChannel *HvGetChannel(const IoDevice *device);
// What the host said of it; constant. VmbusOffer and the class GUIDs are in vmbus/vmbus.h.
const VmbusOffer *HvGetOffer(const HvChannel *channel);
bool HvIsClass(const HvChannel *channel, const VmbusGuid *class);
uint32_t HvGetBusVersion(void);          // major << 16 | minor, as negotiated
bool HvIsGone(const HvChannel *channel); // the host has taken it away; any level

// ---- channels
// A packet, copied out of the ring. All of it is valid until the handler returns.
typedef struct HvPacket {
    VmbusPacketType Type; // VmbusInBand, VmbusTransferPages, VmbusCompletion; others never arrive
    bool WantsCompletion;
    uint64_t TransactionId;
    const void *Data; // 8-byte aligned; contents behind the packet's header(s)
    uint32_t Size;    // a multiple of 8: up to 7 bytes more than the sender meant
    // VmbusTransferPages: where in the driver's buffer of that id the data are. Neither inside the
    // buffer for certain nor apart from each other.
    uint16_t BufferId;
    uint32_t RangeCount;
    const VmbusTransferRange *Ranges;
} HvPacket;

// All at DispatchLevel, one at a time per channel, without locks of the bus, on the channel's
// processor; none is called before HvOpenChannel has been called or after HvCloseChannel returns.
// They may send. Packets can arrive before HvOpenChannel returns.
typedef struct HvHandlers {
    void (*Receive)(void *context, const HvPacket *packet);
    void (*Drained)(void *context);  // after a burst of Receive; may be nullptr
    void (*Writable)(void *context); // room again after StatusWouldBlock; may be nullptr
    // PassiveLevel: a sub-channel of this primary channel was offered. The driver opens it, or
    // leaves it alone. It goes with HvCloseChannel; HvIsGone tells when the host has taken it.
    // May be nullptr.
    void (*SubChannel)(void *context, HvChannel *channel);
    // PassiveLevel: a sub-channel that was opened with these handlers is gone; close it. (Of a
    // primary channel Remove tells.) May be nullptr where no sub-channels are opened.
    void (*SubChannelGone)(void *context, HvChannel *channel);
} HvHandlers;

typedef struct HvOpenParameters {
    uint32_t SendBytes, ReceiveBytes; // room of each ring, multiples of 4096, 4096 .. 4 MiB
    uint32_t
        MaximumPacket; // longest packet the host may send, with headers; 0: what the ring holds
    const HvHandlers *Handlers; // stays
    void *Context;
    uint32_t Processor;                // whom it interrupts; below KeGetProcessorCount()
    uint8_t UserData[VMBUS_USER_DATA]; // of the open message
} HvOpenParameters;
// PassiveLevel; waits for the host, bounded. StatusNoMemory, StatusIoError: the host refuses,
// StatusTimeout, StatusNoSuchDevice: it is gone.
Status HvOpenChannel(HvChannel *channel, const HvOpenParameters *parameters);
// PassiveLevel; nothing when it is not open. Sub-channels first, then the primary one. Waits,
// bounded, until the host has let go of the rings; no handler runs any more.
void HvCloseChannel(HvChannel *channel);

// Writes an in-band packet. size: any; padded with zeros. completion: ask for one, whose
// TransactionId will be this id. Level <= Dispatch. StatusWouldBlock: the ring is full, Writable
// will be called; StatusNoSuchDevice: gone or not open.
Status HvSend(HvChannel *channel, const void *data, size_t size, uint64_t id, bool completion);
// With memory that the host reads or writes (a GPA-direct packet; completion always requested): the
// ranges' bytes must stay as they are until the completion arrives. storvsc wants exactly one
// range.
typedef struct HvRange {
    uint32_t Bytes, Offset; // Offset < 4096: into the first frame
    const uint64_t *Frames; // physical address / 4096, VmbusFrameCount(Offset, Bytes) of them
} HvRange;
Status HvSendRanges(HvChannel *channel, const HvRange *ranges, size_t count, const void *data,
                    size_t size, uint64_t id);
// Answers a packet that WantsCompletion.
Status HvSendCompletion(HvChannel *channel, const void *data, size_t size, uint64_t id);
// Between Hold and Release packets are put into the ring, and the host learns of all of them at
// once at Release: one signal for many. Nests per channel; keep it short. Level <= Dispatch.
void HvHoldSignal(HvChannel *channel);
void HvReleaseSignal(HvChannel *channel);

// A pipe's message: {type 1, size} and the message.
Status HvSendPipe(HvChannel *channel, const void *data, size_t size);
// The message in a pipe's packet, or nullptr: not one.
const void *HvGetPipeMessage(const HvPacket *packet, uint32_t *size);

// Waits until the event is set, the channel is gone (StatusNoSuchDevice), or StatusTimeout.
// PassiveLevel.
Status HvWait(HvChannel *channel, KEvent *event, uint64_t timeout);

// Counts a packet whose contents break the device's protocol. The first of a channel's life is
// logged, and how many there were when it is closed. Any level.
void HvRejectPacket(HvChannel *channel);
// For what a host can have logged as often as it likes: true a few times a second. Begins as zeros.
// Any level.
typedef struct HvLogLimit {
    uint64_t Until;
    uint32_t Count;
} HvLogLimit;
bool HvMayLog(HvLogLimit *limit);

// ---- memory shared with a device by a GPADL: virtually contiguous, zeroed. At most 8190 pages.
typedef struct HvBuffer {
    void *Base;
    size_t Size; // whole pages
    uint32_t Gpadl;
    MmSection *Section; // the bus's
} HvBuffer;
Status HvAllocateBuffer(HvChannel *channel, size_t size, HvBuffer *buffer);
// After HvCloseChannel of every channel that uses it. If the host does not give it back in time,
// the memory is left to it until it does (logged). Nothing when Base is nullptr.
void HvFreeBuffer(HvChannel *channel, HvBuffer *buffer);

// ---- the windows of physical addresses that belong to the bus (video's frame buffer)
// size and alignment: powers of two >= 4096.
Status HvAllocateWindow(uint64_t size, uint64_t alignment, bool below4G, PhysicalAddress *address);
// Takes exactly this range, if it lies in a window: the firmware's frame buffer.
Status HvClaimWindow(PhysicalAddress address, uint64_t size);
void HvFreeWindow(PhysicalAddress address, uint64_t size);

// ---- a crash: the machine stands still (KeIsMachineFrozen), interrupts off, no locks.
// The channel is the caller's: whatever lock others left held is broken, and its handlers are
// these. A packet that was being received when the machine stopped may arrive once more.
void HvTakeOver(HvChannel *channel, const HvHandlers *handlers, void *context);
// Takes what has arrived: Receive and Drained are called from here.
void HvPoll(HvChannel *channel);

typedef struct HvCounters {
    uint64_t Sent, Received; // packets
    uint64_t Signals;        // hypercalls to tell the host
    uint64_t Interrupts;     // by the host
    uint64_t BadPackets;     // framing or contents wrong: dropped
    uint64_t Full;           // sends that found the ring full
} HvCounters;
void HvQueryCounters(const HvChannel *channel, HvCounters *counters);
