// edit.c - see edit.h.
//
// After each piece of input the whole line is drawn again: up to the prompt's first row, prompt and
// text, erase what is behind, back to the cursor. Rows are counted, not asked for: a row ends at
// Columns. A text that ends exactly there gets a line end, so that the cursor's place is certain.
//
// Keys: Left Right Home End, Control+A E B F; Backspace, Delete, Control+D H; Control+K U W and
// Alt+D cut, Control+Y puts back; Alt+B F and Control+Left Right go by words; Up Down, Control+P N
// through the history; Control+R searches it; Tab completes; Control+L clears the screen.
// SPDX-License-Identifier: MIT
#include "edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY(c) ((c) - '@') // Control with a letter

// ---- output

static void Flush(Editor *editor)
{
    if (editor->OutputLength > 0)
        editor->Hooks.Write(editor->Hooks.Context, editor->Output, editor->OutputLength);
    editor->OutputLength = 0;
}

static void Emit(Editor *editor, const char *text, size_t length)
{
    while (length > 0) {
        size_t room = sizeof editor->Output - editor->OutputLength;
        size_t part = length < room ? length : room;
        memcpy(editor->Output + editor->OutputLength, text, part);
        editor->OutputLength += part;
        text += part;
        length -= part;
        if (editor->OutputLength == sizeof editor->Output)
            Flush(editor);
    }
}

static void Say(Editor *editor, const char *text)
{
    Emit(editor, text, strlen(text));
}

// Escape sequence that moves by count; nothing for 0.
static void Move(Editor *editor, size_t count, char direction)
{
    char text[32];
    if (count > 0)
        Emit(editor, text, (size_t)snprintf(text, sizeof text, "\x1B[%zu%c", count, direction));
}

// ---- characters

static bool IsContinuation(char c)
{
    return ((uint8_t)c & 0xC0) == 0x80;
}

static size_t NextPlace(const Editor *editor, size_t at)
{
    if (at < editor->Length)
        at++;
    while (at < editor->Length && IsContinuation(editor->Text[at]))
        at++;
    return at;
}

static size_t PreviousPlace(const Editor *editor, size_t at)
{
    if (at > 0)
        at--;
    while (at > 0 && IsContinuation(editor->Text[at]))
        at--;
    return at;
}

static bool IsWordByte(char c)
{
    return (uint8_t)c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

static size_t NextWord(const Editor *editor, size_t at)
{
    while (at < editor->Length && !IsWordByte(editor->Text[at]))
        at++;
    while (at < editor->Length && IsWordByte(editor->Text[at]))
        at++;
    return at;
}

static size_t PreviousWord(const Editor *editor, size_t at)
{
    while (at > 0 && !IsWordByte(editor->Text[at - 1]))
        at--;
    while (at > 0 && IsWordByte(editor->Text[at - 1]))
        at--;
    return at;
}

// Behind an escape sequence that begins at text.
static const char *SkipSequence(const char *text)
{
    text++;
    if (*text == ']') { // OSC, up to BEL or ESC backslash
        while (*text && *text != 7 && !(*text == 0x1B && text[1] == '\\'))
            text++;
        return *text == 0x1B ? text + 2 : text + (*text != '\0');
    }
    if (*text != '[')
        return text + (*text != '\0');
    for (text++; *text && !(*text >= '@' && *text <= '~'); text++)
        ;
    return text + (*text != '\0');
}

// Columns of the character whose first byte stands at text: 0 for marks that combine, 2 for East
// Asian ones.
static size_t CharacterWidth(const char *text)
{
    uint32_t lead = (uint8_t)text[0], second = (uint8_t)text[lead >= 0xC0];
    if (lead < 0x80)
        return 1;
    if (IsContinuation(text[0]) || (lead == 0xCC) || (lead == 0xCD && second < 0xB0))
        return 0;
    if ((lead >= 0xE4 && lead <= 0xED) || (lead == 0xE3 && second >= 0x81) || lead >= 0xF0 ||
        (lead == 0xEF && second >= 0xBC && second < 0xBE))
        return 2;
    return 1;
}

typedef struct Place {
    size_t Row, Column;
} Place;

// Where the cursor is behind text[0..length), which begins at `place`.
static Place Walk(const Editor *editor, Place place, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        if (*text == 0x1B) {
            text = SkipSequence(text);
            continue;
        }
        size_t width = *text == '\n' ? 0 : CharacterWidth(text);
        if (*text == '\n' || place.Column + width > editor->Columns)
            place = (Place){place.Row + 1, 0};
        place.Column += width;
        text++;
    }
    return place;
}

