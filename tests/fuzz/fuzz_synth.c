// fuzz_synth.c - hosts that say anything: the first byte chooses a device, the rest are the
// messages it sends, each behind its length. What has to hold is in ../unit/synth_model.h.
// SPDX-License-Identifier: MIT
#include "../unit/synth_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A report descriptor, and a report by it.
static void ParsePointer(const uint8_t *bytes, size_t size)
{
    InputHidPointer pointer;
    InputPointerEvent event;
    if (InputParsePointer(&pointer, bytes, size) &&
        InputDecodePointer(&pointer, bytes, size, &event))
        ModelCheck(event.Buttons < 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SynModel model;
    if (size == 0)
        return 0;
    unsigned kind = data[0] % (KindCount + 1); // the last: descriptors alone
    if (kind < KindCount)
        StartModel(&model, (SynKind)kind);
    for (size_t at = 1; at + 2 < size;) {
        size_t length = RTL_MIN((size_t)(data[at] | data[at + 1] << 8), size - at - 2);
        uint8_t *copy = malloc(length + 1); // of its size, for the address sanitizer
        copy = realloc(copy, length > 0 ? length : 1);
        memcpy(copy, data + at + 2, length);
        if (kind == KindCount)
            ParsePointer(copy, length);
        else if (TellModel(&model, copy, length) == SynRefused)
            StartModel(&model, (SynKind)kind);
        free(copy);
        at += 2 + length;
    }
    return 0;
}
