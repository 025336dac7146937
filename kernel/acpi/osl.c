// osl.c - the services ACPICA asks of the operating system (ACPICA programmer reference, "OS
// services layer").
//
// ACPICA calls them from system threads at PassiveLevel, but for the locks, the register accessors
// and acpi_os_execute, which its interrupt handler uses as well, at HighLevel. Those allocate
// nothing: registers in memory are mapped when first touched, which is in a thread, and deferred
// calls come from a fixed pool.
// SPDX-License-Identifier: MIT
#include "acpii.h"

#define TAG_ACPI MM_TAG('A', 'c', 'p', 'i')

acpi_status acpi_os_initialize(void)
{
    return AE_OK;
}
acpi_status acpi_os_terminate(void)
{
    return AE_OK;
}
acpi_physical_address acpi_os_get_root_pointer(void)
{
    return AcpiiRootPointer;
}

// Nothing of the firmware's tables is replaced.
acpi_status acpi_os_predefined_override(const struct acpi_predefined_names *name,
                                        acpi_string *value)
{
    *value = nullptr;
    return AE_OK;
}
acpi_status acpi_os_table_override(struct acpi_table_header *table,
                                   struct acpi_table_header **replacement)
{
    *replacement = nullptr;
    return AE_OK;
}
acpi_status acpi_os_physical_table_override(struct acpi_table_header *table,
                                            acpi_physical_address *address, u32 *length)
{
    *address = 0;
    return AE_OK;
}

// ---- memory
void *acpi_os_allocate(acpi_size size)
{
    return MmAllocateHeap(size, TAG_ACPI);
}
void *acpi_os_allocate_zeroed(acpi_size size)
{
    return MmAllocateHeap(size, TAG_ACPI);
}
void acpi_os_free(void *memory)
{
    MmFreeHeap(memory);
}

void *acpi_os_map_memory(acpi_physical_address where, acpi_size length)
{
    void *mapping;
    return MmMapDevice(where, length, CachingNormal, &mapping) == StatusSuccess ? mapping : nullptr;
}

void acpi_os_unmap_memory(void *address, acpi_size size)
{
    MmUnmapDevice(address, size);
}

acpi_status acpi_os_get_physical_address(void *address, acpi_physical_address *physical)
{
    *physical = MmVirtualToPhysical(address);
    return AE_OK;
}

u8 acpi_os_readable(void *pointer, acpi_size length)
{
    return TRUE;
}
u8 acpi_os_writable(void *pointer, acpi_size length)
{
    return TRUE;
}

// ---- locks for data that the interrupt handler shares
typedef struct AcpiLock {
    volatile uint32_t Held;
} AcpiLock;

acpi_status acpi_os_create_lock(acpi_spinlock *lock)
{
    *lock = MmAllocateHeap(sizeof(AcpiLock), TAG_ACPI);
    return *lock ? AE_OK : AE_NO_MEMORY;
}

void acpi_os_delete_lock(acpi_spinlock lock)
{
    MmFreeHeap(lock);
}

// Outside the ranks: ACPICA takes nothing else meanwhile, and its interrupt may come while any lock
// is held.
acpi_cpu_flags acpi_os_acquire_lock(acpi_spinlock handle)
{
    AcpiLock *lock = handle;
    KIrql old = KeRaiseIrql(HighLevel);
    while (__atomic_exchange_n(&lock->Held, 1, __ATOMIC_ACQUIRE))
        HalPause();
    return old;
}

void acpi_os_release_lock(acpi_spinlock handle, acpi_cpu_flags old)
{
    AcpiLock *lock = handle;
    __atomic_store_n(&lock->Held, 0, __ATOMIC_RELEASE);
    KeLowerIrql((KIrql)old);
}

// ---- semaphores
#define WAIT_FOREVER 0xFFFFu

acpi_status acpi_os_create_semaphore(u32 most, u32 initial, acpi_semaphore *handle)
{
    KSemaphore *semaphore = MmAllocateHeap(sizeof(*semaphore), TAG_ACPI);
    if (!semaphore)
        return AE_NO_MEMORY;
    int32_t limit = most > INT32_MAX ? INT32_MAX : (int32_t)most;
    KeInitializeSemaphore(semaphore, (int32_t)initial, limit);
    *handle = semaphore;
    return AE_OK;
}

