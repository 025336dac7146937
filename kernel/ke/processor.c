// processor.c - the processors and what each keeps for itself.
//
// Everything per processor is in its KPrcb, which gs leads to. The boot processor's is static; the
// others get theirs from start-up, which also gives their idle threads stacks. A processor counts
// from the moment it can run threads: its number is then below KiProcessorCount, which only grows,
// one by one, while one thread starts the processors.
// SPDX-License-Identifier: MIT
#include "ki.h"

KPrcb KiBootProcessor;
KPrcb *KiProcessors[KE_MAXIMUM_PROCESSORS];
volatile uint32_t KiProcessorCount;

// First thing of a processor: from here on gs works, traps are handled, spin locks can be taken.
static void InitializePrcb(KPrcb *prcb, uint32_t number)
{
    prcb->Hal.Number = number;
    prcb->Hal.Irql = PassiveLevel;
    prcb->ArmedDeadline = prcb->QuantumEnd = prcb->WatchDue = prcb->SampleDue = KE_INFINITE;
    RtlInitializeList(&prcb->DpcQueue);
    KiInitializeReadyQueue(&prcb->Ready);
    prcb->StarvationCheck.Expire = KiCheckStarvation;
    HalInitializeProcessor(&prcb->Hal);
    prcb->PageTableRoot = prcb->LoadingRoot = HalReadCr3();
}

void KeInitialize(void)
{
    InitializePrcb(&KiBootProcessor, 0);
    KiProcessors[0] = &KiBootProcessor;
    KiProcessorCount = 1;
    KiInitializeBootThread();
    KiInitializeWaits();
    KiInitializeTraps();
    KiInitializeCounters();
    HalRegisterClockHandler(KiClockInterrupt);
    HalRegisterProcessorHandlers(KiRescheduleInterrupt, KiFlushInterrupt);
}

// ------------------------------------------------------------------------------ the other ones

// On the new processor, in its idle thread to be.
static void RunProcessor(void *context)
{
    KPrcb *prcb = context;
    InitializePrcb(prcb, KiProcessorCount); // the one that starts us waits
    prcb->Hal.Thread = prcb->IdleThread;
    HalSetKernelStack(prcb->IdleThread->KernelStackTop);
    HalJoinProcessors();
    KiJoinScheduling(prcb);
    KiStartWatch(prcb);
    KiProgramClock(prcb);
    KeRunIdle();
}

size_t KeProcessorDataSize(void)
{
    return sizeof(KPrcb);
}

bool KeStartProcessor(const KProcessorMemory *memory)
{
    uint32_t number = KiProcessorCount;
    KE_ASSERT(KiGetIrql() == PassiveLevel && number < KE_MAXIMUM_PROCESSORS);
    memory->Prcb->IdleThread = memory->IdleThread;
    KiInitializeIdleThread(memory->IdleThread, number, memory->StackLimit, memory->StackSize);
    if (!HalStartProcessor(number, (uint8_t *)memory->StackLimit + memory->StackSize, RunProcessor,
                           memory->Prcb))
        return false;
    while (KiProcessorCount == number) // it runs our own code now, which is short
        HalPause();
    return true;
}

KPrcb *KeGetCurrentPrcb(void)
{
    return KiGetPrcb();
}
uint32_t KeGetProcessorCount(void)
{
    return KiProcessorCount;
}

uint32_t KeGetCurrentProcessorNumber(void)
{
    uint32_t number;
    __asm__ volatile("movl %%gs:0x24, %0" : "=r"(number));
    return number;
}
static_assert(offsetof(HalProcessor, Number) == 0x24, "gs");
