// start.c - wakes the other processors (Intel SDM vol. 3, 9.4.4: INIT, then start-up IPIs).
//
// A processor wakes in real mode at a page below 1 MiB. The trampoline copied there takes it
// through protected mode into long mode, on page tables of its own: their low half maps just that
// page, read-only and executable, where it is in physical memory; their high half is the kernel's.
// It then jumps to the kernel's code, which loads the kernel's page tables, so nothing of this is
// visible to anybody else. Whatever differs from processor to processor is read from the end of
// the same page, which the boot processor writes through the direct map; nothing of the page is
// written by the trampoline, and no mapping of it is writable and executable.
//
// One processor starts at a time. It claims its start with an atomic exchange; if it has not done
// so when the bounded wait ends, the boot processor claims it instead, and a processor that comes
// too late halts.
// SPDX-License-Identifier: MIT
#include "hyperv_private.h"

#include "LoaderParams.h"

#define TEXT(value)   #value
#define NUMBER(value) TEXT(value)

#define INIT_WAIT      10000000ull // ns; SDM vol. 3, 9.4.4.1
#define START_WAIT     200000ull   // ns until the second start-up IPI
#define START_PATIENCE 2000000000ull
#define POLL_PAUSE     20000ull

#define PTE_PRESENT 1ull
#define PTE_WRITE   2ull
#define PTE_ACCESS  0x20ull
#define ROOT_SLOTS  512u

#define CR0_START  0x80010033u // PG, WP, NE, ET, MP, PE; caches on
#define CR4_START  0x20u       // PAE
#define EFER_START 0x900u      // LME, NXE

// At the end of the trampoline's page. The offsets are the trampoline's.
#define PARAMETERS_OFFSET 0xF80
typedef struct StartParameters {
    uint16_t GdtLimit; // 0xF80
    uint32_t GdtBase;  // 0xF82
    uint16_t Pad0;
    uint32_t Entry32; // 0xF88, far pointer
    uint16_t Code32;
    uint16_t Pad1;
    uint32_t Entry64; // 0xF90, far pointer
    uint16_t Code64;
    uint16_t Pad2;
    uint64_t Root;   // 0xF98
    uint64_t Stack;  // 0xFA0, as HalPrepareStack leaves it
    uint64_t Gdt[4]; // null, 32-bit code, data, 64-bit code
} __attribute__((packed)) StartParameters;
static_assert(offsetof(StartParameters, Entry32) == 0x08 &&
                  offsetof(StartParameters, Entry64) == 0x10 &&
                  offsetof(StartParameters, Root) == 0x18 &&
                  offsetof(StartParameters, Stack) == 0x20,
              "trampoline");
static_assert(PARAMETERS_OFFSET + sizeof(StartParameters) <= PAGE_SIZE, "one page");

#define SELECTOR_START_CODE32 0x08
#define SELECTOR_START_DATA   0x10
#define SELECTOR_START_CODE64 0x18

extern const uint8_t HalpTrampoline[], HalpTrampoline32[], HalpTrampoline64[], HalpTrampolineEnd[];

// Data to the kernel: it only runs from its copy. Live in it: ebx = the page's address.
__asm__(".section .rdata,\"dr\"\n"
        ".globl HalpTrampoline, HalpTrampoline32, HalpTrampoline64, HalpTrampolineEnd\n"
        ".code16\n"
        "HalpTrampoline:\n"
        "    cli\n"
        "    cld\n"
        "    movw %cs, %ax\n"
        "    movw %ax, %ds\n"
        "    movzwl %ax, %ebx\n"
        "    shll $4, %ebx\n"
        "    lgdtl 0xF80\n"
        "    movl $0x11, %eax\n" // PE, ET: caches on
        "    movl %eax, %cr0\n"
        "    ljmpl *0xF88\n"
        ".code32\n"
        "HalpTrampoline32:\n"
        "    movw $0x10, %ax\n"
        "    movw %ax, %ds\n"
        "    movw %ax, %es\n"
        "    movw %ax, %ss\n"
        "    movl $" NUMBER(
            CR4_START) ", %eax\n"
                       "    movl %eax, %cr4\n"
                       "    movl 0xF98(%ebx), %eax\n"
                       "    movl %eax, %cr3\n"
                       "    movl $0xC0000080, %ecx\n"
                       "    movl $" NUMBER(
                           EFER_START) ", %eax\n"
                                       "    xorl %edx, %edx\n"
                                       "    wrmsr\n"
                                       "    movl $" NUMBER(
                                           CR0_START) ", %eax\n"
                                                      "    movl %eax, %cr0\n"
                                                      "    ljmpl *0xF90(%ebx)\n"
                                                      ".code64\n"
                                                      "HalpTrampoline64:\n"
                                                      "    movl %ebx, %ebx\n"
                                                      "    movq 0xFA0(%rbx), %rsp\n"
                                                      "    popq %r15\n" // as HalSwitchStack does
                                                      "    popq %r14\n"
                                                      "    popq %r13\n"
                                                      "    popq %r12\n"
                                                      "    popq %rdi\n"
                                                      "    popq %rsi\n"
                                                      "    popq %rbp\n"
                                                      "    popq %rbx\n"
                                                      "    retq\n"
                                                      "HalpTrampolineEnd:\n"
                                                      ".text\n");

