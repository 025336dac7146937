// script.c - runs texts: of a file, of a line. Everything that runs a text comes here, down to a
// function or `source` in the middle of another text, so this and run.c call each other.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

Shell TheShell;

// ---- what expansion asks

static const char *GetVariable(void *context, const char *name)
{
    static char number[24];
    if (name[0] >= '0' && name[0] <= '9') {
        size_t index = strtoul(name, nullptr, 10);
        return index <= TheShell.ArgumentCount ? TheShell.Arguments[index] : nullptr;
    }
    switch (name[0]) {
    case '?':
        snprintf(number, sizeof number, "%d", TheShell.LastCode);
        return number;
    case '#':
        snprintf(number, sizeof number, "%zu", TheShell.ArgumentCount);
        return number;
    case '$':
        snprintf(number, sizeof number, "%u", GetCurrentProcessId());
        return number;
    case '!':
        snprintf(number, sizeof number, "%u", TheShell.LastProcess);
        return number;
    default:
        return getenv(name);
    }
}

static void SetVariable(void *context, const char *name, const char *value)
{
    setenv(name, value, 1);
}

static char *RunCommand(void *context, const char *text, size_t length)
{
    return CaptureOutput(text, length, &TheShell.Standard);
}

static void ListDirectory(void *context, const char *path,
                          void (*found)(void *to, const char *name), void *to)
{
    DirectoryEntry entry;
    Handle directory;
    if (OpenDirectory(*path ? path : ".", &directory) != StatusSuccess)
        return;
    while (ReadDirectory(directory, &entry) == StatusSuccess)
        found(to, entry.Name);
    (void)CloseHandle(directory);
}

const ExpandHooks *GetHooks(void)
{
    static ExpandHooks hooks = {.GetVariable = GetVariable,
                                .SetVariable = SetVariable,
                                .RunCommand = RunCommand,
                                .ListDirectory = ListDirectory};
    hooks.ArgumentCount = TheShell.ArgumentCount;
    hooks.Arguments = TheShell.Arguments + 1;
    return &hooks;
}

// ---- texts and files

static size_t CountLines(const char *text, size_t length)
{
    size_t lines = 1;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

static void ComplainAt(const char *name, const char *text, size_t at, const char *message)
{
    if (name != nullptr)
        Complain(&TheShell.Standard, "%s:%zu: %s", name, CountLines(text, at), message);
    else
        Complain(&TheShell.Standard, "%s", message);
}

int RunText(const char *text, size_t length, const char *name)
{
    size_t at = 0;
    while (!TheShell.Exiting && !TheShell.Returning && !CheckInterrupt() &&
           TheShell.Breaking == 0) {
        Arena arena = {};
        Node *node;
        char message[128];
        ParseStatus status = Parse(text, length, &at, &arena, &node, message);
        if (status == ParseOk)
            (void)RunNode(node, &TheShell.Standard);
        ArenaFree(&arena);
        if (status == ParseNothing)
            break;
        if (status != ParseOk) {
            ComplainAt(name, text, at, message);
            TheShell.LastCode = ExitSyntax;
            break;
        }
    }
    return TheShell.LastCode;
}

Status ReadToEnd(Handle file, char **text, size_t *length)
{
    size_t capacity = 0, moved;
    Status status = StatusSuccess;
    *text = nullptr;
    *length = 0;
    while (status == StatusSuccess) {
        if (*length + 1 >= capacity) {
            capacity = capacity * 2 + 4096;
            char *grown = realloc(*text, capacity);
            if (grown == nullptr)
                return StatusNoMemory;
            *text = grown;
        }
        status = ReadFile(file, *text + *length, capacity - *length - 1, &moved);
        *length += moved;
    }
    (*text)[*length] = '\0';
    return status == StatusEndOfFile ? StatusSuccess : status;
}

char *ReadWholeFile(const char *path, size_t *length, Status *status)
{
    Handle file;
    char *text;
    *status = CreateFile(path, FileRead, FileOpenExisting, &file);
    if (*status != StatusSuccess)
        return nullptr;
    *status = ReadToEnd(file, &text, length);
    (void)CloseHandle(file);
    if (*status == StatusSuccess)
        return text;
    free(text);
    return nullptr;
}

int RunFile(const char *path, const Streams *streams)
{
    size_t length;
    Status status;
    char *text = ReadWholeFile(path, &length, &status);
    if (text == nullptr) {
        Complain(streams, "%s: %s", path, Explain(status));
        return ExitUnknown;
    }
    int code = RunText(text, length, path);
    free(text);
    return code;
}
