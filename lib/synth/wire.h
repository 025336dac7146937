// wire.h - private to synth: numbers in messages, and the {type, size} that mouse and video put
// before theirs.
// SPDX-License-Identifier: MIT
#pragma once

#include "synth.h"

static inline uint16_t SyniGet16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}
static inline uint32_t SyniGet32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}
static inline uint64_t SyniGet64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}
static inline void SyniPut16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}
static inline void SyniPut32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}
static inline void SyniPut64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

// Begins a message {type, size, body of `size` bytes of zeros}; `counted`: what its size field says
// beyond those. Returns the body.
static inline uint8_t *SyniBeginTyped(SynMessage *message, uint32_t type, uint32_t size,
                                      uint32_t counted)
{
    *message = (SynMessage){.Size = 8 + size};
    SyniPut32(message->Bytes, type);
    SyniPut32(message->Bytes + 4, size + counted);
    return message->Bytes + 8;
}
// Its reverse; the size field is not looked at, for hosts disagree on what it counts.
static inline bool SyniReadTyped(const void *message, size_t size, uint32_t *type,
                                 const uint8_t **body, size_t *bodySize)
{
    if (size < 8)
        return false;
    *type = SyniGet32(message);
    *body = (const uint8_t *)message + 8;
    *bodySize = size - 8;
    return true;
}
