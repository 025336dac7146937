// hypervisor.c - the hypervisor as a processor sees it: CPUID leaves, synthetic MSRs, the hypercall
// page and time. TLFS chapters 2 to 4 and 12; what OpenVMM promises (vm/hv1/hvdef, hv1_emulator).
//
// Hooked into QEMU by the linker (--wrap): calls of five functions in other translation units come
// here first. `vmmcall` and `vmcall` are undefined instructions to TCG, so the hypercall page
// executes an `out` instead; I/O helpers see the whole register file.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "hw/boards.h"
#include "hw/i386/apic.h"
#include "hw/i386/apic_internal.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "sysemu/cpus.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#include "tcg/helper-tcg.h"

#include "vmbus.h"

enum { HypercallPort = 0x8E };

HvHost *Host;

void __real_cpu_x86_cpuid(CPUX86State *env, uint32_t index, uint32_t count, uint32_t *eax,
                          uint32_t *ebx, uint32_t *ecx, uint32_t *edx);
void __wrap_cpu_x86_cpuid(CPUX86State *env, uint32_t index, uint32_t count, uint32_t *eax,
                          uint32_t *ebx, uint32_t *ecx, uint32_t *edx);
void __real_helper_rdmsr(CPUX86State *env);
void __wrap_helper_rdmsr(CPUX86State *env);
void __real_helper_wrmsr(CPUX86State *env);
void __wrap_helper_wrmsr(CPUX86State *env);
uint64_t __real_cpu_get_tsc(CPUX86State *env);
uint64_t __wrap_cpu_get_tsc(CPUX86State *env);
int __real_apic_get_interrupt(DeviceState *device);
int __wrap_apic_get_interrupt(DeviceState *device);

G_NORETURN void cpu_io_recompile(CPUState *cpu, uintptr_t caller); // of accel/tcg/internal.h

void HvPrint(const char *format, ...)
{
    FILE *out = Host && Host->log ? Host->log : stderr;
    va_list arguments;

    fprintf(out, "hvhost: ");
    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fputc('\n', out);
    fflush(out);
}

// ---------------------------------------------------------------------------------------- CPUID

// Leaf 0x40000003 EAX: which MSRs there are; EDX: features (TLFS 2.4.4).
enum {
    AccessReferenceCounter = 1u << 1,
    AccessSynic = 1u << 2,
    AccessStimers = 1u << 3,
    AccessApicMsrs = 1u << 4,
    AccessHypercall = 1u << 5,
    AccessVpIndex = 1u << 6,
    AccessReset = 1u << 7,
    AccessReferenceTsc = 1u << 9,
    AccessFrequencies = 1u << 11,
    AccessTscInvariant = 1u << 15,
    PrivilegePostMessages = 1u << 4, // EBX
    PrivilegeSignalEvents = 1u << 5,
    FeatureFrequencies = 1u << 8, // EDX
    FeatureCrash = 1u << 10,
    FeatureDirectStimers = 1u << 19,
    HintRemoteFlush = 1u << 2, // leaf 0x40000004 EAX
    HintApicMsrs = 1u << 3,
    HintRelaxedTiming = 1u << 5,
    HintNoAutoEoi = 1u << 9,
    HintClusterIpi = 1u << 10,
};

static uint32_t MsrAccess(void)
{
    return AccessReferenceCounter | AccessSynic | AccessHypercall | AccessVpIndex |
           (Host->stimers ? AccessStimers : 0) | (Host->apicMsrs ? AccessApicMsrs : 0) |
           (Host->resetMsr ? AccessReset : 0) | (Host->referenceTsc ? AccessReferenceTsc : 0) |
           (Host->frequencies ? AccessFrequencies : 0) |
           (Host->tscInvariant ? AccessTscInvariant : 0);
}

static uint32_t Features(void)
{
    return (Host->frequencies ? FeatureFrequencies : 0) | (Host->crashMsrs ? FeatureCrash : 0) |
           (Host->stimers && Host->directStimers ? FeatureDirectStimers : 0);
}