size_t EditMeasure(const char *text)
{
    size_t width = 0;
    while (*text)
        if (*text == 0x1B)
            text = SkipSequence(text);
        else
            width += CharacterWidth(text++);
    return width;
}

// ---- drawing

static void DrawText(Editor *editor, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n')
            Say(editor, "\x1B[K\r\n");
        else if ((uint8_t)text[i] < ' ')
            Say(editor, "?");
        else
            Emit(editor, &text[i], 1);
}

static void Draw(Editor *editor, const char *prompt)
{
    Place start = Walk(editor, (Place){}, prompt, strlen(prompt));
    Place cursor = Walk(editor, start, editor->Text, editor->Cursor);
    Place end = Walk(editor, start, editor->Text, editor->Length);
    Move(editor, editor->ShownRow, 'A');
    Say(editor, "\r");
    Say(editor, prompt);
    DrawText(editor, editor->Text, editor->Length);
    if (end.Column == editor->Columns) {
        Say(editor, "\r\n");
        end = (Place){end.Row + 1, 0};
    }
    if (cursor.Column == editor->Columns)
        cursor = (Place){cursor.Row + 1, 0};
    Say(editor, "\x1B[J");
    Move(editor, end.Row - cursor.Row, 'A');
    Say(editor, "\r");
    Move(editor, cursor.Column, 'C');
    editor->ShownRow = cursor.Row;
}

static void Refresh(Editor *editor)
{
    char prompt[sizeof editor->Query + 64];
    if (editor->Searching) {
        snprintf(prompt, sizeof prompt, "\x1B[2m(search)\x1B[0m '%.*s': ", (int)editor->QueryLength,
                 editor->Query);
        Draw(editor, prompt);
    } else {
        Draw(editor, editor->Prompt);
    }
}

// Leaves the line on the screen, with the cursor below it.
static void Leave(Editor *editor)
{
    editor->Searching = false;
    editor->Cursor = editor->Length;
    Refresh(editor);
    Say(editor, "\r\n");
    Flush(editor);
}

// ---- changes

static void Insert(Editor *editor, const char *text, size_t length)
{
    if (length > sizeof editor->Text - 1 - editor->Length)
        return;
    memmove(editor->Text + editor->Cursor + length, editor->Text + editor->Cursor,
            editor->Length - editor->Cursor);
    memcpy(editor->Text + editor->Cursor, text, length);
    editor->Length += length;
    editor->Cursor += length;
    editor->Text[editor->Length] = '\0';
}

static void Remove(Editor *editor, size_t from, size_t to, bool keep)
{
    if (keep && to > from) {
        memcpy(editor->Killed, editor->Text + from, to - from);
        editor->Killed[to - from] = '\0';
    }
    memmove(editor->Text + from, editor->Text + to, editor->Length - to);
    editor->Length -= to - from;
    editor->Text[editor->Length] = '\0';
    editor->Cursor = from;
}

static void Replace(Editor *editor, const char *text)
{
    editor->Length = strnlen(text, sizeof editor->Text - 1);
    memcpy(editor->Text, text, editor->Length);
    editor->Text[editor->Length] = '\0';
    editor->Cursor = editor->Length;
}

// ---- history

static const char *GetHistory(Editor *editor, size_t index)
{
    return editor->Hooks.GetHistory(editor->Hooks.Context, index);
}

