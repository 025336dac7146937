// ldri.h - what the files of ldr share.
// SPDX-License-Identifier: MIT
#pragma once

#include "ldr.h"
#include "pdb/pdb.h"
#include "pe/pe.h"

#define LDR_TAG MM_TAG('L', 'd', 'r', ' ')

typedef enum LdrImageState : uint8_t { ImageLoading, ImageReady, ImageFailed } LdrImageState;

// What is known of an image's names (symbols.c).
typedef struct LdrSymbols {
    char *Path;         // [c] of the PDB; nullptr: the image names none
    bool Tried;         // [l] somebody has looked for it, or does
    MmSection *Section; // [l] its bytes; nullptr: not there
    void *Bytes;        // [l] the same in the kernel
    PdbFile Pdb;        // [l] over Bytes
} LdrSymbols;

// Legend: [c] constant once ready, [l] cache lock, [b] bind lock.
struct LdrImage {
    ListEntry Link;           // [l] in the cache, or to itself once stale
    uint32_t References;      // [l] mappings and holders; the cache itself holds none
    LdrImageState State;      // [l]
    bool Stale;               // [l] no longer in the cache: goes with its last reference
    Status LoadStatus;        // [c]
    KEvent Loaded;            // set when no longer loading
    uint64_t Identity, Stamp; // [c]
    uint64_t Serial;          // [c] unique for one boot, never 0
    uint64_t LastUse;         // [l] KeQueryTime of the last reference given back
    uint64_t Base, Size;      // [l] while loading, then [c]: where it is relocated to, whole pages
    MmSection *Section;       // [c]
    uint8_t *Bytes;           // [c] the section mapped in the kernel, read-write
    PeImage Pe;               // [c] over Bytes
    LdrSymbols Symbols;
    KMutex BindLock;
    uint64_t BoundTo; // [b] serial of the library the shared import slots are bound to, 0: none
};

// ---- image.c, for symbols.c; all with the cache locked
KIrql LdriLockCache(void);
void LdriUnlockCache(KIrql old);
extern ListEntry LdriCache; // LdrImage, newest first

// ---- symbols.c
void LdriInitializeSymbols(void);
void LdriNamePdb(LdrImage *image, const char *path); // of the image, which has just been loaded
void LdriWantSymbols(const LdrImage *image);         // it has come into use; any level <= Dispatch
void LdriFreeSymbols(LdrImage *image);               // nobody refers to it
size_t LdriShrinkSymbols(size_t pages);
