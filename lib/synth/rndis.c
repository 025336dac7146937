// rndis.c - the synthetic network adapter: Remote NDIS (MS-RNDIS), the inner of its two protocols.
//
// Control messages ask for the adapter's properties, one at a time, and set what frames are wanted;
// data messages carry a frame each, with facts about it ("per-packet info") between header and
// frame. Offsets inside a message count from the field after its common header, or, in queries and
// their answers, from the request id, which is the same place.
// SPDX-License-Identifier: MIT
#include "wire.h"

enum {
    Packet = 1,
    Initialize = 2,
    Halt = 3,
    Query = 4,
    Set = 5,
    Indicate = 7,
    KeepAlive = 8,
    CommonSize = 8,
    MaximumTransfer = 0x4000, // that the driver takes
};
static constexpr uint32_t answerFlag = 0x80000000, mediaConnected = 0x4001000B,
                          mediaDisconnected = 0x4001000C;
enum : uint32_t {
    OidMaximumFrame = 0x00010106,
    OidLinkSpeed = 0x00010107,
    OidPacketFilter = 0x0001010E,
    OidMediaStatus = 0x00010114,
    OidAddress = 0x01010102,
    OidOffloadCapabilities = 0xFC01020D,
    OidOffloadParameters = 0xFC01020C,
};
enum { // MS-RNDIS, OID_GEN_CURRENT_PACKET_FILTER
    FilterDirected = 1,
    FilterMulticast = 2,
    FilterBroadcast = 8,
};

static uint8_t *Begin(SynRndis *rndis, uint32_t type, uint32_t size, SynMessage *message)
{
    *message = (SynMessage){.Size = size};
    SyniPut32(message->Bytes, type);
    SyniPut32(message->Bytes + 4, size);
    SyniPut32(message->Bytes + 8, ++rndis->Request);
    return message->Bytes + 12;
}

// Query and set: {OID, bytes of information, their offset, 0}, the information behind it.
static uint8_t *BeginInformation(SynRndis *rndis, uint32_t type, uint32_t oid, uint32_t bytes,
                                 SynMessage *message)
{
    uint8_t *at = Begin(rndis, type, 28 + bytes, message);
    SyniPut32(at, oid);
    SyniPut32(at + 4, bytes);
    SyniPut32(at + 8, bytes != 0 ? 20 : 0);
    return message->Bytes + 28;
}

// ---- offloads (NDIS_OFFLOAD and NDIS_OFFLOAD_PARAMETERS)

enum {
    OffloadType = 0xA7,
    OffloadRevision = 3,
    OffloadSize = 192,
    ParametersType = 0x80,
    ParametersRevision = 3,
    ParametersSize = 28,
    ParametersOldSize = 22, // before NVSP 5
    // A word each, behind the object header: IPv4 sent, its encapsulation, IPv4 received, ..., and
    // the same for IPv6.
    Ipv4Transmit = 4,
    Ipv4Receive = 12,
    Ipv6Transmit = 20,
    Ipv6Receive = 28,
    CapabilitiesSize = 36,
    CapTcp = 0x10,
    CapUdp = 0x40,
    CapIpHeader = 0x100,
};

static void AskOffloads(SynRndis *rndis, SynMessage *request)
{
    uint8_t *at = BeginInformation(rndis, Query, OidOffloadCapabilities, OffloadSize, request);
    at[0] = OffloadType;
    at[1] = OffloadRevision;
    SyniPut16(at + 2, OffloadSize);
}

static void TakeOffloads(SynRndis *rndis, const uint8_t *info, size_t size)
{
    if (size < CapabilitiesSize)
        return;
    uint32_t send4 = SyniGet32(info + Ipv4Transmit), receive4 = SyniGet32(info + Ipv4Receive),
             send6 = SyniGet32(info + Ipv6Transmit), receive6 = SyniGet32(info + Ipv6Receive);
    rndis->Checksums =
        (send4 & CapIpHeader ? SynChecksumIpHeader : 0) | (send4 & CapTcp ? SynChecksumTcp4 : 0) |
        (send4 & CapUdp ? SynChecksumUdp4 : 0) | (send6 & CapTcp ? SynChecksumTcp6 : 0) |
        (send6 & CapUdp ? SynChecksumUdp6 : 0);
    rndis->ReceiveChecksums =
        (receive4 & CapIpHeader ? SynChecksumIpHeader : 0) |
        (receive4 & CapTcp ? SynChecksumTcp4 : 0) | (receive4 & CapUdp ? SynChecksumUdp4 : 0) |
        (receive6 & CapTcp ? SynChecksumTcp6 : 0) | (receive6 & CapUdp ? SynChecksumUdp6 : 0);
}

