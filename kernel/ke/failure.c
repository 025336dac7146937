// failure.c - allocations that fail on purpose, so that a test can see what every failure does.
//
// Test kernels count the allocations made by the threads of each program: heap blocks, page frames,
// kernel stacks, promises of memory. The system call FailAllocation makes the n-th from then on
// fail; a test does so for every n until none is left to fail. Whoever allocates asks here first
// and returns its usual error. Kernel threads, and start-up, never fail.
// SPDX-License-Identifier: MIT
#include "ki.h"

#ifdef METALOS_FAILURES

static volatile uint64_t Failures; // made so far

bool KeFailAllocation(void)
{
    KThread *thread = KeGetCurrentThread();
    KProcess *process = thread != nullptr ? thread->OwnProcess : nullptr;
    if (process == nullptr || process == &KeSystemProcess)
        return false;
    uint64_t number = __atomic_add_fetch(&process->Allocations, 1, __ATOMIC_RELAXED);
    if (number != __atomic_load_n(&process->FailingAllocation, __ATOMIC_RELAXED))
        return false;
    __atomic_add_fetch(&Failures, 1, __ATOMIC_RELAXED);
    return true;
}

Status KeSetFailingAllocation(uint64_t n, bool inherit, uint64_t *failures)
{
    KProcess *process = KeGetCurrentThread()->OwnProcess;
    if (inherit) {
        process->InheritedFailure = n;
    } else {
        __atomic_store_n(&process->FailingAllocation, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&process->Allocations, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&process->FailingAllocation, n, __ATOMIC_RELAXED);
    }
    *failures = __atomic_load_n(&Failures, __ATOMIC_RELAXED);
    return StatusSuccess;
}

void KiInheritFailure(KProcess *process)
{
    KThread *thread = KeGetCurrentThread();
    if (thread != nullptr && thread->OwnProcess != nullptr)
        process->FailingAllocation = thread->OwnProcess->InheritedFailure;
}

#else

Status KeSetFailingAllocation(uint64_t n, bool inherit, uint64_t *failures)
{
    return StatusNotSupported;
}

void KiInheritFailure(KProcess *process) {}

#endif
