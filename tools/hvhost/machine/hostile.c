// hostile.c - the host that lies. Each device, and the bus, has a property "hostile": a seed, 0 for
// honest, to be set at any time. From then on the host
//
//   * spoils genuine packets: lengths, offsets, transaction numbers, types, contents; and what a
//     device puts beside its packets, frames for instance;
//   * loses them, sends them twice, holds them back for a while;
//   * sends packets of its own, made from earlier ones or from nothing, completions among them, as
//     many as the guest takes, and true ones in between, that the conversation goes on;
//   * changes a packet while the guest reads it, and for a moment the rings' indices;
//   * takes devices away at any step and offers them again; and offers those again that the guest
//     has given up;
//   * on the bus: sends messages that nobody expects, with any ids and lengths.
//
// What the guest makes of that is not held against it, but for what it does to the rings themselves
// (HostileExcuses). "hostile-messages" counts lies, "hostile-kinds" by kind; invented packets only
// when the guest has read them. Whatever may be decided comes from the seed, a row of numbers for
// each device: the same seed tells the same lies as far as the guest does the same at the same
// time.
//
// One lie is not told: that memory is given back while the host goes on using it. A guest cannot
// see that, and would be right to crash.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

enum {
    TickNanoseconds = 1000 * 1000,
    FloodMax = ARRAY_SIZE(((HvLiar *)0)->ends), // packets a tick
    IdleTicks = 20,        // a device that does nothing for so long is taken away and offered again
    IdleTicksClosed = 100, // or that nobody opens
    RescindOneIn = 400,    // ticks
    SpeakOneIn = 2,        // ticks
    SpoilOneIn = 16,       // genuine packets
    LoseOneIn = 256,
    TwiceOneIn = 32,
    DelayOneIn = 64,
    DelayMax = 32, // ticks
    LateOneIn = 4, // of the delayed words that memory is given back: so late that nobody waits
    LateTicks = 1500,
    ChangeOneIn = 16,
    FramingOneIn = 64, // of the packets that are spoiled
    IdOneIn = 8,
    IndexOneIn = 16384, // packets sent: a guest need not go on after that
    ChangeRounds = 400,
    LongPacket = 512,
    IndexRounds = 20000,
};

static const char *const KindNames[LieKinds] = {
    "lengths", "offsets", "ids",     "contents", "data",  "indices",  "lost",
    "twice",   "delayed", "changed", "answers",  "noise", "rescinds",
};

// xorshift64* (Marsaglia; Vigna, "An experimental exploration of Marsaglia's xorshift generators").
static uint64_t Next(HvLiar *liar)
{
    uint64_t x = liar->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    liar->state = x;
    return x * 0x2545F4914F6CDD1Dull >> 16;
}

static bool OneIn(HvLiar *liar, uint32_t count)
{
    return Next(liar) % count == 0;
}

static void Count(HvLiar *liar, HvLie kind)
{
    liar->count++;
    liar->kinds[kind]++;
}

char *HostileKinds(const HvLiar *liar)
{
    GString *list = g_string_new("");

    for (unsigned kind = 0; kind < LieKinds; kind++)
        g_string_append_printf(list, "%s%s=%" PRIu64, kind != 0 ? " " : "", KindNames[kind],
                               liar->kinds[kind]);
    return g_string_free(list, false);
}

bool HostileExcuses(VmbusChannel *channel, const char *rule)
{
    return channel->device && channel->device->liar.seed != 0 && strncmp(rule, "ring-", 5) != 0;
}

// ------------------------------------------------------------------------------------ spoiling

static uint32_t NastyWord(HvLiar *liar, uint32_t old)
{
    static const uint32_t words[] = {0,          1,          7,          8,         0xFF,
                                     0xFFF,      0x1000,     0xFFFF,     0x10000,   0x7FFFFFFF,
                                     0x80000000, 0xFFFFFFF0, 0xFFFFFFF8, UINT32_MAX};
    uint64_t kind = Next(liar) % 4;

    return kind == 0   ? words[Next(liar) % ARRAY_SIZE(words)]
           : kind == 1 ? old + (uint32_t)(Next(liar) % 17) - 8
           : kind == 2 ? old ^ 1u << Next(liar) % 32
                       : (uint32_t)Next(liar);
}

