// fuzz_pdb.c - lib/pdb takes any bytes.
// SPDX-License-Identifier: MIT
#include "pdb/pdb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PdbFile pdb;
    PdbLocation location, inlined[4];
    if (PdbOpen(&pdb, data, size) != StatusSuccess)
        return 0;
    for (uint32_t rva = 0x1000; rva < 0x5000; rva += 0x777) {
        if (PdbLookup(&pdb, rva, &location) == StatusSuccess &&
            (strnlen(location.Function, sizeof location.Function) == sizeof location.Function ||
             strnlen(location.File, sizeof location.File) == sizeof location.File))
            abort();
        (void)PdbLookupInlined(&pdb, rva, inlined, 4);
    }
    return 0;
}
