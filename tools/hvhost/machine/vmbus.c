// vmbus.c - the bus: messages from the guest, contact and version, offers, leaving (OpenVMM,
// vm/devices/vmbus/vmbus_server/src/channels.rs; Linux, drivers/hv/connection.c).
//
// The guest posts messages by hypercall; they are read one after another in a bottom half, and not
// while an answer waits for a free slot of the guest's: a guest that posts and never empties its
// slot blocks itself. What breaks the rules is met with silence.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "exec/address-spaces.h"

enum {
    ContactConnection = 1, // before 5.0 all messages; from 5.0 contact may use 4 as well
    ContactConnection5 = 4,
    EventConnection = 2, // before 2.4
    ReceivedMax = 64,
    StateBadMonitor = 2, // VersionMessage.state
    MonitorNanoseconds = 100 * 1000,
};

static const uint32_t Versions[] = {
    VMBUS_VERSION(0, 13), VMBUS_VERSION(1, 1), VMBUS_VERSION(2, 4), VMBUS_VERSION(3, 0),
    VMBUS_VERSION(4, 0),  VMBUS_VERSION(4, 1), VMBUS_VERSION(5, 0), VMBUS_VERSION(5, 1),
    VMBUS_VERSION(5, 2),  VMBUS_VERSION(5, 3),
};

void VmbusReply(VmbusBus *bus, const void *message, size_t length)
{
    HostileReply(bus, message, length);
}

void VmbusSlotFreed(void)
{
    if (Host->bus && !QSIMPLEQ_EMPTY(&Host->bus->received))
        qemu_bh_schedule(Host->bus->bottomHalf);
}

// -------------------------------------------------------------------------------------------
// offers

// Reproducible pseudo-random numbers for another order.
static uint32_t Mix(uint32_t seed, uint32_t value)
{
    uint64_t x = (uint64_t)seed << 32 | value;

    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return (uint32_t)(x ^ x >> 31);
}

static uint32_t NewRelid(VmbusBus *bus)
{
    for (uint32_t n = 1;; n++) {
        uint32_t relid = Host->shuffle == 0 ? n : Mix(Host->shuffle, n) % RelidMax + 1;
        if (!ChannelFind(bus, relid))
            return relid;
    }
}

// An instance whose rescind the guest has not acknowledged yet is not offered again.
static bool WaitsForRelease(VmbusBus *bus, VmbusChannel *channel)
{
    VmbusChannel *other;

    QTAILQ_FOREACH(other, &bus->channels, next)
    {
        if (other != channel && other->rescinded && other->subIndex == channel->subIndex &&
            qemu_uuid_is_equal(&other->instance, &channel->instance))
            return true;
    }
    return false;
}

void VmbusOffer(VmbusBus *bus, VmbusChannel *channel)
{
    bool monitored = channel->monitored && bus->monitorPage != 0;
    OfferMessage offer = {.header.type = MessageOffer, .dedicated = 1};

    if (!bus->offersRequested || bus->leave != LeaveNothing || channel->relid != 0 ||
        WaitsForRelease(bus, channel))
        return;
    channel->relid = NewRelid(bus);
    channel->connection = SintVmbus << 12 | channel->relid;
    memcpy(offer.type, &channel->type, sizeof(offer.type));
    memcpy(offer.instance, &channel->instance, sizeof(offer.instance));
    offer.flags = channel->flags;
    offer.mmioMegabytes = channel->mmioMegabytes;
    offer.userData[0] = (channel->flags & OfferPipe) != 0 ? 4 : 0;
    offer.subIndex = channel->subIndex;
    offer.relid = channel->relid;
    offer.monitorId = monitored ? channel->relid % 128 : 0xFF;
    offer.monitorAllocated = monitored;
    offer.connection = channel->connection;
    HvTrace("offer of %s.%u: channel %u",
            channel->device ? object_get_typename(OBJECT(channel->device)) : "unknown",
            channel->subIndex, channel->relid);
    VmbusReply(bus, &offer, sizeof(offer));
}

