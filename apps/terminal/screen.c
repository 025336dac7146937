// screen.c - the cells of a terminal, kept as libvterm's state machine tells.
//
// Scrolling is the common case: the whole screen moves up by a line for each line of output. Rows
// are pointers, so that moves pointers; the line that leaves goes into the history cut to what is
// written in it, and its row is blanked and comes back at the bottom.
//
// Lines are numbered from the first one ever, so that a selection stays with its text while the
// screen scrolls. What is written over a selection takes the selection away.
//
// libvterm is given well-formed UTF-8 only: its decoder writes past its array after a sequence that
// breaks off.
//
// A line that fills its row and goes on in the next is Wrapped: copied text has no line break
// there. libvterm does not say so; a character in column 0 that follows one in the last column
// without the cursor having moved otherwise is the sign.
// SPDX-License-Identifier: MIT
#include "screen.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t palette[16] = {
    0x20263A, 0xF2696E, 0x7FD88F, 0xF0C674, 0x6EA8FE, 0xC792EA, 0x62D0D8, 0xC7CEDE,
    0x5D6785, 0xFF8A8E, 0xA2E9AE, 0xFFDC93, 0x9AC3FF, 0xDDB3F8, 0x92E6EC, 0xF3F5FA,
};

static uint32_t Least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// ---- lines

static Cell BlankCell(const Screen *screen)
{
    Cell blank = screen->Pen;
    blank.Point = 0;
    blank.Mark = 0;
    blank.Attributes &= CellDefaultInk | CellDefaultPaper;
    return blank;
}

static void Fill(Line *line, uint32_t from, uint32_t to, Cell with)
{
    for (uint32_t i = from; i < to; i++)
        line->Cells[i] = with;
}

static Line *MakeLine(uint32_t capacity)
{
    Line *line = malloc(sizeof(Line) + capacity * sizeof(Cell));
    if (line == nullptr)
        return nullptr;
    line->Capacity = capacity;
    line->Wrapped = false;
    Fill(line, 0, capacity, (Cell){.Attributes = CellDefaultInk | CellDefaultPaper});
    return line;
}

static void FreeLines(Line **lines, uint32_t count)
{
    for (uint32_t i = 0; lines != nullptr && i < count; i++)
        free(lines[i]);
    free(lines);
}

static Line **MakeLines(uint32_t count, uint32_t capacity)
{
    Line **lines = calloc(count, sizeof(*lines));
    for (uint32_t i = 0; lines != nullptr && i < count; i++)
        if ((lines[i] = MakeLine(capacity)) == nullptr) {
            FreeLines(lines, count);
            return nullptr;
        }
    return lines;
}

static bool IsBlank(const Cell *cell)
{
    return (cell->Point == 0 || cell->Point == ' ') && (cell->Attributes & CellDefaultPaper) &&
           !(cell->Attributes & (CellUnderline | CellDoubleUnderline | CellStrike | CellReverse));
}

static uint32_t UsedLength(const Line *line, uint32_t columns)
{
    uint32_t length = Least(line->Capacity, columns);
    while (length > 0 && IsBlank(&line->Cells[length - 1]))
        length--;
    return length;
}

// ---- history

static Line **HistorySlot(const Screen *screen, uint32_t index)
{
    return &screen->History[(screen->HistoryStart + index) % HISTORY_LINES];
}

static void DropOldest(Screen *screen)
{
    free(*HistorySlot(screen, 0));
    screen->HistoryStart = (screen->HistoryStart + 1) % HISTORY_LINES;
    screen->HistoryCount--;
    screen->FirstLine++;
    if (screen->Scrolled > screen->HistoryCount)
        screen->Scrolled = screen->HistoryCount;
    if (screen->Selected && screen->SelectionStart.Line < screen->FirstLine)
        ScreenDeselect(screen);
}

