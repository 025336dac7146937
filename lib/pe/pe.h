// pe.h - reads x64 PE32+ images, untrusted bytes included: the loader, the kernel's image loader,
// mosrt.dll and the crash report all look at images through this.
//
// An image is looked at in one of two layouts: as a file, or mapped (headers at 0, each section at
// its RVA). Addresses inside an image are RVAs; every access goes through PeAt, which hands out a
// pointer only when the whole range lies inside the headers or inside one section's bytes. PeOpen
// checks once what everybody relies on: machine, alignment, sections in order and without overlap,
// inside the image and the file, and never writable and executable at once. Directories are checked
// when they are used.
//
// Nothing is allocated or cached: a PeImage is a view, valid as long as the bytes are, and the
// bytes must not change meanwhile except through PeRelocate and a binder's writes to import slots.
// All functions return StatusBadImage for what a malformed image can cause, unless they say
// otherwise. Source: Microsoft, "PE Format", and winnt.h for names.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalStatus.h"

#include <stddef.h>
#include <stdint.h>

#define PE_PAGE_SIZE          4096u
#define PE_BASE_ALIGNMENT     0x10000u // of an image's base
#define PE_MAXIMUM_SECTIONS   96u
#define PE_MAXIMUM_IMAGE_SIZE 0x10000000u // 256 MiB

#define PE_SUBSYSTEM_WINDOWS 2 // PeImage.Subsystem; "PE Format", "Windows Subsystem"
#define PE_SUBSYSTEM_CONSOLE 3

typedef enum PeLayout { PeLayoutFile, PeLayoutMapped } PeLayout;

typedef enum PeDirectoryIndex {
    PeDirectoryExport = 0,
    PeDirectoryImport = 1,
    PeDirectoryException = 3,
    PeDirectoryRelocation = 5,
    PeDirectoryDebug = 6,
    PeDirectoryTls = 9,
    PeDirectoryLoadConfig = 10,
    PE_DIRECTORY_COUNT = 16
} PeDirectoryIndex;

typedef struct PeDirectory {
    uint32_t Rva, Size;
} PeDirectory;

// Sizes in bytes; everything here passed PeOpen's checks.
typedef struct PeImage {
    const uint8_t *Bytes;
    size_t Size; // of Bytes
    PeLayout Layout;
    uint64_t Base; // what addresses stored in the image's data are relative to; moved by PeRelocate
    uint32_t SizeOfImage; // whole pages
    uint32_t SizeOfHeaders;
    uint32_t EntryPoint;   // RVA inside an executable section, 0: none
    uint32_t SectionTable; // offset in the headers
    uint32_t NtHeaders;    // offset of the "PE" signature
    uint32_t TimeDateStamp;
    uint16_t SectionCount;
    uint16_t Subsystem;
    bool IsLibrary;
    bool RelocationsStripped;
    uint64_t StackReserve;
    PeDirectory Directories[PE_DIRECTORY_COUNT];
} PeImage;

typedef struct PeSection {
    char Name[9];
    uint32_t Rva;         // page aligned
    uint32_t VirtualSize; // bytes in use, never 0
    uint32_t MappedSize;  // VirtualSize in whole pages
    uint32_t FileOffset;
    uint32_t FileSize; // initialised bytes, <= VirtualSize; the rest is zero
    bool Readable, Writable, Executable, Discardable;
} PeSection;

// Opens an image over size bytes. Mapped: size must cover SizeOfImage.
Status PeOpen(PeImage *image, const void *bytes, size_t size, PeLayout layout);
// Opens a file of fileSize bytes of which only the first headerSize are at hand: sections can be
// listed, everything else fails until the image is opened again, laid out. StatusBufferTooSmall:
// the headers are longer than headerSize; image->SizeOfHeaders says how long.
Status PeOpenHeaders(PeImage *image, const void *headers, size_t headerSize, uint64_t fileSize);

// Section index < SectionCount.
PeSection PeGetSection(const PeImage *image, size_t index);
// The section that holds rva.
bool PeFindSection(const PeImage *image, uint32_t rva, PeSection *section);
// size bytes at rva, or nullptr. No alignment is promised.
const void *PeAt(const PeImage *image, uint32_t rva, uint32_t size);
// The NUL-terminated string at rva, or nullptr.
const char *PeStringAt(const PeImage *image, uint32_t rva);

// Copies a file's headers and sections to where they belong in the SizeOfImage bytes at to, and
// zeroes the rest. StatusBufferTooSmall.
Status PeLayOut(const PeImage *file, void *to, size_t size);

// Calls visit with the RVA of each 8-byte address that moves with the image; each lies in one
// section. Two of them may overlap in a hostile image. visit returns false to stop
// (StatusCancelled).
typedef bool PeRelocationVisitor(void *context, uint32_t rva);
Status PeForEachRelocation(const PeImage *image, PeRelocationVisitor *visit, void *context);
// Moves a mapped image whose bytes may be written to base (a multiple of PE_BASE_ALIGNMENT):
// adjusts the addresses, ImageBase in its headers, and image->Base. On failure the contents are
// undefined.
Status PeRelocate(PeImage *image, uint64_t base);

typedef struct PeExport {
    uint32_t Rva;          // of the function or data; 0 for a forwarder
    const char *Forwarder; // "library.name" or "library.#ordinal", else nullptr
} PeExport;
// StatusNotFound: no such export.
Status PeFindExport(const PeImage *image, const char *name, PeExport *export);
Status PeFindExportByOrdinal(const PeImage *image, uint32_t ordinal, PeExport *export);
// The index-th export that has a name. StatusNoMoreEntries after the last.
Status PeGetNamedExport(const PeImage *image, size_t index, const char **name, PeExport *export);
// The name the library was linked under, nullptr when it exports nothing.
const char *PeGetExportLibraryName(const PeImage *image);

typedef struct PeImportLibrary {
    const char *Name;
    uint32_t Lookup;  // RVA of the lookup table
    uint32_t Address; // RVA of the slots to fill
} PeImportLibrary;
typedef struct PeImport {
    const char *Name; // nullptr: by Ordinal
    uint16_t Ordinal;
    uint32_t Slot; // RVA of the 8-byte slot
} PeImport;
// The index-th imported library, or import of a library. StatusNoMoreEntries after the last.
Status PeGetImportLibrary(const PeImage *image, size_t index, PeImportLibrary *library);
Status PeGetImport(const PeImage *image, const PeImportLibrary *library, size_t index,
                   PeImport *import);

typedef struct PeDebugId { // names the PDB that belongs to this image
    uint8_t Guid[16];
    uint32_t Age;
    const char *PdbPath;
} PeDebugId;
Status PeGetDebugId(const PeImage *image, PeDebugId *id); // StatusNotFound: none

typedef struct PeTls {
    uint32_t Template, TemplateSize; // RVA and bytes of the initialised data
    uint32_t ZeroFill;               // bytes after it
    uint32_t Index;                  // RVA of the 4-byte slot index
    uint32_t Callbacks; // RVA of a zero-terminated array of callback addresses, 0: none
} PeTls;
Status PeGetTls(const PeImage *image, PeTls *tls); // StatusNotFound: none
// The index-th TLS callback's RVA. StatusNoMoreEntries after the last.
Status PeGetTlsCallback(const PeImage *image, const PeTls *tls, size_t index, uint32_t *rva);

// The RVA of the 8-byte stack cookie the load configuration names. StatusNotFound: none.
Status PeGetSecurityCookie(const PeImage *image, uint32_t *rva);