acpi_status acpi_os_delete_semaphore(acpi_semaphore handle)
{
    MmFreeHeap(handle);
    return AE_OK;
}

acpi_status acpi_os_wait_semaphore(acpi_semaphore handle, u32 units, u16 timeout)
{
    if (!handle || units != 1)
        return AE_SUPPORT;
    uint64_t time = timeout == WAIT_FOREVER ? KE_INFINITE : timeout * 1000000ull;
    return KeWaitForObject(handle, KernelWait, time) == StatusSuccess ? AE_OK : AE_TIME;
}

acpi_status acpi_os_signal_semaphore(acpi_semaphore handle, u32 units)
{
    return KeReleaseSemaphore(handle, (int32_t)units, nullptr) == StatusSuccess ? AE_OK : AE_LIMIT;
}

// ---- threads and time
acpi_thread_id acpi_os_get_thread_id(void)
{
    return (uint64_t)KeGetCurrentThread();
}
u64 acpi_os_get_timer(void)
{
    return HalQueryNanoseconds() / 100;
}
void acpi_os_stall(u32 microseconds)
{
    HalStallNanoseconds(microseconds * 1000ull);
}

void acpi_os_sleep(u64 milliseconds)
{
    uint64_t bounded = RTL_MIN(milliseconds, 60000);
    (void)KeDelay(KernelWait, bounded * 1000000);
}

// ---- deferred calls
#define CALLS 64

typedef struct DeferredCall {
    volatile bool Taken;
    acpi_osd_exec_callback Function;
    void *Context;
    KDpc Dpc;       // from HighLevel down to where work items may be queued
    KWorkItem Work; // and on to a thread
} DeferredCall;

static DeferredCall calls[CALLS];
static volatile uint32_t pendingCalls;

static void RunCall(void *context)
{
    DeferredCall *call = context;
    acpi_osd_exec_callback function = call->Function;
    void *argument = call->Context;
    __atomic_store_n(&call->Taken, false, __ATOMIC_RELEASE);
    function(argument);
    __atomic_fetch_sub(&pendingCalls, 1, __ATOMIC_RELEASE);
}

static void QueueCall(void *context)
{
    DeferredCall *call = context;
    call->Work = (KWorkItem){.Routine = RunCall, .Context = call};
    KeQueueWorkItem(&call->Work);
}

acpi_status acpi_os_execute(acpi_execute_type type, acpi_osd_exec_callback function, void *context)
{
    for (size_t i = 0; i < CALLS; i++) {
        DeferredCall *call = &calls[i];
        if (__atomic_exchange_n(&call->Taken, true, __ATOMIC_ACQUIRE))
            continue;
        call->Function = function;
        call->Context = context;
        __atomic_fetch_add(&pendingCalls, 1, __ATOMIC_RELAXED);
        KeInitializeDpc(&call->Dpc, QueueCall, call);
        KeQueueDpc(&call->Dpc);
        return AE_OK;
    }
    return AE_NO_MEMORY;
}

// Bounded: a call that hangs must not hang whoever waits.
void acpi_os_wait_events_complete(void)
{
    for (unsigned i = 0; i < 1000 && pendingCalls; i++)
        (void)KeDelay(KernelWait, 1000000);
}

// ---- the system control interrupt
static acpi_osd_handler sciHandler;
static void *sciContext;

static void HandleSci(void *context)
{
    if (sciHandler)
        sciHandler(sciContext);
}

typedef struct MadtOverride { // ACPI 6.4, 5.2.12.5
    uint8_t Type, Length, Bus, Source;
    uint32_t Gsi;
    uint16_t Flags;
} __attribute__((packed)) MadtOverride;

