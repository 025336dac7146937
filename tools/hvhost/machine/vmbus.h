// vmbus.h - VMBus: the bus, its channels, shared memory and rings, and what a device is to it.
// SPDX-License-Identifier: MIT
#ifndef VMBUS_H
#define VMBUS_H

#include "hvhost.h"
#include "hw/hotplug.h"
#include "vmbus-wire.h"

#define TYPE_VMBUS_BUS "hv-vmbus"
OBJECT_DECLARE_SIMPLE_TYPE(VmbusBus, VMBUS_BUS)

#define TYPE_VMBUS_DEVICE "hv-device"
typedef struct VmbusDevice VmbusDevice;
typedef struct VmbusDeviceClass VmbusDeviceClass;
DECLARE_OBJ_CHECKERS(VmbusDevice, VmbusDeviceClass, VMBUS_DEVICE, TYPE_VMBUS_DEVICE)

enum { RelidMax = 2047, SintVmbus = 2, NoProcessor = 0xFFFFFFFF };

// Guest memory that the guest has given to a channel's device, under a number of the guest's.
typedef struct VmbusGpadl {
    uint32_t relid, id;
    uint32_t wordsExpected, wordsSeen; // of the list of ranges
    uint64_t *words;
    uint32_t rangeCount;
    bool created;
    uint32_t users;                    // rings and devices that use the memory
    bool tearingDown;                  // the guest wants it back; answered when nobody uses it
    uint32_t bytes, offset, pageCount; // of the only range
    uint8_t **pages;                   // the host's addresses
    QTAILQ_ENTRY(VmbusGpadl) next;
} VmbusGpadl;

typedef struct VmbusRing {
    VmbusGpadl *gpadl;
    RingControl *control;
    uint32_t firstPage, size; // of the data
    uint32_t index;           // our own: in of the ring we write, out of the one we read
} VmbusRing;

typedef struct VmbusSegment {
    uint64_t address;
    uint32_t length;
} VmbusSegment;

// A packet of the guest's, copied out.
typedef struct VmbusPacket {
    uint16_t type, flags;
    uint64_t tid;
    uint8_t *data;
    uint32_t length;
    VmbusSegment *segments; // of GPA-direct packets, at most a page each
    uint32_t segmentCount, segmentBytes, rangeCount;
    uint8_t *buffer;
} VmbusPacket;

typedef struct VmbusOut {
    QSIMPLEQ_ENTRY(VmbusOut) next;
    uint32_t length;
    uint8_t bytes[];
} VmbusOut;

// The hostile mode of a device or of the bus, and what it lies about.
typedef enum HvLie {
    LieLength,   // of a packet or message
    LieOffset,   // of a packet's data
    LieId,       // transaction numbers, channels
    LieContents, // of packets, or of answers of the bus
    LieData,     // what lies beside the packets: frames, what a disk says
    LieIndex,    // of a ring
    LieLost,
    LieTwice,
    LieDelayed,
    LieChanged, // between two reads
    LieAnswer,  // a completion that nobody waits for, or that is not the one
    LieNoise,
    LieRescind,
    LieKinds
} HvLie;

typedef struct HvLiar {
    uint32_t seed; // 0: honest
    uint64_t state, count, kinds[LieKinds];
    uint32_t idle, remembered, lastOut;
    uint64_t lastSent;
    VmbusOut *memory[16]; // genuine packets
    struct {
        VmbusOut *packet;
        uint32_t ticks;
    } held[8];                          // genuine packets that come later
    uint32_t invented, start, ends[64]; // packets that the guest may not have read yet; in its ring
    uint8_t lies[64];                   // of what kind they are
} HvLiar;

