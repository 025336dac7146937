// kernel/mm on the host: the real allocator, page tables, regions and fault handler over a
// simulated physical memory, driven by random operations and compared with naive models.
// SPDX-License-Identifier: MIT
#include "../../kernel/mm/mi.h"
#include "unit.h"

#include <setjmp.h>
#include <sys/mman.h>

#define FRAMES 4096u // 16 MiB of simulated memory

// ---- what mm needs of ke and hal
bool HalSmapEnabled = true;
static uint64_t randomState = 99;
static jmp_buf bugCheckJump;
static bool bugCheckExpected;
static char bugCheckMessage[256];
static const KSpinLock *heldLocks[8];
static size_t heldCount;
static uint32_t raised;

KIrql KeGetCurrentIrql(void)
{
    return heldCount || raised ? DispatchLevel : PassiveLevel;
}
void KeInitializeSpinLock(KSpinLock *lock, KLockRank rank, const char *name)
{
    *lock = (KSpinLock)KE_SPIN_LOCK_INIT(rank, name);
}
KIrql KeAcquireSpinLock(KSpinLock *lock)
{
    if (heldCount && heldLocks[heldCount - 1]->Rank >= lock->Rank) {
        printf("# lock %s taken under %s\n", lock->Name, heldLocks[heldCount - 1]->Name);
        abort();
    }
    KIrql old = KeGetCurrentIrql();
    heldLocks[heldCount++] = lock;
    return old;
}
void KeReleaseSpinLock(KSpinLock *lock, KIrql old)
{
    if (!heldCount || heldLocks[--heldCount] != lock)
        abort();
    (void)old;
}
uint64_t KeGetRandom(void)
{
    return UnitRandom(&randomState);
}
void KeLog(KLogLevel level, const char *format, ...)
{
    (void)level, (void)format;
}
void HalCopy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void KeFlushTlb(uint64_t root, uint64_t start, uint64_t end)
{
    (void)root, (void)start, (void)end;
}
void KeFlushTlbPageHere(uint64_t address)
{
    (void)address;
}
void KeFlushTlbAll(void) {}
void KeForgetPageTables(uint64_t root)
{
    (void)root;
}
void MiWakeZeroing(void) {}
uint32_t KeGetProcessorCount(void)
{
    return 2;
}
uint32_t KeGetCurrentProcessorNumber(void)
{
    return 0;
}
KIrql KeRaiseIrql(KIrql level)
{
    KIrql old = KeGetCurrentIrql();
    raised++;
    (void)level;
    return old;
}
void KeLowerIrql(KIrql old)
{
    raised--;
    (void)old;
}
void KeInitializeEvent(KEvent *event, bool manualReset, bool set)
{
    (void)event, (void)manualReset, (void)set;
}
void KeSetEvent(KEvent *event)
{
    (void)event;
}
Status KeWaitForObject(void *object, KWaitMode mode, uint64_t timeout)
{
    (void)object, (void)mode, (void)timeout;
    abort(); // one thread: a lock that has to wait is a deadlock
}
Status KeWaitOnKey(uint64_t space, uint64_t key, bool (*check)(void *), void *context,
                   KWaitMode mode, uint64_t timeout)
{
    (void)space, (void)key, (void)check, (void)context, (void)mode, (void)timeout;
    abort();
}
uint32_t KeWakeKey(uint64_t space, uint64_t key, uint32_t count)
{
    (void)space, (void)key, (void)count;
    return 0;
}
void KeRegisterPageFaultHandler(bool (*handler)(uint64_t, uint64_t, KTrapFrame *))
{
    (void)handler;
}
void KeAssertionFailed(const char *expression, const char *file, uint32_t line)
{
    printf("# assertion %s at %s:%u\n", expression, file, line);
    abort();
}
void KeBugCheckFrame(KBugCheckCode code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4,
                     const char *message, const KTrapFrame *frame)
{
    (void)code, (void)p1, (void)p2, (void)p3, (void)p4, (void)frame;
    snprintf(bugCheckMessage, sizeof bugCheckMessage, "%s", message);
    if (!bugCheckExpected) {
        printf("# bugcheck %x: %s\n", code, message);
        abort();
    }
    heldCount = 0;
    raised = 0;
    longjmp(bugCheckJump, 1);
}
Status MmCheckUserRange(UserPointer address, size_t size)
{
    bool inside = address >= MM_USER_LOWEST && address <= MM_USER_HIGHEST &&
                  size <= MM_USER_HIGHEST - address + 1;
    return inside ? StatusSuccess : StatusInvalidAddress;
}

