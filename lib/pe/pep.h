// pep.h - what lib/pe's own files share: little-endian reads from bytes of any alignment.
// SPDX-License-Identifier: MIT
#pragma once

#include "pe/pe.h"

#include "rtl/rtl.h"

static inline uint16_t Read16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t Read32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t Read64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// An address stored in the image's data, as an RVA. false: it points outside the image.
static inline bool AddressToRva(const PeImage *image, uint64_t address, uint32_t *rva)
{
    if (address < image->Base || address - image->Base >= image->SizeOfImage)
        return false;
    *rva = (uint32_t)(address - image->Base);
    return true;
}
