// heap.c - the kernel heap.
//
// Small blocks (up to 2 KiB less a trailer) come from slabs: runs of 1 to 4 frames cut into blocks
// of one size class. Which blocks of a slab are in use is a bitmap in the slab's frame database
// entry, outside the reach of overruns; nothing inside a free block is ever trusted. Larger blocks
// are runs of whole frames in the direct map, and, when no run is free, frames mapped one by one
// into the dynamic area.
//
// What is noticed: freeing twice, freeing what is no block or not its start, and, through a trailer
// at the end of every small block, writing past its end. Checked builds also fill free blocks and
// the unused end of blocks with patterns, and so notice writes after freeing and overruns by a
// single byte. Each stops the machine with a message that names the block, its size and its tag.
//
// Each processor keeps a few free blocks of each class, a magazine, and takes and gives blocks
// there; half a magazine at a time comes from the slabs and goes back to them (Bonwick and Adams,
// "Magazines and Vmem", 2001). In the slab's bitmap such a block is in use; its trailer says that
// it is free. Asking for the counters, and a slab for which there is no memory, empty all
// magazines.
//
// Locking: a processor's cache has a lock, which others hardly ever want; heapLock, next in order,
// guards slabs and lists; frames come and go inside it (higher rank). Tags count atomically.
// SPDX-License-Identifier: MIT
#include "mi.h"
#include "sanitize.h"

SAN_TRUSTED_BEGIN

#define LARGEST_SMALL (2048u - sizeof(Trailer))
#define MAXIMUM_BLOCK (1ull << 38)
#define TAG_SLOTS     128u
#define FREE_PATTERN  0xDD
#define SLACK_PATTERN 0xA5

typedef struct Trailer { // the last bytes of every small block in use
    uint32_t Tag;
    uint16_t Slack; // unused bytes before the trailer
    uint16_t Check;
} Trailer;

typedef struct SizeClass {
    uint16_t Size;     // bytes with the trailer, a multiple of 16
    uint8_t Frames;    // of a slab
    uint8_t Blocks;    // of a slab, at most 256 - 1
    ListEntry Partial; // slabs with free blocks
} SizeClass;

#define CLASS(size, frames)                                                                        \
    {                                                                                              \
        (size), (frames), (frames) * PAGE_SIZE / (size), {}                                        \
    }
static SizeClass classes[] = {
    CLASS(32, 1),   CLASS(48, 1),   CLASS(64, 1),   CLASS(96, 1),  CLASS(128, 1),
    CLASS(192, 1),  CLASS(256, 1),  CLASS(384, 1),  CLASS(512, 1), CLASS(768, 2),
    CLASS(1024, 2), CLASS(1536, 4), CLASS(2048, 4),
};
static_assert(PAGE_SIZE / 32 <= 256, "the bitmap of a frame has 256 bits");

#define MAGAZINE_BLOCKS 8u

typedef struct Magazine {
    uint32_t Count;
    void *Blocks[MAGAZINE_BLOCKS];
} Magazine;

typedef struct ProcessorCache {
    KSpinLock Lock;
    Magazine Magazines[RTL_COUNT_OF(classes)];
} ProcessorCache;

static alignas(64) ProcessorCache caches[HAL_MAXIMUM_PROCESSORS];
static KSpinLock heapLock = KE_SPIN_LOCK_INIT(LockRankHeap, "heap");
static MmHeapTag tags[TAG_SLOTS]; // open addressing; the last slot collects what found none
static uint8_t classOf[LARGEST_SMALL / 16 + 2]; // by (size + trailer) / 16 rounded up
static uint64_t secret;

static void Complain(KBugCheckCode code, const void *block, uint64_t size, uint32_t tag,
                     const char *what)
{
    static char message[160]; // the machine stops; nobody else needs it
    char name[5] = {};
    for (size_t i = 0; i < 4; i++) {
        char c = (char)(tag >> 8 * i);
        name[i] = c >= ' ' && c < 0x7F ? c : '?';
    }
    RtlFormat(message, sizeof(message), "heap: block %p (tag '%s', %llu bytes) %s", block, name,
              (unsigned long long)size, what);
    KeBugCheckFrame(code, (uint64_t)block, size, tag, 0, message, nullptr);
}