#define EXPECT_BUGCHECK(statement, text)                                                           \
    do {                                                                                           \
        bugCheckMessage[0] = 0;                                                                    \
        bugCheckExpected = true;                                                                   \
        if (!setjmp(bugCheckJump))                                                                 \
            statement;                                                                             \
        bugCheckExpected = false;                                                                  \
        CHECK(strstr(bugCheckMessage, text) != nullptr);                                           \
    } while (0)

static MmAddressSpace *current;
static MmAddressSpace *Current(void)
{
    return current;
}

// The machine is set up once; every test gives back what it took.
static void StartMachine(void)
{
    static bool mapped;
    if (!mapped) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        void *memory =
            mmap((void *)DIRECT_MAP_BASE, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
        void *database = mmap((void *)PFN_DATABASE_BASE, FRAMES * sizeof(MmPageFrame),
                              PROT_READ | PROT_WRITE, flags, -1, 0);
        if (memory == MAP_FAILED || database == MAP_FAILED)
            abort();
        mapped = true;
        MiInitializeFrames(FRAMES);
        MiClaimFrames(256, 258, PageTable);
        MiKernelRoot = 257 * PAGE_SIZE;
        memset((void *)DIRECT_MAP_BASE, 0xEE, FRAMES * PAGE_SIZE);
        memset(MmPhysicalToVirtual(MiKernelRoot), 0, PAGE_SIZE);
        MiDonateFrames(1, 256);
        MiDonateFrames(258, 700);
        MiDonateFrames(701, FRAMES);
        MiInitializeHeap();
        MiInitializeKernelSpace();
        MmSetCurrentAddressSpaceHook(Current);
    }
}

static uint64_t FreePages(void)
{
    MmCounters counters;
    MmQueryCounters(&counters);
    return counters.PagesFree;
}

// ---- page frames
static void TestFrames(void)
{
    enum { MOST = 600 };
    static PhysicalAddress base[MOST];
    static size_t length[MOST];
    static uint8_t owner[FRAMES];
    StartMachine();
    uint64_t before = FreePages(), seed = 5, taken = 0;
    memset(owner, 0, sizeof owner);
    for (int step = 0; step < 40000; step++) {
        uint64_t random = UnitRandom(&seed);
        size_t i = random % MOST;
        if (base[i]) {
            for (size_t k = 0; k < length[i]; k++)
                owner[(base[i] >> PAGE_SHIFT) + k] = 0;
            if (length[i] == 1 && random >> 63)
                MmFreePage(base[i]);
            else
                MmFreeContiguous(base[i], length[i]);
            taken -= length[i];
            base[i] = 0;
            continue;
        }
        uint64_t alignment = 1ull << (12 + random / 1000 % 5),
                 limit = random / 8000 % 8 == 0 ? 0x100000 : 0;
        size_t count = random / 64000 % 3 == 0 ? 1 + random / 512000 % 70 : 1;
        bool zeroed = count == 1 && random >> 62 == 0;
        Status status = zeroed
                            ? MmAllocatePage(PageDevice, true, &base[i])
                            : MmAllocateContiguous(PageDevice, count, alignment, limit, &base[i]);
        if (status != StatusSuccess) {
            base[i] = 0;
            continue;
        }
        length[i] = count;
        taken += count;
        CHECK(zeroed || base[i] % alignment == 0);
        CHECK(zeroed || !limit || base[i] + count * PAGE_SIZE <= limit);
        for (size_t k = 0; k < count; k++)
            CHECK_EQUAL(owner[(base[i] >> PAGE_SHIFT) + k]++, 0);
        CHECK_EQUAL(owner[0] | owner[256] | owner[257] | owner[700], 0);
        uint8_t *bytes = MmPhysicalToVirtual(base[i]);
        for (size_t k = 0; zeroed && k < PAGE_SIZE; k++)
            CHECK_EQUAL(bytes[k], 0);
        memset(bytes, 0xAB, count * PAGE_SIZE);
        if (step % 16 == 0)
            while (random-- % 4 && MiZeroOneFrame())
                ;
    }
    CHECK_EQUAL(FreePages(), before - taken);
    for (size_t i = 0; i < MOST; i++)
        if (base[i])
            MmFreeContiguous(base[i], length[i]);
    CHECK_EQUAL(FreePages(), before);
    PhysicalAddress whole; // everything merged again: 2048 frames in a row exist
    CHECK_EQUAL(MmAllocateContiguous(PageDevice, 2048, 0, 0, &whole), StatusSuccess);
    MmFreeContiguous(whole, 2048);
    EXPECT_BUGCHECK(MmFreePage(whole), "not allocated");
    EXPECT_BUGCHECK(MmFreePage((PhysicalAddress)FRAMES << PAGE_SHIFT), "not allocated");
    EXPECT_BUGCHECK(MmFreePage(700 << PAGE_SHIFT), "not allocated");
}