static int CompareOffers(const void *a, const void *b)
{
    const VmbusChannel *left = *(VmbusChannel *const *)a, *right = *(VmbusChannel *const *)b;
    int order = memcmp(&left->type, &right->type, sizeof(left->type));

    if (Host->shuffle != 0) {
        uint32_t first = Mix(Host->shuffle, left->instance.fields.time_low);
        uint32_t second = Mix(Host->shuffle, right->instance.fields.time_low);
        if (first != second)
            return first < second ? -1 : 1;
    }
    return order != 0 ? order : memcmp(&left->instance, &right->instance, sizeof(left->instance));
}

static void RequestOffers(VmbusBus *bus)
{
    MessageHeader done = {MessageAllOffers, 0};
    g_autoptr(GPtrArray) offers = g_ptr_array_new();
    VmbusChannel *channel;

    if (bus->offersRequested) {
        StrictViolation("offers-twice", "the offers were requested already");
        return;
    }
    bus->offersRequested = true;
    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        if (channel->subIndex == 0 && (!channel->device || channel->device->present))
            g_ptr_array_add(offers, channel);
    }
    g_ptr_array_sort(offers, CompareOffers);
    for (unsigned i = 0; i < offers->len; i++)
        VmbusOffer(bus, offers->pdata[i]);
    VmbusReply(bus, &done, sizeof(done));
}

// Classes that this machine offers but does not serve, as Windows offers a good many: remote
// desktop, dynamic memory, and one that nobody has ever heard of.
static void MakeUnknownOffers(VmbusBus *bus)
{
    static const char *types[] = {
        "276aacf4-ac15-426c-98dd-7521ad3f01fe", "0f0f0f0f-1234-5678-9abc-def012345678",
        "f8e65716-3cb3-4a06-9a60-1889c5cccab5", "3375baf4-9e15-4b30-b765-67acb10d607b",
        "525074dc-8985-46e2-8057-a307dc18a502", "c376c1c3-d276-48d2-90a9-c04748072c60",
    };

    for (uint32_t i = 0; i < Host->unknown; i++) {
        VmbusChannel *channel = ChannelNew(bus, NULL, 0);
        QemuUUID type;
        qemu_uuid_parse(types[i % ARRAY_SIZE(types)], &type);
        channel->type = qemu_uuid_bswap(type);
        channel->instance = channel->type;
        channel->instance.data[15] += 1 + i / ARRAY_SIZE(types);
        channel->flags = OfferInterface | OfferPipe;
        channel->pipe = true;
    }
}

// ------------------------------------------------------------------------------- contact and
// leaving

// Closes every channel; what waits for that is answered by VmbusCheckLeave.
static void Disconnect(VmbusBus *bus)
{
    VmbusChannel *channel, *after;

    bus->offersRequested = false;
    QTAILQ_FOREACH_SAFE(channel, &bus->channels, next, after)
    {
        channel->queuedOpen = false;
        ChannelClose(channel);
    }
    timer_del(bus->monitorTimer);
}

// Nothing is left of the old connection.
static void Forget(VmbusBus *bus)
{
    VmbusChannel *channel, *after;

    GpadlForget(bus);
    QTAILQ_FOREACH_SAFE(channel, &bus->channels, next, after)
    {
        bool orphan = !channel->device && channel->rescinded;
        channel->relid = 0;
        channel->rescinded = false;
        if (channel->subIndex != 0 || orphan)
            ChannelFree(channel);
    }
    bus->version = 0;
    bus->interruptPage = bus->monitorPage = 0;
}

static bool AllClosed(VmbusBus *bus)
{
    VmbusChannel *channel;

    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        if (channel->closing)
            return false;
    }
    return true;
}

static void MonitorTick(void *opaque);

static void Accept(VmbusBus *bus, const ContactMessage *message, VersionMessage *answer)
{
    bool oneMonitor = (message->monitorToGuest == 0) != (message->monitorToHost == 0);

    answer->supported = 1;
    answer->state = oneMonitor ? StateBadMonitor : 0;
    answer->connection =
        message->version < VMBUS_VERSION(5, 0) ? message->version : Host->messageId;
    if (oneMonitor)
        return;
    bus->version = message->version;
    bus->interruptPage =
        message->version < VMBUS_VERSION(2, 4) ? message->interruptPage & ~0xFFFull : 0;
    bus->monitorPage = message->monitorToHost;
    if (bus->monitorPage != 0)
        timer_mod(bus->monitorTimer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + MonitorNanoseconds);
}

