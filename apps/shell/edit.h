// edit.h - the line a person types, as pure code: bytes from a terminal go in, what the terminal
// shall show comes out, and in the end a line.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDIT_LINE_SIZE   4096u
#define EDIT_PROMPT_SIZE 1400u

// What could stand at the cursor, in the heap; the editor frees it.
typedef struct EditCandidates {
    size_t Start;   // of the part they replace, which ends at the cursor
    char **Inserts; // what is put there
    char **Shown;   // how they are listed
    size_t Count;
} EditCandidates;

typedef struct EditHooks {
    void *Context;
    void (*Write)(void *context, const char *text, size_t length);
    // Earlier lines, the newest at 0; nullptr: none.
    const char *(*GetHistory)(void *context, size_t index);
    void (*Complete)(void *context, const char *line, size_t cursor, EditCandidates *candidates);
} EditHooks;

typedef enum EditResult {
    EditMore,   // the line is not done
    EditLine,   // it is, in Text
    EditEnd,    // Control+D on an empty line
    EditCancel, // Control+C
} EditResult;

typedef struct Editor {
    EditHooks Hooks;
    size_t Columns;
    char Prompt[EDIT_PROMPT_SIZE]; // with escape sequences
    char Text[EDIT_LINE_SIZE];
    size_t Length, Cursor;
    char Saved[EDIT_LINE_SIZE]; // what was typed before going into the history
    size_t HistoryAt;           // 0: not in it; otherwise index + 1
    char Killed[EDIT_LINE_SIZE];
    bool Searching; // Control+R
    char Query[128];
    size_t QueryLength, FoundAt;
    char Sequence[32]; // an escape sequence so far
    size_t SequenceLength;
    bool Pasting;    // between the marks of a bracketed paste
    size_t ShownRow; // of the cursor, counted from the prompt's first
    char Output[2048];
    size_t OutputLength;
} Editor;

// Begins a line and shows the prompt.
void EditStart(Editor *editor, const EditHooks *hooks, const char *prompt, size_t columns);
// Takes bytes until one ends the line; *used says how many.
EditResult EditFeed(Editor *editor, const char *bytes, size_t length, size_t *used);
// Shows the prompt and line again, after something else was shown.
void EditRedraw(Editor *editor);
// Columns text takes, without its escape sequences.
size_t EditMeasure(const char *text);