// ---- heap
static void TestHeap(void)
{
    enum { MOST = 800 };
    static uint8_t *blocks[MOST];
    static size_t sizes[MOST];
    StartMachine();
    MmCounters start;
    MmQueryCounters(&start);
    uint64_t seed = 17;
    for (int step = 0; step < 60000; step++) {
        uint64_t random = UnitRandom(&seed);
        size_t i = random % MOST;
        if (blocks[i]) {
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK_EQUAL(blocks[i][k], (uint8_t)(i + k));
            MmFreeHeap(blocks[i]);
            blocks[i] = nullptr;
            continue;
        }
        size_t size = random / 1024 % 16 == 0 ? random / 65536 % 40000 : random / 65536 % 2300;
        blocks[i] = MmAllocateHeap(size, MM_TAG('T', 's', 't', '0' + i % 8));
        if (!blocks[i])
            continue;
        sizes[i] = size;
        CHECK_EQUAL((uint64_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < size; k++) {
            CHECK_EQUAL(blocks[i][k], 0);
            blocks[i][k] = (uint8_t)(i + k);
        }
    }
    for (size_t i = 0; i < MOST; i++)
        MmFreeHeap(blocks[i]);
    MmCounters end;
    MmQueryCounters(&end);
    CHECK_EQUAL(end.HeapBlocks, start.HeapBlocks);
    CHECK_EQUAL(end.HeapBytes, start.HeapBytes);
    CHECK(start.PagesFree - end.PagesFree < 40); // at most one empty slab a size class stays
    MmFreeHeap(nullptr);
    CHECK(MmAllocateHeap(SIZE_MAX, 1) == nullptr);
    CHECK(MmAllocateHeap((size_t)FRAMES * PAGE_SIZE, 1) == nullptr);
}

static void TestHeapMisuse(void)
{
    StartMachine();
    char *block = MmAllocateHeap(40, MM_TAG('T', 'e', 's', 't'));
    char *other = MmAllocateHeap(40, MM_TAG('T', 'e', 's', 't'));
    EXPECT_BUGCHECK(MmFreeHeap(block + 16), "not the start");
    MmFreeHeap(block);
    EXPECT_BUGCHECK(MmFreeHeap(block), "freed twice");
    other[40] ^= 1;
    memset(other + 40, 0x41, 8); // class of 48 bytes: the trailer follows
    EXPECT_BUGCHECK(MmFreeHeap(other), "past its end");
    CHECK(strstr(bugCheckMessage, "'AAAA'") != nullptr);
    EXPECT_BUGCHECK(MmFreeHeap(bugCheckMessage), "not the start");
    char *large = MmAllocateHeap(9000, 7);
    EXPECT_BUGCHECK(MmFreeHeap(large + 4096), "not the start");
    EXPECT_BUGCHECK(MmFreeHeap(large + 8), "not the start");
    MmFreeHeap(large);
    EXPECT_BUGCHECK(MmFreeHeap(large), "not the start");
}

// A block whose frames are not in a row is as good as any other.
static void TestHeapFragmented(void)
{
    static PhysicalAddress pages[FRAMES];
    StartMachine();
    uint64_t before = FreePages();
    size_t count = 0;
    while (MmAllocatePage(PageDevice, false, &pages[count]) == StatusSuccess)
        count++;
    for (size_t i = 0; i < count; i++)
        if (pages[i] >> PAGE_SHIFT & 1)
            MmFreePage(pages[i]);
    void *block = MmAllocateHeap(100 * PAGE_SIZE, 3);
    CHECK(block && MiIsDynamic((uint64_t)block));
    if (block)
        EXPECT_BUGCHECK(MmFreeHeap((char *)block + PAGE_SIZE), "not the start");
    MmFreeHeap(block);
    void *stack;
    CHECK_EQUAL(MmAllocateKernelStack(MM_KERNEL_STACK_SIZE, &stack), StatusSuccess);
    unsigned level;
    CHECK(MiFindLeaf(MiKernelRoot, (uint64_t)stack, &level) != nullptr);
    CHECK(MiFindLeaf(MiKernelRoot, (uint64_t)stack - 1, &level) == nullptr);
    CHECK(MiFindLeaf(MiKernelRoot, (uint64_t)stack + MM_KERNEL_STACK_SIZE, &level) == nullptr);
    MmFreeKernelStack(stack, MM_KERNEL_STACK_SIZE);
    for (size_t i = 0; i < count; i++)
        if (!(pages[i] >> PAGE_SHIFT & 1))
            MmFreePage(pages[i]);
    CHECK(before - FreePages() < 8);
}

// ---- user memory, through the page tables as the processor would
static uint8_t *Touch(MmAddressSpace *space, uint64_t address, bool write, bool fetch)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        unsigned level;
        const MiPte *pte = MiFindLeaf(MmGetPageTableRoot(space), address, &level);
        bool present = pte && (*pte & PTE_PRESENT);
        if (present && (*pte & PTE_USER) && (!write || (*pte & PTE_WRITE)) &&
            (!fetch || !(*pte & PTE_NO_EXECUTE)))
            return (uint8_t *)MmPhysicalToVirtual(*pte & PTE_ADDRESS) + address % PAGE_SIZE;
        KTrapFrame frame = {.Cs = 3};
        current = space;
        if (!MiHandlePageFault(address, 4u | present | (write ? 2u : 0u) | (fetch ? 16u : 0u),
                               &frame))
            return nullptr;
    }
    CHECK(!"a resolved fault came again");
    return nullptr;
}

