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
// Locking: none. What Kd... functions use is constant after KdInitialize and the Register calls of
// start-up. Limits: functions of programs and their libraries have names only where they are
// exported.
// SPDX-License-Identifier: MIT
#include "kdi.h"

static PeImage kernelImage; // SizeOfImage 0: unknown
static UnwindModule kernelModule;
static const void *pdbBytes;
static size_t pdbSize;
static bool (*findUserModule)(uint64_t address, char *name, size_t size, uint64_t *base);
static const PeImage *(*findUserImage)(uint64_t address);

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

void KdRegisterModuleFinder(bool (*find)(uint64_t address, char *name, size_t size, uint64_t *base),
                            const PeImage *(*image)(uint64_t address))
{
    findUserModule = find;
    findUserImage = image;
}

// Opens the PDB; false: missing, damaged, or of another build than this kernel. Costs a few
// thousand instructions, which is little beside the look-up it is for, and leaves nothing to guard.
static bool OpenPdb(PdbFile *pdb)
{
    PeDebugId id;
    return pdbBytes != nullptr && PdbOpen(pdb, pdbBytes, pdbSize) == StatusSuccess &&
           PeGetDebugId(&kernelImage, &id) == StatusSuccess &&
           memcmp(id.Guid, pdb->Guid, sizeof id.Guid) == 0;
}

static bool FindUserModule(uint64_t address, KdiModule *module)
{
    uint64_t base;
    if (findUserModule == nullptr ||
        !findUserModule(address, module->Name, sizeof module->Name, &base))
        return false;
    const PeImage *image = findUserImage(address);
    module->Unwind = (UnwindModule){.Base = base, .Size = PE_MAXIMUM_IMAGE_SIZE};
    if (image != nullptr) {
        PeDirectory table = image->Directories[PeDirectoryException];
        module->Unwind = (UnwindModule){base, image->SizeOfImage, table.Rva, table.Size};
        module->Image = image;
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
    PdbFile pdb;
    PdbLocation location;
    *symbol = (KdSymbol){};
    if (!KdiFindModule(address, &module))
        return false;
    uint32_t rva = (uint32_t)(address - module.Unwind.Base);
    RtlCopyString(symbol->Module, sizeof symbol->Module, module.Name);
    symbol->Offset = rva;
    if (!module.Kernel) {
        NameByExport(&module, rva, symbol);
        return true;
    }
    if (!OpenPdb(&pdb) ||
        PdbLookup(&pdb, rva - (returnAddress ? 1 : 0), &location) != StatusSuccess)
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
    PdbFile pdb;
    if (!KdiFindModule(address, &module) || !module.Kernel || !OpenPdb(&pdb))
        return 0;
    uint32_t rva = (uint32_t)(address - module.Unwind.Base) - (returnAddress ? 1 : 0);
    size_t count = PdbLookupInlined(&pdb, rva, locations, capacity);
    for (size_t i = 0; i < count; i++)
        KdiTrimSourcePath(locations[i].File);
    return count;
}

bool KdLookupSymbol(uint64_t address, KdSymbol *symbol)
{
    return KdiLookup(address, false, symbol);
}
