// kd.c - seeing what the kernel does: symbols, stack walks, the crash report.
//
// The loader left moskrnl.pdb in memory. Nothing is parsed until somebody asks for a name, which is
// normally never: a boot pays for a few stores here. Then lib/pdb looks up each address on its own, in
// the raw file. Stacks are walked by lib/unwind with the unwind data of the images themselves, so that no
// frame pointers are needed and hand-written entry code is crossed like any other, as long as it carries
// its unwind directives.
//
// All of it must work when the kernel does not: with any lock held, a broken heap, a wild stack pointer, no
// room left on the stack. So nothing here allocates, takes a lock or waits; every byte of memory that a
// pointer from the crashed state leads to is read through KdiReadMemory, which cannot fault (read.c); and
// the report runs on a stack of its own (report.c). The kernel image and its PDB are read in place.
//
// Locking: none. What Kd... functions use is constant after KdInitialize and the Register calls of start-up.
// Limits: user frames are named by module and offset only.
// SPDX-License-Identifier: MIT
#include "kdi.h"

static PeImage kernelImage; // SizeOfImage 0: unknown
static UnwindModule kernelModule;
static const void *pdbBytes;
static size_t pdbSize;
static bool (*findUserModule)(uint64_t address, char *name, size_t size, uint64_t *base);

void KdInitialize(const LoaderParams *loader)
{
    KdiInitializeReader(loader);
    if (PeOpen(&kernelImage, (const void *)loader->KernelBase, loader->KernelSize, PeLayoutMapped) == StatusSuccess) {
        PeDirectory table = kernelImage.Directories[PeDirectoryException];
        kernelModule = (UnwindModule){loader->KernelBase, kernelImage.SizeOfImage, table.Rva, table.Size};
    }
    if (loader->KernelPdbPhysical != 0) {
        pdbBytes = (const void *)(DIRECT_MAP_BASE + loader->KernelPdbPhysical);
        pdbSize = loader->KernelPdbSize;
    }
    KeRegisterBugCheckReporter(KdiReport);
}

void KdRegisterModuleFinder(bool (*find)(uint64_t address, char *name, size_t size, uint64_t *base))
{
    findUserModule = find;
}

// Opens the PDB; false: missing, damaged, or of another build than this kernel. Costs a few thousand
// instructions, which is little beside the look-up it is for, and leaves nothing to guard.
static bool OpenPdb(PdbFile *pdb)
{
    PeDebugId id;
    return pdbBytes != nullptr && PdbOpen(pdb, pdbBytes, pdbSize) == StatusSuccess &&
           PeGetDebugId(&kernelImage, &id) == StatusSuccess && memcmp(id.Guid, pdb->Guid, sizeof id.Guid) == 0;
}

static bool FindUserModule(uint64_t address, KdiModule *module)
{
    // Room for the headers that lld-link makes; larger ones only cost the unwind data.
    uint8_t headers[1024];
    PeImage image;
    uint64_t base;
    if (findUserModule == nullptr || !findUserModule(address, module->Name, sizeof module->Name, &base))
        return false;
    module->Unwind = (UnwindModule){.Base = base, .Size = PE_MAXIMUM_IMAGE_SIZE};
    if (KdiReadMemory(nullptr, base, headers, sizeof headers) &&
        PeOpenHeaders(&image, headers, sizeof headers, UINT64_MAX) == StatusSuccess) {
        PeDirectory table = image.Directories[PeDirectoryException];
        module->Unwind = (UnwindModule){base, image.SizeOfImage, table.Rva, table.Size};
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
        RtlCopyString(module->Name, sizeof module->Name, "moskrnl");
        return true;
    }
    return FindUserModule(address, module);
}

// The source path from the top of the tree: the build takes everything above that away and puts "X:" there.
static void CopySourcePath(char *to, size_t size, const char *path)
{
    if (path[0] == 'X' && path[1] == ':' && path[2] == '\\')
        path += 3;
    RtlCopyString(to, size, path);
    for (; *to != 0; to++) {
        if (*to == '\\')
            *to = '/';
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
    if (!module.Kernel || !OpenPdb(&pdb) || PdbLookup(&pdb, rva - (returnAddress ? 1 : 0), &location) != StatusSuccess)
        return true;
    if (location.Function[0] != 0) {
        RtlCopyString(symbol->Function, sizeof symbol->Function, location.Function);
        symbol->Offset = rva - location.FunctionRva;
    }
    CopySourcePath(symbol->File, sizeof symbol->File, location.File);
    symbol->Line = location.Line;
    return true;
}

bool KdLookupSymbol(uint64_t address, KdSymbol *symbol) { return KdiLookup(address, false, symbol); }
