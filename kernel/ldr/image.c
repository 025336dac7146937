// image.c - images: read once, checked once, relocated once per boot, then shared by every process.
//
// An image's bytes live in one MmSection of SizeOfImage bytes, laid out as in memory. When it is
// loaded the image gets a random base that no other image in the cache has, is relocated to it, and
// keeps it until it leaves the cache. Mapping it (map.c) is then a matter of page table entries:
// every page is shared, and pages that a process writes are copied for that process alone by mm.
// Import slots of a program are bound inside the shared section too, since they hold the same
// values in every process.
//
// The cache is keyed by the source's identity and stamp. Somebody who asks for an image that is
// just being read waits for it. An image with a known identity but another stamp replaces the old
// one, which lives on until its last mapping is gone. Images nobody uses stay, newest first, up to
// IDLE_MAXIMUM bytes, and go when mm asks for memory.
//
// Nothing in a file is trusted: lib/pe checks headers and every directory, reads are bounded by
// what it found, and a bad image is StatusBadImage.
//
// Locking: CacheLock guards the list and counts and is never held while reading or allocating. An
// image's BindLock is a mutex for the binding of its shared import slots.
// SPDX-License-Identifier: MIT
#include "ldri.h"

#define IMAGE_MAXIMUM    (64ull << 20) // SizeOfImage; all pages are present while it is cached
#define FILE_MAXIMUM     (256ull << 20)
#define IDLE_MAXIMUM     (32ull << 20) // bytes of cached images nobody uses
#define READ_CHUNK       (64u << 10)
#define BASE_LOWEST      0x00007FF000000000ull
#define PREFERRED_LOWEST 0x10000000ull // linkers take 0x140000000 and 0x180000000
#define BASE_HIGHEST     0x00007FFF00000000ull
#define BASE_TRIES       64u

static KSpinLock CacheLock = KE_SPIN_LOCK_INIT(LockRankProcess, "image cache");
ListEntry LdriCache = {&LdriCache, &LdriCache}; // C (guarded by CacheLock)
static uint64_t IdleBytes;                      // C: of images in the cache without references
static volatile uint64_t LastSerial;            // atomic

KIrql LdriLockCache(void)
{
    return KeAcquireSpinLock(&CacheLock);
}

void LdriUnlockCache(KIrql old)
{
    KeReleaseSpinLock(&CacheLock, old);
}

// ---- loading

// Whether [base, base + size) is clear of every cached image. The cache is locked.
static bool IsBaseFree(uint64_t base, uint64_t size)
{
    RTL_FOR_EACH (entry, &LdriCache) {
        const LdrImage *other = RTL_CONTAINER_OF(entry, LdrImage, Link);
        if (base < other->Base + other->Size && other->Base < base + size)
            return false;
    }
    return true;
}

static bool keepPreferredBases;

void LdrKeepPreferredBases(void)
{
    keepPreferredBases = true;
}

// The base the headers ask for, if that is to be kept and may be.
static uint64_t PreferredBase(const LdrImage *image)
{
    uint64_t base = image->Pe.Base;
    bool fits = base >= PREFERRED_LOWEST && base < BASE_HIGHEST - image->Pe.SizeOfImage &&
                base % PE_BASE_ALIGNMENT == 0;
    return keepPreferredBases && fits ? base : 0;
}

// Gives the image its base for this boot.
static Status ChooseBase(LdrImage *image)
{
    uint64_t places = (BASE_HIGHEST - BASE_LOWEST - image->Pe.SizeOfImage) / PE_BASE_ALIGNMENT;
    for (unsigned i = 0; i < BASE_TRIES; i++) {
        uint64_t base = i == 0 ? PreferredBase(image) : 0;
        if (!base)
            base = BASE_LOWEST + KeGetRandom() % places * PE_BASE_ALIGNMENT;
        KIrql old = KeAcquireSpinLock(&CacheLock);
        // Programs in other processes may have the same; where it is taken, the image is moved.
        bool free = (i == 0 && PreferredBase(image)) || IsBaseFree(base, image->Pe.SizeOfImage);
        if (free) {
            image->Base = base;
            image->Size = image->Pe.SizeOfImage;
        }
        KeReleaseSpinLock(&CacheLock, old);
        if (free)
            return StatusSuccess;
    }
    return StatusNoAddressSpace;
}

static Status ReadChunked(const LdrSource *source, uint64_t offset, uint8_t *to, uint64_t size)
{
    while (size != 0) {
        size_t piece = RTL_MIN(size, (uint64_t)READ_CHUNK);
        Status status = source->Read(source->Context, offset, to, piece);
        if (status != StatusSuccess)
            return status == StatusEndOfFile ? StatusBadImage : status;
        offset += piece;
        to += piece;
        size -= piece;
    }
    return StatusSuccess;
}

