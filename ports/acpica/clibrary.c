// clibrary.c - the C library functions ACPICA uses and lib/rtl does not have.
// SPDX-License-Identifier: MIT
#include "acmodesto.h"

size_t RtlFormatV(char *buffer, size_t size, const char *format, va_list arguments);

char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
    size_t i = 0;
    for (; i < size && from[i]; i++)
        to[i] = from[i];
    for (; i < size; i++)
        to[i] = 0;
    return to;
}

char *strcpy(char *restrict to, const char *restrict from)
{
    memcpy(to, from, strlen(from) + 1);
    return to;
}

char *strcat(char *restrict to, const char *restrict from)
{
    strcpy(to + strlen(to), from);
    return to;
}

char *strncat(char *restrict to, const char *restrict from, size_t size)
{
    char *end = to + strlen(to);
    size_t i = 0;
    for (; i < size && from[i]; i++)
        end[i] = from[i];
    end[i] = 0;
    return to;
}

char *strchr(const char *text, int character)
{
    for (; *text != (char)character; text++)
        if (!*text)
            return nullptr;
    return (char *)text;
}

char *strstr(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; text++)
        if (strncmp(text, part, length) == 0)
            return (char *)text;
    return length ? nullptr : (char *)text;
}

int isupper(int c)
{
    return c >= 'A' && c <= 'Z';
}
int isdigit(int c)
{
    return c >= '0' && c <= '9';
}
int isprint(int c)
{
    return c >= ' ' && c < 0x7F;
}
int isspace(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
int isalpha(int c)
{
    return isupper(c) || (c >= 'a' && c <= 'z');
}
int isxdigit(int c)
{
    return isdigit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}
int tolower(int c)
{
    return isupper(c) ? c + ('a' - 'A') : c;
}
int toupper(int c)
{
    return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}

int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list arguments)
{
    return (int)RtlFormatV(buffer, size, format, arguments);
}

int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
