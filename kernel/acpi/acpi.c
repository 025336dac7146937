// acpi.c - ACPI on top of ACPICA: start, power button, power-off.
//
// Loading the namespace and running the devices' initialisation methods takes tens of millions of
// instructions and nothing of it is needed to reach the desktop: interrupts, the clock and PCI find
// their tables by themselves (HalFindAcpiTable). So a system thread does it a moment after
// start-up, or at once when the machine is to be switched off before that. If the firmware's tables
// are broken, a line in the log says so and the system runs on without a power button; power-off
// then goes through the firmware's runtime services.
//
// Every wait is bounded: ACPICA bounds its own polling and the methods' loops, AcpiPowerOff bounds
// its wait for the start.
// SPDX-License-Identifier: MIT
#include "acpii.h"

#define START_DELAY                                                                                \
    1000000000ull // ns after start-up; a program that starts needs the processor first
#define START_TIMEOUT  5000000000ull // ns for the start, once it is in a hurry
#define OFF_TIMEOUT    3000000000ull // ns for the hardware to react
#define NOTIFY_PRESSED 0x80u         // ACPI 6.4, table 5.160: power button pressed

PhysicalAddress AcpiiRootPointer;

static KEvent hurry, started; // manual reset
static volatile bool usable;  // the namespace is loaded and events are on
static void (*powerButton)(void);

void AcpiRegisterPowerButton(void (*pressed)(void))
{
    powerButton = pressed;
}

static void ReportButton(void *context)
{
    KeLog(LogInfo, "acpi: power button");
    if (powerButton)
        powerButton();
}

static u32 HandleFixedButton(void *context)
{
    acpi_status status = acpi_os_execute(OSL_NOTIFY_HANDLER, ReportButton, nullptr);
    return ACPI_SUCCESS(status) ? ACPI_INTERRUPT_HANDLED : ACPI_INTERRUPT_NOT_HANDLED;
}

static void HandleButtonDevice(acpi_handle device, u32 value, void *context)
{
    if (value == NOTIFY_PRESSED)
        ReportButton(nullptr);
}

static acpi_status AttachButtonDevice(acpi_handle device, u32 level, void *context, void **result)
{
    if (ACPI_SUCCESS(
            acpi_install_notify_handler(device, ACPI_DEVICE_NOTIFY, HandleButtonDevice, nullptr)))
        KeLog(LogDebug, "acpi: power button device");
    return AE_OK;
}

// The power button is a fixed feature or a device (ACPI 6.4, 4.8.2.2).
static void AttachButtons(void)
{
    if (!acpi_gbl_reduced_hardware && !(acpi_gbl_FADT.flags & ACPI_FADT_POWER_BUTTON)) {
        acpi_status status =
            acpi_install_fixed_event_handler(ACPI_EVENT_POWER_BUTTON, HandleFixedButton, nullptr);
        if (ACPI_FAILURE(status))
            KeLog(LogWarning, "acpi: no power button: %s", acpi_format_exception(status));
    }
    (void)acpi_get_devices("PNP0C0C", AttachButtonDevice, nullptr, nullptr);
}

// Tells the firmware that interrupts go through the I/O APIC (ACPI 6.4, 5.8.1). The method is
// optional.
static void SelectInterruptModel(void)
{
    union acpi_object argument = {.integer = {.type = ACPI_TYPE_INTEGER, .value = 1}};
    struct acpi_object_list arguments = {.count = 1, .pointer = &argument};
    (void)acpi_evaluate_object(nullptr, "\\_PIC", &arguments, nullptr);
}

static acpi_status RunSteps(const char *volatile *step)
{
    *step = "cannot start";
    acpi_status status = acpi_initialize_subsystem();
    if (ACPI_SUCCESS(status)) {
        *step = "no usable tables";
        status = acpi_initialize_tables(nullptr, 0, TRUE);
    }
    if (ACPI_SUCCESS(status)) {
        *step = "the namespace does not load";
        status = acpi_load_tables();
    }
    if (ACPI_SUCCESS(status)) {
        *step = "events cannot be enabled";
        status = acpi_enable_subsystem(ACPI_FULL_INITIALIZATION);
    }
    if (ACPI_SUCCESS(status)) {
        SelectInterruptModel();
        *step = "devices cannot be initialised";
        status = acpi_initialize_objects(ACPI_FULL_INITIALIZATION);
    }
    return status;
}

