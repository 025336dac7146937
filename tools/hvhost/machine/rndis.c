// rndis.c - the synthetic network adapter's requests and frames (MS-RNDIS; OpenVMM,
// vm/devices/net/netvsp/src/rndisprot.rs).
// SPDX-License-Identifier: MIT
#include "net.h"

enum {
    RndisPacket = 1,
    RndisInit = 2,
    RndisHalt = 3,
    RndisQuery = 4,
    RndisSet = 5,
    RndisReset = 6,
    RndisIndicate = 7,
    RndisKeepalive = 8,
    RndisOk = 0,
    RndisInvalidData = (int)0xC0010015,
    RndisMediaConnect = 0x4001000B,
    RndisMediaDisconnect = 0x4001000C,
    RndisOffloadConfig = 0x40020006,
};
#define RNDIS_COMPLETE 0x80000000u // answers carry the request's type with this bit
enum {
    OidSupportedList = 0x00010101,
    OidHardwareStatus = 0x00010102,
    OidMediaSupported = 0x00010103,
    OidMediaInUse = 0x00010104,
    OidFrameSize = 0x00010106,
    OidLinkSpeed = 0x00010107,
    OidVendorDescription = 0x0001010D,
    OidPacketFilter = 0x0001010E,
    OidTotalSize = 0x00010111,
    OidMediaConnect = 0x00010114,
    OidPhysicalMedium = 0x00010202,
    OidRss = 0x00010203,
    OidFriendlyName = 0x00020216,
    OidPermanentAddress = 0x01010101,
    OidCurrentAddress = 0x01010102,
    OidOffloadConfig = (int)0xFC01020B,
    OidOffloadParameters = (int)0xFC01020C,
    OidOffloadCapabilities = (int)0xFC01020D,
    OidEncapsulation = 0x0101010A,
};
// RNDIS packet message (MS-RNDIS, REMOTE_NDIS_PACKET_MSG). Offsets count from DataOffset.
typedef struct QEMU_PACKED RndisPacketMessage {
    uint32_t type, length, dataOffset, dataLength, oobOffset, oobLength, oobCount, ppiOffset,
        ppiLength, vc, reserved;
} RndisPacketMessage;
QEMU_BUILD_BUG_ON(sizeof(RndisPacketMessage) != 44);

typedef struct QEMU_PACKED RndisRequest {                       // query and set
    uint32_t type, length, id, oid, infoLength, infoOffset, vc; // the offset counts from id
} RndisRequest;

typedef struct QEMU_PACKED PacketInfo {
    uint32_t size, type, offset;
} PacketInfo;
enum { PpiChecksum = 0, PpiLso = 2, PpiVlan = 6 };

// ------------------------------------------------------------------------------------- to the
// guest

uint32_t RndisDescribeFrame(uint32_t frameSize, uint8_t *bytes)
{
    struct QEMU_PACKED {
        RndisPacketMessage message;
        PacketInfo info;
        uint32_t checksum;
    } head = {
        // The message fills its section; so says the real host.
        .message = {.type = RndisPacket,
                    .length = ReceiveSection,
                    .dataOffset = FrameOffset - 8,
                    .dataLength = frameSize,
                    .ppiOffset = sizeof(RndisPacketMessage) - 8,
                    .ppiLength = 16},
        .info = {.size = 16, .type = PpiChecksum, .offset = sizeof(PacketInfo)},
    };

    memcpy(bytes, &head, sizeof(head));
    return sizeof(head);
}

void RndisTellLink(HvNet *net)
{
    uint32_t message[7] = {RndisIndicate, sizeof(message),
                           net->nic->ncs[0].link_down ? RndisMediaDisconnect : RndisMediaConnect};

    if (net->initialised)
        NetSendControl(net, message, sizeof(message), NULL, 0);
}

// -------------------------------------------------------------------------------------------
// control

static uint32_t QueryValue(HvNet *net, uint32_t oid, uint8_t *data, uint32_t *length)
{
    static const char name[] = "Network Adapter";
    uint32_t value = 0;

    *length = sizeof(value);
    switch (oid) {
    case OidHardwareStatus:
    case OidMediaSupported:
    case OidMediaInUse:
    case OidPacketFilter:
        break;
    case OidFrameSize:
        value = Mtu - 14;
        break;
    case OidLinkSpeed:
        value = 10000000; // 1 Gbit/s, in 100 bit/s
        break;
    case OidTotalSize:
        value = Mtu;
        break;
    case OidMediaConnect:
        value = net->nic->ncs[0].link_down;
        break;
    case OidPhysicalMedium:
        value = 14; // 802.3
        break;
    case OidPermanentAddress:
    case OidCurrentAddress:
        *length = 6;
        memcpy(data, net->conf.macaddr.a, 6);
        return RndisOk;
    case OidFriendlyName:
        for (*length = 0; *length / 2 < sizeof(name) - 1; *length += 2)
            data[*length] = name[*length / 2];
        return RndisOk;
    default:
        *length = 0;
        return RndisNotSupported;
    }
    memcpy(data, &value, sizeof(value));
    return RndisOk;
}

