// net.c - the synthetic network adapter: NVSP on VMBus, RNDIS in NVSP, frames to any network
// backend of QEMU's (OpenVMM, vm/devices/net/netvsp/src/{lib,protocol,rndisprot,rx_bufs}.rs; Linux,
// drivers/net/hyperv). No pipe.
//
//     -netdev user,id=net -device hv-net,netdev=net
//
// Frames to the guest lie in sections of a receive buffer that the guest has given; a packet names
// the sections and the guest's completion of it gives them back. Frames from the guest lie in a
// section of a send buffer, in ranges of memory, or both. Control requests go the same two ways,
// each with a completion.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "net/eth.h"
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

enum {
    NvspInit = 1,
    NvspInitComplete = 2,
    NvspNdisVersion = 100,
    NvspReceiveBuffer = 101,
    NvspReceiveBufferComplete = 102,
    NvspRevokeReceive = 103,
    NvspSendBuffer = 104,
    NvspSendBufferComplete = 105,
    NvspRevokeSend = 106,
    NvspRndis = 107,
    NvspRndisComplete = 108,
    NvspNdisConfig = 125,
    NvspSwitchDataPath = 129,
    NvspOidQuery = 131,
    NvspOidQueryComplete = 132,
    NvspSubChannel = 133,
    NvspIndirection = 134,
    NvspSuccess = 1,
    NvspFailure = 2,
    NvspBytes = 40,
    RndisData = 0, // channels of NvspRndis
    RndisControl = 1,
};

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
    RndisNotSupported = (int)0xC00000BB,
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

static bool CanReceive(HvNet *net)
{
    VmbusChannel *channel = net->parent_obj.channel;

    return channel && channel->open && !channel->dead && !net->stopped && net->receive;
}

static int TakeSection(HvNet *net, bool control)
{
    if (net->sectionsFree == 0 || (!control && net->sectionsFree <= ControlSections))
        return NoSection;
    for (uint32_t i = 0; i < net->sections; i++) {
        if (!net->busy[i]) {
            net->busy[i] = 1;
            net->sectionsFree--;
            return i;
        }
    }
    return NoSection;
}

// Hands sections to the guest. Each transfer's number is that of its first section.
static void SendSections(HvNet *net, uint32_t kind, const uint16_t *sections, unsigned count,
                         const uint32_t *lengths)
{
    Transfer *transfer = &net->transfers[sections[0]];
    uint32_t message[NvspBytes / 4] = {NvspRndis, kind, UINT32_MAX, 0};
    struct QEMU_PACKED {
        uint16_t id, reserved;
        uint32_t count;
        struct {
            uint32_t bytes, offset;
        } range[BatchMax];
    } transferPages = {net->receiveId, 0, count, {{0}}};

    transfer->used = true;
    transfer->count = count;
    for (unsigned i = 0; i < count; i++) {
        transfer->section[i] = sections[i];
        transferPages.range[i].bytes = lengths[i];
        transferPages.range[i].offset = sections[i] * ReceiveSection;
    }
    VmbusSend(net->parent_obj.channel, PacketTransferPages, PacketWantsCompletion,
              TidBase + sections[0], &transferPages, 8 + count * 8, message, sizeof(message));
}

static bool SendControl(HvNet *net, const void *head, uint32_t headLength, const void *data,
                        uint32_t dataLength)
{
    uint32_t length = headLength + dataLength;
    int section = CanReceive(net) && length <= ReceiveSection ? TakeSection(net, true) : NoSection;
    uint16_t number = section;
    uint8_t bytes[ReceiveSection];

    if (section == NoSection)
        return false;
    memcpy(bytes, head, headLength);
    if (dataLength != 0)
        memcpy(bytes + headLength, data, dataLength);
    HostileMaySpoil(&net->parent_obj.liar, bytes, length);
    GpadlCopy(net->receive, section * ReceiveSection, bytes, length, true);
    SendSections(net, RndisControl, &number, 1, &length);
    return true;
}

static bool BackendMaySend(NetClientState *client)
{
    HvNet *net = qemu_get_nic_opaque(client);

    return CanReceive(net) && net->filter != 0 && net->sectionsFree > ControlSections;
}