// Keeps what is written in a line. Without memory the history begins anew behind it.
static void Remember(Screen *screen, const Line *line)
{
    uint32_t length = UsedLength(line, screen->Columns);
    if (screen->HistoryCount == HISTORY_LINES)
        DropOldest(screen);
    Line *copy = malloc(sizeof(Line) + length * sizeof(Cell));
    if (copy == nullptr) {
        while (screen->HistoryCount > 0)
            DropOldest(screen);
        screen->FirstLine++;
        return;
    }
    copy->Capacity = length;
    copy->Wrapped = line->Wrapped;
    memcpy(copy->Cells, line->Cells, length * sizeof(Cell));
    *HistorySlot(screen, screen->HistoryCount++) = copy;
    if (screen->Scrolled > 0 && screen->Scrolled < screen->HistoryCount)
        screen->Scrolled++; // the view stays where it is
}

// ---- damage

void ScreenMarkAllDirty(Screen *screen)
{
    screen->AllDirty = true;
}

void ScreenDeselect(Screen *screen)
{
    if (screen->Selected)
        ScreenMarkAllDirty(screen);
    screen->Selected = false;
}

// A row of the live screen has changed.
static void Touch(Screen *screen, int row)
{
    uint64_t line = screen->FirstLine + screen->HistoryCount + (uint32_t)row;
    if (screen->Selected && line >= screen->SelectionStart.Line &&
        line <= screen->SelectionEnd.Line)
        ScreenDeselect(screen);
    if ((uint32_t)row + screen->Scrolled < screen->Rows)
        screen->Dirty[(uint32_t)row + screen->Scrolled] = true;
}

static Line *RowOf(Screen *screen, int row)
{
    return screen->Lines[screen->Shown][row];
}

// ---- libvterm's calls

static int PutGlyph(VTermGlyphInfo *info, VTermPos position, void *user)
{
    Screen *screen = user;
    if (position.row < 0 || (uint32_t)position.row >= screen->Rows || position.col < 0 ||
        (uint32_t)position.col >= screen->Columns)
        return 1;
    Line *line = RowOf(screen, position.row);
    uint32_t column = (uint32_t)position.col;
    if (column == 0 && screen->EdgeRow >= 0 && position.row == screen->EdgeRow + 1)
        RowOf(screen, screen->EdgeRow)->Wrapped = true;
    Cell *cell = &line->Cells[column];
    *cell = screen->Pen;
    cell->Point = info->chars[0];
    cell->Mark = info->chars[0] != 0 && info->chars[1] < 0x10000 ? (uint16_t)info->chars[1] : 0;
    for (uint32_t i = 1; i < (uint32_t)info->width && column + i < screen->Columns; i++) {
        cell[i] = screen->Pen;
        cell[i].Point = 0;
        cell[i].Attributes |= CellTail;
    }
    bool atEdge = column + (uint32_t)info->width >= screen->Columns;
    screen->EdgeRow = atEdge ? position.row : -1;
    if (atEdge)
        line->Wrapped = false;
    Touch(screen, position.row);
    return 1;
}

static int MoveCursor(VTermPos to, VTermPos from, int visible, void *user)
{
    Screen *screen = user;
    if (to.row != screen->EdgeRow || to.col + 1 != (int)screen->Columns)
        screen->EdgeRow = -1;
    screen->Cursor = to;
    if ((uint32_t)from.row < screen->Rows && (uint32_t)from.row + screen->Scrolled < screen->Rows)
        screen->Dirty[(uint32_t)from.row + screen->Scrolled] = true;
    if ((uint32_t)to.row + screen->Scrolled < screen->Rows)
        screen->Dirty[(uint32_t)to.row + screen->Scrolled] = true;
    return 1;
}

static VTermRect Clip(const Screen *screen, VTermRect rect)
{
    rect.start_row = rect.start_row < 0 ? 0 : rect.start_row;
    rect.start_col = rect.start_col < 0 ? 0 : rect.start_col;
    rect.end_row = (int)Least((uint32_t)(rect.end_row < 0 ? 0 : rect.end_row), screen->Rows);
    rect.end_col = (int)Least((uint32_t)(rect.end_col < 0 ? 0 : rect.end_col), screen->Columns);
    return rect;
}

