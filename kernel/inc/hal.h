// hal.h - the processor and its immediate surroundings: everything C cannot say, interrupt delivery,
// the clock, port and MSR access. The only layer that knows x86-64 entry sequences.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

#define PAGE_SIZE 4096u
#define PAGE_SHIFT 12

typedef uint64_t PhysicalAddress;

// The interrupted state, as the trap entry code lays it down (trap.c has the stack picture). Also what a
// system call that came from user mode can be inspected through.
typedef struct KTrapFrame {
    uint64_t Rax, Rcx, Rdx, Rbx, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15;
    uint64_t Vector;
    uint64_t ErrorCode;
    uint64_t Rip, Cs, Rflags, Rsp, Ss;
} KTrapFrame;

static inline bool HalTrapFromUser(const KTrapFrame *frame) { return (frame->Cs & 3) == 3; }

// ---- port, MSR, control register access: static inline in hal_intrinsics.h, included here.
#include "hal_intrinsics.h"

// ---- processor set-up. Called once per processor, in this order.
// GDT, TSS with IST stacks for double fault, NMI and machine check, IDT; SMEP, SMAP, UMIP, NX, WP,
// FSGSBASE (kernel use only when present), syscall MSRs, XSAVE feature mask.
struct KPrcb;
void HalInitializeProcessor(struct KPrcb *prcb);
// Local APIC (xAPIC or x2APIC), IOAPICs and interrupt overrides from the MADT; the legacy PIC is masked.
// A machine without MADT or APIC: StatusNotSupported.
Status HalInitializeInterrupts(PhysicalAddress rsdp);
// Chooses and calibrates the clock: TSC frequency from CPUID (hypervisor leaf, 15h/16h), else measured
// against the ACPI PM timer, else HPET or the PIT; every wait is bounded. Starts the local APIC timer.
Status HalInitializeClock(PhysicalAddress rsdp);

// Finds an ACPI table by signature ("FACP") through RSDP -> XSDT/RSDT, checksum verified, the n-th of
// that name. Returns a direct-map pointer or nullptr. Usable before ACPICA.
const void *HalFindAcpiTable(const char signature[4], size_t index, size_t *length);

// ---- time
uint64_t HalQueryNanoseconds(void);  // monotonic, since HalInitializeClock
void HalArmTimer(uint64_t deadline); // one-shot clock interrupt at that HalQueryNanoseconds; the past: at once
void HalStallNanoseconds(uint64_t time); // busy wait, for hardware delays below 100 us

// ---- interrupts
typedef void HalInterruptHandler(void *context);
// Reserves a vector and routes ISA IRQ `irq` (0-15, overrides applied) to it on processor 0.
Status HalConnectIsaInterrupt(uint8_t irq, HalInterruptHandler *handler, void *context);
// Reserves a vector for a message-signalled interrupt; the device is programmed with *address, *data.
Status HalConnectMessageInterrupt(HalInterruptHandler *handler, void *context, uint64_t *address, uint32_t *data);
// Routes global system interrupt `gsi` (ACPI SCI); level/low per ACPI defaults.
Status HalConnectGsi(uint32_t gsi, bool level, bool activeLow, HalInterruptHandler *handler, void *context);
void HalRequestInterrupt(uint32_t processor, uint8_t vector); // IPI

// ---- firmware and power
Status HalInitializeFirmware(uint64_t runtimeServices);
// Unix time in nanoseconds from the firmware's clock (GetTime), at boot; StatusNotSupported.
Status HalReadFirmwareClock(uint64_t *unixNanoseconds);
// EFI ResetSystem, then the ACPI reset register, then the keyboard controller, then a triple fault.
void HalReset(void) __attribute__((noreturn));
// Serial port: COM1 at 3F8h when one answers (loopback probe); otherwise writes go nowhere.
void HalInitializeSerial(void);
void HalWriteSerial(const char *text, size_t length); // polled, bounded; for the log and for stops