// ---- tags
static MmHeapTag *FindTag(uint32_t tag)
{
    size_t slot = (tag * 0x9E3779B1u) >> 25;
    for (size_t probe = 0; probe < TAG_SLOTS - 1; probe++, slot = (slot + 1) % (TAG_SLOTS - 1)) {
        uint32_t there = __atomic_load_n(&tags[slot].Tag, __ATOMIC_RELAXED);
        if (there == tag ||
            (there == 0 && (__atomic_compare_exchange_n(&tags[slot].Tag, &there, tag, false,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
                            there == tag)))
            return &tags[slot];
    }
    return &tags[TAG_SLOTS - 1];
}
static_assert(TAG_SLOTS == 128, "the hash keeps 7 bits");

static void CountBlock(uint32_t tag, int64_t bytes, int64_t blocks)
{
    MmHeapTag *entry = FindTag(tag ? tag : MM_TAG('n', 'o', 'n', 'e'));
    __atomic_add_fetch(&entry->Bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&entry->Blocks, (uint64_t)blocks, __ATOMIC_RELAXED);
}

size_t MmQueryHeapTags(MmHeapTag *out, size_t capacity)
{
    size_t count = 0;
    for (size_t i = 0; i < TAG_SLOTS && count < capacity; i++)
        if (tags[i].Blocks)
            out[count++] = tags[i];
    return count;
}

void MiCountHeap(MmCounters *counters)
{
    for (size_t i = 0; i < TAG_SLOTS; i++) {
        counters->HeapBytes += __atomic_load_n(&tags[i].Bytes, __ATOMIC_RELAXED);
        counters->HeapBlocks += __atomic_load_n(&tags[i].Blocks, __ATOMIC_RELAXED);
    }
}

// ---- trailers
static Trailer *TrailerOf(void *block, uint32_t size)
{
    return (Trailer *)((char *)block + size - sizeof(Trailer));
}

static uint16_t CheckOf(const Trailer *trailer)
{
    uint64_t mix = ((uint64_t)trailer ^ secret) + trailer->Tag + ((uint64_t)trailer->Slack << 32);
    return (uint16_t)(mix * 0x9E3779B97F4A7C15ull >> 48);
}

// Whether all bytes are value; for the patterns of checked builds.
static bool IsFilled(const void *memory, size_t size, uint8_t value)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

// The block is handed out: what was asked for may be used, the rest up to `whole` bytes not.
static void Watch(void *block, size_t size, size_t whole)
{
    size_t end = RTL_ALIGN_UP(size, 8);
    SanAllow(block, size);
    SanForbid((char *)block + end, whole - end, SanBlockEnd);
}

// ---- slabs
static MmPageFrame *MakeSlab(SizeClass *class, uint8_t index)
{
    PhysicalAddress pages;
    Status status = class->Frames == 1
                        ? MmAllocatePage(PageHeap, false, &pages)
                        : MmAllocateContiguous(PageHeap, class->Frames, 0, 0, &pages);
    if (status != StatusSuccess)
        return nullptr;
    MmPageFrame *slab = MiFrameOf(pages);
    for (uint32_t i = 0; i < class->Frames; i++) {
        slab[i].Flags = FrameHeapSlab;
        slab[i].SizeClass = index;
        slab[i].Head = i;
    }
    slab->Count = 0;
    for (unsigned word = 0; word < 4; word++) { // blocks that do not exist are in use for ever
        unsigned first = word * 64;
        slab->Blocks[word] = class->Blocks >= first + 64 ? 0
                             : class->Blocks <= first    ? ~0ull
                                                         : ~0ull << (class->Blocks - first);
    }
    if (MI_CHECKED)
        memset(MmPhysicalToVirtual(pages), FREE_PATTERN, class->Frames * PAGE_SIZE);
    SanForbid(MmPhysicalToVirtual(pages), class->Frames * PAGE_SIZE, SanFreeBlock);
    RtlInsertHead(&class->Partial, &slab->Link);
    return slab;
}

static void FreeSlab(MmPageFrame *slab, const SizeClass *class)
{
    RtlRemoveEntry(&slab->Link);
    for (uint32_t i = 0; i < class->Frames; i++)
        slab[i].Flags = 0;
    if (class->Frames == 1)
        MmFreePage(MiPageOf(slab));
    else
        MmFreeContiguous(MiPageOf(slab), class->Frames);
}

// Takes a free block of a slab that has one.
static void *TakeBlock(MmPageFrame *slab, const SizeClass *class)
{
    unsigned word = 0;
    while (slab->Blocks[word] == ~0ull)
        word++;
    unsigned bit = (unsigned)__builtin_ctzll(~slab->Blocks[word]);
    slab->Blocks[word] |= 1ull << bit;
    if (++slab->Count == class->Blocks)
        RtlRemoveEntry(&slab->Link);
    return (char *)MmPhysicalToVirtual(MiPageOf(slab)) + (word * 64 + bit) * class->Size;
}

// Puts a block back. heapLock is held.
static void ReturnBlock(void *block)
{
    MmPageFrame *slab = MiFrameOf((uint64_t)block - DIRECT_MAP_BASE);
    slab -= slab->Head;
    SizeClass *class = &classes[slab->SizeClass];
    uint64_t offset = (uint64_t)block - (uint64_t)MmPhysicalToVirtual(MiPageOf(slab));
    uint32_t index = (uint32_t)offset / class->Size;
    slab->Blocks[index / 64] &= ~(1ull << index % 64);
    if (slab->Count-- == class->Blocks)
        RtlInsertHead(&class->Partial, &slab->Link);
    // An empty slab stays only while it is the one with room.
    if (slab->Count == 0 && class->Partial.Next->Next != &class->Partial)
        FreeSlab(slab, class);
}

// ---- magazines
// Takes back what a magazine holds beyond `rest` blocks. The cache's lock is held.
static void Unload(Magazine *magazine, uint32_t rest)
{
    if (magazine->Count <= rest)
        return;
    KIrql irql = KeAcquireSpinLock(&heapLock);
    while (magazine->Count > rest)
        ReturnBlock(magazine->Blocks[--magazine->Count]);
    KeReleaseSpinLock(&heapLock, irql);
}

// Fills half of an empty magazine, as far as there are free blocks or memory for one more slab. The
// cache's lock is held.
static void Load(Magazine *magazine, uint8_t index)
{
    SizeClass *class = &classes[index];
    KIrql irql = KeAcquireSpinLock(&heapLock);
    if (RtlIsListEmpty(&class->Partial))
        (void)MakeSlab(class, index);
    while (magazine->Count < MAGAZINE_BLOCKS / 2 && !RtlIsListEmpty(&class->Partial))
        magazine->Blocks[magazine->Count++] =
            TakeBlock(RTL_CONTAINER_OF(class->Partial.Next, MmPageFrame, Link), class);
    KeReleaseSpinLock(&heapLock, irql);
}

static void *TakeCached(uint8_t index)
{
    ProcessorCache *cache = &caches[KeGetCurrentProcessorNumber()];
    Magazine *magazine = &cache->Magazines[index];
    KIrql irql = KeAcquireSpinLock(&cache->Lock);
    if (magazine->Count == 0)
        Load(magazine, index);
    void *block = magazine->Count != 0 ? magazine->Blocks[--magazine->Count] : nullptr;
    KeReleaseSpinLock(&cache->Lock, irql);
    return block;
}

void MiTrimHeap(void)
{
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        KIrql irql = KeAcquireSpinLock(&caches[i].Lock);
        for (size_t class = 0; class < RTL_COUNT_OF(classes); class ++)
            Unload(&caches[i].Magazines[class], 0);
        KeReleaseSpinLock(&caches[i].Lock, irql);
    }
}

