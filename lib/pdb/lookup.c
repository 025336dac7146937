// lookup.c - from an address to its function and line.
//
// The address becomes section:offset by the section headers the PDB carries. The section
// contributions name the module (object file) it came from; that module's stream has the procedure
// records and the line tables. Assembly code may have neither: then the nearest public symbol
// before the address serves.
// SPDX-License-Identifier: MIT
#include "pdbp.h"

bool PdbFindPlace(const PdbFile *pdb, uint32_t rva, PdbPlace *place)
{
    for (uint32_t i = 0; i < MaximumSections && (i + 1) * SectionHeaderSize <= pdb->Sections.Size;
         i++) {
        uint32_t sizes[2]; // virtual size and address
        if (!PdbRead(pdb, pdb->Sections, i * SectionHeaderSize + 8, sizes, sizeof sizes))
            return false;
        if (rva >= sizes[1] && rva - sizes[1] < sizes[0]) {
            *place = (PdbPlace){
                .Rva = rva, .Offset = rva - sizes[1], .Section = i + 1, .SectionRva = sizes[1]};
            return true;
        }
    }
    return false;
}

static bool FindModuleIndex(const PdbFile *pdb, const PdbPlace *place, uint32_t *index)
{
    struct {
        uint16_t Section, Padding2;
        uint32_t Offset, Size, Characteristics;
        uint16_t Module, Padding18;
        uint32_t DataCrc, RelocationCrc;
    } entries[64]; // read in groups, for speed
    static_assert(sizeof entries[0] == 28);
    uint32_t total = pdb->ContributionsSize / sizeof entries[0];
    for (uint32_t done = 0; done < total;) {
        uint32_t count = RTL_MIN(total - done, (uint32_t)RTL_COUNT_OF(entries));
        if (!PdbRead(pdb, pdb->Dbi, pdb->Contributions + (uint64_t)done * sizeof entries[0],
                     entries, count * sizeof entries[0]))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            if (entries[i].Section == place->Section && place->Offset >= entries[i].Offset &&
                place->Offset - entries[i].Offset < entries[i].Size) {
                *index = entries[i].Module;
                return true;
            }
        }
        done += count;
    }
    return false;
}

// Length of the string at offset with its NUL; 0: it does not end.
static uint32_t StringLength(const PdbFile *pdb, PdbStream stream, uint64_t offset, uint64_t end)
{
    char text[64];
    uint32_t length = 0;
    while (offset < end) {
        size_t chunk = RTL_MIN((size_t)(end - offset), sizeof text);
        if (!PdbRead(pdb, stream, offset, text, chunk))
            return 0;
        for (size_t i = 0; i < chunk; i++) {
            if (text[i] == 0)
                return length + (uint32_t)i + 1;
        }
        length += (uint32_t)chunk;
        offset += chunk;
    }
    return 0;
}

static bool FindModule(const PdbFile *pdb, uint32_t index, PdbModule *module)
{
    enum { HeaderSize = 64, StreamField = 34, SizesField = 36 };
    uint64_t at = pdb->Modules, end = at + pdb->ModulesSize;
    for (uint32_t i = 0; at < end; i++) {
        if (i == index) {
            uint16_t stream;
            uint32_t sizes[3];
            if (!PdbRead(pdb, pdb->Dbi, at + StreamField, &stream, sizeof stream) ||
                !PdbRead(pdb, pdb->Dbi, at + SizesField, sizes, sizeof sizes))
                return false;
            *module = (PdbModule){PdbFindStream(pdb, stream), sizes[0], sizes[1], sizes[2]};
            return module->Stream.Size != 0;
        }
        uint64_t next = at + HeaderSize;
        for (int name = 0; name < 2; name++) { // of the module and of its object file
            uint32_t length = StringLength(pdb, pdb->Dbi, next, end);
            if (length == 0)
                return false;
            next += length;
        }
        at = RTL_ALIGN_UP(next, 4);
    }
    return false;
}

bool PdbFindModule(const PdbFile *pdb, const PdbPlace *place, PdbModule *module)
{
    uint32_t index;
    return FindModuleIndex(pdb, place, &index) && FindModule(pdb, index, module);
}

