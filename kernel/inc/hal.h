// hal.h - the processor and its immediate surroundings: everything C cannot say, interrupt
// delivery, the clock, port and MSR access. The only layer that knows x86-64 entry sequences.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12

typedef uint64_t PhysicalAddress;

// The interrupted state, as the trap entry code lays it down (trap.c has the stack picture). Also
// what a system call that came from user mode can be inspected through.
#define VECTOR_FAST_FAIL 0x29u // an exception by agreement: __fastfail raises it, code in rcx
typedef struct KTrapFrame {
    uint64_t Rax, Rcx, Rdx, Rbx, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15;
    uint64_t Vector;
    uint64_t ErrorCode;
    uint64_t Rip, Cs, Rflags, Rsp, Ss;
} KTrapFrame;

static_assert(sizeof(KTrapFrame) == 176, "entry.c");

static inline bool HalTrapFromUser(const KTrapFrame *frame)
{
    return (frame->Cs & 3) == 3;
}

// ---- port, MSR, control register access: static inline in hal_intrinsics.h, included here.
#include "hal_intrinsics.h"

// ---- per-processor data. The head of ke's KPrcb, reached through gs in the kernel; entry.c knows
// the offsets of the first fields. Legend: [o] only by its own processor, [i] its own, interrupts
// off.
#define HAL_IST_STACK_SIZE 8192u
enum {
    HalIstDoubleFault = 1,
    HalIstNmi = 2,
    HalIstMachineCheck = 3,
    HalIstDebug = 4,
    HalIstCount = 4
};

typedef struct HalTaskState { // 64-bit TSS, Intel SDM vol. 3, 8.7
    uint32_t Reserved0;
    uint32_t Rsp[6]; // RSP0-2, low and high halves
    uint32_t Reserved1[2];
    uint32_t Ist[14]; // IST1-7
    uint32_t Reserved2[2];
    uint16_t Reserved3;
    uint16_t IoMapBase;
} HalTaskState;
static_assert(sizeof(HalTaskState) == 104, "hardware format");

typedef struct HalProcessor {
    struct HalProcessor *Self;    // 0x00
    struct KThread *Thread;       // 0x08 [i]
    uint64_t KernelStack;         // 0x10 [i] top of the running thread's kernel stack
    uint64_t UserStack;           // 0x18 [i] scratch of the system call entry
    volatile uint8_t Irql;        // 0x20 [o] KIrql
    volatile uint8_t PendingWork; // 0x21 [i] DPCs, timers or a reschedule wait for PassiveLevel
    volatile uint8_t ReturnWork;  // 0x22 [i] the running thread must not just return to user mode
    uint8_t SmapEnabled;          // 0x23
    uint32_t Number;              // 0x24
    uint64_t UserGsBase;          // 0x28 [i] what IA32_KERNEL_GS_BASE holds
    // What the running thread did since it was switched to.
    uint64_t SystemCalls; // 0x30 [i]
    uint64_t UserTicks;   // 0x38 [i] time stamps in user mode; there, less the stamp of its entry
    uint32_t ApicId;
    uint32_t Padding;
    uint64_t Gdt[10];
    HalTaskState TaskState;
    uint8_t Padding2[8];
    // Each ends in 16 bytes that hold Self, so that the entry code finds gs whatever gs is.
    uint8_t IstStacks[HalIstCount][HAL_IST_STACK_SIZE] __attribute__((aligned(16)));
} HalProcessor;
static_assert(offsetof(HalProcessor, UserTicks) == 0x38, "entry.c");

static inline struct KThread *HalGetCurrentThread(void)
{
    struct KThread *thread; // the same for as long as the thread runs, so the compiler may reuse it
    __asm__("movq %%gs:0x08, %0" : "=r"(thread));
    return thread;
}
static inline HalProcessor *
HalGetProcessor(void) // stable only while the thread cannot be preempted
{
    HalProcessor *processor;
    __asm__ volatile("movq %%gs:0x00, %0" : "=r"(processor));
    return processor;
}

// ---- processor set-up. Called once per processor.
// GDT, TSS with IST stacks for double fault, NMI, machine check and debug traps, IDT; SMEP, SMAP,
// UMIP, NX, WP when CPUID has them, syscall MSRs, XSAVE feature mask. CR4.FSGSBASE stays off: user
// code cannot write gs. A processor without SYSCALL, NX or FXSAVE is reported on COM1 and halted.
void HalInitializeProcessor(HalProcessor *processor);
const char *HalGetProcessorName(void); // the CPUID brand string

