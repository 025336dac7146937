// fpu.c - the x87, SSE and AVX state of user threads.
//
// The kernel is compiled without these registers, so they always hold some user thread's values (or
// a firmware call's, firmware.c). They are saved when their thread leaves the processor and loaded
// when another one enters it: XSAVEOPT where CPUID has it, else XSAVE, else FXSAVE. Large copies
// borrow four of them and put back what they found.
// SPDX-License-Identifier: MIT
#include "hal_private.h"

#define CR4_OSXSAVE          (1ull << 18)
#define XCR0_X87             1ull
#define XCR0_SSE             2ull
#define XCR0_AVX             4ull
#define XCR0_AVX512          0xE0ull
#define CPUID7_EBX_ERMS      (1u << 9)
#define FXSAVE_SIZE          512u
#define XSAVE_HEADER_SIZE    64u
#define FXSAVE_CONTROL_WORD  0 // byte offsets
#define FXSAVE_MXCSR         24
#define INITIAL_CONTROL_WORD 0x37Fu // all exceptions masked, 64-bit precision
#define INITIAL_MXCSR        0x1F80u

static enum { UseFxsave, UseXsave, UseXsaveopt } Method;
static uint32_t AreaSize = FXSAVE_SIZE;
static uint64_t StateMask;
bool HalWideCopies;

static void WriteXcr0(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

void HalpInitializeFpu(void)
{
    if (HalCpuid(1, 0).Ecx & 1u << 26) {
        HalWriteCr4(HalReadCr4() | CR4_OSXSAVE);
        uint64_t supported = HalCpuid(0xD, 0).Eax;
        StateMask = supported & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
        if ((supported & (XCR0_AVX | XCR0_AVX512)) == (XCR0_AVX | XCR0_AVX512))
            StateMask |= XCR0_AVX512;
        WriteXcr0(StateMask);
        uint32_t size = HalCpuid(0xD, 0).Ebx; // for the components just enabled
        AreaSize = (uint32_t)RTL_ALIGN_UP(RTL_MAX(size, FXSAVE_SIZE + XSAVE_HEADER_SIZE), 64);
        Method = HalCpuid(0xD, 1).Eax & 1 ? UseXsaveopt : UseXsave;
        // Writing a ymm register clears what AVX-512 has above it; such processors have ERMS.
        bool fastStrings = HalCpuid(7, 0).Ebx & CPUID7_EBX_ERMS;
        HalWideCopies = !fastStrings && (StateMask & (XCR0_AVX | XCR0_AVX512)) == XCR0_AVX;
    }
    uint32_t mxcsr = INITIAL_MXCSR;
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

size_t HalFpuAreaSize(void)
{
    return AreaSize;
}

void HalInitializeFpuArea(void *area)
{
    memset(area, 0, AreaSize); // XSTATE_BV 0: every component in its initial state
    uint16_t controlWord = INITIAL_CONTROL_WORD;
    uint32_t mxcsr = INITIAL_MXCSR;
    memcpy((uint8_t *)area + FXSAVE_CONTROL_WORD, &controlWord, sizeof(controlWord));
    memcpy((uint8_t *)area + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

void HalSaveFpu(void *area)
{
    uint32_t low = (uint32_t)StateMask, high = (uint32_t)(StateMask >> 32);
    switch (Method) {
    case UseXsaveopt:
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
        break;
    case UseXsave:
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
        break;
    case UseFxsave:
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
        break;
    }
}

void HalRestoreFpu(const void *area)
{
    uint32_t low = (uint32_t)StateMask, high = (uint32_t)(StateMask >> 32);
    if (Method == UseFxsave)
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
    else
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

// ---- copies by 32 bytes

enum { WideStep = 256, WidePiece = 8192 };

// Copies size bytes, a multiple of WideStep and not 0. Interrupts are off: between two instructions
// the registers are nobody's.
__attribute__((naked)) void HalpCopyWide(void *to, const void *from, size_t size)
{
    __asm__(".seh_proc HalpCopyWide");
    __asm__("subq $0x88, %rsp\n\t.seh_stackalloc 0x88\n\t.seh_endprologue");
    __asm__("vmovdqu %ymm0, 0x00(%rsp)");
    __asm__("vmovdqu %ymm1, 0x20(%rsp)");
    __asm__("vmovdqu %ymm2, 0x40(%rsp)");
    __asm__("vmovdqu %ymm3, 0x60(%rsp)");
    __asm__("addq %r8, %rcx");
    __asm__("addq %r8, %rdx");
    __asm__("negq %r8");
    __asm__("1: vmovdqu 0x00(%rdx,%r8), %ymm0");
    __asm__("vmovdqu 0x20(%rdx,%r8), %ymm1");
    __asm__("vmovdqu 0x40(%rdx,%r8), %ymm2");
    __asm__("vmovdqu 0x60(%rdx,%r8), %ymm3");
    __asm__("vmovdqu %ymm0, 0x00(%rcx,%r8)");
    __asm__("vmovdqu %ymm1, 0x20(%rcx,%r8)");
    __asm__("vmovdqu %ymm2, 0x40(%rcx,%r8)");
    __asm__("vmovdqu %ymm3, 0x60(%rcx,%r8)");
    __asm__("vmovdqu 0x80(%rdx,%r8), %ymm0");
    __asm__("vmovdqu 0xA0(%rdx,%r8), %ymm1");
    __asm__("vmovdqu 0xC0(%rdx,%r8), %ymm2");
    __asm__("vmovdqu 0xE0(%rdx,%r8), %ymm3");
    __asm__("vmovdqu %ymm0, 0x80(%rcx,%r8)");
    __asm__("vmovdqu %ymm1, 0xA0(%rcx,%r8)");
    __asm__("vmovdqu %ymm2, 0xC0(%rcx,%r8)");
    __asm__("vmovdqu %ymm3, 0xE0(%rcx,%r8)");
    __asm__("addq $0x100, %r8");
    __asm__("jnz 1b");
    __asm__("vmovdqu 0x00(%rsp), %ymm0");
    __asm__("vmovdqu 0x20(%rsp), %ymm1");
    __asm__("vmovdqu 0x40(%rsp), %ymm2");
    __asm__("vmovdqu 0x60(%rsp), %ymm3");
    __asm__("addq $0x88, %rsp");
    __asm__("retq");
    __asm__(".seh_endproc");
}

void HalCopy(void *to, const void *from, size_t size)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    while (HalWideCopies && size >= WideStep) {
        size_t part = RTL_MIN(size, WidePiece) / WideStep * WideStep;
        bool enabled = HalSaveInterrupts();
        HalpCopyWide(target, source, part);
        HalRestoreInterrupts(enabled);
        target += part;
        source += part;
        size -= part;
    }
    memcpy(target, source, size);
}