static void SpoilWord(HvLiar *liar, uint8_t *bytes, uint32_t size)
{
    uint32_t word = 0;

    memcpy(&word, bytes, size);
    word = NastyWord(liar, word);
    memcpy(bytes, &word, size);
}

// A few words, more often among the first ones.
static void SpoilBytes(HvLiar *liar, uint8_t *bytes, uint32_t length)
{
    for (uint64_t count = 1 + Next(liar) % 3; count != 0; count--) {
        uint32_t size = Next(liar) % 3 == 0 ? 2 : 4;
        uint32_t room = Next(liar) % 2 == 0 ? MIN(length, 64) : length;
        if (room >= size)
            SpoilWord(liar, bytes + Next(liar) % (room / size) * size, size);
    }
}

void HostileData(HvLiar *liar, uint8_t *bytes, uint32_t length)
{
    if (liar->seed == 0 || !OneIn(liar, SpoilOneIn))
        return;
    SpoilBytes(liar, bytes, length);
    Count(liar, LieData);
}

// A complete packet.
static HvLie SpoilPacket(HvLiar *liar, VmbusOut *packet)
{
    const uint32_t body = sizeof(PacketHeader);

    if (OneIn(liar, FramingOneIn)) {
        bool length = Next(liar) % 2 == 0;
        SpoilWord(liar,
                  packet->bytes + (length ? offsetof(PacketHeader, length8)
                                          : offsetof(PacketHeader, dataOffset8)),
                  sizeof(uint16_t));
        return length ? LieLength : LieOffset;
    }
    if (OneIn(liar, FramingOneIn)) { // its type, its flags
        SpoilWord(liar, packet->bytes + (Next(liar) % 2 == 0 ? 0 : offsetof(PacketHeader, flags)),
                  sizeof(uint16_t));
        return LieContents;
    }
    if (OneIn(liar, IdOneIn)) {
        SpoilWord(liar, packet->bytes + offsetof(PacketHeader, tid), sizeof(uint32_t));
        return LieId;
    }
    SpoilBytes(liar, packet->bytes + body, packet->length - body - sizeof(PacketTrailer));
    return LieContents;
}

// ---------------------------------------------------------------------------- genuine packets

static VmbusOut *CopyPacket(const VmbusOut *packet)
{
    return g_memdup2(packet, sizeof(*packet) + packet->length);
}

static void Remember(HvLiar *liar, const VmbusOut *packet)
{
    unsigned slot = liar->remembered++ % ARRAY_SIZE(liar->memory);

    g_free(liar->memory[slot]);
    liar->memory[slot] = CopyPacket(packet);
}

static bool Hold(HvLiar *liar, const VmbusOut *packet, uint32_t ticks)
{
    for (unsigned i = 0; i < ARRAY_SIZE(liar->held); i++) {
        if (!liar->held[i].packet) {
            liar->held[i].packet = CopyPacket(packet);
            liar->held[i].ticks = ticks;
            return true;
        }
    }
    return false;
}

// The next packet whose time has come; the caller owns it.
static VmbusOut *TakeHeld(HvLiar *liar, bool all)
{
    for (unsigned i = 0; i < ARRAY_SIZE(liar->held); i++) {
        VmbusOut *packet = liar->held[i].packet;
        if (packet && (all || liar->held[i].ticks == 0)) {
            liar->held[i].packet = NULL;
            return packet;
        }
    }
    return NULL;
}

static void PassTick(HvLiar *liar)
{
    for (unsigned i = 0; i < ARRAY_SIZE(liar->held); i++)
        liar->held[i].ticks -= liar->held[i].ticks != 0;
}

unsigned HostilePacket(VmbusChannel *channel, VmbusOut *packet)
{
    HvLiar *liar = &channel->device->liar;

    if (liar->seed == 0)
        return 1;
    Remember(liar, packet);
    if (OneIn(liar, LoseOneIn)) {
        Count(liar, LieLost);
        return 0;
    }
    if (channel->subIndex == 0 && OneIn(liar, DelayOneIn) &&
        Hold(liar, packet, 1 + Next(liar) % DelayMax)) {
        Count(liar, LieDelayed);
        return 0;
    }
    if (OneIn(liar, SpoilOneIn))
        Count(liar, SpoilPacket(liar, packet));
    if (!OneIn(liar, TwiceOneIn))
        return 1;
    Count(liar, LieTwice);
    return 2;
}

