// message.c - what the shell says.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdarg.h>
#include <string.h>

void Print(Handle to, const char *text)
{
    size_t moved;
    if (to != InvalidHandle)
        (void)WriteFile(to, text, strlen(text), &moved);
}

static void PrintList(Handle to, const char *prefix, const char *format, va_list arguments,
                      const char *suffix)
{
    char line[EDIT_LINE_SIZE + 64];
    size_t used = (size_t)snprintf(line, sizeof line, "%s", prefix);
    size_t length = (size_t)vsnprintf(line + used, sizeof line - used - 2, format, arguments);
    used += length < sizeof line - used - 2 ? length : sizeof line - used - 3;
    strcpy(line + used, suffix);
    Print(to, line);
}

void Printf(Handle to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PrintList(to, "", format, arguments, "");
    va_end(arguments);
}

void Complain(const Streams *streams, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PrintList(streams->Handles[2], "shell: ", format, arguments, "\n");
    va_end(arguments);
}

const char *Explain(Status status)
{
    const char *text = GetStatusText(status), *colon = strstr(text, ": ");
    return colon == nullptr ? text : colon + 2;
}