static ssize_t OnBackendFrame(NetClientState *client, const uint8_t *frame, size_t size)
{
    HvNet *net = qemu_get_nic_opaque(client);
    struct QEMU_PACKED {
        RndisPacketMessage message;
        PacketInfo info;
        uint32_t checksum;
    } head = {
        // The message fills its section; so says the real host.
        .message = {.type = RndisPacket,
                    .length = ReceiveSection,
                    .dataOffset = FrameOffset - 8,
                    .dataLength = size,
                    .ppiOffset = sizeof(RndisPacketMessage) - 8,
                    .ppiLength = 16},
        .info = {.size = 16, .type = PpiChecksum, .offset = sizeof(PacketInfo)},
    };
    uint32_t length = ReceiveSection;
    uint16_t number;
    int section;

    if (!CanReceive(net) || net->filter == 0)
        return -1;
    if (size > Mtu) {
        net->framesDropped++;
        return size;
    }
    section = TakeSection(net, false);
    if (section == NoSection)
        return 0; // asked again when a section comes back
    number = section;
    net->framesIn++;
    HostileMaySpoil(&net->parent_obj.liar, (uint8_t *)&head, sizeof(head));
    GpadlCopy(net->receive, section * ReceiveSection, &head, sizeof(head), true);
    GpadlCopy(net->receive, section * ReceiveSection + FrameOffset, (void *)frame, size, true);
    SendSections(net, RndisData, &number, 1, &length);
    return size;
}

// The guest gives the sections of a transfer back: exactly once, with "success".
static void OnCompletion(HvNet *net, VmbusChannel *channel, VmbusPacket *packet)
{
    uint64_t number = packet->tid - TidBase;
    uint32_t answer[2] = {0};
    Transfer *transfer = number < net->sections ? &net->transfers[number] : NULL;

    if (packet->length >= sizeof(answer))
        memcpy(answer, packet->data, sizeof(answer));
    if (!transfer || !transfer->used ||
        ((answer[0] != NvspRndisComplete || answer[1] != NvspSuccess) && !net->anyCompletion)) {
        if (net->parent_obj.liar.seed != 0)
            return; // of a lie
        RingDie(channel, "net-completion", "completion of transfer 0x%" PRIx64 ": message %u, %u",
                packet->tid, answer[0], answer[1]);
        return;
    }
    transfer->used = false;
    for (unsigned i = 0; i < transfer->count; i++)
        net->busy[transfer->section[i]] = 0;
    net->sectionsFree += transfer->count;
    qemu_flush_queued_packets(qemu_get_queue(net->nic));
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
    SendControl(net, answer, sizeof(answer), data, length);
}

static void OnSet(HvNet *net, const uint8_t *message, const RndisRequest *request)
{
    uint32_t answer[4] = {RndisSet | RNDIS_COMPLETE, sizeof(answer), request->id, RndisOk};

    if (request->oid == OidPacketFilter && request->infoLength >= 4)
        memcpy(&net->filter, message + 8 + request->infoOffset, 4);
    else if (request->oid != (uint32_t)OidOffloadParameters && request->oid != OidRss &&
             request->oid != OidCurrentAddress)
        answer[3] = RndisNotSupported;
    SendControl(net, answer, sizeof(answer), NULL, 0);
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
    SendControl(net, answer, sizeof(answer), NULL, 0);
}

static void OnControl(HvNet *net, VmbusChannel *channel, const uint8_t *message, uint32_t length)
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
        SendControl(net, answer, sizeof(answer), "\0\0\0\0\0\0\0", answer[1] - 16);
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
        SendControl(net, answer, sizeof(answer), NULL, 0);
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

// The messages of a transmission, one behind the other.
static bool TransmitAll(HvNet *net, uint8_t *bytes, uint32_t total)
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

static void OnRndis(HvNet *net, VmbusChannel *channel, VmbusPacket *packet, const uint32_t *message)
{
    uint32_t answer[NvspBytes / 4] = {NvspRndisComplete, NvspSuccess};
    uint32_t section = message[2], inSection = section == UINT32_MAX ? 0 : message[3];
    uint32_t total = inSection + packet->segmentBytes;
    g_autofree uint8_t *bytes = NULL;
    bool good = inSection <= SendSection && total >= 8;

    if ((packet->flags & PacketWantsCompletion) == 0) {
        RingDie(channel, "net-packet", "an RNDIS message that wants no completion");
        return;
    }
    if (section != UINT32_MAX && (!net->send || section >= net->send->bytes / SendSection))
        good = false;
    if (good) {
        bytes = g_malloc0(total);
        if (inSection != 0)
            GpadlCopy(net->send, section * SendSection, bytes, inSection, false);
        SegmentsRead(packet->segments, packet->segmentCount, 0, bytes + inSection,
                     packet->segmentBytes);
        if (message[1] == RndisControl && channel->subIndex == 0)
            OnControl(net, channel, bytes, total);
        else
            good = message[1] == RndisData && net->initialised && TransmitAll(net, bytes, total);
    }
    if (!good) {
        StrictViolation("net-send", "a message on RNDIS channel %u, section %u, %u bytes",
                        message[1], section, total);
        answer[1] = NvspFailure;
    }
    VmbusComplete(channel, packet, answer, sizeof(answer));
}

