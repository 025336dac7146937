// vmbus.h - VMBus, the bus between a Hyper-V guest and its host: messages, rings and packets, as
// bytes. Pure: memory comes from the caller, what has to be told to the host is returned.
//
// Names and layouts: Microsoft's Hypervisor Top Level Functional Specification for what the
// hypervisor carries; for VMBus itself the publicly documented behaviour of Microsoft's open host
// (OpenVMM) and of the guests that are in use. Everything little-endian.
//
// Whatever comes from the host is copied once and then checked: a message by VmbusParseMessage, a
// packet by VmbusTakePacket. The guest's own position in a ring is kept in private memory and never
// believed from the shared page.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- identities
typedef struct VmbusGuid {
    uint32_t Data1;
    uint16_t Data2, Data3;
    uint8_t Data4[8];
} VmbusGuid;
static_assert(sizeof(VmbusGuid) == 16, "wire format");
bool VmbusEqualGuids(const VmbusGuid *a, const VmbusGuid *b);
#define VMBUS_GUID_TEXT 37 // bytes of "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and its NUL
void VmbusFormatGuid(const VmbusGuid *guid, char text[VMBUS_GUID_TEXT]);

extern const VmbusGuid VmbusClassKeyboard, VmbusClassMouse, VmbusClassVideo, VmbusClassScsi,
    VmbusClassNetwork, VmbusClassShutdown, VmbusClassTimeSync, VmbusClassHeartbeat,
    VmbusClassKeyValue;
const char *VmbusNameOfClass(const VmbusGuid *class); // nullptr: not one of them

// ---- versions, newest first; 0 ends the list
#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))
extern const uint32_t VmbusVersions[];

// ---- messages. A message is VMBUS_MESSAGE_SIZE bytes at most: u32 type, u32 0, the body.
#define VMBUS_MESSAGE_SIZE 240u
#define VMBUS_CHANNELS     2048u // ids (relid) are 1 .. VMBUS_CHANNELS - 1
typedef enum VmbusMessageType : uint32_t {
    VmbusOfferChannel = 1,
    VmbusRescind = 2,
    VmbusRequestOffers = 3,
    VmbusAllOffersDelivered = 4,
    VmbusOpen = 5,
    VmbusOpenResult = 6,
    VmbusClose = 7,
    VmbusGpadlHeader = 8,
    VmbusGpadlBody = 9,
    VmbusGpadlCreated = 10,
    VmbusGpadlTeardown = 11,
    VmbusGpadlTorndown = 12,
    VmbusReleased = 13,
    VmbusInitiateContact = 14,
    VmbusVersionResponse = 15,
    VmbusUnload = 16,
    VmbusUnloadComplete = 17,
} VmbusMessageType;

#define VMBUS_USER_DATA  120u
#define VMBUS_OFFER_PIPE 0x10u // Flags: packets begin with a pipe header
typedef struct VmbusOffer {
    VmbusGuid Class, Instance;
    uint16_t Flags;
    uint16_t MmioMegabytes;
    uint8_t UserData[VMBUS_USER_DATA];
    uint16_t SubIndex;   // 0: the primary channel of its instance
    uint32_t Channel;    // relid
    uint32_t Connection; // for signals
} VmbusOffer;

// What a message from the host says; the fields of its type are set, all others 0.
typedef struct VmbusMessage {
    VmbusMessageType Type;
    uint32_t Channel, OpenId, Gpadl;
    int32_t Status;      // negative: refused
    bool Supported;      // VmbusVersionResponse: and the host is able to go on
    uint32_t Connection; // VmbusVersionResponse: where messages go from now on, when not 0
    VmbusOffer Offer;
} VmbusMessage;
// false: too short for its type, of a type a host does not send, or with an impossible channel.
// version: as negotiated, or as just asked for.
bool VmbusParseMessage(const void *bytes, size_t size, uint32_t version, VmbusMessage *message);

// Each builds a message of the returned size.
typedef struct VmbusBytes {
    uint64_t Words[VMBUS_MESSAGE_SIZE / 8];
} VmbusBytes;
size_t VmbusBuildContact(VmbusBytes *to, uint32_t version, uint32_t processor, uint8_t interrupt);
size_t VmbusBuildPlain(VmbusBytes *to, VmbusMessageType type); // no body
// VmbusClose, VmbusReleased: the channel; VmbusGpadlTeardown: and the GPADL.
size_t VmbusBuildChannel(VmbusBytes *to, VmbusMessageType type, uint32_t channel, uint32_t gpadl);
size_t VmbusBuildOpen(VmbusBytes *to, uint32_t channel, uint32_t openId, uint32_t gpadl,
                      uint32_t processor, uint32_t receivePage, const uint8_t *userData);

