// apic.c - interrupt delivery: the local APIC (x2APIC where CPUID has it, else memory-mapped), the
// I/O APICs of the MADT with its ISA overrides, and message-signalled interrupts.
//
// A vector has one handler. Vectors are given out from VECTOR_FIRST_DEVICE upwards and kept for
// good; handlers are written before their source is unmasked, so interrupts read the table without
// a lock. Sources: Intel SDM vol. 3, chapter 11; 82093AA I/O APIC data sheet; ACPI 6.5, 5.2.12.
// SPDX-License-Identifier: MIT
#include "hyperv_private.h"

#define APIC_BASE_X2APIC  (1ull << 10)
#define APIC_BASE_ENABLE  (1ull << 11)
#define APIC_BASE_ADDRESS 0x000FFFFFFFFFF000ull
#define APIC_WINDOW_SIZE  4096u

// Local APIC registers, byte offsets of the memory-mapped form; x2APIC MSR = 0x800 + offset / 16.
enum {
    ApicId = 0x20,
    ApicVersion = 0x30,
    ApicTaskPriority = 0x80,
    ApicEoi = 0xB0,
    ApicSpurious = 0xF0,
    ApicInService = 0x100,
    ApicErrorStatus = 0x280,
    ApicCommandLow = 0x300,
    ApicCommandHigh = 0x310,
    ApicLvtTimer = 0x320,
    ApicLvtThermal = 0x330,
    ApicLvtCounter = 0x340,
    ApicLvtLint0 = 0x350,
    ApicLvtLint1 = 0x360,
    ApicLvtError = 0x370,
    ApicTimerInitial = 0x380,
    ApicTimerCurrent = 0x390,
    ApicTimerDivide = 0x3E0,
};
#define APIC_SOFTWARE_ENABLE 0x100u
#define LVT_MASKED           0x10000u
#define LVT_NMI              0x400u
#define LVT_TSC_DEADLINE     0x40000u
#define TIMER_DIVIDE_BY_1    0xBu
#define COMMAND_PENDING      0x1000u
#define COMMAND_NMI          0x400u
#define COMMAND_INIT         0x500u
#define COMMAND_START        0x600u
#define COMMAND_ASSERT       0x4000u
#define COMMAND_POLLS        100000u
#define XAPIC_HIGHEST_ID     0xFEu // 0xFF is everybody

#define PIC1_COMMAND         0x20u
#define PIC1_DATA            0x21u
#define PIC2_COMMAND         0xA0u
#define PIC2_DATA            0xA1u
#define MADT_PCAT_COMPATIBLE 1u // a PC's two 8259 are there

#define MAXIMUM_IO_APICS   16
#define ISA_IRQS           16u
#define REDIRECTION_MASKED (1u << 16)
#define REDIRECTION_LEVEL  (1u << 15)
#define REDIRECTION_LOW    (1u << 13)

typedef struct IoApic {
    volatile uint32_t *Window; // register select at 0, data at 0x10
    uint32_t FirstGsi, Count;
} IoApic;

typedef struct IsaRoute {
    uint32_t Gsi;
    bool Level, ActiveLow;
} IsaRoute;

typedef struct Vector {
    HalInterruptHandler *Handler;
    void *Context;
    bool AutoEoi; // acknowledged by its delivery
} Vector;

static volatile uint32_t *LocalApic;   // nullptr: x2APIC
static volatile uint32_t *EoiRegister; // nullptr: EoiMsr
static uint32_t EoiMsr = MSR_X2APIC + ApicEoi / 16;
static bool CommandMsr; // Hyper-V's, for memory-mapped APICs
static bool ApicReady;
static IoApic IoApics[MAXIMUM_IO_APICS];
static size_t IoApicCount;
static IsaRoute IsaRoutes[ISA_IRQS];
static Vector Vectors[256];
static volatile uint32_t NextVector = VECTOR_FIRST_DEVICE;
static uint32_t BootApicId;
static uint32_t ApicIds[HAL_MAXIMUM_PROCESSORS]; // by processor number, the boot processor first
static size_t ApicIdCount;
static volatile uint32_t IoApicLock; // index and data are two accesses

static bool LegacyDevices = true;

static uint32_t ReadApic(uint32_t offset)
{
    return LocalApic != nullptr ? LocalApic[offset / 4]
                                : (uint32_t)HalReadMsr(MSR_X2APIC + offset / 16);
}

static void WriteApic(uint32_t offset, uint32_t value)
{
    if (LocalApic != nullptr)
        LocalApic[offset / 4] = value;
    else
        HalWriteMsr(MSR_X2APIC + offset / 16, value);
}

// ------------------------------------------------------------------------------------- local APIC

