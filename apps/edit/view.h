// view.h - the editor's screen, as pure code: a text and a cursor become what a terminal shall
// show.
// SPDX-License-Identifier: MIT
#pragma once

#include "text.h"

typedef struct View {
    size_t Columns, Rows; // of the terminal; two rows are the title and the message
    size_t Top;           // where the first line shown starts
    size_t Left;          // columns to the left of what is shown
    char *Output;         // heap: what the terminal is to get
    size_t Length, Capacity;
    bool Failed; // out of memory: nothing is to be shown
} View;

// Draws everything, scrolled so that the cursor is visible, into Output. title and message: the
// first and last row; inMessage: the cursor stands behind the message instead of in the text.
void ViewDraw(View *view, const Text *text, size_t cursor, const char *title, const char *message,
              bool inMessage);
void ViewFree(View *view);
