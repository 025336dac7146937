// symbols.c - names of code addresses, from the PDBs beside the images.
//
// Each address is looked up once: what was found is kept by address and process.
// SPDX-License-Identifier: MIT
#include "prof.h"

#include "pdb/pdb.h"
#include "pe/pe.h"

#define KernelBase 0xFFFFF80000000000ull // where a trace's kernel addresses have the kernel
#define KernelSize 0x40000000ull
#define KernelPath "/system/moskrnl.exe"

typedef struct SymbolFile {
    char Path[MaximumPath]; // of the image
    bool Usable;
    PdbFile Pdb;
    struct SymbolFile *Next;
} SymbolFile;

typedef struct Known {
    uint64_t Address; // of the call; 0: free
    uint32_t Process;
    uint32_t Symbol;
} Known;

static SymbolFile *files;
static Module *modules;
static size_t moduleCount, moduleCapacity;
static Symbol *symbols;
static size_t symbolCount, symbolCapacity;
static Known *known; // open addressing
static size_t knownCount, knownCapacity;

// One more item at the end; nullptr: no memory.
static void *Grow(void **items, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t more = *capacity == 0 ? 256 : *capacity * 2;
        void *grown = realloc(*items, more * size);
        if (grown == nullptr)
            return nullptr;
        *items = grown;
        *capacity = more;
    }
    void *item = (char *)*items + (*count)++ * size;
    memset(item, 0, size);
    return item;
}

static Module *FindModule(uint32_t process, uint64_t address)
{
    for (size_t i = 0; i < moduleCount; i++)
        if (modules[i].Process == process && address - modules[i].Base < modules[i].Size)
            return &modules[i];
    return nullptr;
}

void AddModule(uint32_t process, uint64_t base, uint64_t size, const char *path)
{
    Module *module = FindModule(process, base);
    if (module != nullptr)
        return;
    module = Grow((void **)&modules, &moduleCount, &moduleCapacity, sizeof *module);
    if (module == nullptr)
        return;
    module->Process = process;
    module->Base = base;
    module->Size = size;
    snprintf(module->Path, sizeof module->Path, "%s", path);
}

static void *ReadWhole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    void *bytes = nullptr;
    if (file == nullptr)
        return nullptr;
    if (fseek(file, 0, SEEK_END) == 0 && (*size = (size_t)ftell(file)) > 0 &&
        (bytes = malloc(*size)) != nullptr) {
        rewind(file);
        if (fread(bytes, 1, *size, file) != *size) {
            free(bytes);
            bytes = nullptr;
        }
    }
    fclose(file);
    return bytes;
}

// The PDB beside the image, when it is of the same build.
static bool OpenPdb(SymbolFile *file)
{
    char path[MaximumPath + 8];
    size_t imageSize, size;
    PeImage image;
    PeDebugId id;
    void *bytes = ReadWhole(file->Path, &imageSize);
    bool known = bytes != nullptr &&
                 PeOpen(&image, bytes, imageSize, PeLayoutFile) == StatusSuccess &&
                 PeGetDebugId(&image, &id) == StatusSuccess;
    free(bytes);
    snprintf(path, sizeof path, "%s", file->Path);
    char *dot = strrchr(path, '.');
    if (!known || dot == nullptr)
        return false;
    strcpy(dot, ".pdb");
    bytes = ReadWhole(path, &size);
    return bytes != nullptr && PdbOpen(&file->Pdb, bytes, size) == StatusSuccess &&
           memcmp(file->Pdb.Guid, id.Guid, sizeof id.Guid) == 0;
}

static const PdbFile *GetPdb(Module *module)
{
    if (module->Symbols == nullptr) {
        SymbolFile *file = files;
        while (file != nullptr && strcmp(file->Path, module->Path) != 0)
            file = file->Next;
        if (file == nullptr && (file = calloc(1, sizeof *file)) != nullptr) {
            snprintf(file->Path, sizeof file->Path, "%s", module->Path);
            file->Usable = OpenPdb(file);
            file->Next = files;
            files = file;
        }
        module->Symbols = file;
    }
    return module->Symbols != nullptr && module->Symbols->Usable ? &module->Symbols->Pdb : nullptr;
}

static void Name(char *text, size_t size, uint32_t process, uint64_t address)
{
    if (address >= KernelBase && FindModule(0, KernelBase) == nullptr)
        AddModule(0, KernelBase, KernelSize, KernelPath);
    Module *module = FindModule(address >= KernelBase ? 0 : process, address);
    if (module == nullptr) {
        snprintf(text, size, "0x%llx", (unsigned long long)address);
        return;
    }
    PdbLocation location;
    const PdbFile *pdb = GetPdb(module);
    const char *slash = strrchr(module->Path, '/'), *name = slash ? slash + 1 : module->Path;
    int length = (int)strcspn(name, ".");
    uint32_t rva = (uint32_t)(address - module->Base);
    if (pdb != nullptr && PdbLookup(pdb, rva, &location) == StatusSuccess)
        snprintf(text, size, "%.*s!%s", length, name, location.Function);
    else
        snprintf(text, size, "%.*s+0x%x", length, name, rva);
}

size_t AddSymbol(const char *name)
{
    for (size_t i = 0; i < symbolCount; i++)
        if (strcmp(symbols[i].Name, name) == 0)
            return i;
    Symbol *symbol = Grow((void **)&symbols, &symbolCount, &symbolCapacity, sizeof *symbol);
    if (symbol == nullptr)
        return SIZE_MAX;
    snprintf(symbol->Name, sizeof symbol->Name, "%s", name);
    return symbolCount - 1;
}

// The place of the address in the table, or the free one where it belongs.
static Known *FindKnown(uint32_t process, uint64_t address)
{
    size_t at = (size_t)((address ^ (uint64_t)process << 40) * 0x9E3779B97F4A7C15ull >> 20);
    for (;; at++) {
        Known *place = &known[at & (knownCapacity - 1)];
        if (place->Address == 0 || (place->Address == address && place->Process == process))
            return place;
    }
}

static bool GrowKnown(void)
{
    Known *old = known;
    size_t oldCapacity = knownCapacity, more = oldCapacity == 0 ? 4096 : oldCapacity * 2;
    Known *grown = calloc(more, sizeof *grown);
    if (grown == nullptr)
        return false;
    known = grown;
    knownCapacity = more;
    for (size_t i = 0; i < oldCapacity; i++)
        if (old[i].Address != 0)
            *FindKnown(old[i].Process, old[i].Address) = old[i];
    free(old);
    return true;
}

size_t FindSymbol(uint32_t process, uint64_t address, bool returnAddress)
{
    char name[160];
    address -= returnAddress;
    if (address == 0)
        address = 1;
    if (knownCount * 2 >= knownCapacity && !GrowKnown())
        return SIZE_MAX;
    Known *place = FindKnown(process, address);
    if (place->Address != 0)
        return place->Symbol;
    Name(name, sizeof name, process, address);
    size_t symbol = AddSymbol(name);
    if (symbol == SIZE_MAX)
        return SIZE_MAX;
    *place = (Known){address, process, (uint32_t)symbol};
    knownCount++;
    return symbol;
}

Symbol *GetSymbol(size_t number)
{
    return &symbols[number];
}
size_t GetSymbolCount(void)
{
    return symbolCount;
}
