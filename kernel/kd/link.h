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

typedef struct KdiPort {
    bool (*Send)(void *context, const void *bytes, size_t size); // false: nobody takes them
    // Waits a fraction of a second, or within a packet, seconds: a busy host may stop anywhere.
    KdiByteResult (*Receive)(void *context, uint8_t *byte, bool within);
} KdiPort;

typedef struct KdiLink {
    const KdiPort *Port;
    void *Context;
    uint32_t SendId;    // of the next data packet out
    uint32_t ReceiveId; // expected in the next data packet in
    bool HostPresent;   // whole packets came and nothing has been given up since
    bool BreakIn;       // the host asked for a stop; whoever stops clears it
    uint32_t Size;      // of Data
    alignas(8) uint8_t Data[KD_MAXIMUM_DATA]; // of the last packet received
} KdiLink;

typedef enum KdiLinkResult {
    KdiLinkPacket,
    KdiLinkTimeOut,
    KdiLinkResend, // the host wants the last packet again, or starts anew
    KdiLinkGone,
} KdiLinkResult;

void KdiInitializeLink(KdiLink *link, const KdiPort *port, void *context);
// A RESET came that was read elsewhere: both sides count from the start.
void KdiAnswerReset(KdiLink *link);
// Waits for a data packet of this type, which is then in Data and acknowledged; other packets are
// acknowledged and dropped.
KdiLinkResult KdiReceivePacket(KdiLink *link, KdPacketType type);
// Sends header and data as one packet and waits until the host has it. tries: how often; 0: for
// ever. false: given up (the link then starts anew with the next packet), or the line is gone.
bool KdiSendPacket(KdiLink *link, KdPacketType type, const void *header, size_t headerSize,
                   const void *data, size_t dataSize, uint32_t tries);
