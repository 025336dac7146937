// ldr.h - PE images: read once, checked, relocated to one random base per boot, shared between
// processes.
// SPDX-License-Identifier: MIT
#pragma once

#include "mm.h"

// Where an image's bytes come from; sys fills it from an open file, so that ldr knows no file
// system.
typedef struct LdrSource {
    void *Context;
    Status (*Read)(void *context, uint64_t offset, void *buffer, size_t size); // all or an error
    uint64_t Size;
    uint64_t Identity; // same identity and stamp: same image (cache key)
    uint64_t Stamp;
    const char *Path; // absolute, for the module list
} LdrSource;

typedef struct LdrImage LdrImage; // cached, reference counted
void LdrInitialize(void);
// From now on an image goes where its headers ask for, when that is free: for debuggers, which then
// know where a program will be.
void LdrKeepPreferredBases(void);
Status LdrOpenImage(const LdrSource *source, LdrImage **image); // StatusBadImage, StatusNoMemory
void LdrReferenceImage(LdrImage *image);
void LdrDereferenceImage(LdrImage *image);
void LdrPurgeCache(void);                 // images nobody maps
uint64_t LdrGetIdleBytes(void);           // of cached images nobody maps
bool LdrIsProgram(const LdrImage *image); // not a library, and has an entry point
struct PeImage;
const struct PeImage *
LdrGetPe(const LdrImage *image); // over kernel memory, valid as long as the image

// ---- names for the crash report: PDBs of images in use, in memory as far as there is room
// (symbols.c)
// Waits until an image may have come into use whose PDB nobody has looked for.
void LdrWaitForNamelessImage(void);
// Such an image, referenced, and where its PDB should be; nullptr: none. It is not returned again.
LdrImage *LdrTakeNamelessImage(char path[MaximumPath]);
// Reads the PDB. StatusCorrupt: not one, or another build's; StatusNoMemory: more than may be kept.
Status LdrLoadSymbols(LdrImage *image, const LdrSource *pdb);
uint64_t LdrGetSymbolBytes(void);
struct PdbFile;
// nullptr: not there. Only for who has stopped the machine: they may go at any time.
const struct PdbFile *LdrGetSymbols(const LdrImage *image);

typedef struct LdrModule { // one image mapped in one process; on the process's module list
    ListEntry Link;
    LdrImage *Image;
    uint64_t Base, Size, EntryPoint; // EntryPoint 0: none
    uint64_t StackReserve;           // what the image asks for, unchecked
    uint32_t MapCount;
    char Path[MaximumPath];
} LdrModule;

// Maps the image with each section's protection. StatusNoAddressSpace, StatusNoMemory.
Status LdrMapImage(MmAddressSpace *space, LdrImage *image, LdrModule *module);
void LdrUnmapImage(MmAddressSpace *space, LdrModule *module);
void LdrForgetModule(LdrModule *module); // the address space it was mapped in is gone
// Binds program's imports from the library named libraryName to library; other imports stay as they
// are. The address space must be current. StatusImportNotFound with the name in missing (size
// bytes).
Status LdrBindImports(const LdrModule *program, const LdrModule *library, const char *libraryName,
                      char *missing, size_t size);
Status LdrFindExport(const LdrModule *module, const char *name, uint64_t *address);
