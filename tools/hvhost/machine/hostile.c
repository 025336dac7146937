// hostile.c - the host that lies. Each device, and the bus, has a property "hostile": a seed, 0 for
// honest, to be set at any time. From then on the host
//
//   * spoils genuine packets: types, lengths, offsets, counts, transaction numbers, content;
//   * loses them, or sends them twice;
//   * sends packets of its own, made from earlier ones, as fast as the guest takes them;
//   * changes a packet while the guest reads it, and for a moment the ring's index;
//   * takes devices away and offers them again; and offers those again that the guest has given up;
//   * on the bus: sends messages that nobody expects, with any ids and lengths.
//
// What is told as a lie is counted in "hostile-messages"; invented packets when the guest has read
// them. The numbers come from the seed, a stream for each device, so that a run can be had again as
// far as the guest does the same.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

enum {
    TickNanoseconds = 1000 * 1000,
    FloodMax = ARRAY_SIZE(((HvLiar *)0)->ends), // packets a tick
    IdleTicks = 15,      // a device that does nothing for so long is taken away and offered again
    RescindOneIn = 5000, // ticks
    SpoilOneIn = 4,      // genuine packets
    LoseOneIn = 256,
    TwiceOneIn = 32,
    ChangeOneIn = 16,   // while the guest reads
    FramingOneIn = 512, // type, length, flags: after that a guest reads no more, so not often
    IndexOneIn = 4096,
    ChangeRounds = 400,
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

static void SpoilWord(HvLiar *liar, uint8_t *bytes, uint32_t length)
{
    uint32_t size = Next(liar) % 3 == 0 ? 2 : 4, at, word = 0;

    if (length < size)
        return;
    at = Next(liar) % (length / size) * size;
    memcpy(&word, bytes + at, size);
    word = NastyWord(liar, word);
    memcpy(bytes + at, &word, size);
}

void HostileSpoil(HvLiar *liar, uint8_t *bytes, uint32_t length)
{
    if (liar->seed == 0)
        return;
    for (uint64_t count = 1 + Next(liar) % 3; count != 0; count--)
        SpoilWord(liar, bytes, Next(liar) % 2 == 0 ? MIN(length, 64) : length);
}

bool HostileMaySpoil(HvLiar *liar, uint8_t *bytes, uint32_t length)
{
    if (liar->seed == 0 || !OneIn(liar, SpoilOneIn))
        return false;
    HostileSpoil(liar, bytes, length);
    liar->count++;
    return true;
}

// --------------------------------------------------------------------------------------------
// packets

static VmbusOut *CopyPacket(const VmbusOut *packet)
{
    return g_memdup2(packet, sizeof(*packet) + packet->length);
}

static void SpoilPacket(HvLiar *liar, VmbusOut *packet)
{
    const uint32_t framing = offsetof(PacketHeader, tid);

    if (OneIn(liar, FramingOneIn))
        HostileSpoil(liar, packet->bytes, framing);
    else
        HostileSpoil(liar, packet->bytes + framing,
                     packet->length - framing - sizeof(PacketTrailer));
}

static void Remember(HvLiar *liar, const VmbusOut *packet)
{
    unsigned slot = liar->remembered++ % ARRAY_SIZE(liar->memory);

    g_free(liar->memory[slot]);
    liar->memory[slot] = CopyPacket(packet);
}

unsigned HostilePacket(VmbusChannel *channel, VmbusOut *packet)
{
    HvLiar *liar = &channel->device->liar;

    if (liar->seed == 0)
        return 1;
    Remember(liar, packet);
    if (OneIn(liar, LoseOneIn)) {
        liar->count++;
        return 0;
    }
    if (OneIn(liar, SpoilOneIn)) {
        SpoilPacket(liar, packet);
        liar->count++;
    }
    if (!OneIn(liar, TwiceOneIn))
        return 1;
    liar->count++;
    return 2;
}

void HostileRead(VmbusChannel *channel, uint32_t start, uint32_t next)
{
    HvLiar *liar = channel->device ? &channel->device->liar : NULL;
    VmbusRing *ring = &channel->out;
    uint32_t at, old;

    if (!liar || liar->seed == 0)
        return;
    if (OneIn(liar, IndexOneIn)) {
        liar->count++;
        qatomic_set(&ring->control->in, NastyWord(liar, next));
        RingSignalGuest(channel);
        for (volatile int i = 0; i < ChangeRounds * 10; i++) {}
        qatomic_set(&ring->control->in, next);
    }
    if (!OneIn(liar, ChangeOneIn))
        return;
    liar->count++;
    at = (start + Next(liar) % 16 * 4) % ring->size;
    GpadlCopy(ring->gpadl, ring->firstPage * HvPageSize + at, &old, sizeof(old), false);
    for (int i = 0; i < ChangeRounds; i++) {
        uint32_t word = NastyWord(liar, old);
        GpadlCopy(ring->gpadl, ring->firstPage * HvPageSize + at, &word, sizeof(word), true);
        GpadlCopy(ring->gpadl, ring->firstPage * HvPageSize + at, &old, sizeof(old), true);
    }
}

// A packet of nobody's: an earlier one spoiled, or pure noise.
static VmbusOut *Invent(HvLiar *liar)
{
    static const uint16_t types[] = {PacketInBand, PacketTransferPages, PacketGpaDirect,
                                     PacketCompletion};
    const VmbusOut *old = liar->memory[Next(liar) % ARRAY_SIZE(liar->memory)];
    uint32_t length = sizeof(PacketHeader) + Next(liar) % 16 * 8 + sizeof(PacketTrailer);
    PacketHeader header = {.dataOffset8 = 2, .length8 = (length - sizeof(PacketTrailer)) / 8};
    VmbusOut *packet;

    if (old && Next(liar) % 8 != 0) {
        packet = CopyPacket(old);
        SpoilPacket(liar, packet);
        return packet;
    }
    packet = g_malloc0(sizeof(*packet) + length);
    packet->length = length;
    for (uint32_t i = 0; i + 4 <= length; i += 4)
        SpoilWord(liar, packet->bytes + i, 4);
    header.type = types[Next(liar) % ARRAY_SIZE(types)];
    header.tid = Next(liar) % 4096;
    memcpy(packet->bytes, &header, sizeof(header));
    return packet;
}

// --------------------------------------------------------------------------------------- as time
// goes

// Whether the guest has read or sent something since the last tick, or is at work with its
// channels.
static bool Progress(HvLiar *liar, VmbusChannel *channel)
{
    uint32_t out = channel->open ? qatomic_read(&channel->out.control->out) : 0;
    uint64_t sent = channel->packetsIn + Host->posts;
    bool moved = out != liar->lastOut || sent != liar->lastSent;

    liar->lastOut = out;
    liar->lastSent = sent;
    return moved;
}

// Counts those of the invented packets that the guest has read.
void HostileSettle(VmbusChannel *channel)
{
    HvLiar *liar = &channel->device->liar;
    uint32_t size = channel->out.size, read;

    if (channel->subIndex != 0)
        return;
    read = (qatomic_read(&channel->out.control->out) + size - liar->start) % size;
    for (unsigned i = 0; i < liar->invented; i++)
        liar->count += (liar->ends[i] + size - liar->start) % size <= read;
    liar->invented = 0;
}

static void TickDevice(VmbusDevice *device)
{
    HvLiar *liar = &device->liar;
    VmbusChannel *channel = device->channel;

    liar->idle = Progress(liar, channel) ? 0 : liar->idle + 1;
    if (channel->relid != 0 && !channel->rescinded &&
        (liar->idle > IdleTicks || OneIn(liar, RescindOneIn))) {
        liar->idle = 0;
        liar->count++;
        ChannelRescind(channel); // offered again as soon as the guest has released it
        return;
    }
    if (!channel->open || channel->dead ||
        qatomic_read(&channel->out.control->out) != channel->out.index)
        return;
    HostileSettle(channel);
    liar->start = channel->out.index;
    while (liar->invented < FloodMax && channel->open && !channel->dead &&
           channel->outgoingCount == 0) {
        RingPut(channel, Invent(liar));
        liar->ends[liar->invented++] = channel->out.index;
    }
}

// Messages that the bus has no reason to send.
static void TickBus(VmbusBus *bus)
{
    static const uint32_t types[] = {
        MessageOffer,
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
        99,
    };
    HvLiar *liar = &bus->liar;
    uint32_t message[HvMessageBytes / 4];

    for (unsigned i = 0;
         i < FloodMax && bus->offersRequested && bus->processor < Host->processors &&
         !SynicBusy(&Host->processor[bus->processor], bus->sint);
         i++) {
        uint32_t length = Next(liar) % (ARRAY_SIZE(message) + 1) * 4;
        for (unsigned word = 0; word < ARRAY_SIZE(message); word++)
            message[word] = Next(liar) % 2 == 0 ? Next(liar) % 64 : NastyWord(liar, 0);
        message[0] = types[Next(liar) % ARRAY_SIZE(types)];
        liar->count++;
        SynicPost(&Host->processor[bus->processor], bus->sint, 1, message, length);
    }
}

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

void HostileStart(VmbusBus *bus, HvLiar *liar, uint32_t seed)
{
    liar->seed = seed;
    liar->state = seed * 0x9E3779B97F4A7C15ull | 1;
    if (!bus->hostileTimer)
        bus->hostileTimer = timer_new_ns(QEMU_CLOCK_VIRTUAL, Tick, bus);
    timer_mod(bus->hostileTimer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + TickNanoseconds);
}

void HostileForget(HvLiar *liar)
{
    liar->seed = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(liar->memory); i++) {
        g_free(liar->memory[i]);
        liar->memory[i] = NULL;
    }
}
