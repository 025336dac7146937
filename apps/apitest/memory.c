// memory.c - VirtualAlloc, VirtualFree, VirtualProtect, VirtualQuery.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <string.h>

constexpr size_t Page = 4096;

static bool IsZero(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i])
            return false;
    return true;
}

static void TestAllocation(void)
{
    void *base = nullptr, *other = nullptr;
    MemoryInfo info;
    OK(VirtualAlloc(&base, 10 * Page + 1, MemoryReadWrite));
    EQUAL((uintptr_t)base % Page, 0);
    CHECK(IsZero(base, 11 * Page));
    memset(base, 0xAA, 11 * Page);
    OK(VirtualQuery((char *)base + 5 * Page + 123, &info));
    EQUAL(info.Base, (uintptr_t)base);
    EQUAL(info.Size, 11 * Page);
    EQUAL(info.Protection, MemoryReadWrite);
    EQUAL(info.Kind, 1);
    other = base;
    STATUS(VirtualAlloc(&other, Page, MemoryReadWrite), StatusConflict);
    other = (char *)base + 10 * Page;
    STATUS(VirtualAlloc(&other, Page, MemoryReadWrite), StatusConflict);
    STATUS(VirtualFree((char *)base + Page), StatusNotFound);
    OK(VirtualFree(base));
    STATUS(VirtualFree(base), StatusNotFound);
    OK(VirtualQuery(base, &info));
    EQUAL(info.Kind, 0);
    other = base; // there again, and zero again
    if (OK(VirtualAlloc(&other, 2 * Page, MemoryReadWrite))) {
        CHECK(other == base && IsZero(other, 2 * Page));
        OK(VirtualFree(other));
    }
}

static void TestAllocationErrors(void)
{
    void *base = nullptr;
    STATUS(VirtualAlloc(&base, 0, MemoryReadWrite), StatusInvalidParameter);
    STATUS(VirtualAlloc(&base, Page, (MemoryProtection)7),
           StatusInvalidParameter); // writable and executable
    STATUS(VirtualAlloc(&base, Page, (MemoryProtection)2), StatusInvalidParameter);
    STATUS(VirtualAlloc(&base, Page, (MemoryProtection)99), StatusInvalidParameter);
    Status status = VirtualAlloc(&base, 1ull << 46, MemoryReadWrite);
    CHECK(status == StatusNoMemory || status == StatusNoAddressSpace);
    status = VirtualAlloc(&base, SIZE_MAX, MemoryReadWrite);
    CHECK(status == StatusNoMemory || status == StatusNoAddressSpace ||
          status == StatusInvalidParameter);
    void *places[] = {(void *)0x12345,          LOW_ADDRESS,
                      KERNEL_ADDRESS,           NON_CANONICAL_ADDRESS,
                      (void *)(uintptr_t)-4096, (void *)0x00007FFFFFFFF000ull};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        base = places[i];
        CHECK(VirtualAlloc(&base, 2 * Page, MemoryReadWrite) != StatusSuccess);
    }
    void *values[] = {nullptr,       LOW_ADDRESS,       KERNEL_ADDRESS, NON_CANONICAL_ADDRESS,
                      (void *)&base, (void *)TestMemory};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        CHECK(VirtualFree(values[i]) != StatusSuccess);
}

static void TestProtection(void)
{
    void *base = nullptr;
    MemoryInfo info;
    OK(VirtualAlloc(&base, 4 * Page, MemoryReadWrite));
    memset(base, 1, 4 * Page);
    OK(VirtualProtect((char *)base + Page, Page, MemoryRead));
    EQUAL(((char *)base)[Page], 1);
    OK(VirtualQuery((char *)base + Page, &info));
    EQUAL(info.Protection, MemoryRead);
    OK(VirtualQuery(base, &info));
    EQUAL(info.Protection, MemoryReadWrite);
    // The kernel does not write there either.
    STATUS(GetRandomBytes((char *)base + Page, 16), StatusInvalidAddress);
    OK(VirtualProtect((char *)base + Page, Page, MemoryNoAccess));
    STATUS(GetRandomBytes((char *)base + Page, 16), StatusInvalidAddress);
    OK(VirtualProtect((char *)base + Page, Page, MemoryReadWrite));
    EQUAL(((char *)base)[Page], 1); // contents survive
    STATUS(VirtualProtect((char *)base + 1, Page, MemoryRead), StatusInvalidParameter);
    STATUS(VirtualProtect(base, 0, MemoryRead), StatusInvalidParameter);
    CHECK(VirtualProtect(base, 4 * Page, (MemoryProtection)7) != StatusSuccess);
    CHECK(VirtualProtect(base, 64ull << 30, MemoryRead) != StatusSuccess);
    CHECK(VirtualProtect(KERNEL_ADDRESS, Page, MemoryReadWrite) != StatusSuccess);
    CHECK(VirtualProtect((void *)((uintptr_t)TestMemory & ~(Page - 1)), Page,
                         (MemoryProtection)7) != StatusSuccess);
    // Code can be made: written first, then executable.
    static const unsigned char code[] = {0xB8, 0x2A, 0, 0, 0, 0xC3}; // mov eax, 42; ret
    memcpy(base, code, sizeof code);
    OK(VirtualProtect(base, Page, MemoryReadExecute));
    EQUAL(((int (*)(void))base)(), 42);
    OK(VirtualFree(base));
}

