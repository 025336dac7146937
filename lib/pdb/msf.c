// msf.c - the container of a PDB: a file of blocks in which each stream is a list of blocks, and
// the streams that say what is in the others.
// SPDX-License-Identifier: MIT
#include "pdbp.h"

enum {
    StreamInfo = 1,
    StreamDbi = 3,
    StreamIds = 4,
    DbiHeaderSize = 64,
    DebugHeaderSections = 5, // index in the optional debug header
    MaximumStreams = 0x10000,
    MaximumNamedStreams = 64,
};
static const char magic[32] = "Microsoft C/C++ MSF 7.00\r\n\x1A"
                              "DS";

// The bytes of block number block from offset on; nullptr: outside the file.
static const uint8_t *BlockAt(const PdbFile *pdb, uint32_t block, uint32_t offset, size_t size)
{
    if (block >= pdb->BlockCount || offset > pdb->BlockSize || size > pdb->BlockSize - offset)
        return nullptr;
    return pdb->Bytes + (size_t)block * pdb->BlockSize + offset;
}

// Copies size bytes at offset of something whose n-th block number blockOf gives.
static bool ReadBlocks(const PdbFile *pdb,
                       bool (*blockOf)(const PdbFile *, uint32_t, uint32_t, uint32_t *),
                       uint32_t context, uint64_t offset, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    while (size > 0) {
        uint32_t within = (uint32_t)(offset % pdb->BlockSize), block;
        size_t chunk = RTL_MIN(size, (size_t)(pdb->BlockSize - within));
        if (!blockOf(pdb, context, (uint32_t)(offset / pdb->BlockSize), &block))
            return false;
        const uint8_t *from = BlockAt(pdb, block, within, chunk);
        if (from == nullptr)
            return false;
        memcpy(to, from, chunk);
        to += chunk;
        offset += chunk;
        size -= chunk;
    }
    return true;
}

static bool DirectoryBlock(const PdbFile *pdb, uint32_t unused, uint32_t index, uint32_t *block)
{
    if (index >= pdb->BlockSize / 4)
        return false; // the list of the directory's blocks is one block long
    const uint8_t *at = BlockAt(pdb, pdb->DirectoryBlocks, index * 4, 4);
    if (at == nullptr)
        return false;
    memcpy(block, at, 4);
    return true;
}

static bool ReadDirectory(const PdbFile *pdb, uint64_t offset, void *buffer, size_t size)
{
    return offset <= pdb->DirectorySize && size <= pdb->DirectorySize - offset &&
           ReadBlocks(pdb, DirectoryBlock, 0, offset, buffer, size);
}

static bool StreamBlock(const PdbFile *pdb, uint32_t blocks, uint32_t index, uint32_t *block)
{
    return ReadDirectory(pdb, blocks + (uint64_t)index * 4, block, 4);
}

bool PdbRead(const PdbFile *pdb, PdbStream stream, uint64_t offset, void *buffer, size_t size)
{
    return offset <= stream.Size && size <= stream.Size - offset &&
           ReadBlocks(pdb, StreamBlock, stream.Blocks, offset, buffer, size);
}

bool PdbReadString(const PdbFile *pdb, PdbStream stream, uint64_t offset, char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!PdbRead(pdb, stream, offset + i, &text[i], 1))
            return false;
        if (text[i] == 0)
            return true;
    }
    text[size - 1] = 0;
    return true;
}

PdbStream PdbFindStream(const PdbFile *pdb, uint32_t index)
{
    constexpr uint32_t deleted = UINT32_MAX;
    uint64_t blocks = 4 + (uint64_t)pdb->StreamCount * 4;
    if (index >= pdb->StreamCount)
        return (PdbStream){};
    for (uint32_t i = 0;; i++) {
        uint32_t size;
        if (!ReadDirectory(pdb, 4 + (uint64_t)i * 4, &size, 4))
            return (PdbStream){};
        if (size == deleted || size > pdb->Size)
            size = 0; // not there, or larger than its own file
        if (i == index)
            return blocks <= pdb->DirectorySize ? (PdbStream){size, (uint32_t)blocks}
                                                : (PdbStream){};
        blocks += ((uint64_t)size + pdb->BlockSize - 1) / pdb->BlockSize * 4;
    }
}

