// clock.c - time from the time stamp counter, interrupts from the local APIC's timer.
//
// On Hyper-V time is the hypervisor's reference time (hyperv_time.c), unless it promises that the
// time stamp counter keeps its rate whatever happens, and interrupts come from its timers where it
// has them. Elsewhere:
//
// The counter's frequency comes, in this order, from the hypervisor (Microsoft's frequency MSRs,
// the 0x40000010 leaf of others), from CPUID leaf 15h, or from measuring it against the ACPI PM
// timer, the HPET or the PIT. The APIC timer runs in TSC-deadline mode where CPUID has it, else as
// a one-shot counter whose frequency the hypervisor tells or a measurement against the time stamp
// counter finds. Every loop has a bound: a reference that stands still is passed over. A machine
// with no reference at all is refused with StatusNotSupported.
//
// Conversions multiply by a 32.32 factor with a 128-bit product; they never divide.
// SPDX-License-Identifier: MIT
#include "hyperv_private.h"

#define MSR_HYPERV_TSC_FREQUENCY  0x40000022u
#define MSR_HYPERV_APIC_FREQUENCY 0x40000023u
#define HYPERV_FREQUENCY_MSRS     (1u << 11) // of CPUID 40000003h eax; edx bit 8: they are there
#define PM_TIMER_FREQUENCY        3579545u
#define PM_TIMER_MASK             0x00FFFFFFu // every PM timer has 24 bits
#define PIT_FREQUENCY             1193182u
#define MEASURE_MILLISECONDS      20u
// One port read takes about 1 us; 100 times the measured interval means the reference stands still.
#define MEASURE_POLLS       2000000u
#define MINIMUM_FREQUENCY   10000000ull     // 10 MHz
#define MAXIMUM_FREQUENCY   100000000000ull // 100 GHz
#define TIGHT_READ_TRIES    16
#define REFERENCE_UNIT      100u // ns
#define REFERENCE_FREQUENCY (NANOSECONDS_PER_SECOND / REFERENCE_UNIT)
#define MINIMUM_SCALE       (1ull << 32) // 0.64; anything below is no processor's

static uint64_t Origin;             // TSC at time 0
static uint64_t TscFrequency;       // Hz
static uint64_t NanosecondsPerTick; // 32.32
static uint64_t TicksPerNanosecond; // 32.32
static uint64_t TimerPerNanosecond; // 32.32, APIC timer
static bool DeadlineMode;
static bool ReferenceTime, ReferenceTimer; // Hyper-V's
static uint64_t ReferenceOrigin;           // reference time at time 0
static const char *Source = "none";

void HalpStartClock(void)
{
    Origin = HalReadTsc();
}

// a * b / divisor; the quotient must fit (the processor faults otherwise).
static uint64_t MultiplyDivide(uint64_t a, uint64_t b, uint64_t divisor)
{
    uint64_t quotient, remainder;
    __asm__("mulq %3\n\tdivq %4"
            : "=&a"(quotient), "=&d"(remainder)
            : "0"(a), "r"(b), "r"(divisor)
            : "cc");
    return quotient;
}

static uint64_t MultiplyShift32(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 32);
}

uint64_t HalQueryNanoseconds(void)
{
    if (ReferenceTime)
        return (HalpReadReferenceTime() - ReferenceOrigin) * REFERENCE_UNIT;
    return MultiplyShift32(HalReadTsc() - Origin, NanosecondsPerTick);
}

uint64_t HalTicksToNanoseconds(uint64_t ticks)
{
    return MultiplyShift32(ticks, NanosecondsPerTick);
}

const char *HalGetClockSource(uint64_t *frequency)
{
    *frequency = TscFrequency;
    return Source;
}

// ---------------------------------------------------------------------------- what the processor
// tells

static bool IsPlausible(uint64_t frequency)
{
    return frequency >= MINIMUM_FREQUENCY && frequency <= MAXIMUM_FREQUENCY;
}

