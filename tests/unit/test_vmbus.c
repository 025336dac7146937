// Tests of lib/vmbus: messages as the wire has them, rings between two honest sides, and what a
// dishonest one can do to them.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "vmbus/vmbus.h"

#include "double_map.h"
#include "unit.h"

// ---------------------------------------------------------------------------------------- messages

static void Put(uint8_t *bytes, size_t at, uint64_t value, size_t size)
{
    memcpy(bytes + at, &value, size);
}
static uint64_t Get(const void *bytes, size_t at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)bytes + at, size);
    return value;
}

static void Contact(void)
{
    VmbusBytes bytes;
    CHECK_EQUAL(VmbusBuildContact(&bytes, VMBUS_VERSION(5, 3), 7, 2), 40);
    CHECK_EQUAL(Get(&bytes, 0, 8), 14);
    CHECK_EQUAL(Get(&bytes, 8, 4), 0x50003);
    CHECK_EQUAL(Get(&bytes, 12, 4), 7);
    CHECK_EQUAL(Get(&bytes, 16, 8), 2);
    CHECK_EQUAL(VmbusBuildContact(&bytes, VMBUS_VERSION(4, 1), 7, 2), 40);
    CHECK_EQUAL(Get(&bytes, 16, 8), 0); // there is no interrupt page
}

static void Open(void)
{
    VmbusBytes bytes;
    uint8_t user[VMBUS_USER_DATA] = {1, [VMBUS_USER_DATA - 1] = 9};
    CHECK_EQUAL(VmbusBuildOpen(&bytes, 5, 6, 7, 8, 9, user), 148);
    for (uint32_t i = 0; i < 5; i++)
        CHECK_EQUAL(Get(&bytes, 8 + 4 * i, 4), 5 + i);
    CHECK_EQUAL(Get(&bytes, 28, 1), 1);
    CHECK_EQUAL(Get(&bytes, 147, 1), 9);
    CHECK_EQUAL(VmbusBuildChannel(&bytes, VmbusClose, 5, 6), 12);
    CHECK_EQUAL(VmbusBuildChannel(&bytes, VmbusReleased, 5, 6), 12);
    CHECK_EQUAL(VmbusBuildChannel(&bytes, VmbusGpadlTeardown, 5, 6), 16);
    CHECK_EQUAL(VmbusBuildPlain(&bytes, VmbusUnload), 8);
}

static uint64_t FrameOf(void *context, uint32_t page)
{
    return *(uint64_t *)context + page * 3;
}

static void CheckGpadl(uint32_t pages)
{
    VmbusGpadl gpadl = {.Channel = 11, .Id = 12, .Pages = pages};
    uint64_t base = 0x123456, seen = 0, messages = 0;
    VmbusBytes bytes;
    for (size_t size; (size = VmbusBuildGpadl(&gpadl, &bytes, FrameOf, &base)) != 0; messages++) {
        size_t at = messages == 0 ? 28 : 16;
        CHECK(size <= VMBUS_MESSAGE_SIZE && (size - at) % 8 == 0);
        CHECK_EQUAL(Get(&bytes, 0, 8), messages == 0 ? 8 : 9);
        CHECK_EQUAL(Get(&bytes, 12, 4), 12);
        for (; at < size; at += 8)
            CHECK_EQUAL(Get(&bytes, at, 8), base + 3 * seen++);
        if (messages == 0) {
            CHECK_EQUAL(Get(&bytes, 8, 4), 11);
            CHECK_EQUAL(Get(&bytes, 16, 2), 8 + 8 * pages);
            CHECK_EQUAL(Get(&bytes, 18, 2), 1);
            CHECK_EQUAL(Get(&bytes, 20, 8), pages * 4096ull);
        }
    }
    CHECK_EQUAL(seen, pages);
}

static void Gpadls(void)
{
    static const uint32_t sizes[] = {1, 25, 26, 27, 53, 54, 55, 4096, VMBUS_GPADL_PAGES};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        CheckGpadl(sizes[i]);
    VmbusGpadl tooLarge = {.Pages = VMBUS_GPADL_PAGES + 1};
    VmbusBytes bytes;
    CHECK_EQUAL(VmbusBuildGpadl(&tooLarge, &bytes, FrameOf, nullptr), 0);
}

