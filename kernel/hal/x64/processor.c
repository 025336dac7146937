// processor.c - makes a processor run the kernel's way: segments, trap table, protections, system
// calls.
// SPDX-License-Identifier: MIT
#include "hal_private.h"

#define CR0_MP             (1ull << 1)
#define CR0_EM             (1ull << 2)
#define CR0_TS             (1ull << 3)
#define CR0_NE             (1ull << 5)
#define CR0_WP             (1ull << 16)
#define CR0_AM             (1ull << 18)
#define CR4_VME_PVI_TSD_DE 0xFull
#define CR4_MCE            (1ull << 6)
#define CR4_PGE            (1ull << 7)
#define CR4_PCE            (1ull << 8)
#define CR4_OSFXSR         (1ull << 9)
#define CR4_OSXMMEXCPT     (1ull << 10)
#define CR4_UMIP           (1ull << 11)
#define CR4_FSGSBASE       (1ull << 16)
#define CR4_PCIDE          (1ull << 17)
#define CR4_SMEP           (1ull << 20)
#define CR4_SMAP           (1ull << 21)
#define CR4_PKE            (1ull << 22)
#define EFER_SCE           (1ull << 0)
#define EFER_NXE           (1ull << 11)

// Cleared by SYSCALL: TF, IF, DF, IOPL, NT, AC.
#define SYSCALL_FLAGS_MASK 0x00047700ull

typedef struct GateDescriptor { // Intel SDM vol. 3, figure 6-8
    uint16_t OffsetLow;
    uint16_t Selector;
    uint8_t Ist;
    uint8_t Type;
    uint16_t OffsetMiddle;
    uint32_t OffsetHigh;
    uint32_t Reserved;
} GateDescriptor;
static_assert(sizeof(GateDescriptor) == 16, "hardware format");

#define GATE_INTERRUPT      0x8Eu // present, DPL 0, 64-bit interrupt gate
#define GATE_INTERRUPT_USER 0xEEu // DPL 3: instructions of user mode may name it

typedef struct __attribute__((packed)) TableRegister {
    uint16_t Limit;
    uint64_t Base;
} TableRegister;

bool HalSmapEnabled;
static GateDescriptor Idt[256]
    __attribute__((aligned(16))); // constant once built; shared by all processors
static bool IdtBuilt;
static char ProcessorName[49];

static void HaltWithSentence(const char *sentence) __attribute__((noreturn));
static void HaltWithSentence(const char *sentence)
{
    HalWriteSerial(sentence, strlen(sentence));
    for (;;) {
        HalDisableInterrupts();
        __asm__ volatile("hlt");
    }
}

static uint8_t IstOfVector(size_t vector)
{
    switch (vector) {
    case 1:
        return HalIstDebug;
    case 2:
        return HalIstNmi;
    case 8:
        return HalIstDoubleFault;
    case 18:
        return HalIstMachineCheck;
    default:
        return 0;
    }
}

// Breakpoint, overflow and __fastfail (int 0x29).
static bool IsForUser(size_t vector)
{
    return vector == 3 || vector == 4 || vector == VECTOR_FAST_FAIL;
}

static void BuildIdt(void)
{
    for (size_t vector = 0; vector < RTL_COUNT_OF(Idt); vector++) {
        uint64_t stub = (uint64_t)HalpVectorTable + vector * 16;
        Idt[vector] = (GateDescriptor){
            .OffsetLow = (uint16_t)stub,
            .Selector = SELECTOR_KERNEL_CODE,
            .Ist = IstOfVector(vector),
            .Type = IsForUser(vector) ? GATE_INTERRUPT_USER : GATE_INTERRUPT,
            .OffsetMiddle = (uint16_t)(stub >> 16),
            .OffsetHigh = (uint32_t)(stub >> 32),
        };
    }
    IdtBuilt = true;
}

static void BuildTaskState(HalProcessor *processor)
{
    HalTaskState *state = &processor->TaskState;
    memset(state, 0, sizeof(*state));
    state->IoMapBase = sizeof(*state); // no port is open to user mode
    for (size_t i = 0; i < HalIstCount; i++) {
        uint8_t *top = processor->IstStacks[i] + HAL_IST_STACK_SIZE - 16;
        *(HalProcessor **)top = processor;
        state->Ist[i * 2] = (uint32_t)(uint64_t)top;
        state->Ist[i * 2 + 1] = (uint32_t)((uint64_t)top >> 32);
    }
}