// Where the firmware routes an ISA interrupt; false: no word of it.
static bool FindOverride(uint32_t irq, MadtOverride *override)
{
    size_t length, at = 44; // the first entry, ACPI 6.4, table 5.19
    const uint8_t *madt = HalFindAcpiTable("APIC", 0, &length);
    while (madt && at + 2 <= length && madt[at + 1] >= 2 && at + madt[at + 1] <= length) {
        if (madt[at] == 2 && madt[at + 1] >= sizeof(*override)) {
            memcpy(override, madt + at, sizeof(*override));
            if (override->Source == irq)
                return true;
        }
        at += madt[at + 1];
    }
    return false;
}

acpi_status acpi_os_install_interrupt_handler(u32 interrupt, acpi_osd_handler routine,
                                              void *context)
{
    if (sciHandler)
        return AE_ALREADY_EXISTS;
    MadtOverride override = {.Gsi = interrupt,
                             .Flags = 0x0F}; // ACPI 6.4, 5.2.9: SCI_INT is level, active low
    if (interrupt < 16)
        FindOverride(interrupt, &override);
    bool level = (override.Flags >> 2 & 3) != 1, low = (override.Flags & 3) != 1;
    sciContext = context;
    sciHandler = routine;
    Status status = HalConnectGsi(override.Gsi, level, low, HandleSci, nullptr);
    if (status == StatusSuccess)
        return AE_OK;
    sciHandler = nullptr;
    return AE_NOT_ACQUIRED;
}

acpi_status acpi_os_remove_interrupt_handler(u32 interrupt, acpi_osd_handler routine)
{
    sciHandler = nullptr; // the vector stays and does nothing
    return AE_OK;
}

// ---- registers
acpi_status acpi_os_read_port(acpi_io_address address, u32 *value, u32 width)
{
    uint16_t port = (uint16_t)address;
    *value = width == 8    ? HalReadPort8(port)
             : width == 16 ? HalReadPort16(port)
                           : HalReadPort32(port);
    return width == 8 || width == 16 || width == 32 ? AE_OK : AE_BAD_PARAMETER;
}

acpi_status acpi_os_write_port(acpi_io_address address, u32 value, u32 width)
{
    uint16_t port = (uint16_t)address;
    if (width == 8)
        HalWritePort8(port, (uint8_t)value);
    else if (width == 16)
        HalWritePort16(port, (uint16_t)value);
    else if (width == 32)
        HalWritePort32(port, value);
    else
        return AE_BAD_PARAMETER;
    return AE_OK;
}

// Pages of registers, mapped when first touched and kept: appended to under the lock, read without.
#define REGISTER_PAGES 16
static struct {
    PhysicalAddress Page;
    uint8_t *Mapping;
} registerPages[REGISTER_PAGES];
static volatile size_t registerPageCount;
static KSpinLock registerLock = KE_SPIN_LOCK_INIT(LockRankDevice, "ACPI registers");

static volatile uint8_t *FindRegister(PhysicalAddress address)
{
    for (size_t i = 0; i < registerPageCount; i++)
        if (registerPages[i].Page == address / PAGE_SIZE)
            return registerPages[i].Mapping + address % PAGE_SIZE;
    return nullptr;
}

static volatile uint8_t *MapRegister(PhysicalAddress address, uint32_t bytes)
{
    if (address % PAGE_SIZE + bytes > PAGE_SIZE)
        return nullptr;
    volatile uint8_t *found = FindRegister(address);
    if (found || KeGetCurrentIrql() > DispatchLevel)
        return found;
    void *mapping;
    if (MmMapDevice(RTL_ALIGN_DOWN(address, PAGE_SIZE), PAGE_SIZE, CachingUncached, &mapping) !=
        StatusSuccess)
        return nullptr;
    KIrql old = KeAcquireSpinLock(&registerLock);
    found = FindRegister(address);
    bool added = !found && registerPageCount < REGISTER_PAGES;
    if (added) {
        registerPages[registerPageCount].Page = address / PAGE_SIZE;
        registerPages[registerPageCount].Mapping = mapping;
        __atomic_fetch_add(&registerPageCount, 1, __ATOMIC_RELEASE);
        found = (uint8_t *)mapping + address % PAGE_SIZE;
    }
    KeReleaseSpinLock(&registerLock, old);
    if (!added)
        MmUnmapDevice(mapping, PAGE_SIZE);
    return found;
}

