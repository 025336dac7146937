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

enum {
    SymbolPublic = 0x110E, // S_PUB32
    SymbolLocalProcedure = 0x110F,
    SymbolGlobalProcedure = 0x1110,
    SymbolLocalProcedureId = 0x1146,
    SymbolGlobalProcedureId = 0x1147,
    SymbolInlineSite = 0x114D,
    SubsectionLines = 0xF2,
    SubsectionFiles = 0xF4,
    SubsectionInlinees = 0xF6,
    SectionHeaderSize = 40,
    MaximumSections = 96,
    NamesHeader = 12, // signature, version, size
};

typedef struct PdbPlace { // where the address is
    uint32_t Rva;
    uint32_t Offset, Section; // in section number Section, from 1
    uint32_t SectionRva;
} PdbPlace;

typedef struct PdbModule {
    PdbStream Stream;
    uint32_t SymbolsSize, OldLinesSize, LinesSize;
} PdbModule;

// Where the address is, and the module it is from.
bool PdbFindPlace(const PdbFile *pdb, uint32_t rva, PdbPlace *place);
bool PdbFindModule(const PdbFile *pdb, const PdbPlace *place, PdbModule *module);
// The procedure around the address: its record's offset in the module's stream, 0: none.
typedef struct PdbProcedure {
    uint32_t Record, End; // of its symbols
    uint32_t Offset;      // of its code in the section
} PdbProcedure;
bool PdbFindProcedure(const PdbFile *pdb, const PdbModule *module, const PdbPlace *place,
                      PdbProcedure *procedure);
// The name of the file whose checksum entry is at offset in the module's file subsection; "" when
// there is none. file has PDB_FILE_SIZE bytes.
void PdbReadFileName(const PdbFile *pdb, const PdbModule *module, uint32_t offset, char *file);
// The start of a subsection's content in the module's stream; from: 0, then what was returned last.
// 0: no more.
uint64_t PdbNextSubsection(const PdbFile *pdb, const PdbModule *module, uint32_t kind,
                           uint64_t from, uint32_t *size);