// --------------------------------------------------------------------------------------------
// set-up

static void OnNvspInit(HvNet *net, VmbusChannel *channel, VmbusPacket *packet,
                       const uint32_t *message)
{
    static const uint32_t known[] = {0x2, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001};
    uint32_t answer[NvspBytes / 4] = {NvspInitComplete, UINT32_MAX, 34, 0};

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i] == message[1] && message[1] == message[2] && known[i] <= net->maxVersion) {
            net->version = message[1];
            answer[1] = message[1] == 0x2 ? 2 : UINT32_MAX;
            answer[3] = NvspSuccess;
        }
    }
    HvTrace("net: NVSP 0x%x: %s", message[1], answer[3] != 0 ? "accepted" : "refused");
    VmbusComplete(channel, packet, answer, sizeof(answer));
}

static void OnReceiveBuffer(HvNet *net, VmbusChannel *channel, VmbusPacket *packet,
                            const uint32_t *message)
{
    VmbusGpadl *gpadl = GpadlFind(channel, message[1]);
    uint32_t answer[NvspBytes / 4] = {NvspReceiveBufferComplete, NvspSuccess, 1, 0};

    if (net->receive || !gpadl || gpadl->bytes < ReceiveSection) {
        RingDie(channel, "net-buffer", "receive buffer with list 0x%x", message[1]);
        return;
    }
    GpadlUse(gpadl);
    net->receive = gpadl;
    net->receiveId = message[2] & 0xFFFF;
    net->sections = net->sectionsFree = MIN(gpadl->bytes / ReceiveSection, SectionsMax);
    net->busy = g_new0(uint8_t, net->sections);
    net->transfers = g_new0(Transfer, net->sections);
    answer[4] = ReceiveSection;
    answer[5] = net->sections;
    answer[6] = net->sections * ReceiveSection;
    VmbusComplete(channel, packet, answer, sizeof(answer));
}

static void OnSendBuffer(HvNet *net, VmbusChannel *channel, VmbusPacket *packet,
                         const uint32_t *message)
{
    VmbusGpadl *gpadl = GpadlFind(channel, message[1]);
    uint32_t answer[NvspBytes / 4] = {NvspSendBufferComplete, NvspSuccess, SendSection};

    if (net->send || !gpadl || gpadl->bytes < SendSection) {
        RingDie(channel, "net-buffer", "send buffer with list 0x%x", message[1]);
        return;
    }
    GpadlUse(gpadl);
    net->send = gpadl;
    VmbusComplete(channel, packet, answer, sizeof(answer));
}

static void OnSubChannels(HvNet *net, VmbusChannel *channel, VmbusPacket *packet,
                          const uint32_t *message)
{
    bool granted = message[1] == 1 && message[2] != 0 && message[2] <= net->subChannels;
    uint32_t answer[NvspBytes / 4] = {NvspSubChannel, granted ? NvspSuccess : NvspFailure,
                                      granted ? message[2] : 0};

    VmbusComplete(channel, packet, answer, sizeof(answer));
    if (granted)
        ChannelAddSubs(channel, message[2]);
}

// The one order in which set-up goes.
static bool InOrder(const HvNet *net, uint32_t type)
{
    switch (type) {
    case NvspInit:
        return net->version == 0;
    case NvspNdisConfig:
        return net->version >= 0x30002 && !net->configured && !net->receive;
    case NvspNdisVersion:
        return net->version != 0 && !net->ndisKnown;
    case NvspReceiveBuffer:
        return net->version != 0 && net->ndisKnown;
    case NvspSendBuffer:
        return net->version != 0;
    default:
        return net->receive != NULL;
    }
}