static uint32_t Hints(void)
{
    return HintRelaxedTiming | (Host->autoEoi ? 0 : HintNoAutoEoi) |
           (Host->apicMsrs ? HintApicMsrs : 0) | (Host->flushHypercall ? HintRemoteFlush : 0) |
           (Host->ipiHypercall ? HintClusterIpi : 0);
}

void __wrap_cpu_x86_cpuid(CPUX86State *env, uint32_t index, uint32_t count, uint32_t *eax,
                          uint32_t *ebx, uint32_t *ecx, uint32_t *edx)
{
    if (!Host || index < 0x40000000 || index > 0x4000FFFF) {
        __real_cpu_x86_cpuid(env, index, count, eax, ebx, ecx, edx);
        if (Host && index == 1)
            *ecx |= 1u << 31; // a hypervisor is present
        if (Host && index == 0x80000007 && (Host->tscInvariantControl & 1))
            *edx |= 1u << 8; // invariant TSC, once it has been asked for
        return;
    }
    *eax = *ebx = *ecx = *edx = 0;
    switch (index) {
    case 0x40000000: // the highest leaf, "Microsoft Hv"
        *eax = 0x40000005;
        *ebx = 0x7263694D;
        *ecx = 0x666F736F;
        *edx = 0x76482074;
        break;
    case 0x40000001: // "Hv#1"
        *eax = 0x31237648;
        break;
    case 0x40000002: // the version of Windows Server 2022
        *eax = 20348;
        *ebx = 10u << 16;
        break;
    case 0x40000003:
        *eax = MsrAccess();
        *ebx = PrivilegePostMessages | PrivilegeSignalEvents;
        *edx = Features();
        break;
    case 0x40000004:
        *eax = Hints();
        *ebx = UINT32_MAX; // never notify about long spins
        break;
    case 0x40000005: // the most processors
        *eax = 240;
        *ebx = 240;
        break;
    default:
        break;
    }
}

// ----------------------------------------------------------------------------------------- time

uint64_t HvReferenceTime(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / 100;
}

// TCG's TSC is the one of the machine underneath. Made a multiple of the virtual clock, TSC,
// reference counter and reference TSC page are one clock, whatever runs below.
uint64_t __wrap_cpu_get_tsc(CPUX86State *env)
{
    if (!Host)
        return __real_cpu_get_tsc(env);
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) * (HV_TSC_HZ / 1000000000);
}

// TLFS "Partition Reference TSC Mechanism": time = ((tsc * scale) >> 64) + offset.
typedef struct TscPage {
    uint32_t sequence, reserved;
    uint64_t scale;
    int64_t offset;
} TscPage;

void HvRefreshTscPage(HvHost *host)
{
    TscPage *page = HvOverlayContent(&host->tscPage);

    page->sequence = 0;
    smp_wmb();
    // Rounded up, so that whole values agree with the counter's.
    page->scale = (uint64_t)((((unsigned __int128)10000000 << 64) / HV_TSC_HZ) + 1);
    page->offset = 0;
    smp_wmb();
    page->sequence = host->tscSequence;
}

void *HvGuestPage(uint64_t address)
{
    hwaddr offset, length = HvPageSize;
    MemoryRegion *region;

    RCU_READ_LOCK_GUARD();
    region = address_space_translate(&address_space_memory, address & ~(uint64_t)(HvPageSize - 1),
                                     &offset, &length, true, MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_is_ram(region) || region->readonly || length < HvPageSize)
        return NULL;
    return (uint8_t *)memory_region_get_ram_ptr(region) + offset;
}

// ----------------------------------------------------------------------------------- hypercalls

static void FillHypercallPage(uint8_t *page)
{
    static const uint8_t code[] = {
        0xF3, 0x0F,          0x1E, 0xFA, // endbr64
        0xE6, HypercallPort,             // out %al, $port
        0xC3,                            // ret
    };

    memset(page, 0xCC, HvPageSize);
    memcpy(page, code, sizeof(code));
}

