// command.c - the program named by a command line, and where a program or library is looked for.
// Pure.
// SPDX-License-Identifier: MIT
#include "command.h"

static bool IsBlank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Status CommandGetProgram(const char *commandLine, char *program, size_t size)
{
    const char *at = commandLine;
    while (IsBlank(*at))
        at++;
    bool quoted = *at == '"';
    if (quoted)
        at++;
    const char *end = at;
    while (*end != '\0' && (quoted ? *end != '"' : !IsBlank(*end)))
        end++;
    size_t length = (size_t)(end - at);
    if (length == 0 || (quoted && *end != '"'))
        return StatusInvalidName;
    if (length >= size)
        return StatusNameTooLong;
    memcpy(program, at, length);
    program[length] = '\0';
    return StatusSuccess;
}

bool CommandIsPath(const char *name)
{
    for (; *name != '\0'; name++)
        if (*name == '/' || *name == '\\')
            return true;
    return false;
}

Status CommandAddSuffix(char *name, size_t size, const char *suffix)
{
    size_t length = strlen(name), suffixLength = strlen(suffix);
    if (length > suffixLength && RtlCompareNoCase(name + length - suffixLength, suffix) == 0)
        return StatusSuccess;
    if (length + suffixLength >= size)
        return StatusNameTooLong;
    memcpy(name + length, suffix, suffixLength + 1);
    return StatusSuccess;
}

void CommandGetDirectory(const char *path, char *directory, size_t size)
{
    RtlCopyString(directory, size, path);
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] != '/')
        length--;
    if (length > 1)
        length--;
    directory[length] = '\0';
}