static void GoBack(Editor *editor)
{
    const char *line = GetHistory(editor, editor->HistoryAt);
    if (line == nullptr)
        return;
    if (editor->HistoryAt++ == 0)
        memcpy(editor->Saved, editor->Text, sizeof editor->Saved);
    Replace(editor, line);
}

static void GoForward(Editor *editor)
{
    if (editor->HistoryAt == 0)
        return;
    const char *line =
        --editor->HistoryAt == 0 ? editor->Saved : GetHistory(editor, editor->HistoryAt - 1);
    if (line != nullptr)
        Replace(editor, line);
}

// Finds the query in the line at `from` or an older one.
static void Search(Editor *editor, size_t from)
{
    const char *line;
    editor->Query[editor->QueryLength] = '\0';
    for (size_t i = from; (line = GetHistory(editor, i)) != nullptr; i++) {
        const char *found = strstr(line, editor->Query);
        if (found == nullptr)
            continue;
        editor->FoundAt = i;
        Replace(editor, line);
        if ((size_t)(found - line) <= editor->Length)
            editor->Cursor = (size_t)(found - line);
        return;
    }
}

static void StartSearch(Editor *editor)
{
    if (editor->Searching) {
        Search(editor, editor->FoundAt + 1);
        return;
    }
    memcpy(editor->Saved, editor->Text, sizeof editor->Saved);
    editor->Searching = true;
    editor->QueryLength = 0;
    editor->FoundAt = 0;
    editor->HistoryAt = 0;
}

// A byte while searching; false: it ends the search and means what it always does.
static bool SearchByte(Editor *editor, char c)
{
    if (c == KEY('R')) {
        StartSearch(editor);
    } else if (c == 127 || c == '\b') {
        while (editor->QueryLength > 0 && IsContinuation(editor->Query[--editor->QueryLength]))
            ;
        Search(editor, 0);
    } else if (c == KEY('G')) {
        editor->Searching = false;
        Replace(editor, editor->Saved);
    } else if ((uint8_t)c >= ' ') {
        if (editor->QueryLength < sizeof editor->Query - 1)
            editor->Query[editor->QueryLength++] = c;
        Search(editor, editor->FoundAt);
    } else {
        editor->Searching = false;
        return false;
    }
    return true;
}

// ---- completion

static void FreeCandidates(EditCandidates *candidates)
{
    for (size_t i = 0; i < candidates->Count; i++) {
        free(candidates->Inserts[i]);
        free(candidates->Shown[i]);
    }
    free(candidates->Inserts);
    free(candidates->Shown);
}

static size_t CommonLength(const EditCandidates *candidates)
{
    const char *first = candidates->Inserts[0];
    size_t common = strlen(first);
    for (size_t i = 1; i < candidates->Count; i++) {
        size_t length = 0;
        while (length < common && candidates->Inserts[i][length] == first[length])
            length++;
        common = length;
    }
    while (common > 0 && IsContinuation(first[common]))
        common--;
    return common;
}

// Below the line, in columns, read downwards.
static void ListCandidates(Editor *editor, const EditCandidates *candidates)
{
    enum { Most = 200 };
    size_t count = candidates->Count < Most ? candidates->Count : Most, width = 0;
    for (size_t i = 0; i < count; i++) {
        size_t own = EditMeasure(candidates->Shown[i]) + 2;
        width = own > width ? own : width;
    }
    size_t across = editor->Columns / width > 0 ? editor->Columns / width : 1;
    size_t rows = (count + across - 1) / across, end = editor->Cursor;
    editor->Cursor = editor->Length;
    Refresh(editor);
    Say(editor, "\r\n");
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < count; i += rows) {
            Say(editor, candidates->Shown[i]);
            for (size_t k = EditMeasure(candidates->Shown[i]); k < width && i + rows < count; k++)
                Say(editor, " ");
        }
        Say(editor, "\r\n");
    }
    if (count < candidates->Count)
        Say(editor, "...\r\n");
    editor->ShownRow = 0;
    editor->Cursor = end;
}