static ContactMessage PendingContact;
static uint32_t PendingConnection;

static void AnswerContact(VmbusBus *bus)
{
    const ContactMessage *message = &PendingContact;
    VersionMessage answer = {.header.type = MessageVersion};
    bool new = message->version >= VMBUS_VERSION(5, 0);

    bus->processor = message->version >= VMBUS_VERSION(3, 0) ? message->processor : 0;
    bus->sint = new && PendingConnection == ContactConnection5 ? message->sint : SintVmbus;
    for (unsigned i = 0; i < ARRAY_SIZE(Versions); i++) {
        if (Versions[i] == message->version && message->version <= Host->maxVersion &&
            bus->sint == SintVmbus)
            Accept(bus, message, &answer);
    }
    HvTrace("contact: version %u.%u, processor %u, SINT %u: %s", message->version >> 16,
            message->version & 0xFFFF, bus->processor, bus->sint,
            answer.supported != 0 ? "accepted" : "refused");
    if (bus->sint >= HvSintCount)
        bus->sint = SintVmbus;
    VmbusReply(bus, &answer, sizeof(answer));
}

void VmbusCheckLeave(VmbusBus *bus)
{
    MessageHeader unloaded = {MessageUnloadComplete, 0};
    int leave = bus->leave;

    if (leave == LeaveNothing || !AllClosed(bus))
        return;
    bus->leave = LeaveNothing;
    Forget(bus);
    if (leave == LeaveContact)
        AnswerContact(bus);
    else
        VmbusReply(bus, &unloaded, sizeof(unloaded));
}

static void Contact(VmbusBus *bus, const VmbusReceived *received)
{
    ContactMessage message;

    memcpy(&message, received->data, sizeof(message));
    if (message.version >= VMBUS_VERSION(5, 1) && received->connection == ContactConnection5 &&
        message.vtl != 0) {
        StrictViolation("contact-vtl", "contact for trust level %u", message.vtl);
        return;
    }
    PendingContact = message;
    PendingConnection = received->connection;
    Disconnect(bus); // contact while connected leaves first
    bus->leave = LeaveContact;
    VmbusCheckLeave(bus);
}

static void Unload(VmbusBus *bus)
{
    VmbusChannel *channel;

    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        if (channel->rescinded)
            HvTrace("channel %u was rescinded and is not released at unload", channel->relid);
    }
    Disconnect(bus);
    bus->leave = LeaveUnload;
    VmbusCheckLeave(bus);
}

// -----------------------------------------------------------------------------------------
// messages

// Type, the least length, the version from which it exists.
static const struct Rule {
    uint8_t type, length;
    uint32_t version;
} Rules[] = {
    {MessageRequestOffers, sizeof(MessageHeader), 0},
    {MessageOpen, sizeof(OpenMessage), 0},
    {MessageClose, sizeof(RelidMessage), 0},
    {MessageGpadlHeader, sizeof(GpadlHeaderMessage) + 16, 0},
    {MessageGpadlBody, sizeof(GpadlBodyMessage), 0},
    {MessageGpadlTeardown, sizeof(GpadlTeardownMessage), 0},
    {MessageRelidReleased, sizeof(RelidMessage), 0},
    {MessageContact, sizeof(ContactMessage), 0},
    {MessageUnload, sizeof(MessageHeader), 0},
    {MessageModify, sizeof(ModifyMessage), VMBUS_VERSION(4, 1)},
};

