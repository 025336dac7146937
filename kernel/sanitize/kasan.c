// kasan.c - what code compiled with -fsanitize=kernel-address calls before each access: the machine
// stops when memory is used that is free, or beyond the end of its object.
//
// A shadow byte stands for each 8 bytes of memory: 0, all may be used; 1 to 7, only so many of
// them; else none, and the byte says why. There is a shadow of the direct map, where heap blocks
// and page frames live, and one of the kernel's image for its variables. Memory management says
// what becomes free and what is handed out (sanitize.h); the compiler adds a gap behind each
// variable and registers it when the image's constructors run. Stacks and the dynamic area have no
// shadow and are not checked; their guard pages and stack cookies remain.
//
// The compiler calls a function for each access instead of reading a shadow itself: so nothing need
// be there before SanStart, and user and device memory cost no shadow.
//
// Locking: none. A shadow byte changes hands with its memory.
// SPDX-License-Identifier: MIT
#include "LoaderParams.h"
#include "sanitize.h"

#define GRANULE       8u
#define IMAGE_MAXIMUM (8u << 20)
#define DELAYED       256u // blocks

SAN_TRUSTED_BEGIN

extern const char __ImageBase[]; // the linker's

static uint8_t *Direct; // nullptr: not yet, or no longer
static uint64_t DirectBytes;
static uint8_t Image[IMAGE_MAXIMUM / GRANULE];
static bool Running;

// The shadow of an address, or nullptr.
static uint8_t *ShadowOf(uint64_t address)
{
    if (address - DIRECT_MAP_BASE < DirectBytes)
        return Direct + (address - DIRECT_MAP_BASE) / GRANULE;
    if (address - (uint64_t)__ImageBase < IMAGE_MAXIMUM)
        return Image + (address - (uint64_t)__ImageBase) / GRANULE;
    return nullptr;
}

void SanAllow(const void *block, size_t size)
{
    uint8_t *shadow = ShadowOf((uint64_t)block);
    if (shadow == nullptr)
        return;
    memset(shadow, 0, size / GRANULE);
    if (size % GRANULE != 0)
        shadow[size / GRANULE] = size % GRANULE;
}

void SanForbid(const void *block, size_t size, SanReason reason)
{
    uint8_t *shadow = ShadowOf((uint64_t)block);
    if (shadow != nullptr)
        memset(shadow, reason, size / GRANULE);
}

static const char *Explain(uint64_t address, uint8_t shadow)
{
    if (address - (uint64_t)__ImageBase < IMAGE_MAXIMUM)
        return "behind a variable";
    switch (shadow) {
    case SanFreeBlock:
        return "a heap block that is free";
    case SanFreePage:
        return "a page that is free";
    default:
        return "behind a heap block";
    }
}

static void Report(uint64_t address, size_t size, bool write, uint64_t bad, void *caller)
{
    static char message[160]; // the machine stops; nobody else needs it
    uint8_t shadow = *ShadowOf(bad);
    Running = false;
    RtlFormat(message, sizeof(message), "%s of %llu bytes at %p: %s", write ? "write" : "read",
              (unsigned long long)size, (void *)address, Explain(bad, shadow));
    KeBugCheckFrame(BugCheckBadAccess, address, size, (uint64_t)caller, shadow, message, nullptr);
}

// Whether the byte may be used. shadow: of its granule.
static inline bool IsAllowed(uint64_t address, uint8_t shadow)
{
    return shadow == 0 || (shadow < GRANULE && address % GRANULE < shadow);
}

static inline void Check(uint64_t address, size_t size, bool write, void *caller)
{
    if (!Running || size == 0)
        return;
    const uint8_t *shadow = ShadowOf(address);
    if (shadow == nullptr)
        return;
    uint64_t last = address + size - 1;
    // All but the last granule are needed to their end.
    for (uint64_t at = address; at / GRANULE < last / GRANULE; at = (at / GRANULE + 1) * GRANULE)
        if (*shadow++ != 0)
            Report(address, size, write, at, caller);
    if (!IsAllowed(last, *shadow))
        Report(address, size, write, last, caller);
}

