// vmbus-wire.h - what guest and host say to each other on VMBus. All little endian, no padding but
// what is named. Sources: OpenVMM, vm/devices/vmbus/vmbus_core/src/protocol.rs (messages) and
// vm/devices/vmbus/vmbus_ring/src/lib.rs (rings); Linux, Documentation/virt/hyperv/vmbus.rst.
// SPDX-License-Identifier: MIT
#ifndef VMBUS_WIRE_H
#define VMBUS_WIRE_H

#include "qemu/osdep.h"

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

// Each message starts with its type and a reserved word.
enum {
    MessageOffer = 1,   // to the guest
    MessageRescind = 2, // to the guest
    MessageRequestOffers = 3,
    MessageAllOffers = 4, // to the guest
    MessageOpen = 5,
    MessageOpenResult = 6, // to the guest
    MessageClose = 7,
    MessageGpadlHeader = 8,
    MessageGpadlBody = 9,
    MessageGpadlCreated = 10, // to the guest
    MessageGpadlTeardown = 11,
    MessageGpadlTorndown = 12, // to the guest
    MessageRelidReleased = 13,
    MessageContact = 14,
    MessageVersion = 15, // to the guest
    MessageUnload = 16,
    MessageUnloadComplete = 17, // to the guest
    MessageModify = 22,
    MessageModifyResult = 24, // to the guest
};

enum { VmbusFailure = 0x8000FFFF }; // the status of whatever fails

typedef struct QEMU_PACKED MessageHeader {
    uint32_t type, reserved;
} MessageHeader;

typedef struct QEMU_PACKED OfferMessage {
    MessageHeader header;
    uint8_t type[16], instance[16]; // GUIDs, as they lie in memory
    uint64_t reserved[2];
    uint16_t flags, mmioMegabytes;
    uint8_t userData[120]; // pipes: a word, 4 = message mode
    uint16_t subIndex, mmioOptional;
    uint32_t relid;
    uint8_t monitorId, monitorAllocated;
    uint16_t dedicated;
    uint32_t connection;
} OfferMessage;
QEMU_BUILD_BUG_ON(sizeof(OfferMessage) != 196);

enum { OfferInterface = 1, OfferPipe = 0x10 };

typedef struct QEMU_PACKED RelidMessage { // rescind, close, relid released
    MessageHeader header;
    uint32_t relid;
} RelidMessage;

typedef struct QEMU_PACKED OpenMessage {
    MessageHeader header;
    uint32_t relid, openId, gpadl, processor, downOffset; // of the host's ring, in pages
    uint8_t userData[120];
} OpenMessage;
QEMU_BUILD_BUG_ON(sizeof(OpenMessage) != 148);

typedef struct QEMU_PACKED OpenResultMessage {
    MessageHeader header;
    uint32_t relid, openId, status;
} OpenResultMessage;

typedef struct QEMU_PACKED GpadlHeaderMessage {
    MessageHeader header;
    uint32_t relid, gpadl;
    uint16_t rangeBytes, rangeCount; // rangeBytes alone says when the list is complete
    // ranges: bytes u32, offset u32, page numbers u64...
} GpadlHeaderMessage;

typedef struct QEMU_PACKED GpadlBodyMessage {
    MessageHeader header;
    uint32_t number, gpadl;
    // more of the ranges
} GpadlBodyMessage;

typedef struct QEMU_PACKED GpadlCreatedMessage {
    MessageHeader header;
    uint32_t relid, gpadl, status;
} GpadlCreatedMessage;

typedef struct QEMU_PACKED GpadlTeardownMessage {
    MessageHeader header;
    uint32_t relid, gpadl;
} GpadlTeardownMessage;

typedef struct QEMU_PACKED GpadlTorndownMessage {
    MessageHeader header;
    uint32_t gpadl;
} GpadlTorndownMessage;

typedef struct QEMU_PACKED ContactMessage {
    MessageHeader header;
    uint32_t version, processor;
    union {
        uint64_t interruptPage; // before 2.4
        struct {
            uint8_t sint, vtl; // from 5.0, 5.1
            uint16_t reserved;
            uint32_t features;
        };
    };
    uint64_t monitorToGuest, monitorToHost; // pages, or both 0
} ContactMessage;
QEMU_BUILD_BUG_ON(sizeof(ContactMessage) != 40);

typedef struct QEMU_PACKED VersionMessage {
    MessageHeader header;
    uint8_t supported, state;
    uint16_t reserved;
    uint32_t connection; // before 5.0: the version
} VersionMessage;
QEMU_BUILD_BUG_ON(sizeof(VersionMessage) != 16);

typedef struct QEMU_PACKED ModifyMessage {
    MessageHeader header;
    uint32_t relid, processor;
} ModifyMessage;

typedef struct QEMU_PACKED ModifyResultMessage {
    MessageHeader header;
    uint32_t relid, status;
} ModifyResultMessage;

// The page at the start of each ring. in and out are offsets into the data that follows it.
typedef struct RingControl {
    uint32_t in, out, interruptMask, pendingSendSize;
    uint32_t reserved[12];
    uint32_t features; // bit 0: pendingSendSize is honoured
} RingControl;

enum { PacketInBand = 6, PacketTransferPages = 7, PacketGpaDirect = 9, PacketCompletion = 11 };
enum { PacketWantsCompletion = 1 };

typedef struct PacketHeader {
    uint16_t type, dataOffset8, length8, flags; // offset and length in 8 bytes, without the trailer
    uint64_t tid;
} PacketHeader;

typedef struct PacketTrailer {
    uint32_t reserved, start; // where the packet starts
} PacketTrailer;

// In front of each packet of a pipe.
typedef struct QEMU_PACKED PipeHeader {
    uint32_t type, size; // type 1: data
} PipeHeader;

// The monitor page by which a guest signals without a hypercall.
typedef struct QEMU_PACKED MonitorPage {
    uint32_t groupEnable, reserved;
    struct {
        uint32_t pending, armed;
    } group[4];
} MonitorPage;

#endif
