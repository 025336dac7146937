// view.c - see view.h. The whole screen is drawn after each key; the terminal paints only what
// has become different.
// SPDX-License-Identifier: MIT
#include "view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void Put(View *view, const char *bytes, size_t length)
{
    if (view->Length + length > view->Capacity && !view->Failed) {
        size_t capacity = view->Capacity * 2 + length + 4096;
        char *grown = realloc(view->Output, capacity);
        view->Failed = grown == nullptr;
        view->Output = grown == nullptr ? view->Output : grown;
        view->Capacity = grown == nullptr ? view->Capacity : capacity;
    }
    if (view->Failed)
        return;
    memcpy(view->Output + view->Length, bytes, length);
    view->Length += length;
}

__attribute__((format(printf, 2, 3))) static void Print(View *view, const char *format, ...)
{
    char piece[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    Put(view, piece, length < (int)sizeof piece ? (size_t)length : sizeof piece - 1);
}

// ---- scrolling

static size_t LinesBetween(const Text *text, size_t from, size_t to, size_t most)
{
    size_t lines = 0;
    while (from < to && lines < most) {
        size_t end = TextLineEnd(text, from);
        if (end >= to)
            break;
        from = end + 1;
        lines++;
    }
    return lines;
}

static size_t LinesBack(const Text *text, size_t line, size_t count)
{
    while (count-- > 0 && line > 0)
        line = TextLineStart(text, line - 1);
    return line;
}

static void Scroll(View *view, const Text *text, size_t cursor, size_t rows)
{
    size_t line = TextLineStart(text, cursor), column = TextColumn(text, cursor);
    size_t top = TextLineStart(text, view->Top > text->Length ? text->Length : view->Top);
    size_t below = LinesBetween(text, top, line, rows * 2);
    if (line < top || below >= rows * 2)
        top = LinesBack(text, line, rows / 2);
    else if (below >= rows)
        top = LinesBack(text, line, rows - 1);
    view->Top = top;
    if (column < view->Left || column >= view->Left + view->Columns)
        view->Left = column < view->Columns ? 0 : column - view->Columns / 2;
}

// ---- rows

// One line of the text, its part between Left and Left + Columns.
static void DrawLine(View *view, const Text *text, size_t at)
{
    size_t end = TextLineEnd(text, at), column = 0, columns;
    while (at < end && column < view->Left + view->Columns) {
        size_t length = TextCharacter(text, at, column, &columns);
        unsigned char first = (unsigned char)text->Bytes[at];
        bool control = first < 0x20 || first == 0x7F || (first >= 0x80 && length == 1);
        for (size_t i = 0; i < columns; i++, column++) {
            if (column < view->Left || column >= view->Left + view->Columns)
                continue;
            if (first == '\t')
                Put(view, " ", 1);
            else if (control && !(first == '\r' && at + 1 == end))
                Print(view, "\x1B[7m%c\x1B[m", first < 0x20 ? first + '@' : '?');
            else if (!control)
                Put(view, text->Bytes + at, length);
        }
        at += length;
    }
}

// A row in reverse or dim, as much of it as fits; the columns it takes.
static size_t DrawBar(View *view, const char *style, const char *bar)
{
    Text text = {.Bytes = (char *)bar, .Length = strlen(bar)};
    size_t at = TextAtColumn(&text, 0, view->Columns), columns = TextColumn(&text, at);
    Print(view, "%s", style);
    Put(view, bar, at);
    for (size_t i = columns; i < view->Columns; i++)
        Put(view, " ", 1);
    Print(view, "\x1B[m");
    return columns;
}

void ViewDraw(View *view, const Text *text, size_t cursor, const char *title, const char *message,
              bool inMessage)
{
    size_t rows = view->Rows > 2 ? view->Rows - 2 : 1;
    view->Length = 0;
    Scroll(view, text, cursor, rows);
    Print(view, "\x1B[?25l\x1B[H");
    (void)DrawBar(view, "\x1B[7m", title);
    size_t at = view->Top, row = 0;
    bool more = true;
    for (size_t i = 0; i < rows; i++) {
        Print(view, "\x1B[%zu;1H\x1B[K", i + 2);
        if (!more) {
            Print(view, "\x1B[38;5;243m~\x1B[m");
            continue;
        }
        size_t end = TextLineEnd(text, at);
        if (cursor >= at && cursor <= end)
            row = i;
        DrawLine(view, text, at);
        more = end < text->Length;
        at = end + 1;
    }
    Print(view, "\x1B[%zu;1H", view->Rows);
    size_t behind = DrawBar(view, inMessage ? "\x1B[1m" : "\x1B[38;5;250m", message);
    if (inMessage)
        Print(view, "\x1B[%zu;%zuH", view->Rows, behind + 1);
    else
        Print(view, "\x1B[%zu;%zuH", row + 2, TextColumn(text, cursor) - view->Left + 1);
    Print(view, "\x1B[?25h");
}

void ViewFree(View *view)
{
    free(view->Output);
    *view = (View){};
}
