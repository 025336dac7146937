// cpu.h - the instructions the loader needs that C cannot say.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

static inline void CpuOut8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t CpuIn8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t CpuReadTsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

typedef struct CpuLeaf {
    uint32_t Eax, Ebx, Ecx, Edx;
} CpuLeaf;

static inline CpuLeaf CpuId(uint32_t leaf)
{
    CpuLeaf result;
    __asm__ volatile("cpuid"
                     : "=a"(result.Eax), "=b"(result.Ebx), "=c"(result.Ecx), "=d"(result.Edx)
                     : "a"(leaf), "c"(0));
    return result;
}

static inline bool CpuReadRandom(uint64_t *value)
{
    bool valid;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(valid));
    return valid;
}

static inline uint64_t CpuReadCr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

#define CPU_CR0_WRITE_PROTECT (1ull << 16)
#define CPU_CR4_LA57          (1ull << 12)
#define CPU_MSR_EFER          0xC0000080u
#define CPU_EFER_NXE          (1ull << 11)

static inline uint64_t CpuReadCr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline void CpuWriteCr0(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline uint64_t CpuReadMsr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline void CpuWriteMsr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline void CpuDisableInterrupts(void)
{
    __asm__ volatile("cli" : : : "memory");
}

// Switches to the tables at root and the stack at stack, and enters the kernel with argument in
// rcx. The caller's code must be mapped at the same address in both sets of tables; the return
// address that the kernel sees is whatever stack points to (zero: the end of every stack walk).
__attribute__((noreturn)) static inline void CpuEnterKernel(uint64_t root, uint64_t stack,
                                                            uint64_t entry, uint64_t argument)
{
    __asm__ volatile("mov %[root], %%cr3\n\t"
                     "mov %[stack], %%rsp\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "cld\n\t"
                     "jmp *%[entry]"
                     :
                     : [root] "a"(root), [stack] "d"(stack), [entry] "r"(entry), "c"(argument)
                     : "memory");
    __builtin_unreachable();
}
