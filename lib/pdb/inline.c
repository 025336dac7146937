// inline.c - functions that were inlined around an address.
//
// Among a procedure's symbols are its inline sites, nested as the calls were. Each names a function
// and carries a small program of "binary annotations" that, run from the procedure's start, yields
// rows: code range, line, file. An address is in a site when one of the rows holds it.
// SPDX-License-Identifier: MIT
#include "pdbp.h"

enum {
    AnnotationEnd = 0, // names as in cvinfo.h, without BA_OP_
    AnnotationCodeOffset = 1,
    AnnotationChangeCodeOffsetBase = 2,
    AnnotationChangeCodeOffset = 3,
    AnnotationChangeCodeLength = 4,
    AnnotationChangeFile = 5,
    AnnotationChangeLineOffset = 6,
    AnnotationChangeCodeOffsetAndLineOffset = 11,
    AnnotationChangeCodeLengthAndCodeOffset = 12,
    AnnotationLast = 13,
    SiteHeader = 16, // length, kind, parent, end, inlinee
};

typedef struct Site {
    PdbStream Stream;
    uint64_t At, End;            // the annotations not yet read
    uint32_t Target;             // the address, from the procedure's start
    uint32_t Offset, Line, File; // as far as the annotations have been carried out
    uint32_t RowLine, RowFile, RowStart;
    bool RowOpen, Found;
} Site;

// CodeView's compressed numbers: 1, 2 or 4 bytes, by the first one's leading bits.
static bool ReadNumber(const PdbFile *pdb, Site *site, uint32_t *value)
{
    uint8_t bytes[4];
    if (site->At >= site->End || !PdbRead(pdb, site->Stream, site->At, bytes, 1))
        return false;
    size_t size = !(bytes[0] & 0x80) ? 1 : !(bytes[0] & 0x40) ? 2 : !(bytes[0] & 0x20) ? 4 : 0;
    if (size == 0 || size > site->End - site->At ||
        !PdbRead(pdb, site->Stream, site->At, bytes, size))
        return false;
    site->At += size;
    *value = size == 1   ? bytes[0]
             : size == 2 ? (bytes[0] & 0x3Fu) << 8 | bytes[1]
                         : (bytes[0] & 0x1Fu) << 24 | (uint32_t)bytes[1] << 16 |
                               (uint32_t)bytes[2] << 8 | bytes[3];
    return true;
}

// Signed numbers have their sign in the lowest bit.
static uint32_t Signed(uint32_t value)
{
    return value & 1 ? 0u - (value >> 1) : value >> 1;
}

// Ends the open row at end; true: it held the address.
static bool CloseRow(Site *site, uint32_t end)
{
    site->Found = site->RowOpen && site->Target >= site->RowStart && site->Target < end;
    site->RowOpen = false;
    return site->Found;
}

// Moves on by delta and opens a row there; true: the row before held the address.
static bool Advance(Site *site, uint32_t delta)
{
    site->Offset += delta;
    if (CloseRow(site, site->Offset))
        return true;
    site->RowStart = site->Offset;
    site->RowLine = site->Line;
    site->RowFile = site->File;
    site->RowOpen = true;
    return false;
}

// Carries out one annotation; false: the end, or the row is found.
static bool Annotate(const PdbFile *pdb, Site *site)
{
    uint32_t operation, a, b;
    if (!ReadNumber(pdb, site, &operation) || operation == AnnotationEnd ||
        operation > AnnotationLast || !ReadNumber(pdb, site, &a))
        return false;
    switch (operation) {
    case AnnotationCodeOffset:
    case AnnotationChangeCodeOffsetBase:
    case AnnotationChangeCodeOffset:
        return !Advance(site, a);
    case AnnotationChangeCodeOffsetAndLineOffset:
        site->Line += Signed(a >> 4);
        return !Advance(site, a & 15);
    case AnnotationChangeCodeLengthAndCodeOffset:
        if (!ReadNumber(pdb, site, &b) || Advance(site, b))
            return false;
        return !CloseRow(site, site->Offset + a);
    case AnnotationChangeCodeLength:
        site->Offset += a;
        return !CloseRow(site, site->Offset);
    case AnnotationChangeFile:
        site->File = a;
        return true;
    case AnnotationChangeLineOffset:
        site->Line += Signed(a);
        return true;
    default:
        return true; // columns and kinds of ranges
    }
}

