// display.c - the screen: which output, which mode.
//
// Only linear 32-bit modes are of use, blue or red in the low byte. Wanted, in this order: the mode
// that option `resolution` names; 1280x800; the mode the firmware chose, if it is at least 800x600
// (a real panel's own size, usually); the largest mode up to 1920x1200; any.
// SPDX-License-Identifier: MIT
#include "boot.h"

typedef EFI_GRAPHICS_OUTPUT_PROTOCOL Gop;
typedef EFI_GRAPHICS_OUTPUT_MODE_INFORMATION GopMode;

enum {
    DefaultWidth = 1280,
    DefaultHeight = 800,
    SmallestWidth = 800,
    SmallestHeight = 600,
    LargestWidth = 1920,
    LargestHeight = 1200,
    ExtentLimit = 16384, // pixels a side; beyond it a mode description is nonsense
};

static bool IsUsable(const GopMode *mode, LoaderPixelFormat *format)
{
    if (mode->HorizontalResolution == 0 || mode->HorizontalResolution > ExtentLimit ||
        mode->VerticalResolution == 0 || mode->VerticalResolution > ExtentLimit ||
        mode->PixelsPerScanLine < mode->HorizontalResolution ||
        mode->PixelsPerScanLine > 2 * ExtentLimit)
        return false;
    const EFI_PIXEL_BITMASK *mask = &mode->PixelInformation;
    bool masks = mode->PixelFormat == PixelBitMask && mask->GreenMask == 0x00FF00;
    if (mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor ||
        (masks && mask->BlueMask == 0x0000FF && mask->RedMask == 0xFF0000))
        *format = LoaderPixelBgrx;
    else if (mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor ||
             (masks && mask->RedMask == 0x0000FF && mask->BlueMask == 0xFF0000))
        *format = LoaderPixelRgbx;
    else
        return false;
    return true;
}

// The output the firmware's console is on, else any.
static Gop *FindOutput(void)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    Gop *gop;
    if (!EFI_ERROR(
            BootServices->HandleProtocol(BootSystem->ConsoleOutHandle, &guid, (void **)&gop)) ||
        !EFI_ERROR(BootServices->LocateProtocol(&guid, nullptr, (void **)&gop)))
        return gop->Mode != nullptr ? gop : nullptr;
    return nullptr;
}

// How much a mode is wanted; 0: not at all.
static uint64_t RateMode(const GopMode *mode, bool current, uint32_t width, uint32_t height)
{
    constexpr uint64_t tier = 1ull << 40; // above every area
    LoaderPixelFormat format;
    uint32_t x = mode->HorizontalResolution, y = mode->VerticalResolution;
    uint64_t area = (uint64_t)x * y;
    if (!IsUsable(mode, &format))
        return 0;
    if (x == width && y == height)
        return 5 * tier;
    if (x == DefaultWidth && y == DefaultHeight)
        return 4 * tier;
    if (current && x >= SmallestWidth && y >= SmallestHeight)
        return 3 * tier;
    if (x <= LargestWidth && y <= LargestHeight)
        return 2 * tier + area;
    return tier - area;
}

static void ChooseMode(Gop *gop, uint32_t width, uint32_t height)
{
    uint64_t best = 0;
    uint32_t choice = gop->Mode->Mode;
    for (uint32_t i = 0; i < gop->Mode->MaxMode && i < 1024; i++) {
        GopMode *mode;
        UINTN size;
        if (EFI_ERROR(gop->QueryMode(gop, i, &size, &mode)))
            continue;
        uint64_t rating =
            size >= sizeof *mode ? RateMode(mode, i == gop->Mode->Mode, width, height) : 0;
        BootServices->FreePool(mode);
        if (rating > best) {
            best = rating;
            choice = i;
        }
    }
    // Setting a mode costs tens of millions of instructions in some firmware, even the current one.
    if (best != 0 && choice != gop->Mode->Mode && EFI_ERROR(gop->SetMode(gop, choice)))
        BootNote("the firmware did not set graphics mode %u.", choice);
}

void BootSetDisplay(const char *options, LoaderDisplay *display)
{
    char text[32];
    uint32_t width = 0, height = 0;
    bool wanted = RtlFindOption(options, "resolution", 0, text, sizeof text);
    if (wanted && !RtlParseSize(text, &width, &height))
        BootNote("/metalos.cfg: resolution = %s is not of the form 1280x800.", text);
    Gop *gop = FindOutput();
    if (gop == nullptr) {
        BootLog("no graphics output");
        return;
    }
    ChooseMode(gop, width, height);
    const GopMode *mode = gop->Mode->Info;
    LoaderPixelFormat format;
    uint64_t size = (uint64_t)mode->PixelsPerScanLine * mode->VerticalResolution * 4;
    if (!IsUsable(mode, &format) || gop->Mode->FrameBufferBase == 0 ||
        gop->Mode->FrameBufferSize < size) {
        BootLog("no linear 32-bit graphics mode");
        return;
    }
    if (width != 0 && (mode->HorizontalResolution != width || mode->VerticalResolution != height))
        BootLog("the display has no %ux%u mode", width, height);
    *display = (LoaderDisplay){
        .Physical = gop->Mode->FrameBufferBase,
        .Size = gop->Mode->FrameBufferSize,
        .Width = mode->HorizontalResolution,
        .Height = mode->VerticalResolution,
        .Stride = mode->PixelsPerScanLine,
        .Format = format,
    };
    BootLog("display %ux%u, stride %u, %s at %llx", display->Width, display->Height,
            display->Stride, format == LoaderPixelBgrx ? "BGRX" : "RGBX", display->Physical);
}
