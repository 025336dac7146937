// image.c - moskrnl.exe in memory: checked, laid out, moved to its random base, its stack cookie
// set.
// SPDX-License-Identifier: MIT
#include "boot.h"

enum { SubsystemNative = 1 };

// What is wrong with bytes that PeOpen refused.
static const char *DescribeBadImage(const BootFile *file)
{
    PeImage image;
    if (file->Size == 0)
        return "is empty";
    if (file->Size < 2 || file->Data[0] != 'M' || file->Data[1] != 'Z')
        return "is not a program image";
    Status status = PeOpenHeaders(&image, file->Data, file->Size, UINT64_MAX);
    if (status == StatusSuccess || status == StatusBufferTooSmall || file->Size < BOOT_PAGE_SIZE)
        return "is truncated";
    return "is damaged, or not an image for x86-64";
}

static uint64_t ChooseBase(uint64_t imageSize, bool slide)
{
    uint64_t choices = (KERNEL_IMAGE_MAX_SLIDE - imageSize) / BOOT_LARGE_PAGE_SIZE, random;
    if (!slide)
        return KERNEL_IMAGE_BASE;
    BootGetEntropy(&random, sizeof random);
    return KERNEL_IMAGE_BASE + random % choices * BOOT_LARGE_PAGE_SIZE;
}

bool BootLoadKernel(const BootFile *file, bool slide, BootKernel *kernel)
{
    PeImage image;
    if (PeOpen(&image, file->Data, file->Size, PeLayoutFile) != StatusSuccess)
        return BootFail("%s %s (%llu bytes).", file->Path, DescribeBadImage(file), file->Size);
    if (image.Base != KERNEL_IMAGE_BASE || image.Subsystem != SubsystemNative ||
        image.EntryPoint == 0 || image.RelocationsStripped)
        return BootFail("%s is a program, but not a MetalOS kernel.", file->Path);

    kernel->Pages = image.SizeOfImage / BOOT_PAGE_SIZE;
    kernel->Memory = BootAllocate(kernel->Pages, BOOT_PAGE_SIZE);
    if (kernel->Memory == nullptr)
        return BootFail("there is no memory for %s (%u bytes).", file->Path, image.SizeOfImage);
    uint64_t base = ChooseBase(image.SizeOfImage, slide);
    uint32_t cookie;
    if (PeLayOut(&image, kernel->Memory, image.SizeOfImage) != StatusSuccess ||
        PeOpen(&kernel->Image, kernel->Memory, image.SizeOfImage, PeLayoutMapped) !=
            StatusSuccess ||
        PeRelocate(&kernel->Image, base) != StatusSuccess)
        return BootFail("%s has damaged relocations.", file->Path);
    switch (PeGetSecurityCookie(&kernel->Image, &cookie)) {
    case StatusSuccess:
        BootGetEntropy(kernel->Memory + cookie, sizeof(uint64_t));
        break;
    case StatusNotFound:
        break;
    default:
        return BootFail("%s has a damaged load configuration.", file->Path);
    }
    BootLog("%s at %016llx, physical %llx, %u KiB", file->Path, base, (uint64_t)kernel->Memory,
            image.SizeOfImage / 1024);
    return true;
}
