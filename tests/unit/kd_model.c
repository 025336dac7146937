// kd_model.c - the machine and the host of kd_model.h.
// SPDX-License-Identifier: MIT
#include "kd_model.h"

#include <stdbool.h>
#include <string.h>

uint8_t ModelMemory[MODEL_SIZE];
KdContext ModelContexts[MODEL_PROCESSORS];
KdSpecialRegisters ModelSpecials[MODEL_PROCESSORS];
uint32_t ModelPort;

// ------------------------------------------------------------------------------------- the machine

static size_t Available(uint64_t address, uint64_t base, size_t size)
{
    uint64_t offset = address - base;
    return offset >= MODEL_SIZE ? 0 : RTL_MIN(size, (size_t)(MODEL_SIZE - offset));
}

size_t KdiTargetRead(uint64_t address, void *buffer, size_t size)
{
    size = Available(address, MODEL_BASE, size);
    if (size != 0)
        memcpy(buffer, ModelMemory + (address - MODEL_BASE), size);
    return size;
}
size_t KdiTargetWrite(uint64_t address, const void *buffer, size_t size)
{
    size = Available(address, MODEL_BASE, size);
    if (size != 0)
        memcpy(ModelMemory + (address - MODEL_BASE), buffer, size);
    return size;
}
size_t KdiTargetReadPhysical(uint64_t address, void *buffer, size_t size)
{
    return Available(address, 0, size) != 0 ? KdiTargetRead(MODEL_BASE + address, buffer, size) : 0;
}
size_t KdiTargetWritePhysical(uint64_t address, const void *buffer, size_t size)
{
    return Available(address, 0, size) != 0 ? KdiTargetWrite(MODEL_BASE + address, buffer, size)
                                            : 0;
}
uint32_t KdiTargetProcessorCount(void)
{
    return MODEL_PROCESSORS;
}
bool KdiTargetGetContext(uint32_t processor, KdContext *context)
{
    if (processor >= MODEL_PROCESSORS)
        return false;
    *context = ModelContexts[processor];
    return true;
}
bool KdiTargetSetContext(uint32_t processor, const KdContext *context)
{
    if (processor >= MODEL_PROCESSORS)
        return false;
    ModelContexts[processor] = *context;
    return true;
}
bool KdiTargetGetSpecial(uint32_t processor, KdSpecialRegisters *special)
{
    if (processor >= MODEL_PROCESSORS)
        return false;
    *special = ModelSpecials[processor];
    return true;
}
bool KdiTargetSetSpecial(uint32_t processor, const KdSpecialRegisters *special)
{
    if (processor >= MODEL_PROCESSORS)
        return false;
    ModelSpecials[processor] = *special;
    return true;
}
bool KdiTargetGetAddress(uint32_t processor, uint64_t index, uint64_t *address)
{
    *address = MODEL_BASE + processor * 0x100 + index;
    return processor < MODEL_PROCESSORS && index <= 3;
}
bool KdiTargetReadMsr(uint32_t processor, uint32_t msr, uint64_t *value)
{
    *value = (uint64_t)processor << 32 | msr;
    return msr != 0xBAD;
}
bool KdiTargetWriteMsr(uint32_t processor, uint32_t msr, uint64_t value)
{
    return msr != 0xBAD;
}
bool KdiTargetReadPort(uint16_t port, uint32_t size, uint32_t *value)
{
    *value = ModelPort;
    return port != 0x2F8;
}
bool KdiTargetWritePort(uint16_t port, uint32_t size, uint32_t value)
{
    ModelPort = value;
    return port != 0x2F8;
}
uint32_t KdiTargetReadPci(uint32_t bus, uint32_t slot, uint32_t offset, void *buffer, uint32_t size)
{
    size = offset > 256 ? 0 : RTL_MIN(size, 256 - offset);
    memset(buffer, 0x5A, size);
    return size;
}
uint32_t KdiTargetWritePci(uint32_t bus, uint32_t slot, uint32_t offset, const void *buffer,
                           uint32_t size)
{
    return offset > 256 ? 0 : RTL_MIN(size, 256 - offset);
}
void KdiTargetGetVersion(KdVersion *version)
{
    *version = (KdVersion){.MajorVersion = 0xF, .MachineType = 0x8664, .KernBase = MODEL_BASE};
}
void KdiTargetQueryMemory(uint64_t address, uint32_t *space, uint32_t *access)
{
    *space = KDI_MEMORY_KERNEL;
    *access = Available(address, MODEL_BASE, 1) ? KDI_MEMORY_READ | KDI_MEMORY_WRITE : 0;
}

// ---------------------------------------------------------------------------------------- the line