// ---- what the layer above supplies.
void KiDispatchTrap(KTrapFrame *frame); // interrupts off before and after
void KiReturnToUser(
    void); // ReturnWork was set on the way to user mode; interrupts off before and after
void KiReportStackOverrun(uint64_t found, uint64_t expected) __attribute__((noreturn));
// System calls: entry n of the first table is called with the first four arguments; for a call with
// more it is HalSystemCallWithStackArguments, which goes on to entry n of the second with all six.
extern void *const *KiSystemCallTable;
extern void *const *KiSystemCallStackTable;
extern uint64_t KiSystemCallLimit;
void HalSystemCallWithStackArguments(void);
// Entry of a call in a table that traces: KiTraceCall, the call by KiUntracedCallTable,
// KiTraceCallEnd.
void HalTracedSystemCall(void);
extern void *const *KiUntracedCallTable;
void KiTraceCall(uint64_t number, uint64_t a, uint64_t b);
void KiTraceCallEnd(uint64_t status);
// Labels: a fault from Begin to End continues at Fault (KeRegisterFaultRange).
extern const uint8_t HalStackArgumentsBegin[], HalStackArgumentsEnd[], HalStackArgumentsFault[];

// ---- threads' processor state
// Saves the callee-saved registers on the stack, *savedStack = rsp, and continues at newStack.
// Interrupts may be on; preemption must be off.
void HalSwitchStack(uint64_t *savedStack, uint64_t newStack);
// Lays out a new stack so that HalSwitchStack to the result calls entry(context); entry never
// returns.
uint64_t HalPrepareStack(void *top, void (*entry)(void *), void *context);
// The stack that traps and system calls from user mode use from now on.
void HalSetKernelStack(uint64_t top);
void HalSetUserGsBase(uint64_t base);
void HalEnterUserMode(uint64_t rip, uint64_t rsp, uint64_t argument1, uint64_t argument2)
    __attribute__((noreturn));
size_t HalFpuAreaSize(void);           // bytes, a multiple of 64
void HalInitializeFpuArea(void *area); // 64-byte aligned; the state of a fresh program
void HalSaveFpu(void *area);
void HalRestoreFpu(const void *area);
// The processor copies quicker by 32-byte registers than by string instructions. Who uses them
// outside the hal runs on a user thread, which saves and restores them when it is switched.
extern bool HalWideCopies;
// memcpy of much memory that is there: no page fault can be taken meanwhile. Any level.
void HalCopy(void *to, const void *from, size_t size);
// Where MMIO is mapped: mm registers its mapper through start-up before interrupts are initialised.
typedef void *HalDeviceMapper(PhysicalAddress address, size_t size);
void HalRegisterDeviceMapper(HalDeviceMapper *mapper);

// Local APIC (xAPIC or x2APIC), IOAPICs and interrupt overrides from the MADT; the legacy PIC is
// masked. A machine without MADT or APIC: StatusNotSupported.
Status HalInitializeInterrupts(PhysicalAddress rsdp);
// Whether there are devices that a PC has without anything saying so (PIC, PIT, 8042); a Generation
// 2 virtual machine of Hyper-V has none. After HalInitializeInterrupts.
bool HalHasLegacyDevices(void);
// Chooses and calibrates the clock: TSC frequency from CPUID (hypervisor leaf, 15h/16h), else
// measured against the ACPI PM timer, else HPET or the PIT; every wait is bounded. Starts the local
// APIC timer.
Status HalInitializeClock(PhysicalAddress rsdp);

// Finds an ACPI table by signature ("FACP") through RSDP -> XSDT/RSDT, checksum verified, the n-th
// of that name. Returns a direct-map pointer or nullptr. Usable before ACPICA.
const void *HalFindAcpiTable(const char signature[4], size_t index, size_t *length);

// ---- time
uint64_t HalQueryNanoseconds(void);             // monotonic, since HalInitializeClock
uint64_t HalTicksToNanoseconds(uint64_t ticks); // of the time stamp counter
// Time begins so much later: for a debugger's stop. The machine is this processor's alone.
void HalSetClockBack(uint64_t time);
void HalArmTimer(
    uint64_t deadline); // one-shot clock interrupt at that HalQueryNanoseconds; the past: at once
const char *HalGetClockSource(uint64_t *frequency); // what the TSC's frequency (Hz) was taken from
void HalStallNanoseconds(uint64_t time);            // busy wait, for hardware delays below 100 us