static void SetOffloads(SynRndis *rndis, SynMessage *request)
{
    enum { Disabled = 1, Send = 2, Receive = 3, Both = 4 };
    static constexpr uint8_t checksums[] = {SynChecksumIpHeader, SynChecksumTcp4, SynChecksumUdp4,
                                            SynChecksumTcp6, SynChecksumUdp6};
    uint32_t size = rndis->LongParameters ? ParametersSize : ParametersOldSize;
    uint8_t *at = BeginInformation(rndis, Set, OidOffloadParameters, size, request);
    at[0] = ParametersType;
    at[1] = ParametersRevision;
    SyniPut16(at + 2, (uint16_t)size);
    for (size_t i = 0; i < RTL_COUNT_OF(checksums); i++) {
        bool sends = rndis->Checksums & checksums[i],
             receives = rndis->ReceiveChecksums & checksums[i];
        at[4 + i] = sends && receives ? Both : sends ? Send : receives ? Receive : Disabled;
    }
    at[9] = at[11] = at[12] = Disabled; // large sends
    if (rndis->LongParameters)
        at[22] = at[23] = Disabled; // coalescing of what is received (RSC)
}

// ---- the row of questions

static void TakeAddress(SynRndis *rndis, const uint8_t *info, size_t size)
{
    if (size >= sizeof(rndis->Address))
        memcpy(rndis->Address, info, sizeof(rndis->Address));
}
static void TakeMaximumFrame(SynRndis *rndis, const uint8_t *info, size_t size)
{
    if (size >= 4)
        rndis->MaximumFrame = RTL_MIN(SyniGet32(info), SYN_FRAME_SIZE - 14);
}
static void TakeLinkSpeed(SynRndis *rndis, const uint8_t *info, size_t size)
{
    if (size >= 4)
        rndis->LinkSpeed = SyniGet32(info) * 100ull;
}
static void TakeMediaStatus(SynRndis *rndis, const uint8_t *info, size_t size)
{
    if (size >= 4)
        rndis->LinkUp = SyniGet32(info) == 0;
}

typedef struct Question {
    uint32_t Oid;
    void (*Take)(SynRndis *rndis, const uint8_t *info, size_t size);
    bool Required;
} Question;
static const Question questions[] = {
    {OidAddress, TakeAddress, true},
    {OidMaximumFrame, TakeMaximumFrame, true},
    {OidLinkSpeed, TakeLinkSpeed, false},
    {OidMediaStatus, TakeMediaStatus, true},
    {OidOffloadCapabilities, TakeOffloads, false},
};

static void Ask(SynRndis *rndis, SynMessage *request)
{
    if (questions[rndis->Question].Oid == OidOffloadCapabilities)
        AskOffloads(rndis, request);
    else
        (void)BeginInformation(rndis, Query, questions[rndis->Question].Oid, 0, request);
}

static void SetFilter(SynRndis *rndis, SynMessage *request)
{
    rndis->State = SynRndisFiltering;
    SyniPut32(BeginInformation(rndis, Set, OidPacketFilter, 4, request),
              FilterDirected | FilterMulticast | FilterBroadcast);
}

void SynStartRndis(SynRndis *rndis, bool longParameters, SynMessage *request)
{
    *rndis = (SynRndis){.LongParameters = longParameters};
    uint8_t *at = Begin(rndis, Initialize, 24, request);
    SyniPut32(at, 1); // version 1.0
    SyniPut32(at + 8, MaximumTransfer);
}

static SynVerdict TakeInitialized(SynRndis *rndis, const uint8_t *bytes, size_t size,
                                  SynMessage *request)
{
    if (rndis->State != SynRndisInitializing || size < 44)
        return SynBroken;
    if (SyniGet32(bytes + 12) != 0)
        return SynRefused;
    rndis->State = SynRndisAsking;
    Ask(rndis, request);
    return SynNothing;
}

