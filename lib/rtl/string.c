// string.c - bounded strings and the options text.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

bool RtlCopyString(char *to, size_t size, const char *from)
{
    size_t i = 0;
    if (!size)
        return false;
    for (; from[i] && i + 1 < size; i++)
        to[i] = from[i];
    to[i] = 0;
    return !from[i];
}

static char ToLower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

int RtlCompareNoCase(const char *a, const char *b)
{
    for (; *a && ToLower(*a) == ToLower(*b); a++, b++) {}
    return (unsigned char)ToLower(*a) - (unsigned char)ToLower(*b);
}

static bool IsBlank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

// The [start, end) of text without blanks at either side.
static void Trim(const char **start, const char **end)
{
    while (*start < *end && IsBlank(**start))
        ++*start;
    while (*end > *start && IsBlank((*end)[-1]))
        --*end;
}

bool RtlFindOption(const char *options, const char *name, size_t index, char *value, size_t size)
{
    size_t nameLength = strlen(name);
    for (const char *line = options; *line;) {
        const char *end = line, *next, *equals = nullptr;
        for (; *end && *end != '\n' && *end != '#'; end++)
            if (*end == '=' && !equals)
                equals = end;
        for (next = end; *next && *next != '\n'; next++) {}
        if (equals) {
            const char *key = line, *keyEnd = equals, *text = equals + 1, *textEnd = end;
            Trim(&key, &keyEnd);
            Trim(&text, &textEnd);
            if ((size_t)(keyEnd - key) == nameLength && !strncmp(key, name, nameLength) &&
                index-- == 0) {
                size_t length = RTL_MIN((size_t)(textEnd - text), size ? size - 1 : 0);
                if (size) {
                    memcpy(value, text, length);
                    value[length] = 0;
                }
                return true;
            }
        }
        line = *next ? next + 1 : next;
    }
    return false;
}

bool RtlParseSize(const char *text, uint32_t *width, uint32_t *height)
{
    uint32_t values[2] = {};
    for (size_t i = 0; i < 2; i++) {
        size_t digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 5; text++, digits++)
            values[i] = values[i] * 10 + (uint32_t)(*text - '0');
        if (digits == 0 || *text != (i == 0 ? 'x' : 0))
            return false;
        text++;
    }
    *width = values[0];
    *height = values[1];
    return true;
}