enum { SLOTS = 200, BASE = 0x10000000 }; // the model covers 200 pages at BASE
typedef struct ModelPage {
    int allocation; // 0: free
    MemoryProtection protection;
    uint8_t value;
    bool guard;
} ModelPage;

static void CheckPage(MmAddressSpace *space, ModelPage *page, uint64_t address, uint64_t random)
{
    bool readable = page->allocation && !page->guard && page->protection != MemoryNoAccess;
    uint8_t *byte = Touch(space, address, false, false);
    CHECK_EQUAL(byte != nullptr, readable);
    if (byte)
        CHECK_EQUAL(*byte, page->value);
    bool writable = readable && page->protection == MemoryReadWrite;
    byte = Touch(space, address, true, false);
    CHECK_EQUAL(byte != nullptr, writable);
    if (byte)
        *byte = page->value = (uint8_t)random;
    byte = Touch(space, address, false, true);
    CHECK_EQUAL(byte != nullptr, readable && page->protection == MemoryReadExecute);
}

static bool Overlaps(const ModelPage *pages, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (pages[i].allocation)
            return true;
    return false;
}

static void Protect(MmAddressSpace *space, ModelPage *pages, size_t first, size_t count,
                    MemoryProtection protection)
{
    bool same = true;
    for (size_t i = first; i < first + count; i++)
        same &= pages[i].allocation && pages[i].allocation == pages[first].allocation;
    Status status =
        MmProtectVirtual(space, BASE + first * PAGE_SIZE, count * PAGE_SIZE, protection);
    CHECK_EQUAL(status == StatusSuccess, same);
    for (size_t i = first; same && i < first + count; i++)
        pages[i].protection = protection;
}