static void Offers(void)
{
    uint8_t bytes[VMBUS_MESSAGE_SIZE] = {1};
    VmbusMessage message;
    char text[VMBUS_GUID_TEXT];
    memcpy(bytes + 8, &VmbusClassScsi, 16);
    Put(bytes, 56, VMBUS_OFFER_PIPE, 2);
    Put(bytes, 58, 8, 2);
    bytes[60] = 0x77;
    Put(bytes, 180, 3, 2);
    Put(bytes, 184, 2047, 4);
    Put(bytes, 192, 0x27FF, 4);
    CHECK(VmbusParseMessage(bytes, 196, VMBUS_VERSION(5, 3), &message));
    CHECK_EQUAL(message.Type, VmbusOfferChannel);
    CHECK(VmbusEqualGuids(&message.Offer.Class, &VmbusClassScsi));
    CHECK_TEXT(VmbusNameOfClass(&message.Offer.Class), "scsi");
    VmbusFormatGuid(&message.Offer.Class, text);
    CHECK_TEXT(text, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
    CHECK_EQUAL(message.Offer.Flags, VMBUS_OFFER_PIPE);
    CHECK_EQUAL(message.Offer.MmioMegabytes, 8);
    CHECK_EQUAL(message.Offer.UserData[0], 0x77);
    CHECK_EQUAL(message.Offer.SubIndex, 3);
    CHECK_EQUAL(message.Offer.Channel, 2047);
    CHECK_EQUAL(message.Offer.Connection, 0x27FF);
    CHECK(!VmbusParseMessage(bytes, 195, VMBUS_VERSION(5, 3), &message));
    Put(bytes, 184, 0, 4);
    CHECK(!VmbusParseMessage(bytes, 196, VMBUS_VERSION(5, 3), &message));
    Put(bytes, 184, 2048, 4);
    CHECK(!VmbusParseMessage(bytes, 196, VMBUS_VERSION(5, 3), &message));
}

static void Versions(void)
{
    uint8_t bytes[16] = {15, [8] = 1, [12] = 4};
    VmbusMessage message;
    CHECK(VmbusParseMessage(bytes, 16, VMBUS_VERSION(5, 0), &message));
    CHECK(message.Supported && message.Connection == 4);
    CHECK(VmbusParseMessage(bytes, 16, VMBUS_VERSION(4, 1), &message));
    CHECK(message.Supported && message.Connection == 0); // the field is the version there
    bytes[9] = 2;
    CHECK(VmbusParseMessage(bytes, 16, VMBUS_VERSION(5, 0), &message));
    CHECK(!message.Supported);
    bytes[8] = bytes[9] = 0;
    CHECK(VmbusParseMessage(bytes, 16, VMBUS_VERSION(5, 0), &message));
    CHECK(!message.Supported);
    CHECK(!VmbusParseMessage(bytes, 15, VMBUS_VERSION(5, 0), &message));
    for (const uint32_t *version = VmbusVersions; *version != 0; version++)
        CHECK(version == VmbusVersions || version[0] < version[-1]);
}

static void ShortMessages(void)
{
    static const struct {
        uint8_t Type;
        size_t Size;
    } sizes[] = {{2, 12}, {4, 8}, {6, 20}, {10, 20}, {12, 12}, {15, 16}, {17, 8}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        VmbusMessage message;
        uint8_t *bytes = calloc(1, sizes[i].Size); // no more, so that a read behind it is noticed
        bytes[0] = sizes[i].Type;
        if (sizes[i].Size > 8)
            bytes[8] = 1;
        CHECK(VmbusParseMessage(bytes, sizes[i].Size, VMBUS_VERSION(5, 3), &message));
        for (size_t size = 0; size < sizes[i].Size; size++)
            CHECK(!VmbusParseMessage(bytes, size, VMBUS_VERSION(5, 3), &message));
        free(bytes);
    }
}

// ------------------------------------------------------------------------------------------- rings

#define RING_SIZE 4096u
typedef struct Pair { // the two sides of one ring
    VmbusRing Writer, Reader;
} Pair;
static VmbusRingControl control;
static uint8_t *data;

static Pair MakePair(void)
{
    Pair pair;
    if (data == nullptr)
        data = MapTwice(RING_SIZE);
    VmbusInitializeRing(&pair.Reader, &control, data, RING_SIZE, false);
    VmbusInitializeRing(&pair.Writer, &control, data, RING_SIZE, true);
    return pair;
}

static bool Write(VmbusRing *ring, uint32_t size, uint64_t id)
{
    uint8_t *to = VmbusReservePacket(ring, size);
    if (to == nullptr)
        return false;
    VmbusPacketHeader header = {VmbusInBand, 2, (uint16_t)(size / 8), 0, id};
    memcpy(to, &header, sizeof(header));
    memset(to + sizeof(header), (int)id, size - sizeof(header));
    VmbusCommitPacket(ring, size);
    return true;
}

static bool IsPacket(const VmbusPacket *packet, uint32_t size, uint64_t id)
{
    bool same = packet->Header.TransactionId == id && packet->Size == size - 16;
    for (uint32_t i = 0; same && i < packet->Size; i++)
        same = packet->Data[i] == (uint8_t)id;
    return same;
}

// Packets of all sizes, written and read in bursts.
static void Traffic(void)
{
    Pair pair = MakePair();
    uint64_t state = 1, written = 0, read = 0;
    static uint32_t sizes[1000];
    _Alignas(8) uint8_t buffer[RING_SIZE];
    while (read < 200000) {
        for (uint64_t burst = UnitRandom(&state) % 20; burst > 0; burst--) {
            uint32_t size = 16 + 8 * (uint32_t)(UnitRandom(&state) % 120);
            if (written - read == 1000 || !Write(&pair.Writer, size, written))
                break;
            sizes[written++ % 1000] = size;
        }
        bool wasEmpty = control.In == control.Out, some = pair.Writer.Here != control.In;
        CHECK_EQUAL(VmbusPublishPackets(&pair.Writer), wasEmpty && some);
        for (uint64_t burst = UnitRandom(&state) % 20; burst > 0; burst--) {
            VmbusPacket packet;
            if (VmbusTakePacket(&pair.Reader, buffer, sizeof(buffer), &packet) != VmbusReadPacket)
                break;
            CHECK(IsPacket(&packet, sizes[read % 1000], read));
            read++;
        }
        uint32_t wanted = control.PendingSize;
        uint32_t before = RING_SIZE - (control.In - control.Out) % RING_SIZE;
        bool signal = VmbusReleasePackets(&pair.Reader);
        uint32_t after = RING_SIZE - (control.In - control.Out) % RING_SIZE;
        CHECK_EQUAL(signal, wanted != 0 && before < wanted && wanted <= after);
        if (signal)
            CHECK(VmbusIsWritable(&pair.Writer));
    }
    CHECK(!pair.Writer.Broken && !pair.Reader.Broken);
}

static void FullRing(void)
{
    Pair pair = MakePair();
    _Alignas(8) uint8_t buffer[RING_SIZE];
    VmbusPacket packet;
    uint32_t count = 0;
    while (Write(&pair.Writer, 64, count))
        count++;
    CHECK_EQUAL(count, (RING_SIZE - 8) / 72);
    CHECK_EQUAL(control.PendingSize, RING_SIZE / 4);
    CHECK(!VmbusIsWritable(&pair.Writer));
    CHECK(VmbusPublishPackets(&pair.Writer));
    uint32_t taken = 0;
    do { // the reader signals once, when a quarter is free
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, sizeof(buffer), &packet),
                    VmbusReadPacket);
        taken++;
    } while (!VmbusReleasePackets(&pair.Reader) && taken < count);
    CHECK_EQUAL(taken, (RING_SIZE / 4 - (RING_SIZE - count * 72) + 71) / 72);
    CHECK(VmbusIsWritable(&pair.Writer));
    CHECK_EQUAL(control.PendingSize, 0);
    CHECK(!VmbusIsWritable(&pair.Writer)); // told once
    CHECK(!VmbusFitsRing(&pair.Writer, RING_SIZE - 16));
    CHECK(VmbusFitsRing(&pair.Writer, RING_SIZE - 24));
    CHECK(VmbusReservePacket(&pair.Writer, RING_SIZE) == nullptr);
}