// ------------------------------------------------------------------------- while the guest reads

// For a moment an index of either ring is impossible, or at least another one.
static void ChangeIndex(HvLiar *liar, VmbusChannel *channel)
{
    bool send = Next(liar) % 2 == 0;
    uint32_t *index = send ? &channel->in.control->out : &channel->out.control->in;
    uint32_t right = send ? channel->in.index : channel->out.index;

    Count(liar, LieIndex);
    qatomic_set(index, NastyWord(liar, right));
    RingSignalGuest(channel);
    for (volatile int i = 0; i < IndexRounds; i++) {}
    qatomic_set(index, right);
}

// Words of what the guest has not taken yet, this way and that.
static void ChangeUnread(HvLiar *liar, VmbusRing *ring)
{
    uint32_t start = qatomic_read(&ring->control->out), old, at;
    uint32_t unread = (ring->index + ring->size - start) % ring->size / 8;

    if (start >= ring->size || start % 8 != 0 || unread == 0)
        return;
    Count(liar, LieChanged);
    at = ring->firstPage * HvPageSize +
         (start + Next(liar) % unread * 8 + Next(liar) % 2 * 4) % ring->size;
    GpadlCopy(ring->gpadl, at, &old, sizeof(old), false);
    for (int i = 0; i < ChangeRounds; i++) {
        uint32_t word = NastyWord(liar, old);
        GpadlCopy(ring->gpadl, at, &word, sizeof(word), true);
        GpadlCopy(ring->gpadl, at, &old, sizeof(old), true);
    }
}

void HostileRead(VmbusChannel *channel)
{
    HvLiar *liar = channel->device ? &channel->device->liar : NULL;

    if (!liar || liar->seed == 0)
        return;
    if (OneIn(liar, IndexOneIn))
        ChangeIndex(liar, channel);
    if (OneIn(liar, ChangeOneIn))
        ChangeUnread(liar, &channel->out);
}

// ------------------------------------------------------------------------------------ invention

// To so many bytes, its trailer not counted.
static void Shorten(VmbusOut *packet, uint32_t length)
{
    uint16_t length8 = length / 8;

    packet->length = length + sizeof(PacketTrailer);
    memcpy(packet->bytes + offsetof(PacketHeader, length8), &length8, sizeof(length8));
}

// A packet of nobody's: an earlier one spoiled, or pure noise.
static VmbusOut *Invent(HvLiar *liar, HvLie *kind)
{
    static const uint16_t types[] = {PacketInBand, PacketTransferPages, PacketGpaDirect,
                                     PacketCompletion};
    const VmbusOut *old = liar->memory[Next(liar) % ARRAY_SIZE(liar->memory)];
    uint32_t length = sizeof(PacketHeader) + Next(liar) % 16 * 8 + sizeof(PacketTrailer);
    PacketHeader header = {.dataOffset8 = 2, .length8 = (length - sizeof(PacketTrailer)) / 8};
    VmbusOut *packet;

    if (old && Next(liar) % 8 != 0) {
        packet = CopyPacket(old);
        if (packet->length > LongPacket && Next(liar) % 4 != 0) // the ring is small
            Shorten(packet, sizeof(header) + Next(liar) % (LongPacket / 8) * 8);
        *kind = SpoilPacket(liar, packet);
        memcpy(&header, packet->bytes, sizeof(header));
    } else {
        packet = g_malloc0(sizeof(*packet) + length);
        packet->length = length;
        for (uint32_t i = 0; i + 4 <= length; i += 4)
            SpoilWord(liar, packet->bytes + i, 4);
        header.type = types[Next(liar) % ARRAY_SIZE(types)];
        header.tid = Next(liar) % 4096;
        memcpy(packet->bytes, &header, sizeof(header));
        *kind = LieNoise;
    }
    if (header.type == PacketCompletion && *kind != LieLength && *kind != LieOffset)
        *kind = LieAnswer; // that nobody waits for, or that somebody does
    return packet;
}

void HostileSettle(VmbusChannel *channel)
{
    HvLiar *liar = &channel->device->liar;
    uint32_t size = channel->out.size, read;

    if (channel->subIndex != 0)
        return;
    read = (qatomic_read(&channel->out.control->out) + size - liar->start) % size;
    for (unsigned i = 0; i < liar->invented; i++) {
        if ((liar->ends[i] + size - liar->start) % size <= read)
            Count(liar, liar->lies[i]);
    }
    liar->invented = 0;
}

