// zero.c - the thread that clears free frames while nothing else wants the processor, so that the
// faults and allocations that need zeroed memory find it ready. frames.c decides how many are kept.
// SPDX-License-Identifier: MIT
#include "ke_thread.h"
#include "mi.h"

static KThread thread;
static KEvent wanted;
static volatile bool waiting; // the thread sleeps until MiWakeZeroing

void MiWakeZeroing(void)
{
    if (waiting && __atomic_exchange_n(&waiting, false, __ATOMIC_ACQ_REL))
        KeSetEvent(&wanted);
}

static void ZeroFrames(void *context)
{
    for (;;) {
        while (MiZeroOneFrame())
            ;
        __atomic_store_n(&waiting, true, __ATOMIC_RELEASE);
        (void)KeWaitForObject(&wanted, KernelWait, KE_INFINITE);
    }
}

Status MmStartZeroing(void)
{
    KeInitializeEvent(&wanted, false, false);
    KThreadParameters parameters = {
        .Entry = ZeroFrames,
        .KernelStackSize = MM_KERNEL_STACK_SIZE,
        .Priority = KePriorityUserLow,
        .Name = "zeroing",
    };
    Status status = MmAllocateKernelStack(MM_KERNEL_STACK_SIZE, &parameters.KernelStackLimit);
    if (status == StatusSuccess)
        status = KeInitializeThread(&thread, &parameters, nullptr);
    if (status == StatusSuccess)
        KeStartThread(&thread);
    return status;
}
