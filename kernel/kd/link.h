// link.h - packets over a serial line that loses, damages and invents bytes (link.c). Pure: the
// line and its clock are behind KdiPort.
// SPDX-License-Identifier: MIT
#pragma once

#include "wire.h"

typedef enum KdiByteResult {
    KdiByteReceived,
    KdiByteNone, // the line was silent for as long as the port waits
    KdiByteGone, // there is no line
} KdiByteResult;

typedef enum KdiWait { // for how long a byte is awaited
    KdiWaitNext,       // as long as a host takes that is there: a fraction of a second
    KdiWaitWithin,     // in the middle of a packet, seconds: a busy host may stop anywhere
    KdiWaitListening,  // while the machine runs: no longer than bytes in a row are apart
    KdiWaitGreeting,   // the rest of a packet then, which is a host's for all that is known
} KdiWait;

typedef struct KdiPort {
    bool (*Send)(void *context, const void *bytes, size_t size); // false: nobody takes them
    KdiByteResult (*Receive)(void *context, uint8_t *byte, KdiWait wait);
} KdiPort;

typedef struct KdiLink {
    const KdiPort *Port;
    void *Context;
    uint32_t SendId;    // of the next data packet out
    uint32_t ReceiveId; // expected in the next data packet in
    bool HostPresent;   // whole packets came and nothing has been given up since
    bool BreakIn;       // the host asked for a stop; whoever stops clears it
    uint8_t Last;       // the first bytes of a packet, so far: this one,
    uint32_t Run;       // so many of them
    uint32_t Size;      // of Data
    alignas(8) uint8_t Data[KD_MAXIMUM_DATA]; // of the last packet received
} KdiLink;

typedef enum KdiLinkResult {
    KdiLinkPacket,
    KdiLinkTimeOut,
    KdiLinkResend,  // the host wants the last packet again, or starts anew
    KdiLinkBreakIn, // it wants a stop, and is silent until something is said
    KdiLinkGone,
} KdiLinkResult;

void KdiInitializeLink(KdiLink *link, const KdiPort *port, void *context);
// While the machine runs: takes what has come. true: somebody asks for a stop, by one or several
// 'b' and then silence, or by a RESET, which is answered. Noise is skipped.
bool KdiListen(KdiLink *link);
// Waits for a data packet of this type, which is then in Data and acknowledged; other packets are
// acknowledged and dropped.
KdiLinkResult KdiReceivePacket(KdiLink *link, KdPacketType type);
// Sends header and data as one packet and waits until the host has it. tries: how often, beside
// those that a host asks for; 0: for ever. false: given up (the link then starts anew with the next
// packet), or the line is gone.
bool KdiSendPacket(KdiLink *link, KdPacketType type, const void *header, size_t headerSize,
                   const void *data, size_t dataSize, uint32_t tries);