// Broken tables can make the interpreter itself fault. The start then ends here, and ACPICA is not
// entered again.
static void *beforeStart[5]; // what __builtin_setjmp keeps
static void AbandonStart(void)
{
    __builtin_longjmp(beforeStart, 1);
}

static void StartGuarded(void)
{
    static const char *volatile step; // outlives the jump
    if (__builtin_setjmp(beforeStart)) {
        KeLog(LogError,
              "acpi: %s: the firmware's tables crash the interpreter; the system runs without",
              step);
        return;
    }
    KeSetFaultResume(AbandonStart);
    uint64_t time = KeQueryTime();
    acpi_status status = RunSteps(&step);
    if (ACPI_SUCCESS(status)) {
        AttachButtons();
        (void)acpi_update_all_gpes();
    }
    KeSetFaultResume(nullptr);
    usable = ACPI_SUCCESS(status);
    if (usable)
        KeLog(LogInfo, "acpi: running, in %llu us",
              (unsigned long long)(KeQueryTime() - time) / 1000);
    else
        KeLog(LogWarning, "acpi: %s: %s; the system runs without", step,
              acpi_format_exception(status));
}

static void Start(void *context)
{
    (void)KeWaitForObject(&hurry, KernelWait, START_DELAY);
    StartGuarded();
    KeSetEvent(&started);
}

Status AcpiStart(const LoaderParams *loader)
{
    KeInitializeEvent(&hurry, true, false);
    KeInitializeEvent(&started, true, false);
    AcpiiRootPointer = loader->AcpiRsdp;
    Status status = StatusNotFound;
    if (loader->AcpiRsdp)
        status = PsCreateSystemThread("acpi", KePriorityNormal, Start, nullptr);
    if (status != StatusSuccess)
        KeSetEvent(&started);
    return status;
}

// ---- what devices describe

typedef struct MemorySearch {
    void (*Found)(void *context, uint64_t start, uint64_t end);
    void *Context;
    bool Any, Device;
} MemorySearch;

static acpi_status TakeResource(struct acpi_resource *resource, void *context)
{
    MemorySearch *search = context;
    struct acpi_resource_address64 range;
    if (ACPI_SUCCESS(acpi_resource_to_address64(resource, &range)) &&
        range.resource_type == ACPI_MEMORY_RANGE && range.address.address_length != 0 &&
        range.address.minimum <= UINT64_MAX - range.address.address_length) {
        search->Found(search->Context, range.address.minimum,
                      range.address.minimum + range.address.address_length);
        search->Any = true;
    }
    return AE_OK;
}

static acpi_status SearchUpwards(acpi_handle device, u32 level, void *context, void **result)
{
    MemorySearch *search = context;
    search->Device = true;
    for (u32 i = 0; i <= level && !search->Any; i++) {
        (void)acpi_walk_resources(device, METHOD_NAME__CRS, TakeResource, search);
        if (ACPI_FAILURE(acpi_get_parent(device, &device)))
            break;
    }
    return AE_CTRL_TERMINATE;
}

Status AcpiFindMemory(const char *id, void (*found)(void *context, uint64_t start, uint64_t end),
                      void *context)
{
    MemorySearch search = {.Found = found, .Context = context};
    KeSetEvent(&hurry);
    if (KeWaitForObject(&started, KernelWait, START_TIMEOUT) != StatusSuccess || !usable)
        return StatusDeviceNotReady;
    (void)acpi_get_devices(id, SearchUpwards, &search, nullptr);
    return search.Device ? StatusSuccess : StatusNotFound;
}

static void EnterSoftOff(void)
{
    acpi_status status = acpi_enter_sleep_state_prep(ACPI_STATE_S5);
    if (ACPI_SUCCESS(status)) {
        HalDisableInterrupts();
        status = acpi_enter_sleep_state(ACPI_STATE_S5);
        uint64_t deadline = HalQueryNanoseconds() + OFF_TIMEOUT;
        while (ACPI_SUCCESS(status) && HalQueryNanoseconds() < deadline)
            HalPause();
        HalEnableInterrupts();
    }
    KeLog(LogWarning, "acpi: the machine does not switch off: %s", acpi_format_exception(status));
}

void AcpiPowerOff(void)
{
    KeSetEvent(&hurry);
    if (KeWaitForObject(&started, KernelWait, START_TIMEOUT) == StatusSuccess && usable)
        EnterSoftOff();
    HalPowerOff();
}