static void Complete(Editor *editor)
{
    EditCandidates candidates = {};
    editor->Hooks.Complete(editor->Hooks.Context, editor->Text, editor->Cursor, &candidates);
    if (candidates.Count > 0 && candidates.Start <= editor->Cursor) {
        size_t old = editor->Cursor - candidates.Start, common = CommonLength(&candidates);
        bool same = common == old &&
                    memcmp(editor->Text + candidates.Start, candidates.Inserts[0], old) == 0;
        if (candidates.Count > 1 && (same || common < old)) {
            ListCandidates(editor, &candidates);
        } else if (!same) {
            Remove(editor, candidates.Start, editor->Cursor, false);
            Insert(editor, candidates.Inserts[0], common);
        }
    } else {
        Say(editor, "\a");
    }
    FreeCandidates(&candidates);
}

// ---- keys

static void CutWordBack(Editor *editor)
{
    size_t from = editor->Cursor;
    while (from > 0 && editor->Text[from - 1] == ' ')
        from--;
    while (from > 0 && editor->Text[from - 1] != ' ')
        from--;
    Remove(editor, from, editor->Cursor, true);
}

static void ClearScreen(Editor *editor)
{
    Say(editor, "\x1B[H\x1B[2J");
    editor->ShownRow = 0;
}

static EditResult ControlByte(Editor *editor, char c)
{
    switch (c) {
    case '\r':
    case '\n':
        return EditLine;
    case KEY('C'):
        return EditCancel;
    case KEY('D'):
        if (editor->Length == 0)
            return EditEnd;
        Remove(editor, editor->Cursor, NextPlace(editor, editor->Cursor), false);
        break;
    case '\t':
        Complete(editor);
        break;
    case '\b':
    case 127:
        Remove(editor, PreviousPlace(editor, editor->Cursor), editor->Cursor, false);
        break;
    case KEY('A'):
        editor->Cursor = 0;
        break;
    case KEY('E'):
        editor->Cursor = editor->Length;
        break;
    case KEY('B'):
        editor->Cursor = PreviousPlace(editor, editor->Cursor);
        break;
    case KEY('F'):
        editor->Cursor = NextPlace(editor, editor->Cursor);
        break;
    case KEY('K'):
        Remove(editor, editor->Cursor, editor->Length, true);
        break;
    case KEY('U'):
        Remove(editor, 0, editor->Cursor, true);
        break;
    case KEY('W'):
        CutWordBack(editor);
        break;
    case KEY('Y'):
        Insert(editor, editor->Killed, strlen(editor->Killed));
        break;
    case KEY('L'):
        ClearScreen(editor);
        break;
    case KEY('P'):
        GoBack(editor);
        break;
    case KEY('N'):
        GoForward(editor);
        break;
    case KEY('R'):
        StartSearch(editor);
        break;
    default:
        break;
    }
    return EditMore;
}

// CSI with a final byte: cursor keys and what is numbered.
static void CsiKey(Editor *editor, int number, int modifiers, char final)
{
    bool byWord = modifiers > 1;
    if (final == '~')
        final = number == 1 || number == 7   ? 'H'
                : number == 4 || number == 8 ? 'F'
                : number == 3                ? 'X'
                                             : 0;
    switch (final) {
    case 'A':
        GoBack(editor);
        break;
    case 'B':
        GoForward(editor);
        break;
    case 'C':
        editor->Cursor =
            byWord ? NextWord(editor, editor->Cursor) : NextPlace(editor, editor->Cursor);
        break;
    case 'D':
        editor->Cursor =
            byWord ? PreviousWord(editor, editor->Cursor) : PreviousPlace(editor, editor->Cursor);
        break;
    case 'H':
        editor->Cursor = 0;
        break;
    case 'F':
        editor->Cursor = editor->Length;
        break;
    case 'X':
        Remove(editor, editor->Cursor, NextPlace(editor, editor->Cursor), false);
        break;
    default:
        break;
    }
}