typedef struct VmbusChannel {
    VmbusDevice *device; // NULL: gone, or of a class that nobody serves
    VmbusBus *bus;
    QemuUUID type, instance; // as they lie in memory
    uint16_t flags, mmioMegabytes, subIndex;
    uint32_t relid, connection; // 0: not offered
    bool rescinded;             // until the guest releases the relid
    bool open, dead, closing;
    bool hostSleeps; // the mask is off and nothing was left to read
    bool signalled;  // a signal that is not served yet
    bool queuedOpen; // an open that waits for the close before
    bool monitored;
    bool pipe;
    uint32_t openId, processor, inFlight;
    OpenMessage openMessage;
    VmbusGpadl *ringGpadl;
    VmbusRing in, out; // from the guest, to the guest
    QEMUBH *bottomHalf;
    QSIMPLEQ_HEAD(, VmbusOut) outgoing;
    uint32_t outgoingCount;
    uint64_t signals, packetsIn, packetsOut;
    QTAILQ_ENTRY(VmbusChannel) next;
} VmbusChannel;

typedef struct VmbusReceived {
    QSIMPLEQ_ENTRY(VmbusReceived) next;
    uint32_t connection, length;
    uint8_t data[HvMessageBytes];
} VmbusReceived;

struct VmbusBus {
    BusState parent_obj;
    uint32_t version; // 0: no contact
    uint32_t processor, sint;
    bool offersRequested, leaving; // leaving: an answer waits for channels to close
    enum { LeaveNothing, LeaveUnload, LeaveContact } leave;
    VersionMessage leaveAnswer;
    uint64_t interruptPage; // before 2.4
    uint64_t monitorPage;
    QEMUTimer *monitorTimer, *hostileTimer;
    HvLiar liar;
    QEMUBH *bottomHalf;
    unsigned receivedCount, refusals;
    QSIMPLEQ_HEAD(, VmbusReceived) received;
    QTAILQ_HEAD(, VmbusGpadl) gpadls;
    QTAILQ_HEAD(, VmbusChannel) channels;
};

struct VmbusDevice {
    DeviceState parent_obj;
    QemuUUID instance;
    bool present;          // offered; to be changed at run time
    bool emptyCompletions; // of pipes, as Windows sends them
    VmbusChannel *channel; // the primary one
    HvLiar liar;
};

struct VmbusDeviceClass {
    DeviceClass parent_class;
    const char *type, *instance;
    uint16_t flags, mmioMegabytes;
    bool pipe, monitored;
    void (*realize)(VmbusDevice *device, Error **errp);
    void (*unrealize)(VmbusDevice *device);
    void (*reset)(VmbusDevice *device); // of the machine; the channel is closed
    // Before the guest is told; the device may send at once.
    void (*opened)(VmbusDevice *device, VmbusChannel *channel);
    // No packets come any more. Also when it is dead, rescinded or reset.
    void (*closed)(VmbusDevice *device, VmbusChannel *channel);
    void (*packet)(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet);
    // Says something true that costs nothing, to the guest of an open channel: for the hostile
    // mode.
    void (*speak)(VmbusDevice *device, VmbusChannel *channel);
};

// ------------------------------------------------------------------------------ vmbus.c: the bus

void VmbusReset(VmbusBus *bus);
uint16_t VmbusPost(VmbusBus *bus, uint32_t connection, uint32_t type, const uint8_t *payload,
                   uint32_t length);
uint16_t VmbusSignal(VmbusBus *bus, uint32_t connection, uint16_t flag);
void VmbusSlotFreed(void);
void VmbusReply(VmbusBus *bus, const void *message, size_t length);
void VmbusOffer(VmbusBus *bus, VmbusChannel *channel);
// Gives the bus's object the properties of the hostile mode; devices have them.
void VmbusAddHostile(Object *object, HvLiar *liar);
// Answers what waited for channels to close, when all are.
void VmbusCheckLeave(VmbusBus *bus);
void VmbusUnplug(HotplugHandler *handler, DeviceState *device, Error **errp);

// --------------------------------------------------------------------- channel.c: their lives

VmbusChannel *ChannelNew(VmbusBus *bus, VmbusDevice *device, uint16_t subIndex);
VmbusChannel *ChannelFind(VmbusBus *bus, uint32_t relid);
void ChannelOpen(VmbusBus *bus, const OpenMessage *message);
void ChannelModify(VmbusBus *bus, const ModifyMessage *message);
void ChannelClose(VmbusChannel *channel);
void ChannelRescind(VmbusChannel *channel);
void ChannelReleased(VmbusBus *bus, uint32_t relid);
void ChannelFree(VmbusChannel *channel);
// A request of the channel's goes on after its packet; a close waits for it.
void ChannelBegin(VmbusChannel *channel);
void ChannelEnd(VmbusChannel *channel);
// Makes and offers channels with sub index 1 to count.
void ChannelAddSubs(VmbusChannel *primary, uint32_t count);