static void TestPrivateMemory(void)
{
    static ModelPage pages[SLOTS];
    static const MemoryProtection protections[] = {MemoryNoAccess, MemoryRead, MemoryReadWrite,
                                                   MemoryReadExecute};
    StartMachine();
    memset(pages, 0, sizeof pages);
    uint64_t before = FreePages(), seed = 3;
    MmAddressSpace *space;
    CHECK_EQUAL(MmCreateAddressSpace(&space), StatusSuccess);
    int next = 1;
    for (int step = 0; step < 30000; step++) {
        uint64_t random = UnitRandom(&seed);
        size_t first = random % SLOTS, count = 1 + random / SLOTS % 24;
        count = RTL_MIN(count, SLOTS - first);
        MemoryProtection protection = protections[random >> 40 & 3];
        switch (random >> 50 & 3) {
        case 0: {
            uint64_t base = BASE + first * PAGE_SIZE;
            bool stack = random >> 45 & 1;
            Status status = MmAllocateVirtual(space, &base, count * PAGE_SIZE - random % 4096,
                                              protection, stack ? RegionStack : RegionPrivate);
            bool overlaps = Overlaps(pages, first, count);
            CHECK_EQUAL(status, overlaps ? StatusConflict : StatusSuccess);
            for (size_t i = first; !overlaps && i < first + count; i++)
                pages[i] = (ModelPage){next, protection, 0, stack && i == first};
            next++;
            break;
        }
        case 1: {
            bool start = pages[first].allocation &&
                         (!first || pages[first - 1].allocation != pages[first].allocation);
            CHECK_EQUAL(MmFreeVirtual(space, BASE + first * PAGE_SIZE),
                        start ? StatusSuccess : StatusNotFound);
            int gone = pages[first].allocation;
            for (size_t i = 0; start && i < SLOTS; i++)
                if (pages[i].allocation == gone)
                    pages[i] = (ModelPage){};
            break;
        }
        case 2:
            Protect(space, pages, first, count, protection);
            break;
        default:
            for (size_t i = first; i < first + count; i++)
                CheckPage(space, &pages[i], BASE + i * PAGE_SIZE + random / 7 % PAGE_SIZE / 4096,
                          random + i);
        }
        if (step % 128 == 0)
            while (MiZeroOneFrame())
                ;
    }
    MemoryInfo info;
    for (size_t i = 0; i < SLOTS; i++) {
        CHECK_EQUAL(MmQueryVirtual(space, BASE + i * PAGE_SIZE, &info), StatusSuccess);
        CHECK_EQUAL(info.Kind != 0, pages[i].allocation != 0);
        CHECK_EQUAL(info.Protection, pages[i].protection);
    }
    MmDestroyAddressSpace(space);
    CHECK(before - FreePages() < 8);
}

static void TestPlacement(void)
{
    StartMachine();
    MmAddressSpace *space;
    uint64_t before = FreePages();
    CHECK_EQUAL(MmCreateAddressSpace(&space), StatusSuccess);
    uint64_t base = 0, previous = 0;
    for (int i = 0; i < 300; i++) {
        base = 0;
        CHECK_EQUAL(MmAllocateVirtual(space, &base, 3 * PAGE_SIZE, MemoryReadWrite, RegionPrivate),
                    StatusSuccess);
        CHECK(base >= MM_USER_LOWEST && base + 3 * PAGE_SIZE - 1 <= MM_USER_HIGHEST &&
              base != previous);
        CHECK(Touch(space, base, true, false) != nullptr);
        previous = base;
    }
    uint64_t bad[] = {
        1, 0xFFF, PAGE_SIZE, MM_USER_HIGHEST + 1, 0xFFFF800000000000, UINT64_MAX & ~0xFFFull};
    for (size_t i = 0; i < RTL_COUNT_OF(bad); i++)
        CHECK_EQUAL(MmAllocateVirtual(space, &bad[i], PAGE_SIZE, MemoryRead, RegionPrivate),
                    StatusInvalidParameter);
    base = 0;
    CHECK_EQUAL(MmAllocateVirtual(space, &base, 0, MemoryRead, RegionPrivate),
                StatusInvalidParameter);
    CHECK_EQUAL(MmAllocateVirtual(space, &base, 1, 7, RegionPrivate), StatusInvalidParameter);
    CHECK_EQUAL(MmAllocateVirtual(space, &base, 1, 2, RegionPrivate), StatusInvalidParameter);
    CHECK_EQUAL(MmAllocateVirtual(space, &base, SIZE_MAX, MemoryRead, RegionPrivate),
                StatusNoAddressSpace);
    CHECK_EQUAL(MmAllocateVirtual(space, &base, 1ull << 45, MemoryReadWrite, RegionPrivate),
                StatusNoMemory);
    CHECK_EQUAL(MmAllocateVirtual(space, &base, 1ull << 45, MemoryNoAccess, RegionPrivate),
                StatusSuccess);
    CHECK_EQUAL(MmProtectVirtual(space, base, 1ull << 45, MemoryReadWrite), StatusNoMemory);
    CHECK_EQUAL(MmProtectVirtual(space, base + PAGE_SIZE, PAGE_SIZE, MemoryReadWrite),
                StatusSuccess);
    CHECK(Touch(space, base + PAGE_SIZE, true, false) != nullptr);
    CHECK(Touch(space, base + 2 * PAGE_SIZE, false, false) == nullptr);
    CHECK_EQUAL(MmProtectVirtual(space, base, PAGE_SIZE, 7), StatusInvalidParameter);
    CHECK_EQUAL(MmProtectVirtual(space, 0xFFFF800000000000, PAGE_SIZE, MemoryRead),
                StatusInvalidAddress);
    CHECK_EQUAL(MmProtectVirtual(space, base, UINT64_MAX, MemoryRead), StatusInvalidAddress);
    uint64_t room;
    CHECK_EQUAL(MmReserveRange(space, 1 << 20, &room), StatusSuccess);
    MmDestroyAddressSpace(space);
    CHECK(before - FreePages() < 8);
}

