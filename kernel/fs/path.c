// path.c - names: what is a valid path, and when two are the same. Pure.
//
// Rules (docs/storage.md): parts are separated by '/' or '\', runs of separators count as one, "."
// and ".." are resolved, ".." of the root is the root. A part is well-formed UTF-8 of at most 255
// UTF-16 units without control characters and without " * : < > ? |. Blanks and dots at its end are
// cut off, as FAT does; a part of nothing else is not valid.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define MAXIMUM_PART 255 // UTF-16 units

extern DWORD ff_wtoupper(DWORD character);

// The characters below 0x80 that no name has, a bit each.
#define BIT(character) (1ull << ((character) % 64))
static const uint64_t Forbidden[2] = {
    0xFFFFFFFF | BIT('"') | BIT('*') | BIT(':') | BIT('<') | BIT('>') | BIT('?'),
    BIT('|') | BIT(0x7F),
};

static bool IsSeparator(char c)
{
    return c == '/' || c == '\\';
}

// Checks a part of `length` bytes and returns how many of them count; 0: not valid.
static size_t CheckPart(const char *part, size_t length, Status *status)
{
    *status = StatusInvalidName;
    while (length && (part[length - 1] == '.' || part[length - 1] == ' '))
        length--;
    size_t units = 0;
    for (size_t i = 0; i < length;) {
        size_t before = i;
        uint8_t first = (uint8_t)part[i];
        if (first < 0x80) {
            if (Forbidden[first / 64] & BIT(first))
                return 0;
            units++, i++;
            continue;
        }
        uint32_t c = RtlDecodeUtf8(part, length, &i);
        char encoded[4];
        if (c == 0xFFFD &&
            (RtlEncodeUtf8(c, encoded) != i - before || memcmp(encoded, part + before, i - before)))
            return 0;
        units += c >= 0x10000 ? 2 : 1;
    }
    if (units > MAXIMUM_PART) {
        *status = StatusNameTooLong;
        return 0;
    }
    return length;
}

// Appends the parts of path to result, which holds `*used` bytes without the NUL ("" is the root).
static Status AppendParts(const char *path, char result[MaximumPath], size_t *used)
{
    while (*path) {
        while (IsSeparator(*path))
            path++;
        size_t length = 0;
        while (path[length] && !IsSeparator(path[length]))
            length++;
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            while (*used && result[--*used] != '/') {}
        } else if (length && !(length == 1 && path[0] == '.')) {
            Status status;
            size_t keep = CheckPart(path, length, &status);
            if (!keep)
                return status;
            if (*used + 1 + keep >= MaximumPath)
                return StatusNameTooLong;
            result[(*used)++] = '/';
            memcpy(result + *used, path, keep);
            *used += keep;
        }
        path += length;
    }
    return StatusSuccess;
}

Status FsNormalizePath(const char *directory, const char *path, char result[MaximumPath])
{
    if (!*path)
        return StatusInvalidName;
    size_t used = 0;
    if (!IsSeparator(*path) && directory[1]) {
        used = strlen(directory);
        memcpy(result, directory, used);
    }
    Status status = AppendParts(path, result, &used);
    if (status != StatusSuccess)
        return status;
    if (!used)
        result[used++] = '/';
    result[used] = 0;
    return StatusSuccess;
}

const char *FspLastPart(const char *path)
{
    const char *last = path;
    for (; *path; path++) {
        if (*path == '/')
            last = path + 1;
    }
    return last;
}

// The next character of a normalised path, in upper case.
static uint32_t NextFolded(const char **path)
{
    uint8_t c = (uint8_t)**path;
    if (c < 0x80) {
        (*path)++;
        return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
    }
    size_t index = 0, length = 1;
    while (length < 4 && (uint8_t)(*path)[length] >= 0x80)
        length++;
    uint32_t character = RtlDecodeUtf8(*path, length, &index);
    *path += index;
    return character < 0x10000 ? ff_wtoupper(character) : character;
}

uint64_t FspHashPath(const char *path)
{
    uint64_t hash = 0xCBF29CE484222325ull; // FNV-1a
    while (*path)
        hash = (hash ^ NextFolded(&path)) * 0x100000001B3ull;
    return hash;
}

bool FspPathsEqual(const char *a, const char *b)
{
    while (*a && *b) {
        if (NextFolded(&a) != NextFolded(&b))
            return false;
    }
    return *a == *b;
}