// HvPostMessage (TLFS 11.12.1).
static uint16_t PostMessage(uint64_t input)
{
    struct {
        uint32_t connection, reserved, type, size;
        uint8_t payload[HvMessageBytes];
    } message;

    if (input & 7) {
        StrictViolation("hypercall-alignment", "PostMessage with its input at 0x%" PRIx64, input);
        return HvInvalidAlignment;
    }
    if (input % HvPageSize + sizeof(message) > HvPageSize) {
        StrictViolation("hypercall-page", "PostMessage whose input crosses a page");
        return HvInvalidInput;
    }
    if (address_space_read(&address_space_memory, input, MEMTXATTRS_UNSPECIFIED, &message,
                           sizeof(message)) != MEMTX_OK)
        return HvInvalidInput;
    if (message.reserved != 0)
        StrictViolation("hypercall-reserved", "PostMessage with a reserved word");
    if (message.size > sizeof(message.payload) || message.type == 0 || message.type >> 31) {
        StrictViolation("hypercall-parameter", "PostMessage of type 0x%x, %u bytes", message.type,
                        message.size);
        return HvInvalidParameter;
    }
    Host->posts++;
    return VmbusPost(Host->bus, message.connection, message.type, message.payload, message.size);
}

// HvSignalEvent (TLFS 11.12.2): the parameters as one word.
static uint16_t SignalEvent(uint64_t input, bool fast)
{
    if (!fast) {
        uint64_t address = input;
        if (address & 7) {
            StrictViolation("hypercall-alignment", "SignalEvent with its input at 0x%" PRIx64,
                            address);
            return HvInvalidAlignment;
        }
        if (address_space_read(&address_space_memory, address, MEMTXATTRS_UNSPECIFIED, &input,
                               sizeof(input)) != MEMTX_OK)
            return HvInvalidInput;
    }
    Host->signals++;
    return VmbusSignal(Host->bus, (uint32_t)input, input >> 32 & 0xFFFF);
}

static uint16_t SendClusterIpi(uint64_t vector, uint64_t mask, bool fast)
{
    CPUState *cpu;

    if (!Host->ipiHypercall)
        return HvInvalidCode;
    if (!fast)
        return HvInvalidInput;
    if ((vector & 0xFFFFFF00) != 0 || vector >> 32 != 0 || vector < 16) {
        StrictViolation("hypercall-parameter", "an IPI with vector 0x%" PRIx64, vector);
        return HvInvalidParameter;
    }
    CPU_FOREACH(cpu)
    {
        if (cpu->cpu_index < 64 && (mask >> cpu->cpu_index & 1) != 0)
            SynicRaiseVector(&Host->processor[cpu->cpu_index], vector);
    }
    return HvSuccess;
}

static uint64_t Hypercall(CPUState *cpu, uint64_t control, uint64_t input, uint64_t second)
{
    const uint64_t reserved = 0xF000F000F8000000ull, repeats = 0x00000FFF00000000ull;
    bool fast = control >> 16 & 1;

    Host->hypercalls++;
    if ((Host->hypercall & 1) == 0)
        return HvInvalidCode;
    if ((control & reserved) != 0) {
        StrictViolation("hypercall-control", "reserved bits in 0x%" PRIx64, control);
        return HvInvalidInput;
    }
    switch (control & 0xFFFF) {
    case 0x0002: // HvFlushVirtualAddressSpace
    case 0x0003: // HvFlushVirtualAddressList
        if (!Host->flushHypercall)
            return HvInvalidCode;
        tlb_flush_all_cpus_synced(cpu);
        return HvSuccess | (control & repeats);
    case 0x0008: // HvNotifyLongSpinWait
        return HvSuccess;
    case 0x000B:
        return SendClusterIpi(input, second, fast);
    case 0x005C:
        return fast ? HvInvalidInput : PostMessage(input);
    case 0x005D:
        return SignalEvent(input, fast);
    default:
        StrictViolation("hypercall-code", "hypercall 0x%x does not exist",
                        (unsigned)(control & 0xFFFF));
        return HvInvalidCode;
    }
}

static uint64_t Pair(target_ulong high, target_ulong low)
{
    return (uint64_t)(uint32_t)high << 32 | (uint32_t)low;
}

