// fuzz_unwind.c - lib/unwind takes any unwind data and any stack: the input is both, and the
// registers.
// SPDX-License-Identifier: MIT
#include "unwind/unwind.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0x180000000ull

typedef struct Input {
    const uint8_t *Bytes;
    size_t Size;
} Input;

static bool Read(void *context, uint64_t address, void *buffer, size_t size)
{
    const Input *input = context;
    if (address < BASE || address - BASE > input->Size || size > input->Size - (address - BASE))
        return false;
    memcpy(buffer, input->Bytes + (address - BASE), size);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct {
        uint32_t TableRva, TableSize;
        uint32_t Rip, Registers[UNWIND_REGISTERS];
        uint8_t Interrupted;
    } header;
    if (size < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    Input input = {data, size};
    UnwindModule module = {BASE, (uint32_t)size, header.TableRva, header.TableSize};
    UnwindFrame frame = {.Rip = BASE + header.Rip, .Interrupted = header.Interrupted & 1};
    for (int i = 0; i < UNWIND_REGISTERS; i++)
        frame.Registers[i] = BASE + header.Registers[i];
    for (int i = 0; i < 64 && UnwindStep(&module, Read, &input, &frame) == StatusSuccess; i++)
        ;
    return 0;
}
