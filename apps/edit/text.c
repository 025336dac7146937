// text.c - see text.h. The text is one block of bytes: moving what is behind the cursor takes less
// time than a person needs to notice for any text a person writes.
// SPDX-License-Identifier: MIT
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { TabWidth = 8 };

void TextOpen(Text *text, char *bytes, size_t length)
{
    *text = (Text){.Bytes = bytes, .Length = length, .Capacity = length + 1};
    bytes[length] = '\0';
}

static void ForgetChanges(Text *text, size_t from)
{
    while (text->ChangeCount > from)
        free(text->Changes[--text->ChangeCount].Bytes);
}

void TextClose(Text *text)
{
    ForgetChanges(text, 0);
    free(text->Changes);
    free(text->Bytes);
    *text = (Text){};
}

// ---- changes

static bool Reserve(Text *text, size_t length)
{
    if (length < text->Capacity)
        return true;
    size_t capacity = length + length / 2 + 256;
    char *grown = realloc(text->Bytes, capacity);
    if (grown == nullptr)
        return false;
    text->Bytes = grown;
    text->Capacity = capacity;
    return true;
}

// There is room.
static void Exchange(Text *text, size_t at, size_t remove, const char *insert, size_t length)
{
    memmove(text->Bytes + at + length, text->Bytes + at + remove, text->Length - at - remove + 1);
    if (length > 0)
        memcpy(text->Bytes + at, insert, length);
    text->Length += length - remove;
}

// Makes what was typed a part of the last change. False: it is none, or there is no memory.
static bool Continue(Text *text, size_t at, size_t remove, const char *insert, size_t length)
{
    Change *last = text->Done == 0 ? nullptr : &text->Changes[text->Done - 1];
    if (last == nullptr || text->Done == text->Saved || remove > 0 || last->Removed > 0 ||
        at != last->At + last->Inserted || memchr(insert, '\n', length) != nullptr ||
        (last->Inserted > 0 && last->Bytes[last->Inserted - 1] == '\n'))
        return false;
    char *grown = realloc(last->Bytes, last->Inserted + length + 1);
    if (grown == nullptr)
        return false;
    memcpy(grown + last->Inserted, insert, length);
    last->Bytes = grown;
    last->Inserted += length;
    return true;
}

static bool Record(Text *text, size_t at, size_t remove, const char *insert, size_t length)
{
    ForgetChanges(text, text->Done);
    if (text->Saved > text->Done)
        text->Saved = SIZE_MAX;
    if (Continue(text, at, remove, insert, length))
        return true;
    Change *grown = realloc(text->Changes, (text->ChangeCount + 1) * sizeof(*grown));
    char *bytes = grown == nullptr ? nullptr : malloc(remove + length + 1);
    text->Changes = grown == nullptr ? text->Changes : grown;
    if (bytes == nullptr)
        return false;
    memcpy(bytes, text->Bytes + at, remove);
    if (length > 0)
        memcpy(bytes + remove, insert, length);
    text->Changes[text->ChangeCount++] = (Change){at, remove, length, bytes};
    text->Done++;
    return true;
}

bool TextReplace(Text *text, size_t at, size_t remove, const char *insert, size_t length)
{
    if (remove == 0 && length == 0)
        return true;
    if (!Reserve(text, text->Length - remove + length) || !Record(text, at, remove, insert, length))
        return false;
    Exchange(text, at, remove, insert, length);
    return true;
}

bool TextUndo(Text *text, size_t *at)
{
    if (text->Done == 0)
        return false;
    const Change *change = &text->Changes[text->Done - 1];
    if (!Reserve(text, text->Length - change->Inserted + change->Removed))
        return false;
    Exchange(text, change->At, change->Inserted, change->Bytes, change->Removed);
    *at = change->At + change->Removed;
    text->Done--;
    return true;
}

bool TextRedo(Text *text, size_t *at)
{
    if (text->Done == text->ChangeCount)
        return false;
    const Change *change = &text->Changes[text->Done];
    if (!Reserve(text, text->Length - change->Removed + change->Inserted))
        return false;
    Exchange(text, change->At, change->Removed, change->Bytes + change->Removed, change->Inserted);
    *at = change->At + change->Inserted;
    text->Done++;
    return true;
}

bool TextIsChanged(const Text *text)
{
    return text->Done != text->Saved;
}

void TextSetSaved(Text *text)
{
    text->Saved = text->Done;
}

// ---- places

size_t TextLineStart(const Text *text, size_t at)
{
    while (at > 0 && text->Bytes[at - 1] != '\n')
        at--;
    return at;
}

size_t TextLineEnd(const Text *text, size_t at)
{
    const char *end = memchr(text->Bytes + at, '\n', text->Length - at);
    return end == nullptr ? text->Length : (size_t)(end - text->Bytes);
}

// Bytes of the character at `at`; 1 where there is no valid one.
static size_t CharacterLength(const Text *text, size_t at)
{
    unsigned char first = (unsigned char)text->Bytes[at];
    size_t length = first >= 0xF0 && first < 0xF5 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 1;
    if (first >= 0xF5 || length > text->Length - at)
        return 1;
    for (size_t i = 1; i < length; i++)
        if ((text->Bytes[at + i] & 0xC0) != 0x80)
            return 1;
    return length;
}

size_t TextNext(const Text *text, size_t at)
{
    return at < text->Length ? at + CharacterLength(text, at) : at;
}

size_t TextPrevious(const Text *text, size_t at)
{
    for (size_t back = 4; back > 1; back--)
        if (at >= back && CharacterLength(text, at - back) == back)
            return at - back;
    return at > 0 ? at - 1 : 0;
}

static bool IsWordByte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c & 0x80);
}

size_t TextNextWord(const Text *text, size_t at)
{
    while (at < text->Length && IsWordByte(text->Bytes[at]))
        at++;
    while (at < text->Length && !IsWordByte(text->Bytes[at]))
        at++;
    return at;
}

size_t TextPreviousWord(const Text *text, size_t at)
{
    while (at > 0 && !IsWordByte(text->Bytes[at - 1]))
        at--;
    while (at > 0 && IsWordByte(text->Bytes[at - 1]))
        at--;
    return at;
}

static char Fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool StandsAt(const Text *text, size_t at, const char *needle)
{
    for (; *needle; needle++, at++)
        if (at >= text->Length || Fold(text->Bytes[at]) != Fold(*needle))
            return false;
    return true;
}

size_t TextFind(const Text *text, size_t from, const char *needle)
{
    for (size_t i = 1; i <= text->Length + 1 && *needle; i++) {
        size_t at = (from + i) % (text->Length + 1);
        if (StandsAt(text, at, needle))
            return at;
    }
    return SIZE_MAX;
}

// ---- columns

size_t TextCharacter(const Text *text, size_t at, size_t column, size_t *columns)
{
    unsigned char first = (unsigned char)text->Bytes[at];
    *columns = first == '\t' ? TabWidth - column % TabWidth : 1;
    return CharacterLength(text, at);
}

size_t TextColumn(const Text *text, size_t at)
{
    size_t column = 0, columns;
    for (size_t i = TextLineStart(text, at); i < at; column += columns)
        i += TextCharacter(text, i, column, &columns);
    return column;
}

size_t TextAtColumn(const Text *text, size_t line, size_t column)
{
    size_t end = TextLineEnd(text, line), reached = 0, columns;
    while (line < end) {
        size_t length = TextCharacter(text, line, reached, &columns);
        if (reached + columns > column)
            break;
        reached += columns;
        line += length;
    }
    return line;
}