static bool Acceptable(VmbusBus *bus, const VmbusReceived *received, const MessageHeader *header)
{
    const struct Rule *rule = NULL;

    for (unsigned i = 0; i < ARRAY_SIZE(Rules); i++) {
        if (Rules[i].type == header->type)
            rule = &Rules[i];
    }
    if (!rule || received->length < rule->length ||
        (header->type != MessageContact && rule->version > bus->version)) {
        StrictViolation("message-format", "message %u of %u bytes in version 0x%x", header->type,
                        received->length, bus->version);
        return false;
    }
    if (header->reserved != 0)
        StrictViolation("message-reserved", "message %u with reserved word 0x%x", header->type,
                        header->reserved);
    if (header->type != MessageContact && (bus->version == 0 || bus->leave != LeaveNothing)) {
        StrictViolation("message-order", "message %u without contact", header->type);
        return false;
    }
    return true;
}

// What the guest sent before the close still counts.
static void CloseOpen(VmbusChannel *channel)
{
    RingWork(channel);
    ChannelClose(channel);
}

static void Close(VmbusBus *bus, uint32_t relid)
{
    VmbusChannel *channel = ChannelFind(bus, relid);

    if (channel && channel->rescinded)
        return; // harmless
    if (!channel || !channel->open)
        StrictViolation("close-order", "close of channel %u, which is not open", relid);
    else
        CloseOpen(channel);
}

static void Handle(VmbusBus *bus, const VmbusReceived *received)
{
    const void *data = received->data;
    MessageHeader header;
    RelidMessage relid;

    memcpy(&header, data, sizeof(header));
    if (!Acceptable(bus, received, &header))
        return;
    memcpy(&relid, data, sizeof(relid));
    switch (header.type) {
    case MessageContact:
        Contact(bus, received);
        break;
    case MessageRequestOffers:
        RequestOffers(bus);
        break;
    case MessageOpen:
        ChannelOpen(bus, data);
        break;
    case MessageClose:
        Close(bus, relid.relid);
        break;
    case MessageGpadlHeader:
        GpadlHeader(bus, data, received->length);
        break;
    case MessageGpadlBody:
        GpadlBody(bus, data, received->length);
        break;
    case MessageGpadlTeardown:
        GpadlTeardown(bus, data);
        break;
    case MessageRelidReleased:
        ChannelReleased(bus, relid.relid);
        break;
    case MessageModify:
        ChannelModify(bus, data);
        break;
    case MessageUnload:
        Unload(bus);
        break;
    default:
        g_assert_not_reached();
    }
}

static void Work(void *opaque)
{
    VmbusBus *bus = opaque;
    VmbusReceived *received;

    while ((received = QSIMPLEQ_FIRST(&bus->received)) &&
           (bus->version == 0 || bus->processor >= Host->processors ||
            !SynicBusy(&Host->processor[bus->processor], bus->sint))) {
        QSIMPLEQ_REMOVE_HEAD(&bus->received, next);
        bus->receivedCount--;
        Handle(bus, received);
        g_free(received);
    }
}

// Whether the guest may post on the connection now.
static bool GoodConnection(VmbusBus *bus, uint32_t connection, const uint8_t *payload)
{
    uint32_t type;

    memcpy(&type, payload, sizeof(type));
    if (connection == ContactConnection5 && Host->oldContact)
        return false;
    if (type == MessageContact)
        return connection == ContactConnection || connection == ContactConnection5;
    return connection == (bus->version < VMBUS_VERSION(5, 0) ? 1 : Host->messageId);
}

uint16_t VmbusPost(VmbusBus *bus, uint32_t connection, uint32_t type, const uint8_t *payload,
                   uint32_t length)
{
    VmbusReceived *received;

    if (type != 1 || length < sizeof(MessageHeader)) {
        StrictViolation("post-type", "a message of type %u, %u bytes", type, length);
        return HvInvalidParameter;
    }
    if (!GoodConnection(bus, connection, payload)) {
        if (connection != ContactConnection5) // asking whether it exists is fine
            StrictViolation("post-connection", "a message on connection %u", connection);
        return HvInvalidConnectionId;
    }
    if (bus->receivedCount >= ReceivedMax || (Host->busy != 0 && ++bus->refusals % Host->busy == 0))
        return HvInsufficientBuffers;
    received = g_new0(VmbusReceived, 1);
    received->connection = connection;
    received->length = length;
    memcpy(received->data, payload, length);
    QSIMPLEQ_INSERT_TAIL(&bus->received, received, next);
    bus->receivedCount++;
    qemu_bh_schedule(bus->bottomHalf);
    return HvSuccess;
}