static void TestQuery(void)
{
    MemoryInfo info;
    int local;
    OK(VirtualQuery((void *)TestMemory, &info));
    EQUAL(info.Kind, 2);
    EQUAL(info.Protection, MemoryReadExecute);
    OK(VirtualQuery(&local, &info));
    EQUAL(info.Kind, 4);
    CHECK(VirtualQuery(LOW_ADDRESS, &info) != StatusSuccess ||
          info.Kind == 0); // outside a program's range
    CHECK(VirtualQuery(KERNEL_ADDRESS, &info) != StatusSuccess || info.Kind == 0);
    CHECK(VirtualQuery(NON_CANONICAL_ADDRESS, &info) != StatusSuccess || info.Kind == 0);
}

// Addresses first, memory later and in parts.
static void TestCommitment(void)
{
    constexpr size_t Size = 1ull << 36; // 64 GiB of addresses
    void *base = nullptr;
    MemoryInfo info;
    ProcessInfo before, during, after;
    OK(GetProcessInfo(CurrentProcess, &before));
    if (!OK(VirtualAlloc(&base, Size, MemoryNoAccess)))
        return;
    char *middle = (char *)base + Size / 2;
    OK(VirtualQuery(middle, &info));
    EQUAL(info.State, MemoryReserved);
    EQUAL(info.CommittedSize, 0);
    STATUS(GetRandomBytes(middle, 16), StatusInvalidAddress);
    OK(VirtualProtect(middle, 16 * Page, MemoryReadWrite));
    OK(VirtualQuery(middle + Page, &info));
    EQUAL(info.Base, (uintptr_t)middle);
    EQUAL(info.Size, 16 * Page);
    EQUAL(info.State, MemoryCommitted);
    EQUAL(info.CommittedSize, 16 * Page);
    EQUAL(info.AllocationBase, (uintptr_t)base);
    memset(middle, 0xAA, 16 * Page);
    OK(GetProcessInfo(CurrentProcess, &during));
    EQUAL(during.CommittedMemory - before.CommittedMemory, 16 * Page);
    STATUS(VirtualProtect(base, Size, MemoryReadWrite), StatusNoMemory); // nothing has changed
    OK(VirtualQuery(base, &info));
    EQUAL(info.Size, Size / 2);
    EQUAL(info.State, MemoryReserved);
    EQUAL((unsigned char)middle[Page], 0xAA);

    OK(VirtualDecommit(middle + 4 * Page, 4 * Page));
    OK(VirtualQuery(middle + 4 * Page, &info));
    EQUAL(info.Size, 4 * Page);
    EQUAL(info.State, MemoryReserved);
    EQUAL(info.Protection, MemoryNoAccess);
    EQUAL((unsigned char)middle[4 * Page - 1], 0xAA);
    EQUAL((unsigned char)middle[8 * Page], 0xAA);
    OK(VirtualProtect(middle + 4 * Page, 4 * Page, MemoryReadWrite));
    CHECK(IsZero((uint8_t *)middle + 4 * Page, 4 * Page)); // what was there is gone
    STATUS(VirtualDecommit(middle + 1, Page), StatusInvalidParameter);
    STATUS(VirtualDecommit(middle, 0), StatusInvalidParameter);
    STATUS(VirtualDecommit(middle, Size), StatusInvalidAddress);
    STATUS(VirtualDecommit((void *)((uintptr_t)TestMemory & ~(Page - 1)), Page),
           StatusInvalidAddress); // an image
    OK(VirtualDecommit(base, Size));
    OK(VirtualQuery(middle, &info));
    EQUAL(info.Size, Size); // one region again
    OK(VirtualFree(base));
    OK(GetProcessInfo(CurrentProcess, &after));
    EQUAL(after.CommittedMemory, before.CommittedMemory);
}

// ---- stacks
static uint64_t CommittedStack(void)
{
    MemoryInfo info = {};
    OK(VirtualQuery(&info, &info));
    EQUAL(info.Kind, 4);
    return info.CommittedSize;
}

__attribute__((noinline)) static char UseStack(void)
{
    volatile char large[512 * 1024];
    for (size_t i = 0; i < sizeof large; i += 1024)
        large[sizeof large - 1 - i] = (char)i;
    return large[0];
}

static uint32_t GrowStack(void *argument)
{
    uint64_t before = CommittedStack();
    char used = UseStack();
    CHECK(before < 256 * 1024 && CommittedStack() >= before + 256 * 1024);
    return (uint32_t)used;
}

// A stack is committed as it grows, so thousands of threads fit.
static void TestStacks(void)
{
    Handle thread;
    ProcessInfo before, after;
    OK(GetProcessInfo(CurrentProcess, &before));
    NEEDED(CreateThread(GrowStack, nullptr, 1 << 20, &thread));
    OK(WaitForSingleObject(thread, 20000));
    OK(CloseHandle(thread));
    OK(GetProcessInfo(CurrentProcess, &after));
    EQUAL(after.CommittedMemory, before.CommittedMemory);
}

// More memory than there is, in pieces: an error, and all of it comes back.
static void TestExhaustion(void)
{
    static void *pieces[4096];
    constexpr size_t Piece = 8 << 20;
    size_t count = 0;
    Status status = StatusSuccess;
    while (count < COUNT_OF(pieces)) {
        pieces[count] = nullptr;
        status = VirtualAlloc(&pieces[count], Piece, MemoryReadWrite);
        if (status != StatusSuccess)
            break;
        count++;
    }
    CHECK(count > 0);
    CHECK(status == StatusSuccess || status == StatusNoMemory || status == StatusNoAddressSpace ||
          status == StatusLimitReached);
    for (size_t i = 0; i < count; i++)
        if (!OK(VirtualFree(pieces[i])))
            break;
    void *base = nullptr;
    OK(VirtualAlloc(&base, Piece, MemoryReadWrite));
    OK(VirtualFree(base));
}

void TestMemory(void)
{
    TestAllocation();
    TestAllocationErrors();
    TestProtection();
    TestQuery();
    TestCommitment();
    TestStacks();
    TestExhaustion();
}
