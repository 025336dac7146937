// discipline.c - see discipline.h.
// SPDX-License-Identifier: MIT
#include "discipline.h"

enum {
    EndOfFile = 0x100, // in the queue
    ControlC = 3,
    ControlD = 4,
    ControlU = 21,
    ControlW = 23,
    Delete = 127,
};

static void MakeReady(FspDiscipline *discipline, uint16_t item)
{
    if (discipline->Tail - discipline->Head < FSP_READY_SIZE)
        discipline->Ready[discipline->Tail++ % FSP_READY_SIZE] = item;
}

static void MakeLineReady(FspDiscipline *discipline)
{
    for (uint32_t i = 0; i < discipline->Length; i++)
        MakeReady(discipline, discipline->Line[i]);
    discipline->Length = 0;
}

// How a byte is shown: control characters as ^X, the rest as it is.
static void Show(const FspDiscipline *discipline, uint8_t byte, FspEcho *echo, void *context)
{
    char text[2] = {(char)byte};
    if (!(discipline->Mode & ConsoleEcho))
        return;
    if (byte == '\n') {
        echo(context, "\r\n", 2);
    } else if (byte < ' ' && byte != '\t') {
        text[0] = '^';
        text[1] = (char)(byte + '@');
        echo(context, text, 2);
    } else {
        echo(context, text, 1);
    }
}

static bool IsContinuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

// Takes back the last character of the line and what shows it.
static void Erase(FspDiscipline *discipline, FspEcho *echo, void *context)
{
    if (discipline->Length == 0)
        return;
    while (discipline->Length > 1 && IsContinuation(discipline->Line[discipline->Length - 1]))
        discipline->Length--;
    uint8_t byte = discipline->Line[--discipline->Length];
    if (!(discipline->Mode & ConsoleEcho))
        return;
    echo(context, "\b \b", 3);
    if (byte < ' ' && byte != '\t')
        echo(context, "\b \b", 3);
}

static void EraseWord(FspDiscipline *discipline, FspEcho *echo, void *context)
{
    while (discipline->Length > 0 && discipline->Line[discipline->Length - 1] == ' ')
        Erase(discipline, echo, context);
    while (discipline->Length > 0 && discipline->Line[discipline->Length - 1] != ' ')
        Erase(discipline, echo, context);
}

static void TypeIntoLine(FspDiscipline *discipline, uint8_t byte, FspEcho *echo, void *context)
{
    switch (byte) {
    case '\b':
    case Delete:
        Erase(discipline, echo, context);
        return;
    case ControlW:
        EraseWord(discipline, echo, context);
        return;
    case ControlU:
        while (discipline->Length > 0)
            Erase(discipline, echo, context);
        return;
    case ControlD:
        if (discipline->Length == 0)
            MakeReady(discipline, EndOfFile);
        MakeLineReady(discipline);
        return;
    case '\r':
    case '\n':
        Show(discipline, '\n', echo, context);
        MakeLineReady(discipline);
        MakeReady(discipline, '\n');
        return;
    default:
        if (discipline->Length == FSP_LINE_SIZE)
            return;
        discipline->Line[discipline->Length++] = byte;
        Show(discipline, byte, echo, context);
    }
}

bool FspType(FspDiscipline *discipline, uint8_t byte, FspEcho *echo, void *context)
{
    if (byte == ControlC && (discipline->Mode & ConsoleInterrupt)) {
        discipline->Length = 0;
        discipline->Head = discipline->Tail;
        Show(discipline, byte, echo, context);
        Show(discipline, '\n', echo, context);
        return true;
    }
    if (discipline->Mode & ConsoleLineInput) {
        TypeIntoLine(discipline, byte, echo, context);
    } else {
        MakeReady(discipline, byte);
        Show(discipline, byte, echo, context);
    }
    return false;
}

bool FspIsInputFull(const FspDiscipline *discipline)
{
    return discipline->Tail - discipline->Head + FSP_LINE_SIZE >= FSP_READY_SIZE;
}

bool FspHasInput(const FspDiscipline *discipline)
{
    return discipline->Head != discipline->Tail;
}

bool FspTakeInput(FspDiscipline *discipline, uint8_t *buffer, size_t size, size_t *taken)
{
    *taken = 0;
    while (*taken < size && FspHasInput(discipline)) {
        uint16_t item = discipline->Ready[discipline->Head % FSP_READY_SIZE];
        if (item == EndOfFile && *taken != 0)
            break; // the next read's
        discipline->Head++;
        if (item == EndOfFile)
            return false;
        buffer[(*taken)++] = (uint8_t)item;
        if (item == '\n' && (discipline->Mode & ConsoleLineInput))
            break;
    }
    return true;
}

void FspSetMode(FspDiscipline *discipline, uint32_t mode)
{
    if (!(mode & ConsoleLineInput))
        MakeLineReady(discipline);
    discipline->Mode = mode;
}