bool PdbFindProcedure(const PdbFile *pdb, const PdbModule *module, const PdbPlace *place,
                      PdbProcedure *procedure)
{
    enum { FirstSymbol = 4 };
    struct {
        uint16_t Length, Kind;
        uint32_t Parent, End, Next, CodeSize, DebugStart, DebugEnd, Type, Offset;
        uint16_t Section;
    } record;
    constexpr size_t recordSize = offsetof(typeof(record), Section) + 2;
    uint64_t at = FirstSymbol;
    while (at + 4 <= module->SymbolsSize) {
        if (!PdbRead(pdb, module->Stream, at, &record, 4) || record.Length < 2)
            return false;
        uint64_t next = at + 2 + record.Length;
        bool isProcedure =
            record.Kind == SymbolLocalProcedure || record.Kind == SymbolGlobalProcedure ||
            record.Kind == SymbolLocalProcedureId || record.Kind == SymbolGlobalProcedureId;
        if (isProcedure && PdbRead(pdb, module->Stream, at, &record, recordSize)) {
            if (record.Section == place->Section && place->Offset >= record.Offset &&
                place->Offset - record.Offset < record.CodeSize) {
                *procedure = (PdbProcedure){(uint32_t)at, record.End, record.Offset};
                return true;
            }
            if (record.End > at && record.End < module->SymbolsSize)
                next = record.End; // skips what is inside the procedure
        }
        at = next;
    }
    return false;
}

uint64_t PdbNextSubsection(const PdbFile *pdb, const PdbModule *module, uint32_t kind,
                           uint64_t from, uint32_t *size)
{
    uint64_t start = (uint64_t)module->SymbolsSize + module->OldLinesSize;
    uint64_t end = start + module->LinesSize;
    uint32_t header[2]; // kind, size; the size of the one before leads to the next
    uint64_t at = start;
    if (from != 0)
        at = from + RTL_ALIGN_UP(PdbRead32(pdb, module->Stream, from - 4, 0), 4);
    for (; at + sizeof header <= end; at += sizeof header + RTL_ALIGN_UP(header[1], 4)) {
        if (!PdbRead(pdb, module->Stream, at, header, sizeof header) ||
            header[1] > end - at - sizeof header)
            return 0;
        if (header[0] == kind) {
            *size = header[1];
            return at + sizeof header;
        }
    }
    return 0;
}

void PdbReadFileName(const PdbFile *pdb, const PdbModule *module, uint32_t offset, char *file)
{
    uint32_t name, size;
    uint64_t files = PdbNextSubsection(pdb, module, SubsectionFiles, 0, &size);
    file[0] = 0;
    if (files == 0 || !PdbRead(pdb, module->Stream, files + offset, &name, sizeof name))
        return;
    uint64_t at = NamesHeader + (uint64_t)name;
    uint32_t length = StringLength(pdb, pdb->Names, at, pdb->Names.Size);
    if (length > PDB_FILE_SIZE)
        at += length - PDB_FILE_SIZE; // the end of a path says more than its beginning
    if (length == 0 || !PdbReadString(pdb, pdb->Names, at, file, PDB_FILE_SIZE))
        file[0] = 0;
}

typedef struct LineMatch {
    uint32_t Offset;     // of the line's code in the section
    uint32_t Line, File; // File: offset of its checksum entry
    bool Found;
} LineMatch;

// Whether a line at this offset says more about the place than the match so far.
static bool IsBetter(uint32_t offset, uint32_t place, const LineMatch *match)
{
    if (!match->Found)
        return true;
    if (offset > place)
        return match->Offset > offset; // both begin behind the place
    // Of several lines for the same code the first is the way in, the last what the code does.
    return match->Offset > place || offset > match->Offset ||
           (offset == match->Offset && offset != place);
}

// One block of lines of a single file; base: what its offsets start from.
static void SearchLineBlock(const PdbFile *pdb, const PdbModule *module, uint64_t at,
                            uint32_t count, uint32_t base, uint32_t file, const PdbPlace *place,
                            LineMatch *match)
{
    constexpr uint32_t lineMask = 0xFFFFFF, noLine = 0xF00F00, noStep = 0xFEEFEE;
    uint32_t lines[32][2];
    for (uint32_t done = 0; done < count;) {
        uint32_t group = RTL_MIN(count - done, (uint32_t)RTL_COUNT_OF(lines));
        if (!PdbRead(pdb, module->Stream, at + (uint64_t)done * 8, lines, group * sizeof lines[0]))
            return;
        for (uint32_t i = 0; i < group; i++) {
            uint32_t offset = base + lines[i][0], line = lines[i][1] & lineMask;
            // Code of the compiler's own belongs to the line before it, and at the start of a
            // function to the first one.
            bool real = line != 0 && line != noLine && line != noStep;
            if (real && IsBetter(offset, place->Offset, match))
                *match = (LineMatch){.Offset = offset, .Line = line, .File = file, .Found = true};
        }
        done += group;
    }
}