// TLFS 3.7: where control, input and result are, in 64-bit mode and otherwise.
static void WriteHypercallPort(void *opaque, hwaddr address, uint64_t value, unsigned size)
{
    CPUX86State *env = &X86_CPU(current_cpu)->env;
    target_ulong *regs = env->regs;

    if ((env->hflags & HF_CS64_MASK) != 0) {
        regs[R_EAX] = Hypercall(current_cpu, regs[R_ECX], regs[R_EDX], regs[8]);
    } else {
        uint64_t result = Hypercall(current_cpu, Pair(regs[R_EDX], regs[R_EAX]),
                                    Pair(regs[R_EBX], regs[R_ECX]), Pair(regs[R_EDI], regs[R_ESI]));
        regs[R_EAX] = (uint32_t)result;
        regs[R_EDX] = result >> 32;
    }
}

static uint64_t ReadHypercallPort(void *opaque, hwaddr address, unsigned size)
{
    return ~0ull;
}

static const MemoryRegionOps HypercallPortOps = {
    .read = ReadHypercallPort,
    .write = WriteHypercallPort,
    .endianness = DEVICE_LITTLE_ENDIAN,
};

// ----------------------------------------------------------------------------------------- MSRs

// TLFS "Synthetic MSRs".
enum {
    MsrGuestId = 0x40000000,
    MsrHypercall = 0x40000001,
    MsrVpIndex = 0x40000002,
    MsrReset = 0x40000003,
    MsrReferenceCounter = 0x40000020,
    MsrReferenceTsc = 0x40000021,
    MsrTscFrequency = 0x40000022,
    MsrApicFrequency = 0x40000023,
    MsrEoi = 0x40000070,
    MsrIcr = 0x40000071,
    MsrTpr = 0x40000072,
    MsrVpAssist = 0x40000073,
    MsrCrash0 = 0x40000100,
    MsrCrash4 = 0x40000104,
    MsrCrashControl = 0x40000105,
    MsrTscInvariant = 0x40000118,
    MsrLast = 0x400001FF,
    ApicBusHz = 1000000000, // of QEMU's local APIC timer
};

static bool ReadMsr(CPUX86State *env, uint32_t msr, uint64_t *value)
{
    X86CPU *cpu = env_archcpu(env);
    HvProcessor *processor = &Host->processor[CPU(cpu)->cpu_index];
    APICCommonState *apic = APIC_COMMON(cpu->apic_state);

    switch (msr) {
    case MsrGuestId:
        *value = Host->guestId;
        return true;
    case MsrHypercall:
        *value = Host->hypercall;
        return true;
    case MsrVpIndex:
        *value = processor->index;
        return true;
    case MsrReset:
        *value = 0;
        return Host->resetMsr;
    case MsrReferenceCounter:
        *value = HvReferenceTime();
        return true;
    case MsrReferenceTsc:
        *value = Host->referenceTscPage;
        return Host->referenceTsc;
    case MsrTscFrequency:
        *value = HV_TSC_HZ;
        return Host->frequencies;
    case MsrApicFrequency:
        *value = ApicBusHz;
        return Host->frequencies;
    case MsrIcr:
        *value = (uint64_t)apic->icr[1] << 32 | apic->icr[0];
        return Host->apicMsrs;
    case MsrTpr:
        *value = cpu_get_apic_tpr(cpu->apic_state) << 4;
        return Host->apicMsrs;
    case MsrVpAssist:
        *value = processor->assist;
        return true;
    case MsrCrash0 ... MsrCrash4:
        *value = Host->crash[msr - MsrCrash0];
        return Host->crashMsrs;
    case MsrCrashControl:
        *value = 3ull << 62; // notification and message are understood
        return Host->crashMsrs;
    case MsrTscInvariant:
        *value = Host->tscInvariantControl;
        return Host->tscInvariant;
    default:
        return SynicReadMsr(processor, msr, value);
    }
}

static void WriteApic(X86CPU *cpu, unsigned offset, uint32_t value)
{
    address_space_stl_le(CPU(cpu)->as, 0xFEE00000 + offset, value, MEMTXATTRS_UNSPECIFIED, NULL);
}

static void SetGuestId(uint64_t value)
{
    HvPrint("guest id 0x%016" PRIx64, value);
    Host->guestId = value;
    HvLegacyHide(Host, value != 0);
    if (value == 0) {
        Host->hypercall &= ~1ull;
        HvOverlaySet(&Host->hypercallPage, Host->hypercall);
    }
}

