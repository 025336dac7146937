// obi.h - what the files of ob share.
// SPDX-License-Identifier: MIT
#pragma once

#include "ob.h"

#define OB_MAGIC_LIVE         0x4A424F45u // "EOBJ"
#define OB_MAGIC_DEAD         0x44414544u // "DEAD"
#define OB_MAXIMUM_BODY       (1u << 20)
#define OB_MAXIMUM_REFERENCES (1u << 30)

// In front of every body; 16-byte granular, so that a body is aligned as the heap's blocks are.
typedef struct ObHeader {
    uint32_t Magic;
    volatile uint32_t References;
    volatile uint32_t Handles;
    volatile uint32_t Named; // Name is valid; changes under the name lock
    ObType *Type;
    union {
        struct ObName *Name;
        struct ObHeader *NextDeferred; // once the last reference is gone
    };
} ObHeader;
static_assert(sizeof(ObHeader) % 16 == 0, "bodies keep the heap's alignment");

// The header of a living object.
ObHeader *ObiGetHeader(const void *body);

// ---- handle.c
// Gives back what counts as an open handle: tells the type, and drops its reference.
void ObiReleaseHandle(void *body);
extern volatile uint64_t ObiTotalHandles; // atomic

// ---- name.c
void ObiForgetName(ObHeader *header); // if no handle is left by now
void ObiGetName(ObHeader *header, char *name, size_t size);
