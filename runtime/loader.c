// loader.c - the images of a process: LoadLibrary, GetProcAddress, FreeLibrary and the program's
// imports.
//
// The kernel maps an image with its sections protected and relocated (MapImage); everything else
// happens here, over lib/pe: finding imports, loading what they name, TLS slots, DllMain. Images
// are on one list, in the order in which they were attached, so the list backwards is the order in
// which to tell them of the end. Each has a count of users: LoadLibrary calls and importers. The
// program, mosrt.dll and what the program imports are pinned. An image whose count falls to 0 is
// detached, releases what it imports and is unmapped. Images that import each other keep each other
// until the process ends.
//
// One recursive lock guards all of it and is held while DllMain runs, which may therefore call
// LoadLibrary, but must not wait for another thread that starts, ends or loads.
// SPDX-License-Identifier: MIT
#include "rt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

constexpr size_t MaximumImports = 64; // libraries one image may import from
constexpr uint32_t NoTlsSlot = UINT32_MAX;
constexpr unsigned MaximumForwards = 8;

typedef int DllEntry(void *base, uint32_t reason, void *reserved);
typedef void TlsCallback(void *base, uint32_t reason, void *reserved);

struct Library { // all fields: loader lock
    struct Library *Next, *Previous;
    PeImage Image;
    char *Base;
    uint32_t Users;
    bool Pinned;
    bool Attached;
    bool IsProgram;
    uint32_t TlsSlot;
    size_t ImportCount;
    struct Library *Imports[MaximumImports];
    char Name[256]; // of the file, as it was asked for, with its suffix
};
typedef struct Library Library;

static Library *first, *last;
static bool detached; // RtDetachLibraries has run
static bool usedTlsSlots[RT_TLS_MODULES];

// ---- the lock
static RtLock loaderLock;
static volatile uint64_t loaderOwner;
static uint32_t loaderDepth;

void RtLockLoader(void)
{
    uint64_t self = RtGetThreadBlock()->ThreadId;
    if (__atomic_load_n(&loaderOwner, __ATOMIC_RELAXED) != self) {
        RtAcquire(&loaderLock);
        __atomic_store_n(&loaderOwner, self, __ATOMIC_RELAXED);
    }
    loaderDepth++;
}

void RtUnlockLoader(void)
{
    if (--loaderDepth)
        return;
    __atomic_store_n(&loaderOwner, UINT64_MAX, __ATOMIC_RELAXED);
    RtRelease(&loaderLock);
}

// ---- the list
static void Append(Library *library)
{
    library->Previous = last;
    *(last ? &last->Next : &first) = library;
    last = library;
}

static void Unlink(Library *library)
{
    *(library->Previous ? &library->Previous->Next : &first) = library->Next;
    *(library->Next ? &library->Next->Previous : &last) = library->Previous;
    library->Next = library->Previous = nullptr;
}