static void Masking(void)
{
    Pair pair = MakePair();
    VmbusMaskInterrupts(&pair.Reader);
    CHECK(Write(&pair.Writer, 16, 1));
    CHECK(!VmbusPublishPackets(&pair.Writer));
    CHECK(VmbusUnmaskInterrupts(&pair.Reader)); // look again
    _Alignas(8) uint8_t buffer[RING_SIZE];
    VmbusPacket packet;
    CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, sizeof(buffer), &packet), VmbusReadPacket);
    CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, sizeof(buffer), &packet), VmbusReadEmpty);
    CHECK(!VmbusReleasePackets(&pair.Reader));
    CHECK(!VmbusUnmaskInterrupts(&pair.Reader));
    CHECK(!VmbusPublishPackets(&pair.Writer)); // nothing new
    CHECK(Write(&pair.Writer, 16, 2));
    CHECK(Write(&pair.Writer, 16, 3));
    CHECK(VmbusPublishPackets(&pair.Writer)); // one signal for two
    CHECK(Write(&pair.Writer, 16, 4));
    CHECK(!VmbusPublishPackets(&pair.Writer)); // it was not empty
}

// -------------------------------------------------------------------------------------- dishonesty

static VmbusReadResult TakeRaw(uint16_t type, uint16_t offset, uint16_t length, uint32_t in,
                               uint32_t capacity)
{
    Pair pair = MakePair();
    VmbusPacketHeader header = {(VmbusPacketType)type, offset, length, 0, 0};
    VmbusPacket packet;
    memset(data, 0xFF, RING_SIZE);
    memcpy(data, &header, sizeof(header));
    control.In = in;
    uint8_t *buffer = malloc(capacity);
    VmbusReadResult result = VmbusTakePacket(&pair.Reader, buffer, capacity, &packet);
    if (result == VmbusReadBroken)
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, capacity, &packet), VmbusReadBroken);
    if (result == VmbusReadBad) // all of it is gone
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, capacity, &packet), VmbusReadEmpty);
    free(buffer);
    return result;
}