static int Erase(VTermRect rect, int selective, void *user)
{
    Screen *screen = user;
    Cell blank = BlankCell(screen);
    rect = Clip(screen, rect);
    for (int row = rect.start_row; row < rect.end_row && rect.start_col < rect.end_col; row++) {
        Line *line = RowOf(screen, row);
        bool toEnd = rect.end_col == (int)screen->Columns;
        Fill(line, (uint32_t)rect.start_col, toEnd ? line->Capacity : (uint32_t)rect.end_col,
             blank);
        if (toEnd)
            line->Wrapped = false;
        Touch(screen, row);
    }
    return 1;
}

// Cells of the same screen; both rectangles have one size.
static int MoveCells(VTermRect to, VTermRect from, void *user)
{
    Screen *screen = user;
    int rows = to.end_row - to.start_row;
    size_t bytes = (size_t)(to.end_col - to.start_col) * sizeof(Cell);
    for (int i = 0; i < rows; i++) {
        int at = to.start_row < from.start_row ? i : rows - 1 - i;
        memmove(&RowOf(screen, to.start_row + at)->Cells[to.start_col],
                &RowOf(screen, from.start_row + at)->Cells[from.start_col], bytes);
        Touch(screen, to.start_row + at);
    }
    return 1;
}

static void SwapLines(Line **lines, int from, int to)
{
    for (; from < to; from++, to--) {
        Line *line = lines[from];
        lines[from] = lines[to];
        lines[to] = line;
    }
}

// Turns lines[first..end) so that the one at first + by comes first.
static void Rotate(Line **lines, int first, int end, int by)
{
    SwapLines(lines, first, first + by - 1);
    SwapLines(lines, first + by, end - 1);
    SwapLines(lines, first, end - 1);
}

static void BlankRows(Screen *screen, int first, int end)
{
    Cell blank = BlankCell(screen);
    for (int row = first; row < end; row++) {
        Line *line = RowOf(screen, row);
        Fill(line, 0, line->Capacity, blank);
        line->Wrapped = false;
    }
}

// Whole rows move: up into the history, or within the screen.
static void ScrollRows(Screen *screen, int first, int end, int by)
{
    Line **lines = screen->Lines[screen->Shown];
    int height = end - first;
    if (by > 0) {
        by = by < height ? by : height;
        for (int i = 0; i < by && first == 0 && screen->Shown == 0; i++)
            Remember(screen, lines[i]);
        Rotate(lines, first, end, by);
        BlankRows(screen, end - by, end);
    } else {
        by = -by < height ? -by : height;
        Rotate(lines, first, end, height - by);
        BlankRows(screen, first, first + by);
    }
}

static int ScrollRect(VTermRect rect, int downward, int rightward, void *user)
{
    Screen *screen = user;
    VTermRect clipped = Clip(screen, rect);
    if (clipped.start_row >= clipped.end_row || clipped.start_col >= clipped.end_col)
        return 1;
    bool wholeRows = clipped.start_col == 0 && clipped.end_col == (int)screen->Columns;
    if (rightward != 0 || !wholeRows) {
        vterm_scroll_rect(clipped, downward, rightward, MoveCells, Erase, screen);
        return 1;
    }
    bool remembered = clipped.start_row == 0 && downward > 0 && screen->Shown == 0;
    if (screen->Selected && !(remembered && clipped.end_row == (int)screen->Rows))
        ScreenDeselect(screen); // the text moves against its numbers
    ScrollRows(screen, clipped.start_row, clipped.end_row, downward);
    screen->EdgeRow = screen->EdgeRow >= downward ? screen->EdgeRow - downward : -1;
    screen->AllDirty = true;
    return 1;
}

static uint32_t ToRgb(const Screen *screen, VTermColor color)
{
    vterm_state_convert_color_to_rgb(screen->State, &color);
    return (uint32_t)color.rgb.red << 16 | (uint32_t)color.rgb.green << 8 | color.rgb.blue;
}

static void SetAttribute(Screen *screen, uint16_t attribute, bool set)
{
    screen->Pen.Attributes =
        (uint16_t)(set ? screen->Pen.Attributes | attribute : screen->Pen.Attributes & ~attribute);
}

