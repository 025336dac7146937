// ring.c - the two ring buffers of a channel and who wakes whom (OpenVMM,
// vm/devices/vmbus/vmbus_ring/src/lib.rs; vmbus_async/src/{core,queue}.rs).
//
// Each ring has a control page and data. The writer stores *in*, the reader *out*; both are
// multiples of 8 and smaller than the data. The writer signals when the ring was empty and the
// reader's interrupt mask is off. A writer that finds too little room says how much it needs in
// pendingSendSize; the reader signals when its reading takes the free room across that. Whatever is
// malformed kills the channel: the host reads and writes no more, and nothing tells the guest. (A
// host that lies is more patient.)
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "exec/address-spaces.h"

enum { OutgoingMax = 8192, TrailerSize = sizeof(PacketTrailer), PipeData = 1 };

bool RingInit(VmbusRing *ring, VmbusGpadl *gpadl, uint32_t first, uint32_t end)
{
    if (first + 1 >= end || end > gpadl->pageCount)
        return false;
    ring->gpadl = gpadl;
    ring->control = (RingControl *)gpadl->pages[first];
    ring->firstPage = first + 1;
    ring->size = (end - first - 1) * HvPageSize;
    return true;
}

void RingDie(VmbusChannel *channel, const char *rule, const char *format, ...)
{
    va_list arguments;
    char text[160];

    if (HostileExcuses(channel, rule))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    StrictViolation(rule, "channel %u: %s; it is dead", channel->relid, text);
    channel->dead = true;
}

static void Copy(VmbusRing *ring, uint32_t at, void *buffer, uint32_t length, bool write)
{
    uint8_t *bytes = buffer;

    while (length != 0) {
        uint32_t count = MIN(ring->size - at, length);
        GpadlCopy(ring->gpadl, ring->firstPage * HvPageSize + at, bytes, count, write);
        bytes += count;
        length -= count;
        at = (at + count) % ring->size;
    }
}

// An index that the guest writes.
static bool GoodIndex(const VmbusRing *ring, uint32_t index)
{
    return index < ring->size && index % 8 == 0;
}

void RingSignalGuest(VmbusChannel *channel)
{
    VmbusBus *bus = channel->bus;

    if (bus->interruptPage != 0) { // before 2.4: a bitmap in memory and event flag 0
        uint32_t *bits = HvGuestPage(bus->interruptPage);
        if (bits) {
            qatomic_or(&bits[channel->relid / 32], 1u << channel->relid % 32);
            SynicSetFlag(&Host->processor[bus->processor], bus->sint, 0);
        }
    } else if (channel->processor < Host->processors) {
        SynicSetFlag(&Host->processor[channel->processor], bus->sint, channel->relid);
    }
}

// ------------------------------------------------------------------------------------ to the guest

static uint32_t FreeRoom(const VmbusRing *ring, uint32_t in, uint32_t out)
{
    return ring->size - (in + ring->size - out) % ring->size;
}

// Puts a complete packet, trailer included, into the ring. False: there is no room now.
static bool Put(VmbusChannel *channel, VmbusOut *packet)
{
    VmbusRing *ring = &channel->out;
    RingControl *control = ring->control;
    uint32_t in = ring->index, out = qatomic_read(&control->out), next;
    PacketTrailer trailer = {0, in};

    if (!GoodIndex(ring, out) || qatomic_read(&control->in) != in) {
        RingDie(channel, "ring-index", "in 0x%x (written: 0x%x), out 0x%x of %u bytes", control->in,
                in, out, ring->size);
        return true;
    }
    if (FreeRoom(ring, in, out) <= packet->length) {
        // Late on purpose: a quarter of the ring is to be free before the guest wakes us.
        uint32_t wanted = MIN(MAX(packet->length, ring->size / 4), ring->size - 8);
        qatomic_set(&control->pendingSendSize, wanted);
        smp_mb();
        out = qatomic_read(&control->out);
        if (!GoodIndex(ring, out) || FreeRoom(ring, in, out) <= packet->length)
            return false;
    }
    qatomic_set(&control->pendingSendSize, 0);
    memcpy(packet->bytes + packet->length - TrailerSize, &trailer, TrailerSize);
    Copy(ring, in, packet->bytes, packet->length, true);
    next = (in + packet->length) % ring->size;
    ring->index = next;
    channel->packetsOut++;
    smp_mb();
    qatomic_set(&control->in, next);
    smp_mb();
    if (qatomic_read(&control->interruptMask) == 0 && qatomic_read(&control->out) == in)
        RingSignalGuest(channel);
    HostileRead(channel);
    return true;
}

static void Flush(VmbusChannel *channel)
{
    VmbusOut *packet;

    while (channel->open && !channel->dead && (packet = QSIMPLEQ_FIRST(&channel->outgoing)) &&
           Put(channel, packet)) {
        QSIMPLEQ_REMOVE_HEAD(&channel->outgoing, next);
        channel->outgoingCount--;
        g_free(packet);
    }
}

