// device.c - the device list and how drivers come to their devices.
//
// A bus (PCI, and a fixed list for ISA) creates an IoDevice per function found and offers it to
// each driver of the table for that bus, in the table's order. The first Probe that does not say
// StatusNotSupported decides. A bus whose devices come and go is itself a driver, of a root device.
// SPDX-License-Identifier: MIT
#include "hal_hyperv.h"
#include "iop.h"

#define TAG_DEVICE MM_TAG('I', 'o', 'D', 'v')

static ListEntry Devices = {&Devices, &Devices}; // guarded by DevicesMutex
static KMutex DevicesMutex;

IoDevice *IopCreateDevice(IoBus bus)
{
    IoDevice *device = MmAllocateHeap(sizeof(IoDevice), TAG_DEVICE);
    if (device)
        device->Bus = bus;
    return device;
}

void IopOfferDevice(IoDevice *device)
{
    KeAcquireMutex(&DevicesMutex);
    RtlInsertTail(&Devices, &device->Link);
    KeReleaseMutex(&DevicesMutex);
    for (const IoDriver *const *entry = IoDriverTable; *entry; entry++) {
        const IoDriver *driver = *entry;
        if (driver->Bus != device->Bus)
            continue;
        Status status = driver->Probe(device);
        if (status == StatusNotSupported)
            continue;
        if (status == StatusSuccess) {
            device->Driver = driver;
            KeLog(LogInfo, "io: %s: %s", device->Name, driver->Name);
        } else {
            KeLog(LogWarning, "io: %s: %s failed, status %u", device->Name, driver->Name,
                  (unsigned)status);
        }
        return;
    }
}

IoDevice *IoAddDevice(IoBus bus, const char *name, void *busData)
{
    IoDevice *device = IopCreateDevice(bus);
    if (!device)
        return nullptr;
    RtlCopyString(device->Name, sizeof(device->Name), name);
    device->BusData = busData;
    IopOfferDevice(device);
    return device;
}

void IoRemoveDevice(IoDevice *device)
{
    KeAcquireMutex(&DevicesMutex);
    RtlRemoveEntry(&device->Link);
    KeReleaseMutex(&DevicesMutex);
    KeLog(LogInfo, "io: %s: removed", device->Name);
    if (device->Driver && device->Driver->Remove)
        device->Driver->Remove(device);
    MmFreeHeap(device);
}

// What every PC may have without a bus that could say so: offered once, drivers look for
// themselves.
static void OfferIsaDevices(void)
{
    static const char *const names[] = {"isa i8042"};
    for (size_t i = 0; i < RTL_COUNT_OF(names); i++) {
        IoDevice *device = IopCreateDevice(IoBusIsa);
        if (!device)
            return;
        RtlCopyString(device->Name, sizeof(device->Name), names[i]);
        IopOfferDevice(device);
    }
}

static void TellCounters(KCounterSink *sink)
{
    IopTellBlockCounters(sink);
    IopTellCacheCounters(sink);
    IopTellNetworkCounters(sink);
}

void IoInitialize(const LoaderParams *loader)
{
    static KCounterSource counters = {.Subsystem = "io", .Tell = TellCounters};
    KeRegisterCounters(&counters);
    KeInitializeMutex(&DevicesMutex, LockRankDevice);
    IopInitializeInput();
    IopInitializeCache();
    IopScanPci();
    if (HalHasLegacyDevices())
        OfferIsaDevices();
    if (HalHasSynic())
        (void)IoAddDevice(IoBusRoot, "hyper-v", nullptr);
}

static void (*PowerRequest)(bool restart);

void IoRegisterPowerRequest(void (*request)(bool restart))
{
    PowerRequest = request;
}

void IoRequestPower(bool restart)
{
    if (PowerRequest)
        PowerRequest(restart);
}

void IoShutdown(void)
{
    for (size_t i = 0;; i++) {
        IoBlockDevice *disk = IoFindBlockDevice(i);
        if (!disk)
            break;
        IoVolume whole = {.Device = disk, .SectorCount = disk->SectorCount};
        Status status = IoCacheFlush(&whole);
        if (status != StatusSuccess)
            KeLog(LogError, "io: %s: flush at shutdown failed, status %u", disk->Name,
                  (unsigned)status);
        IoDereferenceBlockDevice(disk);
    }
    // A bus came before its devices and goes after them.
    KeAcquireMutex(&DevicesMutex);
    for (ListEntry *entry = Devices.Previous; entry != &Devices; entry = entry->Previous) {
        IoDevice *device = RTL_CONTAINER_OF(entry, IoDevice, Link);
        if (device->Driver && device->Driver->Shutdown)
            device->Driver->Shutdown(device);
    }
    KeReleaseMutex(&DevicesMutex);
}

void IoForEachDevice(void (*visit)(const IoDevice *device, void *context), void *context)
{
    KeAcquireMutex(&DevicesMutex);
    RTL_FOR_EACH (entry, &Devices)
        visit(RTL_CONTAINER_OF(entry, IoDevice, Link), context);
    KeReleaseMutex(&DevicesMutex);
}