static bool SetHypercall(uint64_t value)
{
    if ((Host->hypercall & 2) != 0 || (value & 0xFFC) != 0)
        return false; // locked, or reserved bits
    if (Host->guestId == 0) {
        StrictViolation("hypercall-order", "the hypercall page before the guest id");
        value &= ~1ull;
    }
    HvTrace("hypercall page 0x%" PRIx64, value);
    Host->hypercall = value;
    HvOverlaySet(&Host->hypercallPage, value);
    return true;
}

static bool SetReferenceTsc(uint64_t value)
{
    if (!Host->referenceTsc || (value & 0xFFE) != 0)
        return false;
    Host->referenceTscPage = value;
    HvRefreshTscPage(Host);
    HvOverlaySet(&Host->tscPage, value);
    return true;
}

// TLFS "Crash": parameters 3 and 4 are address and length of a message when bit 62 says so.
static void NoteCrash(uint64_t control)
{
    char text[HvPageSize + 1];
    uint32_t length = MIN(Host->crash[4], HvPageSize);

    HvPrint("guest crash: %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64, Host->crash[0],
            Host->crash[1], Host->crash[2], Host->crash[3], Host->crash[4]);
    if ((control >> 62 & 1) == 0)
        return;
    address_space_read(&address_space_memory, Host->crash[3], MEMTXATTRS_UNSPECIFIED, text, length);
    text[length] = 0;
    HvPrint("guest crash message:\n%s", text);
}

static bool WriteMsr(CPUX86State *env, uint32_t msr, uint64_t value)
{
    X86CPU *cpu = env_archcpu(env);
    HvProcessor *processor = &Host->processor[CPU(cpu)->cpu_index];

    switch (msr) {
    case MsrGuestId:
        SetGuestId(value);
        return true;
    case MsrHypercall:
        return SetHypercall(value);
    case MsrReset:
        if (Host->resetMsr && (value & 1) != 0)
            qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
        return Host->resetMsr;
    case MsrReferenceTsc:
        return SetReferenceTsc(value);
    case MsrEoi:
        if (!Host->apicMsrs || value >> 32 != 0)
            return false;
        Host->eois++;
        WriteApic(cpu, 0xB0, 0);
        SynicScan(processor);
        return true;
    case MsrIcr:
        if (!Host->apicMsrs)
            return false;
        WriteApic(cpu, 0x310, value >> 32);
        WriteApic(cpu, 0x300, (uint32_t)value);
        return true;
    case MsrTpr:
        if (!Host->apicMsrs || value > 0xFF)
            return false;
        cpu_set_apic_tpr(cpu->apic_state, value >> 4);
        return true;
    case MsrVpAssist:
        if ((value & 0xFFE) != 0)
            return false;
        processor->assist = value;
        HvOverlaySet(&processor->assistPage, value);
        return true;
    case MsrCrash0 ... MsrCrash4:
        Host->crash[msr - MsrCrash0] = value;
        return Host->crashMsrs;
    case MsrCrashControl:
        if (Host->crashMsrs && value >> 63 != 0)
            NoteCrash(value);
        return Host->crashMsrs;
    case MsrTscInvariant:
        if (!Host->tscInvariant || value > 1)
            return false;
        Host->tscInvariantControl = value;
        return true;
    default:
        return SynicWriteMsr(processor, msr, value);
    }
}

// Under -icount, whoever reads the clock has to be the last instruction of its block.
static void EndBlockHere(CPUX86State *env, uintptr_t caller)
{
    CPUState *cpu = env_cpu(env);

    if (!cpu->can_do_io)
        cpu_io_recompile(cpu, caller);
}

static bool AccessMsr(CPUX86State *env, uint32_t msr, bool write)
{
    uint64_t value = (uint32_t)env->regs[R_EAX] | (uint64_t)(uint32_t)env->regs[R_EDX] << 32;
    bool good;

    qemu_mutex_lock_iothread();
    Host->msrWrites += write;
    good = write ? WriteMsr(env, msr, value) : ReadMsr(env, msr, &value);
    if (!good)
        HvPrint("#GP: %s of MSR 0x%x, 0x%" PRIx64, write ? "write" : "read", msr, value);
    qemu_mutex_unlock_iothread();
    if (good && !write) {
        env->regs[R_EAX] = (uint32_t)value;
        env->regs[R_EDX] = value >> 32;
    }
    return good;
}

