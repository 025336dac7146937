// font.h - the terminal's typeface: coverage of whole cells, made by tools/fontgen.
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum FontFace { FaceRegular, FaceBold, FaceItalic, FaceCount } FontFace;

typedef struct TerminalFont {
    size_t Count;
    uint32_t CellWidth, CellHeight;  // pixels
    const uint32_t *Points;          // code points, ascending; the last is U+FFFD
    const uint8_t *Faces[FaceCount]; // Count cells each
} TerminalFont;
extern const TerminalFont TheFont;