// ---- small blocks
static void *AllocateSmall(size_t size, uint32_t tag)
{
    uint8_t index = classOf[(size + sizeof(Trailer) + 15) / 16];
    const SizeClass *class = &classes[index];
    void *block = TakeCached(index);
    if (!block) { // another processor may have some
        MiTrimHeap();
        block = TakeCached(index);
    }
    if (!block)
        return nullptr;
    CountBlock(tag, class->Size, 1);
    if (MI_CHECKED && !IsFilled(block, class->Size, FREE_PATTERN))
        Complain(BugCheckHeapCorrupt, block, class->Size, tag, "was written to while it was free");
    memset(block, 0, class->Size - sizeof(Trailer));
    Trailer *trailer = TrailerOf(block, class->Size);
    trailer->Tag = tag;
    trailer->Slack = (uint16_t)(class->Size - sizeof(Trailer) - size);
    trailer->Check = CheckOf(trailer);
    if (MI_CHECKED)
        memset((char *)block + size, SLACK_PATTERN, trailer->Slack);
    Watch(block, size, class->Size);
    return block;
}

// Stops the machine unless the block is one in use, whole and not written past its end.
static void CheckFreed(void *block, const MmPageFrame *slab, const SizeClass *class)
{
    uint32_t offset = (uint32_t)((uint64_t)block - (uint64_t)MmPhysicalToVirtual(MiPageOf(slab)));
    uint32_t index = offset / class->Size;
    const Trailer *trailer = TrailerOf(block, class->Size);
    uint32_t tag = trailer->Tag;
    if (offset % class->Size != 0 || index >= class->Blocks)
        Complain(BugCheckBadHeapCaller, block, class->Size, 0, "is not the start of a block");
    bool free = !(__atomic_load_n(&slab->Blocks[index / 64], __ATOMIC_RELAXED) >> index % 64 & 1);
    if (free || trailer->Check == (uint16_t)~CheckOf(trailer) ||
        (MI_CHECKED && IsFilled(block, class->Size, FREE_PATTERN)))
        Complain(BugCheckBadHeapCaller, block, class->Size, tag, "was freed twice");
    if (trailer->Check != CheckOf(trailer))
        Complain(BugCheckHeapCorrupt, block, class->Size, tag, "was written past its end");
    size_t used = class->Size - sizeof(Trailer) - trailer->Slack;
    if (MI_CHECKED && !IsFilled((char *)block + used, trailer->Slack, SLACK_PATTERN))
        Complain(BugCheckHeapCorrupt, block, used, tag, "was written past its end");
}

