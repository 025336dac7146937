// failure.c - allocations that fail on purpose, so that a test can see what every failure does.
//
// Test kernels count the allocations made by the threads of each program: heap blocks, page frames,
// kernel stacks, promises of memory. The system call FailAllocation makes the n-th from then on
// fail; a test does so for every n until none is left to fail. Whoever allocates asks here first
// and returns its usual error. Kernel threads, and start-up, never fail.
//
// A program that makes ten thousand handles allocates ten thousand times in the same place. A test
// may ask that a place - the return addresses from the allocation up to the system call or fault,
// by their hash - fails only so often, and goes on where the latest failure was: it then takes as
// many runs as there are places, however often the program comes by.
// SPDX-License-Identifier: MIT
#include "ki.h"

#ifdef METALOS_FAILURES

#include "pe/pe.h"
#include "unwind/unwind.h"

#define STACKS      8192u // of which failures are counted; of more, each fails every time
#define MOST_FRAMES 48u   // that tell one stack from another

extern const char __ImageBase[]; // the linker's

static volatile uint64_t Failures, LastFailure; // made so far; the latest one's number
static struct {
    volatile uint64_t Hash; // 0: free
    volatile uint32_t Failures;
} stacks[STACKS];

// ---- which stack it is
// Reads the image, and the current thread's kernel stack.
static bool Read(void *context, uint64_t address, void *buffer, size_t size)
{
    const UnwindModule *module = context;
    const KThread *thread = KeGetCurrentThread();
    uint64_t limit = (uint64_t)thread->KernelStackLimit;
    uint64_t end = limit + thread->KernelStackSize;
    bool image = address >= module->Base && address - module->Base < module->Size;
    if (!image && (address < limit || address > end - size))
        return false;
    memcpy(buffer, (const void *)address, size);
    return true;
}

static UnwindModule kernel; // ready once Base is set

static Status FindUnwindData(void)
{
    PeImage image;
    if (kernel.Base != 0)
        return StatusSuccess;
    Status status = PeOpenHeaders(&image, __ImageBase, PAGE_SIZE, UINT32_MAX);
    if (status != StatusSuccess)
        return status;
    PeDirectory table = image.Directories[PeDirectoryException];
    kernel.Size = image.SizeOfImage;
    kernel.TableRva = table.Rva;
    kernel.TableSize = table.Size;
    __atomic_store_n(&kernel.Base, (uint64_t)__ImageBase, __ATOMIC_RELEASE);
    return StatusSuccess;
}

// Fills in this function's own state: unwinding makes its callers' of it.
#define CAPTURE(frame)                                                                             \
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"                                                   \
                     "movq %%rax, %c[rip](%0)\n\t"                                                 \
                     "movq %%rbx, %c[registers]+0x18(%0)\n\t"                                      \
                     "movq %%rsp, %c[registers]+0x20(%0)\n\t"                                      \
                     "movq %%rbp, %c[registers]+0x28(%0)\n\t"                                      \
                     "movq %%rsi, %c[registers]+0x30(%0)\n\t"                                      \
                     "movq %%rdi, %c[registers]+0x38(%0)\n\t"                                      \
                     "movq %%r12, %c[registers]+0x60(%0)\n\t"                                      \
                     "movq %%r13, %c[registers]+0x68(%0)\n\t"                                      \
                     "movq %%r14, %c[registers]+0x70(%0)\n\t"                                      \
                     "movq %%r15, %c[registers]+0x78(%0)\n"                                        \
                     "1:"                                                                          \
                     :                                                                             \
                     : "c"(frame), [rip] "i"(offsetof(UnwindFrame, Rip)),                          \
                       [registers] "i"(offsetof(UnwindFrame, Registers))                           \
                     : "rax", "memory")

// A hash of the return addresses up to user mode, or as far as they can be told; never 0.
static __attribute__((noinline)) uint64_t HashStack(void)
{
    UnwindFrame frame = {.Interrupted = true};
    uint64_t hash = 1469598103934665603ull; // FNV-1a, a word at a time
    CAPTURE(&frame);
    for (uint32_t i = 0; i < MOST_FRAMES && frame.Rip - kernel.Base < kernel.Size; i++) {
        hash = (hash ^ frame.Rip) * 1099511628211ull;
        if (UnwindStep(&kernel, Read, &kernel, &frame) != StatusSuccess)
            break;
    }
    return hash != 0 ? hash : 1;
}

// Counts a failure of the current stack; false: it has failed `most` times already.
static bool CountFailure(uint32_t most)
{
    uint64_t hash = HashStack();
    for (uint32_t probe = 0; probe < STACKS; probe++) {
        uint32_t slot = (uint32_t)(hash + probe) % STACKS;
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&stacks[slot].Hash, &there, hash, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            there == hash)
            return stacks[slot].Failures < most &&
                   __atomic_fetch_add(&stacks[slot].Failures, 1, __ATOMIC_RELAXED) < most;
    }
    return true;
}

// ---- the interface
bool KeFailAllocation(void)
{
    KThread *thread = KeGetCurrentThread();
    KProcess *process = thread != nullptr ? thread->OwnProcess : nullptr;
    if (process == nullptr || process == &KeSystemProcess)
        return false;
    uint64_t number = __atomic_add_fetch(&process->Allocations, 1, __ATOMIC_RELAXED);
    uint64_t first = __atomic_load_n(&process->FailingAllocation, __ATOMIC_RELAXED);
    uint32_t perStack = process->FailuresPerStack;
    if (first == 0 || number < first || (perStack == 0 && number != first))
        return false;
    if (perStack != 0 && !CountFailure(perStack))
        return false;
    if (!__atomic_compare_exchange_n(&process->FailingAllocation, &first, 0, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false; // another thread's was it
    __atomic_store_n(&LastFailure, number, __ATOMIC_RELAXED);
    __atomic_add_fetch(&Failures, 1, __ATOMIC_RELAXED);
    return true;
}

Status KeSetFailingAllocation(uint64_t n, uint32_t perStack, bool inherit, uint64_t failures[2])
{
    KProcess *process = KeGetCurrentThread()->OwnProcess;
    Status status = perStack != 0 ? FindUnwindData() : StatusSuccess;
    if (status != StatusSuccess)
        return status;
    if (perStack != 0 && n == 1)
        memset((void *)stacks, 0, sizeof stacks);
    if (inherit) {
        process->InheritedPerStack = perStack;
        process->InheritedFailure = n;
    } else {
        __atomic_store_n(&process->FailingAllocation, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&process->Allocations, 0, __ATOMIC_RELAXED);
        process->FailuresPerStack = perStack;
        __atomic_store_n(&process->FailingAllocation, n, __ATOMIC_RELAXED);
    }
    failures[0] = __atomic_load_n(&Failures, __ATOMIC_RELAXED);
    failures[1] = __atomic_load_n(&LastFailure, __ATOMIC_RELAXED);
    return StatusSuccess;
}

void KiInheritFailure(KProcess *process)
{
    KThread *thread = KeGetCurrentThread();
    if (thread != nullptr && thread->OwnProcess != nullptr) {
        process->FailuresPerStack = thread->OwnProcess->InheritedPerStack;
        process->FailingAllocation = thread->OwnProcess->InheritedFailure;
    }
}

#else

Status KeSetFailingAllocation(uint64_t n, uint32_t perStack, bool inherit, uint64_t failures[2])
{
    return StatusNotSupported;
}

void KiInheritFailure(KProcess *process) {}

#endif
