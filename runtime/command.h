// command.h - command line splitting (command.c).
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>

// Splits line into arguments: *count of them, NUL-terminated in text (size bytes), with pointers in
// arguments (capacity entries, the last one used is nullptr). False when it does not fit: a line of
// n bytes needs at most n + 1 bytes of text and n / 2 + 2 pointers.
bool RtSplitCommandLine(const char *line, char *text, size_t size, char **arguments,
                        size_t capacity, size_t *count);
