// text.h - the text an editor works on: bytes, and every change so that it can be taken back.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `Removed` bytes at `At` were replaced by `Inserted` others.
typedef struct Change {
    size_t At, Removed, Inserted;
    char *Bytes; // heap: what was removed, then what was inserted
} Change;

typedef struct Text {
    char *Bytes; // heap, UTF-8 or anything else; NUL behind
    size_t Length, Capacity;
    Change *Changes;          // heap, the oldest first
    size_t ChangeCount, Done; // those behind Done have been taken back
    size_t Saved;             // Done when it was saved; SIZE_MAX: that state is lost
} Text;

// Takes over bytes (heap, with a byte of room behind them).
void TextOpen(Text *text, char *bytes, size_t length);
void TextClose(Text *text);
// Replaces `remove` bytes at `at`. Typing on where the last change ended is the same change, up to
// the end of a line. False: no memory, and nothing has changed.
bool TextReplace(Text *text, size_t at, size_t remove, const char *insert, size_t length);
// Takes the last change back, or does it again; *at becomes where it was. False: there is none.
bool TextUndo(Text *text, size_t *at);
bool TextRedo(Text *text, size_t *at);
bool TextIsChanged(const Text *text);
void TextSetSaved(Text *text);

size_t TextLineStart(const Text *text, size_t at);
size_t TextLineEnd(const Text *text, size_t at); // where its line end or the text's end stands
size_t TextNext(const Text *text, size_t at);    // character
size_t TextPrevious(const Text *text, size_t at);
size_t TextNextWord(const Text *text, size_t at);
size_t TextPreviousWord(const Text *text, size_t at);
// The first place behind `from` where needle stands, going on from the start; case does not matter.
// SIZE_MAX: nowhere.
size_t TextFind(const Text *text, size_t from, const char *needle);

// Columns from the line's start to at, tabs going to the next multiple of 8.
size_t TextColumn(const Text *text, size_t at);
// The place in the line that starts at `line` that is nearest before or at a column.
size_t TextAtColumn(const Text *text, size_t line, size_t column);
// The character at `at`: its bytes, and the columns it takes when it begins in `column`.
size_t TextCharacter(const Text *text, size_t at, size_t column, size_t *columns);