// On each processor. true: in x2APIC mode, which needs no mapping.
static bool EnableLocalApic(void)
{
    uint64_t base = HalReadMsr(MSR_APIC_BASE);
    bool x2apic = (HalCpuid(1, 0).Ecx & 1u << 21) != 0;
    if (!(base & APIC_BASE_ENABLE))
        HalWriteMsr(MSR_APIC_BASE, base |= APIC_BASE_ENABLE);
    if (x2apic)
        HalWriteMsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    return x2apic;
}

static Status OpenLocalApic(void)
{
    if (!(HalCpuid(1, 0).Edx & 1u << 9))
        return StatusNotSupported;
    if (EnableLocalApic())
        return StatusSuccess;
    LocalApic = HalpMapDevice(HalReadMsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS, APIC_WINDOW_SIZE);
    return LocalApic != nullptr ? StatusSuccess : StatusNoMemory;
}

static void InitializeLocalApic(void)
{
    WriteApic(ApicSpurious, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
    WriteApic(ApicTaskPriority, 0);
    WriteApic(ApicLvtTimer, LVT_MASKED | VECTOR_CLOCK);
    uint32_t entries = ReadApic(ApicVersion) >> 16 & 0xFF; // the highest; writing one more faults
    if (entries >= 4)
        WriteApic(ApicLvtCounter, LVT_MASKED);
    if (entries >= 5)
        WriteApic(ApicLvtThermal, LVT_MASKED);
    WriteApic(ApicLvtLint0, LVT_MASKED);
    WriteApic(ApicLvtLint1, LVT_NMI);
    WriteApic(ApicLvtError, LVT_MASKED);
    WriteApic(ApicErrorStatus, 0);
    // What the firmware left in service would hold everything of its class back.
    for (uint32_t vector = 0; vector < 256; vector++)
        if (ReadApic(ApicInService + vector / 32 * 16) & 1u << vector % 32)
            WriteApic(ApicEoi, 0);
    uint32_t id = ReadApic(ApicId);
    HalGetProcessor()->ApicId = LocalApic != nullptr ? id >> 24 : id;
}

// Hyper-V's registers cost one exit where the memory-mapped ones cost two or an emulated
// instruction; those of an x2APIC are as good.
static void ChooseRegisters(void)
{
    CommandMsr = LocalApic != nullptr && HalpHv.Present && HalpHv.ApicMsrs;
    if (CommandMsr)
        EoiMsr = MSR_HV_EOI;
    else if (LocalApic != nullptr)
        EoiRegister = &LocalApic[ApicEoi / 4];
}

void HalpJoinInterrupts(void)
{
    (void)EnableLocalApic();
    InitializeLocalApic();
}

static void SendCommand(uint32_t apicId, uint32_t command)
{
    if (!ApicReady)
        return;
    bool enabled = HalSaveInterrupts(); // one command is two writes
    if (LocalApic == nullptr) {
        // Writing the MSR does not wait for earlier stores to be seen (SDM vol. 3, 11.12.3).
        __asm__ volatile("mfence\n\tlfence" : : : "memory");
        HalWriteMsr(MSR_X2APIC + ApicCommandLow / 16, (uint64_t)apicId << 32 | command);
    } else if (CommandMsr) {
        HalWriteMsr(MSR_HV_ICR, (uint64_t)apicId << 56 | command);
    } else {
        for (uint32_t i = 0; i < COMMAND_POLLS && (ReadApic(ApicCommandLow) & COMMAND_PENDING); i++)
            HalPause();
        WriteApic(ApicCommandHigh, apicId << 24);
        WriteApic(ApicCommandLow, command);
    }
    HalRestoreInterrupts(enabled);
}

void HalRequestInterrupt(uint32_t processor, uint8_t vector)
{
    if (!HalpSendByHypercall(processor, vector))
        SendCommand(ApicIds[processor], COMMAND_ASSERT | vector);
}
void HalRequestReschedule(uint32_t processor)
{
    HalRequestInterrupt(processor, VECTOR_RESCHEDULE);
}
void HalSendNmi(uint32_t apicId)
{
    SendCommand(apicId, COMMAND_ASSERT | COMMAND_NMI);
}
void HalRequestFlush(uint32_t processor)
{
    HalRequestInterrupt(processor, VECTOR_FLUSH);
}
void HalpRequestInit(uint32_t processor)
{
    SendCommand(ApicIds[processor], COMMAND_ASSERT | COMMAND_INIT);
}
void HalpRequestStart(uint32_t processor, uint8_t page)
{
    SendCommand(ApicIds[processor], COMMAND_ASSERT | COMMAND_START | page);
}

// -------------------------------------------------------------------------------- the APIC's timer

void HalpSetTimerMode(bool deadlineMode)
{
    WriteApic(ApicTimerDivide, TIMER_DIVIDE_BY_1);
    WriteApic(ApicLvtTimer, VECTOR_CLOCK | (deadlineMode ? LVT_TSC_DEADLINE : 0));
    __asm__ volatile("mfence"
                     :
                     :
                     : "memory"); // orders the mode before a deadline (SDM vol. 3, 11.5.4.1)
}
void HalpStartTimer(uint32_t count)
{
    WriteApic(ApicTimerInitial, count);
}
uint32_t HalpReadTimer(void)
{
    return ReadApic(ApicTimerCurrent);
}

// -------------------------------------------------------------------------------------- I/O APICs

static uint32_t ReadIoApic(const IoApic *apic, uint32_t index)
{
    apic->Window[0] = index;
    return apic->Window[4];
}

static void WriteIoApic(const IoApic *apic, uint32_t index, uint32_t value)
{
    apic->Window[0] = index;
    apic->Window[4] = value;
}

static void AddIoApic(PhysicalAddress address, uint32_t firstGsi)
{
    if (IoApicCount == MAXIMUM_IO_APICS)
        return;
    IoApic *apic = &IoApics[IoApicCount];
    apic->Window = HalpMapDevice(address, 0x20);
    if (apic->Window == nullptr)
        return;
    uint32_t version = ReadIoApic(apic, 1);
    if (version == UINT32_MAX)
        return; // nobody answers
    apic->FirstGsi = firstGsi;
    apic->Count = (version >> 16 & 0xFF) + 1;
    for (uint32_t i = 0; i < apic->Count; i++)
        WriteIoApic(apic, 0x10 + i * 2, REDIRECTION_MASKED);
    IoApicCount++;
}

static uint32_t Read32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

// Interrupt source override: bus, source, GSI, MPS INTI flags (polarity in bits 0-1, trigger in
// 2-3; 3 means low and level).
static void AddOverride(const uint8_t *entry)
{
    uint8_t irq = entry[3], flags = entry[8];
    if (entry[2] == 0 && irq < ISA_IRQS)
        IsaRoutes[irq] = (IsaRoute){Read32(entry + 4), (flags >> 2 & 3) == 3, (flags & 3) == 3};
}

// A processor of the MADT, usable when its flags' bit 0 says so; firmware may list one twice.
static void AddProcessor(uint32_t apicId, uint32_t flags)
{
    if (!(flags & 1) || (LocalApic != nullptr && apicId > XAPIC_HIGHEST_ID))
        return;
    for (size_t i = 0; i < ApicIdCount; i++)
        if (ApicIds[i] == apicId)
            return;
    if (ApicIdCount < RTL_COUNT_OF(ApicIds))
        ApicIds[ApicIdCount++] = apicId;
}

size_t HalGetProcessorLimit(void)
{
    return ApicIdCount;
}

static Status ReadMadt(void)
{
    size_t length = 0;
    const uint8_t *madt = HalFindAcpiTable("APIC", 0, &length);
    if (madt == nullptr || length < 44)
        return StatusNotSupported;
    LegacyDevices = !HalpHv.Present || (Read32(madt + 40) & MADT_PCAT_COMPATIBLE);
    for (uint32_t i = 0; i < ISA_IRQS; i++)
        IsaRoutes[i] = (IsaRoute){.Gsi = i};
    for (size_t at = 44; at + 2 <= length;) {
        const uint8_t *entry = madt + at;
        uint8_t type = entry[0], size = entry[1];
        if (size < 2 || at + size > length)
            break;
        if (type == 1 && size >= 12)
            AddIoApic(Read32(entry + 4), Read32(entry + 8));
        else if (type == 2 && size >= 10)
            AddOverride(entry);
        else if (type == 0 && size >= 8)
            AddProcessor(entry[3], Read32(entry + 4));
        else if (type == 9 && size >= 16)
            AddProcessor(Read32(entry + 4), Read32(entry + 8));
        at += size;
    }
    return StatusSuccess;
}

// Moved away from the exception vectors, then masked.
static void SilencePic(void)
{
    static const struct {
        uint16_t Port;
        uint8_t Value;
    } steps[] = {
        {PIC1_DATA, 0xFF},    {PIC2_DATA, 0xFF}, // mask
        {PIC1_COMMAND, 0x11}, {PIC2_COMMAND, 0x11}, {PIC1_DATA, 0x20}, {PIC2_DATA, 0x28},
        {PIC1_DATA, 0x04},    {PIC2_DATA, 0x02},    {PIC1_DATA, 0x01}, {PIC2_DATA, 0x01},
        {PIC1_DATA, 0xFF},    {PIC2_DATA, 0xFF},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(steps); i++)
        HalWritePort8(steps[i].Port, steps[i].Value);
}

bool HalHasLegacyDevices(void)
{
    return LegacyDevices;
}

Status HalInitializeInterrupts(PhysicalAddress rsdp)
{
    HalpSetRsdp(rsdp);
    Status status = OpenLocalApic();
    if (status != StatusSuccess)
        return status;
    ChooseRegisters();
    InitializeLocalApic();
    BootApicId = HalGetProcessor()->ApicId;
    AddProcessor(BootApicId, 1);
    ApicReady = true;
    status = ReadMadt();
    if (LegacyDevices)
        SilencePic();
    HalEnableInterrupts();
    return status;
}

// ---------------------------------------------------------------------------------------- vectors

// StatusLimitReached: every vector is taken.
static Status ReserveVector(HalInterruptHandler *handler, void *context, uint32_t *vector)
{
    uint32_t next = __atomic_fetch_add(&NextVector, 1, __ATOMIC_RELAXED);
    if (next > VECTOR_LAST_DEVICE) {
        NextVector = VECTOR_LAST_DEVICE + 1;
        return StatusLimitReached;
    }
    Vectors[next].Context = context;
    __atomic_store_n(&Vectors[next].Handler, handler, __ATOMIC_RELEASE);
    *vector = next;
    return StatusSuccess;
}

Status HalConnectGsi(uint32_t gsi, bool level, bool activeLow, HalInterruptHandler *handler,
                     void *context)
{
    for (size_t i = 0; i < IoApicCount; i++) {
        const IoApic *apic = &IoApics[i];
        if (gsi < apic->FirstGsi || gsi - apic->FirstGsi >= apic->Count)
            continue;
        uint32_t vector = 0;
        Status status = ReserveVector(handler, context, &vector);
        if (status != StatusSuccess)
            return status;
        bool enabled = HalpLock(&IoApicLock);
        uint32_t index = 0x10 + (gsi - apic->FirstGsi) * 2;
        WriteIoApic(apic, index + 1, BootApicId << 24);
        WriteIoApic(apic, index,
                    vector | (level ? REDIRECTION_LEVEL : 0) | (activeLow ? REDIRECTION_LOW : 0));
        HalpUnlock(&IoApicLock, enabled);
        return StatusSuccess;
    }
    return StatusNoSuchDevice;
}

Status HalConnectIsaInterrupt(uint8_t irq, HalInterruptHandler *handler, void *context)
{
    if (irq >= ISA_IRQS)
        return StatusInvalidParameter;
    const IsaRoute *route = &IsaRoutes[irq];
    return HalConnectGsi(route->Gsi, route->Level, route->ActiveLow, handler, context);
}

// Intel SDM vol. 3, 11.11: fixed delivery, edge, to the boot processor.
Status HalConnectMessageInterrupt(HalInterruptHandler *handler, void *context, uint64_t *address,
                                  uint32_t *data)
{
    uint32_t vector = 0;
    Status status = ReserveVector(handler, context, &vector);
    if (status != StatusSuccess)
        return status;
    *address = 0xFEE00000u | BootApicId << 12;
    *data = vector;
    return StatusSuccess;
}

static HalInterruptHandler *ClockHandler;

static void HandleTimerMessage(void *context)
{
    HalpTakeTimerMessage();
    ClockHandler(context);
}

void HalRegisterClockHandler(HalInterruptHandler *handler)
{
    ClockHandler = handler;
    Vectors[VECTOR_CLOCK].Handler = handler;
}

void HalpUseTimerMessages(void)
{
    Vectors[VECTOR_CLOCK].AutoEoi = HalpHv.AutoEoi;
    Vectors[VECTOR_CLOCK].Handler = HandleTimerMessage;
}

void HalRegisterSyntheticHandler(HalInterruptHandler *handler)
{
    Vectors[VECTOR_SYNTHETIC].AutoEoi = HalpHv.AutoEoi;
    Vectors[VECTOR_SYNTHETIC].Handler = handler;
}
void HalRegisterProcessorHandlers(HalInterruptHandler *reschedule, HalInterruptHandler *flush)
{
    Vectors[VECTOR_RESCHEDULE].Handler = reschedule;
    Vectors[VECTOR_FLUSH].Handler = flush;
}

static void Acknowledge(void)
{
    if (EoiRegister != nullptr)
        *EoiRegister = 0;
    else
        HalWriteMsr(EoiMsr, 0);
}

bool HalHandleInterrupt(uint8_t vector)
{
    if (vector == VECTOR_SPURIOUS)
        return true; // not acknowledged
    HalInterruptHandler *handler = Vectors[vector].Handler;
    if (handler != nullptr)
        handler(Vectors[vector].Context);
    if (!Vectors[vector].AutoEoi)
        Acknowledge();
    return handler != nullptr;
}
