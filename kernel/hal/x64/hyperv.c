// hyperv.c - Microsoft's hypervisor: CPUID, hypercalls, the synthetic interrupt controller.
//
// CPUID says what there is, feature by feature; each is used when it is there and done without when
// it is not, and no register is touched that was not promised. The least that a host promises is
// time, the synthetic interrupt controller with its timers, hypercalls and the processor's number.
//
// Pages. The hypervisor lays pages of its own over some of ours while they are enabled: the code of
// a hypercall, which is a page of the kernel's text and so executable and never writable; the
// page with the time's scale; and for each processor one with message slots and one with event
// flags. What an overlaid page holds when it is enabled is not known, so slots are cleared then.
//
// Source: Microsoft's Hypervisor Top Level Functional Specification, 6.0b (TLFS).
// SPDX-License-Identifier: MIT
#include "hyperv_private.h"

#include "LoaderParams.h"

#define LEAF_IDENTITY        0x40000000u
#define LEAF_INTERFACE       0x40000001u
#define LEAF_FEATURES        0x40000003u
#define LEAF_RECOMMENDATIONS 0x40000004u
#define LEAF_LIMITS          0x40000005u
#define INTERFACE_HV1        0x31237648u // "Hv#1"

// LEAF_FEATURES eax, ebx, edx
#define HAS_REFERENCE_COUNTER (1u << 1)
#define HAS_SYNIC             (1u << 2)
#define HAS_TIMERS            (1u << 3)
#define HAS_APIC_MSRS         (1u << 4)
#define HAS_HYPERCALLS        (1u << 5)
#define HAS_VP_INDEX          (1u << 6)
#define HAS_REFERENCE_PAGE    (1u << 9)
#define HAS_INVARIANT_CONTROL (1u << 15)
#define MAY_POST_MESSAGES     (1u << 4)
#define MAY_SIGNAL_EVENTS     (1u << 5)
#define HAS_CRASH_MSRS        (1u << 10)
#define HAS_DIRECT_TIMERS     (1u << 19)
// LEAF_RECOMMENDATIONS eax
#define USE_REMOTE_FLUSH (1u << 2)
#define USE_APIC_MSRS    (1u << 3)
#define AVOID_AUTO_EOI   (1u << 9)
#define USE_CLUSTER_IPI  (1u << 10)

// Open source, 2.6: bit 63, a type of our own, no version.
#define GUEST_OS_ID (1ull << 63 | 0x4Dull << 56)

#define CALL_FLUSH_LIST   0x0003u
#define CALL_CLUSTER_IPI  0x000Bu
#define CALL_POST_MESSAGE 0x005Cu
#define CALL_SIGNAL_EVENT 0x005Du
#define CALL_FAST         (1ull << 16)
#define CALL_REPEAT_SHIFT 32
#define CALL_MASK_BITS    64u // processors in the mask of a call

#define SYNIC_ENABLE       1ull
#define OVERLAY_RESERVED   0xFFEull
#define INTERRUPT_AUTO_EOI (1ull << 17)

#define CRASH_NOTIFY  (1ull << 63)
#define CRASH_MESSAGE (1ull << 62)

HalpHypervisor HalpHv;
bool HalFlushesByHypercall;

// In the order of the pages that HalGiveHypervisorPages takes.
enum { PageMessages, PageEvents, PageInput, PageCount };

typedef struct Processor {
    uint8_t *Pages;
    PhysicalAddress Physical;
    uint32_t VirtualProcessor;
    bool Joined;
} Processor;
static Processor Processors[HAL_MAXIMUM_PROCESSORS];

