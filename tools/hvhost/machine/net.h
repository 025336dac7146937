// net.h - the synthetic network adapter: its state, and the calls between its two rooms. net.c has
// NVSP: buffers and their sections. rndis.c has what lies in them: requests and frames.
// SPDX-License-Identifier: MIT
#pragma once

#include "vmbus.h"

#include "net/net.h"

#define TYPE_HV_NET "hv-net"
OBJECT_DECLARE_SIMPLE_TYPE(HvNet, HV_NET)

enum {
    Mtu = 1514, // with the Ethernet header
    ReceiveSection = Mtu + 256 + 36,
    SendSection = 6144,
    SectionsMax = 16384,
    ControlSections = 16, // reserved for answers to control requests
    NoSection = -1,
    FrameOffset = 248, // of a received frame in its section: behind header and per-packet info
    BatchMax = 32,
    TidBase = 0x1000,
};

// Receive packets that the guest has not completed yet: which sections each names.
typedef struct Transfer {
    bool used;
    uint16_t count, section[BatchMax];
} Transfer;

struct HvNet {
    VmbusDevice parent_obj;
    NICConf conf;
    NICState *nic;
    uint32_t maxVersion, batch;
    uint16_t subChannels;
    bool anyCompletion; // Windows takes a receive completion without content; OpenVMM does not

    uint32_t version; // of NVSP; 0: not agreed
    bool configured, ndisKnown, initialised, stopped;
    uint32_t filter;
    VmbusGpadl *receive, *send;
    uint16_t receiveId;
    uint32_t sections, sectionsFree;
    uint8_t *busy; // per section
    Transfer *transfers;
    uint64_t framesIn, framesOut, framesDropped;
};

enum { RndisNotSupported = (int)0xC00000BB };

// net.c. A control message to the guest, in two pieces; false: it has no section for it.
bool NetSendControl(HvNet *net, const void *head, uint32_t headLength, const void *data,
                    uint32_t dataLength);

// rndis.c
void RndisOnControl(HvNet *net, VmbusChannel *channel, const uint8_t *message, uint32_t length);
// The messages of a transmission, one behind the other. False: the whole transmission fails.
bool RndisTransmit(HvNet *net, uint8_t *bytes, uint32_t total);
// What is before a frame for the guest in its section, of at most FrameOffset bytes; returns its
// size.
uint32_t RndisDescribeFrame(uint32_t frameSize, uint8_t *head);
void RndisTellLink(HvNet *net);