// NDIS_OFFLOAD, revision 3: header and no offload at all. The guest's request says how much it
// takes.
static uint32_t QueryOffload(const uint8_t *info, uint32_t infoLength, uint8_t *data,
                             uint32_t *length)
{
    *length = 0;
    if (infoLength < 4)
        return RndisInvalidData;
    *length = MIN(infoLength, 512);
    memset(data, 0, *length);
    memcpy(data, info, 4);
    return RndisOk;
}

static void OnQuery(HvNet *net, const uint8_t *message, const RndisRequest *request)
{
    uint8_t data[512] = {0};
    uint32_t answer[6] = {RndisQuery | RNDIS_COMPLETE, 0, request->id, 0, 0, 16}, length;

    if (request->oid == (uint32_t)OidOffloadCapabilities ||
        request->oid == (uint32_t)OidOffloadConfig)
        answer[3] =
            QueryOffload(message + 8 + request->infoOffset, request->infoLength, data, &length);
    else
        answer[3] = QueryValue(net, request->oid, data, &length);
    answer[1] = sizeof(answer) + length;
    answer[4] = length;
    NetSendControl(net, answer, sizeof(answer), data, length);
}

static void OnSet(HvNet *net, const uint8_t *message, const RndisRequest *request)
{
    uint32_t answer[4] = {RndisSet | RNDIS_COMPLETE, sizeof(answer), request->id, RndisOk};

    if (request->oid == OidPacketFilter && request->infoLength >= 4)
        memcpy(&net->filter, message + 8 + request->infoOffset, 4);
    else if (request->oid != (uint32_t)OidOffloadParameters && request->oid != OidRss &&
             request->oid != OidCurrentAddress)
        answer[3] = RndisNotSupported;
    NetSendControl(net, answer, sizeof(answer), NULL, 0);
    if (net->filter != 0)
        qemu_flush_queued_packets(qemu_get_queue(net->nic));
}

static void OnInit(HvNet *net, VmbusChannel *channel, uint32_t id)
{
    // Version 1.0, connectionless, 802.3, 8 packets a message, aligned to 8.
    uint32_t answer[13] = {RndisInit | RNDIS_COMPLETE,
                           sizeof(answer),
                           id,
                           RndisOk,
                           1,
                           0,
                           1,
                           0,
                           8,
                           0xEFFFFFFF,
                           3,
                           0,
                           0};

    if (net->initialised) {
        RingDie(channel, "rndis-order", "a second RNDIS initialisation");
        return;
    }
    net->initialised = true;
    NetSendControl(net, answer, sizeof(answer), NULL, 0);
}

void RndisOnControl(HvNet *net, VmbusChannel *channel, const uint8_t *message, uint32_t length)
{
    RndisRequest request = {0};
    uint32_t answer[4] = {RndisKeepalive | RNDIS_COMPLETE, sizeof(answer), 0, RndisOk};

    memcpy(&request, message, MIN(length, sizeof(request)));
    if (!net->initialised && request.type != RndisInit) {
        RingDie(channel, "rndis-order", "RNDIS message %u before initialisation", request.type);
        return;
    }
    if ((request.type == RndisQuery || request.type == RndisSet) &&
        (length < sizeof(request) || request.infoLength > length - 8 ||
         request.infoOffset > length - 8 - request.infoLength)) {
        StrictViolation("rndis-request", "request %u with %u bytes at %u of %u", request.type,
                        request.infoLength, request.infoOffset, length);
        answer[0] = request.type | RNDIS_COMPLETE;
        answer[1] = request.type == RndisQuery ? 24 : 16;
        answer[2] = request.id;
        answer[3] = RndisInvalidData;
        NetSendControl(net, answer, sizeof(answer), "\0\0\0\0\0\0\0", answer[1] - 16);
        return;
    }
    switch (request.type) {
    case RndisInit:
        OnInit(net, channel, request.id);
        break;
    case RndisQuery:
        OnQuery(net, message, &request);
        break;
    case RndisSet:
        OnSet(net, message, &request);
        break;
    case RndisKeepalive:
        answer[2] = request.id;
        NetSendControl(net, answer, sizeof(answer), NULL, 0);
        break;
    case RndisHalt:
        net->filter = 0;
        break;
    default:
        RingDie(channel, "rndis-message", "RNDIS message 0x%x", request.type);
    }
}
// ----------------------------------------------------------------------------------- from the
// guest

