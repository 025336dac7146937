// main.c - BOOTX64.EFI: from firmware to moskrnl.exe.
//
// The firmware starts EfiMain with its identity-mapped memory, its console and its file system. The
// loader
//   1. reads /metalos.cfg, /system/moskrnl.exe and /system/moskrnl.pdb from its own volume
//      (files.c);
//   2. lays the kernel out in contiguous memory, moves it to a random base and gives it a random
//      stack cookie (image.c, lib/pe);
//   3. sets a graphics mode (display.c);
//   4. allocates what the kernel will stand on - page tables, page frame database, stack - and maps
//      it all (handover.c, paging.c, runtime.c);
//   5. leaves boot services, tells the runtime services their new addresses, and jumps.
//
// Everything that can fail does so before step 5, with one sentence on the screen and COM1
// (BootFail) and a return to the firmware, which goes on with its next boot option. Memory is
// EfiLoaderData and may lie anywhere, above 4 GiB too; the firmware's tables map all of it, ours
// map RAM in the direct map.
//
// Step 5 is a loop: the page tables follow from the memory map, and the map may change until
// ExitBootServices accepts its key. Tables come from a pool allocated before, so that building them
// calls no firmware and leaves the key valid; when the key is refused, the map is read and the
// tables are built again.
//
// The hand-over contract is abi/LoaderParams.h; docs/boot.md tells the whole story.
// SPDX-License-Identifier: MIT
#include "boot.h"
#include "rtl/mark.h"

EFI_HANDLE BootImageHandle;
EFI_SYSTEM_TABLE *BootSystem;
EFI_BOOT_SERVICES *BootServices;

constexpr uint64_t kernelLimit = 64 << 20, pdbLimit = 256 << 20;
enum : uint64_t { FailurePause = 3000000 }; // microseconds in which the sentence can be read

// The options, as NUL-terminated text; no file is no options.
static bool LoadOptions(LoaderParams *params)
{
    BootFile file;
    BootFileResult result = BootReadFile("/metalos.cfg", LOADER_OPTIONS_SIZE - 1, &file);
    if (result == BootFileMissing) {
        BootNote("there is no /metalos.cfg; starting with default options.");
        return true;
    }
    if (result != BootFileRead)
        return BootFail("/metalos.cfg %s; it may have %u bytes.", BootDescribeFileResult(result),
                        LOADER_OPTIONS_SIZE - 1);
    for (uint64_t i = 0; i < file.Size; i++) {
        uint8_t byte = file.Data[i];
        if (byte == 0x7F || (byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n'))
            return BootFail("/metalos.cfg is not a text file (byte %llu is %02xh).", i, byte);
    }
    memcpy(params->Options, file.Data, file.Size);
    params->OptionsSize = (uint32_t)file.Size;
    BootFreeFile(&file);
    return true;
}

static bool LoadKernel(const char *options, BootKernel *kernel)
{
    static const char path[] = "/system/moskrnl.exe";
    char text[8];
    BootFile file;
    BootFileResult result = BootReadFile(path, kernelLimit, &file);
    if (result != BootFileRead)
        return BootFail("%s %s.", path, BootDescribeFileResult(result));
    bool slide = !RtlFindOption(options, "slide", 0, text, sizeof text) ||
                 RtlCompareNoCase(text, "off") != 0;
    bool loaded = BootLoadKernel(&file, slide, kernel);
    BootFreeFile(&file);
    return loaded;
}

// The kernel's symbols only serve its crash reports: without them the boot goes on.
static void LoadPdb(BootFile *file)
{
    static const char path[] = "/system/moskrnl.pdb", magic[] = "Microsoft C/C++ MSF 7.00\r\n\x1A"
                                                                "DS";
    BootFileResult result = BootReadFile(path, pdbLimit, file);
    if (result != BootFileRead) {
        BootNote("%s %s; crash reports will name no functions.", path,
                 BootDescribeFileResult(result));
        return;
    }
    if (file->Size < sizeof magic || memcmp(file->Data, magic, sizeof magic) != 0) {
        BootNote("%s is not a PDB; crash reports will name no functions.", path);
        BootFreeFile(file);
    }
}

static bool FindLoaderImage(BootRange *range)
{
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *image;
    if (EFI_ERROR(BootServices->HandleProtocol(BootImageHandle, &guid, (void **)&image)))
        return BootFail("the firmware does not say where the loader is.");
    range->Start = RTL_ALIGN_DOWN((uint64_t)image->ImageBase, BOOT_PAGE_SIZE);
    range->End = RTL_ALIGN_UP((uint64_t)image->ImageBase + image->ImageSize, BOOT_PAGE_SIZE);
    return true;
}

static bool Start(uint64_t entryTsc)
{
    static BootState state;
    LoaderParams *params =
        BootAllocate((sizeof *params + BOOT_PAGE_SIZE - 1) / BOOT_PAGE_SIZE, BOOT_PAGE_SIZE);
    if (params == nullptr)
        return BootFail("there is no memory.");
    state.Params = params;
    params->LoaderEntryTsc = entryTsc;
    if (!FindLoaderImage(&state.LoaderImage) || !BootOpenVolume() || !LoadOptions(params) ||
        !LoadKernel(params->Options, &state.Kernel))
        return false;
    LoadPdb(&state.Pdb);
    BootFindPartition(params->BootPartitionGuid);
    params->EntropySource = BootGetEntropy(params->Entropy, sizeof params->Entropy);
    BootSetDisplay(params->Options, &params->Display);
    return BootHandOver(&state);
}

EFI_STATUS EFIAPI EfiMain(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
EFI_STATUS EFIAPI EfiMain(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    RTL_MARK(MarkLoaderEntry);
    uint64_t entryTsc = CpuReadTsc();
    BootImageHandle = image;
    BootSystem = system;
    BootServices = system->BootServices;
    BootInitializeConsole();
    BootLog("MetalOS");
    if (!Start(entryTsc))
        BootServices->Stall(FailurePause);
    return EFI_LOAD_ERROR;
}