static void FreeSmall(void *block, MmPageFrame *slab)
{
    uint8_t index = slab->SizeClass;
    const SizeClass *class = &classes[index];
    CheckFreed(block, slab, class);
    Trailer *trailer = TrailerOf(block, class->Size);
    CountBlock(trailer->Tag, -(int64_t)class->Size, -1);
    trailer->Check ^= 0xFFFF; // of a free block no trailer is valid
    if (MI_CHECKED)
        memset(block, FREE_PATTERN, class->Size);
    SanForbid(block, class->Size, SanFreeBlock);
    ProcessorCache *cache = &caches[KeGetCurrentProcessorNumber()];
    Magazine *magazine = &cache->Magazines[index];
    KIrql irql = KeAcquireSpinLock(&cache->Lock);
    if (magazine->Count == MAGAZINE_BLOCKS)
        Unload(magazine, MAGAZINE_BLOCKS / 2);
    magazine->Blocks[magazine->Count++] = block;
    KeReleaseSpinLock(&cache->Lock, irql);
}

// ---- runs of frames
static void *AllocateMapped(uint64_t pages, uint32_t tag)
{
    uint64_t base;
    if (MiReserveKernelSpace(pages, PAGE_SIZE, 0, tag, &base) != StatusSuccess)
        return nullptr;
    for (uint64_t i = 0; i < pages; i++) {
        PhysicalAddress page;
        Status status = MmAllocatePage(PageHeap, true, &page);
        if (status == StatusSuccess) {
            status =
                MiMapKernelPage(base + i * PAGE_SIZE, page, PTE_WRITE | PTE_NO_EXECUTE | PTE_OWNED);
            if (status != StatusSuccess)
                MmFreePage(page);
        }
        if (status != StatusSuccess) {
            MiReleaseKernelSpace(base, tag, nullptr);
            return nullptr;
        }
    }
    CountBlock(tag, (int64_t)(pages * PAGE_SIZE), 1);
    return (void *)base;
}

