// hal_intrinsics.h - single privileged instructions as functions. Part of hal.h; include that.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

// ---- ports
static inline uint8_t HalReadPort8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline uint16_t HalReadPort16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline uint32_t HalReadPort32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline void HalWritePort8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void HalWritePort16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void HalWritePort32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

// ---- model specific registers. Reading or writing one the processor lacks stops the machine.
static inline uint64_t HalReadMsr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}
static inline void HalWriteMsr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

// ---- control registers
static inline uint64_t HalReadCr0(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}
static inline uint64_t HalReadCr2(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}
static inline uint64_t HalReadCr3(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value));
    return value;
}
static inline uint64_t HalReadCr4(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr4, %0" : "=r"(value));
    return value;
}
static inline void HalWriteCr0(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}
static inline void HalWriteCr3(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}
static inline void HalWriteCr4(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}
static inline void HalInvalidatePage(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

// ---- interrupt flag
static inline uint64_t HalReadFlags(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
    return flags;
}
static inline bool HalAreInterruptsEnabled(void)
{
    return (HalReadFlags() & 0x200) != 0;
}
static inline void HalDisableInterrupts(void)
{
    __asm__ volatile("cli" : : : "memory");
}
static inline void HalEnableInterrupts(void)
{
    __asm__ volatile("sti" : : : "memory");
}
// Disables them and tells whether they were enabled, for HalRestoreInterrupts.
static inline bool HalSaveInterrupts(void)
{
    bool enabled = HalAreInterruptsEnabled();
    HalDisableInterrupts();
    return enabled;
}
static inline void HalRestoreInterrupts(bool enabled)
{
    if (enabled)
        HalEnableInterrupts();
}
static inline void HalPause(void)
{
    __asm__ volatile("pause" : : : "memory");
}
// Enables interrupts and sleeps until one comes; no wake-up can fall between the two.
static inline void HalWaitForInterrupt(void)
{
    __asm__ volatile("sti\n\thlt" : : : "memory");
}

// ---- time stamp counter, CPUID, random numbers
static inline uint64_t HalReadTsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

typedef struct HalCpuidResult {
    uint32_t Eax, Ebx, Ecx, Edx;
} HalCpuidResult;
static inline HalCpuidResult HalCpuid(uint32_t leaf, uint32_t subleaf)
{
    HalCpuidResult result;
    __asm__ volatile("cpuid"
                     : "=a"(result.Eax), "=b"(result.Ebx), "=c"(result.Ecx), "=d"(result.Edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

// ---- supervisor access to user pages (SMAP). HalSmapEnabled is set once at start-up; on
// processors without SMAP both do nothing. Only mm's user copy routines use them.
extern bool HalSmapEnabled;
static inline void HalAllowUserAccess(void)
{
    if (HalSmapEnabled)
        __asm__ volatile("stac" : : : "memory");
}
static inline void HalForbidUserAccess(void)
{
    if (HalSmapEnabled)
        __asm__ volatile("clac" : : : "memory");
}
