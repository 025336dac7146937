// fuzz_vmbus.c - a host that writes anything anywhere at any time: whatever is taken from a ring
// lies in the buffer it was copied to, and whatever is put into one lies in the ring.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "../unit/double_map.h"
#include "vmbus/vmbus.h"

#include <stdlib.h>
#include <string.h>

#define RING_SIZE 4096u
#define CAPACITY  1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *At;
    size_t Left;
} Input;

static uint32_t Next(Input *input)
{
    uint32_t value = 0;
    size_t size = input->Left < sizeof(value) ? input->Left : sizeof(value);
    memcpy(&value, input->At, size);
    input->At += size;
    input->Left -= size;
    return value;
}

static void ParseAnything(Input *input)
{
    size_t size = Next(input) % (VMBUS_MESSAGE_SIZE + 1);
    size = size < input->Left ? size : input->Left;
    uint8_t *copy = malloc(size);
    VmbusMessage message;
    if (size != 0)
        memcpy(copy, input->At, size);
    if (VmbusParseMessage(copy, size, Next(input), &message) && message.Channel >= VMBUS_CHANNELS)
        abort();
    free(copy);
}

static volatile uint8_t sum;
static void Use(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
}

static void TakeAll(VmbusRing *ring)
{
    uint8_t *buffer = malloc(CAPACITY);
    VmbusPacket packet;
    for (int i = 0; i < 100; i++) {
        VmbusReadResult result = VmbusTakePacket(ring, buffer, CAPACITY, &packet);
        if (result == VmbusReadBad)
            continue;
        if (result != VmbusReadPacket)
            break;
        Use(packet.Data, packet.Size);
        Use((const uint8_t *)packet.Ranges, packet.RangeCount * sizeof(VmbusTransferRange));
    }
    (void)VmbusReleasePackets(ring);
    (void)VmbusUnmaskInterrupts(ring);
    free(buffer);
}

static void PutSome(VmbusRing *ring, uint32_t size)
{
    size = (16 + size % 2048) & ~7u;
    uint8_t *to = VmbusReservePacket(ring, size);
    if (to == nullptr)
        return;
    if (to < ring->Data || to + size + VMBUS_TRAILER_SIZE > ring->Data + 2 * RING_SIZE)
        abort();
    memset(to, 0x55, size);
    VmbusCommitPacket(ring, size);
    (void)VmbusPublishPackets(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *memory[2];
    static VmbusRingControl controls[2];
    VmbusRing rings[2];
    Input input = {data, size};
    for (int i = 0; i < 2; i++) {
        if (memory[i] == nullptr)
            memory[i] = MapTwice(RING_SIZE);
        VmbusInitializeRing(&rings[i], &controls[i], memory[i], RING_SIZE, i == 0);
    }
    ParseAnything(&input);
    while (input.Left != 0) {
        uint32_t what = Next(&input), where = Next(&input) % RING_SIZE;
        VmbusRingControl *control = &controls[what >> 3 & 1];
        switch (what % 8) {
        case 0:
            control->In = where & ~7u;
            break;
        case 1:
            control->Out = where & ~7u;
            break;
        case 2:
            ((volatile uint32_t *)control)[where % 16] = Next(&input);
            break;
        case 3: {
            uint32_t value = Next(&input);
            memcpy(memory[1] + where, &value, sizeof(value));
            break;
        }
        case 4: { // a packet that may be one
            VmbusPacketHeader header = {6 + what / 16 % 6, what / 256 % 8, what / 2048 % 32, 0, 0};
            memcpy(memory[1] + (where & ~7u), &header, sizeof(header));
            break;
        }
        case 5:
            PutSome(&rings[0], where);
            (void)VmbusIsWritable(&rings[0]);
            break;
        default:
            TakeAll(&rings[1]);
            break;
        }
    }
    return 0;
}