// Opens the headers of the file. *headers is a heap block that image->Pe looks into.
static Status ReadHeaders(LdrImage *image, const LdrSource *source, uint8_t **headers)
{
    size_t size = RTL_MIN(source->Size, (uint64_t)PAGE_SIZE);
    for (int round = 0; round < 2; round++) {
        uint8_t *bytes = MmAllocateHeap(size, LDR_TAG);
        if (bytes == nullptr)
            return StatusNoMemory;
        Status status = ReadChunked(source, 0, bytes, size);
        if (status == StatusSuccess)
            status = PeOpenHeaders(&image->Pe, bytes, size, source->Size);
        if (status == StatusSuccess) {
            *headers = bytes;
            return StatusSuccess;
        }
        MmFreeHeap(bytes);
        if (status != StatusBufferTooSmall)
            return status;
        size = image->Pe.SizeOfHeaders;
        if (size > READ_CHUNK || size > source->Size)
            break;
    }
    return StatusBadImage;
}

// Reads headers and sections to their places in the mapped section.
static Status ReadSections(LdrImage *image, const LdrSource *source, const uint8_t *headers,
                           size_t headerSize)
{
    memcpy(image->Bytes, headers, headerSize);
    for (size_t i = 0; i < image->Pe.SectionCount; i++) {
        PeSection section = PeGetSection(&image->Pe, i);
        if ((uint64_t)section.Rva + section.MappedSize > image->Pe.SizeOfImage ||
            section.FileSize > section.MappedSize)
            return StatusBadImage;
        Status status =
            ReadChunked(source, section.FileOffset, image->Bytes + section.Rva, section.FileSize);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

static Status LoadImage(LdrImage *image, const LdrSource *source)
{
    if (source->Size == 0 || source->Size > FILE_MAXIMUM)
        return StatusBadImage;
    uint8_t *headers;
    Status status = ReadHeaders(image, source, &headers);
    if (status != StatusSuccess)
        return status;
    size_t size = image->Pe.SizeOfImage, headerSize = image->Pe.SizeOfHeaders;
    if (size > IMAGE_MAXIMUM || headerSize > size)
        status = StatusBadImage;
    if (status == StatusSuccess)
        status = MmCreateSection(size, PageSection, &image->Section);
    void *bytes = nullptr;
    if (status == StatusSuccess)
        status = MmMapSectionInKernel(image->Section, &bytes);
    image->Bytes = bytes;
    if (status == StatusSuccess)
        status = ReadSections(image, source, headers, headerSize);
    MmFreeHeap(headers);
    if (status == StatusSuccess)
        status = PeOpen(&image->Pe, image->Bytes, size, PeLayoutMapped);
    if (status == StatusSuccess)
        status = ChooseBase(image);
    if (status == StatusSuccess)
        status = PeRelocate(&image->Pe, image->Base);
    if (status == StatusSuccess)
        LdriNamePdb(image, source->Path);
    return status;
}

// ---- the cache

// Nobody refers to the image and it is not in the cache.
static void FreeImage(LdrImage *image)
{
    LdriFreeSymbols(image);
    if (image->Bytes != nullptr)
        MmUnmapSectionInKernel(image->Section, image->Bytes);
    if (image->Section != nullptr)
        MmDereferenceSection(image->Section);
    MmFreeHeap(image);
}

// Takes the image out of the cache; the caller frees it once unlocked when true. The cache is
// locked.
static bool Unlink(LdrImage *image)
{
    RtlRemoveEntry(&image->Link);
    image->Stale = true;
    if (image->References != 0)
        return false;
    IdleBytes -= image->Size;
    return true;
}

// The cached image of the source, referenced, or nullptr. An image whose file has changed since
// leaves the cache; *drop is set when the caller must free it. The cache is locked.
static LdrImage *FindCached(const LdrSource *source, LdrImage **drop)
{
    *drop = nullptr;
    RTL_FOR_EACH (entry, &LdriCache) {
        LdrImage *image = RTL_CONTAINER_OF(entry, LdrImage, Link);
        if (image->Identity != source->Identity)
            continue;
        if (image->Stamp != source->Stamp) {
            if (Unlink(image))
                *drop = image;
            return nullptr;
        }
        if (image->References++ == 0)
            IdleBytes -= image->Size;
        return image;
    }
    return nullptr;
}

// The source's image from the cache, or `new`, put into it; referenced either way.
static LdrImage *FindOrInsert(const LdrSource *source, LdrImage *new)
{
    LdrImage *drop;
    KIrql old = KeAcquireSpinLock(&CacheLock);
    LdrImage *image = FindCached(source, &drop);
    if (image == nullptr && new != nullptr) {
        RtlInsertHead(&LdriCache, &new->Link);
        image = new;
    }
    KeReleaseSpinLock(&CacheLock, old);
    if (drop != nullptr)
        FreeImage(drop);
    return image;
}

static LdrImage *NewImage(const LdrSource *source)
{
    LdrImage *image = MmAllocateHeap(sizeof(*image), LDR_TAG);
    if (image == nullptr)
        return nullptr;
    RtlInitializeList(&image->Link);
    image->References = 1;
    image->State = ImageLoading;
    image->Identity = source->Identity;
    image->Stamp = source->Stamp;
    image->Serial = __atomic_add_fetch(&LastSerial, 1, __ATOMIC_RELAXED);
    KeInitializeEvent(&image->Loaded, true, false);
    KeInitializeMutex(&image->BindLock, LockRankProcess);
    return image;
}

// Tells everybody who waits how loading ended; a failed image leaves the cache.
static void FinishLoading(LdrImage *image, Status status)
{
    KIrql old = KeAcquireSpinLock(&CacheLock);
    image->LoadStatus = status;
    image->State = status == StatusSuccess ? ImageReady : ImageFailed;
    if (status != StatusSuccess)
        Unlink(image); // the caller still holds a reference
    KeReleaseSpinLock(&CacheLock, old);
    KeSetEvent(&image->Loaded);
}

Status LdrOpenImage(const LdrSource *source, LdrImage **image)
{
    LdrImage *found = FindOrInsert(source, nullptr);
    if (found == nullptr) {
        LdrImage *new = NewImage(source);
        if (new == nullptr)
            return StatusNoMemory;
        found = FindOrInsert(source, new);
        if (found == new)
            FinishLoading(new, LoadImage(new, source));
        else
            MmFreeHeap(new);
    }
    Status status = KeReadEvent(&found->Loaded)
                        ? StatusSuccess
                        : KeWaitForObject(&found->Loaded, KernelWait, KE_INFINITE);
    if (status == StatusSuccess)
        status = found->LoadStatus;
    if (status != StatusSuccess) {
        LdrDereferenceImage(found);
        return status;
    }
    LdriWantSymbols(found);
    *image = found;
    return StatusSuccess;
}

void LdrReferenceImage(LdrImage *image)
{
    KIrql old = KeAcquireSpinLock(&CacheLock);
    KE_ASSERT(image->References != 0);
    image->References++;
    KeReleaseSpinLock(&CacheLock, old);
}

// The idle image that was given back first, taken out of the cache, while more than `keep` bytes
// are idle.
static LdrImage *TakeIdleImage(uint64_t keep)
{
    LdrImage *oldest = nullptr;
    KIrql old = KeAcquireSpinLock(&CacheLock);
    if (IdleBytes > keep) {
        RTL_FOR_EACH (entry, &LdriCache) {
            LdrImage *image = RTL_CONTAINER_OF(entry, LdrImage, Link);
            if (image->References == 0 && (oldest == nullptr || image->LastUse < oldest->LastUse))
                oldest = image;
        }
        if (oldest != nullptr)
            Unlink(oldest);
    }
    KeReleaseSpinLock(&CacheLock, old);
    return oldest;
}

void LdrDereferenceImage(LdrImage *image)
{
    bool free = false;
    KIrql old = KeAcquireSpinLock(&CacheLock);
    KE_ASSERT(image->References != 0);
    if (--image->References == 0) {
        if (image->Stale) {
            free = true;
        } else {
            image->LastUse = KeQueryTime();
            IdleBytes += image->Size;
        }
    }
    KeReleaseSpinLock(&CacheLock, old);
    if (free)
        FreeImage(image);
    for (LdrImage *idle; (idle = TakeIdleImage(IDLE_MAXIMUM)) != nullptr;)
        FreeImage(idle);
}

void LdrPurgeCache(void)
{
    for (LdrImage *idle; (idle = TakeIdleImage(0)) != nullptr;)
        FreeImage(idle);
}

// mm's shrinker.
static size_t ShrinkCache(size_t pages)
{
    size_t freed = 0;
    for (LdrImage *idle; freed < pages && (idle = TakeIdleImage(0)) != nullptr;) {
        freed += idle->Size / PAGE_SIZE;
        FreeImage(idle);
    }
    return freed < pages ? freed + LdriShrinkSymbols(pages - freed) : freed;
}

static void TellCounters(KCounterSink *sink)
{
    KeTellCounter(sink, "images loaded", __atomic_load_n(&LastSerial, __ATOMIC_RELAXED));
    KeTellCounter(sink, "bytes of idle images", LdrGetIdleBytes());
    KeTellCounter(sink, "bytes of symbols", LdrGetSymbolBytes());
}

void LdrInitialize(void)
{
    static KCounterSource counters = {.Subsystem = "ldr", .Tell = TellCounters};
    KeRegisterCounters(&counters);
    LdriInitializeSymbols();
    MmRegisterShrinker(ShrinkCache);
}

uint64_t LdrGetIdleBytes(void)
{
    return __atomic_load_n(&IdleBytes, __ATOMIC_RELAXED);
}

bool LdrIsProgram(const LdrImage *image)
{
    return !image->Pe.IsLibrary && image->Pe.EntryPoint != 0;
}

const struct PeImage *LdrGetPe(const LdrImage *image)
{
    return &image->Pe;
}