static void *AllocateLarge(size_t size, uint32_t tag)
{
    uint64_t pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;
    PhysicalAddress address;
    Status status = pages == 1 ? MmAllocatePage(PageHeap, true, &address)
                               : MmAllocateContiguous(PageHeap, pages, 0, 0, &address);
    if (status != StatusSuccess)
        return pages == 1 ? nullptr : AllocateMapped(pages, tag);
    MmPageFrame *frame = MiFrameOf(address);
    frame->Count = (uint32_t)pages;
    frame->Tag = tag;
    frame->Blocks[0] = size;
    frame->Flags = FrameHeapRun;
    if (pages != 1)
        memset(MmPhysicalToVirtual(address), 0, pages * PAGE_SIZE);
    CountBlock(tag, (int64_t)(pages * PAGE_SIZE), 1);
    Watch(MmPhysicalToVirtual(address), size, pages * PAGE_SIZE);
    return MmPhysicalToVirtual(address);
}

static void FreeRun(void *block, MmPageFrame *frame)
{
    if ((uint64_t)block % PAGE_SIZE != 0)
        Complain(BugCheckBadHeapCaller, block, 0, frame->Tag, "is not the start of a block");
    uint32_t pages = frame->Count;
    CountBlock(frame->Tag, -(int64_t)(pages * PAGE_SIZE), -1);
    frame->Flags = 0;
    if (pages == 1)
        MmFreePage(MiPageOf(frame));
    else
        MmFreeContiguous(MiPageOf(frame), pages);
}

static void FreeMapped(void *block)
{
    uint32_t tag = 0;
    uint64_t owned;
    uint64_t pages = MiQueryKernelSpace((uint64_t)block, &tag);
    if (!pages || MiReleaseKernelSpace((uint64_t)block, tag, &owned) != pages || owned != pages)
        Complain(BugCheckBadHeapCaller, block, 0, tag, "is not the start of a block in use");
    CountBlock(tag, -(int64_t)(pages * PAGE_SIZE), -1);
}

// ---- the interface
void *MmAllocateHeap(size_t size, uint32_t tag)
{
    KE_ASSERT(KeGetCurrentIrql() <= DispatchLevel);
    if (KeFailAllocation())
        return nullptr;
    if (size <= LARGEST_SMALL)
        return AllocateSmall(size, tag);
    return size <= MAXIMUM_BLOCK ? AllocateLarge(size, tag) : nullptr;
}

void MmFreeHeap(void *block)
{
    KE_ASSERT(KeGetCurrentIrql() <= DispatchLevel);
    block = SanDelay(block);
    if (!block)
        return;
    uint64_t address = (uint64_t)block;
    if (MiIsDynamic(address)) {
        FreeMapped(block);
        return;
    }
    MiFrameNumber number = (address - DIRECT_MAP_BASE) >> PAGE_SHIFT;
    MmPageFrame *frame =
        MiIsDirect(address) && number < MiFrameCount ? MiFrameOf(number << PAGE_SHIFT) : nullptr;
    if (frame && frame->Use == PageHeap && (frame->Flags & FrameHeapSlab))
        FreeSmall(block, frame - frame->Head);
    else if (frame && frame->Use == PageHeap && (frame->Flags & FrameHeapRun))
        FreeRun(block, frame);
    else
        Complain(BugCheckBadHeapCaller, block, 0, 0, "is not the start of a block in use");
}

void MiInitializeHeap(void)
{
    secret = KeGetRandom();
    uint8_t index = 0;
    for (size_t units = 0; units < RTL_COUNT_OF(classOf); units++) {
        while (index + 1u < RTL_COUNT_OF(classes) && units * 16 > classes[index].Size)
            index++;
        classOf[units] = index;
    }
    for (size_t i = 0; i < RTL_COUNT_OF(classes); i++)
        RtlInitializeList(&classes[i].Partial);
    for (size_t i = 0; i < RTL_COUNT_OF(caches); i++)
        KeInitializeSpinLock(&caches[i].Lock, LockRankHeapCache, "heap cache");
    tags[TAG_SLOTS - 1].Tag = MM_TAG('r', 'e', 's', 't');
}

SAN_TRUSTED_END