// Where the source of a function that is inlined begins: its file and first line.
static bool FindInlinee(const PdbFile *pdb, const PdbModule *module, uint32_t inlinee, Site *site)
{
    uint32_t size, entry[3]; // inlinee, file, line
    uint64_t at = 0;
    while ((at = PdbNextSubsection(pdb, module, SubsectionInlinees, at, &size)) != 0) {
        uint32_t extended =
            PdbRead32(pdb, module->Stream, at, 0); // 1: a list of more files follows each
        uint64_t end = at + size;
        for (uint64_t next = at + 4; next + sizeof entry <= end;) {
            if (!PdbRead(pdb, module->Stream, next, entry, sizeof entry))
                return false;
            if (entry[0] == inlinee) {
                site->File = entry[1];
                site->Line = entry[2];
                return true;
            }
            next += sizeof entry;
            if (extended == 1)
                next += 4 + (uint64_t)PdbRead32(pdb, module->Stream, next, 0) * 4;
        }
    }
    return false;
}

// The name of function id number index.
static bool ReadFunctionName(const PdbFile *pdb, uint32_t index, char *name)
{
    enum { FunctionId = 0x1601, MemberFunctionId = 0x1602, NameField = 12 };
    uint32_t header[4]; // version, header size, first and last index
    if (!PdbRead(pdb, pdb->Ids, 0, header, sizeof header) || index < header[2] ||
        index >= header[3])
        return false;
    uint64_t at = header[1];
    for (uint32_t i = header[2];; i++) {
        uint16_t record[2]; // length, kind
        if (!PdbRead(pdb, pdb->Ids, at, record, sizeof record) || record[0] < 2)
            return false;
        if (i == index)
            return (record[1] == FunctionId || record[1] == MemberFunctionId) &&
                   PdbReadString(pdb, pdb->Ids, at + NameField, name, PDB_FUNCTION_SIZE);
        at += 2 + (uint64_t)record[0];
    }
}

// Looks whether the site whose record of size bytes is at at holds the address.
static bool MatchSite(const PdbFile *pdb, const PdbModule *module, uint64_t at, uint32_t size,
                      uint32_t target, PdbLocation *location)
{
    Site site = {
        .Stream = module->Stream, .At = at + SiteHeader, .End = at + size, .Target = target};
    uint32_t inlinee = PdbRead32(pdb, module->Stream, at + SiteHeader - 4, 0);
    if (!FindInlinee(pdb, module, inlinee, &site))
        return false;
    while (Annotate(pdb, &site))
        ;
    if (!site.Found)
        return false;
    *location = (PdbLocation){.Line = site.RowLine};
    PdbReadFileName(pdb, module, site.RowFile, location->File);
    return ReadFunctionName(pdb, inlinee, location->Function);
}

size_t PdbLookupInlined(const PdbFile *pdb, uint32_t rva, PdbLocation *locations, size_t capacity)
{
    PdbPlace place;
    PdbModule module;
    PdbProcedure procedure;
    size_t count = 0;
    if (!PdbFindPlace(pdb, rva, &place) || !PdbFindModule(pdb, &place, &module) ||
        !PdbFindProcedure(pdb, &module, &place, &procedure))
        return 0;
    uint32_t target = place.Offset - procedure.Offset;
    uint64_t at = procedure.Record, end = RTL_MIN(procedure.End, module.SymbolsSize);
    while (at + 4 <= end && count < capacity) {
        uint16_t record[2]; // length, kind
        if (!PdbRead(pdb, module.Stream, at, record, sizeof record) || record[0] < 2)
            break;
        uint32_t size = 2u + record[0];
        uint64_t next = at + size;
        if (record[1] == SymbolInlineSite && size >= SiteHeader) {
            if (MatchSite(pdb, &module, at, size, target, &locations[count])) {
                count++; // what is inlined in it is inside its record
            } else {
                uint64_t siteEnd = PdbRead32(pdb, module.Stream, at + 8, 0);
                next = siteEnd > at && siteEnd < end ? siteEnd : next;
            }
        }
        at = next;
    }
    return count;
}