static uint64_t AskHypervisor(uint64_t *apicFrequency)
{
    if (!(HalCpuid(1, 0).Ecx & 1u << 31))
        return 0;
    HalCpuidResult identity = HalCpuid(0x40000000, 0);
    bool microsoft =
        identity.Ebx == 0x7263694D && identity.Ecx == 0x666F736F && identity.Edx == 0x76482074;
    if (microsoft && identity.Eax >= 0x40000003) {
        HalCpuidResult features = HalCpuid(0x40000003, 0);
        if ((features.Eax & HYPERV_FREQUENCY_MSRS) && (features.Edx & 1u << 8)) {
            *apicFrequency = HalReadMsr(MSR_HYPERV_APIC_FREQUENCY);
            Source = "Hyper-V";
            return HalReadMsr(MSR_HYPERV_TSC_FREQUENCY);
        }
        uint64_t scale = HalpGetReferenceScale();
        if (scale >= MINIMUM_SCALE) {
            Source = "Hyper-V's page";
            return MultiplyDivide(REFERENCE_FREQUENCY << 32, 1ull << 32, scale);
        }
    }
    if (identity.Eax >= 0x40000010 && identity.Eax < 0x40010000) {
        HalCpuidResult timing = HalCpuid(0x40000010, 0);
        *apicFrequency = timing.Ebx * 1000ull;
        Source = "hypervisor";
        return timing.Eax * 1000ull;
    }
    return 0;
}

static uint64_t AskProcessor(void)
{
    if (HalCpuid(0, 0).Eax < 0x15)
        return 0;
    HalCpuidResult ratio = HalCpuid(0x15, 0); // Intel SDM vol. 3, 19.7.3
    if (ratio.Eax == 0 || ratio.Ebx == 0 || ratio.Ecx == 0)
        return 0;
    Source = "CPUID";
    return (uint64_t)ratio.Ecx * ratio.Ebx / ratio.Eax;
}

// ---------------------------------------------------------------------------------- measurements

typedef struct Reference {
    const char *Name;
    uint64_t Frequency;
    uint32_t Mask;
    uint16_t Port;                 // PM timer
    volatile const uint64_t *Hpet; // main counter
    uint32_t Msr;                  // Hyper-V's reference counter
} Reference;

static uint32_t ReadReference(const Reference *reference)
{
    uint32_t value = reference->Msr != 0          ? (uint32_t)HalReadMsr(reference->Msr)
                     : reference->Hpet != nullptr ? (uint32_t)*reference->Hpet
                                                  : HalReadPort32(reference->Port);
    return value & reference->Mask;
}

// Reads reference and counter as one: of several tries the one during which the counter moved
// least, so that a host that stops us in between does no harm.
static uint64_t ReadTogether(const Reference *reference, uint32_t *value)
{
    uint64_t best = UINT64_MAX, stamp = 0;
    for (int i = 0; i < TIGHT_READ_TRIES; i++) {
        uint64_t before = HalReadTsc();
        uint32_t read = ReadReference(reference);
        uint64_t after = HalReadTsc();
        if (after - before < best) {
            best = after - before;
            stamp = before + (after - before) / 2;
            *value = read;
        }
    }
    return stamp;
}

static uint64_t MeasureAgainst(const Reference *reference)
{
    uint32_t start = 0, end = 0;
    uint32_t interval = (uint32_t)(reference->Frequency * MEASURE_MILLISECONDS / 1000);
    uint64_t startTsc = ReadTogether(reference, &start);
    uint32_t polls = 0;
    while (((ReadReference(reference) - start) & reference->Mask) < interval)
        if (++polls == MEASURE_POLLS)
            return 0;
    uint64_t endTsc = ReadTogether(reference, &end);
    uint32_t elapsed = (end - start) & reference->Mask;
    Source = reference->Name;
    return MultiplyDivide(endTsc - startTsc, reference->Frequency, elapsed);
}