static int SetPen(VTermAttr attribute, VTermValue *value, void *user)
{
    Screen *screen = user;
    switch (attribute) {
    case VTERM_ATTR_BOLD:
        SetAttribute(screen, CellBold, value->boolean);
        break;
    case VTERM_ATTR_UNDERLINE:
        SetAttribute(screen, CellUnderline,
                     value->number == VTERM_UNDERLINE_SINGLE ||
                         value->number == VTERM_UNDERLINE_CURLY);
        SetAttribute(screen, CellDoubleUnderline, value->number == VTERM_UNDERLINE_DOUBLE);
        break;
    case VTERM_ATTR_ITALIC:
        SetAttribute(screen, CellItalic, value->boolean);
        break;
    case VTERM_ATTR_REVERSE:
        SetAttribute(screen, CellReverse, value->boolean);
        break;
    case VTERM_ATTR_STRIKE:
        SetAttribute(screen, CellStrike, value->boolean);
        break;
    case VTERM_ATTR_FOREGROUND:
        SetAttribute(screen, CellDefaultInk, VTERM_COLOR_IS_DEFAULT_FG(&value->color));
        screen->Pen.Ink = ToRgb(screen, value->color);
        break;
    case VTERM_ATTR_BACKGROUND:
        SetAttribute(screen, CellDefaultPaper, VTERM_COLOR_IS_DEFAULT_BG(&value->color));
        screen->Pen.Paper = ToRgb(screen, value->color);
        break;
    default:
        break;
    }
    return 1;
}

static void ShowScreen(Screen *screen, int which)
{
    screen->Shown = which;
    screen->Scrolled = 0;
    screen->EdgeRow = -1;
    screen->AllDirty = true;
    ScreenDeselect(screen);
}

static int SetProperty(VTermProp property, VTermValue *value, void *user)
{
    Screen *screen = user;
    switch (property) {
    case VTERM_PROP_CURSORVISIBLE:
        screen->CursorShown = value->boolean;
        screen->AllDirty = true;
        break;
    case VTERM_PROP_CURSORSHAPE:
        screen->CursorShape = value->number;
        screen->AllDirty = true;
        break;
    case VTERM_PROP_ALTSCREEN:
        ShowScreen(screen, value->boolean ? 1 : 0);
        break;
    case VTERM_PROP_TITLE:
        strncpy(screen->Title, value->string, sizeof(screen->Title) - 1);
        screen->TitleChanged = true;
        break;
    case VTERM_PROP_REVERSE:
        screen->Reversed = value->boolean;
        screen->AllDirty = true;
        break;
    case VTERM_PROP_MOUSE:
        screen->MouseMode = value->number;
        break;
    default:
        break;
    }
    return 1;
}

static int Ring(void *user)
{
    ((Screen *)user)->Bells++;
    return 1;
}

// ---- size

static void CopyLine(Line *to, const Line *from)
{
    memcpy(to->Cells, from->Cells, Least(to->Capacity, from->Capacity) * sizeof(Cell));
    to->Wrapped = from->Wrapped;
}

// Fills prepared rows from what is there. The ordinary screen gives rows to the history from its
// top, so that the cursor stays in sight, or takes some back. By how much the text moved down.
static int RefillRows(Screen *screen, int which, uint32_t rows)
{
    Line **old = screen->Lines[which], **new = screen->Prepared[which];
    uint32_t shift = 0, pulled = 0;
    if (which == 0 && rows < screen->Rows) {
        uint32_t last = screen->Shown == 0 ? (uint32_t)screen->Cursor.row : screen->Rows - 1;
        shift = last >= rows ? last - rows + 1 : 0;
        for (uint32_t i = 0; i < shift; i++)
            Remember(screen, old[i]);
    } else if (which == 0) {
        pulled = Least(rows - screen->Rows, screen->HistoryCount);
        for (uint32_t i = pulled; i-- > 0;) {
            Line **slot = HistorySlot(screen, --screen->HistoryCount);
            CopyLine(new[i], *slot);
            free(*slot);
        }
    }
    for (uint32_t i = 0; i + shift < screen->Rows && i + pulled < rows; i++)
        CopyLine(new[i + pulled], old[i + shift]);
    return (int)pulled - (int)shift;
}

