// fontgen.h - what the two halves of the generator share.
// SPDX-License-Identifier: MIT
#pragma once

#include <stb_truetype.h>
#include <stdint.h>
#include <stdio.h>

// Both write C definitions to out; a failure ends the program with a message.
void WriteIcons(FILE *out);
[[noreturn]] void Fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void OpenFont(stbtt_fontinfo *font, const char *folder, const char *name);
uint8_t Lift(uint8_t coverage); // what coverage is drawn with
void WriteTerminalFont(FILE *out, const char *folder);
void WriteBytes(FILE *out, const char *name, const uint8_t *data, size_t size);
