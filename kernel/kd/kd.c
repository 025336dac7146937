// kd.c - seeing what the kernel does: symbols, stack walks, the crash report.
//
// The loader left moskrnl.pdb in memory. Nothing is parsed until somebody asks for a name, which is
// normally never: a boot pays for a few stores here. Then lib/pdb looks up each address on its own,
// in the raw file. Stacks are walked by lib/unwind with the unwind data of the images themselves,
// so that no frame pointers are needed and hand-written entry code is crossed like any other, as
// long as it carries its unwind directives.
//
// All of it must work when the kernel does not: with any lock held, a broken heap, a wild stack
// pointer, no room left on the stack. So nothing here allocates, takes a lock or waits; every byte
// of memory that a pointer from the crashed state leads to is read through KdiReadMemory, which
// cannot fault (read.c); and the report runs on a stack of its own (report.c). The kernel image and
// its PDB are read in place.
//
// The PDBs of programs and libraries are in memory as far as there is room (kernel/ldr/symbols.c);
// without its PDB an image's functions have names where they are exported.
//
// Locking: none. What Kd... functions use is constant after KdInitialize and the Register calls of
// start-up; programs' PDBs are looked at only once the machine stands still.
// SPDX-License-Identifier: MIT
#include "kdi.h"

static PeImage kernelImage; // SizeOfImage 0: unknown
static UnwindModule kernelModule;
static const void *pdbBytes;
static size_t pdbSize;
static bool (*findUserModule)(KProcess *process, uint64_t address, KdUserModule *module);
static KProcess *lookedAt; // nullptr: the current one

void KdInitialize(const LoaderParams *loader)
{
    KdiInitializeReader(loader);
    if (PeOpen(&kernelImage, (const void *)loader->KernelBase, loader->KernelSize,
               PeLayoutMapped) == StatusSuccess) {
        PeDirectory table = kernelImage.Directories[PeDirectoryException];
        kernelModule =
            (UnwindModule){loader->KernelBase, kernelImage.SizeOfImage, table.Rva, table.Size};
    }
    if (loader->KernelPdbPhysical != 0) {
        pdbBytes = (const void *)(DIRECT_MAP_BASE + loader->KernelPdbPhysical);
        pdbSize = loader->KernelPdbSize;
    }
    KeRegisterBugCheckReporter(KdiReport);
    KeRegisterSampler(KdiSampleStack);
}

void KdRegisterModuleFinder(bool (*find)(KProcess *process, uint64_t address, KdUserModule *module))
{
    findUserModule = find;
}

void KdiLookAt(const KThread *thread)
{
    KThread copy;
    KProcess process = {};
    lookedAt = nullptr;
    if (thread != nullptr) {
        bool known = KdiReadMemory(nullptr, (uint64_t)thread, &copy, sizeof copy) &&
                     KdiReadMemory(nullptr, (uint64_t)copy.Process, &process, sizeof process);
        lookedAt = known ? copy.Process : &KeSystemProcess;
    }
    KdiReadFrom(process.PageTableRoot);
}

// Opens the kernel's PDB; false: missing, damaged, or of another build than this kernel. Costs a
// few thousand instructions, which is little beside the look-up it is for, and leaves nothing to
// guard.
static bool OpenKernelPdb(PdbFile *pdb)
{
    PeDebugId id;
    return pdbBytes != nullptr && PdbOpen(pdb, pdbBytes, pdbSize) == StatusSuccess &&
           PeGetDebugId(&kernelImage, &id) == StatusSuccess &&
           memcmp(id.Guid, pdb->Guid, sizeof id.Guid) == 0;
}

static bool FindUserModule(uint64_t address, KdiModule *module)
{
    KdUserModule found = {};
    KProcess *process = lookedAt != nullptr ? lookedAt : KeGetCurrentThread()->Process;
    if (findUserModule == nullptr || !findUserModule(process, address, &found))
        return false;
    for (size_t i = 0; found.Name[i] != 0 && found.Name[i] != '.'; i++)
        module->Name[i] = found.Name[i];
    module->Unwind = (UnwindModule){.Base = found.Base, .Size = PE_MAXIMUM_IMAGE_SIZE};
    module->Image = found.Image;
    module->Symbols = found.Symbols;
    if (found.Image != nullptr) {
        PeDirectory table = found.Image->Directories[PeDirectoryException];
        module->Unwind =
            (UnwindModule){found.Base, found.Image->SizeOfImage, table.Rva, table.Size};
    }
    return true;
}