// Memory runs out as an error, and everything is there again afterwards.
static void TestExhaustion(void)
{
    StartMachine();
    uint64_t before = FreePages();
    MmAddressSpace *space;
    CHECK_EQUAL(MmCreateAddressSpace(&space), StatusSuccess);
    uint64_t bases[FRAMES], count = 0;
    do {
        bases[count] = 0;
    } while (MmAllocateVirtual(space, &bases[count], 64 * PAGE_SIZE, MemoryReadWrite,
                               RegionPrivate) == StatusSuccess &&
             ++count);
    CHECK(count > 30);
    MmSection *section;
    CHECK_EQUAL(MmCreateSection(64 * PAGE_SIZE, PageSection, &section), StatusNoMemory);
    for (uint64_t i = 0; i < count; i++) // what was promised is there
        for (uint64_t page = 0; page < 64; page++)
            CHECK(Touch(space, bases[i] + page * PAGE_SIZE, true, false) != nullptr);
    MmSpaceCounters counters;
    MmQuerySpace(space, &counters);
    CHECK_EQUAL(counters.CommittedBytes, count * 64 * PAGE_SIZE);
    // The frames, and page tables: one for each 2 MiB a block may touch, and three levels above.
    CHECK(counters.ResidentBytes > count * 64 * PAGE_SIZE);
    CHECK(counters.ResidentBytes <= count * 64 * PAGE_SIZE + (2 * count + 4) * PAGE_SIZE);
    MmDestroyAddressSpace(space);
    CHECK(before - FreePages() < 8);
}