static bool IsSynthetic(uint32_t msr)
{
    return Host && msr >= MsrGuestId && msr <= MsrLast;
}

void __wrap_helper_rdmsr(CPUX86State *env)
{
    uint32_t msr = env->regs[R_ECX];

    if (!IsSynthetic(msr)) {
        __real_helper_rdmsr(env);
        return;
    }
    EndBlockHere(env, GETPC());
    if (msr == MsrReferenceCounter) { // often read, and needs no lock
        uint64_t time = HvReferenceTime();
        env->regs[R_EAX] = (uint32_t)time;
        env->regs[R_EDX] = time >> 32;
    } else if (!AccessMsr(env, msr, false)) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, GETPC());
    }
}

void __wrap_helper_wrmsr(CPUX86State *env)
{
    uint32_t msr = env->regs[R_ECX];

    if (!IsSynthetic(msr)) {
        __real_helper_wrmsr(env);
        return;
    }
    EndBlockHere(env, GETPC());
    if (!AccessMsr(env, msr, true))
        raise_exception_err_ra(env, EXCP0D_GPF, 0, GETPC());
}

// An interrupt of a SINT with AutoEOI leaves no in-service bit behind.
int __wrap_apic_get_interrupt(DeviceState *device)
{
    const uint64_t masked = 1u << 16, autoEoi = 1u << 17;
    int vector = __real_apic_get_interrupt(device);
    APICCommonState *apic;
    HvProcessor *processor;

    if (!Host || vector < 16)
        return vector;
    apic = APIC_COMMON(device);
    processor = &Host->processor[CPU(apic->cpu)->cpu_index];
    for (int i = 0; i < HvSintCount; i++) {
        if ((processor->sint[i] & (masked | autoEoi | 0xFF)) == (autoEoi | vector)) {
            apic->isr[vector >> 5] &= ~(1u << (vector & 31));
            apic_poll_irq(device);
            SynicScan(processor);
            break;
        }
    }
    return vector;
}

// --------------------------------------------------------------------------------------- device

static void ReportAtExit(Notifier *notifier, void *data)
{
    char *list = StrictList();

    HvPrint("%" PRIu64 " violations%s%s; %" PRIu64 " legacy accesses", Host->violations,
            list[0] ? ": " : "", list, Host->legacyAccesses);
    g_free(list);
}

static void Reset(void *opaque)
{
    HvHost *host = opaque;

    host->guestId = host->hypercall = host->referenceTscPage = host->tscInvariantControl = 0;
    memset(host->crash, 0, sizeof(host->crash));
    HvLegacyHide(host, false);
    HvOverlaySet(&host->hypercallPage, 0);
    HvOverlaySet(&host->tscPage, 0);
    SynicReset(host);
    VmbusReset(host->bus);
}

static void Realize(DeviceState *device, Error **errp)
{
    static Notifier exitNotifier = {.notify = ReportAtExit};
    HvHost *host = HV_HOST(device);
    MachineState *machine = MACHINE(qdev_get_machine());

    if (Host || machine->smp.cpus > HvProcessorsMax) {
        error_setg(errp, Host ? "there can be only one hvhost" : "too many processors");
        return;
    }
    if (host->logName) {
        host->log = fopen(host->logName, "w");
        if (!host->log) {
            error_setg_file_open(errp, errno, host->logName);
            return;
        }
    }
    Host = host;
    host->processors = machine->smp.cpus;
    memory_region_init_io(&host->hypercallPort, OBJECT(host), &HypercallPortOps, host,
                          "hv-hypercall", 1);
    memory_region_add_subregion_overlap(get_system_io(), HypercallPort, &host->hypercallPort, 1);
    HvLegacyInit(host);
    HvOverlayInit(&host->hypercallPage, OBJECT(host), "hv-hypercall-page", true);
    FillHypercallPage(HvOverlayContent(&host->hypercallPage));
    HvOverlayInit(&host->tscPage, OBJECT(host), "hv-tsc-page", true);
    SynicInit(host);
    host->bus = VMBUS_BUS(qbus_new(TYPE_VMBUS_BUS, device, "vmbus"));
    qbus_set_hotplug_handler(BUS(host->bus), OBJECT(host));
    VmbusAddHostile(OBJECT(host), &host->bus->liar);
    qemu_register_reset(Reset, host);
    qemu_add_exit_notifier(&exitNotifier);
}