// {id, status, bytes, offset from the id}
static SynVerdict TakeAnswer(SynRndis *rndis, const uint8_t *bytes, size_t size,
                             SynMessage *request)
{
    if (rndis->State != SynRndisAsking || size < 24)
        return SynBroken;
    const Question *question = &questions[rndis->Question];
    uint32_t status = SyniGet32(bytes + 12), length = SyniGet32(bytes + 16),
             offset = SyniGet32(bytes + 20);
    if (status == 0) {
        if (offset > size - CommonSize || length > size - CommonSize - offset)
            return SynBroken;
        question->Take(rndis, bytes + CommonSize + offset, length);
    } else if (question->Required) {
        return SynRefused;
    }
    if (rndis->Question + 1 < RTL_COUNT_OF(questions)) {
        rndis->Question++;
        Ask(rndis, request);
        return SynNothing;
    }
    if (rndis->MaximumFrame == 0)
        return SynRefused;
    if ((rndis->Checksums | rndis->ReceiveChecksums) != 0) {
        rndis->State = SynRndisOffloading;
        SetOffloads(rndis, request);
    } else {
        SetFilter(rndis, request);
    }
    return SynNothing;
}

static SynVerdict TakeSet(SynRndis *rndis, const uint8_t *bytes, size_t size, SynMessage *request)
{
    if (size < 16)
        return SynBroken;
    bool good = SyniGet32(bytes + 12) == 0;
    if (rndis->State == SynRndisOffloading) {
        if (!good)
            rndis->Checksums = rndis->ReceiveChecksums = 0;
        SetFilter(rndis, request);
        return SynNothing;
    }
    if (rndis->State != SynRndisFiltering)
        return SynBroken;
    if (!good)
        return SynRefused;
    rndis->State = SynRndisRunning;
    return SynReady;
}

static SynVerdict TakeIndication(SynRndis *rndis, const uint8_t *bytes, size_t size)
{
    if (size < 20)
        return SynBroken;
    uint32_t status = SyniGet32(bytes + 8);
    if (status != mediaConnected && status != mediaDisconnected)
        return SynNothing;
    rndis->LinkUp = status == mediaConnected;
    return SynEvent;
}

static SynVerdict AnswerKeepAlive(const uint8_t *bytes, size_t size, SynMessage *request)
{
    if (size < 12)
        return SynBroken;
    *request = (SynMessage){.Size = 16};
    SyniPut32(request->Bytes, KeepAlive | answerFlag);
    SyniPut32(request->Bytes + 4, 16);
    SyniPut32(request->Bytes + 8, SyniGet32(bytes + 8));
    return SynNothing;
}

SynVerdict SynReceiveRndis(SynRndis *rndis, const void *message, size_t size, SynMessage *request)
{
    const uint8_t *bytes = message;
    request->Size = 0;
    if (size < 12 || SyniGet32(bytes + 4) < 12)
        return SynBroken;
    size = RTL_MIN(size, SyniGet32(bytes + 4));
    uint32_t type = SyniGet32(bytes);
    if (type == Indicate)
        return TakeIndication(rndis, bytes, size);
    if (type == KeepAlive)
        return AnswerKeepAlive(bytes, size, request);
    if (SyniGet32(bytes + 8) != rndis->Request)
        return SynNothing; // an answer that nobody waits for any more
    switch (type) {
    case Initialize | answerFlag:
        return TakeInitialized(rndis, bytes, size, request);
    case Query | answerFlag:
        return TakeAnswer(rndis, bytes, size, request);
    case Set | answerFlag:
        return TakeSet(rndis, bytes, size, request);
    default:
        return SynNothing;
    }
}

void SynBuildRndisHalt(SynRndis *rndis, SynMessage *request)
{
    (void)Begin(rndis, Halt, 12, request);
}

// ---- frames