static void TestSections(void)
{
    StartMachine();
    uint64_t before = FreePages();
    MmAddressSpace *a, *b;
    MmSection *section;
    CHECK_EQUAL(MmCreateAddressSpace(&a), StatusSuccess);
    CHECK_EQUAL(MmCreateAddressSpace(&b), StatusSuccess);
    CHECK_EQUAL(MmCreateSection(20 * PAGE_SIZE, PageSection, &section), StatusSuccess);
    char text[6000];
    memset(text, 'x', sizeof text);
    CHECK_EQUAL(MmWriteSection(section, 4000, text, sizeof text), StatusSuccess);
    CHECK_EQUAL(MmWriteSection(section, 20 * PAGE_SIZE - 1, text, 2), StatusInvalidParameter);

    uint64_t shared[2] = {}, private[2] = {};
    CHECK_EQUAL(MmMapSection(a, section, 0, 20 * PAGE_SIZE, &shared[0], MemoryReadWrite,
                             RegionSection, false),
                StatusSuccess);
    CHECK_EQUAL(MmMapSection(b, section, PAGE_SIZE, 19 * PAGE_SIZE, &shared[1], MemoryRead,
                             RegionSection, false),
                StatusSuccess);
    CHECK_EQUAL(MmMapSection(a, section, 0, 20 * PAGE_SIZE, &private[0], MemoryReadWrite,
                             RegionImage, true),
                StatusSuccess);
    CHECK_EQUAL(MmMapSection(b, section, 0, 20 * PAGE_SIZE, &private[1], MemoryReadExecute,
                             RegionImage, true),
                StatusSuccess);
    CHECK_EQUAL(MmMapSection(b, section, PAGE_SIZE, 20 * PAGE_SIZE, &private[1], MemoryRead,
                             RegionImage, true),
                StatusInvalidParameter);

    *Touch(a, shared[0] + PAGE_SIZE, true, false) = 'y';
    CHECK_EQUAL(*Touch(b, shared[1], false, false), 'y');
    CHECK_EQUAL(*Touch(a, private[0] + PAGE_SIZE, false, false), 'y');
    *Touch(a, private[0] + PAGE_SIZE, true, false) = 'z'; // the first write copies
    CHECK_EQUAL(*Touch(a, private[0] + PAGE_SIZE, false, false), 'z');
    CHECK_EQUAL(*Touch(b, shared[1], false, false), 'y');
    *Touch(a, shared[0] + PAGE_SIZE, true, false) = 'w';
    CHECK_EQUAL(*Touch(a, private[0] + PAGE_SIZE, false, false), 'z');
    CHECK(Touch(b, shared[1], true, false) == nullptr);
    CHECK(Touch(b, private[1], true, false) == nullptr);
    CHECK(Touch(b, private[1], false, true) != nullptr);

    // Making part of the image writable copies it; the section stays as it was.
    CHECK_EQUAL(MmProtectVirtual(b, private[1] + PAGE_SIZE, PAGE_SIZE, MemoryReadWrite),
                StatusSuccess);
    *Touch(b, private[1] + PAGE_SIZE, true, false) = 'v';
    CHECK_EQUAL(MmProtectVirtual(b, private[1] + PAGE_SIZE, PAGE_SIZE, MemoryReadExecute),
                StatusSuccess);
    CHECK_EQUAL(*Touch(b, private[1] + PAGE_SIZE, false, true), 'v');
    CHECK_EQUAL(*Touch(b, shared[1], false, false), 'w');
    CHECK_EQUAL(MmProtectVirtual(b, shared[1], PAGE_SIZE, MemoryReadExecute),
                StatusInvalidParameter);
    CHECK_EQUAL(MmFreeVirtual(b, shared[1]), StatusNotFound);

    void *kernel;
    CHECK_EQUAL(MmMapSectionInKernel(section, &kernel), StatusSuccess);
    MmDereferenceSection(section); // the mappings keep it
    CHECK_EQUAL(*(uint8_t *)MmPhysicalToVirtual(MmVirtualToPhysical((char *)kernel + PAGE_SIZE)),
                'w');
    CHECK_EQUAL(MmUnmapSection(b, shared[1]), StatusSuccess);
    CHECK_EQUAL(MmUnmapSection(b, shared[1]), StatusNotFound);
    CHECK(Touch(b, shared[1], false, false) == nullptr);
    MmDestroyAddressSpace(b);
    MmDestroyAddressSpace(a);
    MmUnmapSectionInKernel(section, kernel);
    CHECK(before - FreePages() < 8);
}

// Faults that must stand.
static void TestBadFaults(void)
{
    StartMachine();
    MmAddressSpace *space;
    CHECK_EQUAL(MmCreateAddressSpace(&space), StatusSuccess);
    current = space;
    uint64_t base = 0;
    CHECK_EQUAL(MmAllocateVirtual(space, &base, PAGE_SIZE, MemoryReadWrite, RegionPrivate),
                StatusSuccess);
    KTrapFrame kernel = {.Cs = 0}, copy = {.Cs = 0, .Rflags = 1 << 18};
    CHECK(!MiHandlePageFault(base, 2, &kernel)); // a stray kernel access: SMAP is not lifted
    CHECK(MiHandlePageFault(base, 2, &copy));
    CHECK(!MiHandlePageFault(base, 2 | 8, &copy));
    CHECK(!MiHandlePageFault(0, 6, &copy));
    CHECK(!MiHandlePageFault(MM_USER_HIGHEST + 1, 6, &copy));
    CHECK(!MiHandlePageFault(0xFFFF800000000000, 6, &copy));
    CHECK(!MiHandlePageFault(base, 4 | 16, &copy));
    current = nullptr;
    CHECK(!MiHandlePageFault(base, 6, &copy));
    MmDestroyAddressSpace(space);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"page frames agree with a naive model", TestFrames},
        {"heap blocks are zeroed, disjoint and counted", TestHeap},
        {"heap misuse stops with a message", TestHeapMisuse},
        {"large heap blocks and stacks in fragmented memory", TestHeapFragmented},
        {"private memory agrees with a naive model", TestPrivateMemory},
        {"placement and bad arguments", TestPlacement},
        {"exhaustion is an error", TestExhaustion},
        {"sections: shared and copied on write", TestSections},
        {"faults that must stand", TestBadFaults},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
