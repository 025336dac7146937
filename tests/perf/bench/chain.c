// chain.c - the BOOTX64.EFI of Linux's disk: marks the loader's entry as MetalOS' own loader does,
// then has the firmware load and start \linux, which reads its initial file system, \initrd,
// itself.
// SPDX-License-Identifier: MIT
#include <efi.h>

#include "mark.h"

static CHAR16 kernelPath[] = L"\\linux";
static CHAR16 options[] = L"initrd=\\initrd rootfstype=ramfs console=ttyS0 quiet";

typedef struct FilePath { // UEFI specification 10.3.5.4
    EFI_DEVICE_PATH Header;
    CHAR16 Name[sizeof kernelPath / sizeof(CHAR16)];
    EFI_DEVICE_PATH End;
} FilePath;

static UINTN NodeLength(const EFI_DEVICE_PATH *node)
{
    return node->Length[0] | (UINTN)node->Length[1] << 8;
}

// The device's path followed by that of the kernel's file, in the caller's room.
static void AppendFile(const EFI_DEVICE_PATH *device, UINT8 *to)
{
    const UINT8 *from = (const UINT8 *)device;
    while (device->Type != END_DEVICE_PATH_TYPE) {
        for (UINTN i = NodeLength(device); i > 0; i--)
            *to++ = *from++;
        device = (const EFI_DEVICE_PATH *)from;
    }
    FilePath *file = (FilePath *)to;
    file->Header = (EFI_DEVICE_PATH){
        MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {sizeof file->Header + sizeof file->Name, 0}};
    for (UINTN i = 0; i < sizeof file->Name / sizeof(CHAR16); i++)
        file->Name[i] = kernelPath[i];
    file->End = (EFI_DEVICE_PATH){
        END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof file->End, 0}};
}

EFI_STATUS EFIAPI EfiMain(EFI_HANDLE self, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI EfiMain(EFI_HANDLE self, EFI_SYSTEM_TABLE *system)
{
    RTL_MARK(MarkLoaderEntry);
    static UINT8 path[1024];
    EFI_GUID loadedImage = LOADED_IMAGE_PROTOCOL, devicePath = DEVICE_PATH_PROTOCOL;
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_LOADED_IMAGE *image;
    EFI_DEVICE_PATH *device;
    EFI_HANDLE kernel;
    EFI_STATUS status = services->HandleProtocol(self, &loadedImage, (void **)&image);
    if (!EFI_ERROR(status))
        status = services->HandleProtocol(image->DeviceHandle, &devicePath, (void **)&device);
    if (EFI_ERROR(status))
        return status;
    AppendFile(device, path);
    status = services->LoadImage(FALSE, self, (EFI_DEVICE_PATH *)path, NULL, 0, &kernel);
    if (!EFI_ERROR(status))
        status = services->HandleProtocol(kernel, &loadedImage, (void **)&image);
    if (EFI_ERROR(status))
        return status;
    image->LoadOptions = options;
    image->LoadOptionsSize = sizeof options;
    return services->StartImage(kernel, NULL, NULL);
}
