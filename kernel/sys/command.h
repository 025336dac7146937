// command.h - the program named by a command line, and where a program or library is looked for.
// Pure.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

// The first word of a command line: up to a blank, or between double quotes.
// StatusInvalidName: none, or a quote without its end. StatusNameTooLong.
Status CommandGetProgram(const char *commandLine, char *program, size_t size);

// Whether the name says where the file is: it has a '/' or '\'.
bool CommandIsPath(const char *name);

// Appends suffix (".exe") unless name ends in it already, in any case. StatusNameTooLong.
Status CommandAddSuffix(char *name, size_t size, const char *suffix);

// The directory part of an absolute path, without a '/' at its end unless it is the root.
void CommandGetDirectory(const char *path, char *directory, size_t size);
