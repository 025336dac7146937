// pdb.h - finds the function, file and line of a code address in a PDB, reading only what the
// question needs. Nothing is allocated or cached, the bytes are never trusted: every offset is
// checked, and a damaged PDB costs the answer, not more. Safe in a crash. Source: LLVM, "The PDB
// File Format" and its reader; the CodeView record layouts of cvinfo.h.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalStatus.h"

#include <stddef.h>
#include <stdint.h>

typedef struct PdbStream {
    uint32_t Size;   // bytes
    uint32_t Blocks; // where its block numbers are, as an offset in the directory
} PdbStream;

typedef struct PdbFile {
    const uint8_t *Bytes;
    size_t Size;
    uint32_t BlockSize, BlockCount;
    uint32_t DirectorySize, DirectoryBlocks; // bytes; block that lists the directory's blocks
    uint32_t StreamCount;
    uint8_t Guid[16]; // of the image it belongs to
    uint32_t Age;
    PdbStream Dbi, Ids, Symbols, Publics, Sections, Names; // Size 0: missing
    uint32_t Contributions,
        ContributionsSize;         // in Dbi: which module each piece of the image is from
    uint32_t Modules, ModulesSize; // in Dbi
} PdbFile;

// StatusCorrupt: not a PDB, or one without what look-ups need.
Status PdbOpen(PdbFile *pdb, const void *bytes, size_t size);

#define PDB_FUNCTION_SIZE 96u
#define PDB_FILE_SIZE     160u

typedef struct PdbLocation {
    char Function[PDB_FUNCTION_SIZE]; // truncated when longer
    uint32_t FunctionRva;             // its start
    char File[PDB_FILE_SIZE]; // as recorded when it was compiled; "" when unknown. Truncated at its
                              // front
    uint32_t Line;            // 0: unknown
} PdbLocation;

// The innermost not inlined function around rva. StatusNotFound: no code there that the PDB knows.
Status PdbLookup(const PdbFile *pdb, uint32_t rva, PdbLocation *location);

// Functions inlined around rva, one inside the other, outermost first; at most capacity of them.
// FunctionRva is not set. PdbLookup says where the first of them was inlined.
size_t PdbLookupInlined(const PdbFile *pdb, uint32_t rva, PdbLocation *locations, size_t capacity);
