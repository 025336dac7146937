// screen.h - what a terminal shows, as pure code: rows of cells with a history above them, a second
// screen for programs that draw, a selection. libvterm understands the bytes and calls screen.c,
// which keeps the cells. The native tests and a fuzzer drive it directly.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vterm.h>

enum {
    CellBold = 1,
    CellItalic = 2,
    CellUnderline = 4,
    CellDoubleUnderline = 8,
    CellStrike = 16,
    CellReverse = 32,
    CellTail = 64,          // the right half of a wide character
    CellDefaultInk = 128,   // Ink is the theme's
    CellDefaultPaper = 256, // Paper is the theme's
};

typedef struct Cell {
    uint32_t Point;      // code point; 0: blank
    uint32_t Ink, Paper; // 0x00RRGGBB
    uint16_t Mark;       // one combining mark; 0: none
    uint16_t Attributes; // Cell...
} Cell;

typedef struct Line {
    uint32_t Capacity; // cells
    bool Wrapped;      // goes on in the next line
    Cell Cells[];
} Line;

typedef struct Position {
    uint64_t Line; // counted from the first line ever; see Screen.FirstLine
    uint32_t Column;
} Position;

typedef enum SelectBy { SelectCells, SelectWords, SelectLines } SelectBy;

#define HISTORY_LINES  10000u
#define SCREEN_MAXIMUM 1000u // rows, columns

// A UTF-8 sequence that has begun.
typedef struct Sequence {
    uint8_t Bytes[4];
    uint8_t Length, Missing;
    uint8_t Low, High; // what the next byte may be
} Sequence;

typedef struct Screen {
    Sequence Sequence;
    VTerm *Terminal;
    VTermState *State;
    uint32_t Rows, Columns;
    Line **Lines[2];    // Rows each, Columns cells or more: the ordinary screen, the alternate one
    Line **Prepared[2]; // what they become when the size changes
    int Shown;          // which of Lines

    Line **History; // a ring of HISTORY_LINES
    uint32_t HistoryStart, HistoryCount;
    uint64_t FirstLine; // number of the oldest line of the history
    uint32_t Scrolled;  // lines the view is above the end

    Cell Pen;    // what is written now
    int EdgeRow; // the row whose last column was just written, -1: none
    VTermPos Cursor;
    bool CursorShown;
    int CursorShape, MouseMode; // VTERM_PROP_...
    bool Reversed;

    bool Selected;
    Position SelectionAnchor, SelectionStart, SelectionEnd; // end is one past
    SelectBy SelectionBy;

    char Title[128];
    bool TitleChanged;
    uint32_t Bells;

    bool *Dirty; // Rows of the view to paint again
    bool AllDirty;
} Screen;

typedef void ScreenReply(const char *bytes, size_t length, void *context);

// Both sides at least 1. reply gets what the terminal answers and the keys that are typed. False:
// no memory.
bool ScreenOpen(Screen *screen, uint32_t columns, uint32_t rows, ScreenReply *reply, void *context);
void ScreenClose(Screen *screen);
// Output of programs, cut anywhere.
void ScreenWrite(Screen *screen, const char *bytes, size_t length);
bool ScreenResize(Screen *screen, uint32_t columns, uint32_t rows);
// Moves the view up (positive) or down; what is beyond an end is cut off.
void ScreenScroll(Screen *screen, int64_t lines);
// The line at a row of the view. Never nullptr for row < Rows. Cells beyond Capacity are blank.
const Line *ScreenLine(const Screen *screen, uint32_t row);
const Line *ScreenLineAt(const Screen *screen, uint64_t number); // of one that exists
uint64_t ScreenLineNumber(const Screen *screen, uint32_t row);
bool ScreenIsSelected(const Screen *screen, uint64_t line, uint32_t column);

// A selection begins at a cell of the view, is drawn to another, and goes.
void ScreenSelect(Screen *screen, uint32_t row, uint32_t column, SelectBy by);
void ScreenExtend(Screen *screen, uint32_t row, uint32_t column);
void ScreenDeselect(Screen *screen);
// The selected text as UTF-8, to be freed; nullptr: nothing or no memory.
char *ScreenCopy(const Screen *screen, size_t *length);
void ScreenMarkAllDirty(Screen *screen);