static int Resize(int rows, int columns, VTermPos *delta, void *user)
{
    Screen *screen = user;
    for (int which = 0; which < 2; which++) {
        int moved = RefillRows(screen, which, (uint32_t)rows);
        if (which == screen->Shown)
            delta->row = moved;
        FreeLines(screen->Lines[which], screen->Rows);
        screen->Lines[which] = screen->Prepared[which];
        screen->Prepared[which] = nullptr;
    }
    screen->Rows = (uint32_t)rows;
    screen->Columns = (uint32_t)columns;
    screen->Scrolled = 0;
    screen->EdgeRow = -1;
    return 1;
}

static uint32_t WidestLine(const Screen *screen, uint32_t columns)
{
    for (int which = 0; which < 2; which++)
        for (uint32_t i = 0; screen->Lines[which] != nullptr && i < screen->Rows; i++)
            if (screen->Lines[which][i]->Capacity > columns)
                columns = screen->Lines[which][i]->Capacity;
    return columns;
}

bool ScreenResize(Screen *screen, uint32_t columns, uint32_t rows)
{
    if (columns == 0 || rows == 0 || columns > SCREEN_MAXIMUM || rows > SCREEN_MAXIMUM)
        return false;
    bool *dirty = calloc(rows, sizeof(*dirty));
    for (int which = 0; which < 2; which++)
        screen->Prepared[which] = MakeLines(rows, WidestLine(screen, columns));
    if (dirty == nullptr || screen->Prepared[0] == nullptr || screen->Prepared[1] == nullptr) {
        free(dirty);
        for (int which = 0; which < 2; which++) {
            FreeLines(screen->Prepared[which], rows);
            screen->Prepared[which] = nullptr;
        }
        return false;
    }
    ScreenDeselect(screen);
    bool *before = screen->Dirty;
    screen->Dirty = dirty; // of both sizes: rows beyond are looked at only after the change
    if (rows < screen->Rows) {
        screen->Dirty = before;
        vterm_set_size(screen->Terminal, (int)rows, (int)columns);
        screen->Dirty = dirty;
    } else {
        vterm_set_size(screen->Terminal, (int)rows, (int)columns);
    }
    free(before);
    vterm_state_get_cursorpos(screen->State, &screen->Cursor);
    screen->AllDirty = true;
    return true;
}

// ---- the whole

static const VTermStateCallbacks callbacks = {
    .putglyph = PutGlyph,
    .movecursor = MoveCursor,
    .scrollrect = ScrollRect,
    .erase = Erase,
    .setpenattr = SetPen,
    .settermprop = SetProperty,
    .bell = Ring,
    .resize = Resize,
};

static void SetPalette(Screen *screen)
{
    VTermColor color;
    for (int i = 0; i < 16; i++) {
        vterm_color_rgb(&color, (uint8_t)(palette[i] >> 16), (uint8_t)(palette[i] >> 8),
                        (uint8_t)palette[i]);
        vterm_state_set_palette_color(screen->State, i, &color);
    }
    vterm_state_set_bold_highbright(screen->State, 1);
}

bool ScreenOpen(Screen *screen, uint32_t columns, uint32_t rows, ScreenReply *reply, void *context)
{
    *screen = (Screen){.Rows = rows, .Columns = columns, .EdgeRow = -1, .CursorShown = true};
    screen->Pen.Attributes = CellDefaultInk | CellDefaultPaper;
    screen->History = calloc(HISTORY_LINES, sizeof(*screen->History));
    screen->Lines[0] = MakeLines(rows, columns);
    screen->Lines[1] = MakeLines(rows, columns);
    screen->Dirty = calloc(rows, sizeof(*screen->Dirty));
    screen->Terminal = vterm_new((int)rows, (int)columns);
    if (screen->History == nullptr || screen->Lines[0] == nullptr || screen->Lines[1] == nullptr ||
        screen->Dirty == nullptr || screen->Terminal == nullptr) {
        ScreenClose(screen);
        return false;
    }
    vterm_set_utf8(screen->Terminal, 1);
    vterm_output_set_callback(screen->Terminal, reply, context);
    screen->State = vterm_obtain_state(screen->Terminal);
    vterm_state_set_callbacks(screen->State, &callbacks, screen);
    SetPalette(screen);
    vterm_state_reset(screen->State, 1);
    screen->AllDirty = true;
    return true;
}