static uint16_t Fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum;
}

static uint32_t Sum(const uint8_t *data, uint32_t length, uint32_t sum)
{
    for (uint32_t i = 0; i < length; i++)
        sum += (i & 1) != 0 ? data[i] : (uint32_t)data[i] << 8;
    return sum;
}

// Fills in the checksums that the guest left to the adapter
// (NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO): bit 0 IPv4, bit 1 IPv6, bit 2 TCP, bit 3 UDP, bit 4
// of the IP header, bits 16-25 where TCP or UDP is.
static bool FillChecksums(uint8_t *frame, uint32_t length, uint32_t wanted)
{
    uint32_t ip = 14, transport = wanted >> 16 & 0x3FF, field, sum;
    bool v6 = wanted & 2;

    if (length < ip + (v6 ? 40u : 20u))
        return false;
    if ((wanted & 0x10) != 0 && !v6) {
        uint32_t headerLength = (frame[ip] & 15) * 4;
        if (headerLength < 20 || length < ip + headerLength)
            return false;
        stw_be_p(frame + ip + 10, 0);
        stw_be_p(frame + ip + 10, Fold(Sum(frame + ip, headerLength, 0)));
    }
    if ((wanted & 0xC) == 0)
        return true;
    if (transport == 0)
        transport = ip + (v6 ? 40 : (frame[ip] & 15) * 4);
    field = transport + ((wanted & 4) != 0 ? 16 : 6);
    if (field + 2 > length)
        return false;
    sum = ((wanted & 4) != 0 ? 6 : 17) + (length - transport);
    sum = Sum(frame + ip + (v6 ? 8 : 12), v6 ? 32 : 8, sum);
    stw_be_p(frame + field, 0);
    stw_be_p(frame + field, Fold(Sum(frame + transport, length - transport, sum)));
    return true;
}

static bool HasChecksum(const uint8_t *message, const RndisPacketMessage *packet, uint32_t *wanted)
{
    uint32_t at = 8 + packet->ppiOffset, end = at + packet->ppiLength;

    while (packet->ppiLength != 0 && at + sizeof(PacketInfo) <= end) {
        PacketInfo info;
        memcpy(&info, message + at, sizeof(info));
        if (info.size < sizeof(info) || info.size > end - at)
            return false;
        if (info.type == PpiChecksum && info.offset <= info.size && info.size - info.offset >= 4) {
            memcpy(wanted, message + at + info.offset, 4);
            return true;
        }
        at += info.size;
    }
    return false;
}

// One RNDIS packet message of a transmission. False: the whole transmission fails.
static bool Transmit(HvNet *net, uint8_t *message, uint32_t length)
{
    RndisPacketMessage packet;
    uint32_t wanted = 0;
    uint8_t *frame;

    if (length < sizeof(packet))
        return false;
    memcpy(&packet, message, sizeof(packet));
    if (packet.type != RndisPacket || packet.dataLength == 0 || packet.oobOffset != 0 ||
        packet.oobLength != 0 || packet.oobCount != 0 || packet.vc != 0 ||
        packet.dataOffset > length - 8 || packet.dataLength > length - 8 - packet.dataOffset ||
        packet.ppiOffset > length - 8 || packet.ppiLength > length - 8 - packet.ppiOffset)
        return false;
    if (packet.dataLength < 14 || packet.dataLength > Mtu)
        StrictViolation("net-frame", "a frame of %u bytes", packet.dataLength);
    frame = message + 8 + packet.dataOffset;
    if (HasChecksum(message, &packet, &wanted) && !FillChecksums(frame, packet.dataLength, wanted))
        return false;
    net->framesOut++;
    qemu_send_packet(qemu_get_queue(net->nic), frame, packet.dataLength);
    return true;
}

bool RndisTransmit(HvNet *net, uint8_t *bytes, uint32_t total)
{
    uint32_t at = 0;

    while (total - at >= 8) {
        uint32_t length;
        memcpy(&length, bytes + at + 4, 4);
        if (length < 8 || length > total - at || !Transmit(net, bytes + at, length))
            return false;
        at += length;
    }
    return at != 0;
}
