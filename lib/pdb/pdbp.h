// pdbp.h - what lib/pdb's own files share: reading streams.
// SPDX-License-Identifier: MIT
#pragma once

#include "pdb/pdb.h"
#include "rtl/rtl.h"

// size bytes at offset of a stream; false: not all of them are there.
bool PdbRead(const PdbFile *pdb, PdbStream stream, uint64_t offset, void *buffer, size_t size);
// Stream number index; Size 0: there is none.
PdbStream PdbFindStream(const PdbFile *pdb, uint32_t index);
// Copies the NUL-terminated string at offset, truncated to size.
bool PdbReadString(const PdbFile *pdb, PdbStream stream, uint64_t offset, char *text, size_t size);

static inline uint32_t PdbRead32(const PdbFile *pdb, PdbStream stream, uint64_t offset,
                                 uint32_t otherwise)
{
    uint32_t value;
    return PdbRead(pdb, stream, offset, &value, sizeof value) ? value : otherwise;
}
