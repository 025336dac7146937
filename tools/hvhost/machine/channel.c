// channel.c - the life of a channel: offered, opened, closed, its interrupt moved, rescinded
// (OpenVMM, vm/devices/vmbus/vmbus_server/src/channels.rs).
//
// A close has no answer; what the guest sees of it is that its memory can be torn down. It waits
// for the requests that are in flight. A rescinded channel keeps its relid until the guest releases
// it, and an instance is not offered again before that.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

VmbusChannel *ChannelFind(VmbusBus *bus, uint32_t relid)
{
    VmbusChannel *channel;

    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        if (relid != 0 && channel->relid == relid)
            return channel;
    }
    return NULL;
}

VmbusChannel *ChannelNew(VmbusBus *bus, VmbusDevice *device, uint16_t subIndex)
{
    VmbusChannel *channel = g_new0(VmbusChannel, 1);

    channel->bus = bus;
    channel->device = device;
    channel->subIndex = subIndex;
    if (device) {
        VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(device);
        QemuUUID type;
        qemu_uuid_parse(class->type, &type);
        channel->type = qemu_uuid_bswap(type);
        channel->instance = qemu_uuid_bswap(device->instance);
        channel->flags = class->flags | (class->pipe ? OfferPipe : 0);
        channel->mmioMegabytes = class->mmioMegabytes;
        channel->monitored = class->monitored;
        channel->pipe = class->pipe;
    }
    channel->bottomHalf = qemu_bh_new(RingWork, channel);
    QSIMPLEQ_INIT(&channel->outgoing);
    QTAILQ_INSERT_TAIL(&bus->channels, channel, next);
    return channel;
}

void ChannelFree(VmbusChannel *channel)
{
    qemu_bh_delete(channel->bottomHalf);
    QTAILQ_REMOVE(&channel->bus->channels, channel, next);
    g_free(channel);
}

void ChannelAddSubs(VmbusChannel *primary, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        VmbusOffer(primary->bus, ChannelNew(primary->bus, primary->device, i));
}

// ------------------------------------------------------------------------------------------
// opening

static bool StartRings(VmbusChannel *channel, const OpenMessage *message)
{
    VmbusGpadl *gpadl = GpadlFind(channel, message->gpadl);

    if (!gpadl || (message->processor != NoProcessor && message->processor >= Host->processors) ||
        !RingInit(&channel->in, gpadl, 0, message->downOffset) ||
        !RingInit(&channel->out, gpadl, message->downOffset, gpadl->pageCount)) {
        StrictViolation("open-parameters",
                        "open of channel %u with list 0x%x, processor %u, ring at page %u",
                        message->relid, message->gpadl, message->processor, message->downOffset);
        return false;
    }
    // The indices are taken as they are: a guest has to clear both pages before.
    channel->in.index = channel->in.control->out;
    channel->out.index = channel->out.control->in;
    if (channel->in.index % 8 != 0 || channel->in.index >= channel->in.size ||
        channel->out.index % 8 != 0 || channel->out.index >= channel->out.size) {
        StrictViolation("open-index", "open of channel %u with old indices in its rings",
                        message->relid);
        return false;
    }
    GpadlUse(gpadl);
    channel->ringGpadl = gpadl;
    channel->openId = message->openId;
    channel->processor = message->processor;
    return true;
}

static void CheckTarget(VmbusBus *bus, uint32_t processor)
{
    if (processor < Host->processors && !SynicListens(&Host->processor[processor], bus->sint))
        StrictViolation("open-deaf", "interrupts for processor %u, which does not listen",
                        processor);
}

void ChannelOpen(VmbusBus *bus, const OpenMessage *message)
{
    OpenResultMessage answer = {
        {MessageOpenResult, 0}, message->relid, message->openId, VmbusFailure};
    VmbusChannel *channel = ChannelFind(bus, message->relid);
    VmbusDeviceClass *class;

    if (!channel || channel->open) {
        StrictViolation("open-order", "open of channel %u, which %s", message->relid,
                        channel ? "is open" : "does not exist");
        return;
    }
    if (channel->closing) {
        channel->queuedOpen = true;
        channel->openMessage = *message;
        return;
    }
    if (!channel->device || channel->rescinded || !StartRings(channel, message)) {
        VmbusReply(bus, &answer, sizeof(answer));
        return;
    }
    class = VMBUS_DEVICE_GET_CLASS(channel->device);
    CheckTarget(bus, message->processor);
    qatomic_set(&channel->in.control->interruptMask, 1);
    qatomic_set(&channel->out.control->features, 1);
    qatomic_set(&channel->out.control->pendingSendSize, 0);
    channel->open = true;
    channel->dead = channel->hostSleeps = false;
    HvTrace("channel %u (%s.%u) opened: processor %u, rings of %u and %u bytes", channel->relid,
            object_get_typename(OBJECT(channel->device)), channel->subIndex, channel->processor,
            channel->in.size, channel->out.size);
    if (class->opened)
        class->opened(channel->device, channel); // may send before the answer, as real hosts do
    answer.status = 0;
    VmbusReply(bus, &answer, sizeof(answer));
    qemu_bh_schedule(channel->bottomHalf);
}