void RingPut(VmbusChannel *channel, VmbusOut *packet)
{
    QSIMPLEQ_INSERT_TAIL(&channel->outgoing, packet, next);
    channel->outgoingCount++;
    Flush(channel);
}

void VmbusSend(VmbusChannel *channel, uint16_t type, uint16_t flags, uint64_t tid,
               const void *descriptor, uint32_t descriptorLength, const void *data, uint32_t length)
{
    uint32_t padded = ROUND_UP(descriptorLength, 8), dataPadded = ROUND_UP(length, 8);
    uint32_t total = sizeof(PacketHeader) + padded + dataPadded + TrailerSize;
    PacketHeader header = {type, (sizeof(header) + padded) / 8, (total - TrailerSize) / 8, flags,
                           tid};
    VmbusOut *packet;
    unsigned copies;

    if (!channel || !channel->open || channel->dead || channel->outgoingCount >= OutgoingMax)
        return;
    if (total >= channel->out.size - 8) {
        HvPrint("channel %u: a packet of %u bytes does not fit its ring", channel->relid, total);
        return;
    }
    packet = g_malloc0(sizeof(*packet) + total);
    packet->length = total;
    memcpy(packet->bytes, &header, sizeof(header));
    if (descriptorLength != 0)
        memcpy(packet->bytes + sizeof(header), descriptor, descriptorLength);
    if (length != 0)
        memcpy(packet->bytes + sizeof(header) + padded, data, length);
    copies = HostilePacket(channel, packet);
    if (copies == 2)
        RingPut(channel, g_memdup2(packet, sizeof(*packet) + total));
    if (copies != 0)
        RingPut(channel, packet);
    else
        g_free(packet);
}

void VmbusComplete(VmbusChannel *channel, VmbusPacket *packet, const void *data, uint32_t length)
{
    if ((packet->flags & PacketWantsCompletion) != 0)
        VmbusSend(channel, PacketCompletion, 0, packet->tid, NULL, 0, data, length);
}

void VmbusPipeSend(VmbusChannel *channel, const void *data, uint32_t length)
{
    PipeHeader header = {PipeData, length};
    g_autofree uint8_t *bytes = g_malloc(sizeof(header) + length);

    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), data, length);
    VmbusSend(channel, PacketInBand, 0, 0, NULL, 0, bytes, sizeof(header) + length);
}

bool VmbusPipeOpen(VmbusChannel *channel, VmbusPacket *packet, void *head, uint32_t headLength,
                   uint8_t **data, uint32_t *length)
{
    PipeHeader header;

    if (packet->type != PacketInBand || packet->length < sizeof(header)) {
        RingDie(channel, "pipe-packet", "a packet of type %u, %u bytes, in a pipe", packet->type,
                packet->length);
        return false;
    }
    memcpy(&header, packet->data, sizeof(header));
    if (header.type != PipeData || header.size > packet->length - sizeof(header)) {
        RingDie(channel, "pipe-header", "a pipe header of type %u, %u bytes", header.type,
                header.size);
        return false;
    }
    if (channel->device->emptyCompletions)
        VmbusComplete(channel, packet, NULL, 0);
    if (header.size < headLength) {
        RingDie(channel, "pipe-message", "a message of %u bytes", header.size);
        return false;
    }
    memcpy(head, packet->data + sizeof(header), headLength);
    *data = packet->data + sizeof(header) + headLength;
    *length = header.size - headLength;
    return true;
}

// ---------------------------------------------------------------------------------- from the guest

// Takes the ranges of a GPA-direct packet apart: reserved u32, count u32, then ranges as in a list.
static bool ParseRanges(VmbusPacket *packet, const uint8_t *bytes, uint32_t length)
{
    GArray *segments = g_array_new(false, false, sizeof(VmbusSegment));
    uint32_t count, reserved, at = 8;
    bool good = length >= 8;

    if (good) {
        memcpy(&reserved, bytes, 4);
        memcpy(&count, bytes + 4, 4);
        good = count != 0;
    }
    for (; good && packet->rangeCount < count; packet->rangeCount++) {
        uint32_t left, start;
        good = length - at >= 8;
        if (!good)
            break;
        memcpy(&left, bytes + at, 4);
        memcpy(&start, bytes + at + 4, 4);
        at += 8;
        good = left != 0 && start < HvPageSize;
        packet->segmentBytes += left;
        while (good && left != 0) {
            VmbusSegment segment;
            uint64_t number;
            good = length - at >= 8;
            if (!good)
                break;
            memcpy(&number, bytes + at, 8);
            at += 8;
            segment.address = number * HvPageSize + start;
            segment.length = MIN(left, HvPageSize - start);
            left -= segment.length;
            start = 0;
            g_array_append_val(segments, segment);
        }
    }
    packet->segmentCount = segments->len;
    packet->segments = (VmbusSegment *)g_array_free(segments, false);
    return good;
}