static uint64_t MeasureAgainstHypervisor(void)
{
    static const Reference reference = {.Name = "Hyper-V's counter",
                                        .Frequency = REFERENCE_FREQUENCY,
                                        .Mask = UINT32_MAX,
                                        .Msr = MSR_HV_REFERENCE_COUNTER};
    return HalpHv.Present && HalpHv.ReferenceCounter ? MeasureAgainst(&reference) : 0;
}

static uint64_t MeasureAgainstPmTimer(void)
{
    size_t length = 0;
    const uint8_t *fadt = HalFindAcpiTable("FACP", 0, &length);
    uint32_t port = 0;
    if (fadt == nullptr || length < 80)
        return 0;
    memcpy(&port, fadt + 76, sizeof(port)); // PM_TMR_BLK
    if (port == 0 || port > 0xFFFC)
        return 0;
    Reference reference = {.Name = "ACPI PM timer",
                           .Frequency = PM_TIMER_FREQUENCY,
                           .Mask = PM_TIMER_MASK,
                           .Port = (uint16_t)port};
    return MeasureAgainst(&reference);
}

static uint64_t MeasureAgainstHpet(void) // IA-PC HPET specification 1.0a, 2.3
{
    size_t length = 0;
    const uint8_t *table = HalFindAcpiTable("HPET", 0, &length);
    if (table == nullptr || length < 56 || table[40] != 0) // address space: memory
        return 0;
    uint64_t address;
    memcpy(&address, table + 44, sizeof(address));
    volatile uint64_t *hpet = HalpMapDevice(address, 1024);
    if (hpet == nullptr)
        return 0;
    uint64_t period = hpet[0] >> 32; // femtoseconds
    if (period == 0 || period > 100000000)
        return 0;
    hpet[2] |= 1; // run
    Reference reference = {.Name = "HPET",
                           .Frequency = 1000000000000000ull / period,
                           .Mask = UINT32_MAX,
                           .Hpet = &hpet[30]};
    return MeasureAgainst(&reference);
}

// PIT channel 2 counts down once behind the speaker's gate (port 61h: bit 0 gate, bit 5 output).
static uint64_t MeasureAgainstPit(void)
{
    uint16_t count = PIT_FREQUENCY * MEASURE_MILLISECONDS / 1000;
    uint8_t gate = HalReadPort8(0x61);
    HalWritePort8(0x61, (gate & ~2u) | 1u);
    HalWritePort8(0x43, 0xB0); // channel 2, both bytes, mode 0
    HalWritePort8(0x42, (uint8_t)count);
    HalWritePort8(0x42, (uint8_t)(count >> 8));
    uint64_t start = HalReadTsc();
    uint32_t polls = 0;
    bool early = (HalReadPort8(0x61) & 0x20) != 0; // no PIT: reads as ones
    while (!early && !(HalReadPort8(0x61) & 0x20) && ++polls < MEASURE_POLLS)
        ;
    uint64_t end = HalReadTsc();
    HalWritePort8(0x61, gate);
    if (early || polls == MEASURE_POLLS)
        return 0;
    Source = "PIT";
    return (end - start) * PIT_FREQUENCY / count;
}

// ---------------------------------------------------------------------------------- the interrupt

static bool StartTimer(uint64_t apicFrequency)
{
    if (HalpHv.Present && HalpHv.Timers) {
        ReferenceTimer = true;
        if (!HalpHv.DirectTimers)
            HalpUseTimerMessages();
        HalpEnableReferenceTimer();
        return true;
    }
    if (HalCpuid(1, 0).Ecx & 1u << 24) {
        DeadlineMode = true;
        HalpSetTimerMode(true);
        return true;
    }
    HalpSetTimerMode(false);
    if (!IsPlausible(apicFrequency)) {
        HalpStartTimer(UINT32_MAX);
        uint64_t start = HalReadTsc(), interval = TscFrequency / 1000 * MEASURE_MILLISECONDS / 2;
        uint32_t first = HalpReadTimer();
        uint64_t now = start;
        while (now - start < interval)
            now = HalReadTsc();
        uint32_t counted = first - HalpReadTimer();
        HalpStartTimer(0);
        apicFrequency = MultiplyDivide(counted, TscFrequency, now - start);
    }
    if (apicFrequency < 100000 || apicFrequency > MAXIMUM_FREQUENCY)
        return false;
    TimerPerNanosecond = MultiplyDivide(apicFrequency, 1ull << 32, NANOSECONDS_PER_SECOND);
    return true;
}