bool KdiFindModule(uint64_t address, KdiModule *module)
{
    *module = (KdiModule){};
    if (address >= DIRECT_MAP_BASE) {
        if (address < kernelModule.Base || address - kernelModule.Base >= kernelModule.Size)
            return false;
        module->Unwind = kernelModule;
        module->Kernel = true;
        module->Image = &kernelImage;
        RtlCopyString(module->Name, sizeof module->Name, "moskrnl");
        return true;
    }
    return FindUserModule(address, module);
}

// The module's symbols, in place or in opened; nullptr: none.
static const PdbFile *GetSymbols(const KdiModule *module, PdbFile *opened)
{
    if (module->Kernel)
        return OpenKernelPdb(opened) ? opened : nullptr;
    return module->Symbols;
}

// The build takes everything above the tree away and puts "X:" there.
void KdiTrimSourcePath(char *path)
{
    if (path[0] == 'X' && path[1] == ':' && path[2] == '\\')
        memmove(path, path + 3, strlen(path + 3) + 1);
    for (; *path != 0; path++) {
        if (*path == '\\')
            *path = '/';
    }
}

bool KdiReadModule(void *context, uint64_t address, void *buffer, size_t size)
{
    const KdiModule *module = context;
    uint64_t rva = address - module->Unwind.Base;
    if (!module->Kernel && module->Image != nullptr && rva < module->Unwind.Size) {
        const void *bytes =
            size <= UINT32_MAX ? PeAt(module->Image, (uint32_t)rva, (uint32_t)size) : nullptr;
        return bytes != nullptr && KdiReadMemory(nullptr, (uint64_t)bytes, buffer, size);
    }
    return KdiReadMemory(nullptr, address, buffer, size);
}

// The export at whose first instruction the function around rva begins. Stubs without unwind data
// are known by lying right behind their beginning.
static void NameByExport(const KdiModule *module, uint32_t rva, KdSymbol *symbol)
{
    constexpr uint32_t longestStub = 32;
    UnwindFunction function;
    const char *name;
    PeExport export;
    if (module->Image == nullptr)
        return;
    Status found =
        UnwindFindFunction(&module->Unwind, rva, KdiReadModule, (void *)module, &function);
    if (found != StatusSuccess && found != StatusNotFound)
        return;
    for (size_t i = 0;; i++) {
        Status status = PeGetNamedExport(module->Image, i, &name, &export);
        if (status == StatusNoMoreEntries || status == StatusBadImage)
            return;
        bool match =
            found == StatusSuccess ? export.Rva == function.Begin : rva - export.Rva < longestStub;
        if (status == StatusSuccess && match &&
            (symbol->Function[0] == 0 || rva - export.Rva < symbol->Offset)) {
            RtlCopyString(symbol->Function, sizeof symbol->Function, name);
            symbol->Offset = rva - export.Rva;
        }
    }
}

bool KdiLookup(uint64_t address, bool returnAddress, KdSymbol *symbol)
{
    KdiModule module;
    PdbFile opened;
    PdbLocation location;
    *symbol = (KdSymbol){};
    if (!KdiFindModule(address, &module))
        return false;
    uint32_t rva = (uint32_t)(address - module.Unwind.Base);
    RtlCopyString(symbol->Module, sizeof symbol->Module, module.Name);
    symbol->Offset = rva;
    const PdbFile *pdb = GetSymbols(&module, &opened);
    bool found =
        pdb != nullptr && PdbLookup(pdb, rva - (returnAddress ? 1 : 0), &location) == StatusSuccess;
    if (!found && !module.Kernel)
        NameByExport(&module, rva, symbol);
    if (!found)
        return true;
    if (location.Function[0] != 0) {
        RtlCopyString(symbol->Function, sizeof symbol->Function, location.Function);
        symbol->Offset = rva - location.FunctionRva;
    }
    KdiTrimSourcePath(location.File);
    RtlCopyString(symbol->File, sizeof symbol->File, location.File);
    symbol->Line = location.Line;
    return true;
}

size_t KdiLookupInlined(uint64_t address, bool returnAddress, PdbLocation *locations,
                        size_t capacity)
{
    KdiModule module;
    PdbFile opened;
    const PdbFile *pdb = KdiFindModule(address, &module) ? GetSymbols(&module, &opened) : nullptr;
    if (pdb == nullptr)
        return 0;
    uint32_t rva = (uint32_t)(address - module.Unwind.Base) - (returnAddress ? 1 : 0);
    size_t count = PdbLookupInlined(pdb, rva, locations, capacity);
    for (size_t i = 0; i < count; i++)
        KdiTrimSourcePath(locations[i].File);
    return count;
}

bool KdLookupSymbol(uint64_t address, KdSymbol *symbol)
{
    return KdiLookup(address, false, symbol);
}
