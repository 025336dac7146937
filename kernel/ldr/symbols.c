// symbols.c - the PDBs of images in use, in memory, so that a crash report can name the functions,
// files and lines of programs and libraries without a disk.
//
// A thread of sys reads the PDB that lies beside an image some time after the image has come into
// use: what runs only for a moment costs nothing, and a start never waits. Its bytes stay with the
// image as they are; lib/pdb finds its way in them when somebody asks, which is normally never.
//
// They are the first thing to go when memory is short, and never more than a sixteenth of it: those
// of images that nobody uses make room for others. What has gone is not read again before the image
// is. A PDB is taken only when its GUID and age are the image's.
//
// Locking: the cache lock of image.c guards all of it; memory is freed once it is unlocked.
// SPDX-License-Identifier: MIT
#include "ldri.h"

#define PDB_MAXIMUM    (64ull << 20)
#define MEMORY_PART    16u // of all memory, for symbols
#define MEMORY_RESERVE 4u  // times the PDB must be free before it is read

static KEvent wanted;
static uint64_t symbolBytes; // of all images; the cache lock guards it

void LdriInitializeSymbols(void)
{
    KeInitializeEvent(&wanted, false, false);
}

static const char *LastPart(const char *path)
{
    const char *name = path;
    for (const char *at = path; *at != 0; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    return name;
}

void LdriNamePdb(LdrImage *image, const char *path)
{
    PeDebugId id;
    if (PeGetDebugId(&image->Pe, &id) != StatusSuccess)
        return;
    const char *name = LastPart(id.PdbPath);
    size_t folder = (size_t)(LastPart(path) - path), size = folder + strlen(name) + 1;
    if (size > MaximumPath)
        return;
    image->Symbols.Path = MmAllocateHeap(size, LDR_TAG);
    if (image->Symbols.Path != nullptr)
        RtlFormat(image->Symbols.Path, size, "%.*s%s", (int)folder, path, name);
}

void LdriWantSymbols(const LdrImage *image)
{
    if (!image->Symbols.Tried && image->Symbols.Path != nullptr)
        KeSetEvent(&wanted);
}

void LdrWaitForNamelessImage(void)
{
    (void)KeWaitForObject(&wanted, KernelWait, KE_INFINITE);
}

LdrImage *LdrTakeNamelessImage(char path[MaximumPath])
{
    LdrImage *found = nullptr;
    KIrql old = LdriLockCache();
    RTL_FOR_EACH (entry, &LdriCache) {
        LdrImage *image = RTL_CONTAINER_OF(entry, LdrImage, Link);
        if (image->State == ImageReady && image->References != 0 && !image->Symbols.Tried &&
            image->Symbols.Path != nullptr) {
            image->Symbols.Tried = true;
            image->References++;
            RtlCopyString(path, MaximumPath, image->Symbols.Path);
            found = image;
            break;
        }
    }
    LdriUnlockCache(old);
    return found;
}

// ---- memory

static void FreeBytes(MmSection *section, void *bytes)
{
    if (bytes != nullptr)
        MmUnmapSectionInKernel(section, bytes);
    if (section != nullptr)
        MmDereferenceSection(section);
}

// Takes the symbols from the image; *taken is what the caller frees once the cache is unlocked.
static size_t Detach(LdrImage *image, LdrSymbols *taken)
{
    size_t size = image->Symbols.Pdb.Size;
    *taken = image->Symbols;
    __atomic_store_n(&image->Symbols.Section, nullptr, __ATOMIC_SEQ_CST); // a crash looks at it
    image->Symbols.Bytes = nullptr;
    image->Symbols.Pdb = (PdbFile){};
    symbolBytes -= size;
    return size;
}

// Drops the symbols of one image, of those in use only if all. Returns their bytes; 0: none there.
static size_t DropOne(bool all)
{
    LdrImage *found = nullptr;
    LdrSymbols taken = {};
    size_t size = 0;
    KIrql old = LdriLockCache();
    RTL_FOR_EACH (entry, &LdriCache) {
        LdrImage *image = RTL_CONTAINER_OF(entry, LdrImage, Link);
        bool idle = image->References == 0;
        if (image->Symbols.Section != nullptr && (idle || (all && found == nullptr)))
            found = image;
    }
    if (found != nullptr)
        size = Detach(found, &taken);
    LdriUnlockCache(old);
    FreeBytes(taken.Section, taken.Bytes);
    return size;
}

size_t LdriShrinkSymbols(size_t pages)
{
    size_t freed = 0, size;
    while (freed < pages && (size = DropOne(true)) != 0)
        freed += RTL_ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
    return freed;
}

void LdriFreeSymbols(LdrImage *image)
{
    LdrSymbols taken;
    KIrql old = LdriLockCache();
    (void)Detach(image, &taken);
    LdriUnlockCache(old);
    FreeBytes(taken.Section, taken.Bytes);
    MmFreeHeap(taken.Path);
}

uint64_t LdrGetSymbolBytes(void)
{
    return __atomic_load_n(&symbolBytes, __ATOMIC_RELAXED);
}

// Whether size more bytes may be kept; makes room for them where they would be too many.
static bool MakeRoom(uint64_t size)
{
    MmCounters memory;
    MmQueryCounters(&memory);
    uint64_t most = memory.PagesTotal * PAGE_SIZE / MEMORY_PART;
    if (size > RTL_MIN(most, PDB_MAXIMUM) || memory.PagesFree * PAGE_SIZE / MEMORY_RESERVE < size)
        return false;
    while (LdrGetSymbolBytes() + size > most)
        if (DropOne(false) == 0)
            return false;
    return true;
}

// ---- reading

static Status ReadPdb(const LdrSource *source, uint8_t *bytes)
{
    constexpr uint64_t chunk = 64u << 10;
    for (uint64_t done = 0; done < source->Size;) {
        size_t piece = (size_t)RTL_MIN(source->Size - done, chunk);
        Status status = source->Read(source->Context, done, bytes + done, piece);
        if (status != StatusSuccess)
            return status;
        done += piece;
    }
    return StatusSuccess;
}

// Opens the bytes as the image's PDB.
static Status OpenPdb(const LdrImage *image, const void *bytes, size_t size, PdbFile *pdb)
{
    PeDebugId id;
    Status status = PdbOpen(pdb, bytes, size);
    if (status == StatusSuccess)
        status = PeGetDebugId(&image->Pe, &id);
    if (status != StatusSuccess)
        return status;
    bool same = memcmp(id.Guid, pdb->Guid, sizeof id.Guid) == 0 && id.Age == pdb->Age;
    return same ? StatusSuccess : StatusCorrupt;
}

Status LdrLoadSymbols(LdrImage *image, const LdrSource *pdb)
{
    LdrSymbols new = {};
    if (pdb->Size == 0)
        return StatusCorrupt;
    if (!MakeRoom(pdb->Size))
        return StatusNoMemory;
    Status status = MmCreateSection(pdb->Size, PageCache, &new.Section);
    if (status == StatusSuccess)
        status = MmMapSectionInKernel(new.Section, &new.Bytes);
    if (status == StatusSuccess)
        status = ReadPdb(pdb, new.Bytes);
    if (status == StatusSuccess)
        status = OpenPdb(image, new.Bytes, pdb->Size, &new.Pdb);
    if (status != StatusSuccess) {
        FreeBytes(new.Section, new.Bytes);
        return status;
    }
    KIrql old = LdriLockCache();
    image->Symbols.Bytes = new.Bytes;
    image->Symbols.Pdb = new.Pdb;
    __atomic_store_n(&image->Symbols.Section, new.Section, __ATOMIC_SEQ_CST);
    symbolBytes += pdb->Size;
    LdriUnlockCache(old);
    return StatusSuccess;
}

const PdbFile *LdrGetSymbols(const LdrImage *image)
{
    return image->Symbols.Section != nullptr ? &image->Symbols.Pdb : nullptr;
}
