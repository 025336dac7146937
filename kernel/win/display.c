// display.c - where the desktop is seen: the frame buffer the firmware left us, until a driver
// attaches a display of its own.
//
// There is one display at a time. A driver's may go away (the desktop lives on unseen), come back,
// and change its size while windows are open. Whatever is painted goes straight into its pixels; a
// display that has to be told what has changed is told by its Update after each composition. All of
// this happens under WiMutex.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum { MinimumWidth = 320, MinimumHeight = 200, MaximumSide = 16384, ScratchPixels = 65536 };

static WinDisplay Firmware;        // its frame buffer
static ScreenMode Wanted;          // fixed at start
static WinPointer Told;            // [m] to Current, if that shows the pointer
static WinDisplay *Current;        // [m] nullptr: none
static uint32_t *WallpaperPixels;  // [w] WiAllocatePixels
static MmSection *WallpaperMemory; // [w]
// Legend: m WiMutex; w the launcher's thread.

static uint32_t *AllocatePixels(size_t count, MmSection **section)
{
    void *mapping;
    if (MmCreateSection(RTL_ALIGN_UP(count * sizeof(uint32_t), PAGE_SIZE), PageSection, section) !=
        StatusSuccess)
        return nullptr;
    if (MmMapSectionInKernel(*section, &mapping) == StatusSuccess)
        return mapping;
    MmDereferenceSection(*section);
    return nullptr;
}

static bool SizeUsable(uint32_t width, uint32_t height, uint32_t stride)
{
    return width >= MinimumWidth && width <= MaximumSide && height >= MinimumHeight &&
           height <= MaximumSide && stride >= width;
}

// What the loader says is checked: every row must lie inside the memory.
static bool FirmwareUsable(const LoaderDisplay *display)
{
    return display->Physical != 0 && SizeUsable(display->Width, display->Height, display->Stride) &&
           (uint64_t)display->Stride * display->Height * sizeof(uint32_t) <= display->Size &&
           (display->Format == LoaderPixelBgrx || display->Format == LoaderPixelRgbx);
}

void WiTakePointer(void)
{
    WiDeskSetPointerPainted(&WiDesktop, Current == nullptr || !Current->ShowsPointer);
    Told = (WinPointer){};
}

// The desktop goes there from now on.
static void Show(WinDisplay *display)
{
    Current = display;
    GfxSurface output = {.Bounds = WiDesktop.Output.Bounds};
    if (display != nullptr)
        output = (GfxSurface){.Pixels = display->Pixels,
                              .Stride = display->Stride,
                              .Bounds = {0, 0, (int32_t)display->Width, (int32_t)display->Height}};
    bool swap = display != nullptr && display->Format == LoaderPixelRgbx;
    if (!WiHaveDisplay) {
        WiDesktop.Output = output;
        WiDesktop.SwapOutput = swap;
        return;
    }
    WiTakePointer();
    bool same = GfxWidth(output.Bounds) == GfxWidth(WiDesktop.Output.Bounds) &&
                GfxHeight(output.Bounds) == GfxHeight(WiDesktop.Output.Bounds);
    WiDeskSetOutput(&WiDesktop, &output, swap);
    if (!same)
        WiRequestWallpaper();
}

Status WinOpenDisplay(const LoaderParams *loader)
{
    const LoaderDisplay *display = &loader->Display;
    KeInitializeMutex(&WiMutex, LockRankWindow);
    MmSection *section;
    WiDesktop.Scratch = AllocatePixels(ScratchPixels, &section);
    if (WiDesktop.Scratch == nullptr)
        return StatusNoMemory;
    WiDesktop.ScratchPixels = ScratchPixels;
    char text[32];
    if (RtlFindOption(loader->Options, "resolution", 0, text, sizeof(text)))
        (void)RtlParseSize(text, &Wanted.Width, &Wanted.Height); // the loader has complained
    if (!FirmwareUsable(display)) {
        KeLog(LogWarning, "win: no display");
        return StatusSuccess;
    }
    void *mapping;
    Status status =
        MmMapDevice(display->Physical, (size_t)display->Stride * display->Height * sizeof(uint32_t),
                    CachingWriteCombining, &mapping);
    if (status != StatusSuccess)
        return status;
    Firmware = (WinDisplay){.Pixels = mapping,
                            .Width = display->Width,
                            .Height = display->Height,
                            .Stride = display->Stride,
                            .Format = display->Format};
    Show(&Firmware);
    KeLog(LogInfo, "win: display %ux%u, %s", display->Width, display->Height,
          WiDesktop.SwapOutput ? "RGBX" : "BGRX");
    return StatusSuccess;
}

ScreenMode WinGetWantedMode(void)
{
    return Wanted;
}

Status WinAttachDisplay(WinDisplay *display)
{
    if (!SizeUsable(display->Width, display->Height, display->Stride))
        return StatusInvalidParameter;
    KeAcquireMutex(&WiMutex);
    bool taken = Current != nullptr && Current != &Firmware;
    if (!taken) {
        Show(display);
        WiPresent();
    }
    KeReleaseMutex(&WiMutex);
    if (taken)
        return StatusConflict;
    KeLog(LogInfo, "win: display %ux%u by a driver", display->Width, display->Height);
    return StatusSuccess;
}