static uint8_t BootPages[PageCount * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint64_t ImageBase;
static PhysicalAddress ImagePhysical;

// The page that the hypervisor's code comes to lie over: until then, traps.
extern const uint8_t HalpHypercallPage[];
__asm__(".text\n"
        ".p2align 12, 0xCC\n"
        ".globl HalpHypercallPage\n"
        "HalpHypercallPage:\n"
        ".fill 4096, 1, 0xCC\n");

PhysicalAddress HalpImageToPhysical(const void *address)
{
    return ImagePhysical + ((uint64_t)address - ImageBase);
}

// ------------------------------------------------------------------------------------- hypercalls

// The convention is the compiler's own: control rcx, input rdx, output r8, result rax (TLFS 3.7).
static uint64_t Call(uint64_t control, uint64_t input, uint64_t output)
{
    uint64_t (*call)(uint64_t, uint64_t, uint64_t) = (void *)HalpHypercallPage;
    return call(control, input, output);
}

static HvStatus StatusOf(uint64_t result)
{
    return (HvStatus)(result & 0xFFFF);
}

// Each processor has a page for what it passes: the list of a flush, which the level keeps to one
// at a time, and a message behind it, which is gone before interrupts are on again.
typedef struct FlushInput { // HvFlushVirtualAddressList, TLFS 9.4.2.2
    uint64_t Space, Flags, Mask;
    uint64_t Entries[477];
} FlushInput;
typedef struct MessageInput { // HvPostMessage, TLFS 11.11.1
    uint32_t Connection, Reserved, Type, Size;
    uint8_t Payload[HAL_MESSAGE_SIZE];
} MessageInput;
typedef struct InputPage {
    FlushInput Flush;
    MessageInput Message;
} InputPage;
static_assert(sizeof(InputPage) == PAGE_SIZE);

static InputPage *InputOf(const Processor *processor)
{
    return (InputPage *)(processor->Pages + PageInput * PAGE_SIZE);
}

HvStatus HalPostMessage(uint32_t connection, uint32_t type, const void *payload, size_t size)
{
    bool enabled = HalSaveInterrupts();
    const Processor *self = &Processors[HalGetProcessor()->Number];
    MessageInput *input = &InputOf(self)->Message;
    *input = (MessageInput){.Connection = connection, .Type = type, .Size = (uint32_t)size};
    memcpy(input->Payload, payload, size);
    uint64_t result =
        Call(CALL_POST_MESSAGE,
             self->Physical + PageInput * PAGE_SIZE + offsetof(InputPage, Message), 0);
    HalRestoreInterrupts(enabled);
    return StatusOf(result);
}

HvStatus HalSignalEvent(uint32_t connection)
{
    return StatusOf(Call(CALL_SIGNAL_EVENT | CALL_FAST, connection, 0));
}

bool HalpSendByHypercall(uint32_t processor, uint8_t vector)
{
    const Processor *target = &Processors[processor];
    if (!HalpHv.ClusterIpi || !target->Joined || target->VirtualProcessor >= CALL_MASK_BITS)
        return false;
    return StatusOf(Call(CALL_CLUSTER_IPI | CALL_FAST, vector, 1ull << target->VirtualProcessor)) ==
           HvSuccess;
}

static bool MakeMask(uint64_t processors, uint64_t *mask)
{
    *mask = 0;
    for (; processors != 0; processors &= processors - 1) {
        const Processor *processor = &Processors[__builtin_ctzll(processors)];
        if (!processor->Joined || processor->VirtualProcessor >= CALL_MASK_BITS)
            return false;
        *mask |= 1ull << processor->VirtualProcessor;
    }
    return true;
}

// Each entry is an address and, in its low bits, the number of pages behind it. A range too long
// for one call is left to the caller.
bool HalFlushProcessors(uint64_t processors, uint64_t root, uint64_t start, uint64_t end)
{
    enum { FlushAllSpaces = 2, EntryPages = 4096 };
    const Processor *self = &Processors[HalGetProcessor()->Number];
    FlushInput *input = &InputOf(self)->Flush;
    uint64_t pages = (end - start) / PAGE_SIZE, count = 0, mask;
    if (!MakeMask(processors, &mask) || pages > (uint64_t)EntryPages * RTL_COUNT_OF(input->Entries))
        return false;
    for (uint64_t at = start; pages != 0;) {
        uint64_t run = RTL_MIN(pages, (uint64_t)EntryPages);
        input->Entries[count++] = at | (run - 1);
        at += run * PAGE_SIZE;
        pages -= run;
    }
    input->Space = root;
    input->Flags = root == 0 ? FlushAllSpaces : 0;
    input->Mask = mask;
    return StatusOf(Call(CALL_FLUSH_LIST | count << CALL_REPEAT_SHIFT,
                         self->Physical + PageInput * PAGE_SIZE, 0)) == HvSuccess;
}

// ------------------------------------------------------- the synthetic interrupt controller

size_t HalCountHypervisorPages(void)
{
    return HalpHv.Present ? PageCount : 0;
}

void HalGiveHypervisorPages(uint32_t processor, PhysicalAddress pages)
{
    Processors[processor].Physical = pages;
    Processors[processor].Pages = (uint8_t *)DIRECT_MAP_BASE + pages;
}

static void EnableOverlay(uint32_t msr, PhysicalAddress page)
{
    HalWriteMsr(msr, (HalReadMsr(msr) & OVERLAY_RESERVED) | page | SYNIC_ENABLE);
}

static void EnableInterrupt(uint32_t interrupt, uint8_t vector)
{
    HalWriteMsr(MSR_HV_SINT0 + interrupt, vector | (HalpHv.AutoEoi ? INTERRUPT_AUTO_EOI : 0));
}

static void EnableSynic(const Processor *processor)
{
    EnableOverlay(MSR_HV_MESSAGE_PAGE, processor->Physical + PageMessages * PAGE_SIZE);
    EnableOverlay(MSR_HV_EVENT_PAGE, processor->Physical + PageEvents * PAGE_SIZE);
    memset(processor->Pages, 0, 2 * PAGE_SIZE);
    EnableInterrupt(HAL_VMBUS_INTERRUPT, VECTOR_SYNTHETIC);
    if (HalpHv.Timers && !HalpHv.DirectTimers)
        EnableInterrupt(HALP_TIMER_INTERRUPT, VECTOR_CLOCK);
    HalWriteMsr(MSR_HV_CONTROL, HalReadMsr(MSR_HV_CONTROL) | SYNIC_ENABLE);
}

void HalpJoinHypervisor(void)
{
    if (!HalpHv.Present)
        return;
    Processor *processor = &Processors[HalGetProcessor()->Number];
    processor->VirtualProcessor = (uint32_t)HalReadMsr(MSR_HV_VP_INDEX);
    if (HalpHv.Synic)
        EnableSynic(processor);
    __atomic_store_n(&processor->Joined, true, __ATOMIC_RELEASE);
}

uint32_t HalGetVirtualProcessor(uint32_t processor)
{
    return Processors[processor].VirtualProcessor;
}

static HalMessage *SlotOf(uint32_t processor, uint32_t interrupt)
{
    return (HalMessage *)(Processors[processor].Pages + PageMessages * PAGE_SIZE) + interrupt;
}

HalMessage *HalGetMessageSlot(uint32_t processor)
{
    return Processors[processor].Joined ? SlotOf(processor, HAL_VMBUS_INTERRUPT) : nullptr;
}

volatile uint64_t *HalGetEventFlags(uint32_t processor)
{
    return (volatile uint64_t *)(Processors[processor].Pages + PageEvents * PAGE_SIZE +
                                 HAL_VMBUS_INTERRUPT * HAL_EVENT_FLAGS / 8);
}

void HalEndMessage(void)
{
    HalWriteMsr(MSR_HV_END_OF_MESSAGE, 0);
}

// The slot is freed before it is looked at whether another message waits, which the hypervisor
// says before it looks whether the slot is free.
void HalpTakeTimerMessage(void)
{
    HalMessage *slot = SlotOf(HalGetProcessor()->Number, HALP_TIMER_INTERRUPT);
    if (slot->Type == 0)
        return;
    slot->Type = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (slot->Flags & HAL_MESSAGE_PENDING)
        HalEndMessage();
}

// -------------------------------------------------------------------------------------- detection

static void ReadFeatures(void)
{
    HalCpuidResult features = HalCpuid(LEAF_FEATURES, 0);
    HalCpuidResult use = HalCpuid(LEAF_RECOMMENDATIONS, 0);
    HalpHypervisor *hv = &HalpHv;
    hv->ReferenceCounter = (features.Eax & HAS_REFERENCE_COUNTER) != 0;
    hv->ReferencePage = hv->ReferenceCounter && (features.Eax & HAS_REFERENCE_PAGE) != 0;
    hv->InvariantControl = (features.Eax & HAS_INVARIANT_CONTROL) != 0;
    hv->Synic = (features.Eax & HAS_SYNIC) != 0;
    hv->DirectTimers = (features.Edx & HAS_DIRECT_TIMERS) != 0;
    hv->Timers =
        hv->ReferenceCounter && (features.Eax & HAS_TIMERS) != 0 && (hv->DirectTimers || hv->Synic);
    hv->ApicMsrs = (features.Eax & HAS_APIC_MSRS) != 0 && (use.Eax & USE_APIC_MSRS) != 0;
    hv->AutoEoi = !(use.Eax & AVOID_AUTO_EOI);
    hv->ClusterIpi = (use.Eax & USE_CLUSTER_IPI) != 0;
    hv->CrashMsrs = (features.Edx & HAS_CRASH_MSRS) != 0;
    hv->Channels = hv->Synic && (features.Ebx & MAY_POST_MESSAGES) != 0 &&
                   (features.Ebx & MAY_SIGNAL_EVENTS) != 0;
    HalFlushesByHypercall = (use.Eax & USE_REMOTE_FLUSH) != 0;
}

static bool IsOffered(void)
{
    static const char name[] = "Microsoft Hv";
    if (!(HalCpuid(1, 0).Ecx & 1u << 31))
        return false;
    HalCpuidResult identity = HalCpuid(LEAF_IDENTITY, 0);
    if (identity.Eax < LEAF_LIMITS || memcmp(&identity.Ebx, name, sizeof(name) - 1) != 0 ||
        HalCpuid(LEAF_INTERFACE, 0).Eax != INTERFACE_HV1)
        return false;
    uint32_t needed = HAS_HYPERCALLS | HAS_VP_INDEX;
    return (HalCpuid(LEAF_FEATURES, 0).Eax & needed) == needed;
}

// The guest names itself first; only then may it have hypercalls.
static bool EnableHypercalls(void)
{
    HalWriteMsr(MSR_HV_GUEST_OS_ID, GUEST_OS_ID);
    EnableOverlay(MSR_HV_HYPERCALL, HalpImageToPhysical(HalpHypercallPage));
    return (HalReadMsr(MSR_HV_HYPERCALL) & SYNIC_ENABLE) != 0;
}

void HalStartHypervisor(const LoaderParams *loader)
{
    if (!IsOffered())
        return;
    ImageBase = loader->KernelBase;
    ImagePhysical = loader->KernelPhysical;
    if (!EnableHypercalls())
        return;
    ReadFeatures();
    HalpHv.Present = true;
    Processors[0].Pages = BootPages;
    Processors[0].Physical = HalpImageToPhysical(BootPages);
    HalpJoinHypervisor();
    HalpStartReferenceTime();
}

bool HalHasHypervisor(void)
{
    return HalpHv.Present;
}

bool HalHasSynic(void)
{
    return HalpHv.Present && HalpHv.Channels;
}

const char *HalDescribeHypervisor(char *text, size_t size)
{
    const HalpHypervisor *hv = &HalpHv;
    RtlFormat(text, size, "Hyper-V:%s%s%s%s%s%s%s", hv->Synic ? " synic" : "",
              !hv->Timers        ? ""
              : hv->DirectTimers ? " timers"
                                 : " message-timers",
              hv->ReferencePage ? " reference-page" : "", hv->ApicMsrs ? " apic-msrs" : "",
              hv->AutoEoi ? " auto-eoi" : "", hv->ClusterIpi ? " ipi" : "",
              HalFlushesByHypercall ? " flush" : "");
    return text;
}

// ------------------------------------------------------------------------------------------ crash

// TLFS 2.4.5: five parameters; the last two are where the text is and how long.
void HalReportCrash(uint64_t code, uint64_t p1, uint64_t p2, const char *text)
{
    static char message[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    if (!HalpHv.Present || !HalpHv.CrashMsrs)
        return;
    RtlCopyString(message, sizeof(message), text);
    bool takesText = (HalReadMsr(MSR_HV_CRASH_CONTROL) & CRASH_MESSAGE) != 0;
    const uint64_t parameters[] = {code, p1, p2, takesText ? HalpImageToPhysical(message) : 0,
                                   takesText ? strlen(message) : 0};
    for (uint32_t i = 0; i < RTL_COUNT_OF(parameters); i++)
        HalWriteMsr(MSR_HV_CRASH_P0 + i, parameters[i]);
    HalWriteMsr(MSR_HV_CRASH_CONTROL, CRASH_NOTIFY | (takesText ? CRASH_MESSAGE : 0));
}
