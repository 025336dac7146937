// ring.c - the two rings of a channel.
//
// A ring is written by one side and read by the other; In and Out are byte offsets into the data,
// multiples of 8, and one word always stays free, so that equal means empty. Each side keeps its
// own index to itself (Here) and stores it in the control page (Published) when the other may see
// it: a writer after one packet or several, a reader after a burst. What the other side's index
// says is copied once and must be a multiple of 8 below the size; if not, the ring is Broken for
// good.
//
// Signals, which cost an exit to the hypervisor and of which a host counts the unneeded ones:
// a writer signals when it has published into a ring that was empty and the reader does not mask;
// a reader signals when what it gave back makes the free room cross the size that the writer asked
// for in PendingSize. Both store their index first and look at the other's fields only behind a
// full barrier; the other side stores its fields and then looks at the index, so that one of the
// two always notices.
//
// Locking: the caller's; one at a time on each ring.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "rtl/rtl.h"

#define RESERVED_BYTES 8u // never filled
// A host may count the reserved word as free or not, so ask for a little more than is needed.
#define PENDING_SLACK 8u

void VmbusInitializeRing(VmbusRing *ring, void *control, void *data, uint32_t size, bool weWrite)
{
    *ring = (VmbusRing){.Control = control, .Data = data, .Size = size};
    memset(control, 0, sizeof(VmbusRingControl));
    if (weWrite)
        ring->Control->Features = 1;
}

static void Fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// A copy of the other side's index; false: it cannot be one.
static bool ReadIndex(VmbusRing *ring, const volatile uint32_t *index, uint32_t *value)
{
    *value = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    if (*value >= ring->Size || *value % 8 != 0)
        ring->Broken = true;
    return !ring->Broken;
}

static uint32_t Distance(const VmbusRing *ring, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + ring->Size - from;
}

static uint32_t Advance(const VmbusRing *ring, uint32_t index, uint32_t bytes)
{
    index += bytes;
    return index >= ring->Size ? index - ring->Size : index;
}

// ------------------------------------------------------------------------------------- writing

bool VmbusFitsRing(const VmbusRing *ring, uint64_t bytes)
{
    return bytes + VMBUS_TRAILER_SIZE + RESERVED_BYTES + PENDING_SLACK <= ring->Size;
}

// Free bytes, the reserved word not counted; false: Broken.
static bool CountFree(VmbusRing *ring, uint32_t *bytes)
{
    uint32_t out;
    if (!ReadIndex(ring, &ring->Control->Out, &out))
        return false;
    *bytes = ring->Size - Distance(ring, out, ring->Here) - RESERVED_BYTES;
    return true;
}

void *VmbusReservePacket(VmbusRing *ring, uint32_t bytes)
{
    uint32_t available, needed = bytes + VMBUS_TRAILER_SIZE;
    if (!VmbusFitsRing(ring, bytes) || !CountFree(ring, &available))
        return nullptr;
    if (available < needed) {
        // Woken late, with room for several packets, rather than for each.
        ring->Wanted = RTL_MAX(needed + PENDING_SLACK, ring->Size / 4);
        ring->Control->PendingSize = ring->Wanted;
        Fence();
        if (!CountFree(ring, &available) || available < needed)
            return nullptr;
    }
    if (ring->Wanted != 0)
        ring->Control->PendingSize = ring->Wanted = 0;
    return ring->Data + ring->Here;
}

void VmbusCommitPacket(VmbusRing *ring, uint32_t bytes)
{
    uint64_t trailer = (uint64_t)ring->Here << 32;
    memcpy(ring->Data + ring->Here + bytes, &trailer, sizeof(trailer));
    ring->Here = Advance(ring, ring->Here, bytes + VMBUS_TRAILER_SIZE);
}

bool VmbusPublishPackets(VmbusRing *ring)
{
    uint32_t before = ring->Published, out;
    if (before == ring->Here)
        return false;
    __atomic_store_n(&ring->Control->In, ring->Here, __ATOMIC_RELEASE);
    ring->Published = ring->Here;
    Fence();
    return ring->Control->InterruptMask == 0 && ReadIndex(ring, &ring->Control->Out, &out) &&
           out == before;
}

