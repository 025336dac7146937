// processor.c - the processors and what each keeps for itself.
//
// One processor runs today. Everything per processor is in its KPrcb; what the others would need to
// be told (TLB flushes, reschedules, stops) goes through the functions here and in hal.
// SPDX-License-Identifier: MIT
#include "ki.h"

KPrcb KiBootProcessor;
KPrcb *KiProcessors[KE_MAXIMUM_PROCESSORS];
static uint32_t ProcessorCount;

#define CR4_PGE (1ull << 7)

// First thing of a processor: from here on gs works, traps are handled, spin locks can be taken.
void KiInitializeProcessor(KPrcb *prcb)
{
    KE_ASSERT(ProcessorCount < KE_MAXIMUM_PROCESSORS);
    prcb->Hal.Number = ProcessorCount;
    prcb->Hal.Irql = PassiveLevel;
    prcb->ArmedDeadline = prcb->QuantumEnd = KE_INFINITE;
    RtlInitializeList(&prcb->DpcQueue);
    KiInitializeReadyQueue(&prcb->Ready);
    prcb->StarvationCheck.Expire = KiCheckStarvation;
    HalInitializeProcessor(&prcb->Hal);
    prcb->PageTableRoot = HalReadCr3();
    KiProcessors[ProcessorCount++] = prcb;
}

void KeInitialize(void)
{
    KiInitializeProcessor(&KiBootProcessor);
    KiInitializeBootThread();
    KiInitializeWaits();
    KiInitializeTraps();
    HalRegisterClockHandler(KiClockInterrupt);
}

KPrcb *KeGetCurrentPrcb(void)
{
    return KiGetPrcb();
}
uint32_t KeGetProcessorCount(void)
{
    return ProcessorCount;
}

uint32_t KeGetCurrentProcessorNumber(void)
{
    uint32_t number;
    __asm__ volatile("movl %%gs:0x24, %0" : "=r"(number));
    return number;
}
static_assert(offsetof(HalProcessor, Number) == 0x24, "gs");

void KeFlushTlbPage(uint64_t address)
{
    HalInvalidatePage(address);
}

void KeFlushTlbAll(void)
{
    bool enabled = HalSaveInterrupts();
    uint64_t cr4 = HalReadCr4();
    HalWriteCr4(cr4 & ~CR4_PGE); // drops global entries too
    HalWriteCr4(cr4);
    HalRestoreInterrupts(enabled);
}
