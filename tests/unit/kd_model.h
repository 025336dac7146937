// kd_model.h - a machine and a host for the native tests of kernel/kd: some memory, some registers,
// and a serial line with a scripted host at its other end.
// SPDX-License-Identifier: MIT
#pragma once

#include "../../kernel/kd/remote.h"

#define MODEL_BASE       0xFFFFF80000000000ull // of the memory, virtual
#define MODEL_SIZE       0x10000u
#define MODEL_PROCESSORS 4u

extern uint8_t ModelMemory[MODEL_SIZE];
extern KdContext ModelContexts[MODEL_PROCESSORS];
extern KdSpecialRegisters ModelSpecials[MODEL_PROCESSORS];
extern uint32_t ModelPort; // the last value written to a port

// The line. The host acknowledges each of the target's data packets as it comes (unless Deaf), and
// sends its own bytes, the queue, whenever the target waits and owes it nothing. With the queue
// empty the line is silent for SilenceLeft waits, then gone.
typedef struct ModelLine {
    uint8_t In[1 << 16];
    size_t InSize, InTaken;
    uint8_t Out[1 << 20]; // all the target has sent
    size_t OutSize;
    size_t Acknowledged; // bytes of Out that have been looked at
    uint32_t Owed;       // id to acknowledge before more is sent
    bool Owing, Deaf;
    uint32_t SilenceLeft;
    uint32_t NextId; // of the host's next data packet
} ModelLine;

extern const KdiPort ModelLinePort;
void ModelReset(ModelLine *line);
void ModelQueue(ModelLine *line, const void *bytes, size_t size);
// Queues a well-formed data packet with the host's next id.
void ModelQueuePacket(ModelLine *line, uint16_t type, const void *data, size_t size,
                      const void *more, size_t moreSize);
void ModelQueueControl(ModelLine *line, uint16_t type, uint32_t id);
// The n-th data packet of the type the target has sent; nullptr: there are fewer. Repetitions
// count.
const uint8_t *ModelSent(const ModelLine *line, uint16_t type, size_t n, size_t *size);
size_t ModelCountControl(const ModelLine *line, uint16_t type);