enum {
    PacketHeaderSize = 44,
    InfoHeaderSize = 12, // {size, type, offset}
    ChecksumInfo = 0,
    ChecksumInfoSize = InfoHeaderSize + 4,
};
static constexpr uint32_t internalInfo = 1u << 31; // not for the driver
enum {                                             // checksum info of a frame sent
    SendIsIpv4 = 1,
    SendIsIpv6 = 2,
    SendTcp = 4,
    SendUdp = 8,
    SendIpHeader = 16,
    SendTransportShift = 16,
    // and of one received
    TcpFailed = 1,
    UdpFailed = 2,
    IpFailed = 4,
    TcpGood = 8,
    UdpGood = 16,
    IpGood = 32,
};
static_assert(SYN_FRAME_HEADER_SIZE == PacketHeaderSize + ChecksumInfoSize);

static void TakeChecksums(SynFrame *frame, uint32_t value)
{
    frame->IpGood = value & IpGood;
    frame->IpBad = value & IpFailed;
    frame->TransportGood = value & (TcpGood | UdpGood);
    frame->TransportBad = value & (TcpFailed | UdpFailed);
}

// The facts in size bytes; what is wrong among them is left out.
static void ReadInfo(SynFrame *frame, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; size - at >= InfoHeaderSize;) {
        uint32_t length = SyniGet32(bytes + at), type = SyniGet32(bytes + at + 4),
                 offset = SyniGet32(bytes + at + 8);
        if (length < InfoHeaderSize || length > size - at || offset > length)
            return;
        if ((type & ~internalInfo) == ChecksumInfo && !(type & internalInfo) &&
            length - offset >= 4)
            TakeChecksums(frame, SyniGet32(bytes + at + offset));
        at += length;
    }
}

bool SynReadFrame(const void *message, size_t size, SynFrame *frame)
{
    const uint8_t *bytes = message;
    if (size < PacketHeaderSize || SyniGet32(bytes) != Packet)
        return false;
    uint32_t length = SyniGet32(bytes + 4), offset = SyniGet32(bytes + 8),
             data = SyniGet32(bytes + 12), info = SyniGet32(bytes + 28),
             infoSize = SyniGet32(bytes + 32);
    if (length < PacketHeaderSize || length > size)
        return false;
    uint32_t room = length - CommonSize;
    if (offset < PacketHeaderSize - CommonSize || offset > room || data > room - offset ||
        data < SYN_MINIMUM_FRAME || data > SYN_MAXIMUM_FRAME)
        return false;
    *frame = (SynFrame){.Offset = CommonSize + offset, .Size = data};
    if (infoSize != 0 && info >= PacketHeaderSize - CommonSize && info <= room &&
        infoSize <= room - info)
        ReadInfo(frame, bytes + CommonSize + info, infoSize);
    return true;
}

static uint32_t SendChecksums(uint32_t checksums)
{
    bool four = checksums & (SynChecksumIpHeader | SynChecksumTcp4 | SynChecksumUdp4);
    return (four ? SendIsIpv4 : SendIsIpv6) |
           (checksums & (SynChecksumTcp4 | SynChecksumTcp6) ? SendTcp : 0) |
           (checksums & (SynChecksumUdp4 | SynChecksumUdp6) ? SendUdp : 0) |
           (checksums & SynChecksumIpHeader ? SendIpHeader : 0);
}

uint32_t SynBuildFrameHeader(uint32_t size, uint32_t checksums, uint32_t transportOffset,
                             uint8_t header[SYN_FRAME_HEADER_SIZE])
{
    uint32_t length = PacketHeaderSize + (checksums != 0 ? ChecksumInfoSize : 0);
    memset(header, 0, SYN_FRAME_HEADER_SIZE);
    SyniPut32(header, Packet);
    SyniPut32(header + 4, length + size);
    SyniPut32(header + 8, length - CommonSize);
    SyniPut32(header + 12, size);
    if (checksums != 0) {
        uint8_t *info = header + PacketHeaderSize;
        SyniPut32(header + 28, PacketHeaderSize - CommonSize);
        SyniPut32(header + 32, ChecksumInfoSize);
        SyniPut32(info, ChecksumInfoSize);
        SyniPut32(info + 4, ChecksumInfo);
        SyniPut32(info + 8, InfoHeaderSize);
        SyniPut32(info + 12, SendChecksums(checksums) | (transportOffset & 0x3FF)
                                                            << SendTransportShift);
    }
    return length;
}