static bool GoodHeader(const PacketHeader *header, uint32_t available)
{
    bool direct = header->type == PacketGpaDirect;

    return (header->type == PacketInBand || direct || header->type == PacketCompletion) &&
           (header->flags & ~PacketWantsCompletion) == 0 &&
           header->dataOffset8 >= (direct ? 3 : 2) && header->length8 >= header->dataOffset8 &&
           header->length8 * 8u + TrailerSize <= available;
}

static void CheckTrailer(VmbusChannel *channel, const VmbusPacket *packet, uint32_t start,
                         uint32_t at)
{
    PacketTrailer trailer;

    memcpy(&trailer, packet->buffer + at, sizeof(trailer));
    if (trailer.reserved != 0 || trailer.start != start)
        StrictViolation("ring-trailer", "channel %u: trailer 0x%x, 0x%x of the packet at 0x%x",
                        channel->relid, trailer.reserved, trailer.start, start);
}

// Gives *out* to the guest, and wakes it when it waits for the room that this makes.
static void Consume(VmbusChannel *channel, uint32_t in, uint32_t total)
{
    VmbusRing *ring = &channel->in;
    uint32_t before = FreeRoom(ring, in, ring->index), wanted;

    ring->index = (ring->index + total) % ring->size;
    smp_mb();
    qatomic_set(&ring->control->out, ring->index);
    smp_mb();
    wanted = qatomic_read(&ring->control->pendingSendSize) & ~7u;
    if (wanted != 0 && before < wanted && before + total >= wanted)
        RingSignalGuest(channel);
}

// Takes the next packet; false when there is none or the channel has died.
static bool Get(VmbusChannel *channel, VmbusPacket *packet)
{
    VmbusRing *ring = &channel->in;
    uint32_t in = qatomic_read(&ring->control->in), out = ring->index, available, total;
    PacketHeader header;

    if (!GoodIndex(ring, in) || qatomic_read(&ring->control->out) != out) {
        RingDie(channel, "ring-index", "in 0x%x, out 0x%x (written: 0x%x) of %u bytes", in,
                ring->control->out, out, ring->size);
        return false;
    }
    available = (in + ring->size - out) % ring->size;
    if (available == 0)
        return false;
    smp_rmb();
    Copy(ring, out, &header, MIN(sizeof(header), available), false);
    if (available < sizeof(header) + TrailerSize || !GoodHeader(&header, available)) {
        RingDie(channel, "ring-packet", "type %u, flags 0x%x, data at %u, %u bytes of %u",
                header.type, header.flags, header.dataOffset8 * 8, header.length8 * 8, available);
        return false;
    }
    total = header.length8 * 8 + TrailerSize;
    memset(packet, 0, sizeof(*packet));
    packet->buffer = g_malloc(total);
    Copy(ring, out, packet->buffer, total, false);
    packet->type = header.type;
    packet->flags = header.flags;
    packet->tid = header.tid;
    packet->data = packet->buffer + header.dataOffset8 * 8;
    packet->length = (header.length8 - header.dataOffset8) * 8;
    CheckTrailer(channel, packet, out, header.length8 * 8);
    if (header.type == PacketGpaDirect && !ParseRanges(packet, packet->buffer + sizeof(header),
                                                       header.dataOffset8 * 8 - sizeof(header))) {
        RingDie(channel, "ring-ranges", "malformed ranges of memory");
        g_free(packet->segments);
        g_free(packet->buffer);
        return false;
    }
    channel->packetsIn++;
    Consume(channel, in, total);
    return true;
}

// Reads packets until there is none.
static void Drain(VmbusChannel *channel)
{
    VmbusPacket packet;

    while (channel->open && !channel->dead && channel->device && Get(channel, &packet)) {
        VMBUS_DEVICE_GET_CLASS(channel->device)->packet(channel->device, channel, &packet);
        g_free(packet.segments);
        g_free(packet.buffer);
    }
}

void RingWork(void *opaque)
{
    VmbusChannel *channel = opaque;

    channel->signalled = false;
    while (channel->open && !channel->dead) {
        RingControl *control = channel->in.control;
        qatomic_set(&control->interruptMask, 1);
        channel->hostSleeps = false;
        smp_mb();
        Drain(channel);
        if (!channel->open || channel->dead)
            break;
        if (qatomic_read(&control->interruptMask) != 1) {
            RingDie(channel, "ring-mask", "the guest wrote the mask of the ring that it writes to");
            break;
        }
        qatomic_set(&control->interruptMask, 0);
        smp_mb();
        channel->hostSleeps = true;
        if (qatomic_read(&control->in) == channel->in.index)
            break;
    }
    Flush(channel);
}

void SegmentsRead(VmbusSegment *segments, uint32_t count, uint32_t offset, void *buffer,
                  uint32_t length)
{
    uint8_t *bytes = buffer;

    for (; count != 0 && length != 0; count--, segments++) {
        uint32_t part;
        if (offset >= segments->length) {
            offset -= segments->length;
            continue;
        }
        part = MIN(segments->length - offset, length);
        address_space_read(&address_space_memory, segments->address + offset,
                           MEMTXATTRS_UNSPECIFIED, bytes, part);
        bytes += part;
        length -= part;
        offset = 0;
    }
}
