// files.c - files of the volume the loader was started from, and which partition that is.
// SPDX-License-Identifier: MIT
#include "boot.h"

static EFI_HANDLE volumeDevice;
static EFI_FILE_PROTOCOL *root;

bool BootOpenVolume(void)
{
    EFI_GUID loadedImageGuid = LOADED_IMAGE_PROTOCOL, fileSystemGuid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_LOADED_IMAGE *image;
    EFI_FILE_IO_INTERFACE *fileSystem;
    if (EFI_ERROR(
            BootServices->HandleProtocol(BootImageHandle, &loadedImageGuid, (void **)&image)) ||
        image->DeviceHandle == nullptr)
        return BootFail("the firmware does not say which volume the loader came from.");
    volumeDevice = image->DeviceHandle;
    if (EFI_ERROR(
            BootServices->HandleProtocol(volumeDevice, &fileSystemGuid, (void **)&fileSystem)) ||
        EFI_ERROR(fileSystem->OpenVolume(fileSystem, &root)))
        return BootFail("the firmware cannot open the volume the loader came from.");
    return true;
}

static BootFileResult ReadSize(EFI_FILE_PROTOCOL *file, uint64_t *size)
{
    EFI_GUID infoGuid = EFI_FILE_INFO_ID;
    union {
        EFI_FILE_INFO Info;
        uint8_t Bytes[sizeof(EFI_FILE_INFO) + 512]; // and a long name's UTF-16
    } buffer;
    UINTN bytes = sizeof buffer;
    if (EFI_ERROR(file->GetInfo(file, &infoGuid, &bytes, &buffer)))
        return BootFileUnreadable;
    if (buffer.Info.Attribute & EFI_FILE_DIRECTORY)
        return BootFileMissing;
    *size = buffer.Info.FileSize;
    return BootFileRead;
}

static BootFileResult ReadContents(EFI_FILE_PROTOCOL *handle, BootFile *file)
{
    // Some firmware fails on reads of many megabytes at once.
    constexpr uint64_t largestRead = 1 << 20;
    for (uint64_t done = 0; done < file->Size;) {
        UINTN chunk = RTL_MIN(file->Size - done, largestRead);
        if (EFI_ERROR(handle->Read(handle, &chunk, file->Data + done)) || chunk == 0)
            return BootFileUnreadable;
        done += chunk;
    }
    return BootFileRead;
}

BootFileResult BootReadFile(const char *path, uint64_t limit, BootFile *file)
{
    CHAR16 wide[64];
    size_t length = 0;
    for (; path[length] != 0 && length + 1 < RTL_COUNT_OF(wide); length++)
        wide[length] = path[length] == '/' ? '\\' : (CHAR16)path[length];
    wide[length] = 0;
    *file = (BootFile){.Path = path};

    EFI_FILE_PROTOCOL *handle;
    EFI_STATUS status = root->Open(root, &handle, wide, EFI_FILE_MODE_READ, 0);
    if (EFI_ERROR(status))
        return status == EFI_NOT_FOUND ? BootFileMissing : BootFileUnreadable;
    BootFileResult result = ReadSize(handle, &file->Size);
    if (result == BootFileRead && file->Size > limit)
        result = BootFileTooLarge;
    if (result == BootFileRead) {
        file->Pages = file->Size / BOOT_PAGE_SIZE + 1;
        file->Data = BootAllocate(file->Pages, BOOT_PAGE_SIZE);
        result = file->Data != nullptr ? ReadContents(handle, file) : BootFileTooLarge;
    }
    handle->Close(handle);
    if (result != BootFileRead)
        BootFreeFile(file);
    return result;
}

const char *BootDescribeFileResult(BootFileResult result)
{
    switch (result) {
    case BootFileRead:
        return "is readable";
    case BootFileMissing:
        return "does not exist on the boot volume";
    case BootFileUnreadable:
        return "cannot be read to its end";
    case BootFileTooLarge:
        return "is too large";
    }
    return "is not usable";
}

void BootFreeFile(BootFile *file)
{
    BootFree(file->Data, file->Pages);
    file->Data = nullptr;
}

void BootFindPartition(uint8_t guid[16])
{
    enum {
        MediaType = 4,
        HardDriveSubtype = 1,
        EndType = 0x7F,
        HardDriveLength = 42,
        SignatureGuid = 2,
        MaximumNodes = 64
    };
    EFI_GUID pathGuid = EFI_DEVICE_PATH_PROTOCOL_GUID;
    const uint8_t *node;
    memset(guid, 0, 16);
    if (EFI_ERROR(BootServices->HandleProtocol(volumeDevice, &pathGuid, (void **)&node)))
        return;
    for (int i = 0; i < MaximumNodes && (node[0] & 0x7F) != EndType; i++) {
        uint32_t length = node[2] | (uint32_t)node[3] << 8; // UEFI 10.3: type, subtype, length
        if (length < 4)
            return;
        if (node[0] == MediaType && node[1] == HardDriveSubtype && length >= HardDriveLength &&
            node[41] == SignatureGuid)
            memcpy(guid, node + 24, 16);
        node += length;
    }
}