// As many as fit, up to one whose length is a lie: a guest cannot know what comes behind that.
static void Flood(HvLiar *liar, VmbusChannel *channel)
{
    HvLie kind = LieKinds;

    HostileSettle(channel);
    liar->start = channel->out.index;
    while (liar->invented < FloodMax && kind != LieLength && channel->open && !channel->dead &&
           channel->outgoingCount == 0) {
        RingPut(channel, Invent(liar, &kind));
        liar->ends[liar->invented] = channel->out.index;
        liar->lies[liar->invented++] = kind;
    }
}

// ------------------------------------------------------------------------------- as time goes by

// Whether the guest has not read or sent anything on the channel for so long, nor opened it.
static bool IsIdle(HvLiar *liar, VmbusChannel *channel)
{
    uint32_t out = channel->open ? qatomic_read(&channel->out.control->out) : 0;
    bool moved = out != liar->lastOut || channel->packetsIn != liar->lastSent;

    liar->lastOut = out;
    liar->lastSent = channel->packetsIn;
    liar->idle = moved ? 0 : liar->idle + 1;
    return liar->idle > (channel->open ? IdleTicks : IdleTicksClosed);
}

static void ReleaseHeld(HvLiar *liar, VmbusChannel *channel, bool all)
{
    VmbusOut *packet;

    while ((packet = TakeHeld(liar, all))) {
        if (channel && channel->open && !channel->dead)
            RingPut(channel, packet);
        else
            g_free(packet);
    }
}

static void TickDevice(VmbusDevice *device)
{
    VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(device);
    HvLiar *liar = &device->liar;
    VmbusChannel *channel = device->channel;

    PassTick(liar);
    if (channel->relid != 0 && !channel->rescinded &&
        (IsIdle(liar, channel) || OneIn(liar, RescindOneIn))) {
        liar->idle = 0;
        Count(liar, LieRescind);
        ChannelRescind(channel); // offered again as soon as the guest has released it
        return;
    }
    ReleaseHeld(liar, channel, false);
    if (!channel->open || channel->dead ||
        qatomic_read(&channel->out.control->out) != channel->out.index)
        return;
    if (class->speak && OneIn(liar, SpeakOneIn))
        class->speak(device, channel);
    Flood(liar, channel);
}

// ----------------------------------------------------------------------------------------- the bus

static void Post(VmbusBus *bus, const VmbusOut *message)
{
    if (bus->processor < Host->processors)
        SynicPost(&Host->processor[bus->processor], bus->sint, 1, message->bytes, message->length);
}

// What is lost or spoiled is told again, rightly, after a while; but for one in so many.
static void HoldReply(HvLiar *liar, const VmbusOut *reply, bool memory)
{
    uint32_t ticks = memory && OneIn(liar, LateOneIn) ? LateTicks : 1 + Next(liar) % DelayMax;

    if ((memory || !OneIn(liar, LoseOneIn)) && Hold(liar, reply, ticks))
        Count(liar, LieDelayed);
}

void HostileReply(VmbusBus *bus, const void *message, size_t length)
{
    g_autofree VmbusOut *reply = g_malloc0(sizeof(*reply) + length);
    HvLiar *liar = &bus->liar;
    MessageHeader header;
    bool memory, full = true;

    memcpy(reply->bytes, message, length);
    memcpy(&header, message, sizeof(header));
    reply->length = length;
    memory = header.type == MessageGpadlTorndown;
    for (unsigned i = 0; i < ARRAY_SIZE(liar->held); i++)
        full = full && liar->held[i].packet;
    if (liar->seed == 0 || (memory && full)) {
        Post(bus, reply);
        return;
    }
    if (header.type == MessageOffer)
        Remember(liar, reply);
    if (OneIn(liar, SpoilOneIn)) {
        HoldReply(liar, reply, memory);
        if (OneIn(liar, 2)) {
            Count(liar, LieLost);
            return;
        }
        SpoilBytes(liar, reply->bytes + sizeof(header), length - sizeof(header));
        Count(liar, LieContents);
    } else if (OneIn(liar, TwiceOneIn)) {
        Post(bus, reply);
        Count(liar, LieTwice);
    }
    Post(bus, reply);
}

