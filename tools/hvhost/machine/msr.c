// msr.c - the synthetic MSRs, and the local APIC's part of AutoEOI (TLFS chapters 2, 9 and 10).
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"
#include "hw/i386/apic.h"
#include "hw/i386/apic_internal.h"
#include "sysemu/runstate.h"
#include "tcg/helper-tcg.h"

void __real_helper_rdmsr(CPUX86State *env);
void __wrap_helper_rdmsr(CPUX86State *env);
void __real_helper_wrmsr(CPUX86State *env);
void __wrap_helper_wrmsr(CPUX86State *env);
int __real_apic_get_interrupt(DeviceState *device);
int __wrap_apic_get_interrupt(DeviceState *device);

G_NORETURN void cpu_io_recompile(CPUState *cpu, uintptr_t caller); // of accel/tcg/internal.h

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