bool VmbusIsWritable(VmbusRing *ring)
{
    uint32_t available;
    if (ring->Wanted == 0 || !CountFree(ring, &available) ||
        available + PENDING_SLACK < ring->Wanted)
        return false;
    ring->Control->PendingSize = ring->Wanted = 0;
    return true;
}

// ------------------------------------------------------------------------------------- reading

// Afterwards the compiler cannot take the bytes from where they were.
static void CopyOnce(void *to, const uint8_t *from, size_t size)
{
    memcpy(to, from, size);
    __asm__ volatile("" : : : "memory");
}

// Drops so many bytes of what has arrived.
static VmbusReadResult Drop(VmbusRing *ring, uint32_t bytes)
{
    ring->Here = Advance(ring, ring->Here, bytes);
    return VmbusReadBad;
}

// Where a packet's data begin, past the list of ranges of a transfer-page packet: type u16 id,
// u16 unused, u32 count, count ranges.
static bool FindRanges(VmbusPacket *packet, const uint8_t *buffer, uint32_t dataOffset)
{
    uint32_t at = sizeof(VmbusPacketHeader), count;
    if (dataOffset < at + 8)
        return false;
    memcpy(&packet->BufferId, buffer + at, sizeof(packet->BufferId));
    memcpy(&count, buffer + at + 4, sizeof(count));
    if (count > (dataOffset - at - 8) / sizeof(VmbusTransferRange))
        return false;
    packet->RangeCount = count;
    packet->Ranges = (const VmbusTransferRange *)(buffer + at + 8);
    return true;
}

VmbusReadResult VmbusTakePacket(VmbusRing *ring, void *buffer, uint32_t capacity,
                                VmbusPacket *packet)
{
    uint32_t in;
    if (ring->Broken || !ReadIndex(ring, &ring->Control->In, &in))
        return VmbusReadBroken;
    uint32_t available = Distance(ring, ring->Here, in);
    if (available == 0)
        return VmbusReadEmpty;
    const uint8_t *from = ring->Data + ring->Here;
    VmbusPacketHeader header;
    if (available < sizeof(header) + VMBUS_TRAILER_SIZE)
        return Drop(ring, available);
    CopyOnce(&header, from, sizeof(header));
    uint32_t length = header.Length * 8u, offset = header.DataOffset * 8u;
    if (length < sizeof(header) || length + VMBUS_TRAILER_SIZE > available)
        return Drop(ring, available); // where the next one begins cannot be known
    if (length > capacity || offset > length || offset < sizeof(header))
        return Drop(ring, length + VMBUS_TRAILER_SIZE);
    memcpy(buffer, &header, sizeof(header));
    CopyOnce((uint8_t *)buffer + sizeof(header), from + sizeof(header), length - sizeof(header));
    *packet = (VmbusPacket){
        .Header = header, .Data = (const uint8_t *)buffer + offset, .Size = length - offset};
    if (header.Type == VmbusTransferPages && !FindRanges(packet, buffer, offset))
        return Drop(ring, length + VMBUS_TRAILER_SIZE);
    ring->Here = Advance(ring, ring->Here, length + VMBUS_TRAILER_SIZE);
    return VmbusReadPacket;
}

bool VmbusReleasePackets(VmbusRing *ring)
{
    uint32_t before = ring->Published, in;
    if (before == ring->Here)
        return false;
    __atomic_store_n(&ring->Control->Out, ring->Here, __ATOMIC_RELEASE);
    ring->Published = ring->Here;
    Fence();
    uint32_t wanted = ring->Control->PendingSize & ~7u;
    if (wanted == 0 || !ReadIndex(ring, &ring->Control->In, &in))
        return false;
    uint32_t freeAfter = ring->Size - Distance(ring, ring->Here, in);
    uint32_t freeBefore = ring->Size - Distance(ring, before, in);
    return freeBefore < wanted && wanted <= freeAfter;
}

void VmbusMaskInterrupts(VmbusRing *ring)
{
    ring->Control->InterruptMask = 1;
    Fence();
}

bool VmbusUnmaskInterrupts(VmbusRing *ring)
{
    uint32_t in;
    ring->Control->InterruptMask = 0;
    Fence();
    return !ring->Broken && ReadIndex(ring, &ring->Control->In, &in) && in != ring->Here;
}