// A message that the bus has no reason to send.
static HvLie InventMessage(VmbusBus *bus, VmbusOut *message)
{
    static const uint32_t types[] = {MessageOffer,
                                     MessageRescind,
                                     MessageAllOffers,
                                     MessageOpenResult,
                                     MessageGpadlCreated,
                                     MessageGpadlTorndown,
                                     MessageVersion,
                                     MessageUnloadComplete,
                                     MessageModifyResult,
                                     0,
                                     18,
                                     99};
    HvLiar *liar = &bus->liar;
    const VmbusOut *offer = liar->memory[Next(liar) % ARRAY_SIZE(liar->memory)];
    uint32_t words[HvMessageBytes / 4], type = types[Next(liar) % ARRAY_SIZE(types)];
    bool cut = OneIn(liar, IdOneIn);

    for (unsigned word = 0; word < ARRAY_SIZE(words); word++)
        words[word] = Next(liar) % 2 == 0 ? Next(liar) % 64 : NastyWord(liar, 0);
    words[0] = type;
    if (type == MessageGpadlTorndown && GpadlExists(bus, words[2]))
        words[2] |= 1u << 30;
    message->length = cut ? Next(liar) % (ARRAY_SIZE(words) + 1) * 4 : sizeof(words);
    memcpy(message->bytes, words, sizeof(words));
    if (type == MessageOffer && offer && Next(liar) % 2 == 0) { // a device that is there already
        message->length = offer->length;
        memcpy(message->bytes, offer->bytes, offer->length);
        SpoilWord(liar, message->bytes + offsetof(OfferMessage, relid), 4);
        return LieId;
    }
    return cut                                       ? LieLength
           : type == MessageRescind                  ? LieRescind
           : type == MessageOffer                    ? LieId
           : type == 0 || type > MessageModifyResult ? LieNoise
                                                     : LieAnswer;
}

static void TickBus(VmbusBus *bus)
{
    g_autofree VmbusOut *message = g_malloc0(sizeof(*message) + HvMessageBytes);
    VmbusOut *late;

    PassTick(&bus->liar);
    while ((late = TakeHeld(&bus->liar, false))) {
        Post(bus, late);
        g_free(late);
    }
    if (!bus->offersRequested || bus->processor >= Host->processors ||
        SynicBusy(&Host->processor[bus->processor], bus->sint))
        return;
    for (int i = 0; i < FloodMax; i++) {
        Count(&bus->liar, InventMessage(bus, message));
        Post(bus, message);
    }
}

// --------------------------------------------------------------------------------------- the clock

static void Tick(void *opaque)
{
    VmbusBus *bus = opaque;
    bool any = bus->liar.seed != 0;
    BusChild *child;

    if (any)
        TickBus(bus);
    QTAILQ_FOREACH(child, &BUS(bus)->children, sibling)
    {
        VmbusDevice *device = VMBUS_DEVICE(child->child);
        if (device->liar.seed != 0 && device->channel) {
            any = true;
            TickDevice(device);
        }
    }
    if (any)
        timer_mod(bus->hostileTimer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + TickNanoseconds);
}

void HostileStart(VmbusBus *bus, VmbusDevice *device, uint32_t seed)
{
    HvLiar *liar = device ? &device->liar : &bus->liar;
    VmbusOut *late;

    liar->seed = seed;
    liar->state = seed * 0x9E3779B97F4A7C15ull | 1;
    if (seed == 0 && device)
        ReleaseHeld(liar, device->channel, true);
    while (seed == 0 && (late = TakeHeld(liar, true))) {
        Post(bus, late);
        g_free(late);
    }
    if (!bus->hostileTimer)
        bus->hostileTimer = timer_new_ns(QEMU_CLOCK_VIRTUAL, Tick, bus);
    timer_mod(bus->hostileTimer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + TickNanoseconds);
}

void HostileDrop(HvLiar *liar)
{
    VmbusOut *packet;

    while ((packet = TakeHeld(liar, true)))
        g_free(packet);
}

void HostileForget(HvLiar *liar)
{
    liar->seed = 0;
    HostileDrop(liar);
    for (unsigned i = 0; i < ARRAY_SIZE(liar->memory); i++) {
        g_free(liar->memory[i]);
        liar->memory[i] = NULL;
    }
}