// A lines subsection: one function's, usually.
static void SearchLines(const PdbFile *pdb, const PdbModule *module, uint64_t at, uint32_t size,
                        const PdbPlace *place, LineMatch *match)
{
    struct {
        uint32_t Offset;
        uint16_t Section, Flags;
        uint32_t CodeSize;
    } header;
    struct {
        uint32_t File, LineCount, Size;
    } block;
    uint64_t end = at + size;
    if (!PdbRead(pdb, module->Stream, at, &header, sizeof header) ||
        header.Section != place->Section || place->Offset < header.Offset ||
        place->Offset - header.Offset >= header.CodeSize)
        return;
    for (at += sizeof header; at + sizeof block <= end; at += block.Size) {
        if (!PdbRead(pdb, module->Stream, at, &block, sizeof block) || block.Size < sizeof block ||
            block.Size > end - at || block.LineCount > (block.Size - sizeof block) / 8)
            return;
        SearchLineBlock(pdb, module, at + sizeof block, block.LineCount, header.Offset, block.File,
                        place, match);
    }
}

static void FindLine(const PdbFile *pdb, const PdbModule *module, const PdbPlace *place,
                     PdbLocation *location)
{
    LineMatch match = {};
    uint32_t size;
    uint64_t at = 0;
    while (!match.Found && (at = PdbNextSubsection(pdb, module, SubsectionLines, at, &size)) != 0)
        SearchLines(pdb, module, at, size, place, &match);
    if (!match.Found)
        return;
    location->Line = match.Line;
    PdbReadFileName(pdb, module, match.File, location->File);
}

typedef struct PublicSymbol {
    uint16_t Length, Kind;
    uint32_t Flags, Offset;
    uint16_t Section;
} PublicSymbol;
enum { PublicNameField = 14 };

// The n-th public symbol in order of address; *at: its record in the symbol stream.
static bool ReadPublic(const PdbFile *pdb, uint64_t map, uint32_t index, PublicSymbol *symbol,
                       uint32_t *at)
{
    return PdbRead(pdb, pdb->Publics, map + (uint64_t)index * 4, at, 4) &&
           PdbRead(pdb, pdb->Symbols, *at, symbol, PublicNameField) && symbol->Kind == SymbolPublic;
}

// The last public symbol at or before the address, in its section.
static bool FindPublic(const PdbFile *pdb, const PdbPlace *place, PdbLocation *location)
{
    enum { HeaderSize = 28 };
    uint32_t sizes[2]; // of the hash table and of the address map behind it
    if (!PdbRead(pdb, pdb->Publics, 0, sizes, sizeof sizes))
        return false;
    uint64_t map = HeaderSize + (uint64_t)sizes[0];
    uint32_t low = 0, high = sizes[1] / 4, at;
    PublicSymbol symbol;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!ReadPublic(pdb, map, middle, &symbol, &at))
            return false;
        if (symbol.Section < place->Section ||
            (symbol.Section == place->Section && symbol.Offset <= place->Offset))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !ReadPublic(pdb, map, low - 1, &symbol, &at) ||
        symbol.Section != place->Section)
        return false;
    location->FunctionRva = place->SectionRva + symbol.Offset;
    return PdbReadString(pdb, pdb->Symbols, (uint64_t)at + PublicNameField, location->Function,
                         sizeof location->Function);
}

Status PdbLookup(const PdbFile *pdb, uint32_t rva, PdbLocation *location)
{
    enum { NameField = 39 }; // of a procedure's record
    PdbPlace place;
    PdbModule module;
    PdbProcedure procedure;
    *location = (PdbLocation){};
    if (!PdbFindPlace(pdb, rva, &place))
        return StatusNotFound;
    bool inModule = PdbFindModule(pdb, &place, &module), found = false;
    if (inModule && PdbFindProcedure(pdb, &module, &place, &procedure)) {
        location->FunctionRva = place.SectionRva + procedure.Offset;
        found = PdbReadString(pdb, module.Stream, (uint64_t)procedure.Record + NameField,
                              location->Function, sizeof location->Function);
    }
    if (!found)
        found = FindPublic(pdb, &place, location);
    if (inModule)
        FindLine(pdb, &module, &place, location);
    return found || location->Line != 0 ? StatusSuccess : StatusNotFound;
}
