// firmware.c - the UEFI runtime services that are used: the clock and the reset (UEFI 2.10, chapter
// 8).
//
// They run on the caller's stack with interrupts off, one call at a time. Firmware may use SSE
// registers, which hold some program's values, so these are saved around each call. Firmware may
// also be wrong: an exception in its code (ke registers the whole region as a fault range) ends the
// call with EFI_ABORTED, and the services are not used again.
// SPDX-License-Identifier: MIT
#include "hal_private.h"

#include "LoaderParams.h"

#define RUNTIME_SIGNATURE        0x56524553544E5552ull // "RUNTSERV"
#define EFI_ABORTED              0x8000000000000015ull
#define EFI_NOT_READY            0x8000000000000006ull
#define EFI_UNSPECIFIED_TIMEZONE 0x7FF
#define MAXIMUM_FPU_AREA         4096
#define BUSY_POLLS               10000000u // of about 50 ns

typedef struct EfiTime {
    uint16_t Year;
    uint8_t Month, Day, Hour, Minute, Second, Pad1;
    uint32_t Nanosecond;
    int16_t TimeZone; // minutes: UTC = local time + TimeZone
    uint8_t Daylight, Pad2;
} EfiTime;
static_assert(sizeof(EfiTime) == 16, "UEFI 2.10, 8.3");

typedef struct EfiRuntimeServices {
    uint64_t Signature;
    uint32_t Revision, HeaderSize, Crc32, Reserved;
    void *GetTime, *SetTime, *GetWakeupTime, *SetWakeupTime, *SetVirtualAddressMap, *ConvertPointer,
        *GetVariable, *GetNextVariableName, *SetVariable, *GetNextHighMonotonicCount, *ResetSystem;
} EfiRuntimeServices;
static_assert(offsetof(EfiRuntimeServices, GetTime) == 24 &&
                  offsetof(EfiRuntimeServices, ResetSystem) == 104,
              "UEFI 2.10, 4.5");

static const EfiRuntimeServices *Services; // nullptr: none, or they failed
static uint8_t FpuArea[MAXIMUM_FPU_AREA] __attribute__((aligned(64)));
uint64_t HalpFirmwareStack; // rsp of HalpCallFirmware while a call runs

uint64_t HalpCallFirmware(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, void *function);

// Calls function(a1 ... a4). Saves what the calling convention preserves, so that HalFirmwareFault
// can leave from anywhere.
__attribute__((naked)) uint64_t HalpCallFirmware(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                                 void *function)
{
    __asm__(".seh_proc HalpCallFirmware");
    __asm__("pushq %rbx\n\t.seh_pushreg %rbx");
    __asm__("pushq %rbp\n\t.seh_pushreg %rbp");
    __asm__("pushq %rsi\n\t.seh_pushreg %rsi");
    __asm__("pushq %rdi\n\t.seh_pushreg %rdi");
    __asm__("pushq %r12\n\t.seh_pushreg %r12");
    __asm__("pushq %r13\n\t.seh_pushreg %r13");
    __asm__("pushq %r14\n\t.seh_pushreg %r14");
    __asm__("pushq %r15\n\t.seh_pushreg %r15");
    __asm__("subq $0x28, %rsp\n\t.seh_stackalloc 0x28\n\t.seh_endprologue");
    __asm__("movq %rsp, HalpFirmwareStack(%rip)");
    __asm__(
        "movq 0x90(%rsp), %rax"); // the fifth argument: 0x28 + 0x40 + return address + home area
    __asm__("callq *%rax");
    __asm__("1: addq $0x28, %rsp");
    __asm__("popq %r15");
    __asm__("popq %r14");
    __asm__("popq %r13");
    __asm__("popq %r12");
    __asm__("popq %rdi");
    __asm__("popq %rsi");
    __asm__("popq %rbp");
    __asm__("popq %rbx");
    __asm__("retq");
    __asm__(".globl HalFirmwareFault\nHalFirmwareFault: movq HalpFirmwareStack(%rip), %rsp");
    __asm__("cld");
    __asm__("movabsq $0x8000000000000015, %rax"); // EFI_ABORTED
    __asm__("jmp 1b");
    __asm__(".seh_endproc");
}

static volatile bool Busy; // a processor is in a call