// The last blocks freed, in a ring. Those that begin a page are not delayed: without a trailer
// behind it, the end of a run of pages cannot be told from its shadow.
void *SanDelay(void *block)
{
    static void *volatile ring[DELAYED];
    static volatile uint32_t next;
    uint8_t *shadow = ShadowOf((uint64_t)block);
    if (!Running || shadow == nullptr || (uint64_t)block % PAGE_SIZE == 0)
        return block;
    if (*shadow >= GRANULE)
        Report((uint64_t)block, 0, true, (uint64_t)block, __builtin_return_address(0));
    for (; *shadow < GRANULE; shadow++)
        *shadow = SanFreeBlock;
    uint32_t place = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % DELAYED;
    return __atomic_exchange_n(&ring[place], block, __ATOMIC_ACQ_REL);
}

void SanStop(void)
{
    Running = false;
}

// ---- the compiler's calls
#define ACCESS(name, size, write)                                                                  \
    void __asan_##name##_noabort(uint64_t address);                                                \
    void __asan_##name##_noabort(uint64_t address)                                                 \
    {                                                                                              \
        Check(address, size, write, __builtin_return_address(0));                                  \
    }
ACCESS(load1, 1, false)
ACCESS(load2, 2, false)
ACCESS(load4, 4, false)
ACCESS(load8, 8, false)
ACCESS(load16, 16, false)
ACCESS(store1, 1, true)
ACCESS(store2, 2, true)
ACCESS(store4, 4, true)
ACCESS(store8, 8, true)
ACCESS(store16, 16, true)

void __asan_loadN_noabort(uint64_t address, size_t size);
void __asan_loadN_noabort(uint64_t address, size_t size)
{
    Check(address, size, false, __builtin_return_address(0));
}

void __asan_storeN_noabort(uint64_t address, size_t size);
void __asan_storeN_noabort(uint64_t address, size_t size)
{
    Check(address, size, true, __builtin_return_address(0));
}

void *__asan_memcpy(void *to, const void *from, size_t size);
void *__asan_memcpy(void *to, const void *from, size_t size)
{
    Check((uint64_t)from, size, false, __builtin_return_address(0));
    Check((uint64_t)to, size, true, __builtin_return_address(0));
    return memcpy(to, from, size);
}

void *__asan_memmove(void *to, const void *from, size_t size);
void *__asan_memmove(void *to, const void *from, size_t size)
{
    Check((uint64_t)from, size, false, __builtin_return_address(0));
    Check((uint64_t)to, size, true, __builtin_return_address(0));
    return memmove(to, from, size);
}

void *__asan_memset(void *to, int value, size_t size);
void *__asan_memset(void *to, int value, size_t size)
{
    Check((uint64_t)to, size, true, __builtin_return_address(0));
    return memset(to, value, size);
}

void __asan_handle_no_return(void);
void __asan_handle_no_return(void) // stacks are not checked
{
}

// ---- variables
typedef struct Variable { // compiler-rt's asan_interface_internal.h, __asan_global
    uint64_t Address, Size, SizeWithGap;
    const char *Name, *Module;
    uint64_t HasInitializer;
    const void *Location;
    uint64_t OdrIndicator;
} Variable;

void __asan_register_globals(const Variable *variables, size_t count);
void __asan_register_globals(const Variable *variables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t used = RTL_ALIGN_UP(variables[i].Size, GRANULE);
        SanForbid((void *)(variables[i].Address + used), variables[i].SizeWithGap - used,
                  SanGlobalEnd);
        SanAllow((void *)variables[i].Address, variables[i].Size);
    }
}

void __asan_unregister_globals(const Variable *variables, size_t count);
void __asan_unregister_globals(const Variable *variables, size_t count) {}

// The image's constructors lie between these.
typedef void Constructor(void);
__attribute__((section(".CRT$XCA"))) static Constructor *const FirstConstructor[1] = {};
__attribute__((section(".CRT$XCZ"))) static Constructor *const LastConstructor[1] = {};

void SanStart(uint8_t *shadow, uint64_t bytes)
{
    Direct = shadow;
    DirectBytes = bytes;
    for (Constructor *const *at = FirstConstructor; at < LastConstructor; at++)
        if (*at != nullptr)
            (*at)();
    Running = true;
    KeLog(LogInfo, "sanitize: %llu MiB of memory are watched", (unsigned long long)bytes >> 20);
}

SAN_TRUSTED_END
