// hyperv_private.h - Hyper-V inside kernel/hal/x64.
// SPDX-License-Identifier: MIT
#pragma once

#include "hal_hyperv.h"
#include "hal_private.h"

#define MSR_HV_GUEST_OS_ID       0x40000000u
#define MSR_HV_HYPERCALL         0x40000001u
#define MSR_HV_VP_INDEX          0x40000002u
#define MSR_HV_REFERENCE_COUNTER 0x40000020u // 100 ns
#define MSR_HV_REFERENCE_PAGE    0x40000021u
#define MSR_HV_EOI               0x40000070u
#define MSR_HV_ICR               0x40000071u
#define MSR_HV_CONTROL           0x40000080u // SCONTROL
#define MSR_HV_EVENT_PAGE        0x40000082u // SIEFP
#define MSR_HV_MESSAGE_PAGE      0x40000083u // SIMP
#define MSR_HV_END_OF_MESSAGE    0x40000084u
#define MSR_HV_SINT0             0x40000090u
#define MSR_HV_TIMER_CONFIG      0x400000B0u
#define MSR_HV_TIMER_COUNT       0x400000B1u
#define MSR_HV_CRASH_P0          0x40000100u
#define MSR_HV_CRASH_CONTROL     0x40000105u
#define MSR_HV_INVARIANT_CONTROL 0x40000118u

#define HALP_TIMER_INTERRUPT 4u // SINT of timers that come as messages

typedef struct HalpHypervisor {
    bool Present; // the rest means something
    bool ReferenceCounter, ReferencePage, InvariantControl;
    bool Synic, Channels, Timers, DirectTimers;
    bool ApicMsrs, AutoEoi, ClusterIpi, CrashMsrs;
} HalpHypervisor;
extern HalpHypervisor HalpHv; // constant after HalStartHypervisor

void HalpJoinHypervisor(void); // on each processor, before its timer is started
bool HalpSendByHypercall(uint32_t processor, uint8_t vector);
PhysicalAddress HalpImageToPhysical(const void *address); // of the kernel's image

// ---- hyperv_time.c: time and timers, in units of 100 ns since the machine was made
void HalpStartReferenceTime(void);
uint64_t HalpReadReferenceTime(void);
uint64_t HalpGetReferenceScale(void); // of a tick of the time stamp counter, 0.64; 0: not known
bool HalpTscIsInvariant(void);
void HalpEnableReferenceTimer(void); // on each processor
void HalpArmReferenceTimer(uint64_t time);
void HalpTakeTimerMessage(void); // hyperv.c
void HalpUseTimerMessages(void); // apic.c: the clock's interrupts come with messages
