// hal_private.h - shared inside kernel/hal/x64.
// SPDX-License-Identifier: MIT
#pragma once

#include "hal.h"

// ---- segments. SYSRET wants user data right below user code, SYSCALL kernel data right above
// kernel code.
#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_SYSRET_BASE 0x23
#define SELECTOR_USER_DATA   0x2B
#define SELECTOR_USER_CODE   0x33
#define SELECTOR_TASK_STATE  0x40

// ---- model specific registers (Intel SDM vol. 4, table 2-2)
#define MSR_APIC_BASE      0x1Bu
#define MSR_TSC_DEADLINE   0x6E0u
#define MSR_PAT            0x277u
#define MSR_X2APIC         0x800u
#define MSR_EFER           0xC0000080u
#define MSR_STAR           0xC0000081u
#define MSR_LSTAR          0xC0000082u
#define MSR_CSTAR          0xC0000083u
#define MSR_SFMASK         0xC0000084u
#define MSR_FS_BASE        0xC0000100u
#define MSR_GS_BASE        0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u

#define VECTOR_FIRST_DEVICE 0x30u
#define VECTOR_LAST_DEVICE  0xDFu
#define VECTOR_CLOCK        0xE0u
#define VECTOR_RESCHEDULE   0xE1u
#define VECTOR_FLUSH        0xE2u
#define VECTOR_SYNTHETIC    0xE3u // Hyper-V's messages and events
#define VECTOR_SPURIOUS     0xFFu

#define NANOSECONDS_PER_SECOND 1000000000ull

void HalpVectorTable(void); // entry.c: 256 stubs of 16 bytes
void HalpSystemCallEntry(void);
void HalpInitializeFpu(void);
void HalpCopyWide(void *to, const void *from, size_t size);
void HalpReportStackOverrun(uint64_t cookie);
// security.c, called by the compiler
void __security_check_cookie(uint64_t cookie);
int __C_specific_handler(void *record, void *frame, void *context, void *dispatcher);

void *HalpMapDevice(PhysicalAddress address, size_t size); // nullptr: no mapper or no room
void HalpSetRsdp(PhysicalAddress rsdp);
// apic.c: the local APIC's timer, for clock.c
void HalpSetTimerMode(bool deadlineMode);
void HalpStartTimer(uint32_t count); // 0 stops it
uint32_t HalpReadTimer(void);
void HalpStartClock(void); // clock.c: this is time 0
// apic.c, clock.c: the local APIC and its timer of a processor that joins the first
void HalpJoinInterrupts(void);
void HalpJoinClock(void);
void HalpRequestInit(uint32_t processor);
void HalpRequestStart(uint32_t processor, uint8_t page); // at physical address page * 4096

// A lock for the few short sequences of this layer that two processors must not mix, with
// interrupts off; the result is for HalpUnlock.
static inline bool HalpLock(volatile uint32_t *lock)
{
    bool enabled = HalSaveInterrupts();
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        HalPause();
    return enabled;
}
static inline void HalpUnlock(volatile uint32_t *lock, bool enabled)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    HalRestoreInterrupts(enabled);
}
