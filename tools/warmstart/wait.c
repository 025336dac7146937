// wait.c - where a machine waits whose state is kept: behind the firmware, before any loader.
//
// A test is not interested in the seconds that firmware takes to start. So this program is booted
// once, in place of a loader, and waits; the runner (tools/metalos/warmstart.py) saves the machine.
// Each test begins with that machine, its own disk in place of the one that was there, and the
// firmware configuration entry `opt/metalos/go`, on which this program lets the firmware forget
// what it knows of the disk, look at it again, and start the loader on it, as it would have.
// SPDX-License-Identifier: MIT
#include "../../boot/cpu.h"
#include "rtl/rtl.h"

#include <efi.h>
#include <efipciio.h>

enum : uint16_t { ConfigurationSelect = 0x510, ConfigurationData = 0x511, Com1 = 0x3F8 };
enum : uint16_t { ConfigurationDirectory = 0x19 }; // of QEMU's fw_cfg device
enum { NameBytes = 56, MaximumEntries = 256, WaitMicroseconds = 1000 };

static const CHAR16 loaderPath[] = u"\\EFI\\BOOT\\BOOTX64.EFI";
static EFI_BOOT_SERVICES *services;

EFI_STATUS EFIAPI EfiMain(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

// ---- QEMU's firmware configuration device (docs/specs/fw_cfg of QEMU): a directory of named
// entries; numbers are big-endian.

static uint32_t ReadBigEndian(int bytes)
{
    uint32_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | CpuIn8(ConfigurationData);
    return value;
}

static void SelectDirectory(void)
{
    __asm__ volatile("outw %w0, %1" : : "a"(ConfigurationDirectory), "Nd"(ConfigurationSelect));
}

// Whether the directory has an entry of that name. The machine may be saved and continued with
// another directory anywhere in here: what is read then is nonsense of bounded length.
static bool HasEntry(const char *name)
{
    SelectDirectory();
    uint32_t count = ReadBigEndian(4);
    bool found = false;
    for (uint32_t i = 0; i < count && i < MaximumEntries; i++) {
        char entry[NameBytes + 1] = {0};
        ReadBigEndian(8); // size, selector, reserved
        for (int at = 0; at < NameBytes; at++)
            entry[at] = (char)CpuIn8(ConfigurationData);
        found |= RtlCompareNoCase(entry, name) == 0;
    }
    return found;
}

// ---- COM1

static void Say(const char *text)
{
    for (; *text != 0; text++)
        CpuOut8(Com1, (uint8_t)*text);
}

// ---- The disk

// The controller that the disk of the partition hangs on: the nearest PCI function in its path.
static EFI_HANDLE FindController(EFI_HANDLE partition)
{
    EFI_GUID pathGuid = EFI_DEVICE_PATH_PROTOCOL_GUID, pciGuid = EFI_PCI_IO_PROTOCOL_GUID;
    EFI_DEVICE_PATH *path;
    EFI_HANDLE controller;
    if (EFI_ERROR(services->HandleProtocol(partition, &pathGuid, (void **)&path)) ||
        EFI_ERROR(services->LocateDevicePath(&pciGuid, &path, &controller)))
        return nullptr;
    return controller;
}

// The bytes of a device path without its end node.
static UINTN MeasurePath(const EFI_DEVICE_PATH *path)
{
    const uint8_t *node = (const uint8_t *)path;
    while ((node[0] & 0x7F) != 0x7F)
        node += node[2] | node[3] << 8;
    return (UINTN)(node - (const uint8_t *)path);
}

// Loads the loader of that volume, if it has one, and runs it.
static EFI_STATUS StartFrom(EFI_HANDLE volume, EFI_HANDLE parent)
{
    static uint8_t whole[1024];
    EFI_GUID pathGuid = EFI_DEVICE_PATH_PROTOCOL_GUID;
    EFI_DEVICE_PATH *path;
    EFI_STATUS status = services->HandleProtocol(volume, &pathGuid, (void **)&path);
    if (EFI_ERROR(status))
        return status;
    UINTN length = MeasurePath(path), node = 4 + sizeof loaderPath;
    if (length + node + 4 > sizeof whole)
        return EFI_BUFFER_TOO_SMALL;
    memcpy(whole, path, length);
    uint8_t *file = whole + length;
    file[0] = 4, file[1] = 4; // media device path, file path (UEFI 10.3.5.4)
    file[2] = (uint8_t)node, file[3] = (uint8_t)(node >> 8);
    memcpy(file + 4, loaderPath, sizeof loaderPath);
    memcpy(file + node, (const uint8_t[]){0x7F, 0xFF, 4, 0}, 4);
    EFI_HANDLE loader;
    status = services->LoadImage(true, parent, (EFI_DEVICE_PATH *)whole, nullptr, 0, &loader);
    return EFI_ERROR(status) ? status : services->StartImage(loader, nullptr, nullptr);
}

static EFI_STATUS StartLoader(EFI_HANDLE image, EFI_HANDLE controller)
{
    EFI_GUID fileSystemGuid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_HANDLE *volumes;
    UINTN count;
    services->DisconnectController(controller, nullptr, nullptr);
    EFI_STATUS status = services->ConnectController(controller, nullptr, nullptr, true);
    if (!EFI_ERROR(status))
        status =
            services->LocateHandleBuffer(ByProtocol, &fileSystemGuid, nullptr, &count, &volumes);
    if (EFI_ERROR(status))
        return status;
    for (UINTN i = 0; i < count; i++)
        status = StartFrom(volumes[i], image);
    return status;
}

EFI_STATUS EFIAPI EfiMain(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    EFI_GUID imageGuid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *loaded;
    services = system->BootServices;
    EFI_HANDLE controller = nullptr;
    if (!EFI_ERROR(services->HandleProtocol(image, &imageGuid, (void **)&loaded)))
        controller = FindController(loaded->DeviceHandle);
    Say(controller != nullptr ? "warm start: waiting\r\n" : "warm start: not on a PCI disk\r\n");
    while (!HasEntry("opt/metalos/go"))
        services->Stall(WaitMicroseconds);
    EFI_STATUS status = StartLoader(image, controller);
    Say("warm start: the loader was not started\r\n");
    return status;
}