static bool ParseSuperBlock(PdbFile *pdb)
{
    uint32_t
        fields[6]; // block size, free map, blocks, directory bytes, unknown, directory block list
    if (pdb->Size < sizeof magic + sizeof fields || memcmp(pdb->Bytes, magic, 29) != 0)
        return false;
    memcpy(fields, pdb->Bytes + sizeof magic, sizeof fields);
    pdb->BlockSize = fields[0];
    pdb->BlockCount = fields[2];
    pdb->DirectorySize = fields[3];
    pdb->DirectoryBlocks = fields[5];
    if (pdb->BlockSize < 512 || pdb->BlockSize > 65536 ||
        (pdb->BlockSize & (pdb->BlockSize - 1)) != 0 ||
        pdb->BlockCount > pdb->Size / pdb->BlockSize)
        return false;
    return ReadDirectory(pdb, 0, &pdb->StreamCount, 4) && pdb->StreamCount <= MaximumStreams;
}

// The stream called name, from the hash table of the information stream.
static PdbStream FindNamedStream(const PdbFile *pdb, PdbStream info, const char *name)
{
    constexpr uint32_t strings = 32; // after version, signature, age, GUID and the strings' size
    uint32_t stringsSize = PdbRead32(pdb, info, strings - 4, 0);
    uint64_t table = strings + (uint64_t)stringsSize;
    uint32_t count = PdbRead32(pdb, info, table, 0);
    uint64_t at = table + 8; // after size and capacity: two bit vectors, present and deleted
    for (int vector = 0; vector < 2; vector++)
        at += 4 + (uint64_t)PdbRead32(pdb, info, at, 0) * 4;
    for (uint32_t i = 0; i < count && i < MaximumNamedStreams; i++, at += 8) {
        char text[16];
        uint32_t key = PdbRead32(pdb, info, at, UINT32_MAX);
        if (key < stringsSize &&
            PdbReadString(pdb, info, strings + (uint64_t)key, text, sizeof text) &&
            strcmp(text, name) == 0)
            return PdbFindStream(pdb, PdbRead32(pdb, info, at + 4, UINT32_MAX));
    }
    return (PdbStream){};
}

static bool ParseDbi(PdbFile *pdb)
{
    struct { // the debug information stream's header
        uint32_t Signature, Version, Age;
        uint16_t GlobalStream, BuildNumber, PublicStream, DllVersion, SymbolStream, DllRebuild;
        uint32_t ModulesSize, ContributionsSize, SectionMapSize, SourceInfoSize, TypeServerMapSize,
            TypeServer, DebugHeaderSize, EcSize;
        uint16_t Flags, Machine;
        uint32_t Padding;
    } header;
    static_assert(sizeof header == DbiHeaderSize);
    constexpr uint32_t contributionsVersion = 0xF12EBA2D;
    if (!PdbRead(pdb, pdb->Dbi, 0, &header, sizeof header))
        return false;
    pdb->Publics = PdbFindStream(pdb, header.PublicStream);
    pdb->Symbols = PdbFindStream(pdb, header.SymbolStream);
    uint64_t at = sizeof header;
    pdb->Modules = (uint32_t)at;
    pdb->ModulesSize = header.ModulesSize;
    at += header.ModulesSize;
    if (at + header.ContributionsSize > pdb->Dbi.Size || header.ContributionsSize < 4 ||
        PdbRead32(pdb, pdb->Dbi, at, 0) != contributionsVersion)
        return false;
    pdb->Contributions = (uint32_t)at + 4;
    pdb->ContributionsSize = header.ContributionsSize - 4;
    at += (uint64_t)header.ContributionsSize + header.SectionMapSize + header.SourceInfoSize +
          header.TypeServerMapSize + header.EcSize;
    uint16_t sections;
    if (header.DebugHeaderSize < (DebugHeaderSections + 1) * 2 ||
        !PdbRead(pdb, pdb->Dbi, at + DebugHeaderSections * 2, &sections, sizeof sections))
        return false;
    pdb->Sections = PdbFindStream(pdb, sections);
    return pdb->Sections.Size != 0;
}

Status PdbOpen(PdbFile *pdb, const void *bytes, size_t size)
{
    *pdb = (PdbFile){.Bytes = bytes, .Size = size};
    if (!ParseSuperBlock(pdb))
        return StatusCorrupt;
    PdbStream info = PdbFindStream(pdb, StreamInfo);
    if (!PdbRead(pdb, info, 12, pdb->Guid, sizeof pdb->Guid))
        return StatusCorrupt;
    pdb->Age = PdbRead32(pdb, info, 8, 0);
    pdb->Names = FindNamedStream(pdb, info, "/names");
    pdb->Dbi = PdbFindStream(pdb, StreamDbi);
    pdb->Ids = PdbFindStream(pdb, StreamIds);
    return ParseDbi(pdb) ? StatusSuccess : StatusCorrupt;
}
