// hypervisor.c - the hypervisor as a processor sees it: CPUID leaves, the page of the reference
// TSC, and the device that has all of it. TLFS chapters 2 and 12; what OpenVMM promises
// (vm/hv1/hvdef, hv1_emulator). hypercall.c and msr.c have what a guest calls and writes.
//
// Hooked into QEMU by the linker (--wrap): calls of five functions in other translation units come
// here and to msr.c first.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "cpu.h"
#include "exec/address-spaces.h"
#include "hw/boards.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "sysemu/reset.h"
#include "sysemu/sysemu.h"

#include "vmbus.h"

HvHost *Host;

void __real_cpu_x86_cpuid(CPUX86State *env, uint32_t index, uint32_t count, uint32_t *eax,
                          uint32_t *ebx, uint32_t *ecx, uint32_t *edx);
void __wrap_cpu_x86_cpuid(CPUX86State *env, uint32_t index, uint32_t count, uint32_t *eax,
                          uint32_t *ebx, uint32_t *ecx, uint32_t *edx);
uint64_t __real_cpu_get_tsc(CPUX86State *env);
uint64_t __wrap_cpu_get_tsc(CPUX86State *env);

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
    HvLegacyInit(host);
    HvHypercallInit(host);
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