static void LoadSegments(HalProcessor *processor)
{
    uint64_t base = (uint64_t)&processor->TaskState;
    uint64_t *gdt = processor->Gdt;
    memset(gdt, 0, sizeof(processor->Gdt));
    gdt[SELECTOR_KERNEL_CODE / 8] = 0x00AF9B000000FFFFull;
    gdt[SELECTOR_KERNEL_DATA / 8] = 0x00CF93000000FFFFull;
    gdt[SELECTOR_USER_DATA / 8] = 0x00CFF3000000FFFFull;
    gdt[SELECTOR_USER_CODE / 8] = 0x00AFFB000000FFFFull;
    // 64-bit TSS, available (Intel SDM vol. 3, figure 8-4)
    gdt[SELECTOR_TASK_STATE / 8] = (sizeof(HalTaskState) - 1) | (base & 0xFFFFFF) << 16 |
                                   0x89ull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[SELECTOR_TASK_STATE / 8 + 1] = base >> 32;
    TableRegister gdtr = {sizeof(processor->Gdt) - 1, (uint64_t)gdt};
    TableRegister idtr = {sizeof(Idt) - 1, (uint64_t)Idt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovw %w2, %%ds\n\tmovw %w2, %%es\n\tmovw %w2, %%ss\n\t"
                     "movw %w3, %%fs\n\tmovw %w3, %%gs\n\t"
                     "lidt %4\n\t"
                     "ltr %w5"
                     :
                     : "m"(gdtr), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0),
                       "m"(idtr), "r"(SELECTOR_TASK_STATE)
                     : "rax", "memory");
    uint16_t none = 0;
    __asm__ volatile("lldt %0" : : "r"(none));
    HalWriteMsr(MSR_FS_BASE, 0);
    HalWriteMsr(MSR_GS_BASE, (uint64_t)processor);
    HalWriteMsr(MSR_KERNEL_GS_BASE, 0);
}

static void EnableProtections(HalProcessor *processor)
{
    HalCpuidResult basic = HalCpuid(1, 0), extended = HalCpuid(0x80000001, 0);
    HalCpuidResult features = HalCpuid(0, 0).Eax >= 7 ? HalCpuid(7, 0) : (HalCpuidResult){0};
    if (!(extended.Edx & 1u << 20))
        HaltWithSentence("MetalOS needs a processor with NX (no-execute pages).\r\n");
    if (!(extended.Edx & 1u << 11) || !(basic.Edx & 1u << 24))
        HaltWithSentence("MetalOS needs a processor with SYSCALL and FXSAVE.\r\n");
    uint64_t cr4 = HalReadCr4();
    cr4 &= ~(CR4_VME_PVI_TSD_DE | CR4_PCE | CR4_FSGSBASE | CR4_PKE);
    cr4 |= CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;
    if (features.Ebx & 1u << 7)
        cr4 |= CR4_SMEP;
    if (features.Ebx & 1u << 20)
        cr4 |= CR4_SMAP;
    if (features.Ecx & 1u << 2)
        cr4 |= CR4_UMIP;
    HalWriteMsr(MSR_EFER, HalReadMsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    HalWriteCr0((HalReadCr0() & ~(CR0_EM | CR0_TS | CR0_AM)) | CR0_MP | CR0_NE | CR0_WP);
    HalWriteCr4(cr4);
    processor->SmapEnabled = (cr4 & CR4_SMAP) != 0;
    HalSmapEnabled = processor->SmapEnabled;
    HalForbidUserAccess();
}

static void EnableSystemCalls(void)
{
    HalWriteMsr(MSR_STAR,
                (uint64_t)SELECTOR_SYSRET_BASE << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    HalWriteMsr(MSR_LSTAR, (uint64_t)HalpSystemCallEntry);
    HalWriteMsr(MSR_SFMASK, SYSCALL_FLAGS_MASK);
}

static void ReadProcessorName(void)
{
    if (HalCpuid(0x80000000, 0).Eax < 0x80000004)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        HalCpuidResult part = HalCpuid(0x80000002 + i, 0);
        memcpy(ProcessorName + i * 16, &part, sizeof(part));
    }
}

void HalInitializeProcessor(HalProcessor *processor)
{
    HalDisableInterrupts();
    processor->Self = processor;
    if (!IdtBuilt) {
        HalpStartClock();
        BuildIdt();
        ReadProcessorName();
    }
    BuildTaskState(processor);
    LoadSegments(processor);
    EnableProtections(processor);
    EnableSystemCalls();
    HalpInitializeFpu();
}

const char *HalGetProcessorName(void)
{
    const char *name = ProcessorName;
    while (*name == ' ')
        name++;
    return *name != '\0' ? name : "x86-64 processor";
}

void HalSetKernelStack(uint64_t top)
{
    HalProcessor *processor = HalGetProcessor();
    processor->KernelStack = top;
    processor->TaskState.Rsp[0] = (uint32_t)top;
    processor->TaskState.Rsp[1] = (uint32_t)(top >> 32);
}

void HalSetUserGsBase(uint64_t base)
{
    HalProcessor *processor = HalGetProcessor();
    processor->UserGsBase = base;
    HalWriteMsr(MSR_KERNEL_GS_BASE, base);
}

static HalDeviceMapper *DeviceMapper;

void HalRegisterDeviceMapper(HalDeviceMapper *mapper)
{
    DeviceMapper = mapper;
}

void *HalpMapDevice(PhysicalAddress address, size_t size)
{
    return DeviceMapper != nullptr ? DeviceMapper(address, size) : nullptr;
}