static void OnMessage(HvNet *net, VmbusChannel *channel, VmbusPacket *packet,
                      const uint32_t *message)
{
    static const uint32_t notSupported[NvspBytes / 4] = {NvspOidQueryComplete,
                                                         (uint32_t)RndisNotSupported};

    switch (message[0]) {
    case NvspInit:
        OnNvspInit(net, channel, packet, message);
        break;
    case NvspNdisConfig:
        net->configured = true;
        VmbusComplete(channel, packet, NULL, 0);
        break;
    case NvspNdisVersion:
        net->ndisKnown = true;
        VmbusComplete(channel, packet, NULL, 0);
        break;
    case NvspReceiveBuffer:
        OnReceiveBuffer(net, channel, packet, message);
        break;
    case NvspSendBuffer:
        OnSendBuffer(net, channel, packet, message);
        break;
    case NvspRevokeReceive: // no answer; the adapter stops for good
    case NvspRevokeSend:
        net->stopped = true;
        break;
    case NvspRndis:
        OnRndis(net, channel, packet, message);
        break;
    case NvspSubChannel:
        OnSubChannels(net, channel, packet, message);
        break;
    case NvspSwitchDataPath:
        VmbusComplete(channel, packet, NULL, 0);
        break;
    case NvspOidQuery:
        VmbusComplete(channel, packet, notSupported, sizeof(notSupported));
        break;
    default:
        RingDie(channel, "net-message", "NVSP message %u", message[0]);
    }
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    HvNet *net = HV_NET(device);
    uint32_t message[NvspBytes / 4] = {0};

    if (packet->type == PacketCompletion) {
        if (packet->tid >= TidBase)
            OnCompletion(net, channel, packet);
        return;
    }
    if (packet->length < 8) {
        RingDie(channel, "net-packet", "a message of %u bytes", packet->length);
        return;
    }
    memcpy(message, packet->data, MIN(packet->length, sizeof(message)));
    if (!InOrder(net, message[0]))
        RingDie(channel, "net-order", "NVSP message %u", message[0]);
    else
        OnMessage(net, channel, packet, message);
}

static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    HvNet *net = HV_NET(device);

    if (channel->subIndex != 0)
        return;
    HvTrace("net: %" PRIu64 " frames to the guest, %" PRIu64 " from it", net->framesIn,
            net->framesOut);
    // Nobody can after a rescind, and an unload takes everything back.
    if (net->receive && !net->stopped && device->present && channel->bus->offersRequested)
        StrictViolation("net-revoke", "close without taking the buffers back first");
    if (net->receive)
        GpadlUnuse(channel->bus, net->receive);
    if (net->send)
        GpadlUnuse(channel->bus, net->send);
    g_free(net->busy);
    g_free(net->transfers);
    net->receive = net->send = NULL;
    net->busy = NULL;
    net->transfers = NULL;
    net->sections = net->sectionsFree = net->version = net->filter = 0;
    net->configured = net->ndisKnown = net->initialised = net->stopped = false;
}

static void LinkChanged(NetClientState *client)
{
    HvNet *net = qemu_get_nic_opaque(client);
    uint32_t message[7] = {RndisIndicate, sizeof(message),
                           client->link_down ? RndisMediaDisconnect : RndisMediaConnect};

    if (net->initialised)
        SendControl(net, message, sizeof(message), NULL, 0);
}

static NetClientInfo ClientInfo = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .can_receive = BackendMaySend,
    .receive = OnBackendFrame,
    .link_status_changed = LinkChanged,
};

static void Realize(VmbusDevice *device, Error **errp)
{
    HvNet *net = HV_NET(device);

    qemu_macaddr_default_if_unset(&net->conf.macaddr);
    net->nic = qemu_new_nic(&ClientInfo, &net->conf, object_get_typename(OBJECT(device)),
                            DEVICE(device)->id, &DEVICE(device)->mem_reentrancy_guard, net);
    qemu_format_nic_info_str(qemu_get_queue(net->nic), net->conf.macaddr.a);
}

static void Unrealize(VmbusDevice *device)
{
    qemu_del_nic(HV_NET(device)->nic);
}

static void InitInstance(Object *object)
{
    HvNet *net = HV_NET(object);

    object_property_add_uint64_ptr(object, "frames-in", &net->framesIn, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "frames-out", &net->framesOut, OBJ_PROP_FLAG_READ);
}

static Property Properties[] = {
    DEFINE_NIC_PROPERTIES(HvNet, conf),
    DEFINE_PROP_UINT32("max-version", HvNet, maxVersion, 0x60001),
    DEFINE_PROP_UINT16("sub-channels", HvNet, subChannels, 0),
    DEFINE_PROP_BOOL("any-completion", HvNet, anyCompletion, false),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);

    device->type = "f8615163-df3e-46c5-913f-f2d2f965ed0e";
    device->instance = "4487b255-b88c-403f-bb51-d1f69cf17f87";
    device->monitored = true;
    device->realize = Realize;
    device->unrealize = Unrealize;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device_class_set_props(DEVICE_CLASS(class), Properties);
    set_bit(DEVICE_CATEGORY_NETWORK, DEVICE_CLASS(class)->categories);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_NET,
        .parent = TYPE_VMBUS_DEVICE,
        .instance_size = sizeof(HvNet),
        .instance_init = InitInstance,
        .class_init = InitClass,
    },
};

DEFINE_TYPES(Types)