acpi_status acpi_os_read_memory(acpi_physical_address address, u64 *value, u32 width)
{
    volatile uint8_t *at = MapRegister(address, width / 8);
    if (!at)
        return AE_NO_MEMORY;
    switch (width) {
    case 8:
        *value = *at;
        return AE_OK;
    case 16:
        *value = *(volatile uint16_t *)at;
        return AE_OK;
    case 32:
        *value = *(volatile uint32_t *)at;
        return AE_OK;
    case 64:
        *value = *(volatile uint64_t *)at;
        return AE_OK;
    default:
        return AE_BAD_PARAMETER;
    }
}

acpi_status acpi_os_write_memory(acpi_physical_address address, u64 value, u32 width)
{
    volatile uint8_t *at = MapRegister(address, width / 8);
    if (!at)
        return AE_NO_MEMORY;
    switch (width) {
    case 8:
        *at = (uint8_t)value;
        return AE_OK;
    case 16:
        *(volatile uint16_t *)at = (uint16_t)value;
        return AE_OK;
    case 32:
        *(volatile uint32_t *)at = (uint32_t)value;
        return AE_OK;
    case 64:
        *(volatile uint64_t *)at = value;
        return AE_OK;
    default:
        return AE_BAD_PARAMETER;
    }
}

// Segment 0 is all that io knows; other segments are refused.
static bool FindFunction(const struct acpi_pci_id *id, IoDevice *device)
{
    *device = (IoDevice){.Bus = IoBusPci,
                         .PciAddress =
                             (uint32_t)id->bus << 16 | (uint32_t)id->device << 8 | id->function};
    return id->segment == 0 && id->bus < 256 && id->device < 32 && id->function < 8;
}

acpi_status acpi_os_read_pci_configuration(struct acpi_pci_id *id, u32 offset, u64 *value,
                                           u32 width)
{
    IoDevice device;
    if (!FindFunction(id, &device) || (width != 8 && width != 16 && width != 32))
        return AE_BAD_PARAMETER;
    *value = IoPciRead(&device, offset, width / 8);
    return AE_OK;
}

acpi_status acpi_os_write_pci_configuration(struct acpi_pci_id *id, u32 offset, u64 value,
                                            u32 width)
{
    IoDevice device;
    if (!FindFunction(id, &device) || (width != 8 && width != 16 && width != 32))
        return AE_BAD_PARAMETER;
    IoPciWrite(&device, offset, width / 8, (uint32_t)value);
    return AE_OK;
}

// ---- the rest
acpi_status acpi_os_signal(u32 function, void *info)
{
    if (function == ACPI_SIGNAL_FATAL) {
        const struct acpi_signal_fatal_info *fatal = info;
        KeLog(LogError, "acpi: the firmware reports a fatal error: type %x, code %x, argument %x",
              fatal->type, fatal->code, fatal->argument);
    }
    return AE_OK;
}

acpi_status acpi_os_enter_sleep(u8 state, u32 a, u32 b)
{
    return AE_OK;
}

// Output comes in pieces; the log wants lines. Only one ACPICA thread prints at a time in practice;
// two at once would mix their pieces, nothing worse.
void acpi_os_vprintf(const char *format, va_list arguments)
{
    static char line[200];
    static volatile uint32_t length;
    char piece[200];
    RtlFormatV(piece, sizeof(piece), format, arguments);
    for (const char *c = piece; *c; c++) {
        uint32_t at = length;
        if (*c != '\n' && at < sizeof(line) - 1) {
            line[at] = *c;
            length = at + 1;
            continue;
        }
        line[RTL_MIN(at, sizeof(line) - 1)] = 0;
        length = 0;
        bool note = !strncmp(line, ACPI_MSG_INFO, sizeof(ACPI_MSG_INFO) - 1) &&
                    !strstr(line, "error") && !strstr(line, "exception") &&
                    !strstr(line, "warning");
        KeLog(note ? LogDebug : LogWarning, "%s", line);
    }
}

void acpi_os_printf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    acpi_os_vprintf(format, arguments);
    va_end(arguments);
}
