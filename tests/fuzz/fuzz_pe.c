// fuzz_pe.c - lib/pe takes any bytes, as a file and mapped.
// SPDX-License-Identifier: MIT
#include "pe/pe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool CountRelocation(void *context, uint32_t rva)
{
    return ++*(size_t *)context < 100000;
}

static void Visit(const PeImage *image)
{
    PeExport export;
    PeImportLibrary library;
    PeImport import;
    PeDebugId id;
    PeTls tls;
    uint32_t rva;
    size_t relocations = 0, length = 0;
    (void)PeForEachRelocation(image, CountRelocation, &relocations);
    (void)PeFindExport(image, "main", &export);
    (void)PeFindExport(image, "", &export);
    for (uint32_t ordinal = 0; ordinal < 4; ordinal++) {
        if (PeFindExportByOrdinal(image, ordinal, &export) == StatusSuccess &&
            export.Forwarder != nullptr)
            length += strlen(export.Forwarder);
    }
    const char *name;
    for (size_t i = 0; i < 64 && PeGetNamedExport(image, i, &name, &export) == StatusSuccess; i++)
        length += strlen(name);
    name = PeGetExportLibraryName(image);
    length += name != nullptr ? strlen(name) : 0;
    for (size_t i = 0; i < 16 && PeGetImportLibrary(image, i, &library) == StatusSuccess; i++) {
        length += strlen(library.Name);
        for (size_t j = 0; j < 64 && PeGetImport(image, &library, j, &import) == StatusSuccess; j++)
            length += import.Name != nullptr ? strlen(import.Name) : 0;
    }
    if (PeGetDebugId(image, &id) == StatusSuccess)
        length += strlen(id.PdbPath);
    if (PeGetTls(image, &tls) == StatusSuccess) {
        for (size_t i = 0; i < 16 && PeGetTlsCallback(image, &tls, i, &rva) == StatusSuccess; i++)
            length += rva;
    }
    (void)PeGetSecurityCookie(image, &rva);
    volatile size_t sink = length;
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MappedLimit = 1 << 20 };
    PeImage image, mapped;
    (void)PeOpenHeaders(&image, data, size, UINT64_MAX);
    if (PeOpen(&image, data, size, PeLayoutFile) != StatusSuccess)
        return 0;
    Visit(&image);
    if (image.SizeOfImage > MappedLimit)
        return 0;
    void *memory = malloc(image.SizeOfImage);
    if (PeLayOut(&image, memory, image.SizeOfImage) == StatusSuccess &&
        PeOpen(&mapped, memory, image.SizeOfImage, PeLayoutMapped) == StatusSuccess) {
        Visit(&mapped);
        if (PeRelocate(&mapped, 0x7FF000000000) == StatusSuccess)
            Visit(&mapped);
    }
    free(memory);
    return 0;
}
