// history.c - the lines typed so far, kept in ~/.history, one a line, the newest last. Line ends
// inside a command are kept as blanks. The file is cut to its newest half when it has twice as
// many lines as are remembered.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

enum { Capacity = 1000 };

static char *lines[Capacity]; // a ring
static size_t first, count;

static void FilePath(char path[MaximumPath])
{
    const char *home = getenv("HOME");
    snprintf(path, MaximumPath, "%s/.history", home == nullptr ? "" : home);
}

static void Remember(const char *line, size_t length)
{
    char *copy = strndup(line, length);
    if (copy == nullptr)
        return;
    for (char *c = copy; *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    if (count == Capacity) {
        free(lines[first]);
        first = (first + 1) % Capacity;
        count--;
    }
    lines[(first + count++) % Capacity] = copy;
}

static Status WriteLine(Handle file, const char *line)
{
    char text[EDIT_LINE_SIZE + 1];
    size_t moved, length = (size_t)snprintf(text, sizeof text, "%s\n", line);
    return WriteFile(file, text, length < sizeof text ? length : sizeof text - 1, &moved);
}

static void Rewrite(void)
{
    char path[MaximumPath];
    Handle file;
    FilePath(path);
    if (CreateFile(path, FileWrite, FileCreateAlways, &file) != StatusSuccess)
        return;
    for (size_t i = 0; i < count && WriteLine(file, lines[(first + i) % Capacity]) == StatusSuccess;
         i++)
        ;
    (void)CloseHandle(file);
}

void LoadHistory(void)
{
    char path[MaximumPath];
    size_t length, found = 0;
    Status status;
    FilePath(path);
    char *text = ReadWholeFile(path, &length, &status);
    if (text == nullptr)
        return;
    for (char *line = text, *end; *line; line = end + (*end != '\0'), found++) {
        end = strchrnul(line, '\n');
        if (end > line)
            Remember(line, (size_t)(end - line));
    }
    free(text);
    if (found > 2 * Capacity)
        Rewrite();
}

void AddHistory(const char *line)
{
    static bool told;
    char path[MaximumPath];
    Handle file;
    const char *newest = GetHistoryLine(nullptr, 0);
    if (line[strspn(line, " \t\n")] == '\0' || (newest != nullptr && strcmp(newest, line) == 0))
        return;
    Remember(line, strlen(line));
    FilePath(path);
    Status status = CreateFile(path, FileAppend, FileOpenAlways, &file);
    if (status == StatusSuccess) {
        const char *kept = GetHistoryLine(nullptr, 0);
        status = WriteLine(file, kept == nullptr ? "" : kept);
        (void)CloseHandle(file);
    }
    if (status != StatusSuccess && !told)
        Printf(TheShell.Console, "shell: the history is not kept: %s: %s\n", path, Explain(status));
    told = status != StatusSuccess;
}

const char *GetHistoryLine(void *context, size_t index)
{
    return index < count ? lines[(first + count - 1 - index) % Capacity] : nullptr;
}

size_t CountHistory(void)
{
    return count;
}

void ClearHistory(void)
{
    for (size_t i = 0; i < count; i++)
        free(lines[(first + i) % Capacity]);
    first = count = 0;
    Rewrite();
}
