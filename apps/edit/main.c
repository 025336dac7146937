// main.c - edit.exe: a text editor for the terminal.
//
//   edit FILE
//
// The text and its changes are text.c, the picture is view.c; here are the keys, the file and the
// two questions that are asked in the last row: what to find, and whether to give changes up. A
// file is written under another name first, so that a full disk costs nothing that was there.
// SPDX-License-Identifier: MIT
#include "MetalOS.h"
#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS "^S save  ^Q leave  ^F find  ^G next  ^Z undo  ^Y redo  ^K cut line  ^U put it back"

enum { LargestFile = 64 << 20, PieceSize = 64 << 10 };

typedef enum Asking { AskNothing, AskFind, AskLeave } Asking;

static Text text;
static View view;
static Handle console;
static size_t cursor, goal; // goal: the column that up and down keep to
static Asking asking;
static char path[MaximumPath], message[MaximumPath + 128], needle[128];
static char *cut; // heap: lines that were cut
static size_t cutLength;
static bool cutting, pasting, leaving;

// ---- the file

static const char *Explain(Status status)
{
    const char *words = GetStatusText(status), *colon = strstr(words, ": ");
    return colon == nullptr ? words : colon + 2;
}

static Status ReadAll(Handle file, char **bytes, size_t *length)
{
    FileInfo info;
    Status status = GetFileInfo(file, &info);
    if (status != StatusSuccess || info.Size > LargestFile)
        return status == StatusSuccess ? StatusFileTooLarge : status;
    *length = 0;
    *bytes = malloc((size_t)info.Size + 1);
    if (*bytes == nullptr)
        return StatusNoMemory;
    while (status == StatusSuccess && *length < info.Size) {
        size_t moved = 0;
        status = ReadFile(file, *bytes + *length, (size_t)info.Size - *length, &moved);
        *length += moved;
    }
    if (status == StatusSuccess || status == StatusEndOfFile)
        return StatusSuccess;
    free(*bytes);
    return status;
}

static Status Load(void)
{
    FileInfo info;
    Handle file;
    char *bytes = nullptr;
    size_t length = 0;
    Status status = GetPathInfo(path, &info);
    if (status == StatusSuccess && (info.Attributes & FileAttributeDirectory))
        return StatusIsADirectory;
    if (status == StatusSuccess)
        status = CreateFile(path, FileRead, FileOpenExisting, &file);
    if (status == StatusSuccess) {
        status = ReadAll(file, &bytes, &length);
        (void)CloseHandle(file);
    } else if (status == StatusNotFound) {
        bytes = malloc(1);
        status = bytes == nullptr ? StatusNoMemory : StatusSuccess;
        strcpy(message, "a new file");
    }
    if (status == StatusSuccess)
        TextOpen(&text, bytes, length);
    return status;
}

static Status WriteAll(const char *to)
{
    Handle file;
    Status status = CreateFile(to, FileWrite, FileCreateAlways, &file);
    if (status != StatusSuccess)
        return status;
    for (size_t at = 0, moved; at < text.Length && status == StatusSuccess; at += moved) {
        size_t size = text.Length - at < PieceSize ? text.Length - at : PieceSize;
        status = WriteFile(file, text.Bytes + at, size, &moved);
    }
    if (status == StatusSuccess)
        status = FlushFile(file);
    (void)CloseHandle(file);
    return status;
}

static void Save(void)
{
    char fresh[MaximumPath];
    Status status = StatusNameTooLong;
    if (snprintf(fresh, sizeof fresh, "%s.new", path) < (int)sizeof fresh) {
        status = WriteAll(fresh);
        if (status == StatusSuccess)
            status = MoveFile(fresh, path);
        if (status != StatusSuccess)
            (void)DeleteFile(fresh);
    }
    if (status == StatusSuccess)
        TextSetSaved(&text);
    snprintf(message, sizeof message,
             status == StatusSuccess ? "saved: %zu bytes%s" : "not saved, %zu bytes: %s",
             text.Length, status == StatusSuccess ? "" : Explain(status));
}

// ---- the picture

static size_t LineNumber(void)
{
    size_t line = 1;
    for (size_t i = 0; i < cursor; i++)
        line += text.Bytes[i] == '\n';
    return line;
}

static void Draw(void)
{
    char title[MaximumPath + 128], question[256];
    ConsoleInfo info;
    size_t moved;
    if (GetConsoleInfo(console, &info) == StatusSuccess) {
        view.Columns = info.Columns;
        view.Rows = info.Rows;
    }
    snprintf(title, sizeof title, " %s%s   line %zu, column %zu", TextIsChanged(&text) ? "* " : "",
             path, LineNumber(), TextColumn(&text, cursor) + 1);
    snprintf(question, sizeof question, "find: %s", needle);
    const char *last = asking == AskFind    ? question
                       : asking == AskLeave ? "changes are not saved: leave without them? y, n"
                       : message[0] != '\0' ? message
                                            : KEYS;
    ViewDraw(&view, &text, cursor, title, last, asking == AskFind);
    if (!view.Failed)
        (void)WriteFile(console, view.Output, view.Length, &moved);
    message[0] = '\0';
}