void ChannelModify(VmbusBus *bus, const ModifyMessage *message)
{
    VmbusChannel *channel = ChannelFind(bus, message->relid);
    ModifyResultMessage answer = {{MessageModifyResult, 0}, message->relid, 0};

    if (!channel || !channel->open || channel->processor == NoProcessor ||
        message->processor >= Host->processors) {
        StrictViolation("modify", "channel %u is to interrupt processor %u", message->relid,
                        message->processor);
        answer.status = VmbusFailure;
    } else {
        CheckTarget(bus, message->processor);
        channel->processor = message->processor;
    }
    if (bus->version >= VMBUS_VERSION(5, 3))
        VmbusReply(bus, &answer, sizeof(answer));
}

// ------------------------------------------------------------------------------------------
// closing

static void DropOutgoing(VmbusChannel *channel)
{
    VmbusOut *packet;

    while ((packet = QSIMPLEQ_FIRST(&channel->outgoing))) {
        QSIMPLEQ_REMOVE_HEAD(&channel->outgoing, next);
        g_free(packet);
    }
    channel->outgoingCount = 0;
}

static void FinishClose(VmbusChannel *channel)
{
    VmbusGpadl *gpadl = channel->ringGpadl;
    VmbusBus *bus = channel->bus;

    channel->closing = false;
    channel->ringGpadl = NULL;
    if (gpadl)
        GpadlUnuse(bus, gpadl);
    if (channel->queuedOpen) {
        channel->queuedOpen = false;
        ChannelOpen(bus, &channel->openMessage);
    }
    VmbusCheckLeave(bus);
}

void ChannelBegin(VmbusChannel *channel)
{
    channel->inFlight++;
}

void ChannelEnd(VmbusChannel *channel)
{
    assert(channel->inFlight != 0);
    if (--channel->inFlight == 0 && channel->closing)
        FinishClose(channel);
}

static void RescindSubs(VmbusChannel *primary)
{
    VmbusChannel *channel, *after;

    QTAILQ_FOREACH_SAFE(channel, &primary->bus->channels, next, after)
    {
        if (channel->device && channel->device == primary->device && channel->subIndex != 0 &&
            !channel->rescinded)
            ChannelRescind(channel);
    }
}

void ChannelClose(VmbusChannel *channel)
{
    if (!channel->open)
        return;
    HvTrace("channel %u closed: %" PRIu64 " packets from the guest by %" PRIu64 " signals, %" PRIu64
            " to it",
            channel->relid, channel->packetsIn, channel->signals, channel->packetsOut);
    if (channel->device) {
        HostileSettle(channel);
        if (channel->subIndex == 0)
            HostileDrop(&channel->device->liar);
    }
    channel->open = false;
    channel->closing = true;
    channel->signalled = false;
    qemu_bh_cancel(channel->bottomHalf);
    DropOutgoing(channel);
    if (channel->device) {
        VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(channel->device);
        if (class->closed)
            class->closed(channel->device, channel);
        if (channel->subIndex == 0)
            RescindSubs(channel);
    }
    if (channel->inFlight == 0)
        FinishClose(channel);
}

// ----------------------------------------------------------------------------------------
// rescinding

void ChannelRescind(VmbusChannel *channel)
{
    RelidMessage message = {{MessageRescind, 0}, channel->relid};

    if (channel->device && channel->subIndex == 0)
        RescindSubs(channel);
    ChannelClose(channel);
    if (channel->relid == 0 || !channel->bus->offersRequested)
        return; // the guest does not know it
    GpadlFailUnfinished(channel->bus, channel->relid);
    channel->rescinded = true;
    HvTrace("channel %u rescinded", channel->relid);
    VmbusReply(channel->bus, &message, sizeof(message));
}

void ChannelReleased(VmbusBus *bus, uint32_t relid)
{
    VmbusChannel *channel = ChannelFind(bus, relid);
    VmbusDevice *device;

    // What a host that lies has taken away, though it had not, is taken away.
    if (channel && !channel->rescinded && bus->liar.seed != 0) {
        ChannelClose(channel);
        channel->rescinded = true;
    }
    if (!channel || !channel->rescinded) {
        StrictViolation("relid-released", "release of channel %u, which was not rescinded", relid);
        return;
    }
    device = channel->device;
    channel->relid = 0;
    channel->rescinded = false;
    if (!device || channel->subIndex != 0) {
        bool replaced = channel->subIndex == 0;
        QemuUUID instance = channel->instance;
        VmbusChannel *other, *after;
        ChannelFree(channel);
        QTAILQ_FOREACH_SAFE(other, &bus->channels, next, after)
        {
            if (replaced && other->relid == 0 && other->device && other->device->present &&
                qemu_uuid_is_equal(&other->instance, &instance))
                VmbusOffer(bus, other);
        }
    } else if (device->present) {
        VmbusOffer(bus, channel);
    }
}
