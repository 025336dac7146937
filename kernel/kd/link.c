// link.c - packets over a serial line that loses, damages and invents bytes.
//
// Every data packet is acknowledged by its receiver before anything else is sent. Each side numbers
// its own data packets by toggling bit 0 of an id, so that a packet that is sent again because its
// acknowledgement was lost is known for a repetition. A damaged packet is asked for again (RESEND);
// a host that has lost track sends RESET, upon which both sides count from the start and the packet
// that was under way is sent again. Between packets single bytes 'b' ask for a stop; any other byte
// there is noise. Bytes may be late anywhere, so the beginning of a packet is kept from one wait to
// the next: the RESET of a host that comes in may start while the machine runs and end in the stop.
//
// No wait is longer than the port's, no stretch of noise is longer than NOISE_LIMIT, and no more
// than PACKET_LIMIT packets in a row mean nothing to who waits: then it counts as silence. Noise
// that never ends may look like packets.
// SPDX-License-Identifier: MIT
#include "link.h"

enum { NOISE_LIMIT = 8192, PACKET_LIMIT = 16 }; // bytes: two of the longest packets; packets

void KdiInitializeLink(KdiLink *link, const KdiPort *port, void *context)
{
    *link = (KdiLink){.Port = port, .Context = context};
    link->SendId = KD_INITIAL_ID | KD_SYNC;
    link->ReceiveId = KD_INITIAL_ID;
}

static uint32_t Checksum(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

static void SendControl(KdiLink *link, KdPacketType type, uint32_t id)
{
    KdPacketHeader header = {.PacketLeader = KD_LEADER_CONTROL, .PacketType = type, .PacketId = id};
    (void)link->Port->Send(link->Context, &header, sizeof header);
}

static void Transmit(KdiLink *link, KdPacketType type, const void *header, size_t headerSize,
                     const void *data, size_t dataSize)
{
    static const uint8_t trailer = KD_TRAILER;
    KdPacketHeader packet = {
        .PacketLeader = KD_LEADER_DATA,
        .PacketType = type,
        .ByteCount = (uint16_t)(headerSize + dataSize),
        .PacketId = link->SendId,
        .Checksum = Checksum(Checksum(0, header, headerSize), data, dataSize),
    };
    (void)(link->Port->Send(link->Context, &packet, sizeof packet) &&
           link->Port->Send(link->Context, header, headerSize) &&
           link->Port->Send(link->Context, data, dataSize) &&
           link->Port->Send(link->Context, &trailer, sizeof trailer));
}

static KdiByteResult ReceiveBytes(KdiLink *link, void *buffer, size_t size, KdiWait wait)
{
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < size; i++) {
        KdiByteResult result = link->Port->Receive(link->Context, &bytes[i], wait);
        if (result != KdiByteReceived)
            return result;
    }
    return KdiByteReceived;
}

static bool IsLeaderByte(uint8_t byte)
{
    return byte == (uint8_t)KD_LEADER_DATA || byte == (uint8_t)KD_LEADER_CONTROL;
}

// Counts a byte between packets; true: with it a leader is complete.
static bool CountLeader(KdiLink *link, uint8_t byte, uint32_t *leader)
{
    link->Run = !IsLeaderByte(byte) ? 0 : byte == link->Last ? link->Run + 1 : 1;
    link->Last = link->Run != 0 ? byte : 0;
    if (link->Run < sizeof *leader)
        return false;
    *leader = byte * 0x01010101u;
    link->Run = link->Last = 0;
    return true;
}

// Skips to the first bytes of a packet. A 'b' on the way is remembered, and when the line falls
// silent behind it, the host waits for the packet that answers it.
static KdiLinkResult ReceiveLeader(KdiLink *link, uint32_t *leader)
{
    uint8_t byte;
    bool breakIn = false;
    for (int noise = 0; noise < NOISE_LIMIT; noise++) {
        switch (link->Port->Receive(link->Context, &byte, KdiWaitNext)) {
        case KdiByteGone:
            return KdiLinkGone;
        case KdiByteNone:
            return breakIn ? KdiLinkBreakIn : KdiLinkTimeOut;
        case KdiByteReceived:
            break;
        }
        if (CountLeader(link, byte, leader))
            return KdiLinkPacket;
        if (byte == KD_BREAK_IN)
            breakIn = link->BreakIn = true;
    }
    return KdiLinkTimeOut;
}

// Reads the rest of a data packet into Data; false: it is damaged.
static bool ReceiveBody(KdiLink *link, const KdPacketHeader *header)
{
    uint8_t trailer;
    link->Size = 0;
    if (header->PacketType >= KdPacketTypeLimit || header->ByteCount > KD_MAXIMUM_DATA ||
        ReceiveBytes(link, link->Data, header->ByteCount, KdiWaitWithin) != KdiByteReceived ||
        ReceiveBytes(link, &trailer, sizeof trailer, KdiWaitWithin) != KdiByteReceived ||
        trailer != KD_TRAILER || Checksum(0, link->Data, header->ByteCount) != header->Checksum)
        return false;
    link->Size = header->ByteCount;
    return true;
}

// Both sides count from the start; then the host waits for the machine to stop, if it has not.
static void AnswerReset(KdiLink *link)
{
    link->HostPresent = link->BreakIn = true;
    link->SendId = link->ReceiveId = KD_INITIAL_ID;
    SendControl(link, KdPacketReset, 0);
}