void WinDetachDisplay(WinDisplay *display)
{
    KeAcquireMutex(&WiMutex);
    if (Current == display) {
        display->ShowsPointer = false;
        Show(nullptr);
        KeLog(LogWarning, "win: the display is gone");
    }
    KeReleaseMutex(&WiMutex);
}

void WinSetPointerShown(WinDisplay *display, bool shown)
{
    KeAcquireMutex(&WiMutex);
    if (Current == display) {
        display->ShowsPointer = shown;
        if (WiHaveDisplay) {
            WiTakePointer();
            WiPresent();
        }
    }
    KeReleaseMutex(&WiMutex);
}

void WiTellPointer(void)
{
    if (!WiHaveDisplay || Current == nullptr || !Current->ShowsPointer)
        return;
    Rect at = WiPointerRect(&WiDesktop);
    WinPointer now = {.Shown = WiDesktop.PointerShown,
                      .X = at.Left,
                      .Y = at.Top,
                      .HotX = WiDesktop.X - at.Left,
                      .HotY = WiDesktop.Y - at.Top,
                      .Picture = WiPointers[WiDesktop.Pointer]};
    if (now.Shown == Told.Shown && now.X == Told.X && now.Y == Told.Y &&
        now.Picture == Told.Picture)
        return;
    Told = now;
    Current->SetPointer(Current, &now);
}

Status WinGetScreenMode(uint32_t index, ScreenMode *mode)
{
    KeAcquireMutex(&WiMutex);
    Status status = Current == nullptr ? StatusNoSuchDevice : StatusSuccess;
    if (status == StatusSuccess && Current->SetMode == nullptr) { // what is there is all there is
        *mode = (ScreenMode){Current->Width, Current->Height};
        status = index == 0 ? StatusSuccess : StatusNoMoreEntries;
    } else if (status == StatusSuccess) {
        status = Current->GetMode(Current, index, mode) ? StatusSuccess : StatusNoMoreEntries;
    }
    KeReleaseMutex(&WiMutex);
    return status;
}

Status WinSetScreenMode(uint32_t width, uint32_t height)
{
    if (!SizeUsable(width, height, width))
        return StatusInvalidParameter;
    KeAcquireMutex(&WiMutex);
    WinDisplay *display = Current;
    Status status = StatusSuccess;
    if (display == nullptr)
        status = StatusNoSuchDevice;
    else if (display->Width == width && display->Height == height)
        status = StatusSuccess;
    else if (display->SetMode == nullptr)
        status = StatusNotSupported;
    else
        status = display->SetMode(display, width, height);
    if (status == StatusSuccess && display->Width == width) {
        Show(display);
        WiPresent();
        KeLog(LogInfo, "win: display %ux%u", width, height);
    }
    KeReleaseMutex(&WiMutex);
    return status;
}

void WiUpdateDisplay(const Rect *rects, size_t count)
{
    if (Current != nullptr && Current->Update != nullptr && count > 0)
        Current->Update(Current, rects, count);
}

void WiUpdateStoppedDisplay(void)
{
    WinDisplay *display = Current;
    if (display != nullptr && display->UpdateStopped != nullptr)
        display->UpdateStopped(display);
}

void WiMakeWallpaper(void)
{
    KeAcquireMutex(&WiMutex);
    Rect screen = WiDesktop.Output.Bounds;
    KeReleaseMutex(&WiMutex);
    size_t width = (size_t)GfxWidth(screen);
    MmSection *section = nullptr;
    GfxSurface wallpaper = {.Pixels = AllocatePixels(width * (size_t)GfxHeight(screen), &section),
                            .Stride = width,
                            .Bounds = screen};
    if (wallpaper.Pixels != nullptr)
        WiPrepareWallpaper(&WiDesktop, &wallpaper);
    KeAcquireMutex(&WiMutex);
    bool fits = GfxContains(screen, WiDesktop.Output.Bounds); // else it has changed once more
    if (fits && wallpaper.Pixels != nullptr)
        WiDeskSetWallpaper(&WiDesktop, &wallpaper);
    WiPresent();
    KeReleaseMutex(&WiMutex);
    if (wallpaper.Pixels == nullptr)
        return;
    uint32_t *oldPixels = fits ? WallpaperPixels : wallpaper.Pixels;
    MmSection *oldMemory = fits ? WallpaperMemory : section;
    if (fits) {
        WallpaperPixels = wallpaper.Pixels;
        WallpaperMemory = section;
        KeLog(LogDebug, "win: wallpaper %ux%u", (uint32_t)width, (uint32_t)GfxHeight(screen));
    }
    if (oldPixels != nullptr) {
        MmUnmapSectionInKernel(oldMemory, oldPixels);
        MmDereferenceSection(oldMemory);
    }
}