// ------------------------------------------------------------------------ gpadl.c: shared memory

void GpadlHeader(VmbusBus *bus, const uint8_t *message, uint32_t length);
void GpadlBody(VmbusBus *bus, const uint8_t *message, uint32_t length);
void GpadlTeardown(VmbusBus *bus, const GpadlTeardownMessage *message);
// The one that the guest gave to the channel's device, usable for rings and buffers; else NULL.
VmbusGpadl *GpadlFind(VmbusChannel *channel, uint32_t id);
void GpadlUse(VmbusGpadl *gpadl);
void GpadlUnuse(VmbusBus *bus, VmbusGpadl *gpadl);
void GpadlFailUnfinished(VmbusBus *bus, uint32_t relid);
void GpadlForget(VmbusBus *bus); // all
bool GpadlExists(VmbusBus *bus, uint32_t id);
bool GpadlCopy(VmbusGpadl *gpadl, uint32_t offset, void *buffer, uint32_t length, bool write);

// ---------------------------------------------------------------------------------- ring.c: rings

bool RingInit(VmbusRing *ring, VmbusGpadl *gpadl, uint32_t first, uint32_t end);
void RingWork(void *channel); // the channel's bottom half
void RingSignalGuest(VmbusChannel *channel);
// The channel is served no more until it is closed and opened again; nobody tells the guest.
void RingDie(VmbusChannel *channel, const char *rule, const char *format, ...) G_GNUC_PRINTF(3, 4);
// Queues a packet: a descriptor of its type (transfer pages) and data, each padded to 8 bytes.
void VmbusSend(VmbusChannel *channel, uint16_t type, uint16_t flags, uint64_t tid,
               const void *descriptor, uint32_t descriptorLength, const void *data,
               uint32_t length);
void VmbusComplete(VmbusChannel *channel, VmbusPacket *packet, const void *data, uint32_t length);
// Sends data behind a pipe header.
void VmbusPipeSend(VmbusChannel *channel, const void *data, uint32_t length);
// Opens a pipe's packet, and completes it where the host does: the head of the message in it, and
// what follows. False when it is none: then the channel is dead.
bool VmbusPipeOpen(VmbusChannel *channel, VmbusPacket *packet, void *head, uint32_t headLength,
                   uint8_t **data, uint32_t *length);
// Queues a complete packet, trailer included, which it takes over.
void RingPut(VmbusChannel *channel, VmbusOut *packet);
void SegmentsRead(VmbusSegment *segments, uint32_t count, uint32_t offset, void *buffer,
                  uint32_t length);

// ------------------------------------------------------------------------- hostile.c: the host
// that lies

// From now on, with this seed; 0: honest again. device NULL: the bus itself.
void HostileStart(VmbusBus *bus, VmbusDevice *device, uint32_t seed);
char *HostileKinds(const HvLiar *liar); // "kind=count kind=count ..."
// Whether a guest that breaks this rule need not be blamed.
bool HostileExcuses(VmbusChannel *channel, const char *rule);
// Counts what the guest has read of what was invented; before its ring is gone.
void HostileSettle(VmbusChannel *channel);
void HostileDrop(HvLiar *liar);   // what is held back goes nowhere any more
void HostileForget(HvLiar *liar); // frees what it remembers
// May spoil a packet that is to be sent; how often it is to be sent now.
unsigned HostilePacket(VmbusChannel *channel, VmbusOut *packet);
// May change the rings while the guest reads.
void HostileRead(VmbusChannel *channel);
// May spoil what a device tells beside its packets.
void HostileData(HvLiar *liar, uint8_t *bytes, uint32_t length);
// Sends a message of the bus to the guest.
void HostileReply(VmbusBus *bus, const void *message, size_t length);

#endif