static const char *LastPart(const char *path)
{
    const char *name = path;
    for (const char *p = path; *p; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    return name;
}

static Library *FindByName(const char *name)
{
    for (Library *library = first; library; library = library->Next)
        if (!strcasecmp(library->Name, name))
            return library;
    return nullptr;
}

static Library *FindByBase(const void *base)
{
    for (Library *library = first; library; library = library->Next)
        if (library->Base == base)
            return library;
    return nullptr;
}

// A library of the list, so that a stale or foreign handle is an error and not a crash.
static bool IsLibrary(const Library *candidate)
{
    for (Library *library = first; library; library = library->Next)
        if (library == candidate)
            return true;
    return false;
}

static Status NewLibrary(const char *path, void *base, Library **result)
{
    Library *library = calloc(1, sizeof *library);
    if (!library)
        return StatusNoMemory;
    const char *name = LastPart(path);
    snprintf(library->Name, sizeof library->Name, "%s%s", name, strchr(name, '.') ? "" : ".dll");
    library->Base = base;
    library->Users = 1;
    library->TlsSlot = NoTlsSlot;
    // The kernel has checked the headers: they say how much is mapped.
    uint32_t ntHeaders = *(const uint32_t *)(library->Base + 0x3C);
    uint32_t sizeOfImage = *(const uint32_t *)(library->Base + ntHeaders + 0x50);
    Status status = PeOpen(&library->Image, base, sizeOfImage, PeLayoutMapped);
    if (status != StatusSuccess) {
        free(library);
        return status;
    }
    Append(library);
    *result = library;
    return StatusSuccess;
}

// ---- exports
static Status LoadByName(const char *name, Library **result);
static void Release(Library *library);

// "library.name" or "library.#ordinal": in a library that is loaded already, as the forwarder
// imports it.
static Status FollowForwarder(const char *forwarder, char library[MaximumPath], const char **name)
{
    const char *dot = strrchr(forwarder, '.');
    if (!dot || (size_t)(dot - forwarder) + sizeof ".dll" > MaximumPath)
        return StatusImportNotFound;
    snprintf(library, MaximumPath, "%.*s.dll", (int)(dot - forwarder), forwarder);
    *name = dot + 1;
    return StatusSuccess;
}

static Status FindExport(Library *library, const char *name, uint32_t ordinal, void **address)
{
    for (unsigned forwards = 0; forwards < MaximumForwards; forwards++) {
        PeExport export;
        Status status =
            name && name[0] == '#'
                ? PeFindExportByOrdinal(&library->Image, (uint32_t)atoi(name + 1), &export)
            : name ? PeFindExport(&library->Image, name, &export)
                   : PeFindExportByOrdinal(&library->Image, ordinal, &export);
        if (status != StatusSuccess)
            return status;
        if (!export.Forwarder) {
            *address = library->Base + export.Rva;
            return StatusSuccess;
        }
        char target[MaximumPath];
        status = FollowForwarder(export.Forwarder, target, &name);
        if (status != StatusSuccess)
            return status;
        library = FindByName(target);
        if (!library)
            return StatusImportNotFound;
    }
    return StatusImportNotFound;
}

// ---- binding
typedef struct Missing { // the name of what could not be found, for messages
    char *Text;
    size_t Size;
} Missing;

static Missing *missing; // of the load under way, may be nullptr

static void NoteMissing(const char *library, const char *name)
{
    if (missing && missing->Text)
        snprintf(missing->Text, missing->Size, name ? "%s: %s" : "%s", library, name);
}

// The whole pages that hold the slots of one imported library.
static Status GetSlotRange(const Library *importer, const PeImportLibrary *imports, char **start,
                           size_t *size)
{
    PeImport import;
    size_t count = 0;
    Status status;
    while ((status = PeGetImport(&importer->Image, imports, count, &import)) == StatusSuccess)
        count++;
    if (status != StatusNoMoreEntries)
        return status;
    uint32_t begin = imports->Address & ~(PE_PAGE_SIZE - 1);
    uint64_t end =
        (imports->Address + (uint64_t)count * 8 + PE_PAGE_SIZE - 1) & ~(uint64_t)(PE_PAGE_SIZE - 1);
    *start = importer->Base + begin;
    *size = end - begin;
    return StatusSuccess;
}

static Status BindSlots(Library *importer, const PeImportLibrary *imports, Library *library)
{
    PeImport import;
    Status status;
    for (size_t i = 0;
         (status = PeGetImport(&importer->Image, imports, i, &import)) == StatusSuccess; i++) {
        void *address;
        status = FindExport(library, import.Name, import.Ordinal, &address);
        if (status != StatusSuccess) {
            char ordinal[16];
            snprintf(ordinal, sizeof ordinal, "#%u", import.Ordinal);
            NoteMissing(imports->Name, import.Name ? import.Name : ordinal);
            return StatusImportNotFound;
        }
        memcpy(importer->Base + import.Slot, &address, sizeof address);
    }
    return status == StatusNoMoreEntries ? StatusSuccess : status;
}

static Status BindLibrary(Library *importer, const PeImportLibrary *imports, Library *library)
{
    char *start;
    size_t size;
    Status status = GetSlotRange(importer, imports, &start, &size);
    if (status != StatusSuccess || size == 0)
        return status;
    PeSection section;
    if (!PeFindSection(&importer->Image, imports->Address, &section) || section.Executable)
        return StatusBadImage;
    if (!section.Writable &&
        (status = VirtualProtect(start, size, MemoryReadWrite)) != StatusSuccess)
        return status;
    status = BindSlots(importer, imports, library);
    if (!section.Writable) {
        Status restored = VirtualProtect(start, size, MemoryRead);
        if (status == StatusSuccess)
            status = restored;
    }
    return status;
}

// Loads and binds everything the image imports. The program's imports from mosrt.dll are bound
// already.
static Status ResolveImports(Library *importer)
{
    PeImportLibrary imports;
    Status status;
    for (size_t i = 0;
         (status = PeGetImportLibrary(&importer->Image, i, &imports)) == StatusSuccess; i++) {
        if (importer->IsProgram && !strcasecmp(imports.Name, "mosrt.dll"))
            continue;
        if (importer->ImportCount == MaximumImports)
            return StatusLimitReached;
        Library *library;
        status = LoadByName(imports.Name, &library);
        if (status != StatusSuccess) {
            if (status == StatusNotFound || status == StatusPathNotFound) {
                NoteMissing(imports.Name, nullptr);
                status = StatusImportNotFound;
            }
            return status;
        }
        importer->Imports[importer->ImportCount++] = library;
        status = BindLibrary(importer, &imports, library);
        if (status != StatusSuccess)
            return status;
    }
    return status == StatusNoMoreEntries ? StatusSuccess : status;
}

// ---- thread-local data
static Status GiveTlsSlot(Library *library)
{
    PeTls tls;
    Status status = PeGetTls(&library->Image, &tls);
    if (status != StatusSuccess)
        return status == StatusNotFound ? StatusSuccess : status;
    uint32_t slot = 0;
    while (slot < RT_TLS_MODULES && usedTlsSlots[slot])
        slot++;
    if (slot == RT_TLS_MODULES)
        return StatusLimitReached;
    PeSection section;
    if (!PeFindSection(&library->Image, tls.Index, &section) || !section.Writable)
        return StatusBadImage;
    status = RtAddTlsModule(slot, library->Base + tls.Template, tls.TemplateSize, tls.ZeroFill);
    if (status != StatusSuccess)
        return status;
    usedTlsSlots[slot] = true;
    library->TlsSlot = slot;
    memcpy(library->Base + tls.Index, &slot, sizeof slot);
    return StatusSuccess;
}

static void TakeTlsSlot(Library *library)
{
    if (library->TlsSlot == NoTlsSlot)
        return;
    RtRemoveTlsModule(library->TlsSlot);
    usedTlsSlots[library->TlsSlot] = false;
    library->TlsSlot = NoTlsSlot;
}

// ---- attach and detach
static bool Notify(Library *library, uint32_t reason)
{
    PeTls tls;
    uint32_t callback;
    if (library->Image.Directories[PeDirectoryTls].Rva &&
        PeGetTls(&library->Image, &tls) == StatusSuccess)
        for (size_t i = 0; PeGetTlsCallback(&library->Image, &tls, i, &callback) == StatusSuccess;
             i++)
            ((TlsCallback *)(void *)(library->Base + callback))(library->Base, reason, nullptr);
    // The program's entry point is InitProcess, not a DllMain.
    if (library->IsProgram || !library->Image.EntryPoint)
        return true;
    DllEntry *entry = (DllEntry *)(void *)(library->Base + library->Image.EntryPoint);
    return entry(library->Base, reason, nullptr) || reason != DllProcessAttach;
}

void RtNotifyThread(uint32_t reason)
{
    if (detached)
        return;
    bool forward = reason == DllThreadAttach;
    for (Library *library = forward ? first : last; library;
         library = forward ? library->Next : library->Previous)
        if (library->Attached)
            (void)Notify(library, reason);
}

void RtDetachLibraries(void)
{
    RtLockLoader();
    if (!detached)
        for (Library *library = last; library; library = library->Previous)
            if (library->Attached)
                (void)Notify(library, DllProcessDetach);
    detached = true;
    RtUnlockLoader();
}

static void Destroy(Library *library)
{
    if (library->Attached && !detached)
        (void)Notify(library, DllProcessDetach);
    TakeTlsSlot(library);
    Unlink(library);
    for (size_t i = library->ImportCount; i-- > 0;)
        Release(library->Imports[i]);
    (void)SysUnmapImage((uintptr_t)library->Base);
    free(library);
}

static void Release(Library *library)
{
    if (!library->Pinned && --library->Users == 0)
        Destroy(library);
}

// From mapped to usable. On failure the caller releases it.
static Status Attach(Library *library)
{
    Status status = ResolveImports(library);
    if (status == StatusSuccess)
        status = GiveTlsSlot(library);
    if (status != StatusSuccess)
        return status;
    // Behind what it imports: the list's order is the order of attachment.
    Unlink(library);
    Append(library);
    library->Attached = Notify(library, DllProcessAttach);
    if (!library->Attached)
        NoteMissing(library->Name, nullptr);
    return library->Attached ? StatusSuccess : StatusCancelled;
}

// ---- finding and loading
static Status LoadNew(const char *name, Library **result)
{
    AbiImageInfo info;
    Status status = SysMapImage(name, &info); // which looks in the usual places
    if (status != StatusSuccess)
        return status;
    Library *library = info.Shared ? FindByBase((void *)info.Base) : nullptr;
    if (library) { // the same file under another name: one mapping is enough
        (void)SysUnmapImage(info.Base);
        library->Users++;
        *result = library;
        return StatusSuccess;
    }
    status = NewLibrary(name, (void *)info.Base, &library);
    if (status != StatusSuccess) {
        (void)SysUnmapImage(info.Base);
        return status;
    }
    status = Attach(library);
    if (status != StatusSuccess) {
        library->Name[0] =
            0; // a library that imports it back may keep it, but nobody finds it any more
        Release(library);
        return status;
    }
    *result = library;
    return StatusSuccess;
}

static Status LoadByName(const char *name, Library **result)
{
    char withSuffix[MaximumPath];
    if (LastPart(name) == name) {
        snprintf(withSuffix, sizeof withSuffix, "%s%s", name, strchr(name, '.') ? "" : ".dll");
        Library *library = FindByName(withSuffix);
        if (library) {
            library->Users++;
            *result = library;
            return StatusSuccess;
        }
    }
    return LoadNew(name, result);
}

static Status AddPinned(const char *path, uint64_t base, Library **result)
{
    Status status = NewLibrary(path, (void *)base, result);
    if (status == StatusSuccess)
        (*result)->Pinned = true;
    return status;
}

Status RtLoadProgram(char *text, size_t size)
{
    const ProcessBlock *process = RtGetProcess();
    Missing note = {text, size};
    Library *runtime, *program;
    snprintf(text, size, "%s", process->ProgramPath);
    RtLockLoader();
    Status status = AddPinned("/system/mosrt.dll", process->RuntimeBase, &runtime);
    if (status == StatusSuccess)
        status = AddPinned(process->ProgramPath, process->ProgramBase, &program);
    if (status == StatusSuccess) {
        missing = &note;
        program->IsProgram = true;
        status = Attach(program);
        missing = nullptr;
    }
    RtUnlockLoader();
    return status;
}

Status LoadLibrary(const char *name, LibraryHandle *result)
{
    if (!name || !result)
        return StatusInvalidAddress;
    if (!*name)
        return StatusInvalidName;
    RtLockLoader();
    Library *library;
    Status status = LoadByName(name, &library);
    RtUnlockLoader();
    if (status == StatusSuccess)
        *result = library;
    return status;
}

Status GetProcAddress(LibraryHandle library, const char *name, void **address)
{
    if (!name || !address)
        return StatusInvalidAddress;
    RtLockLoader();
    void *found = nullptr;
    Status status = IsLibrary(library) ? FindExport(library, name, 0, &found) : StatusInvalidHandle;
    RtUnlockLoader();
    if (status == StatusSuccess)
        *address = found;
    return status;
}

Status FreeLibrary(LibraryHandle library)
{
    RtLockLoader();
    Status status = IsLibrary(library) ? StatusSuccess : StatusInvalidHandle;
    if (status == StatusSuccess)
        Release(library);
    RtUnlockLoader();
    return status;
}