// The messages that describe `pages` pages to the host: one header, then bodies.
#define VMBUS_GPADL_PAGES 8190u // the range's size has 16 bits: 8 + 8 * pages
typedef struct VmbusGpadl {
    uint32_t Channel, Id;
    uint32_t Pages, Done;
    uint32_t Messages;
} VmbusGpadl;
// Builds the next message; 0: there is none. frameOf: physical address / 4096 of the n-th page.
size_t VmbusBuildGpadl(VmbusGpadl *gpadl, VmbusBytes *to,
                       uint64_t (*frameOf)(void *context, uint32_t page), void *context);

// ---- rings. One page of control, then the data, whose pages are mapped twice in a row, so that no
// packet is ever split. A ring has one writer and one reader.
typedef struct VmbusRingControl {
    volatile uint32_t In;            // where the next packet goes
    volatile uint32_t Out;           // where the next one is taken
    volatile uint32_t InterruptMask; // the reader's: 1, do not tell me
    volatile uint32_t PendingSize;   // the writer's: tell me when so many bytes are free
    uint32_t Reserved[12];
    volatile uint32_t Features; // the writer's: bit 0, PendingSize means something
    uint8_t Rest[4096 - 68];
} VmbusRingControl;
static_assert(sizeof(VmbusRingControl) == 4096 && offsetof(VmbusRingControl, Features) == 64);

typedef struct VmbusRing {
    VmbusRingControl *Control;
    uint8_t *Data;      // 2 * Size bytes
    uint32_t Size;      // a multiple of 4096
    uint32_t Here;      // our own index: In of a ring we write, Out of one we read
    uint32_t Published; // what the other side knows of it
    uint32_t Wanted;    // of one we write: the room that was asked for; 0: none
    bool Broken;        // the other side's index was impossible: no more is taken or written
} VmbusRing;
// Zeroes the control page.
void VmbusInitializeRing(VmbusRing *ring, void *control, void *data, uint32_t size, bool weWrite);

typedef enum VmbusPacketType : uint16_t {
    VmbusInBand = 6,
    VmbusTransferPages = 7,
    VmbusGpaDirect = 9,
    VmbusCompletion = 11,
} VmbusPacketType;
#define VMBUS_WANTS_COMPLETION 1u
typedef struct VmbusPacketHeader {
    VmbusPacketType Type;
    uint16_t DataOffset, Length; // in units of 8 bytes; the trailer not counted
    uint16_t Flags;
    uint64_t TransactionId;
} VmbusPacketHeader;
static_assert(sizeof(VmbusPacketHeader) == 16, "wire format");
#define VMBUS_TRAILER_SIZE 8u
typedef struct VmbusTransferRange {
    uint32_t Bytes, Offset;
} VmbusTransferRange;
static inline uint32_t VmbusFrameCount(uint32_t offset, uint32_t bytes)
{
    return (uint32_t)(((uint64_t)offset + bytes + 4095) / 4096);
}

// ---- writing. Room for a packet of `bytes` (a multiple of 8, trailer not counted), to be filled
// in; nullptr: not now (the host will signal when there is; VmbusIsWritable tells), or never
// (Broken, or too large for the ring).
void *VmbusReservePacket(VmbusRing *ring, uint32_t bytes);
void VmbusCommitPacket(VmbusRing *ring, uint32_t bytes);
// Lets the host see what was committed; true: it wants to be signalled.
[[nodiscard]] bool VmbusPublishPackets(VmbusRing *ring);
// Whether room was asked for in vain and has now come; asks no longer then.
bool VmbusIsWritable(VmbusRing *ring);
bool VmbusFitsRing(const VmbusRing *ring, uint64_t bytes); // an empty one

// ---- reading
typedef enum VmbusReadResult : uint8_t {
    VmbusReadEmpty,
    VmbusReadPacket,
    VmbusReadBad, // one whose framing is wrong, or all that was there, has been dropped
    VmbusReadBroken
} VmbusReadResult;
typedef struct VmbusPacket {
    VmbusPacketHeader Header;
    const uint8_t *Data; // in the caller's buffer
    uint32_t Size;
    uint16_t BufferId; // VmbusTransferPages
    uint32_t RangeCount;
    const VmbusTransferRange *Ranges; // in the caller's buffer
} VmbusPacket;
// Copies the next packet to buffer (8-byte aligned, `capacity` bytes) and checks its framing.
// Broken: the other side's index is impossible, and nothing more is read.
VmbusReadResult VmbusTakePacket(VmbusRing *ring, void *buffer, uint32_t capacity,
                                VmbusPacket *packet);
// Gives the room of what was taken back; true: the host waited for it and wants to be signalled.
[[nodiscard]] bool VmbusReleasePackets(VmbusRing *ring);
// Interrupts wanted or not. Enabling: true when packets have come meanwhile, so look again.
void VmbusMaskInterrupts(VmbusRing *ring);
[[nodiscard]] bool VmbusUnmaskInterrupts(VmbusRing *ring);
