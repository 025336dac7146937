// net.c - the synthetic network adapter: NVSP on VMBus, frames to any network backend of QEMU's
// (OpenVMM, vm/devices/net/netvsp/src/{lib,protocol,rx_bufs}.rs; Linux, drivers/net/hyperv). No
// pipe. What lies in the buffers is rndis.c's.
//
//     -netdev user,id=net -device hv-net,netdev=net
//
// Frames to the guest lie in sections of a receive buffer that the guest has given; a packet names
// the sections and the guest's completion of it gives them back. Frames from the guest lie in a
// section of a send buffer, in ranges of memory, or both. Control requests go the same two ways,
// each with a completion.
// SPDX-License-Identifier: MIT
#include "net.h"

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

bool NetSendControl(HvNet *net, const void *head, uint32_t headLength, const void *data,
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
    HostileData(&net->parent_obj.liar, bytes, length);
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
    uint8_t head[FrameOffset];
    uint32_t length = ReceiveSection, headLength = RndisDescribeFrame(size, head);
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
    HostileData(&net->parent_obj.liar, head, headLength);
    GpadlCopy(net->receive, section * ReceiveSection, head, headLength, true);
    GpadlCopy(net->receive, section * ReceiveSection + FrameOffset, (void *)frame, size, true);
    SendSections(net, RndisData, &number, 1, &length);
    return size;
}

// A frame to everybody, of a protocol that nobody knows.
static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    uint8_t frame[60] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1, 0x88, 0xB5};

    OnBackendFrame(qemu_get_queue(HV_NET(device)->nic), frame, sizeof(frame));
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
            RndisOnControl(net, channel, bytes, total);
        else
            good = message[1] == RndisData && net->initialised && RndisTransmit(net, bytes, total);
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
    RndisTellLink(qemu_get_nic_opaque(client));
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
    device->speak = Speak;
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
