// hypercall.c - the hypercall page and what can be called (TLFS chapters 3 and 11). `vmmcall` and
// `vmcall` are undefined instructions to TCG, so the page executes an `out` instead; I/O helpers
// see the whole register file.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"

#include "vmbus.h"

enum { HypercallPort = 0x8E };

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

void HvHypercallInit(HvHost *host)
{
    memory_region_init_io(&host->hypercallPort, OBJECT(host), &HypercallPortOps, host,
                          "hv-hypercall", 1);
    memory_region_add_subregion_overlap(get_system_io(), HypercallPort, &host->hypercallPort, 1);
    HvOverlayInit(&host->hypercallPage, OBJECT(host), "hv-hypercall-page", true);
    FillHypercallPage(HvOverlayContent(&host->hypercallPage));
}
