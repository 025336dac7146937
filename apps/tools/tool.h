// tool.h - what the small programs share.
//
// Each says what it does with --help, puts messages on the error stream as "NAME: WHAT: WHY", and
// ends with 0, or 1 when something could not be done, or 2 when it was asked wrongly.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// First thing in main: remembers the name; with --help writes text and ends the program.
void ToolStart(int argc, char **argv, const char *text);
// Takes the options of one letter out of the arguments, up to "--": sets their bits in the order of
// letters. The number of arguments that are left, behind argv[0]. Another letter ends the program.
int ToolOptions(int argc, char **argv, const char *letters, unsigned *set);
// "NAME: what: why"; why a status. Makes the exit code 1.
void ToolFail(const char *what, Status status);
void ToolSay(const char *what, const char *why);
[[noreturn]] void ToolMisuse(const char *why);
// What main returns: flushes, and says when the output could not be written - a full disk.
int ToolEnd(void);
// "folder/name" of the last part of path; false: too long.
bool ToolJoin(char result[MaximumPath], const char *folder, const char *path);
bool ToolIsFolder(const char *path);
// Calls visit with each file named, or with the standard input ("-", or when there are none).
void ToolForEachInput(int count, char **names, void (*visit)(const char *name, FILE *file));