// Time goes on from where it is.
static void UseReferenceTime(void)
{
    if (!HalpHv.Present || !HalpHv.ReferenceCounter || HalpTscIsInvariant())
        return;
    uint64_t elapsed = HalQueryNanoseconds();
    ReferenceOrigin = HalpReadReferenceTime() - elapsed / REFERENCE_UNIT;
    ReferenceTime = true;
}

Status HalInitializeClock(PhysicalAddress rsdp)
{
    HalpSetRsdp(rsdp);
    uint64_t apicFrequency = 0, frequency = AskHypervisor(&apicFrequency);
    static uint64_t (*const others[])(void) = {AskProcessor, MeasureAgainstHypervisor,
                                               MeasureAgainstPmTimer, MeasureAgainstHpet,
                                               MeasureAgainstPit};
    for (size_t i = 0; i < RTL_COUNT_OF(others) && !IsPlausible(frequency); i++)
        frequency = others[i]();
    if (!IsPlausible(frequency))
        return StatusNotSupported;
    TscFrequency = frequency;
    NanosecondsPerTick = (NANOSECONDS_PER_SECOND << 32) / frequency;
    TicksPerNanosecond = MultiplyDivide(frequency, 1ull << 32, NANOSECONDS_PER_SECOND);
    UseReferenceTime();
    return StartTimer(apicFrequency) ? StatusSuccess : StatusNotSupported;
}

void HalpJoinClock(void)
{
    if (ReferenceTimer)
        HalpEnableReferenceTimer();
    else
        HalpSetTimerMode(DeadlineMode);
}

static void ArmReferenceTimer(uint64_t deadline)
{
    if (ReferenceTime) {
        HalpArmReferenceTimer(ReferenceOrigin + deadline / REFERENCE_UNIT + 1);
        return;
    }
    uint64_t now = HalQueryNanoseconds(), delay = deadline > now ? deadline - now : 0;
    HalpArmReferenceTimer(HalpReadReferenceTime() + delay / REFERENCE_UNIT + 1);
}

void HalArmTimer(uint64_t deadline)
{
    if (DeadlineMode) {
        HalWriteMsr(MSR_TSC_DEADLINE, Origin + MultiplyShift32(deadline, TicksPerNanosecond) + 1);
        return;
    }
    if (ReferenceTimer) {
        ArmReferenceTimer(deadline);
        return;
    }
    uint64_t now = HalQueryNanoseconds();
    uint64_t delay = deadline > now ? deadline - now : 0;
    // A count that does not fit comes early; the caller then arms again.
    uint64_t count = delay < NANOSECONDS_PER_SECOND * 60
                         ? MultiplyShift32(delay, TimerPerNanosecond) + 1
                         : UINT32_MAX;
    HalpStartTimer((uint32_t)RTL_MIN(count, (uint64_t)UINT32_MAX));
}

void HalSetClockBack(uint64_t time)
{
    Origin += MultiplyShift32(time, TicksPerNanosecond);
    ReferenceOrigin += time / REFERENCE_UNIT;
}

void HalStallNanoseconds(uint64_t time)
{
    if (NanosecondsPerTick == 0 && HalpHv.Present) {
        uint64_t end = HalpReadReferenceTime() + time / REFERENCE_UNIT + 1;
        while (HalpHv.ReferenceCounter && HalpReadReferenceTime() < end)
            HalPause();
        return;
    }
    if (NanosecondsPerTick == 0) { // a write to the POST port takes about 1 us
        for (uint64_t i = 0; i <= time / 1000; i++)
            HalWritePort8(0x80, 0);
        return;
    }
    uint64_t start = HalQueryNanoseconds();
    while (HalQueryNanoseconds() - start < time)
        HalPause();
}
