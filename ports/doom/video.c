// video.c - the engine's video interface (i_video.h) in a MetalOS window.
//
// The engine draws into a 320x200 buffer of palette indices. I_FinishUpdate expands it through the
// palette straight into the window's shared buffer, each pixel as a square of `scale` pixels, and
// has the window system take it over. Order within a frame (disk icon, palette, picture, background
// restored) follows the engine's SDL back end, which the frame hashes are compared with.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "port.h"

#include "config.h"
#include "d_loop.h"
#include "deh_str.h"
#include "doomtype.h"
#include "i_input.h"
#include "i_joystick.h"
#include "i_system.h"
#include "i_timer.h"
#include "i_video.h"
#include "m_argv.h"
#include "m_config.h"
#include "m_misc.h"
#include "tables.h"
#include "v_diskicon.h"
#include "v_video.h"
#include "w_wad.h"
#include "z_zone.h"

#include <limits.h>
#include <string.h>

enum { MaximumScale = 4 };

Handle PortWindow = InvalidHandle;
bool PortFocused = true;
bool PortGrabbed;

pixel_t *I_VideoBuffer = NULL;
boolean screensaver_mode = false;
boolean screenvisible = true;
int usegamma = 0;
int usemouse = 1;
unsigned int joywait = 0;

static WindowBuffer buffer;
static unsigned scale;
static int windowWidth = 2 * SCREENWIDTH, windowHeight = 2 * SCREENHEIGHT; // in the settings file
static int grabMouse = 1;
static boolean noBlit, noMouse, noGrabMouse, fpsDots;
static grabmouse_callback_t grabCallback;
static const char *title = PACKAGE_NAME;
static byte palette[256 * 3]; // what I_SetPalette was given, 6 bits a channel
static uint32_t colours[256]; // the same, as the window wants it
static pixel_t screen[SCREENWIDTH * SCREENHEIGHT];

void I_SetPalette(byte *doompalette)
{
    // The VGA has 6 bits per channel.
    for (int i = 0; i < 256 * 3; i++)
        palette[i] = gammatable[usegamma][doompalette[i]] & ~3;
    for (int i = 0; i < 256; i++)
        colours[i] =
            (uint32_t)palette[3 * i] << 16 | (uint32_t)palette[3 * i + 1] << 8 | palette[3 * i + 2];
}

int I_GetPaletteIndex(int r, int g, int b)
{
    int best = 0, bestDistance = INT_MAX;
    for (int i = 0; i < 256 && bestDistance; i++) {
        int dr = r - palette[3 * i], dg = g - palette[3 * i + 1], db = b - palette[3 * i + 2];
        int distance = dr * dr + dg * dg + db * db;
        if (distance < bestDistance) {
            best = i;
            bestDistance = distance;
        }
    }
    return best;
}

static void ExpandRow1(uint32_t *to, const pixel_t *from)
{
    for (int x = 0; x < SCREENWIDTH; x++)
        to[x] = colours[from[x]];
}

static void ExpandRow2(uint32_t *to, const pixel_t *from)
{
    for (int x = 0; x < SCREENWIDTH; x++)
        to[2 * x] = to[2 * x + 1] = colours[from[x]];
}

static void ExpandRowN(uint32_t *to, const pixel_t *from)
{
    for (int x = 0; x < SCREENWIDTH; x++)
        for (unsigned i = 0; i < scale; i++)
            *to++ = colours[from[x]];
}

static void DrawWindow(void)
{
    size_t rowSize = SCREENWIDTH * scale * sizeof(uint32_t);
    for (int y = 0; y < SCREENHEIGHT; y++) {
        uint32_t *row = buffer.Pixels + (size_t)y * scale * buffer.Stride;
        const pixel_t *from = screen + y * SCREENWIDTH;
        if (scale == 1)
            ExpandRow1(row, from);
        else if (scale == 2)
            ExpandRow2(row, from);
        else
            ExpandRowN(row, from);
        for (unsigned i = 1; i < scale; i++)
            memcpy(row + i * buffer.Stride, row, rowSize);
    }
    if (PaintWindow(PortWindow, NULL) != StatusSuccess)
        I_Error("The window system no longer shows the game's window");
}