// ---- what keys do

static void MoveTo(size_t at)
{
    cursor = at > text.Length ? text.Length : at;
    goal = TextColumn(&text, cursor);
}

static void Replace(size_t at, size_t remove, const char *insert, size_t length)
{
    if (TextReplace(&text, at, remove, insert, length))
        MoveTo(at + length);
    else
        strcpy(message, "out of memory");
}

static void MoveLines(size_t count, bool down)
{
    size_t line = TextLineStart(&text, cursor);
    while (count-- > 0) {
        size_t end = TextLineEnd(&text, line);
        if (down ? end == text.Length : line == 0)
            break;
        line = down ? end + 1 : TextLineStart(&text, line - 1);
    }
    cursor = TextAtColumn(&text, line, goal);
}

// A new line begins with the blanks that this one begins with.
static void BreakLine(void)
{
    char start[256] = "\n";
    size_t line = TextLineStart(&text, cursor), length = 1;
    while (length < sizeof start && line < cursor &&
           (text.Bytes[line] == ' ' || text.Bytes[line] == '\t'))
        start[length++] = text.Bytes[line++];
    Replace(cursor, 0, start, pasting ? 1 : length);
}

// Lines that are cut one after another are kept together.
static void CutLine(void)
{
    size_t start = TextLineStart(&text, cursor), end = TextLineEnd(&text, cursor);
    size_t length = end + (end < text.Length) - start, before = cutting ? cutLength : 0;
    char *grown = length == 0 ? nullptr : realloc(cut, before + length);
    if (grown == nullptr)
        return;
    memcpy(grown + before, text.Bytes + start, length);
    cut = grown;
    cutLength = before + length;
    Replace(start, length, "", 0);
    cutting = true;
}

static void FindNext(void)
{
    size_t found = TextFind(&text, cursor, needle);
    if (needle[0] == '\0')
        return;
    if (found == SIZE_MAX)
        snprintf(message, sizeof message, "'%s' is not in the text", needle);
    else
        MoveTo(found);
}

static void TakeBack(bool again)
{
    size_t at;
    if (again ? TextRedo(&text, &at) : TextUndo(&text, &at))
        MoveTo(at);
    else
        strcpy(message, again ? "nothing was taken back" : "there is nothing to take back");
}

static void Leave(void)
{
    leaving = !TextIsChanged(&text);
    asking = leaving ? AskNothing : AskLeave;
}

#define CONTROL(letter) ((letter) & 0x1F)

static void ControlKey(char key)
{
    size_t previous = TextPrevious(&text, cursor);
    switch (key) {
    case '\r':
    case '\n':
        BreakLine();
        break;
    case 0x7F:
    case '\b':
        Replace(previous, cursor - previous, "", 0);
        break;
    case CONTROL('S'):
        Save();
        break;
    case CONTROL('Q'):
    case CONTROL('X'):
        Leave();
        break;
    case CONTROL('F'):
        asking = AskFind;
        needle[0] = '\0';
        break;
    case CONTROL('G'):
        FindNext();
        break;
    case CONTROL('Z'):
        TakeBack(false);
        break;
    case CONTROL('Y'):
        TakeBack(true);
        break;
    case CONTROL('K'):
        CutLine();
        break;
    case CONTROL('U'):
        Replace(cursor, 0, cut, cutLength);
        break;
    case CONTROL('A'):
        MoveTo(TextLineStart(&text, cursor));
        break;
    case CONTROL('E'):
        MoveTo(TextLineEnd(&text, cursor));
        break;
    case CONTROL('C'):
        strcpy(message, "Control+Q leaves");
        break;
    default:
        break;
    }
}

// A key in the last row. An answer of one letter, or text to look for.
static void AnswerKey(char key)
{
    size_t length = strlen(needle);
    if (asking == AskLeave) {
        leaving = key == 'y' || key == 'Y';
        asking = AskNothing;
    } else if (key == '\r' || key == '\n') {
        asking = AskNothing;
        FindNext();
    } else if (key == CONTROL('C') || key == CONTROL('G')) {
        asking = AskNothing;
    } else if (key == 0x7F || key == '\b') {
        while (length > 0 && (needle[--length] & 0xC0) == 0x80)
            ;
        needle[length] = '\0';
    } else if ((unsigned char)key >= ' ' && length + 1 < sizeof needle) {
        needle[length] = key;
        needle[length + 1] = '\0';
    }
}