void ModelReset(ModelLine *line)
{
    memset(line, 0, sizeof *line);
    line->NextId = KD_INITIAL_ID;
    for (size_t i = 0; i < MODEL_SIZE; i++)
        ModelMemory[i] = (uint8_t)(i * 7 + (i >> 8));
    memset(ModelContexts, 0, sizeof ModelContexts);
    memset(ModelSpecials, 0, sizeof ModelSpecials);
    for (uint32_t i = 0; i < MODEL_PROCESSORS; i++)
        ModelContexts[i].Rip = MODEL_BASE + 0x1000 * (i + 1);
    KdiClearAllBreakpoints();
}

void ModelQueue(ModelLine *line, const void *bytes, size_t size)
{
    size = RTL_MIN(size, sizeof line->In - line->InSize);
    if (size != 0)
        memcpy(line->In + line->InSize, bytes, size);
    line->InSize += size;
}

void ModelQueueControl(ModelLine *line, uint16_t type, uint32_t id)
{
    KdPacketHeader header = {.PacketLeader = KD_LEADER_CONTROL, .PacketType = type, .PacketId = id};
    ModelQueue(line, &header, sizeof header);
}

void ModelQueuePacket(ModelLine *line, uint16_t type, const void *data, size_t size,
                      const void *more, size_t moreSize)
{
    uint8_t trailer = KD_TRAILER;
    KdPacketHeader header = {.PacketLeader = KD_LEADER_DATA,
                             .PacketType = type,
                             .ByteCount = (uint16_t)(size + moreSize),
                             .PacketId = line->NextId};
    for (size_t i = 0; i < size; i++)
        header.Checksum += ((const uint8_t *)data)[i];
    for (size_t i = 0; i < moreSize; i++)
        header.Checksum += ((const uint8_t *)more)[i];
    line->NextId ^= 1;
    ModelQueue(line, &header, sizeof header);
    ModelQueue(line, data, size);
    ModelQueue(line, more, moreSize);
    ModelQueue(line, &trailer, 1);
}

// Finds the next packet at or after *at in what was sent.
static const KdPacketHeader *NextPacket(const ModelLine *line, size_t *at, size_t *next)
{
    static KdPacketHeader header;
    if (*at + sizeof header > line->OutSize)
        return nullptr;
    memcpy(&header, line->Out + *at, sizeof header);
    bool data = header.PacketLeader == KD_LEADER_DATA;
    *next = *at + sizeof header + (data ? header.ByteCount + 1u : 0u);
    return *next <= line->OutSize ? &header : nullptr;
}

static bool Send(void *context, const void *bytes, size_t size)
{
    ModelLine *line = context;
    if (size > sizeof line->Out - line->OutSize)
        return false;
    if (size != 0)
        memcpy(line->Out + line->OutSize, bytes, size);
    line->OutSize += size;
    size_t next;
    const KdPacketHeader *header;
    while ((header = NextPacket(line, &line->Acknowledged, &next)) != nullptr) {
        if (header->PacketLeader == KD_LEADER_DATA) {
            line->Owing = true;
            line->Owed = header->PacketId & ~KD_SYNC;
        }
        line->Acknowledged = next;
    }
    return true;
}

static KdiByteResult Receive(void *context, uint8_t *byte, KdiWait wait)
{
    ModelLine *line = context;
    static uint8_t reply[sizeof(KdPacketHeader)];
    static size_t replyLeft;
    if (line->Owing && !line->Deaf && replyLeft == 0) {
        KdPacketHeader header = {.PacketLeader = KD_LEADER_CONTROL,
                                 .PacketType = KdPacketAcknowledge,
                                 .PacketId = line->Owed};
        memcpy(reply, &header, sizeof header);
        replyLeft = sizeof header;
        line->Owing = false;
    }
    if (replyLeft != 0) {
        *byte = reply[sizeof reply - replyLeft--];
        return KdiByteReceived;
    }
    if (line->InTaken < line->InSize) {
        *byte = line->In[line->InTaken++];
        return KdiByteReceived;
    }
    if (line->SilenceLeft != 0) {
        line->SilenceLeft--;
        return KdiByteNone;
    }
    return KdiByteGone;
}

const KdiPort ModelLinePort = {Send, Receive};

const uint8_t *ModelSent(const ModelLine *line, uint16_t type, size_t n, size_t *size)
{
    size_t at = 0, next;
    const KdPacketHeader *header;
    while ((header = NextPacket(line, &at, &next)) != nullptr) {
        if (header->PacketLeader == KD_LEADER_DATA && header->PacketType == type && n-- == 0) {
            *size = header->ByteCount;
            return line->Out + at + sizeof *header;
        }
        at = next;
    }
    return nullptr;
}

size_t ModelCountControl(const ModelLine *line, uint16_t type)
{
    size_t at = 0, next, count = 0;
    const KdPacketHeader *header;
    while ((header = NextPacket(line, &at, &next)) != nullptr) {
        count += header->PacketLeader == KD_LEADER_CONTROL && header->PacketType == type;
        at = next;
    }
    return count;
}