void ScreenClose(Screen *screen)
{
    if (screen->Terminal != nullptr)
        vterm_free(screen->Terminal);
    for (uint32_t i = 0; screen->History != nullptr && i < screen->HistoryCount; i++)
        free(*HistorySlot(screen, i));
    free(screen->History);
    FreeLines(screen->Lines[0], screen->Rows);
    FreeLines(screen->Lines[1], screen->Rows);
    free(screen->Dirty);
    *screen = (Screen){};
}

// ---- bytes

// The bytes that may begin a sequence, and what has to follow (Unicode 15, table 3-7).
static bool Begin(Sequence *sequence, uint8_t byte)
{
    if (byte < 0xC2 || byte > 0xF4)
        return false;
    *sequence = (Sequence){.Bytes = {byte}, .Length = 1, .Low = 0x80, .High = 0xBF};
    sequence->Missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        sequence->Low = 0xA0;
    else if (byte == 0xED)
        sequence->High = 0x9F;
    else if (byte == 0xF0)
        sequence->Low = 0x90;
    else if (byte == 0xF4)
        sequence->High = 0x8F;
    return true;
}

// Takes a byte; puts what is complete into out, U+FFFD for what is wrong. The number of bytes, at
// most 4.
static size_t Filter(Sequence *sequence, uint8_t byte, char out[4])
{
    static const char replacement[3] = "\xEF\xBF\xBD";
    size_t length = 0;
    if (sequence->Missing > 0) {
        if (byte >= sequence->Low && byte <= sequence->High) {
            sequence->Bytes[sequence->Length++] = byte;
            sequence->Low = 0x80;
            sequence->High = 0xBF;
            if (--sequence->Missing > 0)
                return 0;
            memcpy(out, sequence->Bytes, sequence->Length);
            return sequence->Length;
        }
        sequence->Missing = 0;
        memcpy(out, replacement, length = sizeof replacement);
    }
    if (byte < 0x80) {
        out[length++] = (char)byte;
    } else if (!Begin(sequence, byte) && length == 0) {
        memcpy(out, replacement, length = sizeof replacement);
    }
    return length;
}

void ScreenWrite(Screen *screen, const char *bytes, size_t length)
{
    enum { Piece = 1024 }; // libvterm keeps the characters of a piece on the stack
    char piece[Piece + 4];
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        if (byte < 0x80 && screen->Sequence.Missing == 0)
            piece[used++] = (char)byte;
        else
            used += Filter(&screen->Sequence, byte, piece + used);
        if (used >= Piece) {
            vterm_input_write(screen->Terminal, piece, used);
            used = 0;
        }
    }
    if (used > 0)
        vterm_input_write(screen->Terminal, piece, used);
}

void ScreenScroll(Screen *screen, int64_t lines)
{
    int64_t to = (int64_t)screen->Scrolled + lines;
    int64_t most = screen->Shown == 0 ? screen->HistoryCount : 0;
    to = to < 0 ? 0 : to > most ? most : to;
    if ((uint32_t)to != screen->Scrolled)
        screen->AllDirty = true;
    screen->Scrolled = (uint32_t)to;
}

const Line *ScreenLineAt(const Screen *screen, uint64_t number)
{
    uint64_t index = number - screen->FirstLine;
    return index < screen->HistoryCount
               ? *HistorySlot(screen, (uint32_t)index)
               : screen->Lines[screen->Shown][index - screen->HistoryCount];
}

uint64_t ScreenLineNumber(const Screen *screen, uint32_t row)
{
    return screen->FirstLine + screen->HistoryCount - screen->Scrolled + row;
}

const Line *ScreenLine(const Screen *screen, uint32_t row)
{
    return ScreenLineAt(screen, ScreenLineNumber(screen, row));
}
