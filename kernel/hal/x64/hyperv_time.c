// hyperv_time.c - Hyper-V's reference time, and the synthetic timer that interrupts at one.
//
// The hypervisor counts 100 ns units in a register, whose reading costs an exit, and describes in a
// page how to compute the same from the time stamp counter: ((counter * Scale) >> 64) + Offset. The
// page is valid while its Sequence stays the same and is not 0; it may change at any moment, when
// the machine moves to another host, and then what is computed goes on from where it was.
//
// Source: TLFS 12.7 (reference time), 12.5 (synthetic timers).
// SPDX-License-Identifier: MIT
#include "hyperv_private.h"

#define READ_TRIES 64

#define TIMER_AUTO_ENABLE     (1ull << 3) // by writing the time
#define TIMER_DIRECT          (1ull << 12)
#define TIMER_VECTOR_SHIFT    4
#define TIMER_INTERRUPT_SHIFT 16

typedef struct ReferencePage {
    volatile uint32_t Sequence;
    uint32_t Reserved;
    volatile uint64_t Scale;
    volatile int64_t Offset;
    uint8_t Rest[PAGE_SIZE - 24];
} ReferencePage;
static ReferencePage Page __attribute__((aligned(PAGE_SIZE)));
static bool Invariant;

void HalpStartReferenceTime(void)
{
    if (HalpHv.InvariantControl) {
        HalWriteMsr(MSR_HV_INVARIANT_CONTROL, 1);
        Invariant = true;
    }
    if (HalpHv.ReferencePage)
        HalWriteMsr(MSR_HV_REFERENCE_PAGE, HalpImageToPhysical(&Page) | 1);
}

bool HalpTscIsInvariant(void)
{
    return Invariant;
}

uint64_t HalpGetReferenceScale(void)
{
    return HalpHv.ReferencePage && Page.Sequence != 0 ? Page.Scale : 0;
}

uint64_t HalpReadReferenceTime(void)
{
    for (int i = 0; HalpHv.ReferencePage && i < READ_TRIES; i++) {
        uint32_t sequence = __atomic_load_n(&Page.Sequence, __ATOMIC_ACQUIRE);
        if (sequence == 0)
            break;
        uint64_t scale = Page.Scale;
        int64_t offset = Page.Offset;
        uint64_t time =
            (uint64_t)((unsigned __int128)HalReadTsc() * scale >> 64) + (uint64_t)offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (Page.Sequence == sequence)
            return time;
    }
    return HalReadMsr(MSR_HV_REFERENCE_COUNTER);
}

void HalpEnableReferenceTimer(void)
{
    uint64_t how = HalpHv.DirectTimers ? TIMER_DIRECT | (uint64_t)VECTOR_CLOCK << TIMER_VECTOR_SHIFT
                                       : (uint64_t)HALP_TIMER_INTERRUPT << TIMER_INTERRUPT_SHIFT;
    HalWriteMsr(MSR_HV_TIMER_CONFIG, how | TIMER_AUTO_ENABLE);
}

void HalpArmReferenceTimer(uint64_t time)
{
    HalWriteMsr(MSR_HV_TIMER_COUNT, time == 0 ? 1 : time); // 0: never
}