static void BadPackets(void)
{
    CHECK_EQUAL(TakeRaw(6, 2, 3, 32, 4096), VmbusReadPacket);
    CHECK_EQUAL(TakeRaw(6, 2, 2, 24, 16), VmbusReadPacket);
    CHECK_EQUAL(TakeRaw(6, 2, 3, 24, 4096), VmbusReadBad); // longer than what is there
    CHECK_EQUAL(TakeRaw(6, 2, 3, 16, 4096), VmbusReadBad); // no room for a packet
    CHECK_EQUAL(TakeRaw(6, 2, 3, 32, 16), VmbusReadBad);   // longer than we take
    CHECK_EQUAL(TakeRaw(6, 2, 1, 32, 4096), VmbusReadBad); // shorter than its header
    CHECK_EQUAL(TakeRaw(6, 1, 3, 32, 4096), VmbusReadBad); // data in the header
    CHECK_EQUAL(TakeRaw(6, 4, 3, 32, 4096), VmbusReadBad); // data behind its end
    CHECK_EQUAL(TakeRaw(6, 2, 0xFFFF, 32, 4096), VmbusReadBad);
    CHECK_EQUAL(TakeRaw(6, 2, 2, 4096, 4096), VmbusReadBroken); // no index
    CHECK_EQUAL(TakeRaw(6, 2, 2, 28, 4096), VmbusReadBroken);   // not a multiple of 8
    CHECK_EQUAL(TakeRaw(6, 2, 2, 0x80000000, 4096), VmbusReadBroken);
    CHECK_EQUAL(TakeRaw(7, 2, 8, 72, 4096), VmbusReadBad); // no room for the ranges' count
    CHECK_EQUAL(TakeRaw(7, 4, 8, 72, 4096), VmbusReadBad); // 0xFFFFFFFF ranges
}

// What follows a packet that is dropped arrives, unless its length cannot be believed.
static void PacketsBehindBadOnes(void)
{
    for (int kind = 0; kind < 3; kind++) {
        Pair pair = MakePair();
        _Alignas(8) uint8_t buffer[64];
        VmbusPacket packet;
        CHECK(Write(&pair.Writer, 16, 1));
        CHECK(Write(&pair.Writer, kind == 0 ? 128 : 64, 2)); // longer than we take
        CHECK(Write(&pair.Writer, 24, 3));
        if (kind != 0) { // data in the header; shorter than that
            VmbusPacketHeader *second = (VmbusPacketHeader *)(data + 24);
            second->DataOffset = 1;
            second->Length = kind == 1 ? second->Length : 1;
        }
        (void)VmbusPublishPackets(&pair.Writer);
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, 64, &packet), VmbusReadPacket);
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, 64, &packet), VmbusReadBad);
        if (kind != 2) {
            CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, 64, &packet), VmbusReadPacket);
            CHECK(IsPacket(&packet, 24, 3));
        }
        CHECK_EQUAL(VmbusTakePacket(&pair.Reader, buffer, 64, &packet), VmbusReadEmpty);
        (void)VmbusReleasePackets(&pair.Reader);
        CHECK_EQUAL(control.Out, control.In);
    }
}

static void BadIndices(void)
{
    Pair pair = MakePair();
    CHECK(Write(&pair.Writer, 16, 1));
    control.Out = RING_SIZE;
    CHECK(!VmbusPublishPackets(&pair.Writer));
    CHECK(pair.Writer.Broken);
    CHECK(!Write(&pair.Writer, 16, 1));
    pair = MakePair();
    CHECK(Write(&pair.Writer, 16, 1));
    control.In = 4; // what we say of ourselves is not believed from there
    CHECK(VmbusPublishPackets(&pair.Writer));
    CHECK_EQUAL(control.In, 24);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"contact", Contact},
        {"open, close, teardown", Open},
        {"memory of any size is described", Gpadls},
        {"offers", Offers},
        {"versions", Versions},
        {"messages too short", ShortMessages},
        {"packets arrive as they were sent", Traffic},
        {"a full ring", FullRing},
        {"masked interrupts", Masking},
        {"damaged packets", BadPackets},
        {"packets behind damaged ones", PacketsBehindBadOnes},
        {"damaged indices", BadIndices},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