typedef enum StartState : uint32_t {
    StartNone,
    StartWanted,
    StartClaimed,
    StartAbandoned
} StartState;

// Of the start that is under way.
static volatile uint32_t State; // StartState
static void (*Entry)(void *);

static HalStartMemory Memory;
static uint64_t KernelRoot, KernelPat;

static void *DirectMap(PhysicalAddress address)
{
    return (void *)(DIRECT_MAP_BASE + address);
}

// The new processor's first C code.
static void BeginProcessor(void *context)
{
    HalWriteCr3(KernelRoot);
    HalWriteMsr(MSR_PAT, KernelPat);
    uint32_t expected = StartWanted;
    void (*entry)(void *) = Entry;
    if (__atomic_compare_exchange_n(&State, &expected, StartClaimed, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        entry(context);
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

// The trampoline's page mapped where it is, and the kernel's half.
static void BuildTables(void)
{
    uint64_t *tables[HAL_START_TABLES];
    for (size_t i = 0; i < HAL_START_TABLES; i++) {
        tables[i] = DirectMap(Memory.Tables + i * PAGE_SIZE);
        memset(tables[i], 0, PAGE_SIZE);
        if (i != 0)
            tables[i - 1][0] =
                (Memory.Tables + i * PAGE_SIZE) | PTE_PRESENT | PTE_WRITE | PTE_ACCESS;
    }
    tables[HAL_START_TABLES - 1][Memory.Code >> PAGE_SHIFT] =
        Memory.Code | PTE_PRESENT | PTE_ACCESS;
    const uint64_t *kernel = DirectMap(KernelRoot);
    memcpy(tables[0] + ROOT_SLOTS / 2, kernel + ROOT_SLOTS / 2, PAGE_SIZE / 2);
}

static void WriteParameters(uint64_t stack)
{
    uint32_t page = (uint32_t)Memory.Code;
    StartParameters *parameters =
        (StartParameters *)((uint8_t *)DirectMap(page) + PARAMETERS_OFFSET);
    *parameters = (StartParameters){
        .GdtLimit = sizeof(parameters->Gdt) - 1,
        .GdtBase = page + PARAMETERS_OFFSET + offsetof(StartParameters, Gdt),
        .Entry32 = page + (uint32_t)(HalpTrampoline32 - HalpTrampoline),
        .Code32 = SELECTOR_START_CODE32,
        .Entry64 = page + (uint32_t)(HalpTrampoline64 - HalpTrampoline),
        .Code64 = SELECTOR_START_CODE64,
        .Root = Memory.Tables,
        .Stack = stack,
        // flat; accessed, so that the processor has nothing to write
        .Gdt = {0, 0x00CF9B000000FFFFull, 0x00CF93000000FFFFull, 0x00AF9B000000FFFFull},
    };
}

void HalBeginStart(const HalStartMemory *memory)
{
    Memory = *memory;
    KernelRoot = HalReadCr3();
    KernelPat = HalReadMsr(MSR_PAT);
    BuildTables();
    memcpy(DirectMap(Memory.Code), HalpTrampoline, (size_t)(HalpTrampolineEnd - HalpTrampoline));
    size_t count = HalGetProcessorLimit();
    for (uint32_t i = 1; i < count; i++)
        HalpRequestInit(i);
    HalStallNanoseconds(INIT_WAIT);
}

// Whether the processor has claimed its start; waits that long for it.
static bool WaitForClaim(uint64_t patience)
{
    for (uint64_t waited = 0; waited < patience; waited += POLL_PAUSE) {
        if (__atomic_load_n(&State, __ATOMIC_ACQUIRE) == StartClaimed)
            return true;
        HalStallNanoseconds(POLL_PAUSE);
    }
    return false;
}

bool HalStartProcessor(uint32_t number, void *stackTop, void (*entry)(void *context), void *context)
{
    Entry = entry;
    WriteParameters(HalPrepareStack(stackTop, BeginProcessor, context));
    __atomic_store_n(&State, StartWanted, __ATOMIC_SEQ_CST);
    HalpRequestStart(number, (uint8_t)(Memory.Code >> PAGE_SHIFT));
    if (WaitForClaim(START_WAIT))
        return true;
    HalpRequestStart(number, (uint8_t)(Memory.Code >> PAGE_SHIFT)); // ignored by one that runs
    if (WaitForClaim(START_PATIENCE))
        return true;
    uint32_t expected = StartWanted;
    return !__atomic_compare_exchange_n(&State, &expected, StartAbandoned, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED);
}

void HalJoinProcessors(void)
{
    HalpJoinInterrupts();
    HalpJoinHypervisor();
    HalpJoinClock();
}