// The packet that begins with leader; true: it is the one with which a host starts anew.
static bool ReceiveGreeting(KdiLink *link, uint32_t leader)
{
    KdPacketHeader header = {.PacketLeader = leader};
    bool whole = ReceiveBytes(link, (uint8_t *)&header + sizeof leader,
                              sizeof header - sizeof leader, KdiWaitGreeting) == KdiByteReceived;
    return whole && leader == KD_LEADER_CONTROL && header.PacketType == KdPacketReset &&
           header.ByteCount == 0;
}

static void SkipNoise(KdiLink *link)
{
    uint8_t byte;
    link->Run = link->Last = 0;
    for (int i = 0; i < NOISE_LIMIT; i++)
        if (link->Port->Receive(link->Context, &byte, KdiWaitListening) != KdiByteReceived)
            return;
}

bool KdiListen(KdiLink *link)
{
    enum { Most = 64 };
    uint32_t leader;
    uint8_t byte;
    bool asked = false;
    for (int i = 0; i < Most; i++) {
        if (link->Port->Receive(link->Context, &byte, KdiWaitListening) != KdiByteReceived)
            return asked;
        if (CountLeader(link, byte, &leader)) {
            if (!ReceiveGreeting(link, leader))
                break;
            AnswerReset(link);
            return true;
        }
        if (byte != KD_BREAK_IN && !IsLeaderByte(byte))
            break;
        asked = asked || byte == KD_BREAK_IN;
    }
    SkipNoise(link);
    return false;
}

static void CountSent(KdiLink *link)
{
    link->SendId = (link->SendId ^ 1) & ~KD_SYNC;
}

// One packet, or a time-out. wanted: the type of a data packet, or KdPacketAcknowledge for that of
// the packet sent last. *done tells that it came; otherwise the wait goes on.
static KdiLinkResult ReceiveOne(KdiLink *link, KdPacketType wanted, bool *done)
{
    KdPacketHeader header = {};
    KdiLinkResult result = ReceiveLeader(link, &header.PacketLeader);
    *done = true;
    if (result != KdiLinkPacket)
        return result;
    KdiByteResult rest = ReceiveBytes(link, (uint8_t *)&header + sizeof(uint32_t),
                                      sizeof header - sizeof(uint32_t), KdiWaitWithin);
    if (rest != KdiByteReceived)
        return rest == KdiByteGone ? KdiLinkGone : KdiLinkTimeOut;

    if (header.PacketLeader == KD_LEADER_CONTROL) {
        switch ((KdPacketType)header.PacketType) {
        case KdPacketReset:
            AnswerReset(link);
            return KdiLinkResend;
        case KdPacketResend:
            link->HostPresent = true;
            return KdiLinkResend;
        case KdPacketAcknowledge:
            *done = wanted == KdPacketAcknowledge && header.PacketId == (link->SendId & ~KD_SYNC);
            if (*done) {
                link->HostPresent = true;
                CountSent(link);
            }
            return KdiLinkPacket;
        default:
            *done = false;
            return KdiLinkPacket;
        }
    }

    if (!ReceiveBody(link, &header)) {
        SendControl(link, KdPacketResend, 0);
        *done = false;
        return KdiLinkPacket;
    }
    link->HostPresent = true;
    if (header.PacketId & KD_SYNC)
        link->ReceiveId = header.PacketId & ~KD_SYNC;
    bool repeated = (header.PacketId & ~KD_SYNC) != link->ReceiveId;
    if (wanted == KdPacketAcknowledge && !repeated) {
        // The host has gone on, so it has our packet: the acknowledgement was lost. Its own comes
        // again, when somebody is there to take it.
        CountSent(link);
        SendControl(link, KdPacketResend, 0);
        return KdiLinkPacket;
    }
    SendControl(link, KdPacketAcknowledge, header.PacketId & ~KD_SYNC);
    if (!repeated)
        link->ReceiveId ^= 1;
    *done = !repeated && header.PacketType == wanted;
    return KdiLinkPacket;
}

static KdiLinkResult Receive(KdiLink *link, KdPacketType wanted)
{
    for (int packets = 0; packets < PACKET_LIMIT; packets++) {
        bool done;
        KdiLinkResult result = ReceiveOne(link, wanted, &done);
        if (done)
            return result;
    }
    return KdiLinkTimeOut;
}

KdiLinkResult KdiReceivePacket(KdiLink *link, KdPacketType type)
{
    return Receive(link, type);
}

bool KdiSendPacket(KdiLink *link, KdPacketType type, const void *header, size_t headerSize,
                   const void *data, size_t dataSize, uint32_t tries)
{
    uint32_t again = 0; // tries that a host has asked for, which is there then
    for (uint32_t vain = 0; tries == 0 || vain < tries;) {
        Transmit(link, type, header, headerSize, data, dataSize);
        KdiLinkResult result = Receive(link, KdPacketAcknowledge);
        if (result == KdiLinkPacket)
            return true;
        if (result == KdiLinkGone)
            break;
        if (result == KdiLinkResend && again < PACKET_LIMIT)
            again++;
        else
            vain++;
    }
    link->HostPresent = false;
    link->SendId = KD_INITIAL_ID | KD_SYNC;
    link->ReceiveId = KD_INITIAL_ID;
    return false;
}