static uint64_t Call(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, void *function)
{
    if (HalFpuAreaSize() > sizeof(FpuArea))
        return EFI_ABORTED;
    bool enabled = HalSaveInterrupts();
    for (uint32_t i = 0; __atomic_exchange_n(&Busy, true, __ATOMIC_ACQUIRE); i++) {
        if (i == BUSY_POLLS) { // a processor that was stopped inside does not come back
            HalRestoreInterrupts(enabled);
            return EFI_NOT_READY;
        }
        HalPause();
    }
    HalSaveFpu(FpuArea);
    uint64_t result = HalpCallFirmware(a1, a2, a3, a4, function);
    HalRestoreFpu(FpuArea);
    __atomic_store_n(&Busy, false, __ATOMIC_RELEASE);
    HalRestoreInterrupts(enabled);
    if (result == EFI_ABORTED)
        Services = nullptr;
    return result;
}

Status HalInitializeFirmware(uint64_t runtimeServices)
{
    if (runtimeServices < RUNTIME_SERVICES_BASE || runtimeServices >= KERNEL_DYNAMIC_BASE)
        return StatusNotSupported;
    const EfiRuntimeServices *services = (const EfiRuntimeServices *)runtimeServices;
    if (services->Signature != RUNTIME_SIGNATURE || services->HeaderSize < sizeof(*services))
        return StatusNotSupported;
    Services = services;
    return StatusSuccess;
}

// Days from 1970-01-01 to a date of the Gregorian calendar; years from March, so that leap days
// come last.
static uint64_t DaysSince1970(uint32_t year, uint32_t month, uint32_t day)
{
    year -= month <= 2;
    uint32_t era = year / 400, yearOfEra = year % 400;
    uint32_t dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097ull + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

Status HalReadFirmwareClock(uint64_t *unixNanoseconds)
{
    EfiTime time = {0};
    if (Services == nullptr || Call((uint64_t)&time, 0, 0, 0, Services->GetTime) != 0)
        return StatusNotSupported;
    if (time.Year < 1998 || time.Year > 9999 || time.Month < 1 || time.Month > 12 || time.Day < 1 ||
        time.Day > 31 || time.Hour > 23 || time.Minute > 59 || time.Second > 59 ||
        time.Nanosecond >= NANOSECONDS_PER_SECOND)
        return StatusNotSupported;
    int64_t seconds = (int64_t)(DaysSince1970(time.Year, time.Month, time.Day) * 86400 +
                                time.Hour * 3600u + time.Minute * 60u + time.Second);
    if (time.TimeZone != EFI_UNSPECIFIED_TIMEZONE && time.TimeZone >= -1440 &&
        time.TimeZone <= 1440)
        seconds += time.TimeZone * 60;
    *unixNanoseconds = (uint64_t)seconds * NANOSECONDS_PER_SECOND + time.Nanosecond;
    return StatusSuccess;
}

// ------------------------------------------------------------------------------------------- reset

// The FADT's reset register (ACPI 6.5, 4.8.3.6), when it is a port.
static void ResetByAcpi(void)
{
    size_t length = 0;
    const uint8_t *fadt = HalFindAcpiTable("FACP", 0, &length);
    if (fadt == nullptr || length < 129)
        return;
    uint32_t flags;
    uint64_t address;
    memcpy(&flags, fadt + 112, sizeof(flags));
    memcpy(&address, fadt + 120, sizeof(address));
    if ((flags & 1u << 10) && fadt[116] == 1 && address <= UINT16_MAX)
        HalWritePort8((uint16_t)address, fadt[128]);
}

static void ResetByKeyboardController(void)
{
    for (int i = 0; i < 10000 && (HalReadPort8(0x64) & 2); i++)
        HalPause();
    HalWritePort8(0x64, 0xFE);
}

void HalPowerOff(void)
{
    if (Services != nullptr)
        (void)Call(2, 0, 0, 0, Services->ResetSystem); // EfiResetShutdown
}

void HalReset(void)
{
    HalDisableInterrupts();
    if (Services != nullptr)
        (void)Call(0, 0, 0, 0, Services->ResetSystem); // EfiResetCold
    ResetByAcpi();
    HalStallNanoseconds(1000000);
    if (HalHasLegacyDevices())
        ResetByKeyboardController();
    HalStallNanoseconds(10000000);
    static const uint8_t noTable[10];
    __asm__ volatile("lidt (%0)\n\tint3" : : "r"(noTable) : "memory");
    for (;;)
        __asm__ volatile("hlt");
}