// ---- interrupts
typedef void HalInterruptHandler(void *context);
// Reserves a vector and routes ISA IRQ `irq` (0-15, overrides applied) to it on processor 0.
Status HalConnectIsaInterrupt(uint8_t irq, HalInterruptHandler *handler, void *context);
// Reserves a vector for a message-signalled interrupt; the device is programmed with *address,
// *data.
Status HalConnectMessageInterrupt(HalInterruptHandler *handler, void *context, uint64_t *address,
                                  uint32_t *data);
// Routes global system interrupt `gsi` (ACPI SCI); level/low per ACPI defaults.
Status HalConnectGsi(uint32_t gsi, bool level, bool activeLow, HalInterruptHandler *handler,
                     void *context);
void HalRequestInterrupt(uint32_t processor, uint8_t vector); // IPI
// Runs the handlers of a vector (32-255) and acknowledges it; false: nobody's.
bool HalHandleInterrupt(uint8_t vector);
// The routine HalArmTimer's interrupt calls.
void HalRegisterClockHandler(HalInterruptHandler *handler);
// What the interrupts below call on the processor they reach.
void HalRegisterProcessorHandlers(HalInterruptHandler *reschedule, HalInterruptHandler *flush);
void HalRequestReschedule(uint32_t processor);
void HalRequestFlush(uint32_t processor);
void HalSendNmi(uint32_t apicId);

// ---- the other processors (start.c). Numbers are given by the MADT's order, the boot processor's
// is 0.
#define HAL_MAXIMUM_PROCESSORS 64
size_t HalGetProcessorLimit(void); // usable ones that the MADT lists, at most the above
// What they need to begin with: a page below 1 MiB and HAL_START_TABLES pages below 4 GiB.
#define HAL_START_TABLES 4
typedef struct HalStartMemory {
    PhysicalAddress Code;
    PhysicalAddress Tables; // in a row
} HalStartMemory;
// Once, before the first HalStartProcessor, on the kernel's page tables: resets all others.
void HalBeginStart(const HalStartMemory *memory);
// Starts processor `number` and calls entry(context) there, on the stack, on the kernel's page
// tables, interrupts off, gs unset. False: it did not answer within a bounded time and never calls
// entry; the start memory and the stack must stay as they are, for it may still come.
bool HalStartProcessor(uint32_t number, void *stackTop, void (*entry)(void *context),
                       void *context);
// On a started processor, after HalInitializeProcessor: its interrupts and its timer.
void HalJoinProcessors(void);

// ---- firmware and power
// An exception in firmware code continues here (KeRegisterFaultRange over the runtime services'
// region).
extern const uint8_t HalFirmwareFault[];
Status HalInitializeFirmware(uint64_t runtimeServices);
// Unix time in nanoseconds from the firmware's clock (GetTime), at boot; StatusNotSupported.
Status HalReadFirmwareClock(uint64_t *unixNanoseconds);
void HalPowerOff(void); // by EFI ResetSystem; returns only when the firmware cannot
// EFI ResetSystem, then the ACPI reset register, then the keyboard controller, then a triple fault.
void HalReset(void) __attribute__((noreturn));
// Serial ports, 16550. COM1 at 3F8h when one answers (loopback probe); otherwise writes go nowhere.
void HalInitializeSerial(void);
void HalWriteSerial(const char *text, size_t length); // polled, bounded; for the log and for stops
// From now on bytes that arrive on COM1 are kept (a few hundred) for HalReadSerial, and received is
// called in the interrupt. StatusNoSuchDevice: no port.
Status HalListenToSerial(HalInterruptHandler *received, void *context);
// Takes up to size bytes that have arrived; one caller at a time.
size_t HalReadSerial(char *buffer, size_t size);
// COM2 at 2F8h, for the debugger.
typedef struct HalSerialPort {
    uint16_t Base;
    bool Present;
    bool Stalled; // the last wait was in vain
} HalSerialPort;
#define HAL_DEBUG_PORT_IRQ 3u
bool HalOpenDebugPort(HalSerialPort *port);
void HalEnableSerialInterrupt(const HalSerialPort *port); // when bytes have come
// Once more for bytes that are still there: the line is edge-triggered.
void HalRepeatSerialInterrupt(const HalSerialPort *port);
// polls: status reads of about 1 us that a transmitter is waited for; false: not everything went.
bool HalSendSerial(HalSerialPort *port, const void *bytes, size_t size, uint32_t polls);
bool HalReceiveSerial(const HalSerialPort *port, uint8_t *byte); // false: nothing is there
