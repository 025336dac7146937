// pdb_lookup.c - lib/pdb as a command: `pdb_lookup IMAGE PDB` reads RVAs in hexadecimal from
// standard input and prints "function offset file line" for each, and "function file line" behind
// it for what is inlined there, outermost first; tests/unit/test_symbols.py compares that with
// another reader.
// SPDX-License-Identifier: MIT
#include "pdb/pdb.h"
#include "pe/pe.h"
#include "unit.h"

static uint8_t *Load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == nullptr)
        return nullptr;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    if (bytes != nullptr && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = nullptr;
    }
    fclose(file);
    return bytes;
}

int main(int count, char **arguments)
{
    size_t imageSize, pdbSize;
    uint8_t *imageBytes = count == 3 ? Load(arguments[1], &imageSize) : nullptr;
    uint8_t *pdbBytes = count == 3 ? Load(arguments[2], &pdbSize) : nullptr;
    PeImage image;
    PdbFile pdb;
    PeDebugId id;
    if (imageBytes == nullptr || pdbBytes == nullptr ||
        PeOpen(&image, imageBytes, imageSize, PeLayoutFile) != StatusSuccess ||
        PeGetDebugId(&image, &id) != StatusSuccess ||
        PdbOpen(&pdb, pdbBytes, pdbSize) != StatusSuccess ||
        memcmp(id.Guid, pdb.Guid, sizeof id.Guid) != 0) {
        fprintf(stderr, "pdb_lookup: not an image and its PDB\n");
        return 1;
    }
    unsigned rva;
    while (scanf("%x", &rva) == 1) {
        PdbLocation location, inlined[16];
        if (PdbLookup(&pdb, rva, &location) == StatusSuccess)
            printf("%s\t%u\t%s\t%u", location.Function, rva - location.FunctionRva, location.File,
                   location.Line);
        else
            printf("?\t0\t\t0");
        size_t depth = PdbLookupInlined(&pdb, rva, inlined, 16);
        for (size_t i = 0; i < depth; i++)
            printf("\t%s\t%s\t%u", inlined[i].Function, inlined[i].File, inlined[i].Line);
        printf("\n");
    }
    free(imageBytes);
    free(pdbBytes);
    return 0;
}
