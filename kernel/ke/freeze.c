// freeze.c - the machine for one processor alone: for the crash report and the debugger.
//
// The owner sends every other processor an NMI, which reaches it whatever it does, also with
// interrupts off or in a spin lock. A processor that takes it stands still in its handler: its
// interrupted state lies in the trap frame there, which the owner may read and edit, and it runs
// routines that the owner hands it. A processor that wants the machine while another has it stands
// still in the same way. All waits for others are bounded: one that does not answer is left out.
//
// Owner is taken by compare and exchange and nests. Thaw lets everybody out before it gives the
// machine away, so that nobody can be taken for frozen by the next owner while it is leaving.
// SPDX-License-Identifier: MIT
#include "ki.h"

// A processor answers within microseconds; an emulated one when the host lets it run.
#define ANSWER_TIME  2000000000ull // ns
#define ANSWER_POLLS 200000000u    // for a stop before the clock is known

static volatile uint32_t OwnerPlusOne;
static volatile bool Thawing;
static uint32_t Nesting; // by the owner

static bool WaitFor(const volatile bool *flag, bool value)
{
    uint64_t start = KeQueryTime();
    for (uint32_t polls = 0; *flag != value; polls++) {
        if (polls == ANSWER_POLLS || KeQueryTime() - start > ANSWER_TIME)
            return false;
        HalPause();
    }
    return true;
}

// Until the owner thaws the machine; at once when it is doing so.
static void StandStill(KTrapFrame *frame)
{
    KPrcb *prcb = KiGetPrcb();
    prcb->FrozenFrame = frame;
    __atomic_store_n(&prcb->Frozen, true, __ATOMIC_RELEASE);
    while (OwnerPlusOne != 0 && !Thawing) {
        if (__atomic_load_n(&prcb->FrozenCall, __ATOMIC_ACQUIRE) != nullptr) {
            prcb->FrozenCall(prcb->FrozenContext);
            __atomic_store_n(&prcb->FrozenCall, nullptr, __ATOMIC_RELEASE);
        }
        HalPause();
    }
    __atomic_store_n(&prcb->Frozen, false, __ATOMIC_RELEASE);
}

bool KiAnswerFreeze(KTrapFrame *frame)
{
    KPrcb *prcb = KiGetPrcb();
    if (!prcb->FreezeRequested)
        return false;
    prcb->FreezeRequested = false;
    if (!prcb->Frozen) // it may stand still already, or the owner may have gone on without it
        StandStill(frame);
    return true;
}

bool KeFreezeMachine(KTrapFrame *frame)
{
    uint32_t self = KeGetCurrentProcessorNumber(), expected = 0;
    KE_ASSERT(!HalAreInterruptsEnabled());
    if (OwnerPlusOne == self + 1) {
        Nesting++;
        return true;
    }
    if (!__atomic_compare_exchange_n(&OwnerPlusOne, &expected, self + 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        StandStill(frame);
        return false;
    }
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        if (i == self)
            continue;
        KiProcessors[i]->FreezeRequested = true;
        HalSendNmi(KiProcessors[i]->Hal.ApicId);
    }
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        if (i != self)
            (void)WaitFor(&KiProcessors[i]->Frozen, true);
    }
    return true;
}

void KeThawMachine(void)
{
    KE_ASSERT(OwnerPlusOne == KeGetCurrentProcessorNumber() + 1);
    if (Nesting != 0) {
        Nesting--;
        return;
    }
    Thawing = true;
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++)
        (void)WaitFor(&KiProcessors[i]->Frozen, false);
    Thawing = false;
    __atomic_store_n(&OwnerPlusOne, 0, __ATOMIC_SEQ_CST);
}

bool KeIsMachineFrozen(void)
{
    return OwnerPlusOne == KeGetCurrentProcessorNumber() + 1;
}

KPrcb *KeGetPrcb(uint32_t processor)
{
    return processor < KeGetProcessorCount() ? KiProcessors[processor] : nullptr;
}

bool KeGetFrozenFrame(uint32_t processor, KTrapFrame **frame)
{
    if (processor >= KeGetProcessorCount() || !KiProcessors[processor]->Frozen)
        return false;
    *frame = KiProcessors[processor]->FrozenFrame;
    return true;
}

bool KeCallFrozen(uint32_t processor, void (*routine)(void *context), void *context)
{
    KE_ASSERT(KeIsMachineFrozen());
    if (processor == KeGetCurrentProcessorNumber()) {
        routine(context);
        return true;
    }
    if (processor >= KeGetProcessorCount() || !KiProcessors[processor]->Frozen)
        return false;
    KPrcb *prcb = KiProcessors[processor];
    prcb->FrozenContext = context;
    __atomic_store_n(&prcb->FrozenCall, routine, __ATOMIC_RELEASE);
    uint64_t start = KeQueryTime();
    for (uint32_t polls = 0; __atomic_load_n(&prcb->FrozenCall, __ATOMIC_ACQUIRE) != nullptr;
         polls++) {
        if (polls == ANSWER_POLLS || KeQueryTime() - start > ANSWER_TIME)
            return false;
        HalPause();
    }
    return true;
}