// An escape sequence: its final byte and its numbers, as xterm sends them.
static void SequenceKey(char final, unsigned number, unsigned modifier)
{
    bool control = modifier == 5;
    size_t page = view.Rows > 4 ? view.Rows - 3 : 1;
    if (final == 'A' || final == 'B')
        MoveLines(1, final == 'B');
    else if (final == 'C')
        MoveTo(control ? TextNextWord(&text, cursor) : TextNext(&text, cursor));
    else if (final == 'D')
        MoveTo(control ? TextPreviousWord(&text, cursor) : TextPrevious(&text, cursor));
    else if (final == 'H' || (final == '~' && number == 1))
        MoveTo(control ? 0 : TextLineStart(&text, cursor));
    else if (final == 'F' || (final == '~' && number == 4))
        MoveTo(control ? text.Length : TextLineEnd(&text, cursor));
    else if (final == '~' && (number == 5 || number == 6))
        MoveLines(page, number == 6);
    else if (final == '~' && number == 3)
        Replace(cursor, TextNext(&text, cursor) - cursor, "", 0);
    else if (final == '~' && (number == 200 || number == 201))
        pasting = number == 200;
}

// ---- bytes from the terminal

// Takes an escape sequence from bytes that begin with one; its length, 0: there must be more.
static size_t TakeSequence(const char *bytes, size_t length)
{
    unsigned numbers[2] = {}, index = 0;
    size_t at = 2;
    if (length == 1)
        return 0;
    if (bytes[1] != '[' && bytes[1] != 'O')
        return 1; // Escape alone
    for (; at < length && ((bytes[at] >= '0' && bytes[at] <= '9') || bytes[at] == ';'); at++)
        if (bytes[at] == ';')
            index = 1;
        else
            numbers[index] = (numbers[index] * 10 + (unsigned)(bytes[at] - '0')) % 10000;
    if (at == length)
        return length < 32 ? 0 : length;
    if (asking == AskNothing)
        SequenceKey(bytes[at], numbers[0], numbers[1]);
    return at + 1;
}

// Takes as many bytes as belong to whole keys; how many.
static size_t TakeKeys(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && !leaving) {
        char key = bytes[at];
        if (key == '\x1B') {
            size_t used = TakeSequence(bytes + at, length - at);
            if (used == 0 && length - at == 1 && asking != AskNothing) { // Escape ends a question
                asking = AskNothing;
                used = 1;
            }
            if (used == 0)
                break;
            at += used;
            cutting = false;
            continue;
        }
        cutting &= key == CONTROL('K');
        if (asking != AskNothing)
            AnswerKey(key);
        else if (((unsigned char)key >= ' ' && key != 0x7F) || key == '\t')
            Replace(cursor, 0, &key, 1);
        else
            ControlKey(key);
        at++;
    }
    return at;
}

static void Run(void)
{
    char bytes[4096];
    size_t count = 0, moved;
    while (!leaving) {
        Draw();
        if (ReadFile(console, bytes + count, sizeof bytes - count, &moved) != StatusSuccess)
            break;
        count += moved;
        size_t used = TakeKeys(bytes, count);
        count -= used;
        memmove(bytes, bytes + used, count);
    }
}

int main(int argc, char **argv)
{
    ConsoleInfo info;
    size_t moved;
    console = GetStandardHandle(StandardInput);
    if (argc != 2 || strcmp(argv[1], "--help") == 0) {
        fprintf(argc == 2 ? stdout : stderr, "edit FILE\n    changes a text in the terminal: %s\n",
                KEYS);
        return argc == 2 ? 0 : 2;
    }
    if (console == InvalidHandle || GetConsoleInfo(console, &info) != StatusSuccess) {
        fputs("edit: the input is no terminal\n", stderr);
        return 2;
    }
    if (snprintf(path, sizeof path, "%s", argv[1]) >= (int)sizeof path) {
        fputs("edit: the name is too long\n", stderr);
        return 1;
    }
    Status status = Load();
    if (status != StatusSuccess) {
        fprintf(stderr, "edit: %s: %s\n", path, Explain(status));
        return 1;
    }
    static const char begin[] = "\x1B[?1049h\x1B[?2004h", end[] = "\x1B[?2004l\x1B[?1049l";
    (void)SetConsoleMode(console, ConsoleNewLine);
    (void)WriteFile(console, begin, sizeof begin - 1, &moved);
    Run();
    (void)WriteFile(console, end, sizeof end - 1, &moved);
    (void)SetConsoleMode(console, info.Mode);
    TextClose(&text);
    ViewFree(&view);
    free(cut);
    return 0;
}