static void AltKey(Editor *editor, char c)
{
    switch (c) {
    case 'b':
        editor->Cursor = PreviousWord(editor, editor->Cursor);
        break;
    case 'f':
        editor->Cursor = NextWord(editor, editor->Cursor);
        break;
    case 'd':
        Remove(editor, editor->Cursor, NextWord(editor, editor->Cursor), true);
        break;
    case 127:
    case '\b':
        Remove(editor, PreviousWord(editor, editor->Cursor), editor->Cursor, true);
        break;
    default:
        break;
    }
}

// A byte of an escape sequence, after the Escape.
static void SequenceByte(Editor *editor, char c)
{
    char *sequence = editor->Sequence;
    if (editor->SequenceLength < sizeof editor->Sequence - 1)
        sequence[editor->SequenceLength++] = c;
    sequence[editor->SequenceLength] = '\0';
    bool csi = sequence[1] == '[';
    if (editor->SequenceLength == 2 && (csi || c == 'O' || c == 0x1B)) {
        editor->SequenceLength -= c == 0x1B; // Escape twice is one
        return;
    }
    if (csi && !(c >= '@' && c <= '~'))
        return;
    editor->SequenceLength = 0;
    int number = 0, modifiers = 0;
    if (csi || sequence[1] == 'O') {
        sscanf(sequence + 2, "%5d;%5d", &number, &modifiers);
        if (csi && c == '~' && number == 200)
            editor->Pasting = true;
        else
            CsiKey(editor, number, modifiers, c);
    } else {
        AltKey(editor, c);
    }
}

// While pasting everything is text, up to the mark that ends it.
static void PasteByte(Editor *editor, char c)
{
    static const char end[] = "\x1B[201~";
    if (c == end[editor->SequenceLength]) {
        if (++editor->SequenceLength == sizeof end - 1) {
            editor->SequenceLength = 0;
            editor->Pasting = false;
        }
        return;
    }
    editor->SequenceLength = 0;
    c = c == '\r' ? '\n' : c == '\t' ? ' ' : c;
    if ((uint8_t)c >= ' ' || c == '\n')
        Insert(editor, &c, 1);
}

static EditResult TakeByte(Editor *editor, char c)
{
    if (editor->Pasting) {
        PasteByte(editor, c);
        return EditMore;
    }
    if (editor->SequenceLength > 0) {
        SequenceByte(editor, c);
        return EditMore;
    }
    if (editor->Searching && SearchByte(editor, c))
        return EditMore;
    if (c == 0x1B) {
        editor->Sequence[0] = c;
        editor->SequenceLength = 1;
        return EditMore;
    }
    if ((uint8_t)c < ' ' || c == 127)
        return ControlByte(editor, c);
    Insert(editor, &c, 1);
    return EditMore;
}

// ---- the whole

void EditStart(Editor *editor, const EditHooks *hooks, const char *prompt, size_t columns)
{
    char killed[sizeof editor->Killed];
    memcpy(killed, editor->Killed, sizeof killed);
    memset(editor, 0, sizeof *editor);
    memcpy(editor->Killed, killed, sizeof killed);
    editor->Hooks = *hooks;
    editor->Columns = columns < 4 ? 4 : columns;
    snprintf(editor->Prompt, sizeof editor->Prompt, "%s", prompt);
    Refresh(editor);
    Flush(editor);
}

void EditRedraw(Editor *editor)
{
    editor->ShownRow = 0;
    Refresh(editor);
    Flush(editor);
}

EditResult EditFeed(Editor *editor, const char *bytes, size_t length, size_t *used)
{
    for (*used = 0; *used < length;) {
        EditResult result = TakeByte(editor, bytes[(*used)++]);
        if (result == EditMore)
            continue;
        if (result == EditCancel) {
            editor->Searching = false;
            editor->Cursor = editor->Length;
            Refresh(editor);
            Say(editor, "^C\r\n");
            Flush(editor);
        } else {
            Leave(editor);
        }
        return result;
    }
    Refresh(editor);
    Flush(editor);
    return EditMore;
}