// ------------------------------------------------------------------------------------------
// signals

// A signal while the one before is not served: the ring was not empty then, so this one is
// needless, unless the guest has just made room that the host waits for.
static void CheckSignal(VmbusChannel *channel)
{
    channel->signals++;
    if (channel->signalled && channel->hostSleeps && QSIMPLEQ_EMPTY(&channel->outgoing) &&
        channel->out.control->pendingSendSize == 0)
        StrictViolation("ring-signal", "channel %u: a signal though the ring was not empty",
                        channel->relid);
    channel->signalled = true;
}

static void Wake(VmbusChannel *channel)
{
    CheckSignal(channel);
    qemu_bh_schedule(channel->bottomHalf);
}

// Before 2.4: bits in the second half of the interrupt page tell which channels.
static void SignalOld(VmbusBus *bus)
{
    uint8_t *page = HvGuestPage(bus->interruptPage);
    VmbusChannel *channel;

    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        uint32_t bit = 1u << channel->relid % 32;
        uint32_t *word = page ? (uint32_t *)(page + HvPageSize / 2) + channel->relid / 32 : NULL;
        if (word && channel->open && (qatomic_fetch_and(word, ~bit) & bit) != 0)
            qemu_bh_schedule(channel->bottomHalf);
    }
}

uint16_t VmbusSignal(VmbusBus *bus, uint32_t connection, uint16_t flag)
{
    VmbusChannel *channel;

    if (connection == EventConnection && bus->interruptPage != 0) {
        SignalOld(bus);
        return HvSuccess;
    }
    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        // The port exists only while the channel is open.
        if (channel->relid != 0 && channel->connection == connection && channel->open) {
            Wake(channel);
            return HvSuccess;
        }
    }
    HvTrace("a signal on connection 0x%x, which is not open", connection);
    return HvInvalidConnectionId;
}

// Monitor pages: the guest sets a bit instead of making a hypercall; the host looks now and then.
static void MonitorTick(void *opaque)
{
    VmbusBus *bus = opaque;
    MonitorPage *page = HvGuestPage(bus->monitorPage);
    VmbusChannel *channel;

    if (!page || bus->monitorPage == 0)
        return;
    QTAILQ_FOREACH(channel, &bus->channels, next)
    {
        uint32_t id = channel->relid % 128, bit = 1u << id % 32;
        if (channel->open && channel->monitored &&
            qatomic_read(&page->group[id / 32].pending) != 0 &&
            (qatomic_fetch_and(&page->group[id / 32].pending, ~bit) & bit) != 0)
            qemu_bh_schedule(channel->bottomHalf);
    }
    timer_mod(bus->monitorTimer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + MonitorNanoseconds);
}

// ------------------------------------------------------------------------------------- the bus

void VmbusReset(VmbusBus *bus)
{
    VmbusReceived *received;

    bus->leave = LeaveNothing;
    Disconnect(bus);
    while ((received = QSIMPLEQ_FIRST(&bus->received))) {
        QSIMPLEQ_REMOVE_HEAD(&bus->received, next);
        g_free(received);
    }
    bus->receivedCount = 0;
    bus_cold_reset(BUS(bus)); // ends what is in flight
    Forget(bus);
    bus->processor = 0;
    bus->sint = SintVmbus;
}

static void InitBus(Object *object)
{
    VmbusBus *bus = VMBUS_BUS(object);

    QSIMPLEQ_INIT(&bus->received);
    QTAILQ_INIT(&bus->gpadls);
    QTAILQ_INIT(&bus->channels);
    bus->sint = SintVmbus;
    bus->bottomHalf = qemu_bh_new(Work, bus);
    bus->monitorTimer = timer_new_ns(QEMU_CLOCK_VIRTUAL, MonitorTick, bus);
    MakeUnknownOffers(bus);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_VMBUS_BUS,
        .parent = TYPE_BUS,
        .instance_size = sizeof(VmbusBus),
        .instance_init = InitBus,
    },
};

DEFINE_TYPES(Types)
