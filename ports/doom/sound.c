// sound.c - the engine's sound and music modules. MetalOS has no sound device, so no module claims
// one and the engine plays silently; the settings it reads and writes keep their places.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "i_sound.h"
#include "opl.h"
#include "opl_internal.h"

int use_libsamplerate = 0;
float libsamplerate_scale = 0.65f;
char *music_pack_path = "";
char *fluidsynth_sf_path = "";
char *timidity_cfg_path = "";

sound_module_t sound_sdl_module; // no devices: never chosen
sound_module_t sound_pcsound_module;
music_module_t music_sdl_module;

// The engine asks this one without looking at its devices.
static boolean NoMusicPack(void)
{
    return false;
}
static void NoShutdown(void) {}
music_module_t music_pack_module = {.Init = NoMusicPack, .Shutdown = NoShutdown};

void I_InitTimidityConfig(void) {}

static int NoOplDevice(unsigned int portBase)
{
    return 0;
}
opl_driver_t opl_sdl_driver = {.name = "none", .init_func = NoOplDevice};
