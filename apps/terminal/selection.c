// selection.c - the marked part of the text, and its copy.
// SPDX-License-Identifier: MIT
#include "screen.h"

#include <stdlib.h>

static uint32_t PointAt(const Line *line, uint32_t column)
{
    return column < line->Capacity ? line->Cells[column].Point : 0;
}

// What a double click takes: letters, digits, and what names and paths are made of.
static bool IsWord(uint32_t point)
{
    if (point >= 0x80)
        return true;
    return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z') ||
           (point >= '0' && point <= '9') ||
           (point != 0 && point < 0x80 && point > ' ' &&
            (point == '_' || point == '-' || point == '.' || point == '/' || point == '~' ||
             point == '+'));
}

static bool Before(Position a, Position b)
{
    return a.Line != b.Line ? a.Line < b.Line : a.Column < b.Column;
}

// Makes room for whole words or lines at both ends. end is inclusive here.
static void Widen(const Screen *screen, Position *start, Position *end)
{
    if (screen->SelectionBy == SelectLines) {
        start->Column = 0;
        end->Column = screen->Columns - 1;
    } else if (screen->SelectionBy == SelectWords) {
        const Line *first = ScreenLineAt(screen, start->Line),
                   *last = ScreenLineAt(screen, end->Line);
        if (IsWord(PointAt(first, start->Column)))
            while (start->Column > 0 && IsWord(PointAt(first, start->Column - 1)))
                start->Column--;
        if (IsWord(PointAt(last, end->Column)))
            while (end->Column + 1 < screen->Columns && IsWord(PointAt(last, end->Column + 1)))
                end->Column++;
    }
}

static Position PlaceOf(const Screen *screen, uint32_t row, uint32_t column)
{
    return (Position){ScreenLineNumber(screen, row < screen->Rows ? row : screen->Rows - 1),
                      column < screen->Columns ? column : screen->Columns - 1};
}

static void SetSelection(Screen *screen, Position from, Position to)
{
    bool backwards = Before(to, from);
    Position start = backwards ? to : from, end = backwards ? from : to;
    Widen(screen, &start, &end);
    end.Column++;
    screen->SelectionStart = start;
    screen->SelectionEnd = end;
    screen->Selected = true;
    ScreenMarkAllDirty(screen);
}

void ScreenSelect(Screen *screen, uint32_t row, uint32_t column, SelectBy by)
{
    ScreenDeselect(screen);
    screen->SelectionAnchor = PlaceOf(screen, row, column);
    screen->SelectionBy = by;
    if (by != SelectCells)
        SetSelection(screen, screen->SelectionAnchor, screen->SelectionAnchor);
}

void ScreenExtend(Screen *screen, uint32_t row, uint32_t column)
{
    if (screen->SelectionAnchor.Line >= screen->FirstLine)
        SetSelection(screen, screen->SelectionAnchor, PlaceOf(screen, row, column));
}

bool ScreenIsSelected(const Screen *screen, uint64_t line, uint32_t column)
{
    Position at = {line, column};
    return screen->Selected && !Before(at, screen->SelectionStart) &&
           Before(at, screen->SelectionEnd);
}

// ---- text

typedef struct Text {
    char *Bytes;
    size_t Length, Capacity;
    bool Failed;
} Text;

static void AddByte(Text *text, uint32_t byte)
{
    if (text->Length == text->Capacity && !text->Failed) {
        size_t capacity = text->Capacity * 2 + 256;
        char *grown = realloc(text->Bytes, capacity);
        text->Failed = grown == nullptr;
        if (text->Failed)
            return;
        text->Bytes = grown;
        text->Capacity = capacity;
    }
    if (!text->Failed)
        text->Bytes[text->Length++] = (char)byte;
}

static void AddPoint(Text *text, uint32_t point)
{
    if (point < 0x80) {
        AddByte(text, point);
    } else if (point < 0x800) {
        AddByte(text, 0xC0 | point >> 6);
        AddByte(text, 0x80 | (point & 63));
    } else if (point < 0x10000) {
        AddByte(text, 0xE0 | point >> 12);
        AddByte(text, 0x80 | (point >> 6 & 63));
        AddByte(text, 0x80 | (point & 63));
    } else {
        AddByte(text, 0xF0 | (point >> 18 & 7));
        AddByte(text, 0x80 | (point >> 12 & 63));
        AddByte(text, 0x80 | (point >> 6 & 63));
        AddByte(text, 0x80 | (point & 63));
    }
}

static void AddLine(Text *text, const Line *line, uint32_t from, uint32_t to)
{
    uint32_t end = to < line->Capacity ? to : line->Capacity;
    while (end > from && (line->Cells[end - 1].Point == 0 || line->Cells[end - 1].Point == ' ') &&
           !(line->Cells[end - 1].Attributes & CellTail))
        end--;
    for (uint32_t i = from; i < end; i++) {
        const Cell *cell = &line->Cells[i];
        if (cell->Attributes & CellTail)
            continue;
        AddPoint(text, cell->Point == 0 ? ' ' : cell->Point);
        if (cell->Mark != 0)
            AddPoint(text, cell->Mark);
    }
}

char *ScreenCopy(const Screen *screen, size_t *length)
{
    Text text = {};
    Position start = screen->SelectionStart, end = screen->SelectionEnd;
    uint64_t last = screen->FirstLine + screen->HistoryCount + screen->Rows - 1;
    *length = 0;
    if (!screen->Selected)
        return nullptr;
    for (uint64_t number = start.Line; number <= end.Line && number <= last; number++) {
        const Line *line = ScreenLineAt(screen, number);
        AddLine(&text, line, number == start.Line ? start.Column : 0,
                number == end.Line ? end.Column : screen->Columns);
        if (number < end.Line && !line->Wrapped)
            AddByte(&text, '\n');
    }
    AddByte(&text, 0);
    if (text.Failed) {
        free(text.Bytes);
        return nullptr;
    }
    *length = text.Length - 1;
    return text.Bytes;
}
