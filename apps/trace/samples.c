// samples.c - from a trace's records to the tree of calls that the samples make.
// SPDX-License-Identifier: MIT
#include "prof.h"

typedef struct Ring {
    TraceRecord *Records;
    size_t Count;
} Ring;

// Copies what follows the record at index; its bytes, at most size of them. What the ring's end cut
// off is missing.
static size_t ReadMore(const Ring *ring, size_t index, void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && ++index < ring->Count && ring->Records[index].Kind == TraceMore) {
        const TraceContinuation *more = (const TraceContinuation *)&ring->Records[index];
        uint64_t words[3] = {more->First, more->Second, more->Third};
        size_t part = size - done < sizeof words ? size - done : sizeof words;
        memcpy((char *)bytes + done, words, part);
        done += part;
    }
    return done;
}

static void ReadModules(const Ring *ring)
{
    for (size_t i = 0; i < ring->Count; i++) {
        const TraceRecord *record = &ring->Records[i];
        char path[MaximumPath] = "";
        if (record->Kind != TraceModule || record->Value >= sizeof path)
            continue;
        path[ReadMore(ring, i, path, record->Value)] = '\0';
        AddModule(record->Thread, record->A, record->B, path);
    }
}

static CallNode *Descend(CallNode *node, size_t symbol)
{
    CallNode *child = node->Child;
    while (child != nullptr && child->Symbol != symbol)
        child = child->Next;
    if (child == nullptr && (child = calloc(1, sizeof *child)) != nullptr) {
        child->Symbol = symbol;
        child->Next = node->Child;
        node->Child = child;
    }
    return child;
}

static bool AddSample(Samples *samples, uint32_t process, const uint64_t *addresses, size_t count)
{
    CallNode *node = &samples->Root;
    samples->Count++;
    node->Count++;
    for (size_t i = count; i-- > 0;) {
        size_t number = FindSymbol(process, addresses[i], i > 0);
        Symbol *symbol = number == SIZE_MAX ? nullptr : GetSymbol(number);
        if (symbol == nullptr || (node = Descend(node, number)) == nullptr)
            return false;
        node->Count++;
        symbol->Self += i == 0;
        symbol->Total += symbol->LastSample != samples->Count; // a recursion counts once
        symbol->LastSample = samples->Count;
    }
    return true;
}

static bool ReadRing(const Ring *ring, uint32_t process, Samples *samples)
{
    for (size_t i = 0; i < ring->Count; i++) {
        const TraceRecord *record = &ring->Records[i];
        uint64_t addresses[TraceMaximumStack];
        if (record->Kind != TraceSample || record->Value > TraceMaximumStack)
            continue;
        if (record->Value == 0)
            samples->Idle++;
        if (record->Value == 0 || (process != 0 && record->B != process))
            continue;
        size_t size = ReadMore(ring, i, addresses, record->Value * sizeof addresses[0]);
        if (!AddSample(samples, (uint32_t)record->B, addresses, size / sizeof addresses[0]))
            return false;
    }
    return true;
}

bool ReadSamples(const Session *session, uint32_t process, Samples *samples)
{
    static Ring rings[64];
    bool good = true;
    for (uint32_t i = 0; i < session->Info.ProcessorCount && i < 64; i++) {
        rings[i].Records = ReadProcessor(session, i, &rings[i].Count);
        if (rings[i].Records == nullptr)
            return false;
        samples->Lost += session->Info.Records[i] - rings[i].Count;
        ReadModules(&rings[i]);
    }
    for (uint32_t i = 0; i < session->Info.ProcessorCount && i < 64; i++)
        good = good && ReadRing(&rings[i], process, samples);
    if (!good)
        ToolFail("the samples", StatusNoMemory);
    return good;
}
