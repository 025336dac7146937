// memory_map.c - see memory_map.h.
// SPDX-License-Identifier: MIT
#include "memory_map.h"

// EFI_MEMORY_DESCRIPTOR, UEFI 2.10 section 7.2.3.
typedef struct EfiMemoryDescriptor {
    uint32_t Type;
    uint32_t Pad;
    uint64_t PhysicalStart;
    uint64_t VirtualStart;
    uint64_t NumberOfPages;
    uint64_t Attribute;
} EfiMemoryDescriptor;
static_assert(sizeof(EfiMemoryDescriptor) == 40, "UEFI 2.10, 7.2.3");

enum { // EFI_MEMORY_TYPE
    EfiLoaderCode = 1,
    EfiLoaderData = 2,
    EfiBootServicesCode = 3,
    EfiBootServicesData = 4,
    EfiConventionalMemory = 7,
};
#define EFI_MEMORY_WB 0x8ull
#define EFI_MEMORY_SP 0x40000ull // meant for a special purpose
#define FRAME_SHIFT   12

static MiMemoryKind KindOf(const EfiMemoryDescriptor *descriptor)
{
    if (!(descriptor->Attribute & EFI_MEMORY_WB) || (descriptor->Attribute & EFI_MEMORY_SP))
        return MemoryKindReserved;
    switch (descriptor->Type) {
    case EfiConventionalMemory:
        return MemoryKindFree;
    case EfiLoaderCode:
    case EfiBootServicesCode:
    case EfiBootServicesData:
        return MemoryKindBoot;
    case EfiLoaderData:
        return MemoryKindLoader;
    default:
        return MemoryKindReserved;
    }
}

static bool Before(const MiMemoryEdge *a, const MiMemoryEdge *b)
{
    return a->Frame < b->Frame;
}

static void SiftDown(MiMemoryEdge *heap, size_t root, size_t count)
{
    MiMemoryEdge moved = heap[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && Before(&heap[child], &heap[child + 1]))
            child++;
        if (!Before(&moved, &heap[child]))
            break;
        heap[root] = heap[child];
    }
    heap[root] = moved;
}

static void SortEdges(MiMemoryEdge *edges, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        SiftDown(edges, i, count);
    for (size_t end = count; end > 1; end--) {
        MiMemoryEdge last = edges[end - 1];
        edges[end - 1] = edges[0];
        edges[0] = last;
        SiftDown(edges, 0, end - 1);
    }
}

static size_t AddRun(MiMemoryEdge *edges, size_t count, size_t capacity, uint64_t start,
                     uint64_t end, uint64_t limit, MiMemoryKind kind)
{
    start = RTL_MIN(start, limit);
    end = RTL_MIN(end, limit);
    if (start >= end || capacity - count < 2)
        return count;
    edges[count] = (MiMemoryEdge){.Frame = start, .Change = 1, .Kind = kind};
    edges[count + 1] = (MiMemoryEdge){.Frame = end, .Change = -1, .Kind = kind};
    return count + 2;
}

static size_t CollectEdges(const uint8_t *map, size_t size, size_t stride, uint64_t limit,
                           MiMemoryEdge *edges, size_t count, size_t capacity)
{
    if (stride < sizeof(EfiMemoryDescriptor))
        return count;
    for (size_t offset = 0; size - offset >= sizeof(EfiMemoryDescriptor); offset += stride) {
        EfiMemoryDescriptor descriptor;
        memcpy(&descriptor, map + offset, sizeof(descriptor));
        uint64_t start = descriptor.PhysicalStart >> FRAME_SHIFT;
        uint64_t end;
        if (__builtin_add_overflow(start, descriptor.NumberOfPages, &end))
            end = UINT64_MAX;
        MiMemoryKind kind = KindOf(&descriptor);
        if ((descriptor.PhysicalStart & ((1ull << FRAME_SHIFT) - 1)) != 0 &&
            kind != MemoryKindReserved)
            start++; // the page it begins inside of is not wholly usable
        count = AddRun(edges, count, capacity, start, end, limit, kind);
        if (size - offset <= stride)
            break;
    }
    return count;
}

size_t MiNormalizeMemoryMap(const void *map, size_t size, size_t stride, uint64_t frameLimit,
                            const MiMemoryRun *extra, size_t extraCount, MiMemoryEdge *edges,
                            size_t edgeCapacity, MiMemoryRun *runs, size_t capacity)
{
    size_t count = AddRun(edges, 0, edgeCapacity, 0, 1, frameLimit, MemoryKindReserved);
    for (size_t i = 0; i < extraCount; i++)
        count = AddRun(edges, count, edgeCapacity, extra[i].Start, extra[i].End, frameLimit,
                       extra[i].Kind);
    count = CollectEdges(map, size, stride, frameLimit, edges, count, edgeCapacity);
    SortEdges(edges, count);

    size_t written = 0;
    int32_t open[MemoryKindCount] = {};
    for (size_t i = 0; i < count;) {
        uint64_t start = edges[i].Frame;
        for (; i < count && edges[i].Frame == start; i++)
            open[edges[i].Kind] += edges[i].Change;
        MiMemoryKind kind = MemoryKindCount - 1;
        while (kind > MemoryKindHole && open[kind] == 0)
            kind--;
        if (kind == MemoryKindHole || i == count)
            continue;
        uint64_t end = edges[i].Frame;
        MiMemoryRun *last = written ? &runs[written - 1] : nullptr;
        if (last && last->End == start && last->Kind == kind)
            last->End = end;
        else if (written < capacity)
            runs[written++] = (MiMemoryRun){.Start = start, .End = end, .Kind = kind};
    }
    return written;
}