static char *GetViolationList(Object *object, Error **errp)
{
    return StrictList();
}

static void GetSequence(Object *object, Visitor *visitor, const char *name, void *opaque,
                        Error **errp)
{
    visit_type_uint32(visitor, name, &HV_HOST(object)->tscSequence, errp);
}

static void SetSequence(Object *object, Visitor *visitor, const char *name, void *opaque,
                        Error **errp)
{
    HvHost *host = HV_HOST(object);

    if (visit_type_uint32(visitor, name, &host->tscSequence, errp) && Host)
        HvRefreshTscPage(host);
}

static void InitInstance(Object *object)
{
    HvHost *host = HV_HOST(object);

    host->tscSequence = 1;
    object_property_add_uint64_ptr(object, "violations", &host->violations, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "legacy-accesses", &host->legacyAccesses,
                                   OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "hypercalls", &host->hypercalls, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "signals", &host->signals, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "lists", &host->lists, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "posts", &host->posts, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "msr-writes", &host->msrWrites, OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(object, "eois", &host->eois, OBJ_PROP_FLAG_READ);
    object_property_add_str(object, "violation-list", GetViolationList, NULL);
    object_property_add(object, "tsc-sequence", "uint32", GetSequence, SetSequence, NULL, NULL);
}

static Property Properties[] = {
    DEFINE_PROP_STRING("log", HvHost, logName),
    DEFINE_PROP_BOOL("trace", HvHost, trace, false),
    DEFINE_PROP_BOOL("legacy-vanishes", HvHost, legacyVanishes, true),
    DEFINE_PROP_BOOL("stimers", HvHost, stimers, true),
    DEFINE_PROP_BOOL("direct-stimers", HvHost, directStimers, true),
    DEFINE_PROP_BOOL("reference-tsc", HvHost, referenceTsc, true),
    DEFINE_PROP_BOOL("frequencies", HvHost, frequencies, true),
    DEFINE_PROP_BOOL("tsc-invariant", HvHost, tscInvariant, false),
    DEFINE_PROP_BOOL("apic-msrs", HvHost, apicMsrs, true),
    DEFINE_PROP_BOOL("reset-msr", HvHost, resetMsr, true),
    DEFINE_PROP_BOOL("crash-msrs", HvHost, crashMsrs, true),
    DEFINE_PROP_BOOL("ipi-hypercall", HvHost, ipiHypercall, true),
    DEFINE_PROP_BOOL("flush-hypercall", HvHost, flushHypercall, false),
    DEFINE_PROP_BOOL("auto-eoi", HvHost, autoEoi, false),
    DEFINE_PROP_UINT32("max-version", HvHost, maxVersion, 5 << 16 | 3),
    DEFINE_PROP_BOOL("old-contact", HvHost, oldContact, false),
    DEFINE_PROP_UINT32("message-id", HvHost, messageId, 1),
    DEFINE_PROP_UINT32("shuffle", HvHost, shuffle, 0),
    DEFINE_PROP_UINT32("unknown", HvHost, unknown, 3),
    DEFINE_PROP_UINT32("busy", HvHost, busy, 0),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitClass(ObjectClass *class, void *data)
{
    DeviceClass *device = DEVICE_CLASS(class);
    HotplugHandlerClass *hotplug = HOTPLUG_HANDLER_CLASS(class);

    device->realize = Realize;
    device->hotpluggable = false;
    device_class_set_props(device, Properties);
    hotplug->unplug = VmbusUnplug;
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_HOST,
        .parent = TYPE_ISA_DEVICE,
        .instance_size = sizeof(HvHost),
        .instance_init = InitInstance,
        .class_init = InitClass,
        .interfaces = (InterfaceInfo[]){{TYPE_HOTPLUG_HANDLER}, {}},
    },
};

DEFINE_TYPES(Types)