// Little dots along the bottom, one per tic the last frame took.
static void DrawFpsDots(void)
{
    static int lastTic;
    int now = I_GetTime(), tics = now - lastTic > 20 ? 20 : now - lastTic;
    lastTic = now;
    for (int i = 0; i < 20; i++)
        I_VideoBuffer[(SCREENHEIGHT - 1) * SCREENWIDTH + 4 * i] = i < tics ? 0xFF : 0;
}

void I_FinishUpdate(void)
{
    if (PortWindow == InvalidHandle || noBlit)
        return;
    PortUpdateGrab();
    if (fpsDots)
        DrawFpsDots();
    V_DrawDiskIcon();
    PortHashFrame(screen, sizeof screen, palette);
    DrawWindow();
    V_RestoreDiskBackground();
}

void I_UpdateNoBlit(void) {}

void I_ReadScreen(pixel_t *to)
{
    memcpy(to, I_VideoBuffer, sizeof screen);
}

void I_SetWindowTitle(const char *newTitle)
{
    title = newTitle;
    if (PortWindow != InvalidHandle)
        (void)SetWindowTitle(PortWindow, title);
}

void I_RegisterWindowIcon(const unsigned int *icon, int width, int height) {}
void I_CheckIsScreensaver(void) {}
void I_SetGrabMouseCallback(grabmouse_callback_t callback)
{
    grabCallback = callback;
}
void I_DisplayFPSDots(boolean on)
{
    fpsDots = on;
}

void PortUpdateGrab(void)
{
    bool wanted = PortFocused && usemouse && !noMouse && grabMouse && !noGrabMouse &&
                  (!grabCallback || grabCallback());
    if (wanted != PortGrabbed &&
        SetWindowFlags(PortWindow, WindowFrame | (wanted ? WindowRelativeMouse : 0)) ==
            StatusSuccess)
        PortGrabbed = wanted;
}

void I_GraphicsCheckCommandLine(void)
{
    noBlit = M_CheckParm("-noblit") > 0;
    noMouse = M_CheckParm("-nomouse") > 0;
    noGrabMouse = M_ParmExists("-nograbmouse");
    int i = M_CheckParmWithArgs("-width", 1);
    if (i > 0)
        windowWidth = atoi(myargv[i + 1]);
    static const char *const options[MaximumScale] = {"-1", "-2", "-3", "-4"};
    for (i = 0; i < MaximumScale; i++)
        if (M_CheckParm(options[i]) > 0)
            windowWidth = (i + 1) * SCREENWIDTH;
}

// The largest whole factor that fits both the wanted width and the screen.
static unsigned ChooseScale(void)
{
    Rect display;
    int factor = windowWidth / SCREENWIDTH;
    if (GetScreenRect(&display) == StatusSuccess)
        while (factor > 1 &&
               (factor * SCREENWIDTH > display.Right || factor * SCREENHEIGHT > display.Bottom))
            factor--;
    return factor < 1 ? 1 : factor > MaximumScale ? MaximumScale : (unsigned)factor;
}

static void ShutdownGraphics(void)
{
    if (PortWindow != InvalidHandle)
        (void)CloseHandle(PortWindow);
    PortWindow = InvalidHandle;
}

void I_InitGraphics(void)
{
    scale = ChooseScale();
    windowWidth = (int)scale * SCREENWIDTH;
    windowHeight = (int)scale * SCREENHEIGHT;
    WindowParameters parameters = {
        .Title = title,
        .X = WindowPositionDefault,
        .Y = WindowPositionDefault,
        .Width = (uint32_t)windowWidth,
        .Height = (uint32_t)windowHeight,
        .Flags = WindowFrame,
    };
    Status status = AllocWindow(&parameters, &PortWindow, &buffer);
    if (status != StatusSuccess)
        I_Error("Cannot open a window: %s", GetStatusText(status));

    I_SetPalette(W_CacheLumpName(DEH_String("PLAYPAL"), PU_CACHE));
    I_VideoBuffer = screen;
    V_RestoreBuffer();
    I_AtExit(ShutdownGraphics, true);
}

void I_BindVideoVariables(void)
{
    M_BindIntVariable("use_mouse", &usemouse);
    M_BindIntVariable("window_width", &windowWidth);
    M_BindIntVariable("window_height", &windowHeight);
    M_BindIntVariable("grabmouse", &grabMouse);
    M_BindIntVariable("usegamma", &usegamma);
}
